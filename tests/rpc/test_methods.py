from __future__ import annotations

import asyncio
import logging

import grpc
import pytest
from google.protobuf.message import Message
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.api.operatorservice.v1.service_pb2 import DESCRIPTOR as OPERATOR
from temporalio.api.workflowservice.v1 import (
    GetSystemInfoRequest,
    GetSystemInfoResponse,
    StartWorkflowExecutionRequest,
)
from temporalio.api.workflowservice.v1.service_pb2 import DESCRIPTOR as WORKFLOW

from mockcloud.core.errors import Internal, NamespaceNotFound, Unimplemented
from mockcloud.rpc.errors import from_rpc_error
from mockcloud.rpc.methods import Call, full_name, parse, serve_services
from tests.rpc.conftest import Connect, Serve

WORKFLOW_SERVICE = WORKFLOW.services_by_name["WorkflowService"]
OPERATOR_SERVICE = OPERATOR.services_by_name["OperatorService"]
SERVICES = (WORKFLOW_SERVICE, OPERATOR_SERVICE)
SYSTEM_INFO = "/temporal.api.workflowservice.v1.WorkflowService/GetSystemInfo"


async def echo(call: Call) -> bytes:
    return call.request


async def failure(channel: grpc.aio.Channel, method: str, request: bytes = b"") -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await channel.unary_unary(method, None, None)(request, timeout=10)
    return failed.value


async def test_every_method_of_the_services_reaches_dispatch_by_its_full_name(
    serve: Serve, connect: Connect
) -> None:
    async def name_of(call: Call) -> bytes:
        return f"{call.service} {call.method} {call.full_name}".encode()

    server = await serve([serve_services(SERVICES, name_of)])
    channel = connect(server.address)

    methods = [method for service in SERVICES for method in service.methods]
    answers = await asyncio.gather(
        *(channel.unary_unary(full_name(method), None, None)(b"", timeout=10) for method in methods)
    )

    assert len(methods) > 80
    assert answers == [
        f"{m.containing_service.full_name} {m.name} /{m.containing_service.full_name}/{m.name}".encode()
        for m in methods
    ]


async def test_a_call_carries_request_metadata_deadline_and_peer(serve: Serve, connect: Connect) -> None:
    seen: list[Call] = []

    async def remember(call: Call) -> bytes:
        seen.append(call)
        return b""

    server = await serve([serve_services(SERVICES, remember)])
    method = connect(server.address).unary_unary(SYSTEM_INFO, None, None)
    await method(b"one", timeout=5, metadata=(("xdc-redirection", "false"), ("trace-bin", b"\x00")))
    await method(b"two")

    first, second = seen
    assert first.request == b"one"
    assert first.metadata["xdc-redirection"] == "false"
    assert "trace-bin" not in first.metadata
    assert first.timeout is not None
    assert 0 < first.timeout < 5.1  # the library rounds up what it sends
    assert first.peer.startswith("ipv4:127.0.0.1:")
    assert second.timeout is None


@pytest.mark.parametrize(
    ("method", "text"),
    [
        (
            "/temporal.api.workflowservice.v1.WorkflowService/Fly",
            "unknown method Fly for service temporal.api.workflowservice.v1.WorkflowService",
        ),
        ("/some.Service/Fly", "unknown service some.Service"),
    ],
)
async def test_what_is_not_there_is_refused_in_the_words_of_grpc_go(
    serve: Serve, connect: Connect, method: str, text: str
) -> None:
    server = await serve([serve_services(SERVICES, echo)])

    error = await failure(connect(server.address), method)

    assert (error.code(), error.details()) == (grpc.StatusCode.UNIMPLEMENTED, text)


async def test_a_service_error_arrives_with_its_details(serve: Serve, connect: Connect) -> None:
    async def refuse(call: Call) -> bytes:
        raise NamespaceNotFound("nowhere")

    server = await serve([serve_services(SERVICES, refuse)])

    error = await failure(connect(server.address), SYSTEM_INFO)

    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error.details() == "Namespace nowhere is not found."
    revived = from_rpc_error(error)
    assert isinstance(revived, NamespaceNotFound)
    assert revived.detail == NamespaceNotFoundFailure(namespace="nowhere")


async def test_a_defect_is_internal_and_tells_nothing(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    async def break_down(call: Call) -> bytes:
        raise ZeroDivisionError("secret")

    server = await serve([serve_services(SERVICES, break_down)])

    error = await failure(connect(server.address), SYSTEM_INFO)

    assert error.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(error.details())
    assert [record.name for record in caplog.records if record.levelno >= logging.ERROR] == ["mockcloud.rpc"]


async def test_a_cancelled_wait_inside_is_not_a_silent_hang(serve: Serve, connect: Connect) -> None:
    async def cancelled(call: Call) -> bytes:
        raise asyncio.CancelledError

    server = await serve([serve_services(SERVICES, cancelled)])

    assert (await failure(connect(server.address), SYSTEM_INFO)).code() is grpc.StatusCode.UNAVAILABLE


async def test_a_client_that_vanishes_cancels_its_dispatch(serve: Serve, connect: Connect) -> None:
    entered, left = asyncio.Event(), asyncio.Event()

    async def hang(call: Call) -> bytes:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return b""

    server = await serve([serve_services(SERVICES, hang)])
    call = connect(server.address).unary_unary(SYSTEM_INFO, None, None)(b"")
    await entered.wait()

    call.cancel()

    async with asyncio.timeout(10):
        await left.wait()


@pytest.mark.parametrize("excess", [1, 64 * 1024 * 1024])  # the library has no limit of its own
async def test_the_real_limit_is_checked_on_the_request(serve: Serve, connect: Connect, excess: int) -> None:
    limit = 4 * 1024 * 1024
    server = await serve([serve_services(SERVICES, echo, message_bytes=limit)])
    channel = connect(server.address, grpc__max_receive_message_length=-1)

    error = await failure(channel, SYSTEM_INFO, bytes(limit + excess))

    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.details() == f"grpc: received message larger than max ({limit + excess} vs. 4194304)"
    assert len(await channel.unary_unary(SYSTEM_INFO, None, None)(bytes(limit))) == limit


async def test_compressed_requests_are_understood(serve: Serve, connect: Connect) -> None:
    server = await serve([serve_services(SERVICES, echo)])
    method = connect(server.address).unary_unary(SYSTEM_INFO, None, None)

    assert await method(b"a" * 100_000, compression=grpc.Compression.Gzip) == b"a" * 100_000


def test_parse_says_what_grpc_go_says_of_garbage() -> None:
    message: Message = parse(GetSystemInfoResponse, b"")
    assert message == GetSystemInfoResponse()
    assert parse(GetSystemInfoRequest, b"") == GetSystemInfoRequest()
    prefix = "grpc: error unmarshalling request: "
    with pytest.raises(Internal, match=f"{prefix}proto: cannot parse invalid wire-format data"):
        parse(StartWorkflowExecutionRequest, b"\xff\xff")
    with pytest.raises(Internal, match=f"{prefix}string field contains invalid UTF-8"):
        parse(StartWorkflowExecutionRequest, b"\x12\x02\xff\xfe")


async def test_unimplemented_by_name_passes_through(serve: Serve, connect: Connect) -> None:
    async def refuse(call: Call) -> bytes:
        raise Unimplemented(f"{call.method} is not served")

    server = await serve([serve_services(SERVICES, refuse)])

    error = await failure(connect(server.address), SYSTEM_INFO)

    assert (error.code(), error.details()) == (
        grpc.StatusCode.UNIMPLEMENTED,
        "GetSystemInfo is not served",
    )
