from __future__ import annotations

import grpc
import pytest
from temporalio.api.common.v1 import GrpcStatus
from temporalio.api.errordetails.v1 import NamespaceNotActiveFailure, NotFoundFailure

from mockcloud.core.errors import (
    Code,
    CurrentBranchChanged,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NamespaceNotActive,
    NotFound,
    RegionKilled,
    ServiceError,
    Unavailable,
    WorkflowExecutionAlreadyStarted,
)
from mockcloud.rpc.errors import (
    DETAILS_KEY,
    from_rpc_error,
    revive,
    service_error,
    status_code,
    status_details,
    trailers,
)


def over_the_wire(error: ServiceError) -> ServiceError:
    """What a caller makes of the trailers that a server makes of `error`."""
    metadata = grpc.aio.Metadata(*trailers(error))
    return from_rpc_error(
        grpc.aio.AioRpcError(status_code(error.code), grpc.aio.Metadata(), metadata, error.message, None)
    )


@pytest.mark.parametrize(
    "error",
    [
        NotFound("workflow not found for ID: a"),
        InvalidArgument("bad"),
        Unavailable("later"),
        NamespaceNotActive("orders", "aws-us-west-2", "aws-us-east-1"),
        WorkflowExecutionAlreadyStarted("Workflow execution is already running.", "request", "run"),
        CurrentBranchChanged(b"current", b"request"),
    ],
)
def test_an_error_comes_back_as_itself(error: ServiceError) -> None:
    back = over_the_wire(error)

    assert type(back) is type(error)
    assert (back.code, back.message, str(back)) == (error.code, error.message, str(error))
    assert (back.detail is None) == (error.detail is None)
    if back.detail is not None and error.detail is not None:
        assert back.detail.SerializeToString() == error.detail.SerializeToString()


def test_details_are_a_google_rpc_status_with_the_type_url_that_sdks_look_for() -> None:
    ((key, details),) = trailers(NamespaceNotActive("orders", "b", "a"))

    status = GrpcStatus.FromString(details)
    assert key == DETAILS_KEY == "grpc-status-details-bin"
    assert (status.code, status.message.startswith("Namespace: orders is active")) == (9, True)
    assert (
        status.details[0].type_url
        == "type.googleapis.com/temporal.api.errordetails.v1.NamespaceNotActiveFailure"
    )
    assert NamespaceNotActiveFailure.FromString(status.details[0].value).active_cluster == "a"


def test_a_server_detail_keeps_the_servers_own_type_url() -> None:
    status = GrpcStatus.FromString(status_details(CurrentBranchChanged(b"a", b"b")) or b"")

    assert status.details[0].type_url.endswith(
        "/temporal.server.api.errordetails.v1.CurrentBranchChangedFailure"
    )


def test_an_error_without_detail_sends_no_details() -> None:
    assert trailers(Unavailable("later")) == ()


def test_the_active_cluster_of_a_revived_error_is_known() -> None:
    back = over_the_wire(NamespaceNotActive("orders", "b", "a"))

    assert isinstance(back, NamespaceNotActive)
    assert back.active_cluster == "a"


def test_forwarding_keeps_the_details_byte_for_byte() -> None:
    unknown = GrpcStatus(code=9, message="odd")
    unknown.details.add(type_url="type.googleapis.com/some.Future", value=b"\x08\x01")
    unknown.details.add().Pack(NotFoundFailure(current_cluster="x"))
    given = unknown.SerializeToString() + b"\xf8\x07\x01"  # and a field that nobody knows

    error = revive(Code.FAILED_PRECONDITION, "odd", given)

    assert isinstance(error, FailedPrecondition)
    assert trailers(error) == ((DETAILS_KEY, given),)
    assert trailers(over_the_wire(error)) == ((DETAILS_KEY, given),)


def test_details_that_do_not_parse_are_only_carried_along() -> None:
    error = revive(Code.NOT_FOUND, "gone", b"\xff\xff")

    assert isinstance(error, NotFound)
    assert error.detail is None
    assert status_details(error) == b"\xff\xff"


def test_a_code_without_class_is_kept() -> None:
    error = over_the_wire(revive(Code.ABORTED, "again"))

    assert (type(error), error.code, error.message) == (ServiceError, Code.ABORTED, "again")


def test_a_defect_is_logged_and_answered_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    error = service_error(KeyError("secret"), "/a.B/C")

    assert isinstance(error, Internal)
    assert "secret" not in error.message
    assert "/a.B/C" in caplog.text
    assert "secret" in caplog.text


def test_a_killed_region_reads_like_a_lost_connection(caplog: pytest.LogCaptureFixture) -> None:
    assert isinstance(service_error(RegionKilled(), "/a.B/C"), Unavailable)
    assert caplog.text == ""
