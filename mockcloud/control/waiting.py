"""Waiting for a moment that may be announced."""

from __future__ import annotations

import asyncio

from mockcloud.core import times


async def wait_for(event: asyncio.Event, most: int) -> bool:
    """Return when the event comes (True), or after `most` nanoseconds (False)."""
    try:
        async with asyncio.timeout(most / times.SECOND):
            await event.wait()
    except TimeoutError:
        return False
    return True
