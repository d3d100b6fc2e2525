from __future__ import annotations

import grpc
import pytest
from grpc_health.v1.health_pb2 import (
    HealthCheckRequest,
    HealthCheckResponse,
    HealthListRequest,
)
from grpc_health.v1.health_pb2_grpc import HealthStub
from temporalio.api.operatorservice.v1.service_pb2 import DESCRIPTOR as OPERATOR
from temporalio.api.workflowservice.v1.service_pb2 import DESCRIPTOR as WORKFLOW

from mockcloud.rpc.health import Health
from mockcloud.rpc.methods import Call, serve_services
from mockcloud.rpc.server import Server
from tests.rpc.conftest import Connect, Serve

SERVICES = (WORKFLOW.services_by_name["WorkflowService"], OPERATOR.services_by_name["OperatorService"])
NAMES = [service.full_name for service in SERVICES]


async def echo(call: Call) -> bytes:
    return call.request


async def serve_with(health: Health, serve: Serve) -> Server:
    return await serve([health.methods(), serve_services(SERVICES, echo)])


@pytest.mark.parametrize("name", ["", *NAMES])
async def test_the_server_and_its_services_are_serving(serve: Serve, connect: Connect, name: str) -> None:
    stub = HealthStub(connect((await serve_with(Health(NAMES), serve)).address))

    assert (await stub.Check(HealthCheckRequest(service=name))).status == HealthCheckResponse.SERVING


async def test_an_unknown_service_is_not_found(serve: Serve, connect: Connect) -> None:
    stub = HealthStub(connect((await serve_with(Health(NAMES), serve)).address))

    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await stub.Check(HealthCheckRequest(service="other"))

    assert (failed.value.code(), failed.value.details()) == (grpc.StatusCode.NOT_FOUND, "unknown service")
    assert not failed.value.trailing_metadata()


async def test_list_names_them_all(serve: Serve, connect: Connect) -> None:
    stub = HealthStub(connect((await serve_with(Health(NAMES), serve)).address))

    statuses = (await stub.List(HealthListRequest())).statuses

    assert {name: status.status for name, status in statuses.items()} == dict.fromkeys(
        ["", *NAMES], HealthCheckResponse.SERVING
    )


async def test_watchers_hear_of_a_shut_down(serve: Serve, connect: Connect) -> None:
    health = Health(NAMES)
    stub = HealthStub(connect((await serve_with(health, serve)).address))
    known = stub.Watch(HealthCheckRequest(service=NAMES[0]), timeout=20)
    unknown = stub.Watch(HealthCheckRequest(service="other"), timeout=20)

    assert (await known.read()).status == HealthCheckResponse.SERVING
    assert (await unknown.read()).status == HealthCheckResponse.SERVICE_UNKNOWN
    health.shut_down()

    assert (await known.read()).status == HealthCheckResponse.NOT_SERVING
    assert (await stub.Check(HealthCheckRequest())).status == HealthCheckResponse.NOT_SERVING
    unknown.cancel()


async def test_garbage_and_unknown_methods_get_a_status(serve: Serve, connect: Connect) -> None:
    channel = connect((await serve_with(Health(NAMES), serve)).address)

    with pytest.raises(grpc.aio.AioRpcError, match="error unmarshalling request"):
        await channel.unary_unary("/grpc.health.v1.Health/Check", None, None)(b"\xff")
    with pytest.raises(
        grpc.aio.AioRpcError, match=r"unknown method Cure for service grpc\.health\.v1\.Health"
    ):
        await channel.unary_unary("/grpc.health.v1.Health/Cure", None, None)(b"")
