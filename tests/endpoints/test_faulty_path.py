"""Faults between clients and an endpoint, and clients that are none."""

from __future__ import annotations

import asyncio
import ssl
import time

import pytest

from mockcloud.rpc.faults import FaultKind
from tests.endpoints.support import Net, Streams, ask, gone, naming

pytestmark = [
    pytest.mark.timeout(30),
    pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy:DeprecationWarning"),
]

HERE = ("clients", "here")


async def echoing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def test_a_cut_resets_what_is_connected_and_lets_nobody_in_until_it_heals(net: Net) -> None:
    net.target = await net.listen(naming(b"east"))
    old = await net.connect()
    assert await ask(old) == b"east hello\n"

    fault = net.links.add(FaultKind.PARTITION, *HERE)

    assert await gone(old[0])
    assert await gone((await net.connect())[0])
    assert net.endpoint.connections == 0
    fault.remove()
    assert await ask(await net.connect()) == b"east hello\n"


async def test_a_pause_swallows_nothing(net: Net) -> None:
    net.target = await net.listen(naming(b"east"))
    old = await net.connect()
    assert await ask(old) == b"east hello\n"
    pause = net.links.add(FaultKind.PAUSE, *HERE)
    new = await net.connect()

    answers = [asyncio.create_task(ask(streams)) for streams in (old, new)]
    _, pending = await asyncio.wait(answers, timeout=0.1)
    assert len(pending) == 2

    pause.remove()
    assert await asyncio.gather(*answers) == [b"east hello\n"] * 2


async def test_of_a_pause_one_way_the_other_direction_notices_nothing(net: Net) -> None:
    said = asyncio.Queue[bytes]()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
            said.put_nowait(line)

    net.target = await net.listen(hear)
    streams = await net.connect()
    assert await ask(streams) == b"hello\n"
    assert await said.get() == b"hello\n"
    pause = net.links.add(FaultKind.PAUSE, *reversed(HERE), one_way=True)

    answer = asyncio.create_task(ask(streams))
    assert await said.get() == b"hello\n"
    assert not answer.done()
    pause.remove()
    assert await answer == b"hello\n"


@pytest.mark.serial
async def test_a_delay_holds_for_each_direction(net: Net) -> None:
    net.target = await net.listen(naming(b"east"))
    streams = await net.connect()
    await ask(streams)
    net.links.add(FaultKind.DELAY, *HERE, seconds=0.1)

    begin = time.monotonic()
    assert await ask(streams) == b"east hello\n"
    # Timers of a loop may count from a moment before they were made.
    assert 0.19 <= time.monotonic() - begin < 2


async def test_a_delay_that_is_taken_away_hurries_what_is_on_its_way(net: Net) -> None:
    net.target = await net.listen(naming(b"east"))
    streams = await net.connect()
    await ask(streams)
    slow = net.links.add(FaultKind.DELAY, *HERE, seconds=1000.0)
    answer = asyncio.create_task(ask(streams))
    _, pending = await asyncio.wait([answer], timeout=0.05)
    assert pending

    slow.remove()

    assert await answer == b"east hello\n"


async def test_what_is_late_comes_whole_in_order_and_with_its_end(net: Net) -> None:
    """Delays come and go under a transfer that is longer than what may wait."""
    sent = bytes(range(256)) * 40_000
    net.target = await net.listen(echoing)
    reader, writer = await net.connect()

    async def send() -> None:
        for begin in range(0, len(sent), 1 << 18):
            writer.write(sent[begin : begin + (1 << 18)])
            await writer.drain()
        writer.write_eof()

    async def disturb() -> None:
        for seconds in (0.01, 0.001, 0.02):
            fault = net.links.add(FaultKind.DELAY, *HERE, seconds=seconds)
            await asyncio.sleep(0.02)
            fault.remove()

    sending, disturbing = asyncio.create_task(send()), asyncio.create_task(disturb())
    received = await reader.read()
    await asyncio.gather(sending, disturbing)

    assert received == sent
    while net.endpoint.connections:  # noqa: ASYNC110 - the pair goes without being told
        await asyncio.sleep(0)


async def test_behind_a_pause_the_writer_is_slowed(net: Net) -> None:
    net.target = await net.listen(echoing)
    _, writer = await net.connect()
    net.links.add(FaultKind.PAUSE, *HERE)

    async def flood() -> None:
        for _ in range(64):
            writer.write(bytes(1 << 20))
            await writer.drain()

    flooding = asyncio.create_task(flood())
    _, pending = await asyncio.wait([flooding], timeout=0.3)
    assert pending, "it is kept in nobody's memory"
    flooding.cancel()


async def test_behind_a_pause_nobody_notices_that_the_other_end_is_gone(net: Net) -> None:
    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.transport.abort()

    net.target = await net.listen(die)
    reader, writer = await net.connect()
    net.links.add(FaultKind.PAUSE, *reversed(HERE), one_way=True)
    writer.write(b"hello\n")
    notice = asyncio.create_task(gone(reader))
    _, pending = await asyncio.wait([notice], timeout=0.1)
    assert pending

    net.links.reset()

    assert await notice


@pytest.mark.parametrize("kind", [FaultKind.PAUSE, FaultKind.DELAY])
async def test_an_endpoint_closes_under_a_fault(net: Net, kind: FaultKind) -> None:
    net.target = await net.listen(naming(b"east"))
    streams = await net.connect()
    await ask(streams)
    net.links.add(kind, *HERE, seconds=100.0 if kind is FaultKind.DELAY else 0.0)
    streams[1].write(b"hello\n")

    await net.endpoint.close()

    assert await gone(streams[0])
    assert net.endpoint.connections == 0


async def test_tls_passes_untouched_with_the_name_that_was_asked_for() -> None:
    """The endpoint has no certificate. Nor has the target: its keys are anonymous."""
    names: list[str | None] = []
    net = Net()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    for context in (server, client):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
    server.sni_callback = lambda _object, name, _context: names.append(name)
    target = await asyncio.start_server(naming(b"east"), "127.0.0.1", 0, ssl=server)
    net.target = target.sockets[0].getsockname()
    await net.endpoint.start()

    streams = await asyncio.open_connection(
        "127.0.0.1", net.endpoint.port, ssl=client, server_hostname="orders.a1b2c.tmprl.cloud"
    )

    assert await ask(streams) == b"east hello\n"
    assert names == ["orders.a1b2c.tmprl.cloud"]
    streams[1].transport.abort()
    target.close()
    await net.end()


class TestLimit:
    async def test_whoever_is_too_many_is_sent_away_and_the_others_notice_nothing(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def until_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await naming(b"east")(reader, writer)
            writer.close()

        net = Net(limit=2)
        await net.endpoint.start()
        net.target = await net.listen(until_the_end)
        inside = [await net.connect() for _ in range(2)]
        for streams in inside:
            assert await ask(streams) == b"east hello\n"

        outside: list[Streams] = [await net.connect() for _ in range(5)]

        assert all([await gone(reader) for reader, _ in outside])
        assert [await ask(streams) for streams in inside] == [b"east hello\n"] * 2
        assert [record.getMessage() for record in caplog.records] == [
            f"{net.endpoint.address} has 2 connections: more are closed at once"
        ]
        inside[0][1].close()
        while net.endpoint.connections > 1:  # noqa: ASYNC110 - nothing tells that one has left
            await asyncio.sleep(0)
        assert await ask(await net.connect()) == b"east hello\n"
        await net.end()
