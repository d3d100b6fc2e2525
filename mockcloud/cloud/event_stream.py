"""The timeline as server-sent events (WHATWG HTML §9.2): `id`, `event` (the kind) and `data` (JSON) of each.

A client that comes again with `Last-Event-ID` goes on where it was. One that has fallen too far behind is told so by an
event `missed`. A client that reads slowly is waited for by the transport: nothing is collected for it.

Loaded when the first connection comes.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request
from starlette.responses import StreamingResponse

from mockcloud.cloud.timeline import Page, Timeline

# Silent connections are cut by some proxies after half a minute.
_KEEPALIVE_SECONDS: Final = 15.0


def stream(timeline: Timeline, request: Request) -> StreamingResponse:
    """Answer a request for the event stream; the parameter `last_event_id` stands in for the header."""
    after = request.headers.get("last-event-id") or request.query_params.get("last_event_id", "")
    return StreamingResponse(
        _chunks(timeline, after), media_type="text/event-stream", headers={"cache-control": "no-store"}
    )


async def _chunks(timeline: Timeline, after: str) -> AsyncIterator[str]:
    yield "retry: 1000\n\n"
    while not timeline.closed:
        page = await timeline.read(after, wait=_KEEPALIVE_SECONDS)
        after = page.last_id
        yield _text(page) or ": nothing yet\n\n"


def _text(page: Page) -> str:
    missed = f"event: missed\ndata: {json.dumps({'events': page.missed})}\n\n" if page.missed else ""
    return missed + "".join(
        f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(event.json())}\n\n" for event in page.events
    )
