"""Workflows and activities for the SDK tests of activities.

In a module of its own with few imports: an SDK worker imports it anew for each workflow.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError
from temporalio.workflow import ActivityCancellationType

QUEUE = "queue"
NOBODY = "nobody polls here"


@dataclass
class Wanted:
    """How a workflow runs its one activity. Times are milliseconds."""

    activity: str
    how: str = ""
    start_to_close: int | None = 60_000
    schedule_to_close: int | None = None
    schedule_to_start: int | None = None
    heartbeat: int | None = None
    initial_interval: int = 10
    maximum_attempts: int = 0
    not_retried: list[str] = field(default_factory=list)
    queue: str = QUEUE
    cancellation: int = int(ActivityCancellationType.TRY_CANCEL)
    priority: int | None = None


@activity.defn
async def attempts(how: str) -> str:
    """Fails in the way it is told to; says which attempt was good, and what it got from the one before."""
    info = activity.info()
    match how, info.attempt:
        case "delay", 1:
            raise ApplicationError("later", next_retry_delay=timedelta(milliseconds=20))
        case "too long a delay", _:
            raise ApplicationError("much later", next_retry_delay=timedelta(hours=2))
        case "type", _:
            raise ApplicationError("no", type="Never")
        case "flag", _:
            raise ApplicationError("no", non_retryable=True)
        case "always", _:
            raise ApplicationError(f"attempt {info.attempt}")
        case "beats", 1 | 2:
            for beat in range(3):  # the worker sends the last one with the failure at the latest
                activity.heartbeat(info.attempt, beat)
            raise ApplicationError("not yet")
    return f"{info.attempt} {list(info.heartbeat_details)} {info.priority.priority_key}"


@activity.defn
async def hangs(how: str) -> None:
    """Says nothing after its first heartbeat."""
    activity.heartbeat(how)
    await asyncio.sleep(60)


@activity.defn
async def runs(how: str) -> str:
    """Beats until it is cancelled, and then gives in, or is done."""
    try:
        while True:
            activity.heartbeat()
            await asyncio.sleep(0.02)
    except asyncio.CancelledError:
        if how == "finishes":
            return "finished anyway"
        raise


@activity.defn
async def left_to_others(how: str) -> str:
    """Completed by somebody who has its token."""
    activity.heartbeat(activity.info().task_token.hex())
    activity.raise_complete_async()


@workflow.defn
class RunsActivity:
    """Runs one activity, and cancels it when it gets the signal `cancel`."""

    def __init__(self) -> None:
        self._cancel = False

    @workflow.run
    async def run(self, wanted: Wanted) -> str:
        def milliseconds(value: int | None) -> timedelta | None:
            return None if value is None else timedelta(milliseconds=value)

        handle = workflow.start_activity(
            wanted.activity,
            wanted.how,
            result_type=str,
            activity_id="a",
            task_queue=wanted.queue,
            start_to_close_timeout=milliseconds(wanted.start_to_close),
            schedule_to_close_timeout=milliseconds(wanted.schedule_to_close),
            schedule_to_start_timeout=milliseconds(wanted.schedule_to_start),
            heartbeat_timeout=milliseconds(wanted.heartbeat),
            retry_policy=RetryPolicy(
                initial_interval=timedelta(milliseconds=wanted.initial_interval),
                maximum_attempts=wanted.maximum_attempts,
                non_retryable_error_types=wanted.not_retried,
            ),
            cancellation_type=ActivityCancellationType(wanted.cancellation),
            priority=Priority(priority_key=wanted.priority),
        )
        await workflow.wait_condition(lambda: handle.done() or self._cancel)
        if self._cancel:
            handle.cancel()
        try:
            result: str = await handle
        except ActivityError as error:
            if isinstance(error.cause, CancelledError):
                return "cancelled"
            return f"{error.cause}: {error.retry_state.name if error.retry_state else None}"
        return result

    @workflow.signal
    def cancel(self) -> None:
        self._cancel = True


@activity.defn
async def beats() -> str:
    """The first attempt beats until the server stops it; the second one is done."""
    if activity.info().attempt > 1:
        return f"attempt {activity.info().attempt}"
    try:
        while True:
            activity.heartbeat()
            await asyncio.sleep(0.02)
    except asyncio.CancelledError:
        details = activity.cancellation_details()
        assert details is not None
        if details.reset:
            raise ApplicationError("begins anew") from None
        raise


@workflow.defn
class Beating:
    """Runs the activity that beats."""

    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(
            beats,
            activity_id="beats",
            start_to_close_timeout=timedelta(seconds=60),
            heartbeat_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=10)),
        )
