"""A run's children, seen from the parent: how one is started, and what of it becomes the parent's events.

    initiated ── started ──> completed, failed, canceled, timed out or terminated
        └─────── start failed

A child is its Initiated event. What it is started with follows from that event alone, its request id
included: a start that is repeated, after a crash or in another region, finds the run that was made before.
The parent is told of the end of the last run of the child's chain, and knows the chain by its first run.

Real: MutableStateImpl.Add…ChildWorkflowExecution…Event, api/recordchildworkflowcompleted,
transferQueueActiveTaskExecutor.processStartChildExecution, processParentClosePolicy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, NamedTuple

from google.protobuf.message import Message
from temporalio.api.common.v1 import Priority, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import (
    EventType,
    ParentClosePolicy,
    StartChildWorkflowExecutionFailedCause,
    WorkflowIdConflictPolicy,
)
from temporalio.api.history.v1 import (
    ChildWorkflowExecutionCanceledEventAttributes,
    ChildWorkflowExecutionCompletedEventAttributes,
    ChildWorkflowExecutionFailedEventAttributes,
    ChildWorkflowExecutionStartedEventAttributes,
    ChildWorkflowExecutionTerminatedEventAttributes,
    ChildWorkflowExecutionTimedOutEventAttributes,
    HistoryEvent,
    StartChildWorkflowExecutionFailedEventAttributes,
    StartChildWorkflowExecutionInitiatedEventAttributes,
    WorkflowExecutionStartedEventAttributes,
)
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest

from mockcloud.api.state.v1.state_pb2 import CloseErrands, NamespaceRecord, RunAt, VersionHistoryItem
from mockcloud.core import errands, history_limits, priorities, task_state
from mockcloud.core.change import RunChange
from mockcloud.core.errors import NotFound, workflow_already_completed
from mockcloud.core.messages import copy_set
from mockcloud.core.run import Child, Run
from mockcloud.core.start import Parent

Policy = ParentClosePolicy


class Leave(Enum):
    """What becomes of a child that waits for its first workflow task, by the state of its parent."""

    BEGIN = "begin"
    WAIT = "wait"
    TERMINATE = "terminate"  # its parent has closed, and this is the policy
    REQUEST_CANCEL = "request cancel"


class ChildStart(NamedTuple):
    """A child that is to be started."""

    namespace_id: str  # of the child
    request: StartWorkflowExecutionRequest
    parent: Parent
    # Of a reset run whose copy has the Initiated event: the first of the runs that resets made of each other.
    # A child that one of them started is the child of this one now.
    original_run_id: str


class ClosedChild(NamedTuple):
    """A closed run as its parent hears of it."""

    link: WorkflowExecutionStartedEventAttributes  # of its Started event: who its parent is
    execution: WorkflowExecution
    first_run_id: str
    close_event: HistoryEvent


def request_id(run: Run, event: HistoryEvent) -> str:
    """By which what an Initiated event brings about is known where it is done.

    Real: MutableStateImpl.generateChildWorkflowRequestID. There, signals and cancel requests have random
    ones, of which another region knows nothing.
    """
    return f"{run.key.run_id}:{event.event_id}:{event.version}"


def pending(run: Run, event_id: int, version: int) -> Child | None:
    """The child of an Initiated event, if it has not ended and the event is of the current branch."""
    child = run.children.get(event_id)
    return child if child is not None and child.initiated.version == version else None


def to_start(run: Run, event_id: int, version: int, namespace: NamespaceRecord) -> ChildStart | None:
    """What starts the child of an Initiated event; `namespace` is the parent's. None: it is not to be started.

    Real: transferQueueActiveTaskExecutor.startWorkflow.
    """
    child = pending(run, event_id, version)
    if not run.open or child is None or child.started:
        return None
    attributes = child.attributes
    request = StartWorkflowExecutionRequest(
        namespace=attributes.namespace,
        workflow_id=attributes.workflow_id,
        workflow_type=attributes.workflow_type,
        task_queue=attributes.task_queue,
        request_id=request_id(run, child.initiated),
        workflow_id_reuse_policy=attributes.workflow_id_reuse_policy,
        workflow_id_conflict_policy=WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
        cron_schedule=attributes.cron_schedule,
    )
    copy_set(
        attributes,
        request,
        "input",
        "header",
        "memo",
        "search_attributes",
        "retry_policy",
        "workflow_execution_timeout",
        "workflow_run_timeout",
        "workflow_task_timeout",
    )
    if child.initiated.HasField("user_metadata"):
        request.user_metadata.CopyFrom(child.initiated.user_metadata)
    priority = child_priority(run.start, attributes)
    if priority is not None:
        request.priority.CopyFrom(priority)
    root = run.start.root_workflow_execution
    parent = Parent(
        namespace=namespace.name,
        namespace_id=namespace.id,
        execution=execution_of(run),
        initiated_event_id=child.initiated.event_id,
        initiated_event_version=child.initiated.version,
        root=root if root.workflow_id else execution_of(run),
    )
    copied = event_id <= run.record.base_event_id
    return ChildStart(
        attributes.namespace_id, request, parent, run.start.original_execution_run_id if copied else ""
    )


def execution_of(run: Run) -> WorkflowExecution:
    """The run as messages name it."""
    return WorkflowExecution(workflow_id=run.key.workflow_id, run_id=run.key.run_id)


def child_priority(
    parent: WorkflowExecutionStartedEventAttributes,
    child: StartChildWorkflowExecutionInitiatedEventAttributes,
) -> Priority | None:
    """The priority of a child: of each field its own, if it is set, or else its parent's.

    Real: priorities.Merge.
    """
    if not parent.HasField("priority"):
        return child.priority if child.HasField("priority") else None
    return priorities.merged(parent.priority, child.priority)


def record_started(change: RunChange, event_id: int, version: int, first_run_id: str) -> Leave:
    """The child's first run exists: write Started, and say whether the run may begin."""
    run = change.run
    child = pending(run, event_id, version)
    if run.open and child is not None and not child.started:
        add_started(change, child, first_run_id)
        task_state.schedule_workflow_task(change)
        task_state.limit_buffer(change)
    return leave(run, event_id, version, first_run_id)


