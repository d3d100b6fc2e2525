"""A whole cloud from outside: raw gRPC calls, each sent once, through the endpoints that clients dial."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from temporalio.api.cloud.cloudservice.v1 import GetNamespaceRequest, GetNamespaceResponse
from temporalio.api.cloud.namespace.v1 import Namespace
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution, WorkflowType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeNamespaceResponse,
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RegisterNamespaceRequest,
    RegisterNamespaceResponse,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
    TerminateWorkflowExecutionRequest,
    TerminateWorkflowExecutionResponse,
)

from mockcloud import MockCloud
from mockcloud.cloud.settings import CloudSettings
from mockcloud.core import times
from mockcloud.core.limits import Limits

M = TypeVar("M", bound=Message)

EAST, WEST = "aws-us-east-1", "aws-us-west-2"
WORKFLOW = "temporal.api.workflowservice.v1.WorkflowService"
OPERATOR = "temporal.api.operatorservice.v1.OperatorService"
CLOUD_OPS = "temporal.api.cloud.cloudservice.v1.CloudService"
QUEUE = TaskQueue(name="q")


class Caller:
    """Calls to one address over a connection of its own."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel

    async def ask(
        self,
        request: Message,
        kind: type[M],
        *,
        service: str = WORKFLOW,
        timeout: float = 20,
        here: bool = False,
    ) -> M:
        """The answer; `here`: of the region that is asked, whichever is active."""
        name = f"/{service}/{type(request).__name__.removesuffix('Request')}"
        method = self.channel.unary_unary(name, None, None)
        metadata = (("xdc-redirection", "false"),) if here else ()
        return kind.FromString(await method(request.SerializeToString(), timeout=timeout, metadata=metadata))


@asynccontextmanager
async def dial(address: str) -> AsyncIterator[Caller]:
    options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        yield Caller(channel)


def start(workflow_id: str, namespace: str = "default", size: int = 0) -> StartWorkflowExecutionRequest:
    return StartWorkflowExecutionRequest(
        namespace=namespace,
        workflow_id=workflow_id,
        workflow_type=WorkflowType(name="any"),
        task_queue=QUEUE,
        input=Payloads(payloads=[Payload(data=bytes(size))]),
    )


def poll(queue: TaskQueue = QUEUE) -> PollWorkflowTaskQueueRequest:
    return PollWorkflowTaskQueueRequest(namespace="default", task_queue=queue)


def describe_namespace(name: str = "default") -> DescribeNamespaceRequest:
    return DescribeNamespaceRequest(namespace=name)


def describe(workflow_id: str, namespace: str = "default") -> DescribeWorkflowExecutionRequest:
    return DescribeWorkflowExecutionRequest(
        namespace=namespace, execution=WorkflowExecution(workflow_id=workflow_id)
    )


async def polled(cloud: MockCloud, region: str, count: int) -> None:
    """Return once `count` polls wait in the region: nothing outside of it could wake us."""
    matching = cloud.cloud.node(region).region.matching
    async with asyncio.timeout(10):
        while sum(map(len, matching._polls.values())) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_connections_age_behind_the_namespace_endpoint_and_no_call_fails() -> None:
    settings = CloudSettings(connection_age=0.3, connection_grace=10.0)
    clients = set()  # of the region, as their connections arrive there
    async with (
        MockCloud(namespaces=["default"], settings=settings) as cloud,
        dial(cloud.namespace("default").endpoint) as caller,
    ):
        await caller.ask(start("w"), StartWorkflowExecutionResponse)
        empty = caller.ask(poll(TaskQueue(name="none")), PollWorkflowTaskQueueResponse, timeout=2.5)
        waiting = asyncio.create_task(empty)
        endpoint = cloud.cloud.endpoints._endpoints["default"]
        # An SDK client: grpc may refuse a call that crosses a GOAWAY on the wire, which the SDK sends again.
        handle = (await cloud.namespace("default").client()).get_workflow_handle("w")
        while not waiting.done():  # five ages long; each call goes over the network
            assert (await handle.describe()).id == "w"
            clients |= endpoint._connections
        assert await waiting == PollWorkflowTaskQueueResponse()
    assert len(clients) > 2


@pytest.mark.parametrize("at", ["namespace", EAST, WEST, "cloud ops"])
async def test_health_of_every_endpoint_by_its_services(mockcloud: MockCloud, at: str) -> None:
    address = {
        "namespace": mockcloud.namespace("default").endpoint,
        EAST: mockcloud.region(EAST).address,
        WEST: mockcloud.region(WEST).address,
        "cloud ops": mockcloud.cloud_ops,
    }[at]
    async with dial(address) as caller:
        check = caller.channel.unary_unary("/grpc.health.v1.Health/Check", None, None)
        for service in ["", *([CLOUD_OPS] if at == "cloud ops" else [WORKFLOW, OPERATOR])]:
            raw = await check(HealthCheckRequest(service=service).SerializeToString())
            assert HealthCheckResponse.FromString(raw).status == HealthCheckResponse.SERVING


@pytest.mark.parametrize("region", [EAST, WEST])
async def test_a_message_over_four_megabytes(mockcloud: MockCloud, region: str) -> None:
    request = start("w", size=5 * 1024 * 1024)
    async with dial(mockcloud.region(region).address) as caller:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await caller.ask(request, StartWorkflowExecutionResponse)

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    size = request.ByteSize()
    assert caught.value.details() == f"grpc: received message larger than max ({size} vs. 4194304)"


