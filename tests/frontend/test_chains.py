"""Chains of runs with an unmodified SDK client and worker: retries, cron schedules, continue-as-new."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import exceptions, workflow
from temporalio.api.enums.v1 import ContinueAsNewInitiator
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes
from temporalio.client import (
    Client,
    WorkflowContinuedAsNewError,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowHistoryEventFilterType,
)
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from mockcloud.core import times
from mockcloud.core.limits import Limits
from tests.support import grpc_address, open_sites

QUEUE = "q"
Initiator = ContinueAsNewInitiator
CLOSE_EVENT = WorkflowHistoryEventFilterType.CLOSE_EVENT


@workflow.defn
class Flaky:
    """Fails until its last attempt."""

    @workflow.run
    async def run(self, attempts: int) -> int:
        if workflow.info().attempt < attempts:
            raise ApplicationError(f"attempt {workflow.info().attempt}", type="Flaky")
        return workflow.info().attempt


@workflow.defn
class Stuck:
    """Waits for ever, at its first attempt."""

    @workflow.run
    async def run(self) -> str:
        if workflow.info().attempt == 1:
            await workflow.wait_condition(lambda: False)
        return "second attempt"


@workflow.defn
class Clockwork:
    """Counts its runs by the result of the last; the second one fails."""

    @workflow.run
    async def run(self) -> int:
        last = workflow.get_last_completion_result(int) or 0
        failure = workflow.get_last_failure()
        if last == 1 and failure is None:
            raise ApplicationError("the second run")
        return last + 1


@workflow.defn
class Counter:
    """Continues as new until told to stop, with all that it may hand on."""

    @workflow.run
    async def run(self, number: int) -> list[Any]:
        info = workflow.info()
        if number < 3:
            workflow.continue_as_new(
                number + 1,
                run_timeout=timedelta(seconds=30),
                task_timeout=timedelta(seconds=5),
                retry_policy=RetryPolicy(maximum_attempts=4),
                memo={"number": number},
            )
        return [
            number,
            workflow.memo_value("number"),
            info.run_timeout == timedelta(seconds=30),
            info.task_timeout == timedelta(seconds=5),
            info.retry_policy is not None and info.retry_policy.maximum_attempts == 4,
            info.continued_run_id is not None,
        ]


@workflow.defn
class Suggested:
    """Waits until the server suggests to continue as new."""

    def __init__(self) -> None:
        self._letters = 0

    @workflow.run
    async def run(self) -> list[int]:
        await workflow.wait_condition(lambda: workflow.info().is_continue_as_new_suggested())
        return [self._letters, workflow.info().get_current_history_length()]

    @workflow.signal
    def deliver(self) -> None:
        self._letters += 1


WORKFLOWS = [Flaky, Stuck, Clockwork, Counter, Suggested]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    limits = replace(
        Limits(), continue_as_new_minimum_interval=times.MILLISECOND, suggest_continue_as_new_events=12
    )
    async with open_sites(tmp_path, limits=limits) as sites:
        await sites["A"].register("default")
        async with grpc_address(sites["A"]) as address:
            client = await Client.connect(address)
            async with Worker(
                client, task_queue=QUEUE, workflows=WORKFLOWS, workflow_runner=UnsandboxedWorkflowRunner()
            ):
                yield client


async def chain(client: Client, handle: WorkflowHandle[Any, Any], runs: int) -> list[HistoryEvent]:
    """The first events of so many runs of a chain, each awaited."""
    events = []
    run_id = handle.first_execution_run_id
    for _ in range(runs):
        assert run_id
        run = client.get_workflow_handle(handle.id, run_id=run_id)
        events.append(await anext(run.fetch_history_events()))
        if len(events) < runs:
            closing = run.fetch_history_events(wait_new_event=True, event_filter_type=CLOSE_EVENT)
            last = [event async for event in closing][-1]
            run_id = getattr(last, last.WhichOneof("attributes") or "").new_execution_run_id
    return events


def started(event: HistoryEvent) -> WorkflowExecutionStartedEventAttributes:
    return event.workflow_execution_started_event_attributes


async def test_a_failing_workflow_is_retried_and_its_client_gets_the_last_result(client: Client) -> None:
    policy = RetryPolicy(initial_interval=timedelta(milliseconds=10), maximum_attempts=3)
    handle = await client.start_workflow(Flaky.run, 3, id="flaky", task_queue=QUEUE, retry_policy=policy)

    assert await handle.result() == 3
    first, second, third = [started(event) for event in await chain(client, handle, 3)]
    assert [each.attempt for each in (first, second, third)] == [1, 2, 3]
    assert second.initiator == third.initiator == Initiator.CONTINUE_AS_NEW_INITIATOR_RETRY
    assert (second.continued_failure.message, third.continued_failure.message) == ("attempt 1", "attempt 2")
    waits = [each.first_workflow_task_backoff.ToMilliseconds() for each in (second, third)]
    assert waits == [10, 20]
    # The first run is closed as failed.
    assert handle.first_execution_run_id is not None
    shown = await client.get_workflow_handle("flaky", run_id=handle.first_execution_run_id).describe()
    assert shown.status == WorkflowExecutionStatus.FAILED


async def test_retries_end_with_the_last_failure(client: Client) -> None:
    policy = RetryPolicy(initial_interval=timedelta(milliseconds=10), maximum_attempts=2)
    with pytest.raises(WorkflowFailureError) as caught:
        await client.execute_workflow(Flaky.run, 9, id="hopeless", task_queue=QUEUE, retry_policy=policy)
    assert str(caught.value.cause) == "Flaky: attempt 2"

    policy = RetryPolicy(initial_interval=timedelta(milliseconds=10), non_retryable_error_types=["Flaky"])
    with pytest.raises(WorkflowFailureError) as caught:
        await client.execute_workflow(Flaky.run, 9, id="final", task_queue=QUEUE, retry_policy=policy)
    assert str(caught.value.cause) == "Flaky: attempt 1"


async def test_a_run_that_times_out_is_retried(client: Client) -> None:
    policy = RetryPolicy(initial_interval=timedelta(milliseconds=10))
    times_out = timedelta(milliseconds=200)
    handle = await client.start_workflow(
        Stuck.run, id="stuck", task_queue=QUEUE, retry_policy=policy, run_timeout=times_out
    )
    assert await handle.result() == "second attempt"
    second = started((await chain(client, handle, 2))[1])
    assert second.continued_failure.HasField("timeout_failure_info")

    with pytest.raises(WorkflowFailureError) as caught:
        await client.execute_workflow(Stuck.run, id="stuck too", task_queue=QUEUE, run_timeout=times_out)
    assert isinstance(caught.value.cause, exceptions.TimeoutError)


async def test_a_cron_workflow_runs_on_its_schedule_until_it_is_terminated(client: Client) -> None:
    handle = await client.start_workflow(
        Clockwork.run, id="clock", task_queue=QUEUE, cron_schedule="@every 1s", memo={"m": 1}
    )
    first, second, third, fourth = await chain(client, handle, 4)

    # The second run failed, so the third got its failure, and the result of the first.
    assert not started(first).HasField("last_completion_result")
    assert started(second).last_completion_result.payloads[0].data == b"1"
    assert started(third).continued_failure.message == "the second run"
    assert started(third).last_completion_result.payloads[0].data == b"1"
    assert started(fourth).last_completion_result.payloads[0].data == b"2"
    for event in (first, second, third, fourth):
        assert started(event).initiator == Initiator.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE
        assert started(event).first_workflow_task_backoff.seconds == 1
        assert (started(event).cron_schedule, started(event).attempt) == ("@every 1s", 1)
        assert started(event).first_execution_run_id == handle.first_execution_run_id
        assert started(event).memo.fields["m"].data == b"1"
    # A run that waits shows when it will begin; the result of one that has a successor is no end.
    waiting = await client.get_workflow_handle("clock").describe()
    assert waiting.execution_time is not None
    assert waiting.execution_time - waiting.start_time == timedelta(seconds=1)

    await client.get_workflow_handle("clock").terminate()
    assert (await client.get_workflow_handle("clock").describe()).status == WorkflowExecutionStatus.TERMINATED


async def test_continue_as_new_hands_on_what_the_worker_says(client: Client) -> None:
    handle = await client.start_workflow(
        Counter.run, 1, id="counter", task_queue=QUEUE, execution_timeout=timedelta(seconds=60)
    )
    assert await handle.result() == [3, 2, True, True, True, True]
    with pytest.raises(WorkflowContinuedAsNewError):
        await client.get_workflow_handle("counter", run_id=handle.first_execution_run_id).result(
            follow_runs=False
        )
    last = started((await chain(client, handle, 3))[2])
    assert last.workflow_execution_timeout.seconds == 60
    assert [point.run_id for point in last.prev_auto_reset_points.points] == [handle.first_execution_run_id]


async def test_the_server_suggests_to_continue_as_new(client: Client) -> None:
    handle = await client.start_workflow(Suggested.run, id="suggested", task_queue=QUEUE)
    for _ in range(12):  # that many events are in the history by then
        with contextlib.suppress(RPCError):  # it is closed already
            await handle.signal(Suggested.deliver)
    result = await handle.result()
    assert result[1] >= 12
