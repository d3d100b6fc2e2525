"""Scenarios 16 and 29 and what belongs to them: updates across failovers, splits and crashes."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import grpc
from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import UpdateAdmittedEventOrigin, UpdateWorkflowExecutionLifecycleStage
from temporalio.api.update.v1 import Input, Meta, Request, UpdateRef, WaitPolicy
from temporalio.api.workflowservice.v1 import (
    PollWorkflowExecutionUpdateRequest,
    UpdateWorkflowExecutionRequest,
)
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowHandle,
    WorkflowUpdateStage,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from mockcloud.cloud.fault_handles import AppliedFault
from mockcloud.core import fates
from tests.scenarios.stage import (
    EAST,
    LOCALLY,
    WEST,
    Caller,
    Stage,
    of_type,
    refused,
    short,
    until,
)
from tests.scenarios.workflows import QUEUE, worker

ACCEPTED = "WORKFLOW_EXECUTION_UPDATE_ACCEPTED"
ADMITTED = "WORKFLOW_EXECUTION_UPDATE_ADMITTED"
COMPLETED = "WORKFLOW_EXECUTION_UPDATE_COMPLETED"
# Of an updated run's history: each second one, for the sake of time.
EVENTS = range(2, 17, 2)
REAPPLY = UpdateAdmittedEventOrigin.UPDATE_ADMITTED_EVENT_ORIGIN_REAPPLY


@workflow.defn
class Till:
    """Takes in amounts, at once or when it is opened."""

    def __init__(self) -> None:
        self._total = 0
        self._open = False
        self._closed = False

    @workflow.run
    async def run(self) -> int:
        await workflow.wait_condition(lambda: self._closed and workflow.all_handlers_finished())
        return self._total

    @workflow.update
    async def put(self, amount: int) -> int:
        self._total += amount
        return self._total

    @workflow.update
    async def put_later(self, amount: int) -> int:
        await workflow.wait_condition(lambda: self._open)
        self._total += amount
        return self._total

    @workflow.signal
    def open(self) -> None:
        self._open = True

    @workflow.signal
    def close(self) -> None:
        self._closed = True


def till_worker(client: Client, **options: Any) -> Any:
    return worker(client, workflows=[Till], **options)


async def opened(client: Client) -> WorkflowHandle[Till, int]:
    """A till whose first workflow task is done."""
    handle = await client.start_workflow(Till.run, id="w", task_queue=QUEUE)
    await handle.execute_update(Till.put, 1, id="first")
    return handle


async def parted(stage: Stage, east: Client) -> tuple[WorkflowHandle[Till, int], AppliedFault]:
    """A till that both regions have, and both are active for; its handle in the east, and the cut."""
    handle = await opened(east)
    await stage.settled("w")
    link = stage.cloud.link(EAST, WEST).partition()
    await stage.failover(WEST, forced=True)
    return handle, link


def an_update(update_id: str, name: str = "put", *, stage: int = 3) -> UpdateWorkflowExecutionRequest:
    lifecycle = UpdateWorkflowExecutionLifecycleStage.ValueType(stage)
    return UpdateWorkflowExecutionRequest(
        workflow_execution=WorkflowExecution(workflow_id="w"),
        request=Request(meta=Meta(update_id=update_id), input=Input(name=name)),
        wait_policy=WaitPolicy(lifecycle_stage=lifecycle),
    )


async def admitted(caller: Caller, update_id: str) -> None:
    """Return once a region has the update in memory."""
    poll = PollWorkflowExecutionUpdateRequest(
        update_ref=UpdateRef(workflow_execution=WorkflowExecution(workflow_id="w"), update_id=update_id)
    )

    async def known() -> bool:
        try:
            await caller.call(poll)
        except grpc.aio.AioRpcError:
            return False
        return True

    await until(known)


async def test_16_an_accepted_update_completes_after_the_switch(journey: Stage) -> None:
    client = await journey.client()
    async with till_worker(client):
        handle = await opened(client)
        update = await handle.start_update(
            Till.put_later, 2, id="u", wait_for_stage=WorkflowUpdateStage.ACCEPTED
        )
        waiting = asyncio.create_task(update.result())
        await journey.switch()

        assert await handle.execute_update(Till.put, 4) == 5
        await handle.signal(Till.open)
        assert await waiting == 7
        assert await handle.execute_update(Till.put_later, 100, id="u") == 7  # known in the new region
        assert await handle.execute_update(Till.put, 100, id="first") == 1
        await handle.signal(Till.close)
        assert await handle.result() == 7
    events = (await journey.only_run("w")).events
    assert len(of_type(events, ACCEPTED)) == len(of_type(events, COMPLETED)) == 3


async def test_16_an_admitted_update_is_lost_with_its_region(stage: Stage) -> None:
    """Its callers are told; under the same id it comes again, and completes once."""
    client = await stage.client()
    async with till_worker(client):
        handle = await opened(client)
    east = stage.at(EAST)
    calls = [
        asyncio.create_task(refused(stage.at(region).call(an_update("raw"), timeout=30)))
        for region in (EAST, WEST)  # here, and forwarded from there
    ]
    patient = asyncio.create_task(handle.execute_update(Till.put, 2, id="u"))
    for update_id in ("raw", "u"):
        await admitted(east, update_id)

    await stage.failover(WEST)

    for error in await asyncio.gather(*calls):
        assert (error.code(), error.details()) == (
            grpc.StatusCode.UNAVAILABLE,
            "workflow update was aborted",
        )
    async with till_worker(client):
        assert await patient == 3
        await handle.signal(Till.close)
        assert await handle.result() == 3
    events = (await stage.only_run("w")).events
    ids = [
        event.workflow_execution_update_accepted_event_attributes.protocol_instance_id
        for event in of_type(events, ACCEPTED)
    ]
    assert ids == ["first", "u"]


async def test_16_a_speculative_task_is_lost_without_a_trace(stage: Stage) -> None:
    client = await stage.client()
    async with till_worker(client):
        await opened(client)
    before = (await stage.only_run("w")).events
    east = stage.at(EAST)
    call = asyncio.create_task(refused(east.call(an_update("raw"), timeout=30)))
    task = await east.poll()
    assert len(task.messages) == 1

    await stage.failover(WEST)

    await call
    error = await refused(stage.at(WEST).complete(task))
    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "Workflow task not found.")
    assert (await stage.only_run("w")).events == before


async def test_updates_live_through_a_crash(stage: Stage) -> None:
    client = await stage.client()
    async with till_worker(client):
        handle = await opened(client)
        update = await handle.start_update(
            Till.put_later, 2, id="accepted", wait_for_stage=WorkflowUpdateStage.ACCEPTED
        )
    lost = asyncio.create_task(handle.execute_update(Till.put, 4, id="admitted"))
    await admitted(stage.at(EAST), "admitted")

    await stage.cloud.region(EAST).kill()
    await stage.cloud.region(EAST).start()

    async with till_worker(client):
        assert await lost == 5
        await handle.signal(Till.open)
        assert await update.result() == 7
        assert await handle.get_update_handle("first").result() == 1  # from history
    events = (await stage.only_run("w")).events
    assert len(of_type(events, ACCEPTED)) == 3


async def test_29_an_update_of_the_losing_side_is_admitted_again_on_the_other(stage: Stage) -> None:
    """[06a] It had even completed; the winner's worker takes the request from history."""
    east, west = await stage.client(EAST), await stage.client(WEST)
    async with till_worker(east):
        handle, link = await parted(stage, east)
        assert await handle.execute_update(Till.put, 10, id="u") == 11
    async with till_worker(west):
        winner: WorkflowHandle[Any, Any] = west.get_workflow_handle("w")
        assert await winner.execute_update(Till.put, 100, id="v") == 101
        link.remove()

        async def taken() -> bool:
            events = await stage.at(WEST).events("w", metadata=LOCALLY)
            return len(of_type(events, COMPLETED)) == 3

        await until(taken)
        assert await winner.get_update_handle("u", result_type=int).result() == 111
    run = await stage.only_run("w")
    (again,) = of_type(run.events, ADMITTED)
    attributes = again.workflow_execution_update_admitted_event_attributes
    assert (attributes.origin, attributes.request.meta.update_id) == (REAPPLY, "u")
    accepted = of_type(run.events, ACCEPTED)[-1].workflow_execution_update_accepted_event_attributes
    assert accepted.accepted_request_sequencing_event_id == again.event_id
    assert not accepted.HasField("accepted_request")
    _, loser = run.branches
    assert short(loser.events[-1]) == COMPLETED
    told = {short(loser.events[fate.event_id - 1]): fate for fate in loser.fates}
    assert (told[ACCEPTED].fate, told[ACCEPTED].to_event_id) == ("reapplied", again.event_id)
    assert (told[COMPLETED].fate, told[COMPLETED].reason) == ("lost", fates.PROGRESS)


