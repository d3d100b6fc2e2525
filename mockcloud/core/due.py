"""What a run does by itself as time passes: everything that is due, and the moment of the next thing.

Nothing fires before its moment. What is due is done in the order of the moments, each thing once per
call; a run that was long asleep (its region was passive, or down) does all of it in one change, and
closes if its own time ran out.

Real: timer_queue_active_task_executor.go, workflow/timer_sequence.go.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from temporalio.api.enums.v1 import EventType, RetryState
from temporalio.api.history.v1 import WorkflowExecutionTimedOutEventAttributes

from mockcloud.core import activity_timeouts, chain, task_state, timer, workflow_task
from mockcloud.core.activity_timeouts import Deadline
from mockcloud.core.change import RunChange
from mockcloud.core.run import Run


class Kind(IntEnum):
    """What may be due, in the order in which equal moments take effect."""

    RUN_TIMEOUT = 1
    EXECUTION_TIMEOUT = 2
    WORKFLOW_TASK_TIMEOUT = 3
    STICKY_TIMEOUT = 4
    FIRST_TASK = 5
    TIMER = 6
    ACTIVITY_TIMEOUT = 7
    ACTIVITY_RETRY = 8


class Due(NamedTuple):
    """One thing that is or will be due. `what` names it among its kind."""

    at: int  # nanoseconds since the epoch
    kind: Kind
    what: str | int | Deadline = 0
    in_memory: bool = False  # of a speculative workflow task: a restart knows nothing of it

    @property
    def order(self) -> tuple[int, int, Deadline | tuple[()]]:
        """Sorts by moment, then kind; time-outs of activities among themselves as the real server's do."""
        return self.at, self.kind, self.what if isinstance(self.what, Deadline) else ()


def next_due(run: Run) -> int | None:
    """The moment from which `run_due` has something to do, or None. Exact."""
    return min([due.at for due in pending(run)], default=None)


def next_stored_due(run: Run) -> int | None:
    """The same for what is stored of the run."""
    return min([due.at for due in pending(run) if not due.in_memory], default=None)


def run_due(change: RunChange) -> None:
    """Do what is due now. The work is bounded by what was pending before."""
    now = change.context.now
    ripe = sorted((due for due in pending(change.run) if due.at <= now), key=lambda due: due.order)
    for due in ripe:
        if not change.run.open:
            return
        _RULES[due.kind](change, due)


def pending(run: Run) -> list[Due]:
    """All that time will do to a run, in no order."""
    record = run.record
    if not run.open or record.zombie or run.started is None:
        return []
    found = _expirations(run)
    task = run.workflow_task
    if task is not None and task.started_time:
        at = task.started_time + task.start_to_close_timeout
        found.append(Due(at, Kind.WORKFLOW_TASK_TIMEOUT, 0, task.speculative))
    elif task is not None and not run.paused and _must_be_taken(run):
        at = task.scheduled_time + task.schedule_to_start_timeout
        found.append(Due(at, Kind.STICKY_TIMEOUT, 0, task.speculative))
    if (task is None or task.speculative) and record.first_task_backoff_until:
        found.append(Due(record.first_task_backoff_until, Kind.FIRST_TASK))
    for timer_id, user_timer in run.timers.items():
        found.append(Due(user_timer.fires_at, Kind.TIMER, timer_id))
    for activity in run.activities.values():
        for deadline in activity_timeouts.deadlines(activity):
            found.append(Due(deadline.at, Kind.ACTIVITY_TIMEOUT, deadline))
        attempt = activity.record
        if attempt.backing_off and not attempt.paused:
            found.append(Due(attempt.scheduled_time, Kind.ACTIVITY_RETRY, attempt.scheduled_event_id))
    return found


def _must_be_taken(run: Run) -> bool:
    """Whether the pending task waits for a limited time.

    It waits for one worker, whose queue the run has not left (`core.derive`), or it is or was speculative.
    """
    task = run.record.workflow_task
    on_its_queue = not task.sticky or task.task_queue == run.record.sticky.task_queue
    return on_its_queue and task.schedule_to_start_timeout > 0


def _expirations(run: Run) -> list[Due]:
    lifetime = run.lifetime
    execution, own = lifetime.execution_expires_at, lifetime.run_expires_at
    found = []
    if execution:
        found.append(Due(execution, Kind.EXECUTION_TIMEOUT))
    if own and own != execution:
        found.append(Due(own, Kind.RUN_TIMEOUT))
    return found


def _time_out_run(change: RunChange, due: Due) -> None:
    """Close the run because its time is over; another may follow. Real: workflow.TimeoutWorkflow."""
    verdict = chain.Verdict(RetryState.RETRY_STATE_TIMEOUT, None)
    if due.kind == Kind.RUN_TIMEOUT:
        verdict = chain.after_run_timeout(change.run, change.context)
    new_run_id = change.context.ids.run_id() if verdict.following else ""
    task_state.fail_started_task(change, task_state.FORCE_CLOSE)
    change.add(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT,
        WorkflowExecutionTimedOutEventAttributes(retry_state=verdict.state, new_execution_run_id=new_run_id),
    )
    if verdict.following is not None:
        chain.follow(change, verdict.following, new_run_id)


def _time_out_workflow_task(change: RunChange, due: Due) -> None:
    if change.run.started_workflow_task is not None:
        workflow_task.workflow_task_timed_out(change)


def _time_out_sticky(change: RunChange, due: Due) -> None:
    task = change.run.workflow_task
    if task is not None and not task.started_time and _must_be_taken(change.run):
        workflow_task.sticky_timed_out(change)


def _schedule_first_task(change: RunChange, due: Due) -> None:
    change.run.record.first_task_backoff_until = 0
    change.touch()
    task_state.schedule_workflow_task(change)


def _fire_timer(change: RunChange, due: Due) -> None:
    user_timer = change.run.timers.get(str(due.what))
    if user_timer is not None:
        timer.fire(change, user_timer)
        task_state.schedule_workflow_task(change)


def _time_out_activity(change: RunChange, due: Due) -> None:
    deadline = due.what
    assert isinstance(deadline, Deadline), "a time-out of an activity"
    activity = change.run.activities.get(deadline.scheduled_event_id)
    # An activity has up to four: an earlier one may have closed it, or begun another attempt.
    if activity is None or activity.record.attempt != deadline.attempt:
        return
    if activity_timeouts.time_out(change, activity, deadline.timeout):
        task_state.schedule_workflow_task(change)


def _end_activity_backoff(change: RunChange, due: Due) -> None:
    assert isinstance(due.what, int), "a Scheduled event id"
    activity = change.run.activities.get(due.what)
    if activity is not None and activity.record.backing_off and activity.record.scheduled_time <= due.at:
        activity_timeouts.end_backoff(change, activity)


_RULES: dict[Kind, Callable[[RunChange, Due], None]] = {
    Kind.RUN_TIMEOUT: _time_out_run,
    Kind.EXECUTION_TIMEOUT: _time_out_run,
    Kind.WORKFLOW_TASK_TIMEOUT: _time_out_workflow_task,
    Kind.STICKY_TIMEOUT: _time_out_sticky,
    Kind.FIRST_TASK: _schedule_first_task,
    Kind.TIMER: _fire_timer,
    Kind.ACTIVITY_TIMEOUT: _time_out_activity,
    Kind.ACTIVITY_RETRY: _end_activity_backoff,
}
