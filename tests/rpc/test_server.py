from __future__ import annotations

import asyncio
import socket
import struct

import grpc
import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.api.workflowservice.v1.service_pb2 import DESCRIPTOR
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from mockcloud.core import times
from mockcloud.core.errors import StartupError
from mockcloud.rpc.methods import Call, NamedMethods, serve_services
from mockcloud.rpc.server import PEER, PUBLIC, Server, ServerOptions
from tests.rpc.conftest import Connect, Serve

SERVICE = DESCRIPTOR.services_by_name["WorkflowService"]
SYSTEM_INFO = f"/{SERVICE.full_name}/GetSystemInfo"
POLL = f"/{SERVICE.full_name}/PollWorkflowTaskQueue"
PING, GOAWAY, SETTINGS, ACK = 6, 7, 4, 1


async def peer_of(call: Call) -> bytes:
    return call.peer.encode()


class Waiting:
    """Serves polls that wait until they are let go; other calls answer with their client's address."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.let_go = asyncio.Event()

    def methods(self) -> NamedMethods:
        return serve_services([SERVICE], self.dispatch)

    async def dispatch(self, call: Call) -> bytes:
        if call.method == "PollWorkflowTaskQueue":
            self.entered.set()
            await self.let_go.wait()
        return call.peer.encode()


def test_a_taken_port_is_one_clear_line() -> None:
    async def scenario() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(StartupError) as failed:
                Server([]).bind(port=port)
        assert str(failed.value) == f"port {port} on 127.0.0.1 is already in use"

    asyncio.run(scenario())


async def test_a_port_of_another_server_is_not_shared(serve: Serve) -> None:
    server = await serve([])

    with pytest.raises(StartupError, match="already in use"):
        Server([]).bind(port=server.port)


async def test_an_address_that_is_not_ours_is_one_clear_line() -> None:
    with pytest.raises(StartupError, match=r"cannot listen on 192\.0\.2\.1:7233: "):
        Server([]).bind("192.0.2.1", 7233)


async def test_a_killed_server_fails_calls_in_flight_and_frees_its_port(
    serve: Serve, connect: Connect
) -> None:
    waiting = Waiting()
    server = await serve([waiting.methods()])
    channel = connect(server.address, grpc__initial_reconnect_backoff_ms=50)
    call = channel.unary_unary(POLL, None, None)(b"")
    await waiting.entered.wait()

    await server.kill()

    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
    again = await serve([serve_services([SERVICE], peer_of)], port=server.port)
    assert again.port == server.port
    assert await channel.unary_unary(SYSTEM_INFO, None, None)(b"", wait_for_ready=True, timeout=10)


async def test_a_killed_server_says_nothing_more(serve: Serve) -> None:
    """SDKs repeat a call whose connection broke; one that the server reset with CANCEL they give up."""
    answered = 0
    busy = asyncio.Event()

    async def dispatch(_call: Call) -> bytes:
        nonlocal answered
        answered += 1
        if answered == 50:
            busy.set()
        return b""

    server = await serve([serve_services([SERVICE], dispatch)])
    client = await Client.connect(server.address)

    async def lane() -> RPCStatusCode | None:
        try:
            while True:
                await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="n"))
        except RPCError as error:
            # So the client's own library ends a call that it had not sent yet when the connection broke.
            return None if error.message == "operation was canceled" else error.status

    lanes = [asyncio.create_task(lane()) for _ in range(8)]
    await busy.wait()

    await server.kill()

    assert set(await asyncio.gather(*lanes)) <= {None, RPCStatusCode.UNKNOWN, RPCStatusCode.UNAVAILABLE}


async def test_a_killed_server_leaves_other_connections_alone(serve: Serve, connect: Connect) -> None:
    killed, other = await serve([]), await serve([serve_services([SERVICE], peer_of)])
    method = connect(other.address).unary_unary(SYSTEM_INFO, None, None)
    before = await method(b"")

    await killed.kill()

    assert await method(b"") == before, "the same connection serves on"


async def test_a_stopped_server_lets_calls_in_flight_finish(serve: Serve, connect: Connect) -> None:
    waiting = Waiting()
    server = await serve([waiting.methods()])
    call = connect(server.address).unary_unary(POLL, None, None)(b"")
    await waiting.entered.wait()

    stopping = asyncio.create_task(server.stop(10))
    waiting.let_go.set()

    assert await call
    await stopping


async def test_an_aged_connection_is_replaced_without_failing_a_call(serve: Serve, connect: Connect) -> None:
    waiting = Waiting()
    options = ServerOptions(connection_age=200 * times.MILLISECOND, connection_age_grace=20 * times.SECOND)
    server = await serve([waiting.methods()], options)
    channel = connect(server.address)
    poll = channel.unary_unary(POLL, None, None)(b"")
    await waiting.entered.wait()

    method = channel.unary_unary(SYSTEM_INFO, None, None)
    first = await method(b"")
    async with asyncio.timeout(20):
        while await method(b"") == first:  # each call goes over the network: this does not spin
            pass

    waiting.let_go.set()
    assert await poll == first  # over the old connection, after its end was announced


async def test_a_peer_connection_does_not_age() -> None:
    arguments = dict(PEER.channel_arguments())

    assert "grpc.max_connection_age_ms" not in arguments


async def test_the_public_server_ages_connections_as_the_real_frontend_does() -> None:
    arguments = dict(PUBLIC.channel_arguments())

    assert arguments["grpc.max_connection_age_ms"] == 300_000
    assert arguments["grpc.max_connection_age_grace_ms"] == 70_000
    assert arguments["grpc.http2.min_ping_interval_without_data_ms"] <= 10_000
    assert arguments["grpc.so_reuseport"] == 0


class Http2:
    """As much of an HTTP/2 client as it takes to ping."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, server: Server) -> Http2:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        client = cls(reader, writer)
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        client.write(SETTINGS, b"")
        return client

    def write(self, kind: int, payload: bytes) -> None:
        self.writer.write(struct.pack(">I", len(payload))[1:] + bytes([kind, 0, 0, 0, 0, 0]) + payload)

    async def ping(self) -> bytes | None:
        """None when it was answered, the reason when the server sent the client away."""
        self.write(PING, b"12345678")
        while True:
            header = await self.reader.readexactly(9)
            payload = await self.reader.readexactly(int.from_bytes(header[:3], "big"))
            if header[3] == GOAWAY:
                return payload[8:]
            if header[3] == PING and header[4] & ACK:
                return None


async def test_an_idle_client_may_ping_at_the_permitted_pace(serve: Serve) -> None:
    interval = 100 * times.MILLISECOND
    server = await serve([], ServerOptions(ping_interval=interval, connection_age=None))
    client = await Http2.connect(server)

    for _ in range(6):
        assert await client.ping() is None
        await asyncio.sleep(interval / times.SECOND)  # the pace itself is what is tested

    client.writer.close()


async def test_an_idle_client_that_pings_much_faster_is_sent_away(serve: Serve) -> None:
    server = await serve([], ServerOptions(ping_interval=100 * times.SECOND, connection_age=None))
    client = await Http2.connect(server)

    answers = [await client.ping()]
    while answers[-1] is None and len(answers) < 10:
        answers.append(await client.ping())

    assert answers[-1] == b"too_many_pings"
    client.writer.close()
