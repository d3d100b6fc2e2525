from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.common.v1 import Priority, WorkflowExecution
from temporalio.api.enums.v1 import (
    EventType,
    ParentClosePolicy,
    RetryState,
    StartChildWorkflowExecutionFailedCause,
    WorkflowIdReusePolicy,
)
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import (
    HistoryEvent,
    WorkflowExecutionCanceledEventAttributes,
    WorkflowExecutionFailedEventAttributes,
    WorkflowExecutionTerminatedEventAttributes,
    WorkflowExecutionTimedOutEventAttributes,
)
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest, TerminateWorkflowExecutionRequest

from mockcloud.core import children, signals, times
from mockcloud.core.children import ClosedChild, Leave
from mockcloud.core.errors import NotFound
from mockcloud.core.start import Parent
from mockcloud.core.task_state import schedule_workflow_task
from tests.core.lives import WorkedLife, complete_workflow
from tests.core.makers import Life, World, payloads, same_state, start_request
from tests.core.others import closed_child, start_child

Policy = ParentClosePolicy
INITIATED = 5  # Started, and the three events of the first workflow task, come before
FAILED_CAUSE = (
    StartChildWorkflowExecutionFailedCause.START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS
)


EXECUTION = WorkflowExecution(workflow_id="parent", run_id="p1")
PARENT = Parent("orders", "ns-id", EXECUTION, INITIATED, 1, EXECUTION)


def parent(request: StartWorkflowExecutionRequest | None = None, **fields: Any) -> WorkedLife:
    """A run that has initiated the child of event INITIATED, and has no workflow task."""
    life = WorkedLife(request=request)
    life.decide(start_child(**fields))
    return life


def started(life: WorkedLife, first_run_id: str = "c1") -> Leave:
    change = life.change()
    leave = children.record_started(change, INITIATED, 1, first_run_id)
    if change.changed:
        life.commit(change)
    return leave


def told(life: WorkedLife, child: ClosedChild) -> str:
    change = life.change()
    answer = children.record_closed(change, child)
    if change.changed:
        life.commit(change)
    return answer


def terminate(life: WorkedLife, identity: str = "operator") -> None:
    change = life.change()
    signals.terminate(change, TerminateWorkflowExecutionRequest(reason="enough", identity=identity))
    life.commit(change)


def test_the_initiated_event_has_what_the_child_is_started_with() -> None:
    life = parent(control="c", parent_close_policy=Policy.PARENT_CLOSE_POLICY_ABANDON)
    event = life.last("START_CHILD_WORKFLOW_EXECUTION_INITIATED")
    attributes = event.start_child_workflow_execution_initiated_event_attributes
    assert event.event_id == INITIATED
    assert (attributes.namespace, attributes.namespace_id) == ("orders", "ns-id")
    assert attributes.task_queue.name == "tq"  # the parent's, unless the command says otherwise
    assert attributes.workflow_task_completed_event_id == INITIATED - 1
    assert attributes.control == "c"
    assert attributes.parent_close_policy == Policy.PARENT_CLOSE_POLICY_ABANDON
    assert attributes.workflow_id_reuse_policy == (
        WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
    )
    assert times.nanoseconds(attributes.workflow_task_timeout) == 10 * times.SECOND


def test_a_start_that_is_sent_again_is_the_same_start() -> None:
    life = parent(input=payloads("in"))
    namespace = life.world.context().namespace
    first = children.to_start(life.run, INITIATED, 1, namespace)
    again = children.to_start(life.rebuilt(), INITIATED, 1, namespace)
    assert first is not None
    assert first == again
    assert first.request.request_id == f"run-1:{INITIATED}:1"
    assert first.request.input == payloads("in")
    assert first.parent.execution == WorkflowExecution(workflow_id="order-1", run_id="run-1")
    assert first.parent.root == first.parent.execution
    assert first.original_run_id == ""


def test_the_root_of_a_grandchild_is_its_grandparent() -> None:
    grandparent = WorkflowExecution(workflow_id="grandparent", run_id="g")
    life = parent()
    life.run.start.root_workflow_execution.CopyFrom(grandparent)
    child = children.to_start(life.run, INITIATED, 1, life.world.context().namespace)
    assert child is not None
    assert child.parent.root == grandparent


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (None, Priority(priority_key=2, fairness_key="tenant")),
        (Priority(priority_key=5), Priority(priority_key=5, fairness_key="tenant")),
    ],
)
def test_a_child_has_its_parents_priority_where_it_has_none(own: Priority | None, expected: Priority) -> None:
    request = start_request(priority=Priority(priority_key=2, fairness_key="tenant"))
    life = parent(request, priority=own)
    child = children.to_start(life.run, INITIATED, 1, life.world.context().namespace)
    assert child is not None
    assert child.request.priority == expected


