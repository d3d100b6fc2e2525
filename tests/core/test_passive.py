from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import (
    ActivityTaskScheduledEventAttributes,
    History,
    HistoryEvent,
    WorkflowTaskScheduledEventAttributes,
)
from temporalio.api.update.v1 import Request

from mockcloud.api.state.v1.state_pb2 import ActivityRecord, ReappliedEvent, WorkflowTaskRecord
from mockcloud.core import fold, passive, version_history
from mockcloud.core.conflict import Missing, NewBranch
from mockcloud.core.passive import Extra
from mockcloud.core.run import Run
from mockcloud.core.update_state import Forgotten, PendingUpdate
from mockcloud.core.version_history import Item
from tests.core.test_reapply import context, run, signaled


def started_at(version: int) -> Run:
    """A run with its Started and Scheduled events, written under `version`."""
    fresh = run()
    items = fresh.version_history.items
    items[0].version = version
    return fresh


def scheduled_activity(target: Run) -> ActivityRecord:
    event = HistoryEvent(
        event_id=target.next_event_id,
        version=1,
        event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
        activity_task_scheduled_event_attributes=ActivityTaskScheduledEventAttributes(activity_id="a"),
    )
    fold.fold(target, event)
    record = ActivityRecord()
    record.CopyFrom(target.activities[event.event_id].record)
    return record


def test_appended_events_give_up_the_sticky_worker_and_a_transient_attempt() -> None:
    target = started_at(1)
    target.record.sticky.task_queue = "sticky"
    target.record.workflow_task.CopyFrom(WorkflowTaskRecord(attempt=3, started_time=1, transient=True))
    outcome = passive.append(target, [signaled(3)], context(), Extra(signal_request_ids=["request-1"]))
    assert not outcome.replicate
    assert target.workflow_task is None
    assert not target.record.HasField("sticky")
    assert target.signal_request_ids == {"request-1"}
    assert not target.record.signal_request_ids  # the event has it


def test_events_are_stored_as_they_came() -> None:
    of_a_newer_server = b"\xfa\x07\x01?"  # a field that is not known here
    data = History(events=[signaled(3)]).SerializeToString() + of_a_newer_server
    (batch,) = passive.append(started_at(1), [signaled(3)], context(), Extra(data=data)).batches
    assert batch == (batch.branch_id, 3, 3, 1, data)
    (batch,) = passive.append(started_at(1), [signaled(3)], context(), Extra()).batches
    assert batch == (batch.branch_id, 3, 3, 1, data.removesuffix(of_a_newer_server))


def test_appended_events_take_away_what_is_in_memory_only() -> None:
    target = started_at(1)
    target.record.workflow_task.CopyFrom(
        WorkflowTaskRecord(attempt=1, scheduled_event_id=3, speculative=True)
    )
    target.pending_updates["u"] = PendingUpdate("u", Request())
    outcome = passive.append(target, [signaled(3)], context(), Extra())
    assert target.workflow_task is None
    assert outcome.update_ends == {"u": Forgotten()}


def test_a_started_task_with_events_is_left_alone() -> None:
    target = started_at(1)
    task = WorkflowTaskRecord(attempt=1, started_time=1, started_event_id=3)
    target.record.workflow_task.CopyFrom(task)
    passive.append(target, [signaled(3)], context(), Extra())
    assert target.workflow_task == task


def test_a_losing_batch_leaves_the_state_as_it_is() -> None:
    target = started_at(1)
    fold.fold(target, signaled(3, version=2))
    before = target.signal_count, target.next_event_id, version_history.items(target.version_history)
    outcome = passive.backfill(target, NewBranch(0, Item(2, 1)), [signaled(3)], context())
    assert (
        target.signal_count,
        target.next_event_id,
        version_history.items(target.version_history),
    ) == before
    loser = target.record.version_histories.histories[1]
    assert version_history.items(loser) == [Item(3, 1)]
    (fork,) = outcome.forks
    assert (fork.branch_id, fork.last_shared_event_id) == (loser.branch_id, 2)
    assert fork.parent_id == target.version_history.branch_id


def test_a_switch_rebuilds_the_state_and_keeps_what_events_do_not_carry() -> None:
    target, shared = started_at(1), started_at(1)
    fold.fold(target, signaled(3))
    target.record.create_request_id = "create"
    target.record.reapplied.append(ReappliedEvent(run_id="r0", event_id=7, version=1))
    target.record.attached_request_ids["early"] = 2
    target.record.attached_request_ids["late"] = 3
    scheduled = HistoryEvent(
        event_id=3,
        version=2,
        event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
        workflow_task_scheduled_event_attributes=WorkflowTaskScheduledEventAttributes(attempt=1),
    )
    outcome = passive.switch(target, shared, NewBranch(0, Item(2, 1)), [scheduled], context(), Extra())
    winner = outcome.run
    assert winner is shared
    assert (winner.signal_count, winner.next_event_id) == (0, 4)
    assert winner.workflow_task is not None
    assert version_history.items(winner.version_history) == [Item(2, 1), Item(3, 2)]
    assert winner.record.version_histories.current_index == 1
    assert winner.record.create_request_id == "create"
    assert list(winner.record.signal_request_ids) == ["request-1"]  # of the signal that lost
    assert winner.signal_request_ids == {"request-1"}
    assert [event.event_id for event in winner.record.reapplied] == [7]
    assert dict(winner.record.attached_request_ids) == {"early": 2}
    # The run that lost is as it was: a commit may still write what ended it.
    assert target.record.version_histories.current_index == 0
    assert len(target.record.version_histories.histories) == 1


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ({"version": 2, "attempt": 1}, True),
        ({"version": 1, "attempt": 4}, True),
        ({"version": 1, "attempt": 2}, False),
        ({"version": 1, "attempt": 3, "stamp": 1}, True),
        ({"version": 1, "attempt": 3, "last_heartbeat_time": 9}, True),
        ({"version": 1, "attempt": 3, "last_heartbeat_time": 4}, False),
        ({"version": 1, "attempt": 3, "last_heartbeat_time": 5, "started_time": 3}, True),
        ({"version": 0, "attempt": 9}, False),
    ],
)
def test_the_newer_state_of_an_activity_is_taken(change: dict[str, int], taken: bool) -> None:
    target = started_at(1)
    record = scheduled_activity(target)
    local = target.activities[record.scheduled_event_id].record
    local.attempt, local.last_heartbeat_time = 3, 5
    for name, value in change.items():
        setattr(record, name, value)
    items = version_history.items(target.version_history)
    outcome = passive.sync_activity(target, items, record, context())
    assert (outcome is not None) == taken
    assert (target.activities[record.scheduled_event_id].record == record) == taken


def test_the_state_of_an_activity_that_is_not_scheduled_here_asks_for_its_events() -> None:
    target = started_at(1)
    found = passive.sync_activity(target, [Item(5, 1)], ActivityRecord(scheduled_event_id=5), context())
    assert found == Missing(Item(2, 1), Item(5, 1))


def test_the_state_of_a_losing_branchs_activity_is_dropped() -> None:
    target = started_at(1)
    fold.fold(target, signaled(3, version=2))
    lost = ActivityRecord(scheduled_event_id=4)
    assert passive.sync_activity(target, [Item(4, 1)], lost, context()) is None
