"""The rules by which an event of a losing branch is told to be reapplied, kept, lost, or waiting."""

from __future__ import annotations

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from mockcloud.api.state.v1.state_pb2 import ReappliedEvent
from mockcloud.core import fates, two_runs
from mockcloud.core.cluster import Clusters
from mockcloud.core.fates import BranchFacts, EventFate, Fate, RunFacts

CLUSTERS = Clusters.of(["A", "B"])


def event(event_id: int, name: str, version: int = 1) -> HistoryEvent:
    made = HistoryEvent(event_id=event_id, version=version, event_type=EventType.Value(f"EVENT_TYPE_{name}"))
    getattr(made, f"{name.lower()}_event_attributes").SetInParent()
    return made


def signaled(event_id: int, name: str, version: int = 1) -> HistoryEvent:
    made = event(event_id, "WORKFLOW_EXECUTION_SIGNALED", version)
    made.workflow_execution_signaled_event_attributes.signal_name = name
    return made


def admitted(event_id: int, update_id: str, version: int = 1) -> HistoryEvent:
    made = event(event_id, "WORKFLOW_EXECUTION_UPDATE_ADMITTED", version)
    made.workflow_execution_update_admitted_event_attributes.request.meta.update_id = update_id
    return made


def accepted(event_id: int, update_id: str = "") -> HistoryEvent:
    made = event(event_id, "WORKFLOW_EXECUTION_UPDATE_ACCEPTED")
    if update_id:
        attributes = made.workflow_execution_update_accepted_event_attributes
        attributes.accepted_request.meta.update_id = update_id
    return made


def terminated(event_id: int, identity: str, reason: str = "") -> HistoryEvent:
    made = event(event_id, "WORKFLOW_EXECUTION_TERMINATED")
    made.workflow_execution_terminated_event_attributes.identity = identity
    made.workflow_execution_terminated_event_attributes.reason = reason
    return made


def external_signal(event_id: int, version: int = 1) -> HistoryEvent:
    made = signaled(event_id, "s", version)
    made.workflow_execution_signaled_event_attributes.external_workflow_execution.CopyFrom(
        WorkflowExecution(workflow_id="sender")
    )
    return made


SHARED = [event(1, "WORKFLOW_EXECUTION_STARTED"), event(2, "WORKFLOW_TASK_SCHEDULED")]


def run(
    loser: list[HistoryEvent],
    winner: list[HistoryEvent],
    *reapplied: HistoryEvent,
    open: bool = True,  # noqa: A002 it is the field's name
    current: bool = True,
    run_id: str = "r",
) -> RunFacts:
    return RunFacts(
        run_id=run_id,
        current=current,
        open=open,
        zombie=False,
        branches=[BranchFacts([*SHARED, *winner], 0), BranchFacts([*SHARED, *loser], 2)],
        reapplied=[
            ReappliedEvent(run_id=run_id, event_id=known.event_id, version=known.version)
            for known in reapplied
        ],
    )


def fate(*runs: RunFacts, active: str = "B") -> EventFate:
    """Of the first event that has one."""
    told = fates.of_runs(runs, clusters=CLUSTERS, active=active)
    return next(iter(told.values()))[0]


def test_equal_signals_are_found_one_after_the_other() -> None:
    lost = [signaled(3, "s"), signaled(4, "s"), signaled(5, "t")]
    copies = [
        signaled(3, "t", 2),
        signaled(4, "s", 2),
        event(5, "WORKFLOW_TASK_SCHEDULED", 2),
        signaled(6, "s", 2),
    ]
    told = fates.of_runs([run(lost, copies, *lost)], clusters=CLUSTERS, active="B")
    assert [(each.event_id, each.to_event_id) for each in told["r", 1]] == [(3, 4), (4, 6), (5, 3)]
    assert {each.fate for each in told["r", 1]} == {Fate.REAPPLIED}


def test_what_only_looks_alike_is_not_what_was_reapplied() -> None:
    """A signal of the same name that the winner got by itself: without its key the loser's still waits."""
    assert fate(run([signaled(3, "s")], [signaled(3, "s", 2)])).fate is Fate.WAITING


def test_a_reapplied_event_in_the_buffer() -> None:
    lost = signaled(3, "s")
    assert fate(run([lost], [], lost)) == EventFate(3, Fate.REAPPLIED, run_id="r", to_event_id=0)


def test_a_copy_on_another_run() -> None:
    lost = signaled(3, "s")
    closed = run([lost], [], open=False, current=False)
    made = RunFacts(
        run_id="r2",
        current=True,
        open=True,
        zombie=False,
        branches=[BranchFacts([*SHARED, signaled(3, "s", 2)], 0)],
        reapplied=[ReappliedEvent(run_id="r", event_id=3, version=1)],
        from_reset=True,
    )
    assert fate(closed, made) == EventFate(3, Fate.REAPPLIED, run_id="r2", to_event_id=3)


