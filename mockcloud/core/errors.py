"""The one error tree. Each error knows its gRPC status and its detail message; the frontend maps them in one place.

MockcloudError
├── ServiceError                      an answer that the real server gives: code, message, detail
│   ├── NotFound, InvalidArgument, AlreadyExists, FailedPrecondition, ResourceExhausted, Unavailable,
│   │   DeadlineExceeded, PermissionDenied, Unauthenticated, Unimplemented, Internal,
│   │   Cancelled
│   ├── WorkflowExecutionAlreadyStarted, NamespaceNotFound, NamespaceNotActive, NamespaceAlreadyExists,
│   │   NamespaceHandover, QueryFailed, CurrentBranchChanged
│   ├── MultiOperationExecution, MultiOperationAborted, Aborted
│   └── WorkflowNotReady, StickyWorkerUnavailable, ClientVersionNotSupported …  (add here)
├── RegionKilled                      the fence of a killed region refused the work
└── StartupError                      a port or data directory cannot be used: one line, exit code 1
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from enum import IntEnum

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.enums.v1 import ResourceExhaustedCause, ResourceExhaustedScope
from temporalio.api.errordetails.v1 import (
    MultiOperationExecutionFailure,
    NamespaceAlreadyExistsFailure,
    NamespaceNotActiveFailure,
    NamespaceNotFoundFailure,
    NotFoundFailure,
    QueryFailedFailure,
    ResourceExhaustedFailure,
    WorkflowExecutionAlreadyStartedFailure,
    WorkflowNotReadyFailure,
)
from temporalio.api.failure.v1 import MultiOperationExecutionAborted

from mockcloud.core.addresses import joined


def _server_detail(name: str, *fields: str) -> type[Message]:
    """A detail message of the server's own that the public API lacks; its fields, numbered from 1, are bytes."""
    package = "temporal.server.api.errordetails.v1"
    file = FileDescriptorProto(name=f"mockcloud/{name}.proto", package=package, syntax="proto3")
    message = file.message_type.add(name=name)
    for number, field in enumerate(fields, start=1):
        message.field.add(
            name=field,
            number=number,
            type=FieldDescriptorProto.TYPE_BYTES,
            label=FieldDescriptorProto.LABEL_OPTIONAL,
        )
    pool = DescriptorPool()  # apart from the default one, which reflection shows to clients
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))


CurrentBranchChangedFailure = _server_detail(
    "CurrentBranchChangedFailure", "current_branch_token", "request_branch_token"
)


class Code(IntEnum):
    """gRPC status codes; the rules know them by number, not by library."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class MockcloudError(Exception):
    """Root of everything that mockcloud raises on purpose."""


class RegionKilled(MockcloudError):
    """A killed region's fence refused the work; its caller is gone as well."""

    def __str__(self) -> str:
        return "the region was killed"


class StartupError(MockcloudError):
    """The cloud cannot start; the text is the one line that the user sees."""


