"""Workflows and activities that the SDK tests run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

QUICK = timedelta(seconds=10)


@activity.defn
async def greet(name: str) -> str:
    """One attempt, one result."""
    return f"hello {name}"


@activity.defn
async def fail_twice() -> int:
    """Succeeds at the third attempt; says which attempt it was."""
    attempt = activity.info().attempt
    if attempt < 3:
        raise ApplicationError("not yet", type="NotYet")
    return attempt


@activity.defn
async def resume_from_heartbeat() -> list[str]:
    """The second attempt gets what the first one heartbeat."""
    details = [str(detail) for detail in activity.info().heartbeat_details]
    if activity.info().attempt == 1:
        activity.heartbeat("half way")
        raise ApplicationError("interrupted")
    return details


@activity.defn
async def wait_for_cancellation() -> None:
    """Heartbeats until it is cancelled."""
    while True:
        activity.heartbeat()
        await asyncio.sleep(0.05)


@activity.defn
async def finish_later() -> str:
    """Completed by someone else, by token or by id."""
    activity.raise_complete_async()


@activity.defn
async def never_answers() -> None:
    """Outlives its time-out."""
    await asyncio.sleep(30)


@workflow.defn
class Greeting:
    """One activity."""

    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(greet, name, start_to_close_timeout=QUICK)


@workflow.defn
class Retried:
    """Activities that fail first."""

    @workflow.run
    async def run(self) -> tuple[int, list[str]]:
        quick = RetryPolicy(initial_interval=timedelta(milliseconds=10))
        attempt = await workflow.execute_activity(
            fail_twice, start_to_close_timeout=QUICK, retry_policy=quick
        )
        details = await workflow.execute_activity(
            resume_from_heartbeat, start_to_close_timeout=QUICK, retry_policy=quick
        )
        return attempt, details


@workflow.defn
class TimedOut:
    """An activity that does not answer in time."""

    @workflow.run
    async def run(self) -> str:
        try:
            await workflow.execute_activity(
                never_answers,
                start_to_close_timeout=timedelta(milliseconds=100),
                retry_policy=RetryPolicy(maximum_attempts=1),
            )
        except Exception as error:
            return type(error.__cause__).__name__
        return "no error"


@workflow.defn
class Inbox:
    """Signals and queries; ends at the signal `close`."""

    def __init__(self) -> None:
        self._letters: list[str] = []
        self._closed = False

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.wait_condition(lambda: self._closed)
        return self._letters

    @workflow.signal
    def deliver(self, letter: str) -> None:
        self._letters.append(letter)

    @workflow.signal
    def close(self) -> None:
        self._closed = True

    @workflow.query
    def letters(self) -> list[str]:
        return self._letters

    @workflow.query
    def broken(self) -> None:
        raise ValueError("no answer")


@workflow.defn
class Sleeper:
    """A timer, and one that is cancelled."""

    @workflow.run
    async def run(self) -> str:
        never = asyncio.create_task(asyncio.sleep(3600))
        await asyncio.sleep(0.05)
        never.cancel()
        return "awake"


@workflow.defn
class Cancellable:
    """Cancels its activity when it is cancelled itself."""

    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            wait_for_cancellation,
            start_to_close_timeout=timedelta(seconds=60),
            heartbeat_timeout=timedelta(seconds=1),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )


@workflow.defn
class Counting:
    """Continues as new until it has counted to three."""

    @workflow.run
    async def run(self, count: int) -> int:
        if count < 3:
            workflow.continue_as_new(count + 1)
        return count


@workflow.defn
class Delegating:
    """Waits for an activity that somebody else completes."""

    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(
            finish_later, activity_id="later", start_to_close_timeout=timedelta(seconds=60)
        )


@workflow.defn
class Failing:
    """Fails."""

    @workflow.run
    async def run(self) -> None:
        raise ApplicationError("broken", type="Broken", non_retryable=True)


@workflow.defn
class Unbuilt:
    """Uses a command that is not built."""

    @workflow.run
    async def run(self) -> None:
        client = workflow.create_nexus_client(service="service", endpoint="endpoint")
        await client.execute_operation("operation", None)


WORKFLOWS = [
    Cancellable,
    Counting,
    Delegating,
    Failing,
    Greeting,
    Inbox,
    Unbuilt,
    Retried,
    Sleeper,
    TimedOut,
]
ACTIVITIES: list[Callable[..., Any]] = [
    fail_twice,
    finish_later,
    greet,
    never_answers,
    resume_from_heartbeat,
    wait_for_cancellation,
]
