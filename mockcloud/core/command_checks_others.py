"""What makes a command wrong by itself that is about another workflow: a child, or one to signal or cancel.

The other half of `core.command_checks`, in the same manner. The namespace that a command names is looked up
by `core.commands_to_others` before.

Real: api/command_attr_validator.go, ValidateStartChildExecutionAttributes,
ValidateSignalExternalWorkflowExecutionAttributes, ValidateCancelExternalWorkflowExecutionAttributes.
"""

from __future__ import annotations

from collections.abc import Collection

from temporalio.api.command.v1 import (
    Command,
    RequestCancelExternalWorkflowExecutionCommandAttributes,
    SignalExternalWorkflowExecutionCommandAttributes,
    StartChildWorkflowExecutionCommandAttributes,
)
from temporalio.api.enums.v1 import ParentClosePolicy, WorkflowIdReusePolicy, WorkflowTaskFailedCause

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import cron, retry, search_attributes, times, validation
from mockcloud.core.change import Context
from mockcloud.core.command_checks import attributes_of, check_task_queue
from mockcloud.core.command_failure import CommandFailure, require_room, require_size
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.limits import Limits
from mockcloud.core.messages import shown
from mockcloud.core.run import Run

Cause = WorkflowTaskFailedCause
_BAD_SEARCH_ATTRIBUTES = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES
_BAD_CHILD = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_START_CHILD_EXECUTION_ATTRIBUTES
_BAD_SIGNAL = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SIGNAL_WORKFLOW_EXECUTION_ATTRIBUTES
_BAD_CANCEL = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_ATTRIBUTES


def start_child(
    run: Run, command: Command, context: Context, target: NamespaceRecord
) -> StartChildWorkflowExecutionCommandAttributes:
    """Checked, with policies, time-outs and task queue as they go into the event.

    `target` is the namespace that the child is to run in.
    """
    attributes = attributes_of(
        command,
        command.start_child_workflow_execution_command_attributes,
        "StartChildWorkflowExecution",
        _BAD_CHILD,
    )
    attributes.namespace = target.name
    _cross_namespace(context, target, _BAD_CHILD)
    limits = context.limits
    try:
        search_attributes.require_mapped(target, attributes.search_attributes)
    except InvalidArgument as error:
        raise CommandFailure(_BAD_SEARCH_ATTRIBUTES, error.message) from None
    try:
        _check_child(run, attributes, context, target)
    except InvalidArgument as error:
        raise CommandFailure(_BAD_CHILD, error.message) from None
    if attributes.inherit_build_id and attributes.task_queue.name != run.start.task_queue.name:
        raise CommandFailure(
            _BAD_CHILD,
            "StartChildWorkflowExecution with UseCompatibleVersion cannot run on different task queue.",
        )
    for size, limit, title in (
        (attributes.input.ByteSize(), limits.largest_blob, ". Input"),
        (attributes.memo.ByteSize(), limits.largest_memo, ".Memo"),
    ):
        require_size(size, limit, _BAD_CHILD, f"StartChildWorkflowExecutionCommandAttributes{title}")
    try:
        search_attributes.validate_size(attributes.search_attributes, limits)
    except InvalidArgument as error:
        raise CommandFailure(_BAD_CHILD, error.message, terminate=True) from None
    search_attributes.apply_types(target, attributes.search_attributes)
    require_room(
        len(run.children),
        limits.pending_children,
        Cause.WORKFLOW_TASK_FAILED_CAUSE_PENDING_CHILD_WORKFLOWS_LIMIT_EXCEEDED,
        "pending child workflow executions",
    )
    if not limits.parent_close_policies:
        attributes.parent_close_policy = ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON
    elif not attributes.parent_close_policy:
        attributes.parent_close_policy = ParentClosePolicy.PARENT_CLOSE_POLICY_TERMINATE
    if not attributes.workflow_id_reuse_policy:
        attributes.workflow_id_reuse_policy = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
    return attributes


