"""Small workflows for the scenarios, and the Worker that runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

QUEUE = "q"
LIMIT = timedelta(seconds=10)


@activity.defn
async def greet(name: str) -> str:
    """One result."""
    return f"hello {name}"


@workflow.defn
class Inbox:
    """Greets by an activity, and collects letters until told to close."""

    def __init__(self) -> None:
        self._greeting = ""
        self._letters: list[str] = []
        self._closed = False

    @workflow.run
    async def run(self, name: str) -> list[str]:
        self._greeting = await workflow.execute_activity(greet, name, start_to_close_timeout=LIMIT)
        await workflow.wait_condition(lambda: self._closed)
        return self.letters()

    @workflow.signal
    def deliver(self, letter: str) -> None:
        self._letters.append(letter)

    @workflow.signal
    def close(self) -> None:
        self._closed = True

    @workflow.query
    def letters(self) -> list[str]:
        """The greeting, once it is there, and the letters."""
        return [*filter(None, [self._greeting]), *self._letters]


async def greeted(handle: WorkflowHandle[Inbox, list[str]]) -> None:
    """Return once the greeting is in the history; a query after it sees it."""
    async for event in handle.fetch_history_events(wait_new_event=True):
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            return


@workflow.defn
class Relay:
    """Continues as new at each signal until its count is reached."""

    def __init__(self) -> None:
        self._passed = False

    @workflow.run
    async def run(self, leg: int, legs: int) -> int:
        if leg < legs:
            await workflow.wait_condition(lambda: self._passed)
            workflow.continue_as_new(args=[leg + 1, legs])
        return leg

    @workflow.signal
    def baton(self) -> None:
        self._passed = True

    @workflow.query
    def passed(self) -> bool:
        return self._passed


@workflow.defn
class Sleeper:
    """One timer."""

    def __init__(self) -> None:
        self._asleep = False

    @workflow.run
    async def run(self, seconds: float) -> str:
        self._asleep = True
        await workflow.sleep(seconds)
        return "awake"

    @workflow.query
    def asleep(self) -> bool:
        return self._asleep


@workflow.defn
class Echo:
    """Ends at its first task."""

    @workflow.run
    async def run(self, text: str) -> str:
        return text


WORKFLOWS: Sequence[type] = (Echo, Inbox, Relay, Sleeper)
ACTIVITIES: Sequence[Callable[..., Any]] = (greet,)


def worker(client: Client, **options: Any) -> Worker:
    """A Worker as an application runs it; `options` go to `temporalio.worker.Worker`."""
    return Worker(
        client,
        **{
            "task_queue": QUEUE,
            "workflows": WORKFLOWS,
            "activities": ACTIVITIES,
            "workflow_runner": UnsandboxedWorkflowRunner(),  # the sandbox takes most of a short test's time
            **options,
        },
    )