@pytest.mark.parametrize("lost", [event(3, "WORKFLOW_EXECUTION_CANCEL_REQUESTED"), terminated(3, "a user")])
def test_a_reset_does_not_apply_what_ends_a_run(lost: HistoryEvent) -> None:
    closed = run([lost], [], open=False, current=False)
    made = RunFacts(
        run_id="r2",
        current=True,
        open=True,
        zombie=False,
        branches=[BranchFacts(SHARED, 0)],
        reapplied=[ReappliedEvent(run_id="r", event_id=3, version=1)],
        from_reset=True,
    )
    assert fate(closed, made) == EventFate(3, Fate.LOST, fates.REOPENED)


def test_own_signals_of_the_region_that_is_active_again() -> None:
    """09b: after 1, 2, 11 a signal of version 1 that has not been reapplied never will be."""
    assert fate(run([signaled(3, "s")], []), active="A") == EventFate(3, Fate.LOST, fates.OWN_VERSION)


def test_a_closed_run_with_a_pending_child_drops_them() -> None:
    """04e."""
    winner = [event(3, "START_CHILD_WORKFLOW_EXECUTION_INITIATED", 2)]
    assert fate(run([signaled(3, "s")], winner, open=False)) == EventFate(3, Fate.LOST, fates.PENDING_CHILD)
    ended = event(4, "CHILD_WORKFLOW_EXECUTION_COMPLETED", 2)
    ended.child_workflow_execution_completed_event_attributes.initiated_event_id = 3
    assert fate(run([signaled(3, "s")], [*winner, ended], open=False)).fate is Fate.WAITING


def test_a_closed_run_that_never_had_a_workflow_task() -> None:
    closed = RunFacts(
        run_id="r",
        current=True,
        open=False,
        zombie=False,
        branches=[BranchFacts(SHARED[:1], 0), BranchFacts([SHARED[0], signaled(2, "s")], 1)],
    )
    assert fate(closed) == EventFate(2, Fate.LOST, fates.NO_TASK)


@pytest.mark.parametrize(
    ("lost", "winner", "reason"),
    [
        (admitted(3, "u"), admitted(3, "u", 2), fates.SAME_UPDATE),
        (accepted(3, "u"), admitted(3, "u", 2), fates.SAME_UPDATE),
        (
            event(3, "WORKFLOW_EXECUTION_CANCEL_REQUESTED"),
            event(3, "WORKFLOW_EXECUTION_CANCEL_REQUESTED", 2),
            fates.SAME_CANCEL,
        ),
        (external_signal(3), external_signal(3, 2), fates.SAME_SIGNAL),
    ],
)
def test_what_the_winner_has_been_asked_already(
    lost: HistoryEvent, winner: HistoryEvent, reason: str
) -> None:
    assert fate(run([lost], [winner])) == EventFate(3, Fate.KEPT, reason)


def test_an_update_is_admitted_again_and_its_progress_is_lost() -> None:
    lost = [accepted(3, "u"), event(4, "WORKFLOW_EXECUTION_UPDATE_COMPLETED")]
    (told,) = fates.of_runs(
        [run(lost, [admitted(3, "u", 2)], lost[0])], clusters=CLUSTERS, active="B"
    ).values()
    assert told == [EventFate(3, Fate.REAPPLIED, "", "r", 3), EventFate(4, Fate.LOST, fates.PROGRESS)]
    assert fate(run([accepted(3)], [])) == EventFate(3, Fate.LOST, fates.PROGRESS)


def test_a_child_that_the_winner_does_not_have() -> None:
    lost = event(3, "CHILD_WORKFLOW_EXECUTION_STARTED")
    assert fate(run([lost], [])) == EventFate(3, Fate.LOST, fates.CHILD)


def test_every_type_of_event_has_a_rule() -> None:
    for name, number in EventType.items():
        if number and "NEXUS" not in name:
            told = fate(run([event(3, name.removeprefix("EVENT_TYPE_"))], []))
            assert told.reason, name


def test_a_superseded_run_tells_of_all_its_events() -> None:
    ended = terminated(4, "history-service", two_runs.REASON)
    loser = RunFacts("l", False, False, False, [BranchFacts([*SHARED, signaled(3, "s"), ended], 0)])
    winner = RunFacts("w", True, True, False, [BranchFacts([event(1, "WORKFLOW_EXECUTION_STARTED", 2)], 0)])
    assert (loser.superseded, winner.superseded) == (True, False)
    (told,) = fates.of_runs([loser, winner], clusters=CLUSTERS, active="B").values()
    assert [(each.event_id, each.fate) for each in told] == [
        (1, Fate.LOST),
        (2, Fate.LOST),
        (3, Fate.WAITING),
        (4, Fate.LOST),
    ]
    assert (told[0].reason, told[3].reason) == (fates.LOSING_START, fates.BY_THE_SERVER)


def test_without_a_conflict_nothing_has_a_fate() -> None:
    closed = RunFacts("a", False, False, False, [BranchFacts([*SHARED, terminated(3, "a user")], 0)])
    following = RunFacts("b", True, True, False, [BranchFacts(SHARED, 0)])
    assert fates.of_runs([closed, following], clusters=CLUSTERS, active="B") == {}
