"""Events to state: the one fold that active and passive regions, recovery and branch switches share.

An event acts twice. `advance` counts it into the branch: ids, history size, version history. `effect` is what
it means. An event written straight to history does both at once. One that is buffered while a worker has the
workflow task takes effect at once and advances when the buffer is flushed, as in the real server.

The version histories are part of the record, because the other branches of a run are not in the events;
`advance` keeps the current one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from temporalio.api.enums.v1 import (
    EventType,
    TaskQueueKind,
    TimeoutType,
    WorkflowExecutionStatus,
    WorkflowTaskFailedCause,
)
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import VersioningOverride

from mockcloud.api.state.v1.state_pb2 import ActivityRecord, RunRecord, VersionHistory, WorkflowTaskRecord
from mockcloud.core import build_ids, messages, reset_points, times, version_history
from mockcloud.core.run import PAUSED, RUNNING, Activity, Child, Pause, Run, RunKey, Timer
from mockcloud.core.search_attribute_values import merged
from mockcloud.core.update_state import FoldedUpdate, UpdateStage


class UnsupportedEvent(Exception):
    """An event whose meaning is not built. A replicated batch that holds one is parked with its run."""

    def __init__(self, event: HistoryEvent) -> None:
        super().__init__(f"events of type {messages.enum_name(EventType, event.event_type)} are not built")


def fold(run: Run, event: HistoryEvent) -> None:
    """Count `event` into `run` and apply what it means. Its id must be the run's next one."""
    effect(run, event)
    advance(run, event)


def advance(run: Run, event: HistoryEvent) -> None:
    """Count `event` into the current branch of `run`."""
    assert event.event_id == run.next_event_id, (
        f"{run.key}: event {event.event_id} where {run.next_event_id} is next"
    )
    run.next_event_id = event.event_id + 1
    record = run.record
    record.last_task_id = event.task_id
    record.history_size += event.ByteSize()
    histories = record.version_histories
    branches = histories.histories
    if not branches:
        branches.append(VersionHistory())
    version_history.add_event(branches[histories.current_index], event.event_id, event.version)


def effect(run: Run, event: HistoryEvent) -> None:
    """Apply what `event` means to `run`, without counting it.

    Raises:
        UnsupportedEvent: its type is not built.
    """
    apply = EFFECTS.get(event.event_type)
    if apply is None:
        raise UnsupportedEvent(event)
    apply(run, event)


def rebuild(key: RunKey, record: RunRecord, events: Iterable[HistoryEvent]) -> Run:
    """The state of a run from all events of its current branch and its stored record.

    `record` is laid over the fold: what it says of the pending workflow task and of activities is newer than
    events.
    """
    run = Run(key)
    for event in events:
        fold(run, event)
    overlay(run, record)
    return run


def overlay(run: Run, record: RunRecord) -> None:
    """Lay a stored record over a freshly folded run; buffered events take effect."""
    for raw in record.buffered_events:
        effect(run, HistoryEvent.FromString(raw))
    run.signal_request_ids.update(record.signal_request_ids)
    run.reapplied.update((event.run_id, event.event_id, event.version) for event in record.reapplied)
    for stored in record.activities:
        activity = run.activities.get(stored.scheduled_event_id)
        if activity is not None:
            activity.record = stored
    run.record = record


def _workflow_started(run: Run, event: HistoryEvent) -> None:
    attributes = event.workflow_execution_started_event_attributes
    run.started = event
    run.search_attributes = dict(attributes.search_attributes.indexed_fields)
    run.memo = dict(attributes.memo.fields)
    run.reset_points = reset_points.inherited(event)
    if attributes.HasField("versioning_override"):
        run.versioning_override = VersioningOverride(auto_upgrade=True)
    run.record.next_workflow_task_attempt = 1
    backoff = times.nanoseconds(attributes.first_workflow_task_backoff)
    if backoff > 0:
        run.record.first_task_backoff_until = times.nanoseconds(event.event_time) + backoff


def _closed(status: WorkflowExecutionStatus.ValueType) -> Callable[[Run, HistoryEvent], None]:
    def apply(run: Run, event: HistoryEvent) -> None:
        run.status = status
        run.close_event_id = event.event_id
        run.record.close_time = times.nanoseconds(event.event_time)
        run.record.ClearField("workflow_task")
        run.activities.clear()
        run.activity_ids.clear()
        run.timers.clear()
        run.external_signals.clear()
        run.external_cancels.clear()
        run.closed = event
        attributes = getattr(event, event.WhichOneof("attributes") or "", None)
        run.new_run_id = getattr(attributes, "new_execution_run_id", "")

    return apply


