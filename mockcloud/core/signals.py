"""What callers do to an open run: signal it, ask it to cancel, terminate it.

Each is idempotent as the real server's: a signal by its request id, a cancel request by there being one
already. Real: api/signalworkflow, api/requestcancelworkflow, api/terminateworkflow, workflow/util.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from temporalio.api.common.v1 import Header, Link, Payload, Payloads, WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import (
    HistoryEvent,
    WorkflowExecutionCancelRequestedEventAttributes,
    WorkflowExecutionSignaledEventAttributes,
    WorkflowExecutionTerminatedEventAttributes,
)
from temporalio.api.workflowservice.v1 import (
    RequestCancelWorkflowExecutionRequest,
    SignalWithStartWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
)

from mockcloud.core import history_limits, task_state, validation
from mockcloud.core.change import RunChange
from mockcloud.core.errors import (
    InvalidArgument,
    NotFound,
    ServiceError,
    workflow_already_completed,
    workflow_closing,
)

HISTORY_SERVICE = "history-service"


class Source(NamedTuple):
    """The other workflow in whose name a request comes."""

    execution: WorkflowExecution
    initiated_event_id: int = 0  # of its cancel request
    only_parent: bool = False  # the request is void unless that run is the parent


def signal(
    change: RunChange, request: SignalWorkflowExecutionRequest, *, source: Source | None = None
) -> ServiceError | None:
    """Add a signal and see that a workflow task follows, unless the first one waits for its start delay.

    Returns:
        An error to answer with once the change is committed: the signal was one too many for the history, and
        the run is terminated instead. None otherwise, also for a request id that was there before.

    Raises:
        NotFound: the run is closed, or `source` is not the parent that it has to be.
        InvalidArgument: the input is too large, or the run has had too many signals.
        ResourceExhausted: the run is about to close, which signals have kept it from.
    """
    if _signaled_before(change, request.request_id):
        return None
    _check_signal(change, request.input)
    _require_parent(change, source)
    guard = history_limits.guard(change)
    add_signal(
        change,
        name=request.signal_name,
        payloads=request.input,
        identity=request.identity,
        header=request.header,
        request_id=request.request_id,
        links=request.links,
        source=source,
    )
    task_state.schedule_workflow_task(change)
    task_state.limit_buffer(change)
    return history_limits.enforce(change, guard)


def signal_existing(
    change: RunChange, request: SignalWithStartWorkflowExecutionRequest
) -> ServiceError | None:
    """The signal of a signal-with-start whose run is open. As `signal`, but it ends a start delay.

    Real: signalwithstartworkflow.signalWorkflow.
    """
    if _signaled_before(change, request.request_id):
        return None
    _check_signal(change, request.signal_input)
    guard = history_limits.guard(change)
    add_signal(
        change,
        name=request.signal_name,
        payloads=request.signal_input,
        identity=request.identity,
        header=request.header,
        request_id=request.request_id,
        links=request.links,
    )
    task_state.schedule_workflow_task(change, despite_backoff=True)
    task_state.limit_buffer(change)
    return history_limits.enforce(change, guard)


def add_signal(
    change: RunChange,
    *,
    name: str,
    payloads: Payloads,
    identity: str,
    header: Header,
    request_id: str,
    links: Sequence[Link] = (),
    source: Source | None = None,
) -> HistoryEvent:
    """Append (or buffer) a Signaled event, which carries its request id. Schedules nothing."""
    attributes = WorkflowExecutionSignaledEventAttributes(
        signal_name=name, identity=identity, request_id=request_id
    )
    if payloads.ByteSize():
        attributes.input.CopyFrom(payloads)
    if header.ByteSize():
        attributes.header.CopyFrom(header)
    if source is not None:
        attributes.external_workflow_execution.CopyFrom(source.execution)
    if request_id:
        change.request_ids.append(request_id)
    return change.add(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED, attributes, links=links)


def request_cancel(
    change: RunChange, request: RequestCancelWorkflowExecutionRequest, *, source: Source | None = None
) -> None:
    """Ask the run to cancel itself; it gets a workflow task even while its first one is delayed.

    A second request changes nothing, and neither does one on a closed run: both succeed.

    Raises:
        NotFound: the run is not of the chain that the request names by its first run, or `source` is not the
            parent that it has to be.
    """
    run = change.run
    if not run.open or run.record.zombie:
        return
    _require_chain(change, request.first_execution_run_id)
    _require_parent(change, source)
    if run.cancel_requested:
        return
    attributes = WorkflowExecutionCancelRequestedEventAttributes(
        cause=request.reason, identity=request.identity
    )
    if source is not None:
        attributes.external_initiated_event_id = source.initiated_event_id
        attributes.external_workflow_execution.CopyFrom(source.execution)
    change.add(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED, attributes, links=request.links)
    task_state.schedule_workflow_task(change, despite_backoff=True)


def terminate(
    change: RunChange, request: TerminateWorkflowExecutionRequest, *, source: Source | None = None
) -> None:
    """Close the run at once.

    Raises:
        NotFound: it is closed, not of the chain that the request names by its first run, or `source` is not
            the parent that it has to be.
    """
    if not change.run.open or change.run.record.zombie:
        raise workflow_already_completed()
    _require_chain(change, request.first_execution_run_id)
    _require_parent(change, source)
    terminate_run(
        change,
        reason=request.reason,
        details=request.details if request.HasField("details") else None,
        identity=request.identity,
        links=request.links,
    )


def terminate_for_new_run(change: RunChange, new_run_id: str) -> None:
    """Close the current run because a start with policy TERMINATE_EXISTING replaces it."""
    if not change.run.open:
        raise workflow_already_completed()
    terminate_run(
        change,
        reason="TerminateIfRunning WorkflowIdReusePolicy",
        details=text_payloads(f"terminated by new runID: {new_run_id}"),
        identity=HISTORY_SERVICE,
    )


def terminate_run(
    change: RunChange,
    *,
    reason: str,
    details: Payloads | None = None,
    identity: str = HISTORY_SERVICE,
    links: Sequence[Link] = (),
) -> None:
    """Fail the workflow task that a worker has, flush the buffer, write Terminated.

    Real: workflow.TerminateWorkflow.
    """
    task_state.fail_started_task(change, task_state.FORCE_CLOSE)
    attributes = WorkflowExecutionTerminatedEventAttributes(reason=reason, identity=identity)
    if details is not None:
        attributes.details.CopyFrom(details)
    change.add(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED, attributes, links=links)


def text_payloads(text: str) -> Payloads:
    """A text as the server encodes its own details. Real: payloads.EncodeString."""
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=quoted.encode())])


def remember(change: RunChange, request_id: str) -> None:
    """Know a signal by its request id, here and in the replicas, though no event of the run carries it."""
    change.run.signal_request_ids.add(request_id)
    change.run.record.signal_request_ids.append(request_id)
    change.request_ids.append(request_id)


def _signaled_before(change: RunChange, request_id: str) -> bool:
    return bool(request_id) and request_id in change.run.signal_request_ids


def _check_signal(change: RunChange, payloads: Payloads) -> None:
    """Real: api.ValidateSignal."""
    run = change.run
    if not run.open or run.record.zombie:
        raise workflow_already_completed()
    validation.blob(payloads, change.context.limits)
    if run.signal_count >= change.context.limits.signals_per_run:
        raise InvalidArgument("exceeded workflow execution limit for signal events")
    if run.close_attempted and run.started_workflow_task is not None:
        raise workflow_closing()


def _require_chain(change: RunChange, first_execution_run_id: str) -> None:
    if first_execution_run_id and change.run.start.first_execution_run_id != first_execution_run_id:
        raise NotFound("workflow execution not found")


def _require_parent(change: RunChange, source: Source | None) -> None:
    """Real: consts.ErrWorkflowParent."""
    if (
        source is not None
        and source.only_parent
        and change.run.start.parent_workflow_execution != source.execution
    ):
        raise NotFound("workflow parent does not match")
