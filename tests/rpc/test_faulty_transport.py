from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping

import pytest

from mockcloud.core.errors import DeadlineExceeded, NamespaceNotActive, Unavailable
from mockcloud.rpc.faults import Links
from mockcloud.rpc.faulty_transport import FaultyTransport
from mockcloud.rpc.memory_transport import MemoryPeers
from mockcloud.rpc.transport import Handlers, Stream

pytestmark = pytest.mark.timeout(30)

EAST, WEST = "aws-us-east-1", "aws-us-west-2"
ECHO, HANG, FAIL, TALK = (f"/mockcloud.test.Test/{name}" for name in ("Echo", "Hang", "Fail", "Talk"))
SHORT = 0.05


class Cloud:
    """East's way to West, and what West saw."""

    def __init__(self) -> None:
        self.links = Links(random.Random(7))
        self.peers = MemoryPeers()
        self.transport = FaultyTransport(self.peers.transport(), EAST, self.links)
        self.executed: list[bytes] = []
        self.got: list[bytes] = []
        self.came = asyncio.Condition()
        self.entered, self.left, self.served = asyncio.Event(), asyncio.Event(), asyncio.Event()
        handlers = Handlers()
        handlers.unary(ECHO, self.echo)
        handlers.unary(HANG, self.hang)
        handlers.unary(FAIL, self.fail)
        handlers.stream(TALK, self.talk)
        self.peers.serve(WEST, handlers)

    async def echo(self, request: bytes, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        self.executed.append(request)
        self.served.set()
        return request

    async def fail(self, request: bytes, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        raise NamespaceNotActive("orders", WEST, EAST)

    async def hang(self, request: bytes, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        self.entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()
        return b""

    async def talk(self, stream: Stream, metadata: Mapping[str, str]) -> None:
        try:
            while (message := await stream.receive()) is not None:
                async with self.came:
                    self.got.append(message)
                    self.came.notify_all()
                await stream.send(b"re: " + message)
        finally:
            self.left.set()

    async def until_got(self, *messages: bytes) -> None:
        async with self.came:
            await self.came.wait_for(lambda: self.got == list(messages))


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    cloud = Cloud()
    yield cloud
    await cloud.transport.close()


async def echo(cloud: Cloud, timeout: float | None = None) -> bytes:
    return await cloud.transport.unary(WEST, ECHO, b"hello", timeout=timeout)


async def messages(stream: Stream, count: int) -> list[bytes | None]:
    return [await stream.receive() for _ in range(count)]


async def test_a_clear_link_changes_nothing(cloud: Cloud) -> None:
    assert await echo(cloud) == b"hello"
    with pytest.raises(NamespaceNotActive):
        await cloud.transport.unary(WEST, FAIL, b"")
    stream = await cloud.transport.stream(WEST, TALK)
    await stream.send(b"a")
    assert await stream.receive() == b"re: a"
    await stream.close()
    assert await stream.receive() is None
    await cloud.left.wait()


async def test_a_cut_link_fails_calls_at_once_and_unexecuted(cloud: Cloud) -> None:
    fault = cloud.links.add("partition", EAST, WEST)

    with pytest.raises(Unavailable, match=f"link {EAST} → {WEST} is cut"):
        await echo(cloud)
    with pytest.raises(Unavailable):
        await cloud.transport.stream(WEST, TALK)
    assert cloud.executed == []

    fault.remove()
    assert await echo(cloud) == b"hello"


async def test_an_answer_over_a_cut_direction_is_lost_after_execution(cloud: Cloud) -> None:
    cloud.links.add("partition", WEST, EAST, one_way=True)

    with pytest.raises(Unavailable, match=f"link {WEST} → {EAST} is cut"):
        await echo(cloud)

    assert cloud.executed == [b"hello"]


async def test_a_long_call_whose_answer_cannot_come_back_is_given_up_at_the_peer(cloud: Cloud) -> None:
    cloud.links.add("partition", WEST, EAST, one_way=True)

    with pytest.raises(Unavailable):
        await cloud.transport.unary(WEST, HANG, b"")

    await cloud.left.wait()


@pytest.mark.parametrize(("source", "target"), [(EAST, WEST), (WEST, EAST)])
async def test_a_call_in_flight_fails_when_a_cut_begins(cloud: Cloud, source: str, target: str) -> None:
    call = asyncio.create_task(cloud.transport.unary(WEST, HANG, b""))
    await cloud.entered.wait()

    cloud.links.add("partition", source, target, one_way=True)

    with pytest.raises(Unavailable, match="is cut"):
        await call
    assert call.cancelling() == 0


async def test_a_callers_own_cancellation_stays_one(cloud: Cloud) -> None:
    call = asyncio.create_task(cloud.transport.unary(WEST, HANG, b""))
    await cloud.entered.wait()

    cloud.links.add("partition", EAST, WEST)
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call


async def test_messages_over_a_cut_direction_vanish_and_the_stream_survives(cloud: Cloud) -> None:
    stream = await cloud.transport.stream(WEST, TALK)
    await stream.send(b"1")
    assert await stream.receive() == b"re: 1"

    there = cloud.links.add("partition", EAST, WEST, one_way=True)
    await stream.send(b"2")
    there.remove()
    await stream.send(b"3")
    assert await stream.receive() == b"re: 3"

    back = cloud.links.add("partition", WEST, EAST, one_way=True)
    await stream.send(b"4")
    await cloud.until_got(b"1", b"3", b"4")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SHORT):
            await stream.receive()
    back.remove()
    await stream.send(b"5")
    assert await stream.receive() == b"re: 5"


async def test_a_delay_takes_its_time_both_ways_and_keeps_the_order(cloud: Cloud) -> None:
    cloud.links.add("delay", EAST, WEST, seconds=SHORT)
    loop = asyncio.get_running_loop()
    begin = loop.time()

    assert await echo(cloud) == b"hello"
    assert loop.time() - begin >= 2 * SHORT

    stream = await cloud.transport.stream(WEST, TALK)
    begin = loop.time()
    for number in range(10):
        await stream.send(b"%d" % number)
    assert loop.time() - begin < SHORT  # a sender does not wait for the way
    assert await messages(stream, 10) == [b"re: %d" % number for number in range(10)]
    assert loop.time() - begin >= 2 * SHORT


async def test_a_delay_beyond_the_deadline_ends_the_call(cloud: Cloud) -> None:
    cloud.links.add("delay", EAST, WEST, seconds=60)

    with pytest.raises(DeadlineExceeded, match="context deadline exceeded"):
        await echo(cloud, timeout=SHORT)


async def test_removing_a_delay_lets_what_waits_arrive_at_once(cloud: Cloud) -> None:
    fault = cloud.links.add("delay", EAST, WEST, seconds=3600, one_way=True)
    stream = await cloud.transport.stream(WEST, TALK)
    await stream.send(b"1")

    fault.remove()
    await stream.send(b"2")

    assert await messages(stream, 2) == [b"re: 1", b"re: 2"]


async def test_what_is_on_its_way_when_a_cut_begins_is_lost(cloud: Cloud) -> None:
    delay = cloud.links.add("delay", EAST, WEST, seconds=3600, one_way=True)
    stream = await cloud.transport.stream(WEST, TALK)
    await stream.send(b"1")

    cut = cloud.links.add("partition", EAST, WEST)
    delay.remove()
    await asyncio.sleep(0)  # the pipe wakes and finds the link cut
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    cut.remove()
    await stream.send(b"2")

    assert await stream.receive() == b"re: 2"


async def test_a_pause_holds_messages_and_calls_until_resumed(cloud: Cloud) -> None:
    stream = await cloud.transport.stream(WEST, TALK)
    pause = cloud.links.add("pause", EAST, WEST)
    for number in range(3):
        await stream.send(b"%d" % number)
    call = asyncio.create_task(echo(cloud))
    with pytest.raises(DeadlineExceeded):
        await echo(cloud, timeout=SHORT)
    assert (cloud.got, cloud.executed, call.done()) == ([], [], False)

    pause.remove()

    assert await messages(stream, 3) == [b"re: 0", b"re: 1", b"re: 2"]
    assert await call == b"hello"


async def test_a_pause_that_begins_in_flight_holds_the_answer(cloud: Cloud) -> None:
    pause = cloud.links.add("pause", WEST, EAST, one_way=True)
    call = asyncio.create_task(echo(cloud))
    await cloud.served.wait()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(call), SHORT)
    pause.remove()

    assert await call == b"hello"


async def test_a_paused_sender_waits_when_too_much_is_on_its_way(cloud: Cloud) -> None:
    stream = await cloud.transport.stream(WEST, TALK)
    pause = cloud.links.add("pause", EAST, WEST, one_way=True)

    async def flood() -> None:
        for number in range(3000):
            await stream.send(b"%d" % number)

    sending = asyncio.create_task(flood())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(sending), SHORT)
    pause.remove()

    assert await messages(stream, 3000) == [b"re: %d" % number for number in range(3000)]
    await sending


