"""What a cloud tells about asynchronous operations of any kind: plain values that outlive it."""

from __future__ import annotations

from dataclasses import dataclass

from mockcloud.api.admin.v1 import cloud_admin_pb2 as admin
from mockcloud.core import times


@dataclass(frozen=True, slots=True)
class Fill:
    """How far an added region has been given what was there before it was added."""

    given: int  # runs and schedules
    of: int


@dataclass(frozen=True, slots=True)
class AsyncOperation:
    """An operation as the control plane records it."""

    id: str
    kind: str  # the RPC that asks for it: CreateNamespace, FailoverNamespaceRegion, …
    namespace: str
    region: str  # that is failed over to, added or deleted; where a new namespace is active; empty otherwise
    state: str  # PENDING, IN_PROGRESS, FULFILLED, FAILED or CANCELLED
    step: str  # that it takes now; ended
    reason: str  # why it failed or was cancelled, or why a failover was forced; empty otherwise
    who: str  # asked for it
    seconds: float | None  # that it took; None: it runs
    fill: Fill | None  # of an added region, while it is filled


def async_operation(view: admin.OperationView) -> AsyncOperation:
    """An operation as a plain value."""
    took = (view.finished_time - view.started_time) / times.SECOND
    return AsyncOperation(
        id=view.id,
        kind=view.kind,
        namespace=view.namespace,
        region=view.region,
        state=view.state,
        step=view.step,
        reason=view.reason,
        who=view.who,
        seconds=max(0.0, took) if view.finished_time else None,
        fill=Fill(view.fill.runs_given, view.fill.runs) if view.HasField("fill") else None,
    )