def leave(parent: Run, event_id: int, version: int, first_run_id: str) -> Leave:
    """Whether a child may begin whose first run is `first_run_id`.

    A parent that closed before it knew of the start stands by its policy all the same: an abandoned child
    that exists begins. (The real server holds the parent's lock while it starts the child, so only a crash
    can leave one there, and it never begins.)
    """
    child = pending(parent, event_id, version)
    if child is None or (child.started and child.first_run_id != first_run_id):
        return Leave.WAIT
    if parent.open:
        return Leave.BEGIN if child.started else Leave.WAIT
    if errands.terminated_by_reset(parent):
        return Leave.WAIT
    match child.attributes.parent_close_policy:
        case Policy.PARENT_CLOSE_POLICY_TERMINATE:
            return Leave.TERMINATE
        case Policy.PARENT_CLOSE_POLICY_REQUEST_CANCEL:
            return Leave.REQUEST_CANCEL
        case _:
            return Leave.BEGIN


def begin(change: RunChange) -> None:
    """Schedule the first workflow task of a child. Again changes nothing. Real: api/scheduleworkflowtask."""
    if errands.awaits_first_task(change.run):
        task_state.schedule_workflow_task(change)


def record_start_failed(
    change: RunChange, event_id: int, version: int, cause: StartChildWorkflowExecutionFailedCause.ValueType
) -> None:
    """The child cannot be started: write that, unless the parent has ended or knows better."""
    child = pending(change.run, event_id, version)
    if not change.run.open or child is None or child.started:
        return
    attributes = child.attributes
    change.add(
        EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED,
        StartChildWorkflowExecutionFailedEventAttributes(
            namespace=attributes.namespace,
            namespace_id=attributes.namespace_id,
            workflow_id=attributes.workflow_id,
            workflow_type=attributes.workflow_type,
            cause=cause,
            control=attributes.control,
            initiated_event_id=event_id,
        ),
    )
    task_state.schedule_workflow_task(change)
    task_state.limit_buffer(change)


def closed_child(run: Run) -> ClosedChild:
    """What the parent of a closed run hears of it."""
    assert run.closed is not None, "a closed run has its close event"
    return ClosedChild(
        link=run.start,
        execution=execution_of(run),
        first_run_id=run.start.first_execution_run_id,
        close_event=run.closed,
    )


def record_closed(change: RunChange, child: ClosedChild) -> str:
    """Write a child's end, and its Started where that is missing.

    Returns:
        The run to tell in place of this one, which a reset has replaced; empty if this one was told.

    Raises:
        NotFound: the run is closed, or has no such child: there is nobody to be told.
    """
    run = change.run
    if not run.open or run.record.zombie:
        if run.record.reset_run_id:
            return run.record.reset_run_id
        raise workflow_already_completed()
    event_id = child.link.parent_initiated_event_id
    known = pending(run, event_id, child.link.parent_initiated_event_version)
    if (
        known is None
        or known.attributes.workflow_id != child.execution.workflow_id
        or (known.started and known.first_run_id != child.first_run_id)
    ):
        raise NotFound("Pending child execution not found.")
    guard = history_limits.guard(change)
    if not known.started:
        add_started(change, known, child.first_run_id)
    add_end(change, event_id, child.execution, child.close_event)
    task_state.schedule_workflow_task(change)
    task_state.limit_buffer(change)
    history_limits.enforce(change, guard)  # a parent that has no room for it is terminated; it was told
    return ""


