"""A region that joins a namespace's replicas empty is given what the others have, while work goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import TaskQueueType, WorkflowTaskFailedCause
from temporalio.api.replication.v1 import ClusterReplicationConfig, NamespaceReplicationConfig
from temporalio.api.schedule.v1 import IntervalSpec, Schedule, ScheduleAction, ScheduleSpec
from temporalio.api.taskqueue.v1 import RateLimit, TaskQueue
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    CountWorkflowExecutionsResponse,
    CreateScheduleRequest,
    DeleteWorkflowExecutionRequest,
    DescribeScheduleRequest,
    DescribeScheduleResponse,
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    ResetWorkflowExecutionRequest,
    RespondActivityTaskCompletedRequest,
    RespondWorkflowTaskFailedRequest,
    UpdateNamespaceRequest,
    UpdateTaskQueueConfigRequest,
)

from mockcloud.core.limits import Limits
from mockcloud.engine import fills
from mockcloud.store import fills as stored
from mockcloud.store.log import read_log
from tests.scenarios.invariants import settled
from tests.scenarios.stage import (
    COMPLETE,
    EAST,
    LOCALLY,
    WEST,
    Caller,
    Stage,
    open_stage,
    opened,
    schedule_activity,
    signals,
    start_timer,
    until,
)
from tests.scenarios.test_visibility import until_listed

SOUTH = "gcp-us-central1"


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """Three regions; the namespace `orders` is in two of them."""
    stage = await open_stage(regions=(EAST, WEST, SOUTH))
    stage.namespace = await stage.cloud.create_namespace("orders", [EAST, WEST])
    yield stage
    await stage.close()


async def join(caller: Caller, *regions: str) -> None:
    """Ask for these replicas."""
    clusters = [ClusterReplicationConfig(cluster_name=name) for name in regions]
    await caller.call(
        UpdateNamespaceRequest(replication_config=NamespaceReplicationConfig(clusters=clusters))
    )


async def filled(stage: Stage, *workflow_ids: str) -> None:
    """Return when the south has them as the east has them, to the last event."""

    async def equal() -> bool:
        for workflow_id in workflow_ids:
            history = await stage.namespace.history(workflow_id)
            if SOUTH not in history:
                return False
            shown = [
                sorted(
                    (run.run_id, run.status, run.current, sorted(branch.items for branch in run.branches))
                    for run in runs
                )
                for runs in (history[EAST], history[SOUTH])
            ]
            if shown[0] != shown[1]:
                return False
        return True

    await until(equal)


async def test_what_was_there_arrives_and_can_be_failed_over_to(stage: Stage) -> None:
    east = stage.at(EAST)
    await east.start("closed")
    await east.work(COMPLETE)
    await east.start("open", request_id="start-1")
    await east.signal("open", "s1")
    await east.work(schedule_activity("a1"))
    task = await east.poll_activity()
    await east.call(
        CreateScheduleRequest(
            schedule_id="nightly",
            schedule=Schedule(
                spec=ScheduleSpec(interval=[IntervalSpec(interval={"seconds": 86400})]),  # type: ignore[arg-type]
                action=ScheduleAction(
                    start_workflow=NewWorkflowExecutionInfo(
                        workflow_id="night",
                        workflow_type=WorkflowType(name="raw"),
                        task_queue=TaskQueue(name="tq"),
                    )
                ),
            ),
            request_id="create-1",
        )
    )
    await east.call(
        UpdateTaskQueueConfigRequest(
            task_queue="tq",
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
            update_queue_rate_limit=UpdateTaskQueueConfigRequest.RateLimitUpdate(
                rate_limit=RateLimit(requests_per_second=77)
            ),
        )
    )
    await join(east, EAST, WEST, SOUTH)
    await filled(stage, "closed", "open")

    south = stage.at(SOUTH)
    count = await south.ask(
        CountWorkflowExecutionsRequest(), CountWorkflowExecutionsResponse, metadata=LOCALLY
    )
    assert count.count == 2

    async def queue_known() -> bool:
        answer = await south.ask(
            DescribeTaskQueueRequest(
                task_queue=TaskQueue(name="tq"),
                task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
                report_config=True,
            ),
            DescribeTaskQueueResponse,
            metadata=LOCALLY,
        )
        return answer.config.queue_rate_limit.rate_limit.requests_per_second == 77

    await until(queue_known)
    await stage.failover(SOUTH)
    described = await south.ask(DescribeScheduleRequest(schedule_id="nightly"), DescribeScheduleResponse)
    assert described.schedule.action.start_workflow.workflow_id == "night"
    # The start of the activity came with it: its completion counts in the new region.
    await south.call(RespondActivityTaskCompletedRequest(task_token=task.task_token))
    await south.work(COMPLETE)
    (run,) = await settled(stage.namespace, "open", regions=3)
    assert (run.status, signals(run.events)) == ("COMPLETED", ["s1"])


async def test_what_one_is_filled_with_was_not_left_to_another(stage: Stage) -> None:
    """What the south is given goes through the log that the west does not get, which has or awaits the same events."""
    east = stage.at(EAST)
    await east.start("w1")
    await east.start("w2")
    await stage.namespace.replicated()
    stage.cloud.link(EAST, WEST).partition()
    await east.signal("w1", "of the east")
    await join(east, EAST, WEST, SOUTH)
    await filled(stage, "w1", "w2")

    operation = await stage.failover(WEST, forced=True)

    assert operation.unreplicated is not None
    assert operation.unreplicated.kinds == {"signals": 1}


async def test_while_work_goes_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are signalled and started while the fill writes slice after slice."""
    monkeypatch.setattr(fills, "_RUNS_AT_ONCE", 2)
    east = stage.at(EAST)
    ids = [f"w{number}" for number in range(20)]
    for workflow_id in ids:
        await east.start(workflow_id)
        await east.work()
    await asyncio.gather(
        join(east, EAST, WEST, SOUTH),
        *(east.signal(workflow_id, "meanwhile") for workflow_id in ids),
        east.start("new"),
    )
    await filled(stage, *ids, "new")
    await stage.failover(SOUTH)
    for workflow_id in ids:
        assert signals(await stage.at(SOUTH).events(workflow_id)) == ["meanwhile"]