def test_a_child_begins_when_its_parent_knows_of_it() -> None:
    life = parent()
    assert started(life) is Leave.BEGIN
    assert life.types(INITIATED) == [
        "START_CHILD_WORKFLOW_EXECUTION_INITIATED",
        "CHILD_WORKFLOW_EXECUTION_STARTED",
        "WORKFLOW_TASK_SCHEDULED",
    ]
    assert started(life) is Leave.BEGIN  # said again
    assert started(life, "another run") is Leave.WAIT
    assert life.types(INITIATED + 3) == []
    assert children.to_start(life.run, INITIATED, 1, life.world.context().namespace) is None
    assert same_state(life.run, life.rebuilt()) == []


def test_the_first_task_of_a_child_waits_for_leave() -> None:
    child = Life(World(), parent=PARENT)
    assert child.types() == ["WORKFLOW_EXECUTION_STARTED"]
    attributes = child.run.start
    assert attributes.parent_workflow_execution == PARENT.execution
    assert attributes.root_workflow_execution == PARENT.root
    assert (attributes.parent_initiated_event_id, attributes.parent_initiated_event_version) == (INITIATED, 1)
    for _ in range(2):  # leave given twice counts once
        change = child.change()
        children.begin(change)
        if change.changed:
            child.commit(change)
    assert child.types() == ["WORKFLOW_EXECUTION_STARTED", "WORKFLOW_TASK_SCHEDULED"]


def test_a_child_that_cannot_be_started() -> None:
    life = parent(control="c")
    for _ in range(2):  # said again, it changes nothing
        change = life.change()
        children.record_start_failed(change, INITIATED, 1, FAILED_CAUSE)
        if change.changed:
            life.commit(change)
    assert life.types(INITIATED + 1) == ["START_CHILD_WORKFLOW_EXECUTION_FAILED", "WORKFLOW_TASK_SCHEDULED"]
    event = life.last("START_CHILD_WORKFLOW_EXECUTION_FAILED")
    attributes = event.start_child_workflow_execution_failed_event_attributes
    assert (attributes.initiated_event_id, attributes.workflow_id, attributes.cause, attributes.control) == (
        INITIATED,
        "child",
        FAILED_CAUSE,
        "c",
    )
    assert not life.run.children


ENDS = [
    (HistoryEvent(
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
        workflow_execution_failed_event_attributes=WorkflowExecutionFailedEventAttributes(
            failure=Failure(message="broken"), retry_state=RetryState.RETRY_STATE_TIMEOUT
        ),
    ), "FAILED"),
    (HistoryEvent(
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
        workflow_execution_canceled_event_attributes=WorkflowExecutionCanceledEventAttributes(
            details=payloads("why")
        ),
    ), "CANCELED"),
    (HistoryEvent(
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT,
        workflow_execution_timed_out_event_attributes=WorkflowExecutionTimedOutEventAttributes(
            retry_state=RetryState.RETRY_STATE_TIMEOUT
        ),
    ), "TIMED_OUT"),
    (HistoryEvent(
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
        workflow_execution_terminated_event_attributes=WorkflowExecutionTerminatedEventAttributes(),
    ), "TERMINATED"),
]  # fmt: skip


@pytest.mark.parametrize(("close_event", "name"), ENDS)
def test_how_a_child_ended_is_told_as_it_was(close_event: HistoryEvent, name: str) -> None:
    life = parent()
    started(life)
    told(life, closed_child(INITIATED, run_id="c3", close_event=close_event))
    event = life.last(f"CHILD_WORKFLOW_EXECUTION_{name}")
    attributes = getattr(event, event.WhichOneof("attributes") or "")
    assert (attributes.initiated_event_id, attributes.started_event_id) == (INITIATED, INITIATED + 1)
    assert attributes.workflow_execution == WorkflowExecution(workflow_id="child", run_id="c3")
    closed = getattr(close_event, close_event.WhichOneof("attributes") or "")
    for field in ("failure", "details", "retry_state"):
        if hasattr(attributes, field):
            assert getattr(attributes, field) == getattr(closed, field)
    assert not life.run.children
    assert same_state(life.run, life.rebuilt()) == []


def test_the_end_of_a_child_tells_of_its_start_too() -> None:
    life = parent()
    told(life, closed_child(INITIATED, first_run_id="c1", run_id="c2"))
    assert life.types(INITIATED + 1) == [
        "CHILD_WORKFLOW_EXECUTION_STARTED",
        "CHILD_WORKFLOW_EXECUTION_COMPLETED",
        "WORKFLOW_TASK_SCHEDULED",
    ]
    first = life.last("CHILD_WORKFLOW_EXECUTION_STARTED").child_workflow_execution_started_event_attributes
    assert first.workflow_execution.run_id == "c1"


@pytest.mark.parametrize(
    "child",
    [
        closed_child(INITIATED - 1),
        closed_child(INITIATED, version=2),
        closed_child(INITIATED, workflow_id="another"),
        closed_child(INITIATED, first_run_id="another"),
    ],
)
def test_a_stranger_is_not_heard(child: ClosedChild) -> None:
    life = parent()
    started(life)
    with pytest.raises(NotFound, match="Pending child execution not found"):
        children.record_closed(life.change(), child)


def test_an_end_is_heard_once() -> None:
    life = parent()
    told(life, closed_child(INITIATED))
    with pytest.raises(NotFound):
        children.record_closed(life.change(), closed_child(INITIATED))


