"""What the tests of schedules have in common: workflows to start, and words for schedules."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from temporalio import workflow
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.schedule.v1 import (
    ScheduleActionResult,
    ScheduleInfo,
)
from temporalio.api.workflowservice.v1 import (
    DescribeScheduleRequest,
    DescribeScheduleResponse,
)
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleBackfill,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleIntervalSpec,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
)
from temporalio.client import ScheduleOverlapPolicy as OverlapPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.support import Site

QUEUE = "queue"
HOURLY = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(hours=1))])
EACH_SECOND = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(seconds=1))])
# A past hour, which is backfilled.
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@workflow.defn
class Held:
    """Runs until it is told to go on, or cancelled."""

    def __init__(self) -> None:
        self._released = False

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self._released)
        return "done"

    @workflow.signal
    def release(self) -> None:
        self._released = True


@workflow.defn
class Counted:
    """Counts on from the last result; fails where it is told to, and tells the last failure."""

    @workflow.run
    async def run(self, fail_at: int) -> int:
        count = int(workflow.get_last_completion_result(int) or 0) + 1
        failure = workflow.get_last_failure()
        if count == fail_at and failure is None:
            raise ApplicationError(f"no {count} today", non_retryable=True)
        return count


@workflow.defn
class Relayed:
    """Ends in its second run."""

    @workflow.run
    async def run(self, leg: int) -> str:
        if leg == 0:
            workflow.continue_as_new(1)
        return "arrived"


def schedule_worker(client: Client) -> Worker:
    """The Worker of these workflows."""
    return Worker(
        client,
        task_queue=QUEUE,
        workflows=[Held, Counted, Relayed],
        workflow_runner=UnsandboxedWorkflowRunner(),  # the sandbox takes most of a short test's time
    )


def action(name: str = "Held", *args: Any, **options: Any) -> ScheduleActionStartWorkflow:
    return ScheduleActionStartWorkflow(name, args=args, **{"id": "w", "task_queue": QUEUE, **options})


def schedule(
    start: ScheduleActionStartWorkflow | None = None,
    spec: ScheduleSpec = HOURLY,
    *,
    overlap: OverlapPolicy = OverlapPolicy.SKIP,
    state: ScheduleState | None = None,
    **policy: Any,
) -> Schedule:
    return Schedule(
        action=start or action(),
        spec=spec,
        policy=SchedulePolicy(overlap=overlap, **policy),
        state=state or ScheduleState(),
    )


async def until(handle: ScheduleHandle, condition: Callable[[ScheduleInfo], bool]) -> ScheduleDescription:
    """The description once it is so: nothing announces it to a client."""
    async with asyncio.timeout(20):
        while True:
            description = await handle.describe()
            if condition(description.raw_description.info):
                return description
            await asyncio.sleep(0.01)


def acted(count: int) -> Callable[[ScheduleInfo], bool]:
    return lambda info: info.action_count >= count


def ended(count: int) -> Callable[[ScheduleInfo], bool]:
    """`count` actions were taken, and none runs."""
    return lambda info: info.action_count >= count and not info.running_workflows


def seen_ended(count: int) -> Callable[[ScheduleInfo], bool]:
    """The same, and the schedule knows: a description leaves out a workflow that has ended a moment earlier."""
    running = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
    return lambda info: (
        ended(count)(info) and all(action.start_workflow_status != running for action in info.recent_actions)
    )


def slot(hours: int = 0) -> str:
    """The workflow id of a backfilled hour."""
    return f"w-{(NOON + timedelta(hours=hours)).strftime('%Y-%m-%dT%H:%M:%SZ')}"


async def backfill(handle: ScheduleHandle, hours: int, overlap: OverlapPolicy | None = None) -> None:
    """Backfill that many hours from noon on."""
    end = NOON + timedelta(hours=hours - 1)
    await handle.backfill(ScheduleBackfill(start_at=NOON, end_at=end, overlap=overlap))


def seconds_of(workflow_id: str) -> datetime:
    return datetime.strptime(workflow_id, "w-%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


async def describe(site: Site, schedule_id: str = "s") -> DescribeScheduleResponse:
    return await site.ask(
        DescribeScheduleRequest(namespace="default", schedule_id=schedule_id), DescribeScheduleResponse
    )


def slots(actions: Any) -> list[datetime]:
    found: list[ScheduleActionResult] = list(actions)
    return [seconds_of(result.start_workflow_result.workflow_id) for result in found]


def gaps(moments: list[datetime]) -> set[timedelta]:
    return {later - earlier for earlier, later in pairwise(moments)}