def _check_child(
    run: Run,
    attributes: StartChildWorkflowExecutionCommandAttributes,
    context: Context,
    target: NamespaceRecord,
) -> None:
    """Raises InvalidArgument; fills in defaults."""
    limits = context.limits
    where = "on StartChildWorkflowExecutionCommand"
    workflow_id, kind = attributes.workflow_id, attributes.workflow_type.name
    namespace = attributes.namespace
    if not workflow_id:
        raise InvalidArgument(
            f"Required field WorkflowId is not set {where}. WorkflowType={kind} Namespace={namespace}"
        )
    if not kind:
        raise InvalidArgument(
            f"Required field WorkflowType is not set {where}. WorkflowId={workflow_id} Namespace={namespace}"
        )
    _length(
        _BAD_CHILD,
        f"WorkflowId {where}",
        workflow_id,
        limits,
        f"WorkflowId={workflow_id}",
        f"WorkflowType={kind} Namespace={namespace}",
    )
    _length(
        _BAD_CHILD,
        f"WorkflowType {where}",
        kind,
        limits,
        f"WorkflowId={workflow_id} WorkflowType={kind}",
        f"Namespace={namespace}",
    )
    suffix = f"WorkflowId={workflow_id} WorkflowType={kind} Namespace={namespace}"
    for field, title in (
        ("workflow_execution_timeout", "WorkflowExecutionTimeout"),
        ("workflow_run_timeout", "WorkflowRunTimeout"),
        ("workflow_task_timeout", "WorkflowTaskTimeout"),
    ):
        problem = validation.duration_problem(getattr(attributes, field))
        if problem is not None:
            raise InvalidArgument(f"Invalid {title} {where}: {problem}. {suffix}")
    if attributes.HasField("retry_policy"):
        try:
            attributes.retry_policy.CopyFrom(retry.checked(attributes.retry_policy))
        except InvalidArgument as error:
            raise InvalidArgument(f"invalid WorkflowRetryPolicy {where}: {error.message}. {suffix}") from None
    try:
        cron.validate(attributes.cron_schedule, context.now)
    except InvalidArgument as error:
        raise InvalidArgument(f"invalid CronSchedule {where}: {error.message}. {suffix}") from None
    try:
        search_attributes.validate(target, attributes.search_attributes, limits)
    except InvalidArgument as error:
        raise CommandFailure(
            _BAD_SEARCH_ATTRIBUTES,
            f"invalid SearchAttributes on StartChildWorkflowCommand: {error.message}. {suffix}",
        ) from None
    validation.priority(attributes.priority)
    queue = attributes.task_queue
    try:
        queue.name = queue.name or run.start.task_queue.name
        check_task_queue(queue, run, limits)
    except InvalidArgument as error:
        raise InvalidArgument(
            f"invalid TaskQueue {where}: {error.message}. {suffix} TaskQueue={shown(queue)}"
        ) from None
    run_timeout = validation.run_timeout(
        times.nanoseconds(attributes.workflow_run_timeout),
        times.nanoseconds(attributes.workflow_execution_timeout),
    )
    task_timeout = validation.workflow_task_timeout(
        times.nanoseconds(attributes.workflow_task_timeout), run_timeout, limits
    )
    attributes.workflow_run_timeout.CopyFrom(times.duration(run_timeout))
    attributes.workflow_task_timeout.CopyFrom(times.duration(task_timeout))


