"""The four time-outs of an activity, and the end of its retry backoff.

Two are of an attempt (start-to-close, heartbeat) and may be followed by another one; two are deadlines of
the activity (schedule-to-start, schedule-to-close) and close it. All count from moments in the record,
which replicates: so they fire in whichever region is active then, from their original times.

Real: workflow/timer_sequence.go, timerQueueActiveTaskExecutor.processSingleActivityTimeoutTask.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import RetryState, TimeoutType

from mockcloud.core import activity_end, failures, times
from mockcloud.core.change import RunChange
from mockcloud.core.run import Activity

_SCHEDULE_TO_CLOSE: Final = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE
_SCHEDULE_TO_START: Final = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START
_START_TO_CLOSE: Final = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
_HEARTBEAT: Final = TimeoutType.TIMEOUT_TYPE_HEARTBEAT

_NO_TIME_FOR_RETRY = (
    "Not enough time to schedule next retry before activity ScheduleToClose timeout, giving up retrying"
)


class Deadline(NamedTuple):
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
    options, started = activity.options, record.started_time
    scheduled = record.first_scheduled_time or record.scheduled_time
    running = [(_SCHEDULE_TO_CLOSE, scheduled, options.schedule_to_close_timeout)]
    if activity.started:
        running.append((_START_TO_CLOSE, started, options.start_to_close_timeout))
        running.append((_HEARTBEAT, max(started, record.last_heartbeat_time), options.heartbeat_timeout))
    else:
        running.append((_SCHEDULE_TO_START, record.scheduled_time, options.schedule_to_start_timeout))
    for timeout, begin, length in running:
        if nanoseconds := times.nanoseconds(length):
            yield Deadline(begin + nanoseconds, record.scheduled_event_id, timeout, record.attempt)


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