async def test_29_an_update_that_the_losing_side_had_accepted(stage: Stage) -> None:
    """It is admitted again on the winner, and completes there."""
    east, west = await stage.client(EAST), await stage.client(WEST)
    async with till_worker(east):
        handle, link = await parted(stage, east)
        await handle.start_update(Till.put_later, 10, id="u", wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    async with till_worker(west):
        winner: WorkflowHandle[Any, Any] = west.get_workflow_handle("w")
        assert await winner.execute_update(Till.put, 100, id="v") == 101
        link.remove()
        await winner.signal(Till.open)
        await stage.namespace.replicated()
        assert await winner.execute_update(Till.put_later, 1000, id="u") == 111, "it is known by its id"
        await winner.signal(Till.close)
        assert await winner.result() == 111
    run = await stage.only_run("w")
    (again,) = of_type(run.events, ADMITTED)
    assert again.workflow_execution_update_admitted_event_attributes.request.meta.update_id == "u"
    assert len(of_type(run.events, ACCEPTED)) == len(of_type(run.events, COMPLETED)) == 3
    assert short(run.branches[1].events[-1]) == ACCEPTED


async def test_29_the_same_update_id_on_both_sides(stage: Stage) -> None:
    """The winner has it already: the loser's is not applied, and who asks by the id gets the winner's outcome."""
    east, west = await stage.client(EAST), await stage.client(WEST)
    async with till_worker(east):
        handle, link = await parted(stage, east)
        assert await handle.execute_update(Till.put, 10, id="u") == 11
    async with till_worker(west):
        winner: WorkflowHandle[Any, Any] = west.get_workflow_handle("w")
        assert await winner.execute_update(Till.put, 100, id="u") == 101
        link.remove()
        await stage.namespace.replicated()
        for client in (east, west):
            asked = client.get_workflow_handle("w").get_update_handle("u", result_type=int)
            assert await asked.result() == 101
        await winner.signal(Till.close)
        assert await winner.result() == 101
    run = await stage.only_run("w")
    assert not of_type(run.events, ADMITTED)
    assert len(of_type(run.events, ACCEPTED)) == 2
    loser = run.branches[1]
    (fate,) = (fate for fate in loser.fates if short(loser.events[fate.event_id - 1]) == ACCEPTED)
    assert (fate.fate, fate.reason) == ("kept", fates.SAME_UPDATE)


async def test_an_update_with_start_comes_again_after_the_switch(stage: Stage) -> None:
    """The start stands, which the second call finds by its request id."""
    client = await stage.client()
    operation = WithStartWorkflowOperation(
        Till.run, id="w", task_queue=QUEUE, id_conflict_policy=WorkflowIDConflictPolicy.FAIL
    )
    call = asyncio.create_task(
        client.execute_update_with_start_workflow(Till.put, 3, id="u", start_workflow_operation=operation)
    )
    await admitted(stage.at(EAST), "u")

    await stage.failover(WEST)

    async with till_worker(client):
        assert await call == 3
    run = await stage.only_run("w")
    assert (await operation.workflow_handle()).first_execution_run_id == run.run_id


async def test_a_failover_at_any_event_of_an_updated_run(stage: Stage) -> None:
    """Whenever it comes, clients and worker notice nothing, and no update is handled twice."""
    client = await stage.client()
    regions = itertools.cycle([WEST, EAST])

    async def use(workflow_id: str) -> list[int]:
        operation = WithStartWorkflowOperation(
            Till.run, id=workflow_id, task_queue=QUEUE, id_conflict_policy=WorkflowIDConflictPolicy.FAIL
        )
        first = await client.execute_update_with_start_workflow(
            Till.put, 1, id="first", start_workflow_operation=operation
        )
        handle: WorkflowHandle[Till, int] = client.get_workflow_handle(workflow_id, result_type=int)
        later = await handle.start_update(
            Till.put_later, 10, id="later", wait_for_stage=WorkflowUpdateStage.ACCEPTED
        )
        second = await handle.execute_update(Till.put, 100, id="second")
        await handle.signal(Till.open)
        third = await later.result()
        await handle.signal(Till.close)
        return [first, second, third, await handle.result()]

    async def fail_over_at(workflow_id: str, event_id: int) -> None:
        handle = client.get_workflow_handle(workflow_id)

        async def reached() -> bool:
            try:
                return (await handle.describe()).history_length >= event_id
            except RPCError:
                return False

        await until(reached)
        await stage.failover(next(regions))

    async with till_worker(client):
        for event_id in EVENTS:
            workflow_id = f"w{event_id}"
            failover = asyncio.create_task(fail_over_at(workflow_id, event_id))
            assert await use(workflow_id) == [1, 101, 111, 111]
            await failover
    for event_id in EVENTS:
        events = (await stage.only_run(f"w{event_id}")).events
        assert len(of_type(events, ACCEPTED)) == len(of_type(events, COMPLETED)) == 3