async def test_every_message_is_doubled_but_no_call(cloud: Cloud) -> None:
    cloud.links.add("duplicate", EAST, WEST, one_way=True)
    stream = await cloud.transport.stream(WEST, TALK)

    await stream.send(b"1")
    await stream.send(b"2")

    assert await messages(stream, 4) == [b"re: 1", b"re: 1", b"re: 2", b"re: 2"]
    await echo(cloud)
    assert cloud.executed == [b"hello"]


async def test_messages_are_overtaken_by_the_next_one(cloud: Cloud) -> None:
    cloud.links.add("reorder", EAST, WEST, one_way=True)
    stream = await cloud.transport.stream(WEST, TALK)

    for number in range(4):
        await stream.send(b"%d" % number)
    assert await messages(stream, 4) == [b"re: 1", b"re: 0", b"re: 3", b"re: 2"]

    await stream.send(b"last")  # overtaken by nobody, it arrives all the same
    assert await stream.receive() == b"re: last"


async def test_drops_follow_the_seed_and_fail_calls(cloud: Cloud) -> None:
    async def survivors(seed: int) -> list[bytes]:
        cloud = Cloud()
        cloud.links.rng.seed(seed)
        cloud.links.add("drop", EAST, WEST, one_way=True, probability=0.5)
        stream = await cloud.transport.stream(WEST, TALK)
        for number in range(100):
            await stream.send(b"%d" % number)
        await stream.close()
        while await stream.receive() is not None:
            pass
        await cloud.transport.close()
        return cloud.got

    first = await survivors(1)
    assert 20 < len(first) < 80
    assert await survivors(1) == first
    assert await survivors(2) != first

    cloud.links.add("drop", WEST, EAST, one_way=True)
    with pytest.raises(Unavailable, match="was lost"):
        await echo(cloud)
    assert cloud.executed == [b"hello"]


