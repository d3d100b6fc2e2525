"""Workflow tasks, call by call: polls, completions, failures, and a client that vanishes."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import CommandType, EventType, TaskQueueKind, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure
from temporalio.api.sdk.v1 import WorkflowTaskCompletedMetadata
from temporalio.api.taskqueue.v1 import StickyExecutionAttributes, TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    ListTaskQueuePartitionsRequest,
    ListTaskQueuePartitionsResponse,
    PollActivityTaskQueueRequest,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    ResetStickyTaskQueueRequest,
    RespondWorkflowTaskCompletedRequest,
    RespondWorkflowTaskCompletedResponse,
    RespondWorkflowTaskFailedRequest,
    SignalWorkflowExecutionRequest,
)

from mockcloud.core.errors import Code
from mockcloud.frontend.methods import WORKFLOW_SERVICE
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
)
from tests.support import Site, grpc_address, parked, refusal, unparked

STICKY = TaskQueue(name="sticky", kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY, normal_name="q")


async def types(site: Site, run: object) -> list[int]:
    request = GetWorkflowExecutionHistoryRequest(namespace=NS, execution=run)  # type: ignore[arg-type]
    response = await site.ask(request, GetWorkflowExecutionHistoryResponse)
    return [event.event_type for event in response.history.events]


async def test_what_a_poll_gets(site: Site) -> None:
    run = await start(site)

    task = await take_task(site)

    assert task.workflow_execution == run
    assert task.workflow_type.name == "T"
    assert (task.attempt, task.started_event_id, task.previous_started_event_id) == (1, 3, 0)
    assert [event.event_id for event in task.history.events] == [1, 2, 3]
    assert task.workflow_execution_task_queue.name == "q"


async def test_a_poll_ends_empty_before_its_clients_deadline(site: Site) -> None:
    began = asyncio.get_running_loop().time()
    task = await take_task(site, timeout=2.05)
    assert task == PollWorkflowTaskQueueResponse()
    assert 1.0 < asyncio.get_running_loop().time() - began < 2.05


async def test_a_completion_can_bring_the_next_task(site: Site) -> None:
    run = await start(site)
    task = await take_task(site)
    await signal(site, run)

    response = await site.ask(
        RespondWorkflowTaskCompletedRequest(
            task_token=task.task_token,
            identity="worker",
            sticky_attributes=StickyExecutionAttributes(worker_task_queue=STICKY),
            return_new_workflow_task=True,
            sdk_metadata=WorkflowTaskCompletedMetadata(sdk_name="raw"),
        ),
        RespondWorkflowTaskCompletedResponse,
    )

    events = response.workflow_task.history.events
    assert [event.event_type for event in events] == [
        EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
    ]
    assert events[0].workflow_task_completed_event_attributes.sdk_metadata.sdk_name == "raw"


async def test_eager_activities_come_with_the_answer(site: Site) -> None:
    await start(site)
    task = await take_task(site)
    eager = schedule_activity()
    eager.schedule_activity_task_command_attributes.request_eager_execution = True

    response = await site.ask(
        RespondWorkflowTaskCompletedRequest(task_token=task.task_token, commands=[eager]),
        RespondWorkflowTaskCompletedResponse,
    )

    assert [activity.activity_id for activity in response.activity_tasks] == ["a1"]


async def test_a_stale_token(site: Site) -> None:
    await start(site)
    task = await take_task(site)
    await complete(site, task, schedule_activity())

    for request in (
        RespondWorkflowTaskCompletedRequest(namespace=NS, task_token=task.task_token),
        RespondWorkflowTaskFailedRequest(namespace=NS, task_token=task.task_token),
    ):
        error = await refusal(site.call(request))
        assert error is not None
        assert (error.code, error.message) == (Code.NOT_FOUND, "Workflow task not found.")


async def test_bad_commands_fail_the_task(site: Site) -> None:
    run = await start(site)
    bad = Command(command_type=CommandType.COMMAND_TYPE_START_TIMER)

    error = await refusal(complete(site, await take_task(site), bad))

    assert error is not None
    assert error.code is Code.INVALID_ARGUMENT
    assert (await types(site, run))[-2] == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED


async def test_a_failed_task_is_tried_again(site: Site) -> None:
    run = await start(site)
    task = await take_task(site)
    await site.call(
        RespondWorkflowTaskFailedRequest(
            task_token=task.task_token,
            cause=WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE,
            failure=Failure(message="bug"),
        )
    )

    again = await take_task(site)

    assert again.attempt == 2
    assert [event.event_id for event in again.history.events] == [1, 2, 3, 4, 5, 6]
    assert again.history.events[3].event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    await complete(site, again, COMPLETE)
    assert (await types(site, run))[-1] == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED


async def test_sticky_tasks_and_their_reset(site: Site) -> None:
    run = await start(site)
    task = await take_task(site)
    sticky = asyncio.ensure_future(take_task(site, STICKY))
    await parked(site)
    await site.call(
        RespondWorkflowTaskCompletedRequest(
            task_token=task.task_token,
            sticky_attributes=StickyExecutionAttributes(worker_task_queue=STICKY),
        )
    )
    await signal(site, run)
    first_event = (await asyncio.wait_for(sticky, 5)).history.events[0]
    assert first_event.event_id == 4, "a sticky worker gets only what is new"
    await complete(site, await sticky)

    await site.call(ResetStickyTaskQueueRequest(namespace=NS, execution=run))
    await signal(site, run)
    whole = await take_task(site)
    assert whole.history.events[0].event_id == 1


async def test_a_query_task_and_payloads_survive_the_wire(site: Site) -> None:
    run = await start(site)
    data = Payloads(payloads=[Payload(metadata={"encoding": b"binary/plain"}, data=bytes(range(256)))])
    await site.call(
        SignalWorkflowExecutionRequest(namespace=NS, workflow_execution=run, signal_name="s", input=data)
    )
    task = await take_task(site)
    signaled = [e for e in task.history.events if e.HasField("workflow_execution_signaled_event_attributes")]
    assert signaled[0].workflow_execution_signaled_event_attributes.input == data


@pytest.mark.parametrize("kind", ["workflow", "activity"])
async def test_a_client_that_vanishes_swallows_no_task(site: Site, kind: str) -> None:
    async with grpc_address(site) as address, grpc.aio.insecure_channel(address) as channel:
        name, request = (
            ("PollWorkflowTaskQueue", PollWorkflowTaskQueueRequest(namespace=NS, task_queue=QUEUE))
            if kind == "workflow"
            else ("PollActivityTaskQueue", PollActivityTaskQueueRequest(namespace=NS, task_queue=QUEUE))
        )
        poll = channel.unary_unary(f"/{WORKFLOW_SERVICE.full_name}/{name}", None, None)(
            request.SerializeToString(), timeout=60
        )
        await parked(site)
        poll.cancel()
        await unparked(site)

    await start(site)
    task = await take_task(site)
    assert task.task_token
    if kind == "activity":
        await complete(site, task, schedule_activity())
        assert (await take_activity(site)).task_token


async def test_who_polls_a_queue(site: Site) -> None:
    await start(site)
    await take_task(site)

    view = await site.ask(
        DescribeTaskQueueRequest(namespace=NS, task_queue=QUEUE, report_stats=True), DescribeTaskQueueResponse
    )

    assert [poller.identity for poller in view.pollers] == ["worker"]
    assert view.stats.approximate_backlog_count == 0
    await start(site, "waiting")
    view = await site.ask(
        DescribeTaskQueueRequest(namespace=NS, task_queue=QUEUE, report_stats=True), DescribeTaskQueueResponse
    )
    assert view.stats.approximate_backlog_count == 1
    partitions = await site.ask(
        ListTaskQueuePartitionsRequest(namespace=NS, task_queue=QUEUE), ListTaskQueuePartitionsResponse
    )
    assert [partition.key for partition in partitions.workflow_task_queue_partitions] == ["q"]
