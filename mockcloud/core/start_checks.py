"""What makes a start wrong whatever the state, and its defaults, in the order of the real frontend.

Where several things are wrong, the first is told, so the order is part of the behaviour. Real:
service/frontend/workflow_handler.go (prepareStartWorkflowRequest, SignalWithStartWorkflowExecution), then
service/history/api/create_workflow_util.go (ValidateStart).
"""

from __future__ import annotations

from collections.abc import Callable

from temporalio.api.enums.v1 import WorkflowIdConflictPolicy, WorkflowIdReusePolicy
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    SignalWithStartWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
)

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import cron, request_links, retry, search_attributes, validation, versioning_override
from mockcloud.core.errors import InvalidArgument, Unimplemented
from mockcloud.core.limits import Limits
from mockcloud.core.messages import is_set

AnyStartRequest = StartWorkflowExecutionRequest | SignalWithStartWorkflowExecutionRequest
AnyStart = AnyStartRequest | NewWorkflowExecutionInfo  # the last is what a schedule starts

_UNSPECIFIED_CONFLICT = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_UNSPECIFIED
_TERMINATE_IF_RUNNING = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING


def start_request(
    request: StartWorkflowExecutionRequest,
    namespace: NamespaceRecord,
    limits: Limits,
    new_request_id: Callable[[], str],
    now: int,
) -> None:
    """Check a StartWorkflowExecution and fill in its defaults, in place; `now` in nanoseconds.

    Raises:
        InvalidArgument: a field cannot be right.
        Unimplemented: it asks for something that is not built; the message names the field.
    """
    _default_policies(request, WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_FAIL)
    validation.workflow_id(request.workflow_id, limits)
    _retry_policy(request)
    _start_delay(request)
    cron.validate(request.cron_schedule, now)
    workflow_type(request, limits)
    task_queue(request, limits)
    timeouts(request)
    _request_id(request, limits, new_request_id)
    _policies(request)
    _conflict_options(request)
    search_attributes.check(namespace, request.search_attributes, limits)
    validation.priority(request.priority)
    request_links.check_callbacks(request.completion_callbacks, limits)
    request_links.check_links(request.links, limits)
    validation.blob(request.input, limits)
    validation.memo(request.memo, limits)
    validation.user_metadata(request.user_metadata, limits)
    _versioning_override(request)
    _unbuilt_fields(request)


def signal_with_start_request(
    request: SignalWithStartWorkflowExecutionRequest,
    namespace: NamespaceRecord,
    limits: Limits,
    new_request_id: Callable[[], str],
    now: int,
) -> None:
    """Check a SignalWithStartWorkflowExecution and fill in its defaults, in place.

    Errors as `start_request`.
    """
    _default_policies(request, WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING)
    validation.workflow_id(request.workflow_id, limits)
    if not request.signal_name:
        raise InvalidArgument("SignalName is not set on request.")
    if validation.too_long(request.signal_name, limits):
        raise InvalidArgument("SignalName length exceeds limit.")
    workflow_type(request, limits)
    task_queue(request, limits)
    _request_id(request, limits, new_request_id)
    timeouts(request)
    _retry_policy(request)
    _start_delay(request)
    _policies(request)
    if request.workflow_id_conflict_policy == WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_FAIL:
        raise InvalidArgument(
            "Invalid WorkflowIDConflictPolicy: WORKFLOW_ID_CONFLICT_POLICY_FAIL is not supported "
            "for this operation."
        )
    cron.validate(request.cron_schedule, now)
    search_attributes.check(namespace, request.search_attributes, limits)
    validation.priority(request.priority)
    request_links.check_links(request.links, limits)
    validation.blob(request.input, limits)
    validation.memo(request.memo, limits)
    validation.user_metadata(request.user_metadata, limits)
    validation.blob(request.signal_input, limits)
    _versioning_override(request)
    _unbuilt_fields(request)


