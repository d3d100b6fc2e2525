"""Update-with-start as an unmodified SDK client and worker see it, and its errors on the wire."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import (
    EventType,
    UpdateWorkflowExecutionLifecycleStage,
    WorkflowExecutionStatus,
    WorkflowIdConflictPolicy,
    WorkflowIdReusePolicy,
)
from temporalio.api.errordetails.v1 import (
    MultiOperationExecutionFailure,
    WorkflowExecutionAlreadyStartedFailure,
)
from temporalio.api.failure.v1 import MultiOperationExecutionAborted
from temporalio.api.update.v1 import Input, Meta, Request, WaitPolicy
from temporalio.api.workflowservice.v1 import (
    ExecuteMultiOperationRequest,
    ExecuteMultiOperationResponse,
    StartWorkflowExecutionRequest,
    UpdateWorkflowExecutionRequest,
)
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.worker import Worker

from mockcloud.core.errors import Code, InvalidArgument, ServiceError
from tests.frontend import raw_worker
from tests.frontend.test_updates import QUEUE, Counter, client, worker  # noqa: F401
from tests.frontend.updater import admitted, complete_update, idle, respond
from tests.support import Site, refusal

Policy = WorkflowIdConflictPolicy
Operation = ExecuteMultiOperationRequest.Operation
COMPLETED = UpdateWorkflowExecutionLifecycleStage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED


def start(policy: WorkflowIDConflictPolicy) -> WithStartWorkflowOperation[Counter, int]:
    return WithStartWorkflowOperation(Counter.run, id="w", task_queue=QUEUE, id_conflict_policy=policy)


async def test_it_starts_and_then_finds_the_run(client: Client, worker: Worker) -> None:  # noqa: F811
    first, second = start(WorkflowIDConflictPolicy.USE_EXISTING), start(WorkflowIDConflictPolicy.USE_EXISTING)

    assert (
        await client.execute_update_with_start_workflow(Counter.add, 1, start_workflow_operation=first) == 1
    )
    assert (
        await client.execute_update_with_start_workflow(Counter.add, 2, start_workflow_operation=second) == 3
    )
    handle = await first.workflow_handle()
    assert (await second.workflow_handle()).first_execution_run_id == handle.first_execution_run_id
    types = [EventType.Name(event.event_type) async for event in handle.fetch_history_events()]
    assert types.count("EVENT_TYPE_WORKFLOW_TASK_COMPLETED") == 2  # the first one has start and update


async def test_policy_fail_leaves_the_run_alone(client: Client, worker: Worker) -> None:  # noqa: F811
    first, second = start(WorkflowIDConflictPolicy.FAIL), start(WorkflowIDConflictPolicy.FAIL)
    await client.execute_update_with_start_workflow(Counter.add, 1, start_workflow_operation=first)

    with pytest.raises(WorkflowAlreadyStartedError):
        await client.execute_update_with_start_workflow(Counter.add, 1, start_workflow_operation=second)
    with pytest.raises(WorkflowAlreadyStartedError):
        await second.workflow_handle()
    assert await (await first.workflow_handle()).query(Counter.entries) == ["add 1"]


async def test_a_rejected_update_leaves_the_run_that_it_started(client: Client, worker: Worker) -> None:  # noqa: F811
    operation = start(WorkflowIDConflictPolicy.FAIL)
    with pytest.raises(WorkflowUpdateFailedError):
        await client.execute_update_with_start_workflow(Counter.add, -1, start_workflow_operation=operation)
    assert await (await operation.workflow_handle()).query(Counter.entries) == []


# On the wire


def start_operation(**fields: Any) -> Operation:
    return Operation(
        start_workflow=StartWorkflowExecutionRequest(
            **{
                "namespace": raw_worker.NS,
                "workflow_id": "w",
                "workflow_type": WorkflowType(name="T"),
                "task_queue": raw_worker.QUEUE,
                "request_id": "start-1",
                "workflow_id_conflict_policy": Policy.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
                **fields,
            }
        )
    )


def update_operation(update_id: str = "u", **fields: Any) -> Operation:
    return Operation(
        update_workflow=UpdateWorkflowExecutionRequest(
            **{
                "workflow_execution": WorkflowExecution(workflow_id="w"),
                "request": Request(meta=Meta(update_id=update_id), input=Input(name="n")),
                "wait_policy": WaitPolicy(lifecycle_stage=COMPLETED),
                **fields,
            }
        )
    )


async def execute(site: Site, *operations: Operation) -> ExecuteMultiOperationResponse:
    return await site.ask(
        ExecuteMultiOperationRequest(namespace=raw_worker.NS, operations=operations),
        ExecuteMultiOperationResponse,
        timeout=25,
    )


def statuses(error: ServiceError | None) -> list[tuple[int, str]]:
    assert error is not None
    assert error.message == "Update-with-Start could not be executed."
    assert isinstance(error.detail, MultiOperationExecutionFailure)
    return [(status.code, status.message) for status in error.detail.statuses]


ABORTED = (Code.ABORTED.value, "Operation was aborted.")


async def test_both_operations_are_checked(site: Site) -> None:
    cases: list[tuple[Operation, Operation, list[tuple[int, str]]]] = [
        (
            start_operation(cron_schedule="* * * * *"),
            update_operation(),
            [(3, "CronSchedule is not allowed."), ABORTED],
        ),
        (
            start_operation(request_eager_execution=True),
            update_operation(),
            [(3, "RequestEagerExecution is not supported."), ABORTED],
        ),
        (
            start_operation(workflow_start_delay=Duration(seconds=1)),
            update_operation(),
            [(3, "WorkflowStartDelay is not supported."), ABORTED],
        ),
        (
            start_operation(namespace="other"),
            update_operation(first_execution_run_id="x"),
            [
                (3, "Operation namespace did not match request's namespace."),
                (3, "FirstExecutionRunId is not allowed."),
            ],
        ),
        (
            start_operation(namespace=""),
            update_operation(),
            [(5, "Namespace  is not found."), ABORTED],
        ),
        (
            start_operation(workflow_id="v"),
            update_operation(),
            [ABORTED, (3, "WorkflowId is not consistent with previous operation(s).")],
        ),
        (
            start_operation(),
            update_operation(
                workflow_execution=WorkflowExecution(
                    workflow_id="w", run_id="00000000-0000-0000-0000-000000000000"
                )
            ),
            [ABORTED, (3, "RunId is not allowed.")],
        ),
    ]
    for first, second, expected in cases:
        error = await refusal(execute(site, first, second))
        assert statuses(error) == expected
        assert error is not None
        assert error.code == next(code for code, _ in expected if code != Code.ABORTED)


@pytest.mark.parametrize(
    "operations",
    [(), (start_operation(),), (update_operation(), start_operation()), (start_operation(), Operation())],
)
async def test_only_a_start_and_an_update_go_together(site: Site, operations: tuple[Operation, ...]) -> None:
    error = await refusal(execute(site, *operations))
    assert isinstance(error, InvalidArgument)
    assert error.message == "Operations have to be exactly [Start, Update]."


async def test_a_start_that_a_policy_forbids(site: Site) -> None:
    run = await raw_worker.start(site)
    error = await refusal(execute(site, start_operation(), update_operation()))

    assert statuses(error) == [
        (6, f"Workflow execution is already running. WorkflowId: w, RunId: {run.run_id}."),
        ABORTED,
    ]
    assert error is not None
    assert error.code is Code.ALREADY_EXISTS
    assert isinstance(error.detail, MultiOperationExecutionFailure)
    started, aborted = error.detail.statuses
    assert started.details[0].Is(WorkflowExecutionAlreadyStartedFailure.DESCRIPTOR)
    assert aborted.details[0].Is(MultiOperationExecutionAborted.DESCRIPTOR)


async def test_the_same_start_again_finds_run_and_update(site: Site) -> None:
    async with respond(execute(site, start_operation(), update_operation())) as first:
        task = await raw_worker.take_task(site)
        assert [message.protocol_instance_id for message in task.messages] == ["u"]
        await complete_update(site, task)
    again = await execute(site, start_operation(), update_operation())

    answer = first.result()
    assert answer.responses[0].start_workflow.started
    assert answer.responses[0].start_workflow.link.workflow_event.event_ref.event_id == 1
    assert answer.responses[1].update_workflow.stage == COMPLETED
    assert again.responses[1] == answer.responses[1]
    assert not again.responses[0].start_workflow.started
    assert again.responses[0].start_workflow.run_id == answer.responses[0].start_workflow.run_id
    async with respond(execute(site, start_operation(), update_operation("v"))) as second:
        await complete_update(site, await raw_worker.take_task(site))
    assert second.result().responses[1].update_workflow.update_ref.update_id == "v"


async def test_terminate_existing_starts_anew(site: Site) -> None:
    run = await idle(site)
    terminate = start_operation(
        workflow_id_conflict_policy=Policy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
    )
    async with respond(execute(site, terminate, update_operation())) as call:
        await complete_update(site, await raw_worker.take_task(site))

    answer = call.result().responses[0].start_workflow
    assert answer.started
    assert answer.run_id != run.run_id


async def test_a_closed_run_leads_to_a_new_one_or_to_an_error(site: Site) -> None:
    await raw_worker.start(site)
    await raw_worker.complete(site, await raw_worker.take_task(site), raw_worker.COMPLETE)
    reject = start_operation(
        workflow_id_reuse_policy=WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
    )
    code, message = statuses(await refusal(execute(site, reject, update_operation())))[0]
    assert code == Code.ALREADY_EXISTS
    assert message.startswith("Workflow execution already finished.")

    async with respond(execute(site, start_operation(), update_operation())) as call:
        await complete_update(site, await raw_worker.take_task(site))
    assert call.result().responses[0].start_workflow.started


async def test_a_completed_update_is_found_on_a_closed_run(site: Site) -> None:
    async with respond(execute(site, start_operation(), update_operation())):
        await complete_update(site, await raw_worker.take_task(site), raw_worker.COMPLETE)

    again = await execute(site, start_operation(request_id="start-2"), update_operation())
    first = again.responses[0].start_workflow
    assert (first.started, first.status) == (
        False,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED,
    )
    assert again.responses[1].update_workflow.outcome.HasField("success")


async def test_a_start_that_is_known_cannot_update_the_run_that_it_made_once_that_is_closed(
    site: Site,
) -> None:
    async with respond(execute(site, start_operation(), update_operation())):
        await complete_update(site, await raw_worker.take_task(site), raw_worker.COMPLETE)
    error = await refusal(execute(site, start_operation(), update_operation("other")))
    assert statuses(error) == [
        (Code.UNAVAILABLE, "Workflow was not started: StartDeduped"),
        ABORTED,
    ]


async def test_a_run_that_closes_under_the_update_is_followed_by_a_new_one(site: Site) -> None:
    await idle(site)
    use = start_operation(workflow_id_conflict_policy=Policy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING)
    async with respond(execute(site, use, update_operation())) as call:
        first = await raw_worker.take_task(site)
        await raw_worker.complete(site, first, raw_worker.COMPLETE)  # without a word on the update
        second = await raw_worker.take_task(site)
        assert second.workflow_execution.run_id != first.workflow_execution.run_id
        await complete_update(site, second)
    assert call.result().responses[0].start_workflow.started


async def test_a_run_that_it_started_and_that_closes_under_it_stands(site: Site) -> None:
    await idle(site)
    use = start_operation(workflow_id_conflict_policy=Policy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING)
    async with respond(refusal(execute(site, use, update_operation()))) as call:
        for _ in range(2):
            task = await raw_worker.take_task(site)
            await raw_worker.complete(site, task, raw_worker.COMPLETE)

    code, message = statuses(call.result())[1]
    assert statuses(call.result())[0] == (0, "")
    assert (code, message) == (Code.NOT_FOUND, "workflow update was aborted by closing workflow")


async def test_runs_that_close_under_it_again_and_again_are_for_the_client_to_retry(site: Site) -> None:
    await idle(site)
    use = start_operation(workflow_id_conflict_policy=Policy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING)
    replace = start_operation(
        request_id="", workflow_id_conflict_policy=Policy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
    ).start_workflow
    async with respond(refusal(execute(site, use, update_operation()))) as call:
        for _ in range(2):
            await admitted(site, WorkflowExecution(workflow_id="w"), "u")
            await site.call(replace)
    assert statuses(call.result()) == [
        ABORTED,
        (Code.ABORTED, "workflow update was aborted by closing workflow"),
    ]
