"""Resets and deletions in one region, by raw calls; those across regions are in tests/scenarios."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import (
    Command,
    ContinueAsNewWorkflowExecutionCommandAttributes,
    StartTimerCommandAttributes,
)
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import (
    CommandType,
    EventType,
    ResetReapplyExcludeType,
    ResetReapplyType,
    WorkflowExecutionStatus,
    WorkflowTaskFailedCause,
)
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PostResetOperation
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    ListWorkflowExecutionsRequest,
    ListWorkflowExecutionsResponse,
    PollActivityTaskQueueResponse,
    RequestCancelWorkflowExecutionRequest,
    ResetWorkflowExecutionRequest,
    ResetWorkflowExecutionResponse,
    RespondActivityTaskCompletedRequest,
    RespondWorkflowTaskFailedRequest,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
)

from mockcloud.core.errors import InvalidArgument, NotFound
from mockcloud.core.run import RunKey
from tests.frontend.raw_worker import (
    COMPLETE,
    NS,
    QUEUE,
    complete,
    schedule_activity,
    signal,
    start,
    take_activity,
    take_task,
    with_activity,
)
from tests.support import Site, refusal

RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
TERMINATED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED
COMPLETED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED
Exclude = ResetReapplyExcludeType


async def reset(site: Site, run: WorkflowExecution, event_id: int, **fields: Any) -> WorkflowExecution:
    request = ResetWorkflowExecutionRequest(
        namespace=NS,
        workflow_execution=run,
        workflow_task_finish_event_id=event_id,
        **{"reason": "because", "request_id": str(uuid.uuid4()), **fields},
    )
    answer = await site.ask(request, ResetWorkflowExecutionResponse)
    return WorkflowExecution(workflow_id=run.workflow_id, run_id=answer.run_id)


async def describe(site: Site, run: WorkflowExecution) -> DescribeWorkflowExecutionResponse:
    return await site.ask(
        DescribeWorkflowExecutionRequest(namespace=NS, execution=run), DescribeWorkflowExecutionResponse
    )


async def status(site: Site, run: WorkflowExecution) -> WorkflowExecutionStatus.ValueType:
    return (await describe(site, run)).workflow_execution_info.status


async def history(site: Site, run: WorkflowExecution) -> list[HistoryEvent]:
    answer = await site.ask(
        GetWorkflowExecutionHistoryRequest(namespace=NS, execution=run), GetWorkflowExecutionHistoryResponse
    )
    return list(answer.history.events)


def forget(site: Site, run: WorkflowExecution) -> None:
    """From now on the run is what is stored of it."""
    site.region.runs.drop(RunKey(site.region.namespaces.by_name(NS).id, run.workflow_id, run.run_id))


def names(events: list[HistoryEvent]) -> list[str]:
    return [EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in events]


def signal_names(events: list[HistoryEvent]) -> list[str]:
    signaled = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    return [
        event.workflow_execution_signaled_event_attributes.signal_name
        for event in events
        if event.event_type == signaled
    ]


async def test_an_open_run_is_terminated_and_goes_on_from_the_point(site: Site) -> None:
    run = await start(site)
    await complete(site, await take_task(site), schedule_activity())

    again = await reset(site, run, 4)

    events = await history(site, again)
    assert names(events) == [
        "WORKFLOW_EXECUTION_STARTED",
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_TASK_STARTED",
        "WORKFLOW_TASK_FAILED",
        "WORKFLOW_TASK_SCHEDULED",
    ]
    failed = events[3].workflow_task_failed_event_attributes
    assert failed.cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW
    assert failed.failure.message == "because"
    assert failed.failure.HasField("reset_workflow_failure_info")
    assert failed.identity == "history-service"
    assert (failed.base_run_id, failed.new_run_id) == (run.run_id, again.run_id)
    assert failed.fork_event_version == events[2].version
    assert events[0].workflow_execution_started_event_attributes.first_execution_run_id == run.run_id
    old = await history(site, run)
    assert names(old)[-1] == "WORKFLOW_EXECUTION_TERMINATED"
    assert old[-1].workflow_execution_terminated_event_attributes.reason == "because"
    assert old[-1].workflow_execution_terminated_event_attributes.identity == "history-resetter"
    assert (await describe(site, run)).workflow_extended_info.reset_run_id == again.run_id


async def test_the_reset_run_works_and_survives_a_restart_of_the_cache(site: Site) -> None:
    run = await with_activity(site)
    again = await reset(site, run, 4)
    forget(site, again)

    await complete(site, await take_task(site), schedule_activity("other"))
    activity: PollActivityTaskQueueResponse = await take_activity(site)
    assert (activity.workflow_execution, activity.activity_id) == (again, "other")
    await site.call(RespondActivityTaskCompletedRequest(namespace=NS, task_token=activity.task_token))
    await complete(site, await take_task(site), COMPLETE)

    assert await status(site, again) == COMPLETED
    assert await status(site, run) == TERMINATED


async def test_a_closed_run_can_be_reset_and_stays_as_it_was(site: Site) -> None:
    run = await start(site)
    await complete(site, await take_task(site), COMPLETE)

    again = await reset(site, run, 4)

    assert await status(site, run) == COMPLETED
    assert await status(site, again) == RUNNING
    current = await describe(site, WorkflowExecution(workflow_id="w"))
    assert current.workflow_execution_info.execution == again


async def test_a_task_that_is_only_scheduled_is_started_and_failed(site: Site) -> None:
    run = await start(site)
    await complete(site, await take_task(site))

    again = await reset(site, run, 3)

    assert names(await history(site, again)) == [
        "WORKFLOW_EXECUTION_STARTED",
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_TASK_STARTED",
        "WORKFLOW_TASK_FAILED",
        "WORKFLOW_TASK_SCHEDULED",
    ]


async def test_later_signals_are_applied_again(site: Site) -> None:
    run = await start(site)
    await complete(site, await take_task(site))
    await signal(site, run, "one")
    await complete(site, await take_task(site))
    await signal(site, run, "two")
    task = await take_task(site)  # what comes now waits in the buffer for its end
    await signal(site, run, "three")

    again = await reset(site, run, 4)

    events = await history(site, again)
    assert signal_names(events) == ["one", "two", "three"]
    assert names(events)[3:] == [
        "WORKFLOW_TASK_FAILED",
        "WORKFLOW_EXECUTION_SIGNALED",
        "WORKFLOW_EXECUTION_SIGNALED",
        "WORKFLOW_EXECUTION_SIGNALED",
        "WORKFLOW_TASK_SCHEDULED",
    ]
    stale = await refusal(complete(site, task))
    assert isinstance(stale, NotFound)


@pytest.mark.parametrize(
    "fields",
    [
        {"reset_reapply_type": ResetReapplyType.RESET_REAPPLY_TYPE_NONE},
        {"reset_reapply_exclude_types": [Exclude.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL]},
    ],
)
async def test_signals_may_be_left_out(site: Site, fields: dict[str, Any]) -> None:
    run = await start(site)
    await complete(site, await take_task(site))
    await signal(site, run, "lost")

    assert signal_names(await history(site, await reset(site, run, 4, **fields))) == []


async def test_a_request_to_cancel_is_not_applied_again(site: Site) -> None:
    run = await start(site)
    await complete(site, await take_task(site))
    await site.call(RequestCancelWorkflowExecutionRequest(namespace=NS, workflow_execution=run))

    again = await reset(site, run, 4)

    assert not (await describe(site, again)).workflow_extended_info.cancel_requested


async def test_signals_of_the_runs_that_continue_the_base_run(site: Site) -> None:
    run = await start(site)
    await complete(site, await take_task(site))
    await signal(site, run, "before")
    onward = Command(
        command_type=CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION,
        continue_as_new_workflow_execution_command_attributes=ContinueAsNewWorkflowExecutionCommandAttributes(
            workflow_type=WorkflowType(name="T"), task_queue=QUEUE
        ),
    )
    await complete(site, await take_task(site), onward)
    await signal(site, WorkflowExecution(workflow_id="w"), "after")

    again = await reset(site, run, 4)

    assert signal_names(await history(site, again)) == ["before", "after"]


async def test_pending_timers_and_activities_of_the_copy_are_pending_again(site: Site) -> None:
    run = await start(site)
    timer = Command(
        command_type=CommandType.COMMAND_TYPE_START_TIMER,
        start_timer_command_attributes=StartTimerCommandAttributes(
            timer_id="t", start_to_fire_timeout=Duration(seconds=600)
        ),
    )
    await complete(site, await take_task(site), timer, schedule_activity())
    await signal(site, run)
    await complete(site, await take_task(site))
    activity = await take_activity(site)

    again = await reset(site, run, 10)

    (pending,) = (await describe(site, again)).pending_activities
    assert pending.activity_id == "a1"
    started_again = await take_activity(site)
    assert started_again.workflow_execution == again
    gone = RespondActivityTaskCompletedRequest(namespace=NS, task_token=activity.task_token)
    assert isinstance(await refusal(site.call(gone)), NotFound)


async def test_time_counts_from_the_reset(site: Site) -> None:
    answer = await site.ask(
        StartWorkflowExecutionRequest(
            namespace=NS,
            workflow_id="w",
            workflow_type=WorkflowType(name="T"),
            task_queue=QUEUE,
            workflow_execution_timeout=Duration(seconds=100),
            workflow_run_timeout=Duration(seconds=50),
        ),
        StartWorkflowExecutionResponse,
    )
    run = WorkflowExecution(workflow_id="w", run_id=answer.run_id)
    await complete(site, await take_task(site))
    before = (await describe(site, run)).workflow_extended_info

    again = await describe(site, await reset(site, run, 4))

    info, extended = again.workflow_execution_info, again.workflow_extended_info
    started = info.start_time.ToNanoseconds()
    assert extended.original_start_time == before.original_start_time
    assert extended.last_reset_time.ToNanoseconds() == started
    assert extended.original_start_time.ToNanoseconds() < started
    assert extended.run_expiration_time.ToNanoseconds() == started + 50_000_000_000
    assert extended.execution_expiration_time.ToNanoseconds() == started + 100_000_000_000


async def test_a_reset_run_can_be_reset(site: Site) -> None:
    run = await start(site)
    await complete(site, await take_task(site))
    await signal(site, run, "one")
    second = await reset(site, run, 4)
    await complete(site, await take_task(site))

    third = await reset(site, second, 4)

    assert signal_names(await history(site, third)) == ["one"]
    assert await status(site, second) == TERMINATED


@pytest.mark.parametrize("event_id", [-1, 0, 1, 5, 100])
async def test_a_point_outside_of_the_history(site: Site, event_id: int) -> None:
    run = await start(site)
    await complete(site, await take_task(site))

    error = await refusal(reset(site, run, event_id))

    assert isinstance(error, InvalidArgument)
    assert error.message == "Workflow task finish ID must be > 1 && <= workflow last event ID."
    assert await status(site, run) == RUNNING


async def test_a_point_without_a_workflow_task(site: Site) -> None:
    run = await start(site)
    await complete(site, await take_task(site))
    await signal(site, run)

    error = await refusal(reset(site, run, 5))

    assert isinstance(error, InvalidArgument)
    assert error.message == (
        "Can only reset workflow to event ID in range [WorkflowTaskScheduled +1, WorkflowTaskStarted + 1]: 5"
    )
    assert len(await history(site, run)) == 6
    assert await status(site, run) == RUNNING


async def test_a_point_within_what_was_committed_together(site: Site) -> None:
    run = await start(site)

    error = await refusal(reset(site, run, 2))

    assert isinstance(error, InvalidArgument)
    assert error.message == (
        "StateRebuilder unable to Rebuild mutable state to event ID: 1, version: 1, "
        "this event must be at the boundary"
    )


async def test_a_point_after_a_failed_task(site: Site) -> None:
    """The attempt that follows gets events of its own, to be failed."""
    run = await start(site)
    task = await take_task(site)
    await site.call(RespondWorkflowTaskFailedRequest(namespace=NS, task_token=task.task_token))
    await signal(site, run)

    again = await reset(site, run, 5)

    assert names(await history(site, again))[3:] == [
        "WORKFLOW_TASK_FAILED",
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_TASK_STARTED",
        "WORKFLOW_TASK_FAILED",
        "WORKFLOW_EXECUTION_SIGNALED",
        "WORKFLOW_TASK_SCHEDULED",
    ]


async def test_options_of_the_reset_run(site: Site) -> None:
    run = await start(site)
    await complete(site, await take_task(site))
    operation = PostResetOperation()
    operation.update_workflow_options.workflow_execution_options.priority.priority_key = 1
    operation.update_workflow_options.update_mask.paths.append("priority")

    again = await reset(site, run, 4, post_reset_operations=[operation])

    assert names(await history(site, again))[3:] == [
        "WORKFLOW_TASK_FAILED",
        "WORKFLOW_EXECUTION_OPTIONS_UPDATED",
        "WORKFLOW_TASK_SCHEDULED",
    ]
    assert (await describe(site, again)).workflow_execution_info.priority.priority_key == 1


async def test_operations_that_are_not_there(site: Site) -> None:
    run = await start(site)
    await complete(site, await take_task(site))
    operation = PostResetOperation()
    operation.signal_workflow.signal_name = "s"

    error = await refusal(reset(site, run, 4, post_reset_operations=[operation]))

    assert str(error) == "unsupported post reset operation: *workflow.PostResetOperation_SignalWorkflow_"
    assert await status(site, run) == RUNNING


async def test_bad_requests(site: Site) -> None:
    run = await start(site)
    unknown = WorkflowExecution(workflow_id="unknown")

    assert str(await refusal(reset(site, run, 4, request_id=""))) == "RequestId is not set on request."
    assert isinstance(await refusal(reset(site, unknown, 4)), NotFound)
    assert str(await refusal(reset(site, WorkflowExecution(), 4))) == "WorkflowId is not set on request."


async def delete(site: Site, run: WorkflowExecution) -> None:
    await site.call(DeleteWorkflowExecutionRequest(namespace=NS, workflow_execution=run))


async def listed(site: Site) -> list[WorkflowExecution]:
    answer = await site.ask(ListWorkflowExecutionsRequest(namespace=NS), ListWorkflowExecutionsResponse)
    return [info.execution for info in answer.executions]


@pytest.mark.parametrize("closed", [False, True])
async def test_a_deleted_run_is_gone(site: Site, closed: bool) -> None:
    run = await start(site)
    if closed:
        await complete(site, await take_task(site), COMPLETE)

    await delete(site, run)

    await site.region.tasks.wait()
    assert isinstance(await refusal(describe(site, run)), NotFound)
    assert await listed(site) == []
    again = await start(site)
    assert await listed(site) == [again]


async def test_deleting_the_base_run_leaves_the_reset_run_whole(site: Site) -> None:
    run = await with_activity(site)
    again = await reset(site, run, 4)

    await delete(site, run)

    await site.region.tasks.wait()
    forget(site, again)
    assert isinstance(await refusal(describe(site, run)), NotFound)
    assert len(await history(site, again)) == 5
    await complete(site, await take_task(site), COMPLETE)
    assert await status(site, again) == COMPLETED


async def test_deleting_what_is_not_there(site: Site) -> None:
    assert isinstance(await refusal(delete(site, WorkflowExecution(workflow_id="w"))), NotFound)
