"""Calls about a schedule, and which of them a split has lost."""

from __future__ import annotations

import pytest
from temporalio.api.schedule.v1 import SchedulePatch
from temporalio.api.workflowservice.v1 import CreateScheduleRequest, PatchScheduleRequest

from mockcloud.api.state.v1.schedule_pb2 import ScheduleRecord
from mockcloud.core.schedule import calls, machine

HISTORY = calls.note_version(calls.note_version([], 1, 50), 2, 70)


@pytest.mark.parametrize(
    ("version", "stamp", "lost"),
    [
        (1, 40, False),  # we have come through it
        (1, 50, False),
        (1, 60, True),  # the other region went on from 50, without us
        (2, 65, False),
        (2, 70, False),  # the very same
        (2, 80, False),  # newer: it holds
        (11, 1, False),
    ],
)
def test_states_of_the_losing_side(version: int, stamp: int, lost: bool) -> None:
    own = ScheduleRecord(version=2, stamp=70, items=HISTORY)
    assert calls.lost(own, ScheduleRecord(version=version, stamp=stamp)) is lost


def test_a_version_history_has_one_item_per_version() -> None:
    items = calls.note_version(HISTORY, 2, 75)
    assert [(item.version, item.event_id) for item in items] == [(1, 50), (2, 75)]


def test_a_call_counts_once() -> None:
    request = CreateScheduleRequest(schedule_id="s", request_id="create")
    state = machine.create(request, run_id="r", now=0, before=None)
    call = PatchScheduleRequest(request_id="once", patch=SchedulePatch(pause="p"))
    calls.apply(state, call, 0)
    calls.apply(state, call, 0)
    assert state.record.conflict_token == 2
    call.request_id = "again"
    calls.apply(state, call, 0)
    assert state.record.conflict_token == 3
