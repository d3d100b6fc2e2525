"""What the commands of a completed workflow task become: events, in the order in which the worker gave them.

Commands are checked and applied one by one, so a bad one is found after others were applied: the caller
then undoes the whole change (`RunChange.rollback`) and fails the task. Events that a command only brings
about (an activity cancelled before any worker had it) wait in the buffer until all commands are done: the
caller sets `RunChange.buffering`.

Where to add a command: its checks in `core.command_checks`, its events here, its entry in `HANDLERS`.

Real: api/respondworkflowtaskcompleted/workflow_task_completed_handler.go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import CommandType, EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import (
    ActivityTaskCanceledEventAttributes,
    ActivityTaskCancelRequestedEventAttributes,
    ActivityTaskScheduledEventAttributes,
    HistoryEvent,
    MarkerRecordedEventAttributes,
    UpsertWorkflowSearchAttributesEventAttributes,
    WorkflowExecutionCanceledEventAttributes,
    WorkflowExecutionCompletedEventAttributes,
    WorkflowExecutionFailedEventAttributes,
    WorkflowPropertiesModifiedEventAttributes,
)
from temporalio.api.workflowservice.v1 import RespondWorkflowTaskCompletedRequest

from mockcloud.core import chain, command_checks, commands_to_others, continue_as_new, signals, timer, updates
from mockcloud.core.activity_start import StartedActivity, start_eagerly
from mockcloud.core.change import RunChange
from mockcloud.core.command_checks import command_name
from mockcloud.core.command_failure import CommandFailure, require_room
from mockcloud.core.run import Run
from mockcloud.core.update_messages import UpdateMessages

__all__ = ["CommandFailure", "CommandsResult", "apply_commands"]

Cause = WorkflowTaskFailedCause

_ACTIVITY_ENDS = frozenset(
    EventType.Value(f"EVENT_TYPE_ACTIVITY_TASK_{name}")
    for name in ("COMPLETED", "FAILED", "TIMED_OUT", "CANCELED")
)


class CommandsResult(NamedTuple):
    """What became of the commands."""

    failure: CommandFailure | None = None  # the task fails: everything is to be undone
    # Activities that have begun at the worker's own request: they must go to it with the answer.
    eager_activities: tuple[StartedActivity, ...] = ()


@dataclass(slots=True)
class _Applying:
    """The commands of one completion while they are applied."""

    change: RunChange
    completed_event_id: int
    identity: str
    new_run_id: Callable[[], str]
    messages: UpdateMessages
    unseen_events: bool  # the worker decided without these: it may not close the run
    eager: list[int] = field(default_factory=list)
    children: set[str] = field(default_factory=set)  # workflow ids of those that these commands start

    @property
    def run(self) -> Run:
        return self.change.run


def apply_commands(
    change: RunChange,
    completed_event_id: int,
    request: RespondWorkflowTaskCompletedRequest,
    new_run_id: Callable[[], str],
) -> CommandsResult:
    """Do what the request's commands and messages say.

    An update that the worker was sent and says nothing about is rejected, unless it closed the run or only reports
    a heartbeat.

    `completed_event_id` is that of the task's WorkflowTaskCompleted, just written; `new_run_id` names the run
    that continues this one.

    Raises:
        InvalidArgument: the sequence cannot be right, or a message is none; the caller undoes everything.
        NamespaceNotFound: a command names a namespace that does not exist.
    """
    command_checks.sequence(request.commands)
    applying = _Applying(
        change,
        completed_event_id,
        request.identity,
        new_run_id,
        UpdateMessages(change, request.messages),
        unseen_events=bool(change.run.record.buffered_events),
    )
    try:
        for command in request.commands:
            handler = HANDLERS.get(command.command_type)
            if handler is None:
                raise _not_built(f"{command_name(command.command_type)} commands")
            handler(applying, command)
        applying.messages.rest()
    except CommandFailure as failure:
        return CommandsResult(failure=failure)
    if not change.run.open or change.run.paused:
        return CommandsResult()
    if not request.force_create_new_workflow_task:
        updates.reject_unanswered(change)
    return CommandsResult(
        eager_activities=tuple(start_eagerly(change, applying.eager, request.identity)),
    )


def _not_built(what: str) -> CommandFailure:
    return CommandFailure(
        Cause.WORKFLOW_TASK_FAILED_CAUSE_FEATURE_DISABLED, f"{what} are not implemented.", unbuilt=True
    )


def _bad_state(cause: WorkflowTaskFailedCause.ValueType, action: str, details: str) -> CommandFailure:
    """A command that does not fit the run. Real: MutableStateImpl.createCallerError."""
    return CommandFailure(cause, f"invalid history builder state for action: {action}, {details}")


def _schedule_activity(applying: _Applying, command: Command) -> None:
    run, limits = applying.run, applying.change.context.limits
    attributes = command_checks.schedule_activity(run, command, limits)
    require_room(
        len(run.activities),
        limits.pending_activities,
        Cause.WORKFLOW_TASK_FAILED_CAUSE_PENDING_ACTIVITIES_LIMIT_EXCEEDED,
        "pending activities",
    )
    if attributes.activity_id in run.activity_ids:
        raise _bad_state(
            Cause.WORKFLOW_TASK_FAILED_CAUSE_SCHEDULE_ACTIVITY_DUPLICATE_ID,
            "add-activitytask-scheduled-event",
            f"ActivityID: {attributes.activity_id}",
        )
    scheduled = ActivityTaskScheduledEventAttributes(
        activity_id=attributes.activity_id,
        activity_type=attributes.activity_type,
        task_queue=attributes.task_queue,
        schedule_to_close_timeout=attributes.schedule_to_close_timeout,
        schedule_to_start_timeout=attributes.schedule_to_start_timeout,
        start_to_close_timeout=attributes.start_to_close_timeout,
        heartbeat_timeout=attributes.heartbeat_timeout,
        workflow_task_completed_event_id=applying.completed_event_id,
        retry_policy=attributes.retry_policy,
        use_workflow_build_id=attributes.use_workflow_build_id,
        header=attributes.header if attributes.HasField("header") else None,
        input=attributes.input if attributes.HasField("input") else None,
        priority=attributes.priority if attributes.HasField("priority") else None,
    )
    event = applying.change.add(
        EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, scheduled, user_metadata=command.user_metadata
    )
    if attributes.request_eager_execution and applying.change.context.limits.eager_activities:
        applying.eager.append(event.event_id)


def _request_cancel_activity(applying: _Applying, command: Command) -> None:
    change = applying.change
    scheduled_event_id = command_checks.request_cancel_activity(command).scheduled_event_id
    activity = change.run.activities.get(scheduled_event_id)
    ended_unseen = activity is None and _ended_unseen(change, scheduled_event_id)
    if (activity is None and not ended_unseen) or (activity is not None and activity.record.cancel_requested):
        raise _bad_state(
            Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_ACTIVITY_ATTRIBUTES,
            "add-activitytask-cancel-requested-event",
            f"ScheduledEventID: {scheduled_event_id}",
        )
    requested = change.add(
        EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED,
        ActivityTaskCancelRequestedEventAttributes(
            scheduled_event_id=scheduled_event_id,
            workflow_task_completed_event_id=applying.completed_event_id,
        ),
        user_metadata=command.user_metadata,
    )
    if activity is not None and not activity.started:
        change.add(
            EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED,
            ActivityTaskCanceledEventAttributes(
                scheduled_event_id=scheduled_event_id,
                latest_cancel_requested_event_id=requested.event_id,
                details=signals.text_payloads("ACTIVITY_ID_NOT_STARTED"),
                identity=applying.identity,
            ),
        )


def _ended_unseen(change: RunChange, scheduled_event_id: int) -> bool:
    """Whether the activity's end is an event that no worker has seen: buffered, or of this very change.

    Real: EventStore.HasActivityFinishEvent.
    """
    buffered = map(HistoryEvent.FromString, change.run.record.buffered_events)
    return any(
        getattr(event, event.WhichOneof("attributes") or "").scheduled_event_id == scheduled_event_id
        for events in (buffered, change.events)
        for event in events
        if event.event_type in _ACTIVITY_ENDS
    )


def _start_timer(applying: _Applying, command: Command) -> None:
    attributes = command_checks.start_timer(command, applying.change.context.limits)
    if attributes.timer_id in applying.run.timers:
        raise _bad_state(
            Cause.WORKFLOW_TASK_FAILED_CAUSE_START_TIMER_DUPLICATE_ID,
            "add-timer-started-event",
            f"TimerID: {attributes.timer_id}",
        )
    timer.start(applying.change, applying.completed_event_id, attributes, command.user_metadata)


def _cancel_timer(applying: _Applying, command: Command) -> None:
    attributes = command_checks.cancel_timer(command, applying.change.context.limits)
    run = applying.run
    if attributes.timer_id not in run.timers and not timer.has_fired_unseen(run, attributes.timer_id):
        raise _bad_state(
            Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_CANCEL_TIMER_ATTRIBUTES,
            "add-timer-canceled-event",
            f"TimerID: {attributes.timer_id}",
        )
    timer.cancel(
        applying.change, applying.completed_event_id, attributes, applying.identity, command.user_metadata
    )
    # If the timer's firing was all that the worker had not seen, it may close the run after all.
    applying.unseen_events = applying.unseen_events and bool(run.record.buffered_events)


def _record_marker(applying: _Applying, command: Command) -> None:
    attributes = command_checks.record_marker(command, applying.change.context.limits)
    applying.change.add(
        EventType.EVENT_TYPE_MARKER_RECORDED,
        MarkerRecordedEventAttributes(
            marker_name=attributes.marker_name,
            details=attributes.details,
            workflow_task_completed_event_id=applying.completed_event_id,
            header=attributes.header if attributes.HasField("header") else None,
            failure=attributes.failure if attributes.HasField("failure") else None,
        ),
        user_metadata=command.user_metadata,
    )


def _protocol_message(applying: _Applying, command: Command) -> None:
    applying.messages.command(command)


def _start_child(applying: _Applying, command: Command) -> None:
    applying.children.add(
        commands_to_others.start_child(applying.change, applying.completed_event_id, command)
    )


def _signal_external(applying: _Applying, command: Command) -> None:
    commands_to_others.signal_external(applying.change, applying.completed_event_id, command)


def _cancel_external(applying: _Applying, command: Command) -> None:
    commands_to_others.cancel_external(
        applying.change, applying.completed_event_id, command, applying.children
    )


def _upsert_search_attributes(applying: _Applying, command: Command) -> None:
    change = applying.change
    attributes = command_checks.upsert_search_attributes(
        change.run, command, change.context.namespace, change.context.limits
    )
    change.add(
        EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
        UpsertWorkflowSearchAttributesEventAttributes(
            workflow_task_completed_event_id=applying.completed_event_id,
            search_attributes=attributes.search_attributes,
        ),
        user_metadata=command.user_metadata,
    )


def _modify_properties(applying: _Applying, command: Command) -> None:
    change = applying.change
    attributes = command_checks.modify_properties(change.run, command, change.context.limits)
    change.add(
        EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED,
        WorkflowPropertiesModifiedEventAttributes(
            workflow_task_completed_event_id=applying.completed_event_id,
            upserted_memo=attributes.upserted_memo,
        ),
        user_metadata=command.user_metadata,
    )


def _require_nothing_unseen(applying: _Applying) -> None:
    """A run cannot close on a decision that was made without knowing everything."""
    if applying.unseen_events:
        raise CommandFailure(Cause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND)


def _complete_workflow(applying: _Applying, command: Command) -> None:
    _require_nothing_unseen(applying)
    change = applying.change
    attributes = command_checks.complete_workflow(command, change.context.limits)
    result = attributes.result if attributes.HasField("result") else None
    following = chain.after_completion(change.run, change.context, result)
    new_run_id = applying.new_run_id() if following else ""
    change.add(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
        WorkflowExecutionCompletedEventAttributes(
            result=result,
            workflow_task_completed_event_id=applying.completed_event_id,
            new_execution_run_id=new_run_id,
        ),
        user_metadata=command.user_metadata,
    )
    if following is not None:
        chain.follow(change, following, new_run_id)


def _fail_workflow(applying: _Applying, command: Command) -> None:
    _require_nothing_unseen(applying)
    change = applying.change
    attributes = command_checks.fail_workflow(command, change.context.limits)
    verdict = chain.after_failure(change.run, change.context, attributes.failure)
    new_run_id = applying.new_run_id() if verdict.following else ""
    change.add(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
        WorkflowExecutionFailedEventAttributes(
            failure=attributes.failure,
            retry_state=verdict.state,
            workflow_task_completed_event_id=applying.completed_event_id,
            new_execution_run_id=new_run_id,
        ),
        user_metadata=command.user_metadata,
    )
    if verdict.following is not None:
        chain.follow(change, verdict.following, new_run_id)


def _cancel_workflow(applying: _Applying, command: Command) -> None:
    _require_nothing_unseen(applying)
    attributes = command_checks.cancel_workflow(command)
    applying.change.add(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
        WorkflowExecutionCanceledEventAttributes(
            details=attributes.details if attributes.HasField("details") else None,
            workflow_task_completed_event_id=applying.completed_event_id,
        ),
        user_metadata=command.user_metadata,
    )


def _continue_as_new(applying: _Applying, command: Command) -> None:
    _require_nothing_unseen(applying)
    context = applying.change.context
    attributes = command_checks.continue_as_new(applying.run, command, context.namespace, context.limits)
    continue_as_new.continue_as_new(
        applying.change,
        attributes,
        applying.completed_event_id,
        applying.new_run_id(),
        command.user_metadata,
    )


HANDLERS: dict[int, Callable[[_Applying, Command], None]] = {
    CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK: _schedule_activity,
    CommandType.COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK: _request_cancel_activity,
    CommandType.COMMAND_TYPE_START_TIMER: _start_timer,
    CommandType.COMMAND_TYPE_CANCEL_TIMER: _cancel_timer,
    CommandType.COMMAND_TYPE_RECORD_MARKER: _record_marker,
    CommandType.COMMAND_TYPE_PROTOCOL_MESSAGE: _protocol_message,
    CommandType.COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION: _start_child,
    CommandType.COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION: _signal_external,
    CommandType.COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION: _cancel_external,
    CommandType.COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: _upsert_search_attributes,
    CommandType.COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES: _modify_properties,
    CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION: _complete_workflow,
    CommandType.COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION: _fail_workflow,
    CommandType.COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION: _cancel_workflow,
    CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION: _continue_as_new,
}
