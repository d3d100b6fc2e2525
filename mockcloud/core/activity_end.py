"""The end of an activity's attempt: a further attempt by its retry policy, or the events that close it.

Nothing here checks who asks, and nothing schedules a workflow task: that is for the callers.

Real: MutableStateImpl.RetryActivity, addStartedEventForTransientActivity, AddActivityTask…Event.
"""

from __future__ import annotations

from google.protobuf.message import Message
from temporalio.api.common.v1 import WorkerVersionStamp
from temporalio.api.enums.v1 import EventType, RetryState, TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import (
    ActivityTaskCanceledEventAttributes,
    ActivityTaskCompletedEventAttributes,
    ActivityTaskFailedEventAttributes,
    ActivityTaskStartedEventAttributes,
    ActivityTaskTimedOutEventAttributes,
)

from mockcloud.core import failures, retry, times, validation
from mockcloud.core.change import RunChange
from mockcloud.core.run import Activity

# Deadlines of the activity as a whole; no attempt can follow them.
_DEADLINES = (TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START, TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE)

EndAttributes = (
    ActivityTaskCompletedEventAttributes
    | ActivityTaskFailedEventAttributes
    | ActivityTaskTimedOutEventAttributes
    | ActivityTaskCanceledEventAttributes
)


def retry_activity(change: RunChange, activity: Activity, failure: Failure) -> RetryState.ValueType:
    """Set the next attempt if there is one (IN_PROGRESS); else say why there is none, changing nothing."""
    options = activity.options
    record = activity.record
    now = change.context.now
    if not options.HasField("retry_policy"):
        return RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET
    if record.cancel_requested:
        return RetryState.RETRY_STATE_CANCEL_REQUESTED
    if failure.HasField("timeout_failure_info") and failure.timeout_failure_info.timeout_type in _DEADLINES:
        return RetryState.RETRY_STATE_TIMEOUT
    if record.paused and retry.retryable(failure, options.retry_policy.non_retryable_error_types):
        _hold(change, activity, failure)
        return RetryState.RETRY_STATE_IN_PROGRESS
    decision = retry.decide(
        options.retry_policy,
        failure,
        attempt=record.attempt,
        now=now,
        expires_at=expires_at(activity),
        delay_lifts_maximum=True,
    )
    if isinstance(decision, retry.GiveUp):
        return decision.state
    begin_wait(change, activity, record.attempt + 1, now + decision.delay, failure)
    return RetryState.RETRY_STATE_IN_PROGRESS


def expires_at(activity: Activity) -> int:
    """The moment after which no attempt may begin (nanoseconds); 0: never.

    It stands from the beginning, whatever becomes of the time-out (real: RetryExpirationTime).
    """
    whole = times.nanoseconds(activity.attributes.schedule_to_close_timeout)
    return times.nanoseconds(activity.scheduled.event_time) + whole if whole else 0


def begin_wait(
    change: RunChange, activity: Activity, attempt: int, moment: int, failure: Failure | None = None
) -> None:
    """Let the activity wait for `attempt` until `moment`, then be offered; no worker has it any more.

    It waits for a hundred years at most. Real: workflow.UpdateActivityInfoForRetries.
    """
    record = activity.record
    moment = min(moment, change.context.now + validation.MAXIMUM_DURATION)
    record.attempt = attempt
    record.version = change.version
    record.scheduled_time = moment
    record.backing_off = moment > change.context.now
    _leave_worker(change, activity, failure)
    record.last_worker_identity = record.started_identity
    if record.reset_heartbeats:
        record.heartbeat_details = b""
        record.last_heartbeat_time = 0
    record.reset_requested = False
    record.reset_heartbeats = False
    change.touch_activity(record.scheduled_event_id)


def _hold(change: RunChange, activity: Activity, failure: Failure) -> None:
    """The attempt of a paused activity ended: the next one is counted, and waits until it is unpaused."""
    record = activity.record
    record.attempt += 1
    record.version = change.version
    record.stamp += 1
    _leave_worker(change, activity, failure)
    change.touch_activity(record.scheduled_event_id)


def _leave_worker(change: RunChange, activity: Activity, failure: Failure | None) -> None:
    record = activity.record
    record.start_version = 0
    record.started_time = 0
    record.request_id = ""
    limit = change.context.limits.activity_failure_bytes
    record.last_failure = b"" if failure is None else _kept(failure, limit).SerializeToString()


def close(
    change: RunChange,
    activity: Activity,
    event_type: EventType.ValueType,
    attributes: EndAttributes,
    worker_version: WorkerVersionStamp | None = None,
) -> None:
    """Write the activity's last event, after the Started of the attempt that a worker had, if any.

    Started keeps the worker, the poll and the time of the attempt's beginning, wherever that was; its
    version is the one of now.
    """
    attributes.scheduled_event_id = activity.record.scheduled_event_id
    if activity.started:
        attributes.started_event_id = _write_started(change, activity, worker_version)
    change.add(event_type, attributes)


def close_timed_out(
    change: RunChange, activity: Activity, failure: Failure, retry_state: RetryState.ValueType
) -> None:
    """Write that the activity timed out; the failure of the attempt before becomes the cause."""
    if activity.record.last_failure:
        failure.cause.CopyFrom(Failure.FromString(activity.record.last_failure))
    attributes = ActivityTaskTimedOutEventAttributes(failure=failure, retry_state=retry_state)
    close(change, activity, EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT, attributes)


def _write_started(change: RunChange, activity: Activity, worker_version: WorkerVersionStamp | None) -> int:
    record = activity.record
    started = change.add(
        EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED,
        ActivityTaskStartedEventAttributes(
            scheduled_event_id=record.scheduled_event_id,
            identity=record.started_identity,
            request_id=record.request_id,
            attempt=record.attempt,
            last_failure=Failure.FromString(record.last_failure) if record.last_failure else None,
            worker_version=worker_version,
        ),
        moment=record.started_time,
    )
    return started.event_id


def _kept(failure: Failure, limit: int) -> Message:
    if failure.ByteSize() <= limit:
        return failure
    kept = failures.server_failure("Failure exceeds size limit.", non_retryable=False)
    kept.cause.CopyFrom(failures.truncated(failure, limit))
    return kept
