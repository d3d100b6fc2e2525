"""Child workflows, external signals and cancel requests: an unmodified SDK client and worker, one region."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDReusePolicy
from temporalio.worker import Worker
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

from mockcloud.core.limits import Limits
from tests.frontend.child_workflows import (
    WORKFLOWS,
    Cancelling,
    Child,
    Correspondent,
    Family,
    Leaving,
    Parent,
)
from tests.support import grpc_address, open_sites

QUEUE = "queue"
LIMITS = Limits(continue_as_new_minimum_interval=0)  # chains go on at once
Status = WorkflowExecutionStatus


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """Of one region for all tests of this file: each has workflow ids of its own."""
    async with open_sites(tmp_path_factory.mktemp("children"), limits=LIMITS) as sites:
        await sites["A"].register("default")
        async with grpc_address(sites["A"]) as address:
            yield await Client.connect(address)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker(client: Client) -> AsyncIterator[Worker]:
    async with Worker(client, task_queue=QUEUE, workflows=WORKFLOWS) as worker:
        yield worker


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A workflow id that no other test uses."""
    return str(request.node.name)


async def history(handle: WorkflowHandle[Any, Any], wait: str = "") -> list[HistoryEvent]:
    """All events; with `wait`, once there is one of that type."""
    events = []
    async for event in handle.fetch_history_events(wait_new_event=bool(wait)):
        events.append(event)
        if wait and short(event) == wait:
            break
    return events


def short(event: HistoryEvent) -> str:
    return EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")


async def ended(client: Client, workflow_id: str) -> Status | None:
    """How the newest run of a workflow id has ended, once it has."""
    handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(workflow_id)
    with contextlib.suppress(WorkflowFailureError):
        await handle.result()
    return (await handle.describe()).status


@pytest.mark.parametrize(
    ("end", "timeout", "result", "event"),
    [
        ("return", None, "child {}", "COMPLETED"),
        ("continue", None, "child {}", "COMPLETED"),
        ("retry", None, "attempt 3", "COMPLETED"),
        ("fail", None, "ChildWorkflowError: ApplicationError", "FAILED"),
        ("wait", 0.2, "ChildWorkflowError: TimeoutError", "TIMED_OUT"),
    ],
)
async def test_a_parent_hears_of_its_childs_end(
    client: Client, worker: Worker, name: str, end: str, timeout: float | None, result: str, event: str
) -> None:
    child = f"{name}-child"
    handle = await client.start_workflow(Parent.run, args=[end, child, timeout], id=name, task_queue=QUEUE)

    assert await handle.result() == result.format(child)
    events = await history(handle)
    types = [short(event) for event in events]
    at = types.index("START_CHILD_WORKFLOW_EXECUTION_INITIATED")
    assert types[at + 1] == "CHILD_WORKFLOW_EXECUTION_STARTED"
    ending = events[types.index(f"CHILD_WORKFLOW_EXECUTION_{event}")]
    attributes = getattr(ending, ending.WhichOneof("attributes") or "")
    assert (attributes.initiated_event_id, attributes.started_event_id) == (at + 1, at + 2)
    # The parent knows the chain by its first run, and hears of the end of the last one.
    first = events[at + 1].child_workflow_execution_started_event_attributes.workflow_execution
    chained = end in ("continue", "retry")
    assert (first.run_id != attributes.workflow_execution.run_id) == chained


@pytest.mark.parametrize(("what", "event"), [("terminate", "TERMINATED"), ("cancel", "CANCELED")])
async def test_a_parent_hears_of_a_child_that_others_end(
    client: Client, worker: Worker, name: str, what: str, event: str
) -> None:
    child = f"{name}-child"
    handle = await client.start_workflow(Parent.run, args=["wait", child], id=name, task_queue=QUEUE)
    await history(handle, "CHILD_WORKFLOW_EXECUTION_STARTED")

    await getattr(client.get_workflow_handle(child), what)()

    assert (await handle.result()).startswith("ChildWorkflowError")
    assert f"CHILD_WORKFLOW_EXECUTION_{event}" in [short(event) for event in await history(handle)]


async def test_a_child_says_whose_it_is(client: Client, worker: Worker, name: str) -> None:
    child = f"{name}-child"
    handle = await client.start_workflow(Parent.run, args=["wait", child], id=name, task_queue=QUEUE)
    await history(handle, "CHILD_WORKFLOW_EXECUTION_STARTED")

    description = await client.get_workflow_handle(child).describe()
    assert (description.parent_id, description.parent_run_id) == (name, handle.result_run_id)
    assert (description.root_id, description.root_run_id) == (name, handle.result_run_id)
    assert await description.memo() == {"colour": "red"}
    assert await description.static_summary() == "a child"
    (listed,) = [run async for run in client.list_workflows(f"WorkflowId = '{child}'")]
    assert (listed.parent_id, listed.root_id) == (name, name)
    (pending,) = (await handle.describe()).raw_description.pending_children
    assert (pending.workflow_id, pending.run_id) == (child, description.run_id)
    assert pending.workflow_type_name == "Child"
    assert int(pending.parent_close_policy) == int(ParentClosePolicy.TERMINATE)

    await client.get_workflow_handle(child).signal(Child.deliver, "enough")
    assert await handle.result() == "enough"
    assert not (await handle.describe()).raw_description.pending_children


