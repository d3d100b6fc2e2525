"""The state machine of the one workflow task that a run may have: scheduling it, failing it.

    none ── schedule ──> scheduled ── start ──> started ── complete ──> none
                             ^                     │
                             └──── fail, time-out ─┘   a further attempt: transient, see 2

Rules:
1. While a task is started, what happens to the run waits in the buffer (`RunChange.add`).
2. A task that fails is followed by a further attempt. From the second on it is *transient*: it lives in the
   record only, and its Scheduled and Started events are written when it completes.
3. Anything new in history makes it a first attempt again: buffered events, or another failover version.
4. A run that was sticky gives up its sticky queue before its attempts are counted.
5. An update alone makes a *speculative* task: it lives in memory only, and is dropped without a trace when all
   that its worker answers is rejections. With the first thing that is to be stored, its events are written and it
   is a normal task (`RunChange.write_speculative_task`). It must be taken within a time limit, on any queue.

The rules that callers use are in `core.workflow_task`. Real: workflow/workflow_task_state_machine.go.
"""

from __future__ import annotations

from typing import NamedTuple

from temporalio.api.enums.v1 import EventType, TaskQueueKind, TimeoutType, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import (
    WorkflowTaskFailedEventAttributes,
    WorkflowTaskScheduledEventAttributes,
    WorkflowTaskTimedOutEventAttributes,
)
from temporalio.api.taskqueue.v1 import TaskQueue

from mockcloud.api.state.v1.state_pb2 import WorkflowTaskRecord
from mockcloud.core import failures, times
from mockcloud.core.change import Context, RunChange
from mockcloud.core.run import Run


class ResetPoint(NamedTuple):
    """What the failure of a workflow task says that was reset."""

    base_run_id: str
    new_run_id: str
    fork_event_version: int


FORCE_CLOSE = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND
FAILOVER_CLOSE = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FAILOVER_CLOSE_COMMAND

# Attempts after this one get a longer and longer time-out, which slows their retries down: SDKs do not report
# the failure of a transient attempt but let it time out. Real: workflowTaskRetryBackoffMinAttempts.
_UNSLOWED_ATTEMPTS = 3

_CAUSE_PREFIX = "WORKFLOW_TASK_FAILED_CAUSE_"
_TIMEOUT_PREFIX = "TIMEOUT_TYPE_"


def schedule_workflow_task(
    change: RunChange, *, despite_backoff: bool = False, original_scheduled_time: int = 0
) -> None:
    """See that a workflow task is pending: schedule one if there is none.

    Nothing happens on a closed run, and while the first task waits for its backoff, unless `despite_backoff`.
    Buffered events are flushed first; that is all that happens on a paused run. `original_scheduled_time` is
    carried over from a task that only reported a heartbeat.
    """
    run = change.run
    record = run.record
    if not run.open or run.workflow_task is not None:
        return
    if record.first_task_backoff_until and not despite_backoff:
        return
    if run.paused:
        if not change.buffering:
            change.flush_buffer()
        return
    attempt = max(1, record.next_workflow_task_attempt)
    if record.buffered_events:
        change.flush_buffer()
        attempt = 1
    if attempt > 1 and change.version != run.last_write_version:
        attempt = 1
    if attempt == 1:
        add_scheduled_event(change, run.current_task_queue, attempt, change.context.now)
        if original_scheduled_time:
            record.workflow_task.original_scheduled_time = original_scheduled_time
        return
    now = change.context.now
    record.workflow_task.CopyFrom(
        WorkflowTaskRecord(
            version=change.version,
            scheduled_event_id=run.next_event_id,
            attempt=attempt,
            scheduled_time=now,
            original_scheduled_time=now,
            start_to_close_timeout=start_to_close_timeout(run, attempt, change.context),
            task_queue=run.start.task_queue.name,
            transient=True,
        )
    )
    change.touch()


def schedule_speculative_task(change: RunChange) -> None:
    """Make a workflow task that is in memory only, for updates; there must be none pending.

    Real: UpdateWorkflowExecution, which asks for one even while the first task waits for its backoff.
    """
    run, now = change.run, change.context.now
    record = run.record
    assert run.open, "a closed run has no workflow task"
    assert run.workflow_task is None, "a run has one workflow task"
    assert not record.buffered_events, "buffered events wait for a workflow task"
    attempt = max(1, record.next_workflow_task_attempt)
    queue = run.current_task_queue
    sticky = queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY
    record.workflow_task.CopyFrom(
        WorkflowTaskRecord(
            version=change.version,
            scheduled_event_id=run.next_event_id,
            attempt=attempt,
            scheduled_time=now,
            original_scheduled_time=now,
            start_to_close_timeout=start_to_close_timeout(run, attempt, change.context),
            task_queue=queue.name,
            sticky=sticky,
            schedule_to_start_timeout=(
                record.sticky.schedule_to_start_timeout
                if sticky
                else change.context.limits.speculative_task_schedule_to_start
            ),
            speculative=True,
        )
    )
    change.touch_memory()


def add_scheduled_event(
    change: RunChange, queue: TaskQueue, attempt: int, moment: int, timeout: int | None = None
) -> None:
    """Write WorkflowTaskScheduled; the fold makes it the pending task."""
    if timeout is None:
        timeout = start_to_close_timeout(change.run, attempt, change.context)
    change.add(
        EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
        WorkflowTaskScheduledEventAttributes(
            task_queue=queue, start_to_close_timeout=times.duration(timeout), attempt=attempt
        ),
        moment=moment,
    )


