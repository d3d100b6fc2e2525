"""Scenario 6 and its surroundings: resets and deletions in replicated namespaces."""

from __future__ import annotations

import uuid
from typing import Any

import grpc
import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    ResetWorkflowExecutionRequest,
    ResetWorkflowExecutionResponse,
)
from temporalio.client import WorkflowExecutionStatus

from tests.scenarios.stage import (
    COMPLETE,
    EAST,
    LOCALLY,
    WEST,
    Caller,
    Stage,
    of_type,
    refused,
    schedule_activity,
    short,
    signals,
    types,
    until,
)
from tests.scenarios.workflows import QUEUE, Inbox, worker


async def reset(caller: Caller, workflow_id: str, event_id: int, run_id: str = "", **fields: Any) -> str:
    request = ResetWorkflowExecutionRequest(
        workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
        workflow_task_finish_event_id=event_id,
        request_id=str(uuid.uuid4()),
        reason="back",
        **fields,
    )
    return (await caller.ask(request, ResetWorkflowExecutionResponse)).run_id


async def delete(caller: Caller, workflow_id: str, **options: Any) -> None:
    run = WorkflowExecution(workflow_id=workflow_id)
    await caller.call(DeleteWorkflowExecutionRequest(workflow_execution=run), **options)


async def describe(caller: Caller, workflow_id: str, run_id: str = "") -> DescribeWorkflowExecutionResponse:
    run = WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
    request = DescribeWorkflowExecutionRequest(execution=run)
    return await caller.ask(request, DescribeWorkflowExecutionResponse, metadata=LOCALLY)


async def test_06_reset_then_failover(journey: Stage) -> None:
    """The reset run finishes under the new version."""
    client = await journey.client()
    async with worker(client):
        handle = await client.start_workflow(Inbox.run, "all", id="w", task_queue=QUEUE)
        await handle.signal(Inbox.deliver, "first")
        await handle.query(Inbox.letters)
        made = await reset(journey.at(), "w", 4)
        await journey.switch()
        again = client.get_workflow_handle("w")
        await again.signal(Inbox.deliver, "second")
        await again.signal(Inbox.close)
        assert await again.result() == ["hello all", "first", "second"]
    runs = await journey.settled("w")
    assert [run.status for run in runs] == ["COMPLETED", "TERMINATED"]
    assert runs[0].run_id == made
    assert runs[0].events[0].version == 1
    assert runs[0].events[-1].version == journey.versions[-1]


async def test_06_failover_then_reset_of_what_ran_before(journey: Stage) -> None:
    """The copy keeps its old version, what follows has the new one; the request goes to the passive region."""
    old = journey.at(EAST)
    await old.start("w")
    await old.work(schedule_activity())
    await old.signal("w", "kept")
    await journey.switch()
    passive = journey.at(journey.old)

    made = await reset(passive, "w", 4)
    await journey.at(journey.new).work(COMPLETE)

    run, base = await journey.settled("w")
    new = journey.versions[-1]
    assert (run.run_id, run.status, base.status) == (made, "COMPLETED", "TERMINATED")
    assert types(run.events) == [
        ("WORKFLOW_EXECUTION_STARTED", 1),
        ("WORKFLOW_TASK_SCHEDULED", 1),
        ("WORKFLOW_TASK_STARTED", 1),
        ("WORKFLOW_TASK_FAILED", new),
        ("WORKFLOW_EXECUTION_SIGNALED", new),
        ("WORKFLOW_TASK_SCHEDULED", new),
        ("WORKFLOW_TASK_STARTED", new),
        ("WORKFLOW_TASK_COMPLETED", new),
        ("WORKFLOW_EXECUTION_COMPLETED", new),
    ]
    assert signals(run.events) == ["kept"]
    here, there = [await describe(journey.at(region), "w", base.run_id) for region in (EAST, WEST)]
    assert here.workflow_extended_info.reset_run_id == made
    assert there.workflow_extended_info.reset_run_id == made


