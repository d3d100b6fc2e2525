"""Updates as an unmodified SDK client and worker see them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateStage,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from tests.support import Site, grpc_address

QUEUE = "queue"


@workflow.defn
class Counter:
    """Counts what updates add; never closes by itself."""

    def __init__(self) -> None:
        self.total = 0
        self.log: list[str] = []
        self.open = False
        self.closing = ""

    @workflow.run
    async def run(self) -> int:
        await workflow.wait_condition(lambda: bool(self.closing))
        if self.closing == "continue":
            workflow.continue_as_new()
        if self.closing == "wait":
            await workflow.wait_condition(workflow.all_handlers_finished)
        return self.total

    @workflow.update
    def add(self, amount: int) -> int:
        return self._add(amount)

    @add.validator
    def check(self, amount: int) -> None:
        if amount < 0:
            raise ApplicationError("only upwards", type="Negative")

    @workflow.update
    async def add_later(self, amount: int) -> int:
        await workflow.wait_condition(lambda: self.open)
        return self._add(amount)

    @workflow.update
    def fail(self) -> None:
        raise ApplicationError("no", "details", type="No")

    @workflow.update
    def close_now(self, how: str) -> str:
        self.closing = how
        return "closed"

    @workflow.update(unfinished_policy=workflow.HandlerUnfinishedPolicy.ABANDON)
    async def close_and_wait(self, how: str) -> None:
        self.closing = how
        await workflow.wait_condition(lambda: self.open)

    @workflow.signal
    def let_go(self) -> None:
        self.open = True
        self.log.append("signal")

    def _add(self, amount: int) -> int:
        self.total += amount
        self.log.append(f"add {amount}")
        return self.total

    @workflow.query
    def entries(self) -> list[str]:
        return self.log


@pytest.fixture
async def client(site: Site) -> AsyncIterator[Client]:
    async with grpc_address(site) as address:
        yield await Client.connect(address)


@pytest.fixture
async def worker(client: Client) -> AsyncIterator[Worker]:
    async with Worker(client, task_queue=QUEUE, workflows=[Counter]) as worker:
        yield worker


@pytest.fixture
async def handle(client: Client, worker: Worker) -> WorkflowHandle[Counter, int]:
    """A counter whose first workflow task is done."""
    handle = await client.start_workflow(Counter.run, id="w", task_queue=QUEUE)
    await handle.query(Counter.entries)
    return handle


async def event_types(handle: WorkflowHandle[Any, Any]) -> list[str]:
    return [
        EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
        async for event in handle.fetch_history_events()
    ]


FIRST_TASK = [
    "WORKFLOW_EXECUTION_STARTED",
    "WORKFLOW_TASK_SCHEDULED",
    "WORKFLOW_TASK_STARTED",
    "WORKFLOW_TASK_COMPLETED",
]
UPDATE_TASK = ["WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED", "WORKFLOW_TASK_COMPLETED"]
ACCEPTED, COMPLETED = "WORKFLOW_EXECUTION_UPDATE_ACCEPTED", "WORKFLOW_EXECUTION_UPDATE_COMPLETED"


async def test_an_update_answers(handle: WorkflowHandle[Counter, int]) -> None:
    assert await handle.execute_update(Counter.add, 2) == 2
    assert await handle.execute_update(Counter.add, 3) == 5
    assert await event_types(handle) == FIRST_TASK + 2 * [*UPDATE_TASK, ACCEPTED, COMPLETED]


async def test_a_rejected_update_leaves_no_trace(handle: WorkflowHandle[Counter, int]) -> None:
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await handle.execute_update(Counter.add, -1)

    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == "Negative"
    assert await event_types(handle) == FIRST_TASK
    assert await handle.execute_update(Counter.add, 1) == 1  # with the ids of the task that was dropped
    assert await event_types(handle) == [*FIRST_TASK, *UPDATE_TASK, ACCEPTED, COMPLETED]


async def test_a_failed_update_is_accepted(handle: WorkflowHandle[Counter, int]) -> None:
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await handle.execute_update(Counter.fail)

    assert isinstance(caught.value.cause, ApplicationError)
    assert list(caught.value.cause.details) == ["details"]
    assert (await event_types(handle))[-2:] == [ACCEPTED, COMPLETED]


async def test_acceptance_and_completion_in_tasks_of_their_own(handle: WorkflowHandle[Counter, int]) -> None:
    update = await handle.start_update(Counter.add_later, 7, wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    assert (await event_types(handle))[-1] == ACCEPTED
    waiting = asyncio.create_task(update.result())
    await handle.signal(Counter.let_go)

    assert await waiting == 7
    assert await handle.query(Counter.entries) == ["signal", "add 7"]


async def test_several_at_once(handle: WorkflowHandle[Counter, int]) -> None:
    totals = await asyncio.gather(*(handle.execute_update(Counter.add, 1) for _ in range(10)))

    assert sorted(totals) == list(range(1, 11))
    types = await event_types(handle)
    assert types.count(ACCEPTED) == types.count(COMPLETED) == 10


async def test_the_same_id_is_the_same_update(handle: WorkflowHandle[Counter, int]) -> None:
    first = await handle.start_update(
        Counter.add_later, 7, id="u", wait_for_stage=WorkflowUpdateStage.ACCEPTED
    )
    again = asyncio.create_task(handle.execute_update(Counter.add_later, 100, id="u"))
    await handle.signal(Counter.let_go)

    assert await first.result() == 7
    assert await again == 7
    assert await handle.execute_update(Counter.add, 100, id="u") == 7  # from history
    assert await handle.get_update_handle("u").result() == 7
    assert (await event_types(handle)).count(ACCEPTED) == 1


async def test_an_unknown_update_cannot_be_polled(handle: WorkflowHandle[Counter, int]) -> None:
    with pytest.raises(RPCError) as caught:
        await handle.get_update_handle("none").result()
    assert caught.value.status is RPCStatusCode.NOT_FOUND
    assert caught.value.message == 'update "none" not found'


async def test_a_closed_run_takes_no_update_but_tells_of_old_ones(
    client: Client, handle: WorkflowHandle[Counter, int]
) -> None:
    await handle.execute_update(Counter.add, 4, id="u")
    await handle.execute_update(Counter.close_now, "return")
    assert await handle.result() == 4

    assert await handle.execute_update(Counter.add, 0, id="u") == 4
    with pytest.raises(RPCError) as caught:
        await handle.execute_update(Counter.add, 1, id="v")
    assert caught.value.status is RPCStatusCode.NOT_FOUND
    assert caught.value.message == "workflow execution already completed"


async def test_an_accepted_update_fails_with_its_run(handle: WorkflowHandle[Counter, int]) -> None:
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        _: object = await handle.execute_update(Counter.close_and_wait, "return", id="u")

    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.non_retryable) == ("AcceptedUpdateCompletedWorkflow", True)
    assert (
        cause.message == "Workflow Update failed because the Workflow completed before the Update completed."
    )
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.get_update_handle("u").result()


async def test_an_update_goes_on_to_the_next_run(handle: WorkflowHandle[Counter, int]) -> None:
    """One that comes while a run continues as new is taken by the new one."""
    first, second = await asyncio.gather(
        handle.execute_update(Counter.close_now, "continue"), handle.execute_update(Counter.add, 1)
    )

    assert first == "closed"
    assert second == 1
    assert await handle.execute_update(Counter.add, 1) in (1, 2)


async def test_an_update_starts_with_the_first_task(client: Client) -> None:
    handle = await client.start_workflow(Counter.run, id="w", task_queue=QUEUE)
    update = asyncio.create_task(handle.execute_update(Counter.add, 1))
    async with Worker(client, task_queue=QUEUE, workflows=[Counter]):
        assert await update == 1


async def test_an_update_outlives_its_worker(client: Client) -> None:
    async with Worker(client, task_queue=QUEUE, workflows=[Counter]):
        handle = await client.start_workflow(Counter.run, id="w", task_queue=QUEUE)
        update = await handle.start_update(Counter.add_later, 7, wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    await handle.signal(Counter.let_go)
    async with Worker(client, task_queue=QUEUE, workflows=[Counter]):  # which replays it
        assert await update.result() == 7
        assert await handle.execute_update(Counter.add, 1) == 8


async def test_closing_workflows_wait_for_their_handlers(handle: WorkflowHandle[Counter, int]) -> None:
    later = await handle.start_update(Counter.add_later, 7, wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    assert await handle.execute_update(Counter.close_now, "wait") == "closed"
    await handle.signal(Counter.let_go)
    assert await later.result() == 7
    assert await handle.result() == 7