class ServiceError(MockcloudError):
    """An error answer. `code` and `detail` are what goes on the wire beside the message."""

    code = Code.UNKNOWN
    status: bytes | None = (
        None  # the google.rpc.Status of an error that came from another region, byte for byte
    )

    def __init__(self, message: str, detail: Message | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class Cancelled(ServiceError):
    """The call was given up by its client."""

    code = Code.CANCELLED


class InvalidArgument(ServiceError):
    """The request cannot be right, whatever the state. Real: serviceerror.InvalidArgument, without detail."""

    code = Code.INVALID_ARGUMENT


class NotFound(ServiceError):
    """Real: serviceerror.NotFound with an empty NotFoundFailure."""

    code = Code.NOT_FOUND

    def __init__(self, message: str, detail: Message | None = None) -> None:
        super().__init__(message, NotFoundFailure() if detail is None else detail)


class AlreadyExists(ServiceError):
    """The thing to make is there."""

    code = Code.ALREADY_EXISTS


class FailedPrecondition(ServiceError):
    """The state forbids it."""

    code = Code.FAILED_PRECONDITION


class PermissionDenied(ServiceError):
    """The caller may not."""

    code = Code.PERMISSION_DENIED


class Unauthenticated(ServiceError):
    """It is not known who calls."""

    code = Code.UNAUTHENTICATED


class Unimplemented(ServiceError):
    """Not built (or not served); the message names it."""

    code = Code.UNIMPLEMENTED


class Unavailable(ServiceError):
    """Try again: SDKs do."""

    code = Code.UNAVAILABLE


class DeadlineExceeded(ServiceError):
    """The call's time ran out."""

    code = Code.DEADLINE_EXCEEDED


class Internal(ServiceError):
    """A defect of ours, without its traceback."""

    code = Code.INTERNAL


class ResourceExhausted(ServiceError):
    """A limit. Real: serviceerror.ResourceExhausted with cause and scope."""

    code = Code.RESOURCE_EXHAUSTED

    def __init__(
        self,
        message: str,
        cause: ResourceExhaustedCause.ValueType = ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_UNSPECIFIED,
        scope: ResourceExhaustedScope.ValueType = ResourceExhaustedScope.RESOURCE_EXHAUSTED_SCOPE_NAMESPACE,
    ) -> None:
        super().__init__(message, ResourceExhaustedFailure(cause=cause, scope=scope))


class WorkflowExecutionAlreadyStarted(ServiceError):
    """Real: serviceerror.WorkflowExecutionAlreadyStarted."""

    code = Code.ALREADY_EXISTS

    def __init__(self, message: str, start_request_id: str, run_id: str) -> None:
        super().__init__(
            message, WorkflowExecutionAlreadyStartedFailure(start_request_id=start_request_id, run_id=run_id)
        )


class NamespaceNotFound(ServiceError):
    """Real: serviceerror.NamespaceNotFound; SDKs look for its detail."""

    code = Code.NOT_FOUND

    def __init__(self, namespace: str) -> None:
        super().__init__(
            f"Namespace {namespace} is not found.", NamespaceNotFoundFailure(namespace=namespace)
        )


class NamespaceAlreadyExists(ServiceError):
    """Real: serviceerror.NamespaceAlreadyExists."""

    code = Code.ALREADY_EXISTS

    def __init__(self, message: str = "Namespace already exists.") -> None:
        super().__init__(message, NamespaceAlreadyExistsFailure())


class NamespaceNotActive(ServiceError):
    """The namespace is active in another region [10a]."""

    code = Code.FAILED_PRECONDITION

    def __init__(self, namespace: str, current_cluster: str, active_cluster: str) -> None:
        super().__init__(
            f"Namespace: {namespace} is active in cluster: {active_cluster}, "
            f"while current cluster {current_cluster} is a standby cluster.",
            NamespaceNotActiveFailure(
                namespace=namespace, current_cluster=current_cluster, active_cluster=active_cluster
            ),
        )
        self.active_cluster = active_cluster


class NamespaceHandover(Unavailable):
    """The namespace is in HANDOVER here: nothing was changed, and the call may wait for the switch [11a]."""

    def __init__(self) -> None:
        super().__init__("Namespace replication in Handover state.")


class QueryFailed(ServiceError):
    """The worker answered a query with a failure."""

    code = Code.INVALID_ARGUMENT

    def __init__(self, message: str, detail: QueryFailedFailure | None = None) -> None:
        super().__init__(message, detail or QueryFailedFailure())


class WorkflowNotReady(ServiceError):
    """Real: serviceerror.WorkflowNotReady."""

    code = Code.FAILED_PRECONDITION

    def __init__(self, message: str) -> None:
        super().__init__(message, WorkflowNotReadyFailure())


class MultiOperationAborted(ServiceError):
    """An operation that was not carried out because another of the same call was not."""

    code = Code.ABORTED

    def __init__(self) -> None:
        super().__init__("Operation was aborted.", MultiOperationExecutionAborted())


class Aborted(ServiceError):
    """Something came between; try again."""

    code = Code.ABORTED


class MultiOperationExecution(ServiceError):
    """An update-with-start that failed. Each operation has an error of its own, or None: it was carried out.

    The call's code is that of the first operation that failed by itself. Real: serviceerror.MultiOperationExecution.
    """

    def __init__(self, errors: Sequence[ServiceError | None]) -> None:
        failure = MultiOperationExecutionFailure()
        for error in errors:
            status = failure.statuses.add()
            if error is not None:
                status.code, status.message = error.code, error.message
                if error.detail is not None:
                    status.details.add().Pack(error.detail)
        super().__init__("Update-with-Start could not be executed.", failure)
        own = [error.code for error in errors if error and not isinstance(error, MultiOperationAborted)]
        self.code = own[0] if own else Code.ABORTED
        self.errors = tuple(errors)


class CurrentBranchChanged(ServiceError):
    """A page token from before a branch switch."""

    code = Code.INVALID_ARGUMENT

    def __init__(self, current: bytes = b"", request: bytes = b"") -> None:
        super().__init__(
            "Current and request branch tokens, or current and request versioned transitions, don't match.",
            CurrentBranchChangedFailure(current_branch_token=current, request_branch_token=request),
        )


def cannot_listen(host: str, port: int, error: OSError) -> StartupError:
    """The one line for a port that cannot be bound."""
    if error.errno == errno.EADDRINUSE:
        return StartupError(f"port {port} on {host} is already in use")
    return StartupError(f"cannot listen on {joined(host, port)}: {error.strerror or error}")


def workflow_not_found(workflow_id: str, run_id: str = "") -> NotFound:
    """No run by that name. Real: persistence's text for a missing execution."""
    if run_id:
        return NotFound(
            f"workflow execution not found for workflow ID {workflow_id!r} and run ID {run_id!r}".replace(
                "'", '"'
            )
        )
    return NotFound(f"workflow not found for ID: {workflow_id}")


def workflow_already_completed() -> NotFound:
    """Real: consts.ErrWorkflowCompleted."""
    return NotFound("workflow execution already completed")


def workflow_closing() -> ResourceExhausted:
    """The run is about to close; another may go on. Real: consts.ErrWorkflowClosing."""
    return ResourceExhausted(
        "workflow operation can not be applied because workflow is closing",
        ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW,
    )