async def test_it_goes_on_after_a_crash(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The region that fills is killed with the joining one out of reach, and goes on where it was."""
    monkeypatch.setattr(fills, "_RUNS_AT_ONCE", 1)
    east = stage.at(EAST)
    ids = [f"w{number}" for number in range(12)]
    for workflow_id in ids:
        await east.start(workflow_id)
    for other in (EAST, WEST):
        stage.cloud.link(other, SOUTH).partition()
    await join(east, EAST, WEST, SOUTH)
    await stage.cloud.region(EAST).kill()
    await stage.cloud.region(EAST).start()
    store = stage.cloud.cloud.node(EAST).region.store
    assert await stage.cloud.run(store.read(stored.pending)), (
        "nothing is written far ahead of who cannot take it"
    )
    for other in (EAST, WEST):
        stage.cloud.link(other, SOUTH).heal()
    await filled(stage, *ids)


async def test_a_reset_run_whose_base_is_deleted(stage: Stage) -> None:
    east = stage.at(EAST)
    base = await east.start("reset")
    await east.work()
    execution = WorkflowExecution(workflow_id="reset", run_id=base)
    await east.call(
        ResetWorkflowExecutionRequest(
            workflow_execution=execution, workflow_task_finish_event_id=4, request_id="reset-1"
        )
    )
    await east.call(DeleteWorkflowExecutionRequest(workflow_execution=execution))

    async def deleted() -> bool:
        return len((await stage.namespace.history("reset"))[EAST]) == 1

    await until(deleted)
    await join(east, EAST, WEST, SOUTH)
    await filled(stage, "reset")
    await stage.namespace.replicated()
    for entry in (await stage.cloud.status()).namespaces:
        assert not any(view.dead_letters for view in entry.regions)


async def test_losing_branches_come_too(stage: Stage) -> None:
    east, west = stage.at(EAST), stage.at(WEST)
    await east.start("forked")
    await east.work()
    await stage.namespace.replicated()
    cut = stage.cloud.link(EAST, WEST).partition()
    await east.signal("forked", "of-the-east")
    await stage.failover(WEST, forced=True)
    await west.signal("forked", "of-the-west")
    cut.remove()
    await stage.namespace.replicated()
    await join(west, EAST, WEST, SOUTH)
    await filled(stage, "forked")
    (run,) = await settled(stage.namespace, "forked", regions=3)
    assert len(run.branches) == 2
    assert signals(run.events) == ["of-the-west", "of-the-east"]
    (replica,) = (await stage.namespace.history("forked"))[SOUTH]
    assert [fate.fate for fate in replica.branches[1].reapplied] == ["reapplied"]


async def trimmed(stage: Stage, *regions: str) -> None:
    """Wait until nothing of what happened so far is in a log: whoever joins now has it from the fill alone."""

    async def empty() -> bool:
        left = 0
        for name in regions:
            region = stage.cloud.cloud.node(name).region
            namespace_id = region.namespaces.by_name("orders").id
            left += len(
                await stage.cloud.run(
                    region.store.read(partial(read_log, namespace_id=namespace_id, after_position=0))
                )
            )
        return not left

    await until(empty)


async def test_what_a_losing_branch_asked_for_does_not_reach_a_later_run(stage: Stage) -> None:
    """It was given to the run that was current then; the region that joins sees the next one."""
    east, west = stage.at(EAST), stage.at(WEST)
    await east.start("forked")
    await east.work()
    await stage.namespace.replicated()
    cut = stage.cloud.link(EAST, WEST).partition()
    await east.signal("forked", "of-the-east")
    await stage.failover(WEST, forced=True)
    await west.signal("forked", "of-the-west")
    cut.remove()
    await stage.namespace.replicated()
    await west.work(COMPLETE)
    await west.start("forked")
    await stage.namespace.replicated()
    await trimmed(stage, EAST, WEST)
    await join(west, EAST, WEST, SOUTH)
    await filled(stage, "forked")
    await stage.namespace.replicated()
    later, first = await settled(stage.namespace, "forked", regions=3)
    assert signals(first.events) == ["of-the-west", "of-the-east"]
    assert signals(later.events) == []


async def test_a_reported_problem_comes_too() -> None:
    async with opened(regions=(EAST, WEST, SOUTH), limits=Limits(reported_problems_after=2)) as stage:
        stage.namespace = await stage.cloud.create_namespace("orders", [EAST, WEST])
        east = stage.at(EAST)
        await east.start("w")
        await east.work(start_timer(60_000))
        await east.signal("w", "s")
        for _ in range(2):
            task = await east.poll()
            await east.call(
                RespondWorkflowTaskFailedRequest(
                    task_token=task.task_token,
                    cause=WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE,
                )
            )
        await join(east, EAST, WEST, SOUTH)
        await filled(stage, "w")
        await until_listed(stage.at(SOUTH), "TemporalReportedProblems = 'category=WorkflowTaskFailed'")


async def test_who_has_left_is_waited_for_no_longer(stage: Stage) -> None:
    """And a cloud that stops in the middle of a fill stops."""
    east = stage.at(EAST)
    for number in range(30):
        await east.start(f"w{number}")
    for other in (EAST, WEST):
        stage.cloud.link(other, SOUTH).partition()
    await join(east, EAST, WEST, SOUTH)
    store = stage.cloud.cloud.node(EAST).region.store

    async def pending() -> bool:
        return bool(await stage.cloud.run(store.read(stored.pending)))

    assert await pending()
    await join(east, EAST, WEST)

    async def ended() -> bool:
        return not await pending()

    await until(ended)
    await join(east, EAST, WEST, SOUTH)
    assert await pending()
