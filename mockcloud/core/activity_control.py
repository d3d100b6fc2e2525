"""What operators do to pending activities: pause and unpause them, begin them anew, change their options.

An activity is named by its id, or all of a type, or simply all. None of it writes an event: it is state, which
replicates, and its `stamp` rises with each, which voids what a task queue has offered of it.

    paused and waiting      not offered; its time-outs stand still
    paused with a worker    goes on; the worker is told with its next heartbeat, no attempt follows

Real: workflow/activity.go, api/{pause,unpause,reset}activity, api/updateactivityoptions.
"""

from __future__ import annotations

from typing import TypeAlias

from google.protobuf.duration_pb2 import Duration
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflowservice.v1 import (
    PauseActivityRequest,
    ResetActivityRequest,
    UnpauseActivityRequest,
    UpdateActivityOptionsRequest,
)

from mockcloud.core import activity_end, activity_options, field_mask, retry, times
from mockcloud.core.change import RunChange
from mockcloud.core.errors import InvalidArgument, NotFound, workflow_already_completed
from mockcloud.core.run import Activity, Run

ControlRequest: TypeAlias = (
    PauseActivityRequest | UnpauseActivityRequest | ResetActivityRequest | UpdateActivityOptionsRequest
)

_WAITING = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED


def pause(change: RunChange, request: PauseActivityRequest) -> None:
    """Offer the activities to no worker until they are unpaused; nothing for those that are paused already.

    Raises:
        NotFound: no such activity is pending, or the run is closed.
    """
    for activity in _targets(change.run, request):
        record = activity.record
        if record.paused:
            continue
        record.paused = True
        record.paused_time = change.context.now
        record.paused_identity = request.identity
        record.paused_reason = request.reason
        _changed(change, activity)


def unpause(change: RunChange, request: UnpauseActivityRequest) -> None:
    """Let paused activities go on; one that waits is due at once, or within `jitter`.

    Raises:
        NotFound: no such activity is pending, or the run is closed.
    """
    _require_open(change.run)
    for activity in _targets(change.run, request):
        record = activity.record
        if not record.paused:
            continue
        _unpause(activity)
        if request.reset_attempts:
            record.attempt = 1
        if request.reset_heartbeat:
            _forget_heartbeat(activity)
        if activity.state == _WAITING:
            _wait(change, activity, _soon(change, request.jitter))
        _changed(change, activity)


def reset(change: RunChange, request: ResetActivityRequest) -> None:
    """Begin activities anew with their first attempt.

    One that waits is due at once, or within `jitter`, and no longer paused, unless `keep_paused`. A worker
    that has one is told with its next heartbeat.

    Raises:
        NotFound: no such activity is pending, or the run is closed.
    """
    for activity in _targets(change.run, request):
        record = activity.record
        record.attempt = 1
        record.reset_requested = True
        record.reset_heartbeats = record.reset_heartbeats or request.reset_heartbeat
        if request.restore_original_options:
            _restore_all_but_priority(activity)
        _changed(change, activity)
        started = activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
        if started or (record.paused and request.keep_paused):
            continue
        _unpause(activity)
        if activity.state == _WAITING:
            if request.reset_heartbeat:
                _forget_heartbeat(activity)
            _wait(change, activity, _soon(change, request.jitter))


def update_options(change: RunChange, request: UpdateActivityOptionsRequest) -> ActivityOptions:
    """Change the options that the request's mask names, or give back those of the beginning.

    Of an activity that waits for a further attempt, the wait is counted anew. Returns the options of the
    last activity.

    Raises:
        NotFound: no such activity is pending, or the run is closed.
        InvalidArgument: options or mask are missing, or both are given with `restore_original`; or what
            comes out cannot be right.
    """
    paths = field_mask.paths(request.update_mask.paths)
    if request.restore_original:
        if paths:
            raise InvalidArgument("Both UpdateMask and RestoreOriginal are provided")
    else:
        _require_open(change.run)
        if not request.HasField("activity_options"):
            raise InvalidArgument("ActivityOptions are not provided")
    targets = _targets(change.run, request)
    if not request.restore_original and not request.HasField("update_mask"):
        raise InvalidArgument("UpdateMask is not provided")
    options = ActivityOptions()
    for activity in targets:
        if request.restore_original:
            options = activity_options.original(activity)
        else:
            options = activity_options.merged(
                change.run, activity, request.activity_options, paths, change.context.limits
            )
        activity_options.store(activity, options)
        if activity.state == _WAITING:
            _wait(change, activity, _next_moment(activity))
        _changed(change, activity)
    return options


def _targets(run: Run, request: ControlRequest) -> list[Activity]:
    """The activities that a request names, at least one. Raises NotFound."""
    named = request.WhichOneof("activity")
    if named == "id":
        if not isinstance(request, UpdateActivityOptionsRequest):
            _require_open(run)
        scheduled_event_id = run.activity_ids.get(request.id, 0)
        found = [run.activities[scheduled_event_id]] if scheduled_event_id in run.activities else []
    elif named == "type":
        found = [each for each in run.activities.values() if _type(each) == request.type]
    else:
        found = list(run.activities.values())
    if not found or run.record.zombie:
        raise NotFound(
            "Can't find pending activity with such ID. Invalid activityID or activity already completed"
        )
    return found


def _type(activity: Activity) -> str:
    return activity.attributes.activity_type.name


def _require_open(run: Run) -> None:
    if not run.open or run.record.zombie:
        raise workflow_already_completed()


def _changed(change: RunChange, activity: Activity) -> None:
    """Void what is offered of the activity, and see that its state replicates.

    The real server leaves the stamp of a running one; there nobody can tell, and here it lets the other
    region take the state even where the attempt's number went back.
    """
    activity.record.version = change.version
    activity.record.stamp += 1
    change.touch_activity(activity.record.scheduled_event_id)


def _unpause(activity: Activity) -> None:
    record = activity.record
    record.paused = False
    record.paused_time = 0
    record.paused_identity = record.paused_reason = ""


def _forget_heartbeat(activity: Activity) -> None:
    activity.record.heartbeat_details = b""
    activity.record.last_heartbeat_time = 0


def _restore_all_but_priority(activity: Activity) -> None:
    """Real: ResetActivity, which forgets the priority."""
    options = activity_options.original(activity)
    options.ClearField("priority")
    if activity.options.HasField("priority"):
        options.priority.CopyFrom(activity.options.priority)
    activity_options.store(activity, options)


def _wait(change: RunChange, activity: Activity, moment: int) -> None:
    """Let it wait for its current attempt until `moment`; the last failure is forgotten.

    Real: MutableStateImpl.RegenerateActivityRetryTask.
    """
    activity_end.begin_wait(change, activity, activity.record.attempt, moment)


def _soon(change: RunChange, jitter: Duration) -> int:
    """Now, or a random moment before `jitter` is over."""
    return change.context.now + int(change.context.random() * max(0, times.nanoseconds(jitter)))


def _next_moment(activity: Activity) -> int:
    """When its next attempt is due by its retry policy. Real: workflow.GetNextScheduledTime."""
    record, policy = activity.record, activity.options.retry_policy
    if record.attempt <= 1:
        return record.scheduled_time
    interval = retry.exponential(
        times.nanoseconds(policy.initial_interval), policy.backoff_coefficient, record.attempt
    )
    maximum = times.nanoseconds(policy.maximum_interval)
    if maximum and not 0 < interval <= maximum:
        interval = maximum
    return record.last_attempt_complete_time + interval if interval > 0 else record.scheduled_time
