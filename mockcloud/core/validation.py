"""What makes a request wrong whatever the state (ids, durations, sizes), and the server's defaults.

Pure checks on messages. They may fill in defaults of the request in place, as the real frontend does. Real:
chasm/lib/workflow/validator.go, common/tqid/task_queue_validator.go,
service/history/api/create_workflow_util.go.
"""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from temporalio.api.enums.v1 import TaskQueueKind, WorkflowIdConflictPolicy, WorkflowIdReusePolicy
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    SignalWithStartWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
)

from mockcloud.core import times
from mockcloud.core.errors import InvalidArgument, Unimplemented
from mockcloud.core.limits import Limits
from mockcloud.core.messages import is_set

AnyStartRequest = StartWorkflowExecutionRequest | SignalWithStartWorkflowExecutionRequest

# Longer durations are cut to this (real: timestamp.maxAllowedDuration): a hundred years.
MAXIMUM_DURATION = 100 * 365 * times.DAY
_MAXIMUM_DURATION_SECONDS = MAXIMUM_DURATION // times.SECOND
_RESERVED_QUEUE_PREFIX = "/_sys/"

_UNSPECIFIED_CONFLICT = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_UNSPECIFIED
_TERMINATE_IF_RUNNING = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING


def too_long(value: str, limits: Limits) -> bool:
    """Whether an id or name is longer than allowed; the server counts bytes."""
    return len(value) > limits.id_characters or len(value.encode()) > limits.id_characters


def workflow_id(value: str, limits: Limits) -> None:
    """Raises InvalidArgument for an empty or overlong workflow id."""
    if not value:
        raise InvalidArgument("WorkflowId is not set on request.")
    if too_long(value, limits):
        size = len(value.encode())
        raise InvalidArgument(f"WorkflowId exceeds maximum allowed length ({size}/{limits.id_characters})")


def duration_problem(value: Duration) -> str | None:
    """What is wrong with a duration, or None; an absurdly long one is cut in place."""
    if (value.seconds > 0 > value.nanos) or (value.seconds < 0 < value.nanos):
        return "duration has seconds and nanos with different signs"
    if value.seconds < 0 or value.nanos < 0:
        return "negative duration"
    if value.seconds > _MAXIMUM_DURATION_SECONDS:
        value.seconds = _MAXIMUM_DURATION_SECONDS
        value.nanos = 0
    return None


def duration(value: Duration, error: str) -> None:
    """Cut an absurdly long duration, in place.

    Raises:
        InvalidArgument: with `error` and the cause, when it is negative.
    """
    problem = duration_problem(value)
    if problem is not None:
        raise InvalidArgument(f"{error} cause: {problem}")


def task_queue(queue: TaskQueue, limits: Limits) -> None:
    """Raises InvalidArgument for a task queue that callers may not name; fills in its kind."""
    if not queue.ByteSize():
        raise InvalidArgument("taskQueue is not set")
    if not queue.kind:
        queue.kind = TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    if not queue.name:
        raise InvalidArgument("missing task queue name")
    if too_long(queue.name, limits):
        raise InvalidArgument("taskQueue length exceeds limit")
    if queue.name.startswith(_RESERVED_QUEUE_PREFIX):
        raise InvalidArgument(f"task queue name cannot start with reserved prefix {_RESERVED_QUEUE_PREFIX}")


def blob(message: Message, limits: Limits) -> None:
    """Raises InvalidArgument for a payload over the limit of 2 MB. Real: common.CheckEventBlobSizeLimit."""
    if message.ByteSize() > limits.blob_bytes:
        raise InvalidArgument("Blob data size exceeds limit.")


def memo(message: Message, limits: Limits) -> None:
    """Raises InvalidArgument for a memo over the limit."""
    if message.ByteSize() > limits.memo_bytes:
        raise InvalidArgument("Memo size exceeds limit.")


def start_request(
    request: StartWorkflowExecutionRequest, limits: Limits, new_request_id: Callable[[], str]
) -> None:
    """Check a StartWorkflowExecution and fill in its defaults, in place.

    Raises:
        InvalidArgument: a field cannot be right.
        Unimplemented: it asks for something that is not built; the message names the field.
    """
    _default_policies(request, WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_FAIL)
    workflow_id(request.workflow_id, limits)
    _retry_policy(request)
    _start_delay(request)
    if not request.workflow_type.name:
        raise InvalidArgument("WorkflowType is not set on request.")
    if too_long(request.workflow_type.name, limits):
        raise InvalidArgument("WorkflowType length exceeds limit.")
    task_queue(request.task_queue, limits)
    _timeouts(request)
    if not request.request_id:
        request.request_id = new_request_id()
    if too_long(request.request_id, limits):
        raise InvalidArgument("RequestId length exceeds limit.")
    _policies(request)
    _conflict_options(request)
    blob(request.input, limits)
    memo(request.memo, limits)
    unbuilt_start_fields(request)