def test_a_closed_parent_hears_nothing_and_names_the_run_that_a_reset_made_of_it() -> None:
    life = parent()
    terminate(life)
    with pytest.raises(NotFound, match="workflow execution already completed"):
        children.record_closed(life.change(), closed_child(INITIATED))
    life.run.record.reset_run_id = "run-2"
    assert told(life, closed_child(INITIATED)) == "run-2"


def test_what_a_child_does_while_the_worker_decides_waits_and_is_wired_when_it_is_written() -> None:
    life = WorkedLife()
    life.decide(start_child(), start_child("other"))
    other = INITIATED + 1
    change = life.change()
    signals.add_signal(
        change, name="s", payloads=payloads("s"), identity="i", header=start_request().header, request_id=""
    )
    schedule_workflow_task(change)
    life.commit(change)
    token = life.take_task()
    started(life)
    assert life.run.children[INITIATED].started
    told(life, closed_child(INITIATED))
    change = life.change()
    children.record_started(change, other, 1, "o1")
    life.commit(change)
    assert same_state(life.run, life.rebuilt()) == []

    life.complete(token)

    assert life.types(10) == [
        "WORKFLOW_TASK_COMPLETED",
        "CHILD_WORKFLOW_EXECUTION_STARTED",
        "CHILD_WORKFLOW_EXECUTION_STARTED",
        "CHILD_WORKFLOW_EXECUTION_COMPLETED",  # results come last
        "WORKFLOW_TASK_SCHEDULED",
    ]
    completed = life.last("CHILD_WORKFLOW_EXECUTION_COMPLETED")
    assert completed.child_workflow_execution_completed_event_attributes.started_event_id == 11
    assert life.run.children[other].started_event_id == 12
    assert same_state(life.run, life.rebuilt()) == []


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy.PARENT_CLOSE_POLICY_ABANDON, Leave.BEGIN),
        (Policy.PARENT_CLOSE_POLICY_TERMINATE, Leave.TERMINATE),
        (Policy.PARENT_CLOSE_POLICY_REQUEST_CANCEL, Leave.REQUEST_CANCEL),
    ],
)
@pytest.mark.parametrize("known", [False, True])
def test_a_child_whose_parent_has_closed_fares_by_its_policy(
    policy: ParentClosePolicy.ValueType, expected: Leave, *, known: bool
) -> None:
    life = parent(parent_close_policy=policy)
    if known:
        started(life)
    terminate(life)
    assert started(life) is expected
    assert children.leave(life.rebuilt(), INITIATED, 1, "c1") is expected
    assert life.types(INITIATED)[-1] == "WORKFLOW_EXECUTION_TERMINATED"


def test_a_child_of_a_run_that_was_reset_waits_for_the_run_that_took_its_place() -> None:
    life = parent()
    terminate(life, identity="history-resetter")
    assert started(life) is Leave.WAIT


def test_bad_commands_take_initiated_children_back() -> None:
    life = WorkedLife()
    completion = life.decide(start_child(), start_child(""))
    assert completion.error is not None
    assert not life.run.children
    assert life.types(4) == ["WORKFLOW_TASK_FAILED"]


def test_a_run_may_start_a_child_and_end_without_it() -> None:
    life = WorkedLife()
    life.decide(start_child(), complete_workflow())
    assert life.run.children  # its parent-close policy is about it
    assert children.to_start(life.run, INITIATED, 1, life.world.context().namespace) is None


def copied(event: HistoryEvent) -> HistoryEvent:
    """As a losing branch has it: there, other events came before."""
    copy = HistoryEvent()
    copy.CopyFrom(event)
    copy.event_id += 7
    return copy


def test_what_a_losing_branch_has_heard_is_written_again_once() -> None:
    loser, winner = parent(), parent()
    started(loser)
    told(loser, closed_child(INITIATED))
    heard = [copied(event) for event in loser.events if event.event_type in children.AFTER_INITIATED]
    change = winner.change()
    assert [children.write_again(change, event) for event in heard] == [True, True]
    assert [children.write_again(change, event) for event in heard] == [False, False]
    winner.commit(change)
    assert winner.types(INITIATED + 1) == [
        "CHILD_WORKFLOW_EXECUTION_STARTED",
        "CHILD_WORKFLOW_EXECUTION_COMPLETED",
    ]
    completed = winner.last("CHILD_WORKFLOW_EXECUTION_COMPLETED")
    assert completed.child_workflow_execution_completed_event_attributes.started_event_id == INITIATED + 1


def test_a_failed_start_is_written_again_unless_the_child_was_started() -> None:
    loser, winner, other = parent(), parent(), parent()
    change = loser.change()
    children.record_start_failed(change, INITIATED, 1, FAILED_CAUSE)
    loser.commit(change)
    (failed,) = [event for event in loser.events if event.event_type in children.AFTER_INITIATED]
    started(other)
    assert children.write_again(winner.change(), copied(failed))
    assert not children.write_again(other.change(), copied(failed))
