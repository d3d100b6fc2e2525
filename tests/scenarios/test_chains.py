"""Scenario 11, and what else chains of runs and starts owe to a failover."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.api.common.v1 import RetryPolicy as RawRetryPolicy
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import ContinueAsNewInitiator, EventType, WorkflowIdConflictPolicy
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes
from temporalio.api.workflow.v1 import OnConflictOptions
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
)
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

from mockcloud.cloud.views import RunView
from mockcloud.core import times
from tests.core.lives import fail_workflow
from tests.scenarios.stage import EAST, WEST, Stage, short, until
from tests.scenarios.workflows import QUEUE, worker

CRON = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE
RETRY = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_RETRY


@workflow.defn
class Fourth:
    """Succeeds at its fourth attempt."""

    @workflow.run
    async def run(self) -> int:
        if workflow.info().attempt < 4:
            raise ApplicationError("not yet")
        return workflow.info().attempt


@workflow.defn
class Tick:
    """Counts the runs of a cron schedule."""

    @workflow.run
    async def run(self) -> int:
        return (workflow.get_last_completion_result(int) or 0) + 1


WORKFLOWS: Sequence[type] = (Fourth, Tick)


def started(run: RunView) -> WorkflowExecutionStartedEventAttributes:
    return run.events[0].workflow_execution_started_event_attributes


def first_task(run: RunView) -> HistoryEvent:
    return next(event for event in run.events if short(event) == "WORKFLOW_TASK_SCHEDULED")


def in_order(runs: Sequence[RunView]) -> list[RunView]:
    """The runs of one chain, the first one first."""
    followers = {started(run).continued_execution_run_id: run for run in runs}
    chain = []
    run_id = ""
    while run_id in followers:
        chain.append(followers[run_id])
        run_id = chain[-1].run_id
    assert len(chain) == len(runs), "the runs are one chain"
    return chain


def on_time(run: RunView) -> None:
    """Its first workflow task came when the wait that its first event tells was over, and at most a second later."""
    due = times.nanoseconds(run.events[0].event_time) + times.nanoseconds(
        started(run).first_workflow_task_backoff
    )
    late = times.nanoseconds(first_task(run).event_time) - due
    assert 0 <= late < times.SECOND


async def run_count(client: Client, workflow_id: str, count: int) -> None:
    """Return once the workflow id's current run is the `count`th of its chain, which is waiting."""

    async def there() -> bool:
        first = await anext(client.get_workflow_handle(workflow_id).fetch_history_events())
        result = first.workflow_execution_started_event_attributes.last_completion_result
        return bool(result.payloads) and int(result.payloads[0].data) >= count - 1

    await until(there)


async def test_11_cron_and_workflow_retry(journey: Stage) -> None:
    # Given a workflow that is retried, and one on a schedule, each in the middle of its chain.
    client = await journey.client()
    async with worker(client, workflows=WORKFLOWS):
        policy = RetryPolicy(initial_interval=timedelta(seconds=1), backoff_coefficient=1)
        retried = await client.start_workflow(Fourth.run, id="retried", task_queue=QUEUE, retry_policy=policy)
        await client.start_workflow(Tick.run, id="tick", task_queue=QUEUE, cron_schedule="@every 1s")
        await run_count(client, "tick", 2)

        # When the namespace fails over.
        await journey.switch()

        # Then both go on in the new region.
        assert await retried.result() == 4
        await run_count(client, "tick", 4)
        await client.get_workflow_handle("tick").terminate()

    chain = in_order(await journey.settled("retried"))
    assert [started(run).attempt for run in chain] == [1, 2, 3, 4]
    assert [started(run).initiator for run in chain[1:]] == [RETRY] * 3
    assert [run.status for run in chain] == ["FAILED"] * 3 + ["COMPLETED"]
    assert chain[-1].events[-1].version == journey.versions[-1]
    for run in chain:
        on_time(run)
    ticks = in_order(await journey.settled("tick"))
    assert ticks[-1].status == "TERMINATED"
    assert {started(run).initiator for run in ticks} == {CRON}
    for run in ticks[:-1]:
        assert run.status == "COMPLETED"
        on_time(run)


async def backing_off(stage: Stage, seconds: float, **fields: Any) -> str:
    """A run that failed in EAST and is to be retried after so many seconds; the id of the run that waits."""
    policy = RawRetryPolicy(backoff_coefficient=1)
    policy.initial_interval.FromNanoseconds(int(seconds * times.SECOND))
    first = await stage.at(EAST).start("w", retry_policy=policy, **fields)
    await stage.at(EAST).work(fail_workflow())
    closed = (await stage.at(EAST).events("w", first))[-1]
    return closed.workflow_execution_failed_event_attributes.new_execution_run_id


