"""The four time-outs of an activity, and the end of its retry backoff.

Two are of an attempt (start-to-close, heartbeat) and may be followed by another one; two are deadlines of
the activity (schedule-to-start, schedule-to-close) and close it. All count from moments in the record,
which replicates: so they fire in whichever region is active then, from their original times.

Real: workflow/timer_sequence.go, timerQueueActiveTaskExecutor.processSingleActivityTimeoutTask.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import RetryState, TimeoutType

from mockcloud.core import activity_end, failures, times
from mockcloud.core.change import RunChange
from mockcloud.core.run import Activity

_NO_TIME_FOR_RETRY = (
    "Not enough time to schedule next retry before activity ScheduleToClose timeout, giving up retrying"
)


@dataclass(frozen=True, slots=True, order=True)
class Deadline:
    """One time-out of one attempt. They sort in the order in which they take effect."""

    at: int  # nanoseconds since the epoch
    scheduled_event_id: int
    timeout: TimeoutType.ValueType
    attempt: int


def deadlines(activity: Activity) -> Iterator[Deadline]:
    """The time-outs that run for an activity, in no order; none while it is paused."""
    record = activity.record
    if record.paused:
        return
    options = activity.options

    def deadline(start: int, length: int, timeout: TimeoutType.ValueType) -> Iterator[Deadline]:
        if length:
            yield Deadline(start + length, record.scheduled_event_id, timeout, record.attempt)

    yield from deadline(
        record.first_scheduled_time or record.scheduled_time,
        times.nanoseconds(options.schedule_to_close_timeout),
        TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE,
    )
    if activity.started:
        yield from deadline(
            record.started_time,
            times.nanoseconds(options.start_to_close_timeout),
            TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE,
        )
        yield from deadline(
            max(record.started_time, record.last_heartbeat_time),
            times.nanoseconds(options.heartbeat_timeout),
            TimeoutType.TIMEOUT_TYPE_HEARTBEAT,
        )
    else:
        yield from deadline(
            record.scheduled_time,
            times.nanoseconds(options.schedule_to_start_timeout),
            TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START,
        )


def time_out(change: RunChange, activity: Activity, timeout: TimeoutType.ValueType) -> bool:
    """End the attempt, or the activity, by a time-out. True if it closed: a workflow task is needed."""
    failure = failures.timeout_failure(f"activity {failures.timeout_name(timeout)} timeout", timeout)
    retry_state = activity_end.retry_activity(change, activity, failure)
    if retry_state == RetryState.RETRY_STATE_IN_PROGRESS:
        return False
    if (
        retry_state == RetryState.RETRY_STATE_TIMEOUT
        and timeout != TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START
    ):
        failure = failures.timeout_failure(_NO_TIME_FOR_RETRY, TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE)
    if activity.record.heartbeat_details:
        details = Payloads.FromString(activity.record.heartbeat_details)
        failure.timeout_failure_info.last_heartbeat_details.CopyFrom(details)
    activity_end.close_timed_out(change, activity, failure, retry_state)
    return True


def end_backoff(change: RunChange, activity: Activity) -> None:
    """The wait before a further attempt is over: from now on it is offered.

    That is no state to replicate: the other region knows the moment, and does the same if it is active by
    then.
    """
    activity.record.backing_off = False
    change.touch()