def _signaled(run: Run, event: HistoryEvent) -> None:
    run.signal_count += 1
    request_id = event.workflow_execution_signaled_event_attributes.request_id
    if request_id:
        run.signal_request_ids.add(request_id)


def _cancel_requested(run: Run, event: HistoryEvent) -> None:
    run.cancel_requested = True
    run.cancel_request_event_id = event.event_id


def _paused(run: Run, event: HistoryEvent) -> None:
    attributes = event.workflow_execution_paused_event_attributes
    run.status = PAUSED
    run.pause = Pause(
        times.nanoseconds(event.event_time), attributes.identity, attributes.reason, attributes.request_id
    )
    # With something new in history the next task is no further attempt of a failed one.
    run.record.next_workflow_task_attempt = 1
    task = run.workflow_task
    if task is not None and task.transient and not task.started_time:
        run.record.ClearField("workflow_task")


def _unpaused(run: Run, event: HistoryEvent) -> None:
    run.status = RUNNING
    run.pause = None
    run.record.next_workflow_task_attempt = 1


def _options_updated(run: Run, event: HistoryEvent) -> None:
    attributes = event.workflow_execution_options_updated_event_attributes
    was_overridden = run.versioning_override is not None
    if attributes.unset_versioning_override:
        run.versioning_override = None
    elif attributes.HasField("versioning_override"):
        # The only kind that is accepted; older clients write it into `behavior`.
        run.versioning_override = VersioningOverride(auto_upgrade=True)
    overridden = run.versioning_override is not None
    if overridden != was_overridden:
        run.search_attributes = build_ids.noted(run.search_attributes, event, overridden=overridden)
    if attributes.HasField("priority"):
        run.changed_priority = attributes.priority
    if attributes.attached_request_id:
        run.record.attached_request_ids[attributes.attached_request_id] = event.event_id


def _task_scheduled(run: Run, event: HistoryEvent) -> None:
    attributes = event.workflow_task_scheduled_event_attributes
    moment = times.nanoseconds(event.event_time)
    sticky = attributes.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY
    run.had_workflow_task = True
    record, attempt = run.record, attributes.attempt
    record.first_task_backoff_until = 0
    record.next_workflow_task_attempt = attempt
    task = record.workflow_task
    task.Clear()
    task.version = event.version
    task.scheduled_event_id = event.event_id
    task.attempt = attempt
    task.scheduled_time = task.original_scheduled_time = moment
    task.start_to_close_timeout = times.nanoseconds(attributes.start_to_close_timeout)
    task.task_queue = attributes.task_queue.name
    if sticky:
        task.sticky = True
        task.schedule_to_start_timeout = record.sticky.schedule_to_start_timeout


def _task_started(run: Run, event: HistoryEvent) -> None:
    attributes = event.workflow_task_started_event_attributes
    task = run.record.workflow_task
    task.version = event.version
    task.started_event_id = event.event_id
    task.started_time = times.nanoseconds(event.event_time)
    task.request_id = attributes.request_id
    task.identity = attributes.identity
    task.history_size_suggestion = attributes.history_size_bytes
    task.suggest_continue_as_new = attributes.suggest_continue_as_new
    task.suggest_reasons[:] = attributes.suggest_continue_as_new_reasons


def _task_completed(run: Run, event: HistoryEvent) -> None:
    run.record.ClearField("workflow_task")
    run.record.next_workflow_task_attempt = 1
    run.last_completed_task_event_id = event.event_id
    run.last_completed_task_started_event_id = event.workflow_task_completed_event_attributes.started_event_id
    run.last_worker = event
    run.record.task_problems = 0
    run.record.last_workflow_task_failure = ""
    del run.record.reported_problems[:]
    overridden = run.versioning_override is not None
    run.search_attributes = build_ids.noted(run.search_attributes, event, overridden=overridden)
    points = reset_points.noted(run.reset_points, run.key.run_id, event, resettable=not run.children)
    if points is not run.reset_points:
        run.reset_points = points
        run.search_attributes = build_ids.checksums_noted(run.search_attributes, event, points)


