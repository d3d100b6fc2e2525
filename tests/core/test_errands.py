"""Which errands a run has follows from its state, whichever way that came about."""

from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import ParentClosePolicy
from temporalio.api.workflowservice.v1 import TerminateWorkflowExecutionRequest

from mockcloud.core import children, externals, signals, times
from mockcloud.core.derive import derive
from mockcloud.core.derived import Errand, ErrandKind
from mockcloud.core.errands import errands_of
from mockcloud.core.externals import Target
from tests.core.lives import WorkedLife, complete_workflow
from tests.core.makers import Life, World, same_state, start_request
from tests.core.others import cancel_external, closed_child, signal_external, start_child
from tests.core.test_children import PARENT

Policy = ParentClosePolicy
TARGET = Target("orders", "ns-id")


def kinds(life: Life) -> list[ErrandKind]:
    """Of the run as it is, which is also as a restart loads it."""
    found = errands_of(life.run)
    assert found == errands_of(life.rebuilt()) == derive(life.run).errands
    return sorted(errand.kind for errand in found)


def terminate(life: Life, identity: str = "operator") -> None:
    change = life.change()
    signals.terminate(change, TerminateWorkflowExecutionRequest(identity=identity))
    life.commit(change)


def test_a_run_that_is_alone_has_none() -> None:
    life = WorkedLife()
    assert kinds(life) == []
    life.decide(complete_workflow())
    assert kinds(life) == []


def test_what_is_initiated_stands_until_it_is_known_what_became_of_it() -> None:
    life = WorkedLife()
    life.decide(start_child(), signal_external(), cancel_external())
    assert errands_of(life.run) == {
        Errand(ErrandKind.START_CHILD, 5, 1, "child"),
        Errand(ErrandKind.SIGNAL_EXTERNAL, 6, 1, "other"),
        Errand(ErrandKind.CANCEL_EXTERNAL, 7, 1, "other"),
    }
    change = life.change()
    children.record_started(change, 5, 1, "c1")
    life.commit(change)
    assert kinds(life) == [ErrandKind.SIGNAL_EXTERNAL, ErrandKind.CANCEL_EXTERNAL]
    change = life.change()
    externals.record_signal(change, 6, 1, TARGET, None)
    externals.record_cancel(change, 7, 1, TARGET, None)
    life.commit(change)
    assert kinds(life) == []


def test_a_closed_run_sends_nothing_any_more() -> None:
    life = WorkedLife()
    life.decide(signal_external(), cancel_external(), complete_workflow())
    assert kinds(life) == []


def test_a_child_waits_for_leave_to_begin_until_it_has_begun() -> None:
    child = Life(World(), parent=PARENT)
    assert kinds(child) == [ErrandKind.FIRST_TASK]
    change = child.change()
    children.begin(change)
    child.commit(change)
    assert kinds(child) == []


def test_a_delayed_child_begins_by_itself() -> None:
    child = Life(World(), start_request(cron_schedule="@every 10s"), PARENT)
    assert kinds(child) == []
    assert derive(child.run).due == child.world.time + 10 * times.SECOND


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy.PARENT_CLOSE_POLICY_TERMINATE, [ErrandKind.CLOSE]),
        (Policy.PARENT_CLOSE_POLICY_REQUEST_CANCEL, [ErrandKind.CLOSE]),
        (Policy.PARENT_CLOSE_POLICY_ABANDON, []),
    ],
)
@pytest.mark.parametrize("known", [False, True])
def test_a_closed_parent_has_policies_to_apply(
    policy: ParentClosePolicy.ValueType, expected: list[ErrandKind], *, known: bool
) -> None:
    life = WorkedLife()
    life.decide(start_child(parent_close_policy=policy))
    if known:
        change = life.change()
        children.record_started(change, 5, 1, "c1")
        life.commit(change)
    terminate(life)
    assert kinds(life) == expected


def test_a_child_that_has_ended_is_no_concern_of_the_policies() -> None:
    life = WorkedLife()
    life.decide(start_child())
    change = life.change()
    children.record_closed(change, closed_child(5))
    life.commit(change)
    terminate(life)
    assert kinds(life) == []


def test_a_closed_child_has_its_parent_to_tell_until_that_is_done() -> None:
    child = Life(World(), parent=PARENT)
    terminate(child)
    (errand,) = errands_of(child.run)
    assert errand == Errand(ErrandKind.CLOSE, 2, 1)
    transitions = child.run.record.state_transitions
    change = child.change()
    children.close_errands_done(change, errand.event_id, errand.version)
    outcome = child.commit(change)
    assert kinds(child) == []
    assert outcome.replicate_run_state
    assert child.run.record.state_transitions == transitions  # nothing that anybody sees
    assert same_state(child.run, child.rebuilt()) == []
    # What was done was done for that close; a branch that closes by another event does it anew.
    child.run.record.close_errands.close.version = 2
    assert errands_of(child.run) == {errand}


def test_a_chain_that_goes_on_tells_nobody() -> None:
    child = Life(World(), parent=PARENT)
    terminate(child)
    child.run.new_run_id = "run-2"
    assert errands_of(child.run) == frozenset()


def test_a_reset_takes_the_children_along() -> None:
    life = WorkedLife()
    life.decide(start_child())
    terminate(life, identity="history-resetter")
    assert kinds(life) == [ErrandKind.CLOSE]  # somebody who only calls himself so
    life.run.record.reset_run_id = "run-2"
    assert kinds(life) == []


def test_a_zombie_has_none() -> None:
    life = WorkedLife()
    life.decide(start_child())
    life.run.record.zombie = True
    assert kinds(life) == []
    terminate_anyway = life.change()
    life.run.record.zombie = False
    signals.terminate(terminate_anyway, TerminateWorkflowExecutionRequest())
    life.run.record.zombie = True
    life.commit(terminate_anyway)
    assert kinds(life) == []
