from __future__ import annotations

import asyncio
import socket

import pytest

from mockcloud.core.errors import StartupError
from mockcloud.endpoints.proxy import Endpoint
from tests.endpoints.support import Net, ask, gone, naming

pytestmark = [
    pytest.mark.timeout(30),
    # The older way of choosing a loop is the one that all supported versions of the plugin know.
    pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy:DeprecationWarning"),
]


async def test_new_connections_follow_the_target_and_old_ones_stay(net: Net) -> None:
    net.target = await net.listen(naming(b"east"))
    old = await net.connect()
    assert await ask(old) == b"east hello\n"

    net.target = await net.listen(naming(b"west"))
    new = await net.connect()

    assert await ask(new) == b"west hello\n"
    assert await ask(old) == b"east hello\n"
    assert net.endpoint.connections == 2


async def test_connections_to_a_target_that_is_left_are_closed_and_no_others(net: Net) -> None:
    east = net.target = await net.listen(naming(b"east"))
    old = await net.connect()
    assert await ask(old) == b"east hello\n"
    west = net.target = await net.listen(naming(b"west"))
    new = await net.connect()
    assert await ask(new) == b"west hello\n"
    idle = await net.connect()

    net.endpoint.leave(east)

    assert await gone(old[0])
    assert await ask(new) == b"west hello\n"
    assert await ask(idle) == b"west hello\n"
    net.endpoint.leave(west)
    assert await gone(new[0])
    assert await gone(idle[0])


async def test_what_the_client_sends_at_once_arrives_whole(net: Net) -> None:
    sent = bytes(range(256)) * 20_000
    received = asyncio.get_running_loop().create_future()

    async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.set_result(await reader.readexactly(len(sent)))

    net.target = await net.listen(collect)
    _, writer = await net.connect()
    writer.write(sent)

    assert await received == sent


async def test_a_client_that_ends_before_the_target_is_there_still_gets_its_answer(net: Net) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"got " + await reader.read())
        writer.write_eof()

    net.target = await net.listen(answer)
    with socket.socket() as client:
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", net.endpoint.port))
        client.send(b"all")
        client.shutdown(socket.SHUT_WR)
        received = b""
        while piece := await asyncio.get_running_loop().sock_recv(client, 100):
            received += piece

    assert received == b"got all"


async def test_half_close_leaves_the_other_direction_open(net: Net) -> None:
    async def sum_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        everything = await reader.read()
        writer.write(b"%d bytes" % len(everything))
        writer.write_eof()

    net.target = await net.listen(sum_up)
    reader, writer = await net.connect()
    writer.write(b"x" * 100_000)
    writer.write_eof()

    assert await reader.read() == b"100000 bytes"
    while net.endpoint.connections:  # noqa: ASYNC110 - both ends have ended: the pair goes without being told
        await asyncio.sleep(0)


async def test_a_slow_reader_slows_the_writer(net: Net) -> None:
    let_go = asyncio.Event()
    total = 64 * 1024 * 1024
    counted = asyncio.get_running_loop().create_future()

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await let_go.wait()
        count = 0
        while chunk := await reader.read(1 << 20):
            count += len(chunk)
        counted.set_result(count)

    net.target = await net.listen(late)
    _, writer = await net.connect()

    async def flood() -> None:
        for _ in range(total >> 20):
            writer.write(bytes(1 << 20))
            await writer.drain()
        writer.write_eof()

    flooding = asyncio.create_task(flood())
    with pytest.raises(TimeoutError):  # it is kept in nobody's memory
        await asyncio.wait_for(asyncio.shield(flooding), 0.3)
    let_go.set()

    await flooding
    assert await counted == total


async def test_without_target_the_client_is_sent_away_at_once(net: Net) -> None:
    reader, _ = await net.connect()

    assert await gone(reader)


async def test_a_refusing_target_sends_the_client_away_at_once(net: Net) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        net.target = free.getsockname()
    reader, writer = await net.connect()
    writer.write(b"hello\n")

    assert await gone(reader)
    assert net.endpoint.connections == 0


async def test_a_target_that_dies_takes_its_connections_along(net: Net) -> None:
    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.transport.abort()

    net.target = await net.listen(die)
    reader, writer = await net.connect()
    writer.write(b"hello\n")

    assert await gone(reader)


async def test_a_client_that_dies_takes_its_connection_to_the_target_along(net: Net) -> None:
    left = asyncio.Event()

    async def until_gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"here\n")
        await gone(reader)
        left.set()

    net.target = await net.listen(until_gone)
    reader, writer = await net.connect()
    assert await reader.readline() == b"here\n"

    writer.transport.abort()

    await left.wait()


@pytest.mark.parametrize("how", ["close", "kill"])
async def test_an_ended_endpoint_ends_its_connections_and_frees_its_port(net: Net, how: str) -> None:
    net.target = await net.listen(naming(b"east"))
    streams = await net.connect()
    assert await ask(streams) == b"east hello\n"

    if how == "close":
        await net.endpoint.close()
    else:
        net.endpoint.kill()

    assert await gone(streams[0])
    again = Endpoint(lambda: net.target, port=net.endpoint.port)
    assert await again.start() == net.endpoint.port
    await again.close()


async def test_a_taken_port_is_one_clear_line(net: Net) -> None:
    with pytest.raises(StartupError) as failed:
        await Endpoint(lambda: None, port=net.endpoint.port).start()

    assert str(failed.value) == f"port {net.endpoint.port} on 127.0.0.1 is already in use"
