"""Starting a run: which run a start leads to, and the first events of a new one.

Terms: the *current* run of a workflow id is the newest one that is no zombie, open or closed. The *conflict
policy* says what a start does while it is open, the *reuse policy* what it does once it is closed. A start
whose request id made the current run is a retry and gets that run.

Real: service/history/api/startworkflow, api/workflow_id_dedup.go, api/create_workflow_util.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payloads, WorkflowExecution
from temporalio.api.enums.v1 import (
    ContinueAsNewInitiator,
    EventType,
    ResourceExhaustedCause,
    TaskQueueKind,
    WorkflowExecutionStatus,
    WorkflowIdConflictPolicy,
    WorkflowIdReusePolicy,
)
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import WorkflowExecutionStartedEventAttributes
from temporalio.api.workflow.v1 import ResetPoints
from temporalio.api.workflowservice.v1 import (
    SignalWithStartWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
)

from mockcloud.core import cron, signals, times, validation
from mockcloud.core.change import Context, RunChange
from mockcloud.core.current import CurrentRun
from mockcloud.core.errors import (
    InvalidArgument,
    NamespaceNotActive,
    ResourceExhausted,
    WorkflowExecutionAlreadyStarted,
)
from mockcloud.core.messages import copy_set
from mockcloud.core.run import OPEN_STATUSES, RUNNING, Run
from mockcloud.core.search_attribute_values import copy_memo_and_search_attributes
from mockcloud.core.task_start import StartedTask, start_task, started_task
from mockcloud.core.task_state import schedule_workflow_task


@dataclass(frozen=True, slots=True)
class StartNew:
    """Make a new run; the current one, if any, is closed."""


@dataclass(frozen=True, slots=True)
class UseExisting:
    """Answer with the current run.

    `deduplicated`: this very request made it, so the answer says `started`; or it was attached to it, then
    `attached` is true as well.
    """

    run_id: str
    deduplicated: bool = False
    attached: bool = False
    status: WorkflowExecutionStatus.ValueType = RUNNING


@dataclass(frozen=True, slots=True)
class AttachTo:
    """Leave something of the request at the current run (`core.attach`) and answer with it."""

    run_id: str


@dataclass(frozen=True, slots=True)
class TerminateAndStart:
    """Terminate the current run (`signals.terminate_for_new_run`) and make a new one in the same commit."""

    run_id: str


__all__ = [
    "AttachTo",
    "Continued",
    "CurrentRun",
    "Parent",
    "StartDecision",
    "StartNew",
    "TerminateAndStart",
    "UseExisting",
    "decide_signal_with_start",
    "decide_start",
    "start",
]

StartDecision = StartNew | UseExisting | AttachTo | TerminateAndStart


class Parent(NamedTuple):
    """Whose child a run is."""

    namespace: str
    namespace_id: str
    execution: WorkflowExecution
    initiated_event_id: int
    initiated_event_version: int
    root: WorkflowExecution  # of the whole tree


class Continued(NamedTuple):
    """What a run inherits from the one it continues."""

    run_id: str  # of the run before
    first_execution_run_id: str
    initiator: ContinueAsNewInitiator.ValueType
    reset_points: ResetPoints
    first_workflow_task_backoff: int | None = None  # nanoseconds; None: not set on the event
    execution_expiration_time: int = 0  # of the whole chain; 0: none
    attempt: int = 1
    failure: Failure | None = None
    last_completion_result: Payloads | None = None
    parent: WorkflowExecutionStartedEventAttributes | None = (
        None  # Started event to take parent and root from
    )


_FAILED_STATUSES = frozenset(
    {
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT,
    }
)


def decide_start(
    request: StartWorkflowExecutionRequest, current: CurrentRun | None, context: Context
) -> StartDecision:
    """Where a start leads, by request-id idempotency, then the failover versions, then the policies.

    Raises:
        NamespaceNotActive: the current run was written under a higher version than the namespace's [§4].
        WorkflowExecutionAlreadyStarted: a policy forbids it.
        ResourceExhausted: the current run is too young to be followed by another.
    """
    if current is None:
        return StartNew()
    if request.request_id and request.request_id == current.create_request_id:
        return UseExisting(current.run_id, deduplicated=True, status=current.status)
    if request.request_id in current.attached_request_ids:
        return UseExisting(current.run_id, deduplicated=True, attached=True, status=current.status)
    _require_newer_version(current, context)
    decision = _decide(
        request.workflow_id,
        current,
        request.workflow_id_reuse_policy,
        request.workflow_id_conflict_policy or WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
        context,
    )
    if isinstance(decision, UseExisting) and request.HasField("on_conflict_options"):
        return AttachTo(decision.run_id)
    return decision


def decide_signal_with_start(
    request: SignalWithStartWorkflowExecutionRequest, current: CurrentRun | None, context: Context
) -> StartDecision:
    """Where a signal-with-start leads; `UseExisting`: signal that run (`signals.signal_existing`).

    Errors as `decide_start`. Real: signalwithstartworkflow.SignalWithStartWorkflow.
    """
    if current is None:
        return StartNew()
    conflict = request.workflow_id_conflict_policy
    if not conflict and request.workflow_id_reuse_policy != (
        WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING
    ):
        conflict = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
    if current.status in OPEN_STATUSES and conflict not in (
        WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING,
        WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_UNSPECIFIED,
    ):
        return UseExisting(current.run_id)
    decision = _decide(request.workflow_id, current, request.workflow_id_reuse_policy, conflict, context)
    if not isinstance(decision, UseExisting):
        _require_newer_version(current, context)
    return decision


def start(
    change: RunChange,
    request: StartWorkflowExecutionRequest | SignalWithStartWorkflowExecutionRequest,
    *,
    signal: SignalWithStartWorkflowExecutionRequest | None = None,
    continued: Continued | None = None,
    parent: Parent | None = None,
) -> StartedTask | None:
    """Write the first events of a run: Started, Signaled for a signal-with-start, the first workflow task.

    `change` is a `RunChange.new_run`. The task is not scheduled while a start delay or a backoff runs. A
    signal-with-start request may be given as `request` alone. A caller that has a worker of its own may ask for
    the task with the answer (eager start): then it is started as well, and returned. A child gets its first task
    when its parent knows of the start (`core.children`).
    """
    assert change.created, "the change makes a run"
    assert not change.events, "Started is the first event"
    if signal is None and isinstance(request, SignalWithStartWorkflowExecutionRequest):
        signal = request
    attributes = _started_attributes(change, request, continued)
    eager = continued is None and _starts_eagerly(change, request, attributes)
    attributes.eager_execution_accepted = eager
    if parent is not None:
        attributes.parent_workflow_namespace = parent.namespace
        attributes.parent_workflow_namespace_id = parent.namespace_id
        attributes.parent_workflow_execution.CopyFrom(parent.execution)
        attributes.parent_initiated_event_id = parent.initiated_event_id
        attributes.parent_initiated_event_version = parent.initiated_event_version
        attributes.root_workflow_execution.CopyFrom(parent.root)
    change.add(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        attributes,
        user_metadata=request.user_metadata if request.HasField("user_metadata") else None,
        links=request.links,
    )
    change.run.record.create_request_id = request.request_id
    if signal is not None:
        signals.add_signal(
            change,
            name=signal.signal_name,
            payloads=signal.signal_input,
            identity=signal.identity,
            header=signal.header,
            request_id=signal.request_id,
            links=signal.links,
        )
    if parent is None:
        schedule_workflow_task(change)
    if not eager:
        return None
    pending = change.run.record.workflow_task
    return start_task(change, pending, request.request_id, request.identity, None, sticky=False)


def eager_task_of(run: Run, request: StartWorkflowExecutionRequest) -> StartedTask | None:
    """The task that a start which is sent again gets with its answer: its first one, if it has that still."""
    task = run.started_workflow_task
    if not request.request_eager_execution or task is None or task.started_event_id != 3 or task.attempt > 1:
        return None
    return started_task(run)


def _starts_eagerly(
    change: RunChange,
    request: StartWorkflowExecutionRequest | SignalWithStartWorkflowExecutionRequest,
    attributes: WorkflowExecutionStartedEventAttributes,
) -> bool:
    """Whether the caller gets the first task with its answer: it asked, and the task need not wait."""
    return (
        isinstance(request, StartWorkflowExecutionRequest)
        and request.request_eager_execution
        and change.context.limits.eager_workflow_start
        and times.nanoseconds(attributes.first_workflow_task_backoff) == 0
    )


def _started_attributes(
    change: RunChange,
    request: StartWorkflowExecutionRequest | SignalWithStartWorkflowExecutionRequest,
    continued: Continued | None,
) -> WorkflowExecutionStartedEventAttributes:
    run = change.run
    limits = change.context.limits
    execution_timeout = times.nanoseconds(request.workflow_execution_timeout)
    run_timeout = times.nanoseconds(request.workflow_run_timeout)
    task_timeout = times.nanoseconds(request.workflow_task_timeout)
    if continued is None:  # else the command was normalised by its own validation
        run_timeout = validation.run_timeout(run_timeout, execution_timeout)
        task_timeout = validation.workflow_task_timeout(task_timeout, run_timeout, limits)
    attributes = WorkflowExecutionStartedEventAttributes(
        workflow_type=request.workflow_type,
        task_queue=request.task_queue,
        workflow_task_timeout=times.duration(task_timeout),
        original_execution_run_id=run.key.run_id,
        first_execution_run_id=run.key.run_id,
        identity=request.identity,
        attempt=1,
        cron_schedule=request.cron_schedule,
        workflow_id=run.key.workflow_id,
    )
    if not attributes.task_queue.kind:
        attributes.task_queue.kind = TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    copy_set(
        request,
        attributes,
        "input",
        "header",
        "priority",
        "retry_policy",
        "workflow_execution_timeout",
    )
    copy_memo_and_search_attributes(request, attributes)
    if run_timeout or request.HasField("workflow_run_timeout"):
        attributes.workflow_run_timeout.CopyFrom(times.duration(run_timeout))
    if continued is not None:
        _inherit(attributes, continued)
        return attributes
    if request.HasField("versioning_override"):
        attributes.versioning_override.auto_upgrade = True  # the only kind, also where given by `behavior`
    if isinstance(request, StartWorkflowExecutionRequest):
        copy_set(request, attributes, "continued_failure", "last_completion_result")
    if execution_timeout:
        attributes.workflow_execution_expiration_time.CopyFrom(
            _rounded_to_milliseconds(change.context.now + execution_timeout)
        )
    if request.cron_schedule:
        attributes.initiator = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE
    # Set even when zero, as the real server does. A request has no delay beside a cron schedule.
    delay = times.nanoseconds(request.workflow_start_delay)
    backoff = delay or cron.first_wait(request.cron_schedule, change.context.now)
    attributes.first_workflow_task_backoff.CopyFrom(times.duration(backoff))
    return attributes


def _inherit(attributes: WorkflowExecutionStartedEventAttributes, continued: Continued) -> None:
    attributes.continued_execution_run_id = continued.run_id
    attributes.first_execution_run_id = continued.first_execution_run_id
    attributes.initiator = continued.initiator
    attributes.attempt = continued.attempt
    if continued.first_workflow_task_backoff is not None:
        backoff = times.duration(continued.first_workflow_task_backoff)
        attributes.first_workflow_task_backoff.CopyFrom(backoff)
    if continued.execution_expiration_time:
        expiration = times.timestamp(continued.execution_expiration_time)
        attributes.workflow_execution_expiration_time.CopyFrom(expiration)
    if continued.failure is not None:
        attributes.continued_failure.CopyFrom(continued.failure)
    if continued.last_completion_result is not None:
        attributes.last_completion_result.CopyFrom(continued.last_completion_result)
    attributes.prev_auto_reset_points.CopyFrom(continued.reset_points)
    parent = continued.parent
    if parent is not None and parent.parent_workflow_execution.workflow_id:
        attributes.parent_workflow_namespace = parent.parent_workflow_namespace
        attributes.parent_workflow_namespace_id = parent.parent_workflow_namespace_id
        attributes.parent_workflow_execution.CopyFrom(parent.parent_workflow_execution)
        attributes.parent_initiated_event_id = parent.parent_initiated_event_id
        attributes.parent_initiated_event_version = parent.parent_initiated_event_version
    if parent is not None and parent.root_workflow_execution != WorkflowExecution():
        attributes.root_workflow_execution.CopyFrom(parent.root_workflow_execution)


def _rounded_to_milliseconds(moment: int) -> Timestamp:
    half = times.MILLISECOND // 2
    return times.timestamp((moment + half) // times.MILLISECOND * times.MILLISECOND)


def _require_newer_version(current: CurrentRun, context: Context) -> None:
    """Real: Starter.verifyNamespaceActive, api.NewWorkflowVersionCheck."""
    if context.version < current.last_write_version:
        owner = context.clusters.owner(current.last_write_version)
        raise NamespaceNotActive(context.namespace.name, context.region, owner)


def _decide(
    workflow_id: str,
    current: CurrentRun,
    reuse: WorkflowIdReusePolicy.ValueType,
    conflict: WorkflowIdConflictPolicy.ValueType,
    context: Context,
) -> UseExisting | TerminateAndStart | StartNew:
    """Real: api.ResolveDuplicateWorkflowID, after MigrateWorkflowIDReusePolicyForRunningWorkflow."""
    if reuse == WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING:
        reuse = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
        conflict = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
    name = f"WorkflowId: {workflow_id}, RunId: {current.run_id}."
    if current.status in OPEN_STATUSES:
        if conflict == WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING:
            return UseExisting(current.run_id)
        if conflict == WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING:
            _require_age(f"Too many restarts for workflow {workflow_id}.", current, context)
            return TerminateAndStart(current.run_id)
        if conflict == WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_FAIL:
            raise _already_started(f"Workflow execution is already running. {name}", current)
        # The real server answers INTERNAL for a policy that it does not know.
        raise InvalidArgument(f"Failed to process start workflow id conflict policy: {conflict}.")
    if reuse == WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE:
        raise _already_started(
            f"Workflow execution already finished. {name} Workflow Id reuse policy: "
            "reject duplicate workflow Id.",
            current,
        )
    if reuse == WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY:
        if current.status not in _FAILED_STATUSES:
            raise _already_started(
                f"Workflow execution already finished successfully. {name} Workflow Id reuse policy: "
                "allow duplicate workflow Id if last run failed.",
                current,
            )
    elif reuse not in (
        WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
        WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_UNSPECIFIED,
    ):
        raise InvalidArgument(f"Failed to process start workflow id reuse policy: {reuse}.")
    _require_age(f"Too many starts for workflow {workflow_id}.", current, context)
    return StartNew()


def _require_age(problem: str, current: CurrentRun, context: Context) -> None:
    """Raises ResourceExhausted where a run must have a minimal age before another follows it.

    By default none is required. Real: resolveDuplicateWorkflowStart, EnableWorkflowIdReuseStartTimeValidation.
    """
    limits = context.limits
    age = context.now - current.start_time
    if limits.validate_reuse_start_time and age <= limits.continue_as_new_minimum_interval != 0:
        raise ResourceExhausted(
            f"{problem} Time since last start: {age // times.MILLISECOND} ms",
            ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW,
        )


def _already_started(message: str, current: CurrentRun) -> WorkflowExecutionAlreadyStarted:
    return WorkflowExecutionAlreadyStarted(message, current.create_request_id, current.run_id)
