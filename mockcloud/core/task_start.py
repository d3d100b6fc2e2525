"""Giving a workflow task to a worker, and what the worker then sees of it.

Real: api/recordworkflowtaskstarted, workflowTaskStateMachine.AddWorkflowTaskStartedEvent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import NamedTuple

from temporalio.api.common.v1 import WorkerVersionStamp
from temporalio.api.enums.v1 import EventType, SuggestContinueAsNewReason, TaskQueueKind
from temporalio.api.history.v1 import (
    HistoryEvent,
    WorkflowTaskScheduledEventAttributes,
    WorkflowTaskStartedEventAttributes,
)
from temporalio.api.protocol.v1 import Message
from temporalio.api.taskqueue.v1 import TaskQueue

from mockcloud.api.state.v1.state_pb2 import WorkflowTaskRecord
from mockcloud.core import history_limits, task_state, times, updates
from mockcloud.core.change import RunChange
from mockcloud.core.derived import Offer, TaskKind
from mockcloud.core.errors import NotFound
from mockcloud.core.run import Run
from mockcloud.core.tokens import TaskToken


class StartedTask(NamedTuple):
    """A workflow task that a worker has taken: what the answer to its poll says. Times are nanoseconds."""

    token: TaskToken
    workflow_type: str
    task_queue: str  # the run's normal one
    attempt: int
    scheduled_event_id: int
    started_event_id: int
    previous_started_event_id: int
    scheduled_time: int
    started_time: int
    # History to send: events from `first_event_id` up to, not including, `next_event_id` as they are in the
    # store after this commit, then `transient_events`, which are in no store.
    first_event_id: int
    next_event_id: int
    branch_id: int
    transient_events: list[HistoryEvent] = field(default_factory=list)
    messages: Sequence[Message] = ()  # updates
    sticky: bool = False  # only the new events are sent


def start_workflow_task(
    change: RunChange,
    offer: Offer,
    request_id: str,
    identity: str,
    *,
    worker_version: WorkerVersionStamp | None = None,
    sticky: bool | None = None,
) -> StartedTask | None:
    """Give the offered task to a worker.

    `sticky` says whether the worker polled the sticky queue (default: as offered).
    Returns None when the offer is void: the task is gone, started or another attempt. It is also None when
    the run is terminated instead because its history is too long; the change is to be committed in any case.
    """
    run = change.run
    task = run.workflow_task
    if (
        not run.open
        or run.paused
        or run.record.zombie
        or task is None
        or task.started_time
        or task.scheduled_event_id != offer.scheduled_event_id
        or task.attempt != offer.attempt
    ):
        return None
    on_sticky = offer.sticky if sticky is None else sticky
    if on_sticky and not run.record.sticky.task_queue:
        return None  # the run has left the sticky queue
    if not on_sticky and run.record.sticky.task_queue:
        # The sticky worker is gone. What another worker gets must be the whole history.
        run.record.ClearField("sticky")
        _touch(change, task)
    if task.speculative and not updates.to_be_sent(run):
        run.record.ClearField("workflow_task")  # its updates are gone, and it was for them alone
        change.touch_memory()
        return None
    guard = history_limits.guard(change)
    started = start_task(change, task, request_id, identity, worker_version, sticky=on_sticky)
    if history_limits.enforce(change, guard) is not None:
        return None
    return started


def start_task(
    change: RunChange,
    task: WorkflowTaskRecord,
    request_id: str,
    identity: str,
    worker_version: WorkerVersionStamp | None,
    *,
    sticky: bool,
    after_heartbeat: bool = False,
) -> StartedTask:
    """Give the pending task to a worker. One that follows a heartbeat brings only updates that are new.

    Real: workflowTaskStateMachine.AddWorkflowTaskStartedEvent, CreateRecordWorkflowTaskStartedResponse.
    """
    run = change.run
    now = change.context.now
    limits = change.context.limits
    reasons: list[SuggestContinueAsNewReason.ValueType] = []
    # Only what is stored already counts, as in the real server.
    size = run.record.history_size - sum(event.ByteSize() for event in change.events)
    if size >= limits.suggest_continue_as_new_bytes:
        reasons.append(SuggestContinueAsNewReason.SUGGEST_CONTINUE_AS_NEW_REASON_HISTORY_SIZE_TOO_LARGE)
    if run.next_event_id >= limits.suggest_continue_as_new_events:
        reasons.append(SuggestContinueAsNewReason.SUGGEST_CONTINUE_AS_NEW_REASON_TOO_MANY_HISTORY_EVENTS)
    if updates.suggest_continue_as_new(run, limits):
        reasons.append(SuggestContinueAsNewReason.SUGGEST_CONTINUE_AS_NEW_REASON_TOO_MANY_UPDATES)

    if (task.transient or task.speculative) and (
        task.scheduled_event_id != run.next_event_id or task.version != change.version
    ):
        # Something came since, or the namespace failed over: it is a real first attempt after all.
        task.speculative = False
        queue = TaskQueue(name=run.start.task_queue.name, kind=TaskQueueKind.TASK_QUEUE_KIND_NORMAL)
        timeout, original = task.start_to_close_timeout, task.original_scheduled_time
        task_state.add_scheduled_event(change, queue, 1, now, timeout)
        run.record.workflow_task.original_scheduled_time = original
    pending = run.record.workflow_task
    if pending.transient or pending.speculative:
        pending.started_event_id = pending.scheduled_event_id + 1
        pending.started_time = now
        pending.request_id = request_id
        pending.identity = identity
        pending.history_size_suggestion = size
        pending.suggest_continue_as_new = bool(reasons)
        pending.suggest_reasons[:] = reasons
        _touch(change, pending)
    else:
        add_started_event(
            change,
            WorkflowTaskRecord(
                scheduled_event_id=pending.scheduled_event_id,
                request_id=request_id,
                identity=identity,
                history_size_suggestion=size,
                suggest_continue_as_new=bool(reasons),
                suggest_reasons=reasons,
                started_time=now,
            ),
            worker_version,
        )
    started = started_task(run, sticky=sticky)
    messages = updates.send(change, started.started_event_id, again=not after_heartbeat)
    return started._replace(messages=messages) if messages else started


def _touch(change: RunChange, task: WorkflowTaskRecord) -> None:
    """The record of `task` changed, which is in memory only if it is speculative."""
    if task.speculative:
        change.touch_memory()
    else:
        change.touch()


def add_started_event(
    change: RunChange,
    task: WorkflowTaskRecord,
    worker_version: WorkerVersionStamp | None = None,
) -> HistoryEvent:
    """Write WorkflowTaskStarted with the data of `task`."""
    return change.add(
        EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
        WorkflowTaskStartedEventAttributes(
            scheduled_event_id=task.scheduled_event_id,
            identity=task.identity,
            request_id=task.request_id,
            suggest_continue_as_new=task.suggest_continue_as_new,
            suggest_continue_as_new_reasons=_reasons(task),
            history_size_bytes=task.history_size_suggestion,
            worker_version=worker_version,
        ),
        moment=task.started_time,
    )


def _reasons(task: WorkflowTaskRecord) -> list[SuggestContinueAsNewReason.ValueType]:
    return [SuggestContinueAsNewReason.ValueType(reason) for reason in task.suggest_reasons]


def started_task(run: Run, *, sticky: bool = False) -> StartedTask:
    """The started task as its worker sees it."""
    task = run.started_workflow_task
    assert task is not None, "a started task"
    previous = run.last_completed_task_started_event_id
    return StartedTask(
        token=task_token(run),
        workflow_type=run.start.workflow_type.name,
        task_queue=run.start.task_queue.name,
        attempt=task.attempt,
        scheduled_event_id=task.scheduled_event_id,
        started_event_id=task.started_event_id,
        previous_started_event_id=previous,
        scheduled_time=task.scheduled_time,
        started_time=task.started_time,
        first_event_id=previous + 1 if sticky else 1,
        next_event_id=run.next_event_id,
        branch_id=run.version_history.branch_id,
        transient_events=transient_events(run, task.identity),
        sticky=sticky,
    )


def task_token(run: Run) -> TaskToken:
    """The token of the started task."""
    task = run.record.workflow_task
    return TaskToken(
        namespace_id=run.key.namespace_id,
        workflow_id=run.key.workflow_id,
        run_id=run.key.run_id,
        scheduled_event_id=task.scheduled_event_id,
        attempt=task.attempt,
        version=task.version,
        kind=TaskKind.WORKFLOW,
        started_event_id=task.started_event_id,
        started_time=task.started_time,
    )


def transient_events(run: Run, identity: str = "") -> list[HistoryEvent]:
    """The events that a pending transient or speculative task would have, as workers and readers see them.

    Only its worker is told its identity. Empty for a task that has real events. Real: GetTransientWorkflowTaskInfo.
    """
    task = run.workflow_task
    if task is None or not (task.transient or task.speculative):
        return []
    if task.scheduled_event_id != run.next_event_id:
        return []
    events = [
        HistoryEvent(
            event_id=task.scheduled_event_id,
            event_time=times.timestamp(task.scheduled_time),
            event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
            version=task.version,
            workflow_task_scheduled_event_attributes=WorkflowTaskScheduledEventAttributes(
                task_queue=run.current_task_queue,
                start_to_close_timeout=times.duration(task.start_to_close_timeout),
                attempt=task.attempt,
            ),
        )
    ]
    if task.started_time:
        events.append(
            HistoryEvent(
                event_id=task.started_event_id,
                event_time=times.timestamp(task.started_time),
                event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
                version=task.version,
                workflow_task_started_event_attributes=WorkflowTaskStartedEventAttributes(
                    scheduled_event_id=task.scheduled_event_id,
                    identity=identity,
                    request_id=task.request_id,
                    suggest_continue_as_new=task.suggest_continue_as_new,
                    suggest_continue_as_new_reasons=_reasons(task),
                    history_size_bytes=task.history_size_suggestion,
                ),
            )
        )
    return events


def require_started_task(change: RunChange, token: TaskToken) -> WorkflowTaskRecord:
    """The started task that `token` names.

    Raises:
        NotFound: it is not the one that the run has now.
    """
    run = change.run
    task = run.started_workflow_task
    if (
        not run.open
        or task is None
        or token.scheduled_event_id != task.scheduled_event_id
        or (token.started_event_id and token.started_event_id != task.started_event_id)
        or (token.started_time and token.started_time != task.started_time)
        or token.attempt != task.attempt
        or (token.version and token.version != task.version)
    ):
        raise NotFound("Workflow task not found.")
    return task
