"""`ServiceError` as gRPC carries it, and back: code, message and the `grpc-status-details-bin` trailer.

Both directions are lossless: an error that came from another region keeps the bytes of its details, so that a
forwarding region answers exactly what the other one said. Must never let a traceback or the text of an
unexpected exception reach a client.

`temporalio.api.common.v1.GrpcStatus` is google.rpc.Status under another name: the same fields, the same
bytes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Final, cast

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from temporalio.api import errordetails
from temporalio.api.common.v1 import GrpcStatus
from temporalio.api.errordetails.v1 import NamespaceNotActiveFailure

from mockcloud.core.errors import (
    AlreadyExists,
    Cancelled,
    Code,
    CurrentBranchChanged,
    CurrentBranchChangedFailure,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NamespaceAlreadyExists,
    NamespaceNotActive,
    NamespaceNotFound,
    NotFound,
    PermissionDenied,
    QueryFailed,
    RegionKilled,
    ResourceExhausted,
    ServiceError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    WorkflowExecutionAlreadyStarted,
    WorkflowNotReady,
)

DETAILS_KEY: Final = "grpc-status-details-bin"

_log = logging.getLogger("mockcloud.rpc")

_STATUS: Final[Mapping[int, grpc.StatusCode]] = {status.value[0]: status for status in grpc.StatusCode}

_BY_CODE: Final[Mapping[Code, type[ServiceError]]] = {
    kind.code: kind
    for kind in (
        AlreadyExists,
        Cancelled,
        DeadlineExceeded,
        FailedPrecondition,
        Internal,
        InvalidArgument,
        NotFound,
        PermissionDenied,
        ResourceExhausted,
        Unauthenticated,
        Unavailable,
        Unimplemented,
    )
}

_BY_DETAIL: Final[Mapping[str, type[ServiceError]]] = {
    "temporal.server.api.errordetails.v1.CurrentBranchChangedFailure": CurrentBranchChanged,
    "temporal.api.errordetails.v1.NamespaceAlreadyExistsFailure": NamespaceAlreadyExists,
    "temporal.api.errordetails.v1.NamespaceNotActiveFailure": NamespaceNotActive,
    "temporal.api.errordetails.v1.NamespaceNotFoundFailure": NamespaceNotFound,
    "temporal.api.errordetails.v1.QueryFailedFailure": QueryFailed,
    "temporal.api.errordetails.v1.WorkflowExecutionAlreadyStartedFailure": WorkflowExecutionAlreadyStarted,
    "temporal.api.errordetails.v1.WorkflowNotReadyFailure": WorkflowNotReady,
}


def status_code(code: Code) -> grpc.StatusCode:
    """The library's constant for a code."""
    return _STATUS[code]


def status_details(error: ServiceError) -> bytes | None:
    """The google.rpc.Status for the trailer; None where the error has no detail: grpc-go sends none then."""
    if error.status is not None:
        return error.status
    if error.detail is None:
        return None
    status = GrpcStatus(code=error.code, message=error.message)
    status.details.add().Pack(error.detail)
    return status.SerializeToString()


def trailers(error: ServiceError) -> tuple[tuple[str, bytes], ...]:
    """Trailing metadata that goes with an error answer."""
    details = status_details(error)
    return () if details is None else ((DETAILS_KEY, details),)


def revive(code: Code, message: str, status: bytes | None = None) -> ServiceError:
    """The error that a peer answered, as the class that its detail (or else its code) stands for.

    `status` is kept verbatim. A detail of an unknown type, or one that does not parse, is only carried along.
    """
    detail = _detail(status)
    kind = _BY_CODE.get(code, ServiceError)
    if detail is not None:
        special = _BY_DETAIL.get(detail.DESCRIPTOR.full_name)
        if special is not None and special.code == code:
            kind = special
    # The classes' own constructors build message and detail; here both exist already.
    error = kind.__new__(kind)
    ServiceError.__init__(error, message, detail)
    error.code = code
    error.status = status
    if isinstance(error, NamespaceNotActive) and isinstance(detail, NamespaceNotActiveFailure):
        error.active_cluster = detail.active_cluster
    return error


def from_rpc_error(error: grpc.aio.AioRpcError) -> ServiceError:
    """What a call to a peer failed with: the peer's own answer, or the library on a lost connection."""
    code = Code(error.code().value[0])
    status = None
    metadata = cast("Iterable[tuple[str, str | bytes]]", error.trailing_metadata() or ())
    for key, value in metadata:
        if key == DETAILS_KEY and isinstance(value, bytes):
            status = value
    message = error.details() or ""
    if code is Code.DEADLINE_EXCEEDED and "Deadline Exceeded" in message:
        return deadline_exceeded()  # it was the library that gave up, in several words of its own
    return revive(code, message, status)


def service_error(error: BaseException, where: str) -> ServiceError:
    """What the client is told when `where` (a full method name) raised `error`.

    An error of the tree is itself. A killed region's fence reads like the lost connection that follows it.
    Anything else is a defect: logged with its traceback, answered without.
    """
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, RegionKilled):
        return Unavailable("error reading from server: EOF")
    _log.error("unexpected %s in %s", type(error).__name__, where, exc_info=error)
    return Internal("internal error")


def deadline_exceeded() -> DeadlineExceeded:
    """The words of grpc-go for a call whose time ran out."""
    return DeadlineExceeded("context deadline exceeded")


def _detail(status: bytes | None) -> Message | None:
    if status is None:
        return None
    try:
        details = GrpcStatus.FromString(status).details
        return _unpack(details[0]) if details else None
    except DecodeError:
        return None


def _unpack(packed: AnyMessage) -> Message | None:
    """Every detail that the real server sends is one of temporalio's `errordetails`, or the server's own."""
    name = packed.TypeName()
    kind = getattr(errordetails.v1, name.removeprefix("temporal.api.errordetails.v1."), None)
    if name == CurrentBranchChangedFailure.DESCRIPTOR.full_name:
        kind = CurrentBranchChangedFailure
    if not (isinstance(kind, type) and issubclass(kind, Message)):
        return None
    message = kind()
    return message if packed.Unpack(message) else None