@pytest.mark.parametrize("other", ["open", "closed", "parent"])
async def test_a_child_whose_id_is_taken_fails_to_start(
    client: Client, worker: Worker, name: str, other: str
) -> None:
    child = name if other == "parent" else f"{name}-child"
    if other != "parent":
        await client.start_workflow(Child.run, "wait", id=child, task_queue=QUEUE)
    if other == "closed":
        await client.get_workflow_handle(child).signal(Child.deliver, "enough")
        await client.get_workflow_handle(child).result()

    handle = await client.start_workflow(Parent.run, args=["return", child], id=name, task_queue=QUEUE)

    assert (await handle.result()).startswith("WorkflowAlreadyStartedError")
    types = [short(event) for event in await history(handle)]
    assert "START_CHILD_WORKFLOW_EXECUTION_FAILED" in types


@pytest.mark.parametrize("end", ["return", "fail", "continue", "terminate"])
@pytest.mark.parametrize(
    ("policy", "status"),
    [
        (ParentClosePolicy.TERMINATE, Status.TERMINATED),
        (ParentClosePolicy.REQUEST_CANCEL, Status.CANCELED),
        (ParentClosePolicy.ABANDON, Status.RUNNING),
    ],
)
async def test_what_a_parents_close_does_to_its_child(
    client: Client, worker: Worker, name: str, end: str, policy: ParentClosePolicy, status: Status
) -> None:
    child = f"{name}-child"
    handle = await client.start_workflow(Leaving.run, args=[child, policy, end], id=name, task_queue=QUEUE)
    if end == "terminate":
        await history(handle, "CHILD_WORKFLOW_EXECUTION_STARTED")
        await handle.terminate()
    if end == "continue":
        await history(client.get_workflow_handle(name), "CHILD_WORKFLOW_EXECUTION_STARTED")
    else:
        await ended(client, name)

    if status is Status.RUNNING:
        again: WorkflowHandle[Any, Any] = client.get_workflow_handle(child)
        assert (await again.describe()).status is status
        await again.signal(Child.deliver, "enough")
        assert await again.result() == "enough"
        return
    assert await ended(client, child) is status
    if status is Status.TERMINATED:
        closed = (await history(client.get_workflow_handle(child)))[-1]
        assert closed.workflow_execution_terminated_event_attributes.reason == "by parent close policy"


@pytest.mark.parametrize(
    ("kind", "result", "status"),
    [
        (ChildWorkflowCancellationType.ABANDON, "CancelledError", Status.TERMINATED),
        (ChildWorkflowCancellationType.TRY_CANCEL, "CancelledError", Status.TERMINATED),
        (ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED, "CancelledError", Status.CANCELED),
        (ChildWorkflowCancellationType.WAIT_CANCELLATION_REQUESTED, "CancelledError", Status.CANCELED),
    ],
)
async def test_cancelling_a_child(
    client: Client,
    worker: Worker,
    name: str,
    kind: ChildWorkflowCancellationType,
    result: str,
    status: Status,
) -> None:
    child = f"{name}-child"
    handle = await client.start_workflow(Cancelling.run, args=[int(kind), child], id=name, task_queue=QUEUE)

    assert await handle.result() == result
    # Abandoned, or not waited for: its parent has ended before the request was sent, which voids it.
    assert await ended(client, child) is status
    types = [short(event) for event in await history(handle)]
    asked = "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED" in types
    assert asked == (kind is not ChildWorkflowCancellationType.ABANDON)


async def test_signalling_another_workflow(client: Client, worker: Worker, name: str) -> None:
    other = await client.start_workflow(Child.run, "wait", id=f"{name}-other", task_queue=QUEUE)
    handle = await client.start_workflow(
        Correspondent.run, args=["signal", other.id, other.result_run_id], id=name, task_queue=QUEUE
    )

    assert await handle.result() == "done"
    assert await other.result() == "hello"
    (signal,) = [event for event in await history(other) if short(event) == "WORKFLOW_EXECUTION_SIGNALED"]
    attributes = signal.workflow_execution_signaled_event_attributes
    assert attributes.external_workflow_execution.workflow_id == name
    assert attributes.identity == "history-service"
    types = [short(event) for event in await history(handle)]
    at = types.index("SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED")
    assert types[at + 1] == "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED"


