"""What the frontend refuses whatever the state, in the real frontend's words.

Starts are checked by `core.start_checks`. Pure checks on messages; a few fill in defaults in place,
as the real frontend does.
Real: service/frontend/errors.go, validators.go, workflow_handler.go; common/util.go.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.message import Message
from temporalio.api.common.v1 import WorkerVersionCapabilities, WorkerVersionStamp, WorkflowExecution
from temporalio.api.deployment.v1 import WorkerDeploymentOptions
from temporalio.api.enums.v1 import TaskQueueKind, WorkerVersioningMode
from temporalio.api.failure.v1 import Failure
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    QueryWorkflowRequest,
    RequestCancelWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
)

from mockcloud.core import request_links, validation
from mockcloud.core.errors import FailedPrecondition, InvalidArgument, PermissionDenied
from mockcloud.core.limits import Limits

MINIMUM_LONG_POLL: Final = 2.0  # seconds of deadline below which a poll is refused

# What becomes of an activity whose answer is too large (real: common.FailureReason…).
COMPLETE_RESULT_TOO_LARGE: Final = "Complete result exceeds size limit."
FAILURE_TOO_LARGE: Final = "Failure exceeds size limit."
CANCEL_DETAILS_TOO_LARGE: Final = "Cancel details exceed size limit."
HEARTBEAT_TOO_LARGE: Final = "Heartbeat details exceed size limit."


def execution(value: WorkflowExecution, *, present: bool) -> None:
    """Raises InvalidArgument unless a run is named by a workflow id and perhaps a run id.

    `present`: whether the field is set at all. Real: validateExecution.
    """
    if not present:
        raise InvalidArgument("Execution is not set on request.")
    if not value.workflow_id:
        raise InvalidArgument("WorkflowId is not set on request.")
    run_id(value.run_id)


def run_id(value: str, message: str = "Invalid RunId.") -> None:
    """Raises InvalidArgument for a run id that is no UUID; an empty one means the current run.

    Where the real frontend lets it pass, its history service finds it and has words of its own (`message`).
    """
    if value and not validation.is_uuid(value):
        raise InvalidArgument(message)


def identity(value: str, limits: Limits) -> None:
    """Raises InvalidArgument for an overlong identity."""
    if validation.too_long(value, limits):
        raise InvalidArgument("Identity length exceeds limit.")


def namespace_name(value: str, limits: Limits) -> None:
    """Raises InvalidArgument for an overlong namespace."""
    if validation.too_long(value, limits):
        raise InvalidArgument("Namespace length exceeds limit.")


def signal(request: SignalWorkflowExecutionRequest, limits: Limits) -> None:
    """Raises InvalidArgument for a signal without run or name, with overlong ids, or over 2 MB."""
    execution(request.workflow_execution, present=request.HasField("workflow_execution"))
    if not request.signal_name:
        raise InvalidArgument("SignalName is not set on request.")
    if validation.too_long(request.signal_name, limits):
        raise InvalidArgument("SignalName length exceeds limit.")
    if validation.too_long(request.request_id, limits):
        raise InvalidArgument("RequestId length exceeds limit.")
    request_links.check_links(request.links, limits)
    validation.blob(request.input, limits)


def request_cancel(request: RequestCancelWorkflowExecutionRequest, limits: Limits) -> None:
    """Raises InvalidArgument for a cancel request without run, or with bad links."""
    execution(request.workflow_execution, present=request.HasField("workflow_execution"))
    request_links.check_links(request.links, limits)


def terminate(request: TerminateWorkflowExecutionRequest, limits: Limits) -> None:
    """Raises InvalidArgument for a termination of nothing; fills in who and why where that is missing."""
    execution(request.workflow_execution, present=request.HasField("workflow_execution"))
    request_links.check_links(request.links, limits)
    request.reason = request.reason or "terminated by user via frontend"
    request.identity = request.identity or "frontend-service"


def query(request: QueryWorkflowRequest, limits: Limits) -> None:
    """Raises InvalidArgument for a query without run or type, or over 2 MB."""
    execution(request.execution, present=request.HasField("execution"))
    if not request.HasField("query"):
        raise InvalidArgument("WorkflowQuery is not set on request.")
    if not request.query.query_type:
        raise InvalidArgument("QueryType is not set on request.")
    validation.blob(request.query.query_args, limits)


def poll_queue(queue: TaskQueue, limits: Limits, *, present: bool) -> None:
    """Raises InvalidArgument for a task queue that cannot be polled; fills in its kind."""
    if not present:
        raise InvalidArgument("taskQueue is not set")
    if not queue.kind:
        queue.kind = TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    validation.task_queue(queue, limits)
    normal_name(queue, limits)


def normal_name(queue: TaskQueue, limits: Limits) -> None:
    """Raises InvalidArgument for the normal queue of a sticky one that cannot be, or of one that is not sticky."""
    if not queue.normal_name:
        return
    if queue.kind != TaskQueueKind.TASK_QUEUE_KIND_STICKY:
        raise InvalidArgument(
            f"only sticky queues can have normal name. tq: {queue.name}, normal name: {queue.normal_name}"
        )
    if validation.too_long(queue.normal_name, limits):
        raise InvalidArgument("taskQueue length exceeds limit")


def poll_deadline(timeout: float | None) -> None:
    """Raises for a poll without a deadline, or with one that is too near. `timeout` is in seconds."""
    if timeout is None:
        raise InvalidArgument("Context timeout is not set.")
    if timeout < MINIMUM_LONG_POLL:
        raise FailedPrecondition("Context timeout is too short.")


def versioning(
    stamp: WorkerVersionStamp | WorkerVersionCapabilities, options: WorkerDeploymentOptions, limits: Limits
) -> None:
    """Raises for a worker that asks for versioning, which is not built; an unversioned one is fine."""
    if stamp.use_versioning:
        raise PermissionDenied("Worker versioning in workflow progress APIs is disabled on this namespace.")
    if len(stamp.build_id.encode()) > 255:
        raise InvalidArgument("Build ID exceeds configured limit.workerBuildIdSize, use a shorter build ID.")
    if options.worker_versioning_mode != WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED:
        return
    if not options.deployment_name or not options.build_id:
        raise InvalidArgument("Deployment name and build id must be set together.")
    raise PermissionDenied("Worker Deployment Versions are disabled on this namespace.")


def activity_failure(failure: Failure, *, present: bool) -> None:
    """Raises InvalidArgument for an activity's failure that is of another kind than workers send."""
    if present and not failure.HasField("application_failure_info"):
        raise InvalidArgument("Failure must have ApplicationFailureInfo.")


def too_large(message: Message, limits: Limits) -> bool:
    """Whether a payload is over the limit of 2 MB."""
    return message.ByteSize() > limits.largest_blob
