"""Both forms of the Transport port keep the same rules."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import pytest
from temporalio.api.workflowservice.v1.service_pb2 import DESCRIPTOR

from mockcloud.core.errors import (
    DeadlineExceeded,
    Internal,
    NamespaceNotActive,
    Unavailable,
    Unimplemented,
)
from mockcloud.rpc.grpc_transport import GrpcTransport, serve_handlers
from mockcloud.rpc.memory_transport import MemoryPeers
from mockcloud.rpc.methods import Call
from mockcloud.rpc.server import PEER, Server
from mockcloud.rpc.transport import Handlers, Stream, Transport

pytestmark = pytest.mark.timeout(60)

WEST = "aws-us-west-2"
ECHO = "/mockcloud.test.Test/Echo"
FAIL = "/mockcloud.test.Test/Fail"
HANG = "/mockcloud.test.Test/Hang"
TALK = "/mockcloud.test.Test/Talk"
START = "/temporal.api.workflowservice.v1.WorkflowService/StartWorkflowExecution"


@dataclass
class Region:
    """What the peer serves, and what happened to it."""

    handlers: Handlers = field(default_factory=Handlers)
    metadata: list[Mapping[str, str]] = field(default_factory=list)
    timeouts: list[float | None] = field(default_factory=list)
    error: Exception = field(default_factory=lambda: NamespaceNotActive("orders", WEST, "aws-us-east-1"))
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.handlers.unary(ECHO, self.echo)
        self.handlers.unary(FAIL, self.fail)
        self.handlers.unary(HANG, self.hang)
        self.handlers.stream(TALK, self.talk)
        self.handlers.services([DESCRIPTOR.services_by_name["WorkflowService"]], self.dispatch)

    async def echo(self, request: bytes, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        self.metadata.append(metadata)
        self.timeouts.append(timeout)
        return request

    async def fail(self, request: bytes, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        raise self.error

    async def hang(self, request: bytes, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        self.entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()
        return b""

    async def dispatch(self, call: Call) -> bytes:
        return f"{call.method}:".encode() + call.request

    async def talk(self, stream: Stream, metadata: Mapping[str, str]) -> None:
        """Says each message back; "fail" fails, "hang" stops listening."""
        self.metadata.append(metadata)
        try:
            while (message := await stream.receive()) is not None:
                if message == b"fail":
                    raise self.error
                if message == b"hang":
                    self.entered.set()
                    await asyncio.Event().wait()
                await stream.send(b"re: " + message)
        finally:
            self.left.set()


class Net:
    """One region and a way to it, which can be killed and started again."""

    transport: Transport

    def __init__(self) -> None:
        self.region = Region()

    async def kill(self) -> None:
        raise NotImplementedError

    async def start(self) -> None:
        raise NotImplementedError


class MemoryNet(Net):
    def __init__(self) -> None:
        super().__init__()
        self.peers = MemoryPeers()
        self.transport = self.peers.transport()

    async def start(self) -> None:
        self.peers.serve(WEST, self.region.handlers)

    async def kill(self) -> None:
        self.peers.kill(WEST)


class GrpcNet(Net):
    def __init__(self) -> None:
        super().__init__()
        self.server: Server | None = None
        self.transport = GrpcTransport(
            lambda peer: self.server.address if peer == WEST and self.server else None
        )

    async def start(self) -> None:
        self.server = Server([serve_handlers(self.region.handlers)], PEER)
        self.server.bind()
        await self.server.start()

    async def kill(self) -> None:
        server, self.server = self.server, None
        if server is not None:
            await server.kill()


@pytest.fixture(params=[MemoryNet, GrpcNet], ids=["memory", "grpc"])
async def net(request: pytest.FixtureRequest) -> AsyncIterator[Net]:
    net: Net = request.param()
    await net.start()
    yield net
    await net.transport.close()
    await net.kill()


async def test_a_call_carries_bytes_metadata_and_time(net: Net) -> None:
    metadata = {"xdc-redirection-api": "true", "client-name": "temporal-python"}

    assert await net.transport.unary(WEST, ECHO, b"\x00\xff", metadata=metadata, timeout=5) == b"\x00\xff"
    assert await net.transport.unary(WEST, ECHO, b"") == b""

    assert metadata.items() <= net.region.metadata[0].items()
    assert net.region.timeouts[0] is not None
    assert 4 < net.region.timeouts[0] < 5.1  # gRPC sends a deadline, told in units that it rounds
    assert net.region.timeouts[1] is None


async def test_metadata_of_a_received_call_can_be_passed_on(net: Net) -> None:
    received = {
        "user-agent": "tonic",
        "grpc-accept-encoding": "gzip",
        "te": "trailers",
        "client-version": "1",
    }

    await net.transport.unary(WEST, ECHO, b"", metadata=received)

    assert net.region.metadata[0]["client-version"] == "1"


async def test_services_are_forwarded_by_dispatch(net: Net) -> None:
    assert await net.transport.unary(WEST, START, b"x") == b"StartWorkflowExecution:x"


async def test_the_error_of_the_peer_arrives_whole(net: Net) -> None:
    with pytest.raises(NamespaceNotActive) as failed:
        await net.transport.unary(WEST, FAIL, b"")

    assert failed.value.message == str(net.region.error)
    assert failed.value.active_cluster == "aws-us-east-1"


async def test_a_defect_of_the_peer_is_internal(net: Net) -> None:
    net.region.error = TimeoutError("secret")

    with pytest.raises(Internal, match=r"^internal error$"):
        await net.transport.unary(WEST, FAIL, b"")


async def test_unknown_methods_and_services_are_unimplemented(net: Net) -> None:
    with pytest.raises(Unimplemented, match=r"unknown method Fly for service mockcloud\.test\.Test"):
        await net.transport.unary(WEST, "/mockcloud.test.Test/Fly", b"")
    with pytest.raises(Unimplemented, match=r"unknown service some\.Other"):
        await net.transport.unary(WEST, "/some.Other/Fly", b"")


async def test_a_call_ends_at_its_deadline_and_its_handler_too(net: Net) -> None:
    with pytest.raises(DeadlineExceeded, match="context deadline exceeded"):
        await net.transport.unary(WEST, HANG, b"", timeout=0.2)

    await net.region.left.wait()


async def test_a_cancelled_call_cancels_its_handler(net: Net) -> None:
    call = asyncio.create_task(net.transport.unary(WEST, HANG, b""))
    await net.region.entered.wait()

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    await net.region.left.wait()


async def test_an_unknown_peer_is_unavailable(net: Net) -> None:
    with pytest.raises(Unavailable):
        await net.transport.unary("aws-nowhere-1", ECHO, b"")
    with pytest.raises(Unavailable):
        await net.transport.stream("aws-nowhere-1", TALK)


async def test_a_killed_peer_fails_calls_in_flight_and_is_found_again(net: Net) -> None:
    call = asyncio.create_task(net.transport.unary(WEST, HANG, b""))
    await net.region.entered.wait()

    await net.kill()

    with pytest.raises(Unavailable):
        await call
    with pytest.raises(Unavailable):
        await net.transport.unary(WEST, ECHO, b"")
    await net.start()
    assert await net.transport.unary(WEST, ECHO, b"back") == b"back"


async def test_a_stream_talks_both_ways_in_order(net: Net) -> None:
    stream = await net.transport.stream(WEST, TALK, metadata={"namespace": "orders"})
    sent = [f"{number}".encode() for number in range(500)]

    async def send() -> None:
        for message in sent:
            await stream.send(message)

    sending = asyncio.create_task(send())
    received = [await stream.receive() for _ in sent]

    await sending
    assert received == [b"re: " + message for message in sent]
    assert net.region.metadata[0]["namespace"] == "orders"


async def test_a_closed_stream_ends_for_both_after_what_was_sent(net: Net) -> None:
    stream = await net.transport.stream(WEST, TALK)
    await stream.send(b"last")

    await stream.close()

    assert await stream.receive() == b"re: last"
    assert await stream.receive() is None
    assert await stream.receive() is None
    await net.region.left.wait()
    with pytest.raises(Unavailable):
        await stream.send(b"too late")
    await stream.close()


async def test_a_handler_that_does_not_return_after_close_is_cancelled(net: Net) -> None:
    stream = await net.transport.stream(WEST, TALK)
    await stream.send(b"hang")
    await net.region.entered.wait()

    await stream.close()

    assert await stream.receive() is None
    await net.region.left.wait()


async def test_the_error_of_a_stream_reaches_the_caller(net: Net) -> None:
    stream = await net.transport.stream(WEST, TALK)
    await stream.send(b"fail")

    with pytest.raises(NamespaceNotActive):
        await stream.receive()


async def test_a_stream_that_is_not_served_is_unimplemented(net: Net) -> None:
    async def open_and_read() -> None:
        stream = await net.transport.stream(WEST, "/mockcloud.test.Test/Sing")
        await stream.receive()

    with pytest.raises(Unimplemented, match=r"unknown method Sing"):
        await open_and_read()


async def flood(stream: Stream, message: bytes) -> None:
    while True:
        await stream.send(message)


async def test_a_killed_peer_ends_its_streams(net: Net) -> None:
    stream = await net.transport.stream(WEST, TALK)
    await stream.send(b"one")
    assert await stream.receive() == b"re: one"

    await net.kill()

    with pytest.raises(Unavailable):
        await stream.receive()
    with pytest.raises(Unavailable):
        await flood(stream, b"two")  # a message may still fit into a buffer
    await net.region.left.wait()


async def test_a_closed_transport_ends_its_streams_at_the_peer(net: Net) -> None:
    stream = await net.transport.stream(WEST, TALK)
    await stream.send(b"one")
    assert await stream.receive() == b"re: one"

    await net.transport.close()

    await net.region.left.wait()


async def test_a_slow_reader_slows_the_sender(net: Net) -> None:
    stream = await net.transport.stream(WEST, TALK)
    await stream.send(b"hang")
    await net.region.entered.wait()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await flood(stream, bytes(64 * 1024))


def test_a_method_is_served_once() -> None:
    handlers = Region().handlers

    with pytest.raises(ValueError, match="served already"):
        handlers.stream(ECHO, Region().talk)
    with pytest.raises(ValueError, match="full method name"):
        handlers.stream("Echo", Region().talk)
