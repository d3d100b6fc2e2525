"""Activities as SDK workers and clients know them: retries, time-outs, cancellation, completion by somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
)
from temporalio.client import AsyncActivityCancelledError, Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker
from temporalio.workflow import ActivityCancellationType

from mockcloud.core import times
from tests.frontend.raw_worker import NS
from tests.frontend.sdk_activities import (
    NOBODY,
    QUEUE,
    RunsActivity,
    Wanted,
    attempts,
    hangs,
    left_to_others,
    runs,
)
from tests.support import Site, grpc_address


@pytest.fixture
async def client(site: Site) -> AsyncIterator[Client]:
    async with grpc_address(site) as address:
        client = await Client.connect(address)
        async with Worker(
            client,
            task_queue=QUEUE,
            workflows=[RunsActivity],
            activities=[attempts, hangs, runs, left_to_others],
            graceful_shutdown_timeout=timedelta(0),
            max_heartbeat_throttle_interval=timedelta(milliseconds=50),
            default_heartbeat_throttle_interval=timedelta(milliseconds=50),
        ):
            yield client


async def started(client: Client, wanted: Wanted, workflow_id: str = "w") -> WorkflowHandle[Any, str]:
    return await client.start_workflow(RunsActivity.run, wanted, id=workflow_id, task_queue=QUEUE)


async def pending(site: Site, state: PendingActivityState.ValueType, attempt: int = 1) -> PendingActivityInfo:
    """The one activity of the workflow `w`, once it has come to a state in an attempt."""
    request = DescribeWorkflowExecutionRequest(namespace=NS, execution=WorkflowExecution(workflow_id="w"))
    async with asyncio.timeout(10):
        while True:
            answer = await site.ask(request, DescribeWorkflowExecutionResponse)
            for info in answer.pending_activities:
                if (info.state, info.attempt) == (state, attempt):
                    return info
            await asyncio.sleep(0.01)


async def types(handle: WorkflowHandle[Any, Any]) -> list[str]:
    history = await handle.fetch_history()
    names = [EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in history.events]
    return [name for name in names if name.startswith("ACTIVITY_TASK_")]


# Retries and time-outs, all at once: each case is a workflow of its own

_NOT_ENOUGH_TIME = (
    "Not enough time to schedule next retry before activity ScheduleToClose timeout, giving up retrying"
)
_ENDS = [
    (Wanted("attempts"), "1 [] None"),
    (Wanted("attempts", priority=4), "1 [] 4"),
    (Wanted("attempts", "delay", initial_interval=60_000), "2 [] None"),
    (
        Wanted("attempts", "too long a delay", schedule_to_close=3_600_000),
        "much later: TIMEOUT",
    ),
    (Wanted("attempts", "type", not_retried=["Never"]), "Never: no: NON_RETRYABLE_FAILURE"),
    (Wanted("attempts", "flag"), "no: NON_RETRYABLE_FAILURE"),
    (Wanted("attempts", "always", maximum_attempts=3), "attempt 3: MAXIMUM_ATTEMPTS_REACHED"),
    (Wanted("attempts", "beats"), "3 [2, 2] None"),
    (
        Wanted("hangs", heartbeat=100, maximum_attempts=2),
        "activity Heartbeat timeout: MAXIMUM_ATTEMPTS_REACHED",
    ),
    (
        Wanted("hangs", heartbeat=100, not_retried=["TemporalTimeout:Heartbeat"]),
        "activity Heartbeat timeout: NON_RETRYABLE_FAILURE",
    ),
    (
        Wanted("hangs", start_to_close=100, maximum_attempts=2),
        "activity StartToClose timeout: MAXIMUM_ATTEMPTS_REACHED",
    ),
    (
        Wanted("hangs", start_to_close=None, schedule_to_close=150),
        f"{_NOT_ENOUGH_TIME}: TIMEOUT",
    ),
    (
        Wanted("hangs", schedule_to_start=100, queue=NOBODY),
        "activity ScheduleToStart timeout: TIMEOUT",
    ),
]


async def test_how_activities_end(client: Client) -> None:
    handles = [await started(client, wanted, f"w{case}") for case, (wanted, _) in enumerate(_ENDS)]
    results = await asyncio.gather(*(handle.result() for handle in handles))
    assert results == [expected for _, expected in _ENDS]


async def test_what_is_told_of_an_activity_that_waits_for_its_next_attempt(
    site: Site, client: Client
) -> None:
    await started(
        client,
        Wanted("attempts", "beats", initial_interval=60_000, maximum_attempts=7, schedule_to_close=3_600_000),
    )
    info = await pending(site, PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED, attempt=2)
    assert info.last_failure.message == "not yet"
    assert len(info.heartbeat_details.payloads) == 2
    assert info.last_worker_identity == client.identity
    assert info.maximum_attempts == 7
    assert not info.HasField("last_started_time")
    assert info.next_attempt_schedule_time == info.scheduled_time
    waits = times.nanoseconds(info.scheduled_time) - times.nanoseconds(info.last_attempt_complete_time)
    assert waits == times.nanoseconds(info.current_retry_interval) == 60 * times.SECOND
    whole = times.nanoseconds(info.expiration_time) - times.nanoseconds(info.last_attempt_complete_time)
    assert 3_590 * times.SECOND < whole < 3_600 * times.SECOND
    assert info.activity_options.task_queue.name == QUEUE
    assert times.nanoseconds(info.activity_options.retry_policy.initial_interval) == 60 * times.SECOND


# Cancellation


async def test_try_cancel_does_not_wait_for_the_activity(site: Site, client: Client) -> None:
    handle = await started(client, Wanted("hangs", heartbeat=30_000))
    await pending(site, PendingActivityState.PENDING_ACTIVITY_STATE_STARTED)
    await handle.signal(RunsActivity.cancel)
    assert await handle.result() == "cancelled"
    assert await types(handle) == ["ACTIVITY_TASK_SCHEDULED", "ACTIVITY_TASK_CANCEL_REQUESTED"]


@pytest.mark.parametrize(
    ("how", "result", "last"),
    [("", "cancelled", "ACTIVITY_TASK_CANCELED"), ("finishes", "finished anyway", "ACTIVITY_TASK_COMPLETED")],
)
async def test_wait_cancellation_completed_waits_for_what_the_activity_says(
    site: Site, client: Client, how: str, result: str, last: str
) -> None:
    wait = int(ActivityCancellationType.WAIT_CANCELLATION_COMPLETED)
    handle = await started(client, Wanted("runs", how, heartbeat=30_000, cancellation=wait))
    await pending(site, PendingActivityState.PENDING_ACTIVITY_STATE_STARTED)
    await handle.signal(RunsActivity.cancel)
    assert await handle.result() == result
    assert await types(handle) == [
        "ACTIVITY_TASK_SCHEDULED",
        "ACTIVITY_TASK_CANCEL_REQUESTED",
        "ACTIVITY_TASK_STARTED",
        last,
    ]


async def test_abandon_does_not_ask_the_activity(site: Site, client: Client) -> None:
    abandon = int(ActivityCancellationType.ABANDON)
    handle = await started(client, Wanted("hangs", heartbeat=30_000, cancellation=abandon))
    await pending(site, PendingActivityState.PENDING_ACTIVITY_STATE_STARTED)
    await handle.signal(RunsActivity.cancel)
    assert await handle.result() == "cancelled"
    assert await types(handle) == ["ACTIVITY_TASK_SCHEDULED"]


async def test_an_activity_that_nobody_has_is_cancelled_at_once(site: Site, client: Client) -> None:
    wait = int(ActivityCancellationType.WAIT_CANCELLATION_COMPLETED)
    handle = await started(client, Wanted("runs", queue=NOBODY, cancellation=wait))
    await pending(site, PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED)
    await handle.signal(RunsActivity.cancel)
    assert await handle.result() == "cancelled"
    assert await types(handle) == [
        "ACTIVITY_TASK_SCHEDULED",
        "ACTIVITY_TASK_CANCEL_REQUESTED",
        "ACTIVITY_TASK_CANCELED",
    ]


# Completed by somebody else


@pytest.mark.parametrize("by_id", [False, True])
async def test_somebody_else_completes_an_activity(site: Site, client: Client, by_id: bool) -> None:
    # Given an activity whose worker has left it to others, when another one beats, fails and completes it.
    handle = await started(client, Wanted("left_to_others", maximum_attempts=2, heartbeat=30_000))

    async def other(attempt: int) -> Any:
        """A handle on the attempt, as someone has it whom the worker told the token."""
        if by_id:
            await pending(site, PendingActivityState.PENDING_ACTIVITY_STATE_STARTED, attempt)
            return client.get_async_activity_handle(workflow_id="w", run_id=None, activity_id="a")
        async with asyncio.timeout(10):
            while True:
                info = await pending(site, PendingActivityState.PENDING_ACTIVITY_STATE_STARTED, attempt)
                if info.last_heartbeat_time.ToNanoseconds() >= info.last_started_time.ToNanoseconds():
                    break
                await asyncio.sleep(0.01)
        text = info.heartbeat_details.payloads[0].data.decode().strip('"')
        return client.get_async_activity_handle(task_token=bytes.fromhex(text))

    first = await other(1)
    await first.heartbeat("half way")
    await first.fail(ApplicationError("once more"))
    second = await other(2)
    await second.complete("by another")

    # Then that is its result.
    assert await handle.result() == "by another"


async def test_somebody_else_learns_that_the_activity_is_to_be_cancelled(site: Site, client: Client) -> None:
    wait = int(ActivityCancellationType.WAIT_CANCELLATION_COMPLETED)
    handle = await started(client, Wanted("left_to_others", heartbeat=30_000, cancellation=wait))
    await pending(site, PendingActivityState.PENDING_ACTIVITY_STATE_STARTED)
    other = client.get_async_activity_handle(workflow_id="w", run_id=None, activity_id="a")
    await other.heartbeat()
    await handle.signal(RunsActivity.cancel)
    await pending(site, PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED)
    with pytest.raises(AsyncActivityCancelledError):
        await other.heartbeat()
    await other.report_cancellation()
    assert await handle.result() == "cancelled"
