"""The points to which an operator may reset a workflow after a bad deployment: where each build first decided.

A run notes the first workflow task that each build of its worker completed, and hands its points on to the run
that continues it. They are part of the fold, so every region has the same: what depends on the namespace, the
moment at which the run before is deleted, is written into the Started event.

Real: MutableStateImpl.addResetPointFromCompletion, rolloverAutoResetPointsWithExpiringTime.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import ResetPointInfo, ResetPoints

from mockcloud.core import times

# history.historyMaxAutoResetPoints
_MOST: Final = 20

Points = tuple[ResetPointInfo, ...]


def noted(points: Points, run_id: str, completed: HistoryEvent, *, resettable: bool) -> Points:
    """`points` with the build that completed a workflow task, if it is a new one."""
    attributes = completed.workflow_task_completed_event_attributes
    checksum, build_id = attributes.binary_checksum, attributes.worker_version.build_id
    if attributes.HasField("deployment_version"):
        build_id = attributes.deployment_version.build_id
    elif attributes.HasField("deployment"):
        build_id = attributes.deployment.build_id
    if any(point.binary_checksum == checksum and point.build_id == build_id for point in points):
        return points
    point = ResetPointInfo(
        binary_checksum=checksum,
        build_id=build_id,
        run_id=run_id,
        first_workflow_task_completed_id=completed.event_id,
        create_time=completed.event_time,
        resettable=resettable,
    )
    return (*points, point)[-_MOST:]


def handed_on(points: Sequence[ResetPointInfo], run_id: str, now: int, retention: int) -> ResetPoints:
    """What the run that continues `run_id` gets: its points expire with it, `retention` after `now`."""
    result = ResetPoints(points=points)
    for point in result.points:
        if point.run_id == run_id:
            point.expire_time.CopyFrom(times.timestamp(now + retention))
    return result


def inherited(started: HistoryEvent) -> Points:
    """The points that a run begins with: those of runs that are still there."""
    attributes = started.workflow_execution_started_event_attributes
    begin = times.nanoseconds(started.event_time)
    return tuple(
        point
        for point in attributes.prev_auto_reset_points.points
        if not point.HasField("expire_time") or times.nanoseconds(point.expire_time) >= begin
    )
