"""What became of left events, told from the runs of a region: the table of outcomes, counts, joined ranges."""

from __future__ import annotations

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History, HistoryEvent

from mockcloud.api.admin.v1 import cloud_admin_pb2 as cloud
from mockcloud.api.admin.v1 import region_admin_pb2 as admin
from mockcloud.control import outcomes

STARTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
TASK = EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED

Runs = dict[tuple[str, str], cloud.RunReport]


def events(first: int, *types: int, run_id: str = "r", version: int = 1) -> admin.RunEvents:
    names = ["ping" if kind == SIGNALED else "" for kind in types]
    return admin.RunEvents(
        workflow_id="w", run_id=run_id, version=version, first_event_id=first, types=types, names=names
    )


def left(*found: admin.RunEvents, after_switch: bool = False) -> cloud.RunReport:
    runs = Runs()
    outcomes.add_events(runs, found, after_switch=after_switch)
    (run,) = runs.values()
    return run


def branch(*versions: int, fates: tuple[admin.EventFate, ...] = ()) -> admin.BranchView:
    history = History(
        events=[HistoryEvent(event_id=number, version=version) for number, version in enumerate(versions, 1)]
    )
    return admin.BranchView(events=history.SerializeToString(), fates=fates)


def told(run: cloud.RunReport) -> list[tuple[str, list[int]]]:
    return [(entry.outcome, list(entry.event_ids)) for entry in run.outcomes]


def test_pages_are_joined_and_what_came_after_the_switch_stays_apart() -> None:
    runs = Runs()
    outcomes.add_events(
        runs, [events(5, SIGNALED), events(6, TASK), events(1, STARTED, run_id="s")], after_switch=False
    )
    outcomes.add_events(runs, [events(7, SIGNALED)], after_switch=True)
    (first, second) = runs["w", "r"].left
    assert (first.first_event_id, list(first.types), first.after_switch) == (5, [SIGNALED, TASK], False)
    assert (second.first_event_id, list(second.types), second.after_switch) == (7, [SIGNALED], True)

    # What a region that joins is filled with comes a second time.
    outcomes.add_events(runs, [events(5, SIGNALED, TASK)], after_switch=False)
    summary = cloud.Unreplicated()
    outcomes.sum_up(runs.values(), summary)
    assert (summary.events, summary.workflows) == (3, 1)
    counts = [(entry.kind, entry.count) for entry in summary.kinds]
    assert counts == [("starts", 1), ("signals", 1), ("workflow tasks", 1)]


def test_the_current_branch_the_losing_one_and_what_is_nowhere() -> None:
    run = left(events(1, STARTED, SIGNALED, TASK, SIGNALED, SIGNALED))
    fates = (
        admin.EventFate(event_id=2, fate="reapplied", run_id="r2", to_event_id=9),
        admin.EventFate(event_id=3, fate="lost", reason="so it is"),
        admin.EventFate(event_id=4, fate="kept", reason="it has it"),
    )
    tree = admin.RunTree(run_id="r", branches=[branch(1, 2, 2), branch(1, 1, 1, 1, fates=fates)])
    outcomes.tell(run, [admin.RunTree(run_id="other"), tree])
    assert told(run) == [
        ("recovered", [1]),
        ("reapplied", [2]),
        ("lost", [3]),
        ("recovered", [4]),
        ("waiting", [5]),
    ]
    assert (run.outcomes[1].run_id, list(run.outcomes[1].to_event_ids)) == ("r2", [9])
    assert [entry.reason for entry in run.outcomes] == ["", "", "so it is", "it has it", outcomes.NOT_THERE]
    assert not outcomes.is_final([run])
    assert [list(entry.names) for entry in run.outcomes] == [[""], ["ping"], [""], ["ping"], ["ping"]]


def test_why_it_waits() -> None:
    run = left(events(1, STARTED))
    for tree, reason in (
        (admin.RunTree(run_id="r", parked_reason="for its parent"), "for its parent"),
        (admin.RunTree(run_id="r", dead_letter_reason="bad"), "in the dead letters: bad"),
    ):
        outcomes.tell(run, [tree])
        assert [(entry.outcome, entry.reason) for entry in run.outcomes] == [("waiting", reason)]
    outcomes.tell(run, None)
    assert run.outcomes[0].reason == outcomes.NOT_ASKED


def test_what_only_a_region_has_that_has_not_returned_is_lost() -> None:
    run = left(events(1, STARTED, SIGNALED))
    there = admin.RunTree(run_id="r", branches=[branch(1)])
    outcomes.tell(run, [there], away="east")
    assert told(run) == [("recovered", [1]), ("lost", [2])]
    assert run.outcomes[1].reason == "only region east has it, which has not returned"
    # What is there but parked does not wait for that region.
    outcomes.tell(run, [admin.RunTree(run_id="r", parked_reason="for its parent")], away="east")
    assert [(entry.outcome, entry.reason) for entry in run.outcomes] == [("waiting", "for its parent")]


def test_what_a_reset_copied_is_told_of_where_it_was_written() -> None:
    run = left(events(1, STARTED, TASK, SIGNALED, TASK), after_switch=True)
    outcomes.tell(run, [admin.RunTree(run_id="r", base_event_id=3, branches=[branch(1, 1, 1, 1)])])
    assert told(run) == [("recovered", [4])]
    run = left(events(1, STARTED), after_switch=True)
    outcomes.tell(run, [admin.RunTree(run_id="r", base_event_id=3, branches=[branch(1)])])
    assert not run.left
    assert outcomes.is_final([run])
