"""temporalio's CloudOperationsClient, unmodified, against a whole cloud: as README shows it, and under load."""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import grpc
import pytest
from temporalio.api.cloud.cloudservice.v1 import (
    FailoverNamespaceRegionRequest,
    GetAsyncOperationRequest,
    GetNamespaceRequest,
)
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest
from temporalio.client import CloudOperationsClient

from mockcloud import MockCloud
from mockcloud.cloud.facade import Namespace

EAST, WEST = "aws-us-east-1", "aws-us-west-2"
README = (Path(__file__).parents[2] / "README.md").read_text()
SIGNAL = "/temporal.api.workflowservice.v1.WorkflowService/SignalWorkflowExecution"
SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED


@pytest.fixture
async def cloud() -> AsyncIterator[MockCloud]:
    async with MockCloud(namespaces=["default"]) as started:
        yield started


class Signaller:
    """Signals one workflow, one call after the other, without retries; keeps what was acknowledged."""

    def __init__(self, channel: grpc.aio.Channel, workflow_id: str) -> None:
        self._method = channel.unary_unary(SIGNAL, None, None)
        self._run = WorkflowExecution(workflow_id=workflow_id)
        self.acknowledged: list[bytes] = []
        self.stop = False

    async def work(self) -> None:
        while not self.stop:
            data = b"%d" % len(self.acknowledged)
            request = SignalWorkflowExecutionRequest(
                namespace="default",
                workflow_execution=self._run,
                signal_name="number",
                input=Payloads(payloads=[Payload(data=data)]),
            )
            await self._method(request.SerializeToString(), timeout=20)
            self.acknowledged.append(data)


async def signals(namespace: Namespace, workflow_id: str) -> dict[str, list[bytes]]:
    """Inputs of the signals in the current branch of a workflow, by region."""
    found = {}
    for region, runs in (await namespace.history(workflow_id)).items():
        (run,) = runs
        (branch,) = run.branches
        found[region] = [
            event.workflow_execution_signaled_event_attributes.input.payloads[0].data
            for event in branch.events
            if event.event_type == SIGNALED
        ]
    return found


async def fulfilled(client: CloudOperationsClient, operation: AsyncOperation) -> AsyncOperation:
    """Poll an operation, at the pace that it asks for, until it has ended."""
    async with asyncio.timeout(20):
        while not operation.HasField("finished_time"):
            await asyncio.sleep(operation.check_duration.ToTimedelta().total_seconds())
            request = GetAsyncOperationRequest(async_operation_id=operation.id)
            operation = (await client.cloud_service.get_async_operation(request)).async_operation
    return operation


async def test_a_failover_loses_no_acknowledged_signal_and_an_idle_client_sees_no_error(
    cloud: MockCloud,
) -> None:
    namespace = cloud.namespace("default")
    idle = await namespace.client()
    await idle.start_workflow("any", id="w", task_queue="q")
    options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(namespace.endpoint, options=options) as channel:
        signaller = Signaller(channel, "w")
        working = asyncio.create_task(signaller.work())
        client = await CloudOperationsClient.connect(target_host=cloud.cloud_ops, tls=False)

        request = FailoverNamespaceRegionRequest(namespace="default", region=WEST)
        accepted = (await client.cloud_service.failover_namespace_region(request)).async_operation
        operation = await fulfilled(client, accepted)

        before = len(signaller.acknowledged)
        signaller.stop = True
        await working  # none of its calls failed
        assert operation.state == AsyncOperation.STATE_FULFILLED
        assert channel.get_state() is grpc.ChannelConnectivity.READY

    assert 0 < before <= len(signaller.acknowledged)
    asked = GetNamespaceRequest(namespace="default")
    assert (await client.cloud_service.get_namespace(asked)).namespace.active_region == WEST
    # Its connection is as old as the cloud; the call is sent once.
    assert (await idle.get_workflow_handle("w").describe()).id == "w"
    await namespace.replicated()
    assert await signals(namespace, "w") == {EAST: signaller.acknowledged, WEST: signaller.acknowledged}


async def test_the_example_in_readme(cloud: MockCloud) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    (block,) = (block for block in blocks if "CloudOperationsClient" in block)
    source = block.replace("127.0.0.1:7243", cloud.cloud_ops)
    assert source != block
    names: dict[str, Any] = {}

    running = eval(compile(source, "README.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)

    assert isinstance(running, Coroutine)
    async with asyncio.timeout(20):
        await running
    assert names["operation"].state == AsyncOperation.STATE_FULFILLED
    assert (await cloud.status()).namespaces[0].active_region == WEST