def start_to_close_timeout(run: Run, attempt: int, context: Context) -> int:
    """Nanoseconds that a worker has for the task; grows with its attempts.

    Real: workflowTaskStateMachine.getStartToCloseTimeout, ExponentialRetryPolicy (coefficient 2, a fifth of
    jitter).
    """
    timeout = times.nanoseconds(run.start.workflow_task_timeout)
    if attempt <= _UNSLOWED_ATTEMPTS:
        return timeout
    limits = context.limits
    doublings = min(attempt - _UNSLOWED_ATTEMPTS - 1, 62)
    interval = min(limits.workflow_task_retry_initial << doublings, limits.workflow_task_retry_maximum)
    return timeout + int(interval * (0.8 + 0.2 * context.random()))


def fail_task(
    change: RunChange,
    cause: WorkflowTaskFailedCause.ValueType,
    *,
    identity: str,
    failure: Failure | None = None,
    binary_checksum: str = "",
    reset: ResetPoint | None = None,
) -> None:
    """End the started task as failed, without scheduling the next. A transient one leaves no event.

    `reset`: the task belongs to the copy with which a reset run begins.
    """
    run = change.run
    change.write_speculative_task(identity)
    task = run.started_workflow_task
    assert task is not None, "a started task"
    attempt = task.attempt
    if task.transient:
        end_transient_task(change)
    else:
        attributes = WorkflowTaskFailedEventAttributes(
            scheduled_event_id=task.scheduled_event_id,
            started_event_id=task.started_event_id,
            cause=cause,
            identity=identity,
            binary_checksum=binary_checksum,
        )
        if failure is not None and failure.ByteSize():
            attributes.failure.CopyFrom(failure)
        if reset is not None:
            attributes.base_run_id = reset.base_run_id
            attributes.new_run_id = reset.new_run_id
            attributes.fork_event_version = reset.fork_event_version
        change.add(EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED, attributes)
        drop_next_attempt(run)
    _report_problems(change)
    run.close_attempted = cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND
    if cause in (FAILOVER_CLOSE, WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW):
        run.record.next_workflow_task_attempt = 1
    assert run.record.next_workflow_task_attempt in (1, attempt + 1), "attempts are counted one by one"


def time_out_started_task(change: RunChange) -> int:
    """End the started task as timed out, without scheduling the next.

    Returns its event's id; 0 for a transient one.
    """
    run = change.run
    change.write_speculative_task()
    task = run.started_workflow_task
    assert task is not None, "a started task"
    run.close_attempted = False
    if task.transient:
        end_transient_task(change)
        _report_problems(change)
        return 0
    event = change.add(
        EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
        WorkflowTaskTimedOutEventAttributes(
            scheduled_event_id=task.scheduled_event_id,
            started_event_id=task.started_event_id,
            timeout_type=TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE,
        ),
    )
    drop_next_attempt(run)
    _report_problems(change)
    return event.event_id


def fail_started_task(change: RunChange, cause: WorkflowTaskFailedCause.ValueType) -> bool:
    """Fail the task that a worker has, if one has, in the server's own name, and flush the buffer.

    Returns whether there was one. Real: failWorkflowTask of workflow/util.go.
    """
    if change.run.started_workflow_task is None:
        return False
    fail_task(change, cause, identity="history-service")
    change.flush_buffer()
    return True


def limit_buffer(change: RunChange) -> None:
    """End the started task if too much waits for it: its worker must see that first.

    Real: MutableStateImpl.closeTransactionHandleBufferedEventsLimit.
    """
    run, limits = change.run, change.context.limits
    if not run.open or run.started_workflow_task is None:
        return
    buffered = run.record.buffered_events
    if len(buffered) > limits.buffered_events or sum(map(len, buffered)) > limits.buffered_bytes:
        fail_started_task(change, FORCE_CLOSE)
        schedule_workflow_task(change)


def end_transient_task(change: RunChange) -> None:
    """A transient attempt failed or timed out: only the record knows."""
    run = change.run
    attempt = run.record.workflow_task.attempt
    run.record.ClearField("workflow_task")
    if run.record.sticky.task_queue:
        run.record.ClearField("sticky")
        run.record.next_workflow_task_attempt = 1
    else:
        run.record.next_workflow_task_attempt = attempt + 1
        run.record.task_problems += 1
    change.touch()


def _report_problems(change: RunChange) -> None:
    """After a failed attempt: show the problem as TemporalReportedProblems if it is no longer a passing one.

    The cause is that of the last failure that has an event; a completed task clears it (the fold does). Real:
    workflowTaskStateMachine.failWorkflowTask, MutableStateImpl.UpdateReportedProblemsSearchAttribute.
    """
    record, needed = change.run.record, change.context.limits.reported_problems_after
    failure = record.last_workflow_task_failure
    if not needed or record.task_problems < needed or not failure:
        return
    category = "TimedOut" if failure.startswith(_TIMEOUT_PREFIX) else "Failed"
    prefix = _TIMEOUT_PREFIX if category == "TimedOut" else _CAUSE_PREFIX
    problems = [
        f"category=WorkflowTask{category}",
        f"cause=WorkflowTask{category}Cause{failures.camel_case(failure, prefix)}",
    ]
    if list(record.reported_problems) != problems:
        record.reported_problems[:] = problems
        record.reported_version = change.version
        change.replicate_run_state = True


def drop_next_attempt(run: Run) -> None:
    """Take away the transient task that the fold left behind a failed one: active rules schedule the next."""
    run.record.ClearField("workflow_task")