# After these the next workflow task is a fresh first attempt; after any other failure it is a transient
# further one.
_FRESH_CAUSES = frozenset(
    {
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FAILOVER_CLOSE_COMMAND,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW,
    }
)


def _task_failed(run: Run, event: HistoryEvent) -> None:
    cause = event.workflow_task_failed_event_attributes.cause
    run.record.last_workflow_task_failure = messages.enum_name(WorkflowTaskFailedCause, cause)
    if cause in _FRESH_CAUSES:
        run.record.ClearField("sticky")
        run.record.ClearField("workflow_task")
        run.record.next_workflow_task_attempt = 1
    else:
        _next_attempt(run, event)


def _task_timed_out(run: Run, event: HistoryEvent) -> None:
    # A sticky schedule-to-start time-out is no failure of the task: attempt and queue start afresh.
    attributes = event.workflow_task_timed_out_event_attributes
    if attributes.started_event_id == 0:
        run.record.ClearField("sticky")
        run.record.ClearField("workflow_task")
        run.record.next_workflow_task_attempt = 1
    else:
        run.record.last_workflow_task_failure = TimeoutType.Name(attributes.timeout_type)
        _next_attempt(run, event)


def _next_attempt(run: Run, event: HistoryEvent) -> None:
    """The failed task leaves a transient one: a further attempt that has no events until it completes.

    If the run was sticky, which only the region knows that wrote the event, the sticky queue is given up
    first and the next task is a first attempt. Real: workflowTaskStateMachine.failWorkflowTask.
    """
    if run.record.sticky.task_queue:
        run.record.ClearField("sticky")
        run.record.ClearField("workflow_task")
        run.record.next_workflow_task_attempt = 1
        return
    task = run.record.workflow_task
    run.record.task_problems += 1
    run.record.next_workflow_task_attempt = task.attempt + 1
    moment = times.nanoseconds(event.event_time)
    run.record.workflow_task.CopyFrom(
        WorkflowTaskRecord(
            version=event.version,
            scheduled_event_id=event.event_id + 1,
            attempt=task.attempt + 1,
            scheduled_time=moment,
            original_scheduled_time=moment,
            start_to_close_timeout=task.start_to_close_timeout,
            task_queue=run.start.task_queue.name,
            transient=True,
        )
    )


def _activity_scheduled(run: Run, event: HistoryEvent) -> None:
    moment = times.nanoseconds(event.event_time)
    record = ActivityRecord(
        scheduled_event_id=event.event_id,
        version=event.version,
        attempt=1,
        scheduled_time=moment,
        first_scheduled_time=moment,
    )
    run.activities[event.event_id] = Activity(event, record)
    run.activity_ids[event.activity_task_scheduled_event_attributes.activity_id] = event.event_id


def _activity_started(run: Run, event: HistoryEvent) -> None:
    """Written only when the activity ends; its attempt is in the record long before."""


def _activity_cancel_requested(run: Run, event: HistoryEvent) -> None:
    activity = run.activities.get(event.activity_task_cancel_requested_event_attributes.scheduled_event_id)
    if activity is not None:
        activity.record.version = event.version
        activity.record.cancel_requested = True
        activity.record.cancel_request_event_id = event.event_id


def _activity_ended(run: Run, event: HistoryEvent) -> None:
    attributes = getattr(event, event.WhichOneof("attributes") or "")
    activity = run.activities.pop(attributes.scheduled_event_id, None)
    # While its end was buffered, the worker may have used the id again.
    if activity is not None and run.activity_ids.get(activity.activity_id) == attributes.scheduled_event_id:
        del run.activity_ids[activity.activity_id]


def _timer_started(run: Run, event: HistoryEvent) -> None:
    run.timers[event.timer_started_event_attributes.timer_id] = Timer(event)


def _timer_ended(run: Run, event: HistoryEvent) -> None:
    attributes = getattr(event, event.WhichOneof("attributes") or "")
    timer = run.timers.get(attributes.timer_id)
    # While its firing was buffered, the worker may have used the id again.
    if timer is not None and timer.started.event_id == attributes.started_event_id:
        del run.timers[attributes.timer_id]


def _update_admitted(run: Run, event: HistoryEvent) -> None:
    update_id = event.workflow_execution_update_admitted_event_attributes.request.meta.update_id
    run.updates.setdefault(update_id, FoldedUpdate(UpdateStage.ADMITTED, event.event_id))