async def test_06_the_replica_knows_when_the_time_of_a_reset_run_began(stage: Stage) -> None:
    east, west = stage.at(EAST), stage.at(WEST)
    await east.start("w")
    await east.work()
    await reset(east, "w", 4)
    await stage.settled("w")

    here, there = await describe(east, "w"), await describe(west, "w")

    assert here.workflow_execution_info.start_time == there.workflow_execution_info.start_time
    assert here.workflow_extended_info == there.workflow_extended_info
    assert here.workflow_extended_info.original_start_time != here.workflow_execution_info.start_time


async def test_a_reset_at_the_passive_region_that_is_not_forwarded(stage: Stage) -> None:
    """[10a] First it is looked for what there is to reset, and then asked who is active."""
    east, west = stage.at(EAST), stage.at(WEST)
    run_id = await east.start("w")
    await east.work()
    await stage.namespace.replicated()

    def asked(workflow_id: str, finish: int) -> ResetWorkflowExecutionRequest:
        run = WorkflowExecution(workflow_id=workflow_id, run_id=run_id if workflow_id == "w" else "")
        return ResetWorkflowExecutionRequest(
            workflow_execution=run, workflow_task_finish_event_id=finish, request_id="r"
        )

    for request, code, text in (
        (asked("nothing", 4), grpc.StatusCode.NOT_FOUND, "workflow not found for ID: nothing"),
        (asked("w", 9), grpc.StatusCode.INVALID_ARGUMENT, "Workflow task finish ID must be > 1"),
        (asked("w", 4), grpc.StatusCode.FAILED_PRECONDITION, "while current cluster"),
    ):
        error = await refused(west.call(request, metadata=LOCALLY))
        assert (error.code(), text in str(error.details())) == (code, True), error
    assert len((await stage.only_run("w")).events) == 4


async def test_a_reset_whose_base_the_replica_does_not_have(stage: Stage) -> None:
    """It is copied from what the replica fetches of the base run."""
    east, west = stage.at(EAST), stage.at(WEST)
    await east.start("w")
    await east.work()
    await east.signal("w", "s")
    await stage.settled("w")
    await delete(west, "w", metadata=LOCALLY)
    assert (await refused(describe(west, "w"))).code() == grpc.StatusCode.NOT_FOUND

    made = await reset(east, "w", 4)

    run, base = await stage.settled("w")
    assert run.run_id == made
    assert short(base.events[-1]) == "WORKFLOW_EXECUTION_TERMINATED"
    assert len(of_type(run.events, "WORKFLOW_TASK_FAILED")) == 1


@pytest.mark.parametrize("closed", [False, True])
async def test_a_deletion_replicates(stage: Stage, closed: bool) -> None:
    east, west = stage.at(EAST), stage.at(WEST)
    await east.start("w")
    if closed:
        await east.work(COMPLETE)
    await stage.settled("w")

    await delete(west, "w")  # forwarded

    async def gone() -> bool:
        history = await stage.namespace.history("w")
        return not any(history.values())

    await until(gone)


async def test_a_deletion_outlives_a_crash_between_its_commit_and_its_work(stage: Stage) -> None:
    east = stage.at(EAST)
    await east.start("w")
    await stage.settled("w")
    await delete(east, "w")
    await stage.cloud.region(EAST).kill()
    await stage.cloud.region(EAST).start()

    async def gone() -> bool:
        history = await stage.namespace.history("w")
        return len(history) == 2 and not any(history.values())

    await until(gone)


async def test_a_deletion_does_not_reach_a_run_that_the_other_region_has_taken_over(stage: Stage) -> None:
    client = await stage.client(EAST)
    await client.start_workflow(Inbox.run, "all", id="w", task_queue=QUEUE)
    await stage.settled("w")
    link = stage.cloud.link(EAST, WEST).partition()
    await stage.failover(WEST, forced=True)
    west = stage.at(WEST)
    await west.signal("w", "mine")
    await delete(stage.at(EAST), "w", metadata=LOCALLY)
    link.remove()
    await stage.namespace.replicated()

    found = await (await stage.client(WEST)).get_workflow_handle("w").describe()

    assert found.status == WorkflowExecutionStatus.RUNNING
