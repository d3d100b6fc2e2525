"""The timeline and its stream over HTTP: order, resumption, readers that fall behind or do not read at all."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mockcloud import MockCloud
from mockcloud.cloud import event_stream
from mockcloud.cloud.timeline import Timeline
from mockcloud.core.ports import Ports
from mockcloud.rpc.http_server import HttpServer
from tests.control.fakes import EAST, PATIENCE, WEST


def timeline(size: int = 10_000) -> Timeline:
    ports = Ports()
    return Timeline(ports.clock, ports.ids, size)


def numbers(page: Any) -> list[int]:
    return [event.data["n"] for event in page.events]


class TestTimeline:
    async def test_pages_in_order(self) -> None:
        line = timeline()
        for n in range(5):
            line.tell("test", {"n": n})
        first = await line.read(most=3)
        second = await line.read(first.last_id, most=3)
        end = await line.read(second.last_id, most=3)
        assert (numbers(first), numbers(second), numbers(end)) == ([0, 1, 2], [3, 4], [])
        assert end.last_id == second.last_id
        assert first.events[0].json()["kind"] == "test"

    async def test_waiting_for_news(self) -> None:
        line = timeline()
        last = (await line.read()).last_id
        reading = asyncio.create_task(line.read(last, wait=PATIENCE))
        await asyncio.sleep(0)
        line.tell("test", {"n": 1})
        assert numbers(await reading) == [1]
        assert numbers(await line.read(last, wait=0.0)) == [1]

    async def test_waiting_ends_with_the_time_and_with_the_cloud(self) -> None:
        line = timeline()
        assert numbers(await line.read(wait=0.001)) == []
        reading = asyncio.create_task(line.read(line._id(0), wait=PATIENCE))
        await asyncio.sleep(0)
        line.close()
        assert numbers(await reading) == []
        assert line.closed

    @given(
        size=st.integers(1, 8),
        steps=st.lists(st.integers(0, 5), max_size=20),
        most=st.integers(1, 4),
    )
    async def test_a_reader_gets_every_event_once_or_hears_that_it_missed_it(
        self, size: int, steps: list[int], most: int
    ) -> None:
        line = timeline(size)
        seen: list[int] = []
        last, told, missed = line._id(0), 0, 0
        for step in [*steps, 0, 0, 0, 0, 0, 0, 0, 0]:
            for _ in range(step):
                line.tell("test", {"n": told})
                told += 1
            page = await line.read(last, most=most)
            missed += page.missed
            assert numbers(page) == list(range(len(seen) + missed, len(seen) + missed + len(page.events)))
            seen += numbers(page)
            last = page.last_id
        assert len(seen) + missed == told

    @pytest.mark.parametrize("after", ["", "elsewhere", "elsewhere-3", "-", "-1", "x-²", "9" * 40])
    async def test_an_id_that_is_none_of_this_process_begins_anew(self, after: str) -> None:
        line = timeline(2)
        for n in range(3):
            line.tell("test", {"n": n})
        page = await line.read(after)
        assert (numbers(page), page.missed) == ([1, 2], 0)
        assert numbers(await line.read(f"{line._life}-999")) == [1, 2]


@dataclass
class Event:
    id: str
    kind: str
    data: dict[str, Any]


async def events(response: httpx.Response) -> AsyncIterator[Event]:
    """Server-sent events as a browser reads them."""
    fields: dict[str, str] = {}
    async for text in response.aiter_lines():
        if text.startswith(":"):
            continue
        if text:
            name, _, value = text.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield Event(fields.get("id", ""), fields["event"], json.loads(fields["data"]))
            fields = {}


@asynccontextmanager
async def served(line: Timeline) -> AsyncIterator[str]:
    async def answer(request: Request) -> Response:
        return event_stream.stream(line, request)

    server = HttpServer(lambda: Starlette(routes=[Route("/events", answer)]))
    server.bind("127.0.0.1", 0)
    server.start()
    try:
        yield f"http://127.0.0.1:{server.port}/events"
    finally:
        line.close()
        await server.stop()


@asynccontextmanager
async def opened(line: Timeline) -> AsyncIterator[httpx.Response]:
    async with (
        served(line) as url,
        httpx.AsyncClient(timeout=PATIENCE) as client,
        client.stream("GET", url) as response,
    ):
        yield response


async def first(url: str, count: int, **headers: str) -> list[Event]:
    async with (
        httpx.AsyncClient(timeout=PATIENCE) as client,
        client.stream("GET", url, headers=headers) as got,
    ):
        assert got.headers["content-type"].startswith("text/event-stream")
        found = []
        async for event in events(got):
            found.append(event)
            if len(found) == count:
                return found
    raise AssertionError(f"the stream ended after {found}")


class TestStream:
    async def test_a_client_that_comes_again_goes_on_where_it_was(self) -> None:
        line = timeline()
        for n in range(4):
            line.tell("test", {"n": n})
        async with served(line) as url:
            before = await first(url, 2)
            after = await first(url, 2, **{"Last-Event-ID": before[-1].id})
            by_query = await first(f"{url}?last_event_id={before[-1].id}", 2)
        assert [event.data["n"] for event in (*before, *after)] == [0, 1, 2, 3]
        assert after == by_query
        assert before[0].kind == before[0].data["kind"] == "test"
        assert before[0].id == before[0].data["id"]
        assert before[0].data["time"].endswith("Z")

    async def test_events_arrive_as_they_happen(self) -> None:
        line = timeline()
        async with opened(line) as got:
            stream = events(got)
            for n in range(3):
                line.tell("test", {"n": n, "text": "two\nlines"})
                event = await anext(stream)
                assert (event.data["n"], event.data["text"]) == (n, "two\nlines")

    async def test_the_stream_ends_with_the_cloud(self) -> None:
        line = timeline()
        async with opened(line) as got:
            reading = asyncio.create_task(got.aread())
            line.close()
            await reading

    async def test_a_client_that_does_not_read_holds_up_nobody_and_collects_nothing(self) -> None:
        line = timeline(50)
        async with served(line) as url:
            loop = asyncio.get_running_loop()
            idle = socket.socket()
            idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            idle.setblocking(False)
            with idle:
                await loop.sock_connect(idle, ("127.0.0.1", httpx.URL(url).port or 0))
                await loop.sock_sendall(idle, b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
                assert await loop.sock_recv(idle, 10)
                sent = 0
                while sent < 20_000:  # some 20 MB, more than all buffers together
                    for _ in range(100):
                        line.tell("test", {"n": sent, "filling": "x" * 1000})
                        sent += 1
                    await asyncio.sleep(0)
                recent = await first(url, 50)
                assert [event.data["n"] for event in recent] == list(range(sent - 50, sent))
                received = bytearray()
                async with asyncio.timeout(PATIENCE):
                    while b"event: missed" not in received:
                        received += await loop.sock_recv(idle, 2**16)
                assert len(received) < 10_000_000


async def test_a_failover_is_told_step_by_step(mockcloud: MockCloud) -> None:
    fault = mockcloud.link(EAST, WEST).partition(name="storm")
    await mockcloud.namespace("default").failover(WEST, forced=True)
    fault.remove()
    await mockcloud.region(EAST).kill()
    await mockcloud.region(EAST).start()
    await mockcloud.control.kill()
    await mockcloud.control.start()

    told = [(event.kind, event.data) for event in await mockcloud.events()]
    failover = "FailoverNamespaceRegion"
    steps = [data["step"] for kind, data in told if kind == "operation" and data["operation"] == failover]
    assert steps == ["accepted", "forcing", "ended"]
    faults = [(data["action"], data["name"], data["fault"]) for kind, data in told if kind == "fault"]
    assert faults == [("added", "storm", "partition"), ("removed", "storm", "partition")]
    kills = [
        (kind, data.get("region"), data["state"]) for kind, data in told if kind in {"region", "control"}
    ]
    assert kills == [
        ("region", EAST, "killed"),
        ("region", EAST, "started"),
        ("control", None, "killed"),
        ("control", None, "started"),
    ]
    switched = [data["active_region"] for kind, data in told if kind == "namespace"]
    assert (switched[0], switched[-1]) == (EAST, WEST)
    (audited,) = [data for kind, data in told if kind == "audit" and data["operation"] == "FailoverNamespace"]
    assert audited["principal"]["name"] == "MockCloud"
    (notified,) = [data for kind, data in told if kind == "notification"]
    assert notified["delivery"] == "kept"

    fields = [event.data["kind"] for event in await first(f"{mockcloud.http}/events", len(told))]
    assert fields == [kind for kind, _ in told]