async def test_a_graceful_failover_in_a_backoff_keeps_its_moment(stage: Stage) -> None:
    waiting = await backing_off(stage, 1.5)
    await stage.switch()

    # Nobody polls in EAST any more; the task comes in WEST, on time, and under its version.
    task = await stage.at(WEST).poll()
    assert task.workflow_execution.run_id == waiting
    await stage.at(WEST).complete(task)
    run = next(run for run in await stage.settled("w") if run.run_id == waiting)
    on_time(run)
    assert [event.version for event in run.events[:2]] == [1, 2]


async def test_a_forced_failover_in_a_backoff_keeps_its_moment(stage: Stage) -> None:
    waiting = await backing_off(stage, 1.5)
    await stage.namespace.replicated()
    cut = stage.cloud.link(EAST, WEST).partition()
    await stage.failover(WEST, forced=True)
    task = await stage.at(WEST).poll()
    assert task.workflow_execution.run_id == waiting
    await stage.at(WEST).complete(task)

    # The old region goes on by itself too; healed, the new one's branch stands.
    cut.remove()
    run = next(run for run in await stage.settled("w") if run.run_id == waiting)
    on_time(run)
    assert run.events[1].version == 2


async def test_a_start_that_was_attached_is_known_in_the_other_region(journey: Stage) -> None:
    async def start(region: str | None, request_id: str) -> StartWorkflowExecutionResponse:
        request = StartWorkflowExecutionRequest(
            workflow_id="w",
            request_id=request_id,
            workflow_id_conflict_policy=WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
            on_conflict_options=OnConflictOptions(attach_request_id=True),
        )
        request.workflow_type.name = "raw"
        request.task_queue.name = QUEUE
        return await journey.at(region).ask(request, StartWorkflowExecutionResponse)

    first = await start(EAST, "made it")
    attached = await start(EAST, "attached")
    await journey.switch()

    for request_id, answer in (("made it", first), ("attached", attached)):
        assert await start(None, request_id) == answer
    (run,) = await journey.settled("w")
    updated = [event for event in run.events if short(event) == "WORKFLOW_EXECUTION_OPTIONS_UPDATED"]
    assert len(updated) == 1
    assert attached.link.workflow_event.request_id_ref.event_type == (
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED
    )


async def test_an_eager_task_whose_region_is_lost_is_given_to_another_worker(stage: Stage) -> None:
    request = StartWorkflowExecutionRequest(workflow_id="w", request_eager_execution=True)
    request.workflow_type.name = "raw"
    request.task_queue.name = QUEUE
    answer = await stage.at(EAST).ask(request, StartWorkflowExecutionResponse)
    assert answer.HasField("eager_workflow_task")
    await stage.switch()

    # A touch fails the task that a worker of the old region has; the next is to be had in the new one.
    await stage.at(WEST).call(DescribeWorkflowExecutionRequest(execution=WorkflowExecution(workflow_id="w")))
    task = await stage.at(WEST).poll()
    await stage.at(WEST).complete(task)
    run = await stage.only_run("w")
    assert [short(event) for event in run.events[2:5]] == [
        "WORKFLOW_TASK_STARTED",
        "WORKFLOW_TASK_FAILED",
        "WORKFLOW_TASK_SCHEDULED",
    ]


async def test_35_a_retry_of_the_losing_side_ends_and_the_winner_stays_current(stage: Stage) -> None:
    # Given a split, in which the run fails and is retried on one side, and goes on on the other.
    policy = RawRetryPolicy(backoff_coefficient=1)
    policy.initial_interval.FromSeconds(60)
    first = await stage.at(EAST).start("w", retry_policy=policy)
    await stage.namespace.replicated()
    cut = stage.cloud.link(EAST, WEST).partition()
    await stage.at(EAST).work(fail_workflow())
    closed = (await stage.at(EAST).events("w", first))[-1]
    lost = closed.workflow_execution_failed_event_attributes.new_execution_run_id
    await stage.failover(WEST, forced=True)
    await stage.at(WEST).work()

    # When they agree again, the retry has ended and the run that went on is the current one, still open.
    cut.remove()
    runs = {run.run_id: run for run in await stage.settled("w")}
    assert set(runs) == {first, lost}
    assert (runs[first].status, runs[first].current) == ("RUNNING", True)
    assert len(runs[first].branches) == 2
    assert (runs[lost].status, runs[lost].current) == ("TERMINATED", False)
    reason = runs[lost].events[-1].workflow_execution_terminated_event_attributes.reason
    assert reason == "Terminate Workflow Due To Version Conflict."
