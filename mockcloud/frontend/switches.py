"""What the dynamic configuration can switch off: a method that is off is refused in the real server's words.

Real: service/frontend/errors.go, workflow_handler.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from temporalio.api.errordetails.v1 import PermissionDeniedFailure

from mockcloud.core.errors import InvalidArgument, PermissionDenied, ServiceError
from mockcloud.core.limits import Limits

Check: TypeAlias = Callable[[Limits], ServiceError | None]


def _denied(text: str) -> PermissionDenied:
    return PermissionDenied(text, PermissionDeniedFailure())


def schedules(limits: Limits) -> ServiceError | None:
    """Why there are no schedules; None: there are."""
    return None if limits.schedules else _denied("Schedules are disabled on this namespace.")


def batches(limits: Limits) -> ServiceError | None:
    """Why there are no batch operations; None: there are."""
    return None if limits.batches else _denied("Batch operation feature are disabled on this namespace.")


def updates(limits: Limits) -> ServiceError | None:
    """Why there are no updates; None: there are."""
    if limits.updates:
        return None
    return _denied("UpdateWorkflowExecution operation is disabled on this namespace.")


def updates_until_accepted(limits: Limits) -> ServiceError | None:
    """Why nobody may wait for an update's acceptance only; None: they may."""
    if limits.updates_until_accepted:
        return None
    return _denied(
        "UpdateWorkflowExecution issued asynchronously and waiting on update accepted is disabled on this "
        "namespace."
    )


def queries(limits: Limits) -> ServiceError | None:
    """Why there are no queries; None: there are."""
    if not limits.disallow_queries:
        return None
    return InvalidArgument(
        "Namespace is not allowed to query, please contact temporal team to re-enable queries."
    )


_CHECKS: Final[Mapping[str, Check]] = {
    **dict.fromkeys(
        (
            "CountSchedules",
            "CreateSchedule",
            "DeleteSchedule",
            "DescribeSchedule",
            "ListScheduleMatchingTimes",
            "ListSchedules",
            "PatchSchedule",
            "UpdateSchedule",
        ),
        schedules,
    ),
    **dict.fromkeys(
        ("DescribeBatchOperation", "ListBatchOperations", "StartBatchOperation", "StopBatchOperation"),
        batches,
    ),
    "QueryWorkflow": queries,
}


def require(check: Check, limits: Limits) -> None:
    """Raises what `check` says."""
    refused = check(limits)
    if refused is not None:
        raise refused


def require_method(name: str, limits: Limits) -> None:
    """Raises when a whole method is switched off."""
    check = _CHECKS.get(name)
    if check is not None:
        require(check, limits)