def signal_external(
    run: Run, command: Command, context: Context, target: NamespaceRecord
) -> SignalExternalWorkflowExecutionCommandAttributes:
    """Checked."""
    attributes = attributes_of(
        command,
        command.signal_external_workflow_execution_command_attributes,
        "SignalExternalWorkflowExecution",
        _BAD_SIGNAL,
    )
    where = "on SignalExternalWorkflowExecutionCommand"
    if not attributes.HasField("execution"):
        raise CommandFailure(_BAD_SIGNAL, f"Execution is not set {where}.")
    _cross_namespace(context, target, _BAD_SIGNAL)
    limits = context.limits
    namespace, name = attributes.namespace, attributes.signal_name
    workflow_id, run_id = attributes.execution.workflow_id, attributes.execution.run_id
    if not workflow_id:
        raise CommandFailure(
            _BAD_SIGNAL,
            f"WorkflowId is not set {where}. Namespace={namespace} RunId={run_id} SignalName={name}",
        )
    _length(
        _BAD_SIGNAL,
        f"WorkflowId {where}",
        workflow_id,
        limits,
        f"WorkflowId={workflow_id}",
        f"Namespace={namespace} RunId={run_id} SignalName={name}",
    )
    if run_id and not validation.is_uuid(run_id):
        raise CommandFailure(
            _BAD_SIGNAL,
            f"Invalid RunId set {where}. WorkflowId={workflow_id} Namespace={namespace} RunId={run_id} "
            f"SignalName={name}",
        )
    if not name:
        raise CommandFailure(
            _BAD_SIGNAL,
            f"SignalName is not set {where}. WorkflowId={workflow_id} Namespace={namespace} RunId={run_id}",
        )
    require_room(
        len(run.external_signals),
        limits.pending_signals,
        Cause.WORKFLOW_TASK_FAILED_CAUSE_PENDING_SIGNALS_LIMIT_EXCEEDED,
        "pending signals to external workflows",
    )
    require_size(
        attributes.input.ByteSize(),
        limits.largest_blob,
        _BAD_SIGNAL,
        "SignalExternalWorkflowExecutionCommandAttributes.Input",
    )
    return attributes


def cancel_external(
    run: Run,
    command: Command,
    context: Context,
    target: NamespaceRecord,
    just_initiated: Collection[str],
) -> RequestCancelExternalWorkflowExecutionCommandAttributes:
    """Checked. `just_initiated`: workflow ids of the children that the same workflow task starts."""
    attributes = attributes_of(
        command,
        command.request_cancel_external_workflow_execution_command_attributes,
        "RequestCancelExternalWorkflowExecution",
        _BAD_CANCEL,
    )
    where = "on RequestCancelExternalWorkflowExecutionCommand"
    _cross_namespace(context, target, _BAD_CANCEL)
    limits = context.limits
    namespace, workflow_id, run_id = attributes.namespace, attributes.workflow_id, attributes.run_id
    suffix = f"WorkflowId={workflow_id} RunId={run_id} Namespace={namespace}"
    if not workflow_id:
        raise CommandFailure(
            _BAD_CANCEL, f"WorkflowId is not set {where}. Namespace={namespace} RunId={run_id}"
        )
    _length(
        _BAD_CANCEL,
        f"WorkflowId {where}",
        workflow_id,
        limits,
        f"WorkflowId={workflow_id}",
        f"RunId={run_id} Namespace={namespace}",
    )
    if run_id and not validation.is_uuid(run_id):
        raise CommandFailure(_BAD_CANCEL, f"Invalid RunId set {where}. {suffix}")
    if workflow_id in just_initiated:
        raise CommandFailure(
            _BAD_CANCEL,
            f"Start and RequestCancel for child workflow is not allowed in same workflow task. {suffix}",
        )
    require_room(
        len(run.external_cancels),
        limits.pending_cancel_requests,
        Cause.WORKFLOW_TASK_FAILED_CAUSE_PENDING_REQUEST_CANCEL_LIMIT_EXCEEDED,
        "pending requests to cancel external workflows",
    )
    return attributes


def _cross_namespace(
    context: Context, target: NamespaceRecord, cause: WorkflowTaskFailedCause.ValueType
) -> None:
    """Another namespace is out of reach unless both live in one and the same region alone.

    Where that holds, both are active there, so a command never has to leave its region. Real:
    validateCrossNamespaceCall.
    """
    own = context.namespace
    if target.id == own.id:
        return
    if not context.limits.cross_namespace_commands:
        raise CommandFailure(cause, "cross namespace commands are not allowed")
    if len(own.clusters) != 1 or list(own.clusters) != list(target.clusters):
        raise CommandFailure(
            cause, f"unable to process cross namespace command between {own.name} and {target.name}"
        )


def _length(
    cause: WorkflowTaskFailedCause.ValueType,
    what: str,
    value: str,
    limits: Limits,
    before: str,
    after: str,
) -> None:
    if validation.too_long(value, limits):
        size = len(value.encode())
        raise CommandFailure(
            cause,
            f"{what} exceeds length limit. {before} Length={size} Limit={limits.id_characters} {after}",
        )