def _versioning_override(request: AnyStartRequest) -> None:
    if request.HasField("versioning_override"):
        versioning_override.check(request.versioning_override, request.task_queue.name)


def _unbuilt_fields(request: AnyStartRequest) -> None:
    """Raises Unimplemented, naming the field, for a start that asks for what is not here."""
    name = "time_skipping_config"
    if is_set(request, name) and getattr(request, name).ByteSize():
        raise Unimplemented(f"Starting a workflow with {name} is not implemented.")


def workflow_type(request: AnyStart, limits: Limits) -> None:
    """Raises InvalidArgument for a missing or overlong workflow type."""
    if not request.workflow_type.name:
        raise InvalidArgument("WorkflowType is not set on request.")
    if validation.too_long(request.workflow_type.name, limits):
        raise InvalidArgument("WorkflowType length exceeds limit.")


def task_queue(request: AnyStart, limits: Limits) -> None:
    """Raises InvalidArgument for no task queue, or one that callers may not name; fills in its kind."""
    if not request.HasField("task_queue"):
        raise InvalidArgument("taskQueue is not set")
    validation.task_queue(request.task_queue, limits)


def _request_id(request: AnyStartRequest, limits: Limits, new_request_id: Callable[[], str]) -> None:
    if not request.request_id:
        request.request_id = new_request_id()
    if validation.too_long(request.request_id, limits):
        raise InvalidArgument("RequestId length exceeds limit.")


def _default_policies(request: AnyStartRequest, conflict: WorkflowIdConflictPolicy.ValueType) -> None:
    if request.workflow_id_conflict_policy == _UNSPECIFIED_CONFLICT:
        if request.workflow_id_reuse_policy == _TERMINATE_IF_RUNNING:
            request.workflow_id_conflict_policy = (
                WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
            )
            request.workflow_id_reuse_policy = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
        else:
            request.workflow_id_conflict_policy = conflict
    if not request.workflow_id_reuse_policy:
        request.workflow_id_reuse_policy = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE


def _policies(request: AnyStartRequest) -> None:
    conflict = request.workflow_id_conflict_policy
    reuse = request.workflow_id_reuse_policy
    if conflict != _UNSPECIFIED_CONFLICT and reuse == _TERMINATE_IF_RUNNING:
        raise InvalidArgument(
            "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING cannot be used "
            "together with a WorkflowIDConflictPolicy"
        )
    if (
        conflict == WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
        and reuse == WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
    ):
        raise InvalidArgument(
            "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE cannot be used "
            "together with WorkflowIdConflictPolicy WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING"
        )


def _conflict_options(request: StartWorkflowExecutionRequest) -> None:
    options = request.on_conflict_options
    if options.attach_completion_callbacks and not options.attach_request_id:
        raise InvalidArgument("attaching request ID is required for attaching completion callbacks")


def timeouts(request: AnyStart) -> None:
    """Cut absurdly long time-outs of a workflow, in place. Raises InvalidArgument for negative ones."""
    for field, name in (
        ("workflow_execution_timeout", "WorkflowExecutionTimeoutSeconds"),
        ("workflow_run_timeout", "WorkflowRunTimeoutSeconds"),
        ("workflow_task_timeout", "WorkflowTaskTimeoutSeconds"),
    ):
        if is_set(request, field):
            validation.duration(getattr(request, field), f"An invalid {name} is set on request.")


def _start_delay(request: AnyStartRequest) -> None:
    if not request.HasField("workflow_start_delay"):
        return
    if request.cron_schedule:
        raise InvalidArgument("CronSchedule and WorkflowStartDelay may not be used together.")
    validation.duration(
        request.workflow_start_delay, "An invalid WorkflowStartDelaySeconds is set on request."
    )


def _retry_policy(request: AnyStartRequest) -> None:
    if request.HasField("retry_policy"):
        request.retry_policy.CopyFrom(retry.checked(request.retry_policy))
