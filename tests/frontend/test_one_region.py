"""An unmodified SDK client and worker against one region over gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio import exceptions
from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    TerminatedError,
    WorkflowAlreadyStartedError,
)
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from tests.frontend.sdk_workflows import (
    ACTIVITIES,
    WORKFLOWS,
    Cancellable,
    Counting,
    Delegating,
    Failing,
    Greeting,
    Inbox,
    Retried,
    Sleeper,
    TimedOut,
    Unbuilt,
)
from tests.support import Site, grpc_address

QUEUE = "queue"


@pytest.fixture
async def client(site: Site) -> AsyncIterator[Client]:
    async with grpc_address(site) as address:
        yield await Client.connect(address)


@pytest.fixture
async def worker(client: Client) -> AsyncIterator[Worker]:
    async with Worker(client, task_queue=QUEUE, workflows=WORKFLOWS, activities=ACTIVITIES) as worker:
        yield worker


async def event_types(handle: WorkflowHandle[Any, Any]) -> list[str]:
    return [
        EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
        async for event in handle.fetch_history_events()
    ]


async def test_a_workflow_with_one_activity(client: Client, worker: Worker) -> None:
    handle = await client.start_workflow(Greeting.run, "world", id="w", task_queue=QUEUE)

    assert await handle.result() == "hello world"
    assert await event_types(handle) == [
        "WORKFLOW_EXECUTION_STARTED",
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_TASK_STARTED",
        "WORKFLOW_TASK_COMPLETED",
        "ACTIVITY_TASK_SCHEDULED",
        "ACTIVITY_TASK_STARTED",
        "ACTIVITY_TASK_COMPLETED",
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_TASK_STARTED",
        "WORKFLOW_TASK_COMPLETED",
        "WORKFLOW_EXECUTION_COMPLETED",
    ]


async def test_a_worker_tells_its_build(client: Client) -> None:
    async with Worker(
        client, task_queue=QUEUE, workflows=WORKFLOWS, activities=ACTIVITIES, build_id="b1", identity="w1"
    ):
        handle = await client.start_workflow(Greeting.run, "world", id="w", task_queue=QUEUE)
        await handle.result()
    history = await handle.fetch_history()
    completed = history.events[3].workflow_task_completed_event_attributes
    assert (completed.worker_version.build_id, completed.worker_version.use_versioning) == ("b1", False)
    assert completed.binary_checksum == ""
    described = (await handle.describe()).raw_description.workflow_execution_info
    assert described.most_recent_worker_version_stamp.build_id == "b1"
    assert described.search_attributes.indexed_fields["BuildIds"].data == b'["unversioned","unversioned:b1"]'


async def test_activities_are_retried_and_get_their_heartbeat_back(client: Client, worker: Worker) -> None:
    result = await client.execute_workflow(Retried.run, id="w", task_queue=QUEUE)
    assert result == (3, ["half way"])


async def test_an_activity_times_out(client: Client, worker: Worker) -> None:
    assert await client.execute_workflow(TimedOut.run, id="w", task_queue=QUEUE) == "TimeoutError"


async def test_timers(client: Client, worker: Worker) -> None:
    handle = await client.start_workflow(Sleeper.run, id="w", task_queue=QUEUE)

    assert await handle.result() == "awake"
    types = await event_types(handle)
    assert types.count("TIMER_STARTED") == 2
    assert types.count("TIMER_FIRED") == 1
    assert types.count("TIMER_CANCELED") == 1


async def test_signals_and_queries(client: Client, worker: Worker) -> None:
    handle = await client.start_workflow(Inbox.run, id="w", task_queue=QUEUE)
    for letter in ("a", "b", "c"):
        await handle.signal(Inbox.deliver, letter)

    assert await handle.query(Inbox.letters) == ["a", "b", "c"]
    with pytest.raises(WorkflowQueryFailedError):
        await handle.query(Inbox.broken)
    await handle.signal(Inbox.close)
    assert await handle.result() == ["a", "b", "c"]
    assert await handle.query(Inbox.letters) == ["a", "b", "c"]  # of a closed run


async def test_signal_with_start(client: Client, worker: Worker) -> None:
    first = await client.start_workflow(
        Inbox.run, id="w", task_queue=QUEUE, start_signal="deliver", start_signal_args=["a"]
    )
    second = await client.start_workflow(
        Inbox.run, id="w", task_queue=QUEUE, start_signal="deliver", start_signal_args=["b"]
    )

    assert first.result_run_id == second.result_run_id
    assert await first.query(Inbox.letters) == ["a", "b"]


async def test_cancellation(client: Client, worker: Worker) -> None:
    handle = await client.start_workflow(Cancellable.run, id="w", task_queue=QUEUE)
    async for event in handle.fetch_history_events(wait_new_event=True):
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            break

    await handle.cancel()

    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, CancelledError)
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED


async def test_termination(client: Client, worker: Worker) -> None:
    handle = await client.start_workflow(Inbox.run, id="w", task_queue=QUEUE)

    await handle.terminate("details", reason="enough")

    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, TerminatedError)
    with pytest.raises(RPCError) as refused:
        await handle.signal(Inbox.deliver, "late")
    assert refused.value.status is RPCStatusCode.NOT_FOUND
    assert str(refused.value) == "workflow execution already completed"


async def test_failure(client: Client, worker: Worker) -> None:
    with pytest.raises(WorkflowFailureError) as caught:
        await client.execute_workflow(Failing.run, id="w", task_queue=QUEUE)
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == "Broken"


async def test_continue_as_new(client: Client, worker: Worker) -> None:
    handle = await client.start_workflow(Counting.run, 1, id="w", task_queue=QUEUE)

    assert await handle.result() == 3
    runs = [run async for run in client.list_workflows("WorkflowId = 'w'")]
    assert [run.status for run in runs] == [
        WorkflowExecutionStatus.COMPLETED,
        WorkflowExecutionStatus.CONTINUED_AS_NEW,
        WorkflowExecutionStatus.CONTINUED_AS_NEW,
    ]


async def test_the_run_time_out(client: Client, worker: Worker) -> None:
    handle = await client.start_workflow(
        Inbox.run, id="w", task_queue=QUEUE, run_timeout=timedelta(milliseconds=200)
    )
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, exceptions.TimeoutError)


async def test_an_activity_completed_by_id(client: Client, worker: Worker) -> None:
    handle = await client.start_workflow(Delegating.run, id="w", task_queue=QUEUE)
    async for event in handle.fetch_history_events(wait_new_event=True):
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            break

    later = client.get_async_activity_handle(workflow_id="w", run_id=None, activity_id="later")
    await later.complete("done")

    assert await handle.result() == "done"


async def test_id_policies(client: Client, worker: Worker) -> None:
    first = await client.start_workflow(Inbox.run, id="w", task_queue=QUEUE)

    with pytest.raises(WorkflowAlreadyStartedError):
        await client.start_workflow(Inbox.run, id="w", task_queue=QUEUE)
    same = await client.start_workflow(
        Inbox.run, id="w", task_queue=QUEUE, id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING
    )
    assert same.result_run_id == first.result_run_id
    second = await client.start_workflow(
        Inbox.run, id="w", task_queue=QUEUE, id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING
    )
    assert second.result_run_id != first.result_run_id
    await second.signal(Inbox.close)
    await second.result()
    with pytest.raises(WorkflowAlreadyStartedError):
        await client.start_workflow(
            Inbox.run, id="w", task_queue=QUEUE, id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE
        )


async def test_a_worker_that_comes_back_replays_the_history(client: Client) -> None:
    async with Worker(client, task_queue=QUEUE, workflows=WORKFLOWS, activities=ACTIVITIES):
        handle = await client.start_workflow(Inbox.run, id="w", task_queue=QUEUE)
        await handle.signal(Inbox.deliver, "a")
        assert await handle.query(Inbox.letters) == ["a"]
    await handle.signal(Inbox.deliver, "b")
    async with Worker(client, task_queue=QUEUE, workflows=WORKFLOWS, activities=ACTIVITIES):
        await handle.signal(Inbox.close)
        assert await handle.result() == ["a", "b"]


async def test_a_command_that_is_not_built_fails_the_task_and_is_named(
    client: Client, worker: Worker
) -> None:
    handle = await client.start_workflow(Unbuilt.run, id="w", task_queue=QUEUE)

    async for event in handle.fetch_history_events(wait_new_event=True):
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            message = event.workflow_task_failed_event_attributes.failure.message
            break
    assert "NexusOperation" in message


async def test_description(client: Client, worker: Worker) -> None:
    handle = await client.start_workflow(
        Inbox.run, id="w", task_queue=QUEUE, memo={"colour": "red"}, static_summary="a summary"
    )

    description = await handle.describe()

    assert description.status is WorkflowExecutionStatus.RUNNING
    assert description.workflow_type == "Inbox"
    assert description.task_queue == QUEUE
    assert await description.memo_value("colour") == "red"
    assert await description.static_summary() == "a summary"


async def test_lists_and_counts(client: Client, worker: Worker) -> None:
    await client.execute_workflow(Greeting.run, "x", id="done", task_queue=QUEUE)
    await client.start_workflow(Inbox.run, id="open", task_queue=QUEUE)

    assert [run.id async for run in client.list_workflows("")] == ["open", "done"]
    running = client.list_workflows("ExecutionStatus = 'Running'")
    assert [run.id async for run in running] == ["open"]
    assert (await client.count_workflows("WorkflowType = 'Greeting'")).count == 1
    by_status = await client.count_workflows("GROUP BY ExecutionStatus")
    assert {group.group_values[0]: group.count for group in by_status.groups} == {
        "Running": 1,
        "Completed": 1,
    }


async def test_the_health_of_the_service(client: Client) -> None:
    assert await client.service_client.check_health()