def end_is_buffered(run: Run, event_id: int) -> bool:
    """Whether the end of the child of an Initiated event waits in the buffer, of which no other region knows."""
    return any(
        event.event_type in _END_TYPES and initiated_event_id(event) == event_id
        for event in map(HistoryEvent.FromString, run.record.buffered_events)
    )


def add_started(change: RunChange, child: Child, first_run_id: str) -> None:
    """Write that the child's first run exists. Schedules nothing."""
    attributes = child.attributes
    started = ChildWorkflowExecutionStartedEventAttributes(
        namespace=attributes.namespace,
        namespace_id=attributes.namespace_id,
        initiated_event_id=child.initiated.event_id,
        workflow_execution=WorkflowExecution(workflow_id=attributes.workflow_id, run_id=first_run_id),
        workflow_type=attributes.workflow_type,
    )
    copy_set(attributes, started, "header")
    change.add(EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED, started)


class _End(NamedTuple):
    """How the end of a child is written."""

    event_type: EventType.ValueType
    attributes: Callable[..., Message]
    message: str = ""  # field that is carried over, if it is set
    retry_state: bool = False


_ENDS: Mapping[int, _End] = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: _End(
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED,
        ChildWorkflowExecutionCompletedEventAttributes,
        message="result",
    ),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: _End(
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED,
        ChildWorkflowExecutionFailedEventAttributes,
        message="failure",
        retry_state=True,
    ),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: _End(
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED,
        ChildWorkflowExecutionCanceledEventAttributes,
        message="details",
    ),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: _End(
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED,
        ChildWorkflowExecutionTerminatedEventAttributes,
    ),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: _End(
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT,
        ChildWorkflowExecutionTimedOutEventAttributes,
        retry_state=True,
    ),
}


_END_TYPES = frozenset(end.event_type for end in _ENDS.values())
# What a parent hears of a child that it has initiated.
AFTER_INITIATED = _END_TYPES | {
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED,
}


def add_end(
    change: RunChange, event_id: int, execution: WorkflowExecution, close_event: HistoryEvent
) -> None:
    """Write the end of the started child of an Initiated event, as the close event of its last run tells it."""
    child = change.run.children[event_id]
    initiated = child.attributes
    end = _ENDS[close_event.event_type]
    closed: Any = getattr(close_event, close_event.WhichOneof("attributes") or "")
    attributes: Any = end.attributes(
        namespace=initiated.namespace,
        namespace_id=initiated.namespace_id,
        workflow_execution=execution,
        workflow_type=WorkflowType(name=initiated.workflow_type.name),
        initiated_event_id=event_id,
        started_event_id=child.started_event_id,
    )
    if end.message:
        copy_set(closed, attributes, end.message)
    if end.retry_state:
        attributes.retry_state = closed.retry_state
    change.add(end.event_type, attributes)


def initiated_event_id(event: HistoryEvent) -> int:
    """Of the child that one of `AFTER_INITIATED` is about."""
    attributes: Any = getattr(event, event.WhichOneof("attributes") or "")
    return int(attributes.initiated_event_id)


def write_again(change: RunChange, event: HistoryEvent) -> bool:
    """Write one of `AFTER_INITIATED` again, on a run that has the same child and does not know of it yet.

    For the branch that won over the one where it was written, and for the run that a reset made. Schedules
    nothing; whether anything was written. Real: ndc.reapplyChildEvents.
    """
    given: Any = getattr(event, event.WhichOneof("attributes") or "")
    child = change.run.children.get(given.initiated_event_id)
    failed = event.event_type == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED
    workflow_id = given.workflow_id if failed else given.workflow_execution.workflow_id
    if child is None or child.attributes.workflow_id != workflow_id:
        return False
    begins = failed or event.event_type == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED
    if begins == child.started:
        return False
    attributes: Any = type(given)()
    attributes.CopyFrom(given)
    if not begins:
        attributes.started_event_id = child.started_event_id
    change.add(event.event_type, attributes)
    return True


def close_errands_done(
    change: RunChange, event_id: int, version: int, rests_on: Iterable[RunAt] = ()
) -> None:
    """Note that a closed run's errands are done; they are not done again, here or elsewhere.

    `rests_on` are the runs that got nothing because they had ended.
    """
    change.run.record.close_errands.CopyFrom(
        CloseErrands(
            close=VersionHistoryItem(event_id=event_id, version=version),
            version=change.context.version,
            rests_on=rests_on,
        )
    )
    change.replicate_run_state = True
    change.is_transition = False
    change.touch()
