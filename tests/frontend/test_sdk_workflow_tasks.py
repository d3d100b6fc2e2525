"""Workflow tasks of an unmodified SDK worker: local activities, failures, caches, eager activities."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio import activity, workflow
from temporalio.api.enums.v1 import (
    EventType,
    TaskQueueKind,
    TaskQueueType,
    TimeoutType,
    WorkflowTaskFailedCause,
)
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.taskqueue.v1 import StickyExecutionAttributes, TaskQueue
from temporalio.api.workflowservice.v1 import RespondWorkflowTaskCompletedRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import PollerBehaviorAutoscaling, UnsandboxedWorkflowRunner, Worker

from tests.frontend.raw_worker import take_task
from tests.support import Site, grpc_address

QUEUE = "queue"
SOON = timedelta(seconds=10)
Cause = WorkflowTaskFailedCause


@activity.defn
async def say(word: str) -> str:
    return word


@activity.defn
async def say_at_third() -> int:
    if activity.info().attempt < 3:
        raise ApplicationError("not yet")
    return activity.info().attempt


@activity.defn
async def take_long() -> str:
    await asyncio.sleep(1.6)
    return "took long"


@workflow.defn
class Local:
    """Local activities: one that works, one that is tried again, one that outlasts the workflow task."""

    @workflow.run
    async def run(self, which: str) -> Any:
        if which == "long":
            return await workflow.execute_local_activity(take_long, start_to_close_timeout=SOON)
        if which == "retried":
            return await workflow.execute_local_activity(
                say_at_third,
                start_to_close_timeout=SOON,
                retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=1)),
            )
        return await workflow.execute_local_activity(say, "here", start_to_close_timeout=SOON)


@workflow.defn
class Patched:
    """Changed once, with a patch."""

    @workflow.run
    async def run(self) -> str:
        return "new" if workflow.patched("change") else "old"


@workflow.defn
class Steps:
    """An activity for each step; waits in between."""

    def __init__(self) -> None:
        self._steps = 0

    @workflow.run
    async def run(self) -> int:
        for number in range(3):
            await workflow.wait_condition(lambda wanted=number: self._steps > wanted)  # type: ignore[misc]
            await workflow.execute_activity(say, "step", start_to_close_timeout=SOON)
        return self._steps

    @workflow.signal
    def step(self) -> None:
        self._steps += 1


@workflow.defn(name="Steps")
class OtherSteps:
    """The same name, and another first step: no replay of `Steps` fits it."""

    @workflow.run
    async def run(self) -> int:
        await asyncio.sleep(3600)
        return 0

    @workflow.signal
    def step(self) -> None:
        """Nothing."""


@workflow.defn(name="Steps")
class BrokenSteps:
    """The same name, and a bug."""

    @workflow.run
    async def run(self) -> int:
        raise RuntimeError("a bug")

    @workflow.signal
    def step(self) -> None:
        """Nothing."""


@pytest.fixture
async def client(site: Site) -> AsyncIterator[Client]:
    async with grpc_address(site) as address:
        yield await Client.connect(address)


def worker(client: Client, *workflows: type, **options: Any) -> Worker:
    return Worker(
        client,
        task_queue=QUEUE,
        workflows=workflows or (Local, Patched, Steps),
        activities=[say, say_at_third, take_long],
        workflow_runner=UnsandboxedWorkflowRunner(),
        **options,
    )


async def events(handle: WorkflowHandle[Any, Any], name: str = "") -> list[HistoryEvent]:
    """Of one type, or all."""
    wanted = EventType.Value(f"EVENT_TYPE_{name}") if name else None
    return [
        event async for event in handle.fetch_history_events() if wanted is None or event.event_type == wanted
    ]


async def happened(handle: WorkflowHandle[Any, Any], name: str, count: int = 1) -> None:
    """Return once `count` events of a type are in the history."""
    wanted = EventType.Value(f"EVENT_TYPE_{name}")
    async for event in handle.fetch_history_events(wait_new_event=True):
        count -= event.event_type == wanted
        if not count:
            return


@pytest.mark.parametrize(("which", "result"), [("quick", "here"), ("retried", 3)])
async def test_a_local_activity_is_a_marker(client: Client, which: str, result: object) -> None:
    async with worker(client):
        handle = await client.start_workflow(Local.run, which, id="w", task_queue=QUEUE)
        assert await handle.result() == result
    (marker,) = await events(handle, "MARKER_RECORDED")
    assert marker.marker_recorded_event_attributes.marker_name == "core_local_activity"
    assert not await events(handle, "ACTIVITY_TASK_SCHEDULED")
    assert len(await events(handle, "WORKFLOW_TASK_COMPLETED")) == 1


async def test_a_long_local_activity_keeps_its_workflow_task_by_heartbeats(client: Client) -> None:
    async with worker(client):
        handle = await client.start_workflow(
            Local.run, "long", id="w", task_queue=QUEUE, task_timeout=timedelta(seconds=1)
        )
        assert await handle.result() == "took long"
    assert len(await events(handle, "WORKFLOW_TASK_COMPLETED")) >= 2, "each heartbeat completes one"
    assert not await events(handle, "WORKFLOW_TASK_TIMED_OUT")
    inline = [
        event.workflow_task_started_event_attributes.request_id
        for event in await events(handle, "WORKFLOW_TASK_STARTED")
    ]
    assert "request-from-RespondWorkflowTaskCompleted" in inline, "the next one came with the answer"


async def test_patches_are_markers_and_search_attributes_and_replay(client: Client) -> None:
    async with worker(client, max_cached_workflows=0):
        handle = await client.start_workflow(Patched.run, id="w", task_queue=QUEUE)
        assert await handle.result() == "new"
    (marker,) = await events(handle, "MARKER_RECORDED")
    assert marker.marker_recorded_event_attributes.marker_name == "core_patch"


@pytest.mark.parametrize("cached", [0, 100])
async def test_a_worker_with_and_without_a_cache(client: Client, cached: int) -> None:
    async with worker(client, max_cached_workflows=cached):
        handle = await client.start_workflow(Steps.run, id="w", task_queue=QUEUE)
        for number in range(3):
            await handle.signal(Steps.step)
            await happened(handle, "ACTIVITY_TASK_COMPLETED", number + 1)
        assert await handle.result() == 3
    kinds = {
        event.workflow_task_scheduled_event_attributes.task_queue.kind
        for event in (await events(handle, "WORKFLOW_TASK_SCHEDULED"))[1:]
    }
    sticky, normal = TaskQueueKind.TASK_QUEUE_KIND_STICKY, TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    assert kinds == ({sticky} if cached else {normal})


@pytest.mark.parametrize(
    ("wrong", "cause"),
    [
        (OtherSteps, Cause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR),
        (BrokenSteps, Cause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE),
    ],
)
async def test_a_failing_workflow_task_is_written_once_and_the_run_goes_on_when_it_is_mended(
    client: Client, wrong: type, cause: Cause.ValueType
) -> None:
    handle = await client.start_workflow(
        Steps.run, id="w", task_queue=QUEUE, task_timeout=timedelta(milliseconds=500)
    )
    async with worker(client, max_cached_workflows=0):
        await handle.signal(Steps.step)
        await happened(handle, "ACTIVITY_TASK_COMPLETED")
        await happened(handle, "WORKFLOW_TASK_COMPLETED", 2)

    async with worker(client, wrong, max_cached_workflows=0):
        await handle.signal(Steps.step)
        await happened(handle, "WORKFLOW_TASK_FAILED")
        # Further attempts fail, too, and leave no events.
        async with asyncio.timeout(10):
            while (await handle.describe()).raw_description.pending_workflow_task.attempt < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    (failed,) = await events(handle, "WORKFLOW_TASK_FAILED")
    assert failed.workflow_task_failed_event_attributes.cause == cause
    assert failed.workflow_task_failed_event_attributes.failure.message
    async with worker(client, max_cached_workflows=0):
        await handle.signal(Steps.step)
        assert await handle.result() == 3
    assert len(await events(handle, "WORKFLOW_TASK_FAILED")) == 1
    assert not await events(handle, "WORKFLOW_TASK_TIMED_OUT")


@pytest.mark.parametrize("disabled", [False, True])
async def test_eager_activities_never_see_the_queue(client: Client, site: Site, disabled: bool) -> None:
    async with worker(client, disable_eager_activity_execution=disabled):
        handle = await client.start_workflow(Steps.run, id="w", task_queue=QUEUE)
        for _ in range(3):
            await handle.signal(Steps.step)
        assert await handle.result() == 3
    namespace = site.region.namespaces.by_name("default")
    view = site.region.task_queues.describe(namespace, QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)
    assert (view.stats.tasks_add_rate > 0) is disabled


async def test_a_worker_that_shuts_down_takes_no_task_with_it(client: Client) -> None:
    """Its polls are ended by the server; what comes then waits for the next worker, as a first attempt."""
    for number in range(5):
        async with worker(client):
            pass
        handle = await client.start_workflow(Local.run, "quick", id=f"w{number}", task_queue=QUEUE)
        assert len(await events(handle)) == 2, "nobody took its task"
        async with worker(client):
            assert await handle.result() == "here"
        assert not await events(handle, "WORKFLOW_TASK_TIMED_OUT")


async def test_the_task_of_a_sticky_worker_that_vanished_goes_to_another(client: Client, site: Site) -> None:
    handle = await client.start_workflow(Steps.run, id="w", task_queue=QUEUE)
    normal = TaskQueue(name=QUEUE)
    sticky = TaskQueue(name="sticky", kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY, normal_name=QUEUE)
    soon = Duration()
    soon.FromMilliseconds(200)
    task = await take_task(site, normal)
    await take_task(site, sticky, timeout=2.05)  # it was there a moment ago
    await site.call(
        RespondWorkflowTaskCompletedRequest(
            namespace="default",
            task_token=task.task_token,
            sticky_attributes=StickyExecutionAttributes(
                worker_task_queue=sticky, schedule_to_start_timeout=soon
            ),
        )
    )
    async with worker(client):
        for _ in range(3):
            await handle.signal(Steps.step)
        assert await handle.result() == 3
    (timed_out,) = await events(handle, "WORKFLOW_TASK_TIMED_OUT")
    attributes = timed_out.workflow_task_timed_out_event_attributes
    assert attributes.timeout_type == TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START


async def test_a_worker_that_scales_its_pollers(client: Client) -> None:
    scaled = PollerBehaviorAutoscaling(minimum=1, maximum=10, initial=2)
    async with worker(client, workflow_task_poller_behavior=scaled, activity_task_poller_behavior=scaled):
        handles = [
            await client.start_workflow(Steps.run, id=f"w{number}", task_queue=QUEUE) for number in range(20)
        ]
        for handle in handles * 3:
            await handle.signal(Steps.step)
        assert await asyncio.gather(*(handle.result() for handle in handles)) == [3] * 20