def signal_with_start_request(
    request: SignalWithStartWorkflowExecutionRequest, limits: Limits, new_request_id: Callable[[], str]
) -> None:
    """Check a SignalWithStartWorkflowExecution and fill in its defaults, in place.

    Errors as `start_request`.
    """
    workflow_id(request.workflow_id, limits)
    if not request.signal_name:
        raise InvalidArgument("signal not set")
    _short(request.signal_name, "signal name", limits)
    if not request.workflow_type.name:
        raise InvalidArgument("workflow type not set")
    _short(request.workflow_type.name, "workflow type name", limits)
    task_queue(request.task_queue, limits)
    if not request.request_id:
        request.request_id = new_request_id()
    _short(request.request_id, "Request ID", limits)
    _timeouts(request)
    _retry_policy(request)
    _start_delay(request)
    _policies(request)
    if request.workflow_id_conflict_policy == WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_FAIL:
        raise InvalidArgument(
            "Invalid WorkflowIDConflictPolicy: WORKFLOW_ID_CONFLICT_POLICY_FAIL is not supported "
            "for this operation."
        )
    _default_policies(request, WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING)
    blob(request.input, limits)
    blob(request.signal_input, limits)
    memo(request.memo, limits)
    unbuilt_start_fields(request)


def unbuilt_start_fields(request: AnyStartRequest) -> None:
    """Raises Unimplemented, naming the field, for a start that asks for what is not built."""
    if request.HasField("retry_policy") and request.retry_policy.maximum_attempts != 1:
        raise Unimplemented("Starting a workflow with retry_policy is not implemented.")
    if request.cron_schedule:
        raise Unimplemented("Starting a workflow with cron_schedule is not implemented.")
    for name in ("versioning_override", "time_skipping_config"):
        if is_set(request, name) and getattr(request, name).ByteSize():
            raise Unimplemented(f"Starting a workflow with {name} is not implemented.")
    if isinstance(request, StartWorkflowExecutionRequest) and request.completion_callbacks:
        raise Unimplemented("Starting a workflow with completion_callbacks is not implemented.")


def run_timeout(run: int, execution: int) -> int:
    """The run time-out that holds (nanoseconds, 0: none): never longer than the execution's."""
    if not execution:
        return run
    return min(run, execution) if run else execution


def workflow_task_timeout(task: int, run: int, limits: Limits) -> int:
    """The workflow task time-out that holds (nanoseconds): defaulted, capped, never longer than the run's."""
    timeout = min(task or limits.default_workflow_task_timeout, limits.maximum_workflow_task_timeout)
    return min(timeout, run) if run else timeout


def _short(value: str, what: str, limits: Limits) -> None:
    if too_long(value, limits):
        size = len(value.encode())
        raise InvalidArgument(f"{what} exceeds maximum allowed length ({size}/{limits.id_characters})")


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


def _timeouts(request: AnyStartRequest) -> None:
    for field, name in (
        ("workflow_execution_timeout", "WorkflowExecutionTimeoutSeconds"),
        ("workflow_run_timeout", "WorkflowRunTimeoutSeconds"),
        ("workflow_task_timeout", "WorkflowTaskTimeoutSeconds"),
    ):
        if is_set(request, field):
            duration(getattr(request, field), f"An invalid {name} is set on request.")


def _start_delay(request: AnyStartRequest) -> None:
    if not request.HasField("workflow_start_delay"):
        return
    if request.cron_schedule:
        raise InvalidArgument("CronSchedule and WorkflowStartDelay may not be used together.")
    duration(request.workflow_start_delay, "An invalid WorkflowStartDelaySeconds is set on request.")


def _retry_policy(request: AnyStartRequest) -> None:
    """Fill in and check a workflow's retry policy; with one attempt, nothing else matters.

    Real: common/retrypolicy.
    """
    if not request.HasField("retry_policy"):
        return
    policy = request.retry_policy
    if not times.nanoseconds(policy.initial_interval):
        policy.initial_interval.CopyFrom(times.duration(times.SECOND))
    if not times.nanoseconds(policy.maximum_interval):
        policy.maximum_interval.CopyFrom(times.duration(100 * times.nanoseconds(policy.initial_interval)))
    if not policy.backoff_coefficient:
        policy.backoff_coefficient = 2.0
    if policy.maximum_attempts == 1:
        return
    for interval, name in (
        (policy.initial_interval, "InitialInterval"),
        (policy.maximum_interval, "MaximumInterval"),
    ):
        problem = duration_problem(interval)
        if problem is not None:
            raise InvalidArgument(f"invalid {name} set on retry policy: {problem}")
    if policy.backoff_coefficient < 1:
        raise InvalidArgument("BackoffCoefficient cannot be less than 1 on retry policy.")
    if times.nanoseconds(policy.maximum_interval) < times.nanoseconds(policy.initial_interval):
        raise InvalidArgument("MaximumInterval cannot be less than InitialInterval on retry policy.")
    if policy.maximum_attempts < 0:
        raise InvalidArgument("MaximumAttempts cannot be negative on retry policy.")