def _update_accepted(run: Run, event: HistoryEvent) -> None:
    # The request may be in an Admitted event, so the id is only here.
    update_id = event.workflow_execution_update_accepted_event_attributes.protocol_instance_id
    run.updates[update_id] = FoldedUpdate(UpdateStage.ACCEPTED, event.event_id)
    run.pending_updates.pop(update_id, None)


def _update_completed(run: Run, event: HistoryEvent) -> None:
    update_id = event.workflow_execution_update_completed_event_attributes.meta.update_id
    run.updates[update_id] = FoldedUpdate(UpdateStage.COMPLETED, event.event_id)


def _child_initiated(run: Run, event: HistoryEvent) -> None:
    run.children[event.event_id] = Child(event)


def _child_started(run: Run, event: HistoryEvent) -> None:
    attributes = event.child_workflow_execution_started_event_attributes
    child = run.children.get(attributes.initiated_event_id)
    if child is not None:
        run.children[attributes.initiated_event_id] = Child(
            child.initiated, event.event_id, attributes.workflow_execution.run_id
        )


def _child_ended(run: Run, event: HistoryEvent) -> None:
    attributes = getattr(event, event.WhichOneof("attributes") or "")
    run.children.pop(attributes.initiated_event_id, None)


def _external_signal_initiated(run: Run, event: HistoryEvent) -> None:
    run.external_signals[event.event_id] = event


def _external_signal_ended(run: Run, event: HistoryEvent) -> None:
    attributes = getattr(event, event.WhichOneof("attributes") or "")
    run.external_signals.pop(attributes.initiated_event_id, None)


def _external_cancel_initiated(run: Run, event: HistoryEvent) -> None:
    run.external_cancels[event.event_id] = event


def _external_cancel_ended(run: Run, event: HistoryEvent) -> None:
    attributes = getattr(event, event.WhichOneof("attributes") or "")
    run.external_cancels.pop(attributes.initiated_event_id, None)


def _search_attributes_upserted(run: Run, event: HistoryEvent) -> None:
    update = event.upsert_workflow_search_attributes_event_attributes.search_attributes.indexed_fields
    run.search_attributes = merged(run.search_attributes, update)


def _properties_modified(run: Run, event: HistoryEvent) -> None:
    attributes = event.workflow_properties_modified_event_attributes
    if attributes.HasField("upserted_memo"):
        run.memo = merged(run.memo, attributes.upserted_memo.fields)


def _without_effect(run: Run, event: HistoryEvent) -> None:
    """Only for the worker to replay."""


EFFECTS: dict[int, Callable[[Run, HistoryEvent], None]] = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: _workflow_started,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: _closed(
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED
    ),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: _closed(
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED
    ),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: _closed(
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT
    ),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: _closed(
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED
    ),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: _closed(
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED
    ),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW: _closed(
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW
    ),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: _signaled,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED: _cancel_requested,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_PAUSED: _paused,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UNPAUSED: _unpaused,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED: _options_updated,
    EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED: _task_scheduled,
    EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED: _task_started,
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED: _task_completed,
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED: _task_failed,
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT: _task_timed_out,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: _activity_scheduled,
    EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED: _activity_started,
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED: _activity_cancel_requested,
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: _activity_ended,
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: _activity_ended,
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: _activity_ended,
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: _activity_ended,
    EventType.EVENT_TYPE_TIMER_STARTED: _timer_started,
    EventType.EVENT_TYPE_TIMER_FIRED: _timer_ended,
    EventType.EVENT_TYPE_TIMER_CANCELED: _timer_ended,
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED: _child_initiated,
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED: _child_ended,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED: _child_started,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED: _child_ended,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED: _child_ended,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED: _child_ended,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT: _child_ended,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED: _child_ended,
    EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED: _external_signal_initiated,
    EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED: _external_signal_ended,
    EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED: _external_signal_ended,
    EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED: _external_cancel_initiated,
    EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED: _external_cancel_ended,
    EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED: _external_cancel_ended,
    EventType.EVENT_TYPE_MARKER_RECORDED: _without_effect,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED: _update_admitted,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED: _update_accepted,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED: _update_completed,
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: _search_attributes_upserted,
    EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED: _properties_modified,
}
