"""What a worker says of an activity: a heartbeat, a result, a failure, its cancellation.

Every one of them names an attempt by its task token. The token may come from the other region: its
versions are compared, so that an attempt whose start had replicated goes on here, and any other is
refused.

Real: api/recordactivitytaskheartbeat, api/respondactivitytask{completed,failed,canceled},
api/activity_util.go.
"""

from __future__ import annotations

from typing import NamedTuple

from temporalio.api.common.v1 import Payloads, WorkerVersionStamp
from temporalio.api.enums.v1 import EventType, RetryState
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import (
    ActivityTaskCanceledEventAttributes,
    ActivityTaskCompletedEventAttributes,
    ActivityTaskFailedEventAttributes,
)

from mockcloud.core import activity_end, task_state
from mockcloud.core.activity_start import (
    StartedActivity,
    activity_offers,
    begin_attempt,
    start_activity,
    start_eagerly,
)
from mockcloud.core.change import RunChange
from mockcloud.core.derived import TaskKind
from mockcloud.core.errors import InvalidArgument, NotFound, workflow_already_completed
from mockcloud.core.run import Activity, Run
from mockcloud.core.tokens import TaskToken

__all__ = [
    "HeartbeatReply",
    "StartedActivity",
    "activity_offers",
    "cancel",
    "complete",
    "fail",
    "heartbeat",
    "start_activity",
    "start_eagerly",
    "token_by_id",
]


class HeartbeatReply(NamedTuple):
    """What a worker learns from a heartbeat."""

    cancel_requested: bool
    paused: bool = False
    reset: bool = False  # it is to begin anew: this attempt need not go on


def token_by_id(run: Run, activity_id: str) -> TaskToken:
    """A token for calls that name an activity by its id: it stands for whichever attempt is pending.

    It names no Scheduled event, by which the rules below know it, and resolve the id themselves.
    """
    return TaskToken(
        namespace_id=run.key.namespace_id,
        workflow_id=run.key.workflow_id,
        run_id=run.key.run_id,
        scheduled_event_id=0,
        attempt=1,
        version=0,
        kind=TaskKind.ACTIVITY,
        activity_id=activity_id,
    )


def heartbeat(
    change: RunChange, token: TaskToken, details: Payloads | None, identity: str = ""
) -> HeartbeatReply:
    """Keep a worker's progress, and tell it whether the workflow wants the activity cancelled.

    Raises:
        NotFound: the token's attempt is not the current one, or the run is closed.
    """
    activity = _pending(change, token)
    _keep_progress(change, activity, details, identity)
    record = activity.record
    return HeartbeatReply(record.cancel_requested, record.paused, record.reset_requested)


def complete(
    change: RunChange,
    token: TaskToken,
    result: Payloads | None,
    identity: str,
    worker_version: WorkerVersionStamp | None = None,
) -> None:
    """Close the activity with its result.

    By id, one that no worker has is closed as well, as if its attempt had begun now.

    Raises:
        NotFound: the token's attempt is not the current one, or the run is closed.
    """
    activity = _pending(change, token, may_be_waiting=True)
    if not activity.started:
        begin_attempt(change, activity, "", identity)
    activity_end.close(
        change,
        activity,
        EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
        ActivityTaskCompletedEventAttributes(result=result, identity=identity),
        worker_version,
    )
    task_state.schedule_workflow_task(change)


def fail(
    change: RunChange,
    token: TaskToken,
    failure: Failure,
    identity: str,
    *,
    last_heartbeat_details: Payloads | None = None,
    worker_version: WorkerVersionStamp | None = None,
) -> None:
    """End the attempt with a failure: a further attempt follows, or the activity is closed.

    Raises:
        NotFound: the token's attempt is not the current one, or the run is closed.
    """
    activity = _pending(change, token)
    if last_heartbeat_details is not None:
        _keep_progress(change, activity, last_heartbeat_details, identity)
    activity.record.last_attempt_complete_time = change.context.now
    change.touch_activity(activity.record.scheduled_event_id)
    retry_state = activity_end.retry_activity(change, activity, failure)
    if retry_state == RetryState.RETRY_STATE_IN_PROGRESS:
        return
    activity_end.close(
        change,
        activity,
        EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
        ActivityTaskFailedEventAttributes(failure=failure, retry_state=retry_state, identity=identity),
        worker_version,
    )
    task_state.schedule_workflow_task(change)


def cancel(
    change: RunChange,
    token: TaskToken,
    details: Payloads | None,
    identity: str,
) -> None:
    """Close the activity as cancelled, which its workflow must have asked for.

    Raises:
        NotFound: the token's attempt is not the current one, or the run is closed.
        InvalidArgument: its workflow has not asked for it.
    """
    activity = _pending(change, token)
    if not activity.record.cancel_requested:
        raise InvalidArgument(
            "unable to mark activity as canceled without activity being request canceled first"
        )
    activity_end.close(
        change,
        activity,
        EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED,
        ActivityTaskCanceledEventAttributes(
            details=details,
            identity=identity,
            latest_cancel_requested_event_id=activity.record.cancel_request_event_id,
        ),
    )
    task_state.schedule_workflow_task(change)


def _pending(change: RunChange, token: TaskToken, *, may_be_waiting: bool = False) -> Activity:
    """The activity whose current attempt `token` names; `may_be_waiting`: by id, also if no worker has it."""
    run = change.run
    if not run.open or run.record.zombie:
        raise workflow_already_completed()
    scheduled_event_id = token.scheduled_event_id or _by_id(run, token.activity_id)
    activity = run.activities.get(scheduled_event_id)
    by_id = token.scheduled_event_id == 0
    if activity is None or not _fits(token, activity, may_be_waiting=may_be_waiting and by_id):
        raise NotFound("invalid activityID or activity already timed out or invoking workflow is completed")
    return activity


def _by_id(run: Run, activity_id: str) -> int:
    if not activity_id:
        raise InvalidArgument("activityID cannot be empty")
    scheduled_event_id = run.activity_ids.get(activity_id)
    if scheduled_event_id is None:
        raise NotFound(
            f"cannot find pending activity with ActivityID {activity_id}, "
            "check workflow execution history for more details"
        )
    return scheduled_event_id


def _fits(token: TaskToken, activity: Activity, *, may_be_waiting: bool) -> bool:
    """Real: api.IsActivityTaskNotFoundForToken, negated."""
    record = activity.record
    if not activity.started and not may_be_waiting:
        return False
    if token.scheduled_event_id and token.attempt != record.attempt:
        return False
    if token.start_version and record.start_version:
        return token.start_version == record.start_version
    return not token.version or token.version == record.version


def _keep_progress(change: RunChange, activity: Activity, details: Payloads | None, identity: str) -> None:
    record = activity.record
    record.version = change.version
    record.heartbeat_details = b"" if details is None else details.SerializeToString()
    record.last_heartbeat_time = change.context.now
    if identity:
        record.last_worker_identity = identity
    change.touch_activity(record.scheduled_event_id)
