"""Batch operations over gRPC, with an unmodified SDK client and worker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty
from temporalio import workflow
from temporalio.api.batch.v1 import (
    BatchOperationCancelActivities,
    BatchOperationCancellation,
    BatchOperationDeletion,
    BatchOperationReset,
    BatchOperationSignal,
    BatchOperationTermination,
    BatchOperationUnpauseActivities,
    BatchOperationUpdateWorkflowExecutionOptions,
)
from temporalio.api.common.v1 import ResetOptions, WorkflowExecution
from temporalio.api.enums.v1 import BatchOperationState, BatchOperationType
from temporalio.api.workflowservice.v1 import (
    DescribeBatchOperationRequest,
    DescribeBatchOperationResponse,
    ListBatchOperationsRequest,
    StartBatchOperationRequest,
    StopBatchOperationRequest,
)
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import CancelledError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.support import Site, grpc_address

QUEUE = "queue"
COMPLETED = BatchOperationState.BATCH_OPERATION_STATE_COMPLETED
FAILED = BatchOperationState.BATCH_OPERATION_STATE_FAILED
RUNNING = BatchOperationState.BATCH_OPERATION_STATE_RUNNING


@workflow.defn
class Waiting:
    """Waits for a signal, or to be ended."""

    def __init__(self) -> None:
        self._letters = 0

    @workflow.run
    async def run(self) -> int:
        await workflow.wait_condition(lambda: self._letters > 0)
        return self._letters

    @workflow.signal
    def deliver(self) -> None:
        self._letters += 1


@pytest.fixture
async def client(site: Site) -> AsyncIterator[Client]:
    async with grpc_address(site) as address:
        yield await Client.connect(address)


@pytest.fixture
async def worker(client: Client) -> AsyncIterator[Worker]:
    async with Worker(
        client, task_queue=QUEUE, workflows=[Waiting], workflow_runner=UnsandboxedWorkflowRunner()
    ) as worker:
        yield worker


async def start(client: Client, *workflow_ids: str) -> None:
    for workflow_id in workflow_ids:
        await client.start_workflow(Waiting.run, id=workflow_id, task_queue=QUEUE)


async def batch(client: Client, job_id: str, query: str = "WorkflowType = 'Waiting'", **fields: Any) -> None:
    request = StartBatchOperationRequest(namespace="default", job_id=job_id, reason="because", **fields)
    if not request.executions:
        request.visibility_query = query
    await client.workflow_service.start_batch_operation(request)


async def described(client: Client, job_id: str) -> DescribeBatchOperationResponse:
    return await client.workflow_service.describe_batch_operation(
        DescribeBatchOperationRequest(namespace="default", job_id=job_id)
    )


async def ended(client: Client, job_id: str) -> DescribeBatchOperationResponse:
    """The batch, once it is over."""
    async with asyncio.timeout(20):
        with contextlib.suppress(WorkflowFailureError):
            await client.get_workflow_handle(job_id).result()
    return await described(client, job_id)


async def statuses(client: Client, *workflow_ids: str) -> list[WorkflowExecutionStatus | None]:
    return [(await client.get_workflow_handle(each).describe()).status for each in workflow_ids]


async def test_a_batch_terminates_what_its_query_finds(client: Client) -> None:
    # Given three workflows, when those of one id prefix are terminated.
    await start(client, "order-1", "order-2", "other")
    operation = BatchOperationTermination(identity="me")
    await batch(client, "job", "WorkflowId STARTS_WITH 'order'", termination_operation=operation)

    # Then these are, and the batch tells so.
    found = await ended(client, "job")
    assert (found.state, found.operation_type) == (
        COMPLETED,
        BatchOperationType.BATCH_OPERATION_TYPE_TERMINATE,
    )
    assert (found.identity, found.reason, found.job_id) == ("me", "because", "job")
    assert (found.total_operation_count, found.complete_operation_count) == (2, 2)
    assert found.failure_operation_count == 0
    assert found.HasField("start_time")
    assert found.HasField("close_time")
    terminated, running = WorkflowExecutionStatus.TERMINATED, WorkflowExecutionStatus.RUNNING
    assert await statuses(client, "order-1", "order-2", "other") == [terminated, terminated, running]
    history = await client.get_workflow_handle("order-1").fetch_history()
    last = history.events[-1].workflow_execution_terminated_event_attributes
    assert (last.reason, last.identity) == ("because", "me")
    # And it is in no ordinary list, but in that of batches.
    assert "job" not in [info.id async for info in client.list_workflows("")]
    listed = await client.workflow_service.list_batch_operations(
        ListBatchOperationsRequest(namespace="default")
    )
    assert [(info.job_id, info.state) for info in listed.operation_info] == [("job", COMPLETED)]


async def test_signal_cancel_and_delete(client: Client, worker: Worker) -> None:
    await start(client, "a", "b", "c")
    await batch(client, "s", "WorkflowId = 'a'", signal_operation=BatchOperationSignal(signal="deliver"))
    assert (await ended(client, "s")).complete_operation_count == 1
    assert await client.get_workflow_handle("a").result() == 1

    await batch(client, "c1", "WorkflowId = 'b'", cancellation_operation=BatchOperationCancellation())
    assert (await ended(client, "c1")).complete_operation_count == 1
    with pytest.raises(WorkflowFailureError) as caught:
        await client.get_workflow_handle("b").result()
    assert isinstance(caught.value.cause, CancelledError)

    await batch(client, "d", "WorkflowId IN ('a', 'c')", deletion_operation=BatchOperationDeletion())
    assert (await ended(client, "d")).complete_operation_count == 2
    await _until_empty(client, "WorkflowId IN ('a', 'c')")


async def _until_empty(client: Client, query: str) -> None:
    async with asyncio.timeout(10):
        while [info async for info in client.list_workflows(query)]:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_named_executions_and_what_fails(client: Client) -> None:
    # Given a workflow that is there and one that is not, and an operation that the first refuses.
    await start(client, "a")
    executions = [WorkflowExecution(workflow_id="a"), WorkflowExecution(workflow_id="nobody")]
    operation = BatchOperationReset(options=ResetOptions(workflow_task_id=77))
    await batch(client, "r", executions=executions, reset_operation=operation)

    # Then one failed, and the other, which is gone, counts as done.
    found = await ended(client, "r")
    assert (found.state, found.total_operation_count) == (COMPLETED, 2)
    assert (found.failure_operation_count, found.complete_operation_count) == (1, 1)


async def test_closed_workflows_are_reset(client: Client, worker: Worker) -> None:
    await start(client, "a")
    handle: WorkflowHandle[Any, Any] = client.get_workflow_handle("a")
    await handle.signal(Waiting.deliver)
    assert await handle.result() == 1
    first = (await handle.describe()).run_id

    operation = BatchOperationReset(options=ResetOptions(first_workflow_task=Empty()))
    await batch(client, "r", "WorkflowId = 'a'", reset_operation=operation)
    assert (await ended(client, "r")).complete_operation_count == 1

    assert (await handle.describe()).run_id != first
    assert await handle.result() == 1  # the signal was reapplied


async def test_a_batch_is_stopped(client: Client, site: Site) -> None:
    # Given a batch that has more to do than it may do in a second.
    executions = [WorkflowExecution(workflow_id=f"w{number}") for number in range(500)]
    await batch(client, "long", executions=executions, termination_operation=BatchOperationTermination())
    found = await described(client, "long")
    assert found.state == RUNNING

    # When it is stopped, then it has failed, and another may start.
    with pytest.raises(RPCError, match="Max concurrent batch operations is reached") as caught:
        await batch(client, "next", termination_operation=BatchOperationTermination())
    assert caught.value.status == RPCStatusCode.RESOURCE_EXHAUSTED
    await client.workflow_service.stop_batch_operation(
        StopBatchOperationRequest(namespace="default", job_id="long", reason="enough", identity="me")
    )
    assert (await described(client, "long")).state == FAILED
    await batch(client, "next", termination_operation=BatchOperationTermination())
    assert (await ended(client, "next")).state == COMPLETED


async def test_a_query_of_unknown_attributes_fails_the_batch(client: Client) -> None:
    await batch(client, "job", "Nobody = 'x'", termination_operation=BatchOperationTermination())
    found = await ended(client, "job")
    assert found.state == FAILED
    history = await client.get_workflow_handle("job").fetch_history()
    failure = history.events[-1].workflow_execution_failed_event_attributes.failure
    assert "column name 'Nobody' is not a valid search attribute" in failure.message


TERMINATE: dict[str, Any] = {"termination_operation": BatchOperationTermination()}
QUERY: dict[str, Any] = {"visibility_query": "WorkflowId = 'x'"}
RUNS: dict[str, Any] = {"executions": [WorkflowExecution(workflow_id="w")]}
REQUIRED = "must provide required parameters: BatchType/Reason/Namespace/Query/Executions"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, REQUIRED),
        ({"reason": "r", **QUERY}, REQUIRED),
        ({"reason": "r", **TERMINATE}, REQUIRED),
        ({**QUERY, **TERMINATE}, REQUIRED),
        (  # that came to the API later than the real server
            {"reason": "r", **QUERY, "cancel_activities_operation": BatchOperationCancelActivities()},
            REQUIRED,
        ),
        ({"reason": "r", "job_id": "", **QUERY, **TERMINATE}, "JobId is not set on request."),
        (
            {"reason": "r", **QUERY, **RUNS, **TERMINATE},
            "batch query and executions are mutually exclusive",
        ),
        (
            {"reason": "r", "visibility_query": "Workflow Id = 'x'", **TERMINATE},
            "invalid visibility query: syntax error at position 38 near 'Id'",
        ),
        ({"reason": "r", **QUERY, "signal_operation": BatchOperationSignal()}, "must provide signal name"),
        (
            {"reason": "r", **QUERY, "reset_operation": BatchOperationReset()},
            "unknown batch reset type Unspecified",
        ),
        (
            {"reason": "r", **QUERY, "reset_operation": BatchOperationReset(options=ResetOptions())},
            "batch reset missing target",
        ),
        (
            {
                "reason": "r",
                **QUERY,
                "update_workflow_options_operation": BatchOperationUpdateWorkflowExecutionOptions(),
            },
            "must provide UpdateOptions",
        ),
        (
            {"reason": "r", **QUERY, "unpause_activities_operation": BatchOperationUnpauseActivities()},
            "activity filter must be set",
        ),
    ],
)
async def test_what_cannot_be_started(client: Client, fields: dict[str, Any], message: str) -> None:
    request = StartBatchOperationRequest(**{"namespace": "default", "job_id": "j", **fields})
    with pytest.raises(RPCError) as caught:
        await client.workflow_service.start_batch_operation(request)
    assert (caught.value.status, caught.value.message) == (RPCStatusCode.INVALID_ARGUMENT, message)


async def test_batches_that_are_not_there(client: Client) -> None:
    service = client.workflow_service
    for call, status, message in (
        (described(client, "nobody"), RPCStatusCode.NOT_FOUND, "workflow not found for ID: nobody"),
        (described(client, ""), RPCStatusCode.INVALID_ARGUMENT, "JobId is not set on request."),
        (
            service.stop_batch_operation(StopBatchOperationRequest(namespace="default", job_id="nobody")),
            RPCStatusCode.INVALID_ARGUMENT,
            "Reason is not set on request.",
        ),
    ):
        with pytest.raises(RPCError) as caught:
            await call
        assert (caught.value.status, caught.value.message) == (status, message)
