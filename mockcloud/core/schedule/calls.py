"""What a caller does to a schedule that exists, and what of it has to be done again after a split.

In the real server a schedule is a workflow, and these calls are signals to it. So they are reapplied where the losing
region of a split has taken them [§8]; one that is known by its request id is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from temporalio.api.workflowservice.v1 import PatchScheduleRequest, UpdateScheduleRequest

from mockcloud.api.state.v1.schedule_pb2 import ScheduleRecord
from mockcloud.api.state.v1.state_pb2 import VersionHistoryItem
from mockcloud.core.schedule import machine, views
from mockcloud.core.schedule.state import ScheduleState

Call: TypeAlias = UpdateScheduleRequest | PatchScheduleRequest


def apply(state: ScheduleState, call: Call, now: int) -> None:
    """Update or patch the schedule, unless this very call has been there before."""
    if machine.seen_before(state, call.request_id):
        return
    if isinstance(call, PatchScheduleRequest):
        machine.patch(state, call.patch, now)
        return
    attributes = call.search_attributes if call.HasField("search_attributes") else None
    machine.update(state, call.schedule, views.load_token(call.conflict_token), attributes, now)


def lost(own: ScheduleRecord, theirs: ScheduleRecord) -> bool:
    """Whether `theirs` is a state that `own` has left behind without having come through it: the losing side's."""
    if (theirs.version, theirs.stamp) >= (own.version, own.stamp):
        return False
    return not any(item.version == theirs.version and item.event_id >= theirs.stamp for item in own.items)


def note_version(items: Sequence[VersionHistoryItem], version: int, stamp: int) -> list[VersionHistoryItem]:
    """The history of versions with a state of `version` and `stamp` at its end."""
    kept = [item for item in items if item.version < version]
    return [*kept, VersionHistoryItem(event_id=stamp, version=version)]