@pytest.mark.parametrize("region", [None, WEST], ids=["namespace endpoint", "passive region"])
async def test_a_poll_whose_client_has_gone_swallows_no_task(
    mockcloud: MockCloud, region: str | None
) -> None:
    endpoint = mockcloud.namespace("default").endpoint
    async with dial(endpoint) as caller:
        async with dial(mockcloud.region(region).address if region else endpoint) as vanishing:
            gone = asyncio.create_task(vanishing.ask(poll(), PollWorkflowTaskQueueResponse))
            await polled(mockcloud, EAST, 1)
        await asyncio.gather(gone, return_exceptions=True)
        await polled(mockcloud, EAST, 0)

        await caller.ask(start("w"), StartWorkflowExecutionResponse)
        task = await caller.ask(poll(), PollWorkflowTaskQueueResponse, timeout=5)

    assert (task.workflow_execution.workflow_id, task.attempt) == ("w", 1)


async def test_a_passive_region_killed_under_a_forwarded_poll_swallows_no_task(mockcloud: MockCloud) -> None:
    async with dial(mockcloud.namespace("default").endpoint) as caller:
        async with dial(mockcloud.region(WEST).address) as passive:
            gone = asyncio.create_task(passive.ask(poll(), PollWorkflowTaskQueueResponse))
            await polled(mockcloud, EAST, 1)
            await mockcloud.region(WEST).kill()
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await gone
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            await polled(mockcloud, EAST, 0)

            await caller.ask(start("w"), StartWorkflowExecutionResponse)
            task = await caller.ask(poll(), PollWorkflowTaskQueueResponse, timeout=5)
            assert (task.workflow_execution.workflow_id, task.attempt) == ("w", 1)

        await mockcloud.region(WEST).start()
        async with dial(mockcloud.region(WEST).address) as passive:
            again = asyncio.create_task(passive.ask(poll(), PollWorkflowTaskQueueResponse))
            await polled(mockcloud, EAST, 1)
            await caller.ask(start("w2"), StartWorkflowExecutionResponse)
            assert (await again).workflow_execution.workflow_id == "w2"


async def test_a_namespace_registered_at_a_region_gets_an_endpoint(mockcloud: MockCloud) -> None:
    day = Duration(seconds=86_400)
    request = RegisterNamespaceRequest(namespace="orders", workflow_execution_retention_period=day)
    async with dial(mockcloud.region(WEST).address) as west, dial(mockcloud.cloud_ops) as ops:
        await west.ask(request, RegisterNamespaceResponse)

        told = await shown(ops, "orders")

        assert (told.active_region, list(told.spec.regions)) == (WEST, [EAST, WEST])
        async with dial(told.endpoints.grpc_address) as orders, dial(mockcloud.region(EAST).address) as east:
            await orders.ask(start("w", "orders"), StartWorkflowExecutionResponse)
            await mockcloud.namespace("orders").replicated()
            there = await east.ask(describe("w", "orders"), DescribeWorkflowExecutionResponse, here=True)
            assert there.workflow_execution_info.execution.workflow_id == "w"
            record = await east.ask(DescribeNamespaceRequest(namespace="orders"), DescribeNamespaceResponse)
            assert (record.is_global_namespace, record.failover_version) == (True, 2)
    endpoints = {namespace.name: namespace.endpoint for namespace in (await mockcloud.status()).namespaces}
    assert endpoints["orders"] == told.endpoints.grpc_address


async def shown(ops: Caller, namespace: str) -> Namespace:
    """GetNamespace's answer once the control plane has learnt of the namespace."""
    async with asyncio.timeout(10):
        while True:
            try:
                request = GetNamespaceRequest(namespace=namespace)
                answer = await ops.ask(request, GetNamespaceResponse, service=CLOUD_OPS)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise
                continue
            if answer.namespace.endpoints.grpc_address:
                return answer.namespace


async def test_each_region_deletes_closed_runs_after_their_retention() -> None:
    settings = CloudSettings(limits=Limits(minimum_retention=times.SECOND))
    async with MockCloud(settings=settings) as cloud:
        short = RegisterNamespaceRequest(
            namespace="short", workflow_execution_retention_period=Duration(seconds=1)
        )
        async with dial(cloud.region(EAST).address) as east, dial(cloud.region(WEST).address) as west:
            await east.ask(short, RegisterNamespaceResponse)
            await east.ask(start("w", "short"), StartWorkflowExecutionResponse)
            run = WorkflowExecution(workflow_id="w")
            terminate = TerminateWorkflowExecutionRequest(namespace="short", workflow_execution=run)
            await east.ask(terminate, TerminateWorkflowExecutionResponse)
            await cloud.namespace("short").replicated()

            for region in (east, west):
                assert await _deleted(region)


async def _deleted(region: Caller) -> bool:
    """True once the region itself no longer knows the run, which is closed until then."""
    async with asyncio.timeout(10):
        while True:
            try:
                found = await region.ask(describe("w", "short"), DescribeWorkflowExecutionResponse, here=True)
            except grpc.aio.AioRpcError as error:
                return error.code() is grpc.StatusCode.NOT_FOUND
            assert found.workflow_execution_info.HasField("close_time")