async def test_the_end_of_a_stream_follows_what_is_on_its_way(cloud: Cloud) -> None:
    cloud.links.add("delay", EAST, WEST, seconds=SHORT)
    cloud.links.add("reorder", EAST, WEST)
    stream = await cloud.transport.stream(WEST, TALK)

    await stream.send(b"1")
    await stream.close()

    assert await stream.receive() == b"re: 1"
    assert await stream.receive() is None
    assert await stream.receive() is None


async def test_a_killed_peer_ends_a_faulty_stream(cloud: Cloud) -> None:
    stream = await cloud.transport.stream(WEST, TALK)
    cloud.links.add("delay", EAST, WEST, seconds=SHORT)
    await stream.send(b"1")

    cloud.peers.kill(WEST)

    with pytest.raises(Unavailable):
        await stream.receive()
    with pytest.raises(Unavailable):
        await flood(stream)


async def flood(stream: Stream) -> None:
    while True:
        await stream.send(b"2")


async def test_a_receive_that_is_given_up_loses_nothing(cloud: Cloud) -> None:
    stream = await cloud.transport.stream(WEST, TALK)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SHORT):
            await stream.receive()

    await stream.send(b"1")

    assert await stream.receive() == b"re: 1"


async def test_closing_the_transport_leaves_no_task_behind(cloud: Cloud) -> None:
    before = asyncio.all_tasks()
    cloud.links.add("pause", EAST, WEST)
    stream = await cloud.transport.stream(WEST, TALK)
    await stream.send(b"1")

    await cloud.transport.close()

    assert await stream.receive() is None
    left = asyncio.all_tasks() - before
    if left:
        await asyncio.wait(left)
