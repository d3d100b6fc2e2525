"""Scenario 15: parents and children on either side of a switch; no parent is stuck."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from temporalio.api.command.v1 import Command, StartChildWorkflowExecutionCommandAttributes
from temporalio.api.common.v1 import WorkflowType
from temporalio.api.enums.v1 import CommandType
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueResponse, RespondWorkflowTaskFailedRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker
from temporalio.workflow import ParentClosePolicy

from mockcloud.cloud.views import RunView
from tests.frontend.child_workflows import WORKFLOWS, Correspondent, Family, Leaving, Parent
from tests.scenarios.stage import COMPLETE, EAST, WEST, Caller, Stage, short, types, until
from tests.scenarios.workflows import QUEUE, worker

FAMILIES, CHILDREN = 6, 4


def at_work(client: Client) -> Worker:
    return worker(client, workflows=WORKFLOWS, activities=[])


async def happened(handle: WorkflowHandle[Any, Any], name: str) -> None:
    """Return once the history has an event of that type."""
    async for event in handle.fetch_history_events(wait_new_event=True):
        if short(event) == name:
            return


def versions_of(run: RunView, name: str) -> list[int]:
    return [version for kind, version in types(run.events) if kind == name]


async def test_15_child_workflows(journey: Stage) -> None:
    client = await journey.client()
    last = journey.versions[-1]
    async with at_work(client):
        waits = await client.start_workflow(Parent.run, args=["wait", "c1"], id="p1", task_queue=QUEUE)
        await happened(waits, "CHILD_WORKFLOW_EXECUTION_STARTED")
        before = await client.start_workflow(Parent.run, args=["return", "c2"], id="p2", task_queue=QUEUE)
        assert await before.result() == "child c2"
        leaves = await client.start_workflow(
            Leaving.run, args=["c3", ParentClosePolicy.REQUEST_CANCEL, "wait"], id="p3", task_queue=QUEUE
        )
        await happened(leaves, "CHILD_WORKFLOW_EXECUTION_STARTED")

        await journey.switch()

        sends = await client.start_workflow(
            Correspondent.run, args=["signal", "c1"], id="s", task_queue=QUEUE
        )
        assert await sends.result() == "done"
        assert await waits.result() == "hello"
        await leaves.terminate()
        await happened(client.get_workflow_handle("c3"), "WORKFLOW_EXECUTION_CANCELED")
        after = await client.start_workflow(Parent.run, args=["return", "c4"], id="p4", task_queue=QUEUE)
        assert await after.result() == "child c4"

    run = await journey.only_run("p1")
    assert versions_of(run, "CHILD_WORKFLOW_EXECUTION_STARTED") == [1]
    assert versions_of(run, "CHILD_WORKFLOW_EXECUTION_COMPLETED") == [last]
    run = await journey.only_run("c3")
    assert versions_of(run, "WORKFLOW_EXECUTION_CANCEL_REQUESTED") == [last]
    for workflow_id in ("p2", "p3", "p4", "c1", "c2", "c4", "s"):
        await journey.only_run(workflow_id)


async def test_15_families_in_the_middle_of_their_lives(stage: Stage) -> None:
    """Every step of a family may fall on either side of a switch; each happens once."""
    client = await stage.client()
    async with at_work(client):
        families = [
            await client.start_workflow(Family.run, CHILDREN, id=f"f{number}", task_queue=QUEUE)
            for number in range(FAMILIES)
        ]
        results = asyncio.gather(*(family.result() for family in families))
        for region in (WEST, EAST, WEST):
            await stage.failover(region)
        expected = [f"letter {index}" for index in range(CHILDREN)]
        assert await results == [expected] * FAMILIES

    for number in range(FAMILIES):
        counts = Counter(short(event) for event in (await stage.only_run(f"f{number}")).events)
        for name in (
            "CHILD_WORKFLOW_EXECUTION_STARTED",
            "CHILD_WORKFLOW_EXECUTION_COMPLETED",
            "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED",
        ):
            assert counts[name] == CHILDREN
        for index in range(CHILDREN):
            child = await stage.only_run(f"f{number}-{index}")
            assert len(versions_of(child, "WORKFLOW_EXECUTION_SIGNALED")) == 1


async def test_15_a_child_that_ends_on_both_sides_of_a_split(stage: Stage) -> None:
    """What the loser's side made of it stays readable; the parent hears the winner's, and nothing twice."""
    east, west = stage.at(EAST), stage.at(WEST)
    await east.start("p")
    await east.work(START_CHILD)
    tasks = await both_tasks(east)
    await east.complete(tasks["p"])  # the parent knows of the child's start
    await east.call(  # the child's task comes again
        RespondWorkflowTaskFailedRequest(task_token=tasks["c"].task_token)
    )
    await stage.namespace.replicated()
    stage.cloud.link(EAST, WEST).partition()
    await east.work(COMPLETE)
    await heard(east)
    await stage.failover(WEST, forced=True)
    await west.work(COMPLETE)
    await heard(west)
    await west.work(COMPLETE)
    stage.cloud.link(EAST, WEST).heal()

    for workflow_id in ("p", "c"):
        run = await stage.only_run(workflow_id)
        assert run.status == "COMPLETED"
        assert len(run.branches) == 2
        assert run.events[-1].version == 2
    parent = await stage.only_run("p")
    assert versions_of(parent, "CHILD_WORKFLOW_EXECUTION_STARTED") == [1]
    assert versions_of(parent, "CHILD_WORKFLOW_EXECUTION_COMPLETED") == [2]


START_CHILD = Command(
    command_type=CommandType.COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION,
    start_child_workflow_execution_command_attributes=StartChildWorkflowExecutionCommandAttributes(
        workflow_id="c", workflow_type=WorkflowType(name="raw")
    ),
)


async def both_tasks(caller: Caller) -> dict[str, PollWorkflowTaskQueueResponse]:
    """The workflow tasks of parent and child, by workflow id."""
    tasks = [await caller.poll(), await caller.poll()]
    return {task.workflow_execution.workflow_id: task for task in tasks}


async def heard(caller: Caller) -> None:
    """Return once the parent has heard of its child's end in this region."""

    async def condition() -> bool:
        return "CHILD_WORKFLOW_EXECUTION_COMPLETED" in map(short, await caller.events("p"))

    await until(condition)
