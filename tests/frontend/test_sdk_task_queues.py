"""Priority, fairness and rate limits of a task queue, with an unmodified SDK client and worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType, RateLimitSource, TaskQueueType
from temporalio.api.taskqueue.v1 import RateLimit, TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    UpdateTaskQueueConfigRequest,
)
from temporalio.client import Client, WorkflowHandle
from temporalio.common import Priority
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.support import Site, grpc_address

WORKFLOWS, ACTIVITIES = "workflows", "activities"
ACTIVITY = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
Wanted = tuple[int | None, str | None]  # priority key and fairness key


@workflow.defn
class Spread:
    """Schedules an activity for each priority that it is told, all at once, on a queue of their own."""

    @workflow.run
    async def run(self, wanted: list[Wanted]) -> None:
        await asyncio.gather(
            *(
                workflow.execute_activity(
                    "note",
                    str(number),
                    task_queue=ACTIVITIES,
                    start_to_close_timeout=timedelta(seconds=30),
                    priority=Priority(priority_key=key, fairness_key=fairness_key),
                )
                for number, (key, fairness_key) in enumerate(wanted)
            )
        )


@pytest.fixture
async def client(site: Site) -> AsyncIterator[Client]:
    async with grpc_address(site) as address:
        yield await Client.connect(address)


class Notes:
    """An activity that writes down what came, one after the other."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Priority]] = []

    @activity.defn
    async def note(self, name: str) -> None:
        self.seen.append((name, activity.info().priority))


def worker(client: Client, notes: Notes, **options: Any) -> Worker:
    """One activity at a time, so that the order of the queue is that of the notes."""
    return Worker(
        client,
        task_queue=ACTIVITIES,
        activities=[notes.note],
        max_concurrent_activities=1,
        max_concurrent_activity_task_polls=1,
        **options,
    )


async def scheduled(client: Client, wanted: list[Wanted], **options: Any) -> WorkflowHandle[Any, None]:
    """A run whose activities wait in their queue."""
    async with Worker(
        client, task_queue=WORKFLOWS, workflows=[Spread], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        handle = await client.start_workflow(Spread.run, wanted, id="w", task_queue=WORKFLOWS, **options)
        async for event in handle.fetch_history_events(wait_new_event=True):
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                return handle
    raise AssertionError("the activities are scheduled")


async def noted(notes: Notes, count: int) -> None:
    async with asyncio.timeout(10):
        while len(notes.seen) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def describe(client: Client) -> DescribeTaskQueueResponse:
    return await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace="default",
            task_queue=TaskQueue(name=ACTIVITIES),
            task_queue_type=ACTIVITY,
            report_stats=True,
        )
    )


async def test_lower_priority_keys_first_and_the_workflows_own_where_an_activity_says_nothing(
    client: Client,
) -> None:
    notes = Notes()
    wanted: list[Wanted] = [(5, None), (4, None), (None, None), (1, None), (3, None), (1, None)]
    await scheduled(client, wanted, priority=Priority(priority_key=2, fairness_key="tenant"))

    stats = (await describe(client)).stats_by_priority_key
    waiting = {key: each.approximate_backlog_count for key, each in stats.items()}
    assert waiting == {1: 2, 2: 1, 3: 1, 4: 1, 5: 1}
    async with worker(client, notes):
        await noted(notes, 6)

    assert [name for name, _ in notes.seen] == ["3", "5", "2", "4", "1", "0"]
    assert {priority.fairness_key for _, priority in notes.seen} == {"tenant"}
    assert [priority.priority_key for _, priority in notes.seen] == [1, 1, 2, 3, 4, 5]


async def test_fairness_keys_take_turns(client: Client) -> None:
    notes = Notes()
    await scheduled(client, [*[(None, "big")] * 10, (None, "small"), (None, "small")])

    async with worker(client, notes):
        await noted(notes, 12)

    first = [priority.fairness_key for _, priority in notes.seen[:4]]
    assert first.count("small") == 2


async def test_a_workers_limit_of_its_queue(client: Client) -> None:
    notes = Notes()
    await scheduled(client, [(None, None)] * 8)

    began = asyncio.get_running_loop().time()
    async with worker(client, notes, max_task_queue_activities_per_second=5.0):
        await noted(notes, 8)
        took = asyncio.get_running_loop().time() - began
        limit = (await describe(client)).effective_rate_limit
    assert took >= 0.4, "five at once, then one each fifth of a second"
    assert limit.requests_per_second == 5
    assert limit.rate_limit_source == RateLimitSource.RATE_LIMIT_SOURCE_WORKER


async def test_a_limit_of_zero_holds_a_queue_until_it_is_lifted(client: Client) -> None:
    notes = Notes()
    update = UpdateTaskQueueConfigRequest(
        namespace="default", task_queue=ACTIVITIES, task_queue_type=ACTIVITY, identity="operator"
    )
    update.update_queue_rate_limit.CopyFrom(
        UpdateTaskQueueConfigRequest.RateLimitUpdate(rate_limit=RateLimit(), reason="hold")
    )
    await client.workflow_service.update_task_queue_config(update)
    handle = await scheduled(client, [(None, None)])

    async with (
        worker(client, notes),
        Worker(client, task_queue=WORKFLOWS, workflows=[Spread], workflow_runner=UnsandboxedWorkflowRunner()),
    ):
        async with asyncio.timeout(10):
            while not (await describe(client)).pollers:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        assert (await describe(client)).stats.approximate_backlog_count == 1
        assert not notes.seen
        update.update_queue_rate_limit.CopyFrom(UpdateTaskQueueConfigRequest.RateLimitUpdate(reason="go on"))
        await client.workflow_service.update_task_queue_config(update)
        await handle.result()
    assert len(notes.seen) == 1