async def test_cancelling_another_workflow(client: Client, worker: Worker, name: str) -> None:
    other = await client.start_workflow(Child.run, "wait", id=f"{name}-other", task_queue=QUEUE)
    handle = await client.start_workflow(
        Correspondent.run, args=["cancel", other.id], id=name, task_queue=QUEUE
    )

    assert await handle.result() == "done"
    assert await ended(client, other.id) is Status.CANCELED
    types = [short(event) for event in await history(handle)]
    at = types.index("REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED")
    assert types[at + 1] == "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED"
    (asked,) = [
        event for event in await history(other) if short(event) == "WORKFLOW_EXECUTION_CANCEL_REQUESTED"
    ]
    attributes = asked.workflow_execution_cancel_requested_event_attributes
    assert attributes.external_initiated_event_id == at + 1
    assert attributes.external_workflow_execution.workflow_id == name


@pytest.mark.parametrize("what", ["signal", "cancel"])
@pytest.mark.parametrize("whom", ["nobody", "itself", "another run", "a closed one"])
async def test_a_workflow_that_cannot_be_reached(
    client: Client, worker: Worker, name: str, what: str, whom: str
) -> None:
    other = f"{name}-other"
    run_id = None
    match whom:
        case "itself":
            other = name
        case "another run":
            await client.start_workflow(Child.run, "wait", id=other, task_queue=QUEUE)
            run_id = "01234567-89ab-cdef-0123-456789abcdef"
        case "a closed one":
            await client.execute_workflow(Child.run, "return", id=other, task_queue=QUEUE)
    handle = await client.start_workflow(
        Correspondent.run, args=[what, other, run_id], id=name, task_queue=QUEUE
    )

    result = await handle.result()
    types = [short(event) for event in await history(handle)]
    if (what, whom) == ("cancel", "a closed one"):  # what is over need not be cancelled
        assert result == "done"
        assert "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED" in types
        return
    assert "not found" in result
    failed = "SIGNAL_EXTERNAL" if what == "signal" else "REQUEST_CANCEL_EXTERNAL"
    assert f"{failed}_WORKFLOW_EXECUTION_FAILED" in types


async def test_many_children_at_once(client: Client, worker: Worker, name: str) -> None:
    handle = await client.start_workflow(Family.run, 25, id=name, task_queue=QUEUE)

    assert await handle.result() == [f"letter {index}" for index in range(25)]


async def test_a_closed_child_may_be_started_again(client: Client, worker: Worker, name: str) -> None:
    child = f"{name}-child"
    for turn in ("first", "second"):
        handle = await client.start_workflow(
            Leaving.run, args=[child, ParentClosePolicy.TERMINATE, "return"], id=f"{name}-{turn}",
            task_queue=QUEUE, id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        )  # fmt: skip
        await handle.result()
        assert await ended(client, child) is Status.TERMINATED


@pytest.mark.parametrize(
    ("finish", "heard", "result", "event"),
    [
        (9, False, "letter", "CHILD_WORKFLOW_EXECUTION_COMPLETED"),  # the child's end finds the new run
        (9, True, "letter", "CHILD_WORKFLOW_EXECUTION_COMPLETED"),  # what the old run has heard is copied
        (
            4,
            False,
            "WorkflowAlreadyStartedError: WorkflowAlreadyStartedError",
            "START_CHILD_WORKFLOW_EXECUTION_FAILED",
        ),  # the old run's child has the id
    ],
)
async def test_a_reset_parent(
    client: Client, worker: Worker, name: str, finish: int, heard: bool, result: str, event: str
) -> None:
    child = f"{name}-child"
    handle = await client.start_workflow(Parent.run, args=["wait", child], id=name, task_queue=QUEUE)
    async for each in handle.fetch_history_events(wait_new_event=True):
        if each.event_id == 9:  # the task that tells of the child's start is done
            break
    if heard:
        await client.get_workflow_handle(child).signal(Child.deliver, "letter")
        await handle.result()
    answer = await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace="default",
            workflow_execution=WorkflowExecution(workflow_id=name, run_id=handle.result_run_id or ""),
            workflow_task_finish_event_id=finish,
            request_id=name,
        )
    )
    again: WorkflowHandle[Any, str] = client.get_workflow_handle(name, run_id=answer.run_id)
    if not heard:
        if finish == 4:
            await again.result()
        assert (await client.get_workflow_handle(child).describe()).status is Status.RUNNING
        await client.get_workflow_handle(child).signal(Child.deliver, "letter")
    assert await again.result() == result
    assert event in [short(each) for each in await history(again)]
