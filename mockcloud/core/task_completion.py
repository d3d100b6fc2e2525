"""Completing a workflow task: the worker's commands become events, and the next task follows.

The order in history: the task's own events if it was transient, WorkflowTaskCompleted, what the commands
wrote, what had waited in the buffer, WorkflowTaskScheduled.

What goes wrong with the commands undoes all of it, as if the worker had failed the task. A speculative task by
which nothing came about is dropped without a trace, as if it had never been. Real:
api/respondworkflowtaskcompleted/api.go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from temporalio.api.enums.v1 import EventType, WorkerVersioningMode
from temporalio.api.history.v1 import HistoryEvent, WorkflowTaskCompletedEventAttributes
from temporalio.api.update.v1 import Rejection
from temporalio.api.workflowservice.v1 import RespondWorkflowTaskCompletedRequest

from mockcloud.api.state.v1.state_pb2 import StickyRecord, WorkflowTaskRecord
from mockcloud.core import failures, history_limits, signals, task_state, times, updates, validation
from mockcloud.core.activity_start import StartedActivity
from mockcloud.core.change import RunChange
from mockcloud.core.command_failure import CommandFailure
from mockcloud.core.commands import apply_commands
from mockcloud.core.errors import FailedPrecondition, InvalidArgument, NotFound, ServiceError
from mockcloud.core.messages import copy_set
from mockcloud.core.run import Run
from mockcloud.core.task_start import StartedTask, add_started_event, require_started_task, start_task
from mockcloud.core.task_state import schedule_workflow_task
from mockcloud.core.tokens import TaskToken

# The request id of a task that a worker gets in the answer to its last completion.
_INLINE_REQUEST_ID = "request-from-RespondWorkflowTaskCompleted"


class Completion(NamedTuple):
    """What a completed workflow task leaves for its answer."""

    new_task: StartedTask | None = None  # in the answer, if the worker asked for it
    activity_tasks: Sequence[StartedActivity] = ()  # in the answer: activities that the worker takes at once
    error: ServiceError | None = None  # to answer with, once the change is committed
    task_pending: bool = False  # another task follows, and answers the queries that wait
    # A further task is needed for updates alone. It is in memory only, so it must be made after the commit:
    # `start_speculative_task`.
    speculative_next: bool = False
    # The task was dropped: the worker is to forget what it saw after this event. 0: it was not.
    reset_history_event_id: int = 0


def complete_workflow_task(
    change: RunChange,
    token: TaskToken,
    request: RespondWorkflowTaskCompletedRequest,
    new_run_id: Callable[[], str],
) -> Completion:
    """End the started task as completed, and do what the worker's commands say.

    Bad commands undo everything and fail the task instead; the worker gets `Completion.error`. Commands that
    are not built fail it too, with a message that names them, but without an error, which SDKs would only
    repeat. `new_run_id` names the run that continues this one.

    Raises:
        NotFound: the token is stale.
        FailedPrecondition: the run is paused, and the worker insists on a further task.
        InvalidArgument: a versioning behaviour without versions, a bad sequence of commands, or a message that
            is none; nothing changes, and the attempt will time out. The same for bad commands of a further
            attempt, by `Completion.error`.
        NamespaceNotFound: a command names a namespace that does not exist; nothing changes.
    """
    run = change.run
    task = WorkflowTaskRecord()
    task.CopyFrom(require_started_task(change, token))
    if run.paused and request.force_create_new_workflow_task:
        raise FailedPrecondition("Workflow is paused and force create new workflow task is not allowed.")
    _check_versioning(request)
    guard = history_limits.guard(change)
    decides = bool(request.commands or request.messages)
    savepoint = change.savepoint() if decides else None

    if _heartbeats_for_too_long(change, task, request):
        return _time_out_heartbeats(change, request)

    dropped = _leaves_no_trace(change, task, request)
    if dropped:
        run.record.ClearField("workflow_task")
        change.touch_memory()
        completed_event_id = 0
    else:
        completed_event_id = _add_completed_event(change, task, request).event_id
        run.record.last_workflow_task_failure = ""
    _set_sticky(run, request)
    run.close_attempted = False
    eager: Sequence[StartedActivity] = ()
    if savepoint is not None:
        change.buffering = True
        try:
            result = apply_commands(change, completed_event_id, request, new_run_id)
        except ServiceError:
            change.rollback(savepoint)
            change.touch_memory()  # what is in memory only is given up, as the real server does
            raise
        change.buffering = False
        if result.failure is not None:
            change.rollback(savepoint)
            return _fail_for_commands(change, task, request, result.failure)
        eager = result.eager_activities
    elif not request.force_create_new_workflow_task:
        updates.reject_unanswered(change)

    # What waits in the buffer came while the worker was deciding, or of its own commands.
    new_task = None
    speculative_next = False
    if run.open and (request.force_create_new_workflow_task or run.record.buffered_events):
        heartbeat = _is_heartbeat(request)
        schedule_workflow_task(
            change, original_scheduled_time=task.original_scheduled_time if heartbeat else 0
        )
        if request.return_new_workflow_task and run.workflow_task is not None:
            new_task = _start_inline(change, request)
    else:
        change.flush_buffer()
        if run.open and not run.paused and updates.to_be_sent(run):
            speculative_next = request.return_new_workflow_task
            if not speculative_next:
                schedule_workflow_task(change)
    error = history_limits.enforce(change, guard)
    if error is not None:
        return Completion(error=error)
    return Completion(
        new_task=new_task,
        activity_tasks=eager,
        task_pending=run.workflow_task is not None or speculative_next,
        speculative_next=speculative_next,
        reset_history_event_id=run.last_completed_task_started_event_id if dropped else 0,
    )


def start_speculative_task(
    change: RunChange, request: RespondWorkflowTaskCompletedRequest
) -> StartedTask | None:
    """The further task of `Completion.speculative_next`, given to the worker that completed the one before.

    In a change of its own, which must follow that one under the same lock. None: something has come between.
    """
    run = change.run
    if not run.open or run.workflow_task is not None or not updates.to_be_sent(run):
        return None
    task_state.schedule_speculative_task(change)
    return _start_inline(change, request)


def _check_versioning(request: RespondWorkflowTaskCompletedRequest) -> None:
    """Raises InvalidArgument for a behaviour without the versions that it is about."""
    versioned = (
        request.deployment_options.worker_versioning_mode
        == WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    )
    if request.versioning_behavior and not versioned and not request.HasField("deployment"):
        raise InvalidArgument(
            "versioning behavior cannot be specified without deployment options being set with versioned mode"
        )


def _start_inline(change: RunChange, request: RespondWorkflowTaskCompletedRequest) -> StartedTask:
    """Give the pending task to the worker that has just completed one."""
    stamp = request.worker_version_stamp if request.HasField("worker_version_stamp") else None
    return start_task(
        change,
        change.run.record.workflow_task,
        _INLINE_REQUEST_ID,
        request.identity,
        stamp,
        sticky=True,
        after_heartbeat=request.force_create_new_workflow_task,
    )


def _time_out_heartbeats(change: RunChange, request: RespondWorkflowTaskCompletedRequest) -> Completion:
    """The task ends as timed out, and the worker is told that it is gone; the next one follows all the same.

    As in the real server it follows where the worker wanted it, in the answer too: which is an error, so that
    nobody gets it and it times out, after which the run is no longer sticky.
    """
    task_state.time_out_started_task(change)
    _set_sticky(change.run, request)
    schedule_workflow_task(change)
    if request.return_new_workflow_task:
        _start_inline(change, request)
    return Completion(error=NotFound("workflow task heartbeat timeout"), task_pending=True)


def _leaves_no_trace(
    change: RunChange, task: WorkflowTaskRecord, request: RespondWorkflowTaskCompletedRequest
) -> bool:
    """Whether a speculative task is dropped: its worker has rejected what it was asked, and done nothing else.

    A worker that cannot be sent the same events twice keeps those that the task brought, and so does one that
    was brought many. Real: workflowTaskStateMachine.skipWorkflowTaskCompletedEvent.
    """
    if not task.speculative or request.commands or request.force_create_new_workflow_task:
        return False
    brought = change.run.next_event_id - (change.run.last_completed_task_started_event_id + 2)
    may_bring = (
        change.context.limits.discarded_speculative_task_events
        if request.capabilities.discard_speculative_workflow_task_with_events
        else 0
    )
    if brought > may_bring:
        return False
    return all(message.body.Is(Rejection.DESCRIPTOR) for message in request.messages)


def _is_heartbeat(request: RespondWorkflowTaskCompletedRequest) -> bool:
    """Whether the worker only says that it is still at it."""
    return request.force_create_new_workflow_task and not request.commands and not request.messages


def _heartbeats_for_too_long(
    change: RunChange, task: WorkflowTaskRecord, request: RespondWorkflowTaskCompletedRequest
) -> bool:
    limit = change.context.limits.workflow_task_heartbeat_total
    return _is_heartbeat(request) and change.context.now > task.original_scheduled_time + limit


def _add_completed_event(
    change: RunChange, task: WorkflowTaskRecord, request: RespondWorkflowTaskCompletedRequest
) -> HistoryEvent:
    """Real: workflowTaskStateMachine.AddWorkflowTaskCompletedEvent."""
    run = change.run
    scheduled_event_id, started_event_id = task.scheduled_event_id, task.started_event_id
    stamp = request.worker_version_stamp if request.HasField("worker_version_stamp") else None
    if task.transient or task.speculative:
        run.record.ClearField("workflow_task")
        queue = run.current_task_queue
        task_state.add_scheduled_event(
            change, queue, task.attempt, task.scheduled_time, task.start_to_close_timeout
        )
        scheduled_event_id = run.record.workflow_task.scheduled_event_id
        task.scheduled_event_id = scheduled_event_id
        task.identity = request.identity
        started_event_id = add_started_event(change, task, worker_version=stamp).event_id
    attributes = WorkflowTaskCompletedEventAttributes(
        scheduled_event_id=scheduled_event_id,
        started_event_id=started_event_id,
        identity=request.identity,
        binary_checksum=request.binary_checksum,
        worker_version=stamp,
        worker_deployment_name=request.deployment_options.deployment_name or request.deployment.series_name,
    )
    copy_set(request, attributes, "sdk_metadata", "metering_metadata", "deployment")
    options = request.deployment_options
    if options.worker_versioning_mode == WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED:
        attributes.versioning_behavior = request.versioning_behavior
        attributes.deployment_version.deployment_name = options.deployment_name
        attributes.deployment_version.build_id = options.build_id
    return change.add(EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED, attributes)


def _set_sticky(run: Run, request: RespondWorkflowTaskCompletedRequest) -> None:
    sticky = request.sticky_attributes
    if sticky.HasField("worker_task_queue") and sticky.worker_task_queue.name:
        run.record.sticky.CopyFrom(
            StickyRecord(
                task_queue=sticky.worker_task_queue.name,
                # The real server checks nothing here; an absurd one must still make a moment.
                schedule_to_start_timeout=min(
                    times.nanoseconds(sticky.schedule_to_start_timeout), validation.MAXIMUM_DURATION
                ),
            )
        )
    else:
        run.record.ClearField("sticky")


def _fail_for_commands(
    change: RunChange,
    task: WorkflowTaskRecord,
    request: RespondWorkflowTaskCompletedRequest,
    failure: CommandFailure,
) -> Completion:
    """Everything is undone; the task fails, and the run with it if the failure is for good."""
    updates.workflow_task_failed(change)
    if task.attempt > 1 and not failure.unhandled:
        # Only this attempt's time-out slows a worker down that makes the same mistake over and over.
        error = None if failure.unbuilt else InvalidArgument(failure.message)
        return Completion(error=error, task_pending=True)
    task_state.fail_task(
        change,
        failure.cause,
        identity=request.identity,
        failure=failures.server_failure(failure.message, non_retryable=False),
        binary_checksum=request.binary_checksum,
    )
    if failure.terminate:
        change.flush_buffer()
        signals.terminate_run(change, reason=failure.message)
    else:
        schedule_workflow_task(change)
    error = None if failure.unbuilt else InvalidArgument(failure.message)
    return Completion(error=error, task_pending=change.run.workflow_task is not None)
