"""Signals and cancel requests that a run has sent to other runs: what became of them is an event of the sender.

Real: MutableStateImpl.AddExternalWorkflowExecutionSignaled, AddSignalExternalWorkflowExecutionFailedEvent,
AddExternalWorkflowExecutionCancelRequested, AddRequestCancelExternalWorkflowExecutionFailedEvent.
"""

from __future__ import annotations

from typing import NamedTuple

from google.protobuf.message import Message
from temporalio.api.enums.v1 import (
    CancelExternalWorkflowExecutionFailedCause,
    EventType,
    SignalExternalWorkflowExecutionFailedCause,
)
from temporalio.api.history.v1 import (
    ExternalWorkflowExecutionCancelRequestedEventAttributes,
    ExternalWorkflowExecutionSignaledEventAttributes,
    HistoryEvent,
    RequestCancelExternalWorkflowExecutionFailedEventAttributes,
    RequestCancelExternalWorkflowExecutionInitiatedEventAttributes,
    SignalExternalWorkflowExecutionFailedEventAttributes,
    SignalExternalWorkflowExecutionInitiatedEventAttributes,
)
from temporalio.api.workflowservice.v1 import (
    RequestCancelWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
)

from mockcloud.core import task_state
from mockcloud.core.change import RunChange
from mockcloud.core.children import execution_of, request_id
from mockcloud.core.messages import copy_set
from mockcloud.core.run import Run
from mockcloud.core.signals import HISTORY_SERVICE, Source


class Target(NamedTuple):
    """The namespace of the other run; as the command named it where there is none."""

    namespace: str
    namespace_id: str


class Signal(NamedTuple):
    """A signal to be sent."""

    attributes: SignalExternalWorkflowExecutionInitiatedEventAttributes
    request: SignalWorkflowExecutionRequest
    source: Source


class Cancel(NamedTuple):
    """A cancel request to be sent."""

    attributes: RequestCancelExternalWorkflowExecutionInitiatedEventAttributes
    request: RequestCancelWorkflowExecutionRequest
    source: Source


def pending_signal(run: Run, event_id: int, version: int) -> Signal | None:
    """What the signal's Initiated event asks for; None: it is sent, failed, or of another branch."""
    event = _pending(run.external_signals, event_id, version)
    if event is None:
        return None
    attributes = event.signal_external_workflow_execution_initiated_event_attributes
    request = SignalWorkflowExecutionRequest(
        signal_name=attributes.signal_name,
        identity=HISTORY_SERVICE,
        request_id=request_id(run, event),
        control=attributes.control,
    )
    copy_set(attributes, request, "input", "header")
    source = Source(execution_of(run), only_parent=attributes.child_workflow_only)
    return Signal(attributes, request, source)


def pending_cancel(run: Run, event_id: int, version: int) -> Cancel | None:
    """What the cancel request's Initiated event asks for; None as in `pending_signal`."""
    event = _pending(run.external_cancels, event_id, version)
    if event is None:
        return None
    attributes = event.request_cancel_external_workflow_execution_initiated_event_attributes
    request = RequestCancelWorkflowExecutionRequest(
        identity=HISTORY_SERVICE, request_id=request_id(run, event), reason=attributes.reason
    )
    source = Source(execution_of(run), event_id, only_parent=attributes.child_workflow_only)
    return Cancel(attributes, request, source)


def record_signal(
    change: RunChange,
    event_id: int,
    version: int,
    target: Target,
    cause: SignalExternalWorkflowExecutionFailedCause.ValueType | None,
) -> None:
    """The signal arrived (no cause), or cannot arrive. Nothing happens where that is known, or on a closed run."""
    event = _pending(change.run.external_signals, event_id, version)
    if event is None:
        return
    attributes = event.signal_external_workflow_execution_initiated_event_attributes
    if cause is None:
        _add(
            change,
            EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED,
            ExternalWorkflowExecutionSignaledEventAttributes(
                initiated_event_id=event_id,
                namespace=target.namespace,
                namespace_id=target.namespace_id,
                workflow_execution=attributes.workflow_execution,
                control=attributes.control,
            ),
        )
    else:
        _add(
            change,
            EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
            SignalExternalWorkflowExecutionFailedEventAttributes(
                cause=cause,
                initiated_event_id=event_id,
                namespace=target.namespace,
                namespace_id=target.namespace_id,
                workflow_execution=attributes.workflow_execution,
                control=attributes.control,
            ),
        )


def record_cancel(
    change: RunChange,
    event_id: int,
    version: int,
    target: Target,
    cause: CancelExternalWorkflowExecutionFailedCause.ValueType | None,
) -> None:
    """The cancel request arrived (no cause), or cannot arrive. As `record_signal`."""
    event = _pending(change.run.external_cancels, event_id, version)
    if event is None:
        return
    attributes = event.request_cancel_external_workflow_execution_initiated_event_attributes
    if cause is None:
        _add(
            change,
            EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
            ExternalWorkflowExecutionCancelRequestedEventAttributes(
                initiated_event_id=event_id,
                namespace=target.namespace,
                namespace_id=target.namespace_id,
                workflow_execution=attributes.workflow_execution,
            ),
        )
    else:
        _add(
            change,
            EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
            RequestCancelExternalWorkflowExecutionFailedEventAttributes(
                cause=cause,
                initiated_event_id=event_id,
                namespace=target.namespace,
                namespace_id=target.namespace_id,
                workflow_execution=attributes.workflow_execution,
            ),
        )


def _add(change: RunChange, event_type: EventType.ValueType, attributes: Message) -> None:
    change.add(event_type, attributes)
    task_state.schedule_workflow_task(change)
    task_state.limit_buffer(change)


def _pending(events: dict[int, HistoryEvent], event_id: int, version: int) -> HistoryEvent | None:
    event = events.get(event_id)
    return event if event is not None and event.version == version else None
