"""Task queues as such: who polls them, forgetting a run's sticky queue, a worker that goes."""

from __future__ import annotations

from typing import Final

from temporalio.api.enums.v1 import DescribeTaskQueueMode, RateLimitSource, TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueuePartitionMetadata
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    ListTaskQueuePartitionsRequest,
    ListTaskQueuePartitionsResponse,
    ResetStickyTaskQueueRequest,
    ResetStickyTaskQueueResponse,
    ShutdownWorkerRequest,
    ShutdownWorkerResponse,
)

from mockcloud.core import times
from mockcloud.core.derived import TaskKind
from mockcloud.core.errors import Unimplemented
from mockcloud.core.workflow_task import reset_sticky
from mockcloud.frontend import validation
from mockcloud.frontend.scope import Family, Scope

family: Final = Family()

_KINDS: Final = {
    TaskQueueType.TASK_QUEUE_TYPE_UNSPECIFIED: TaskKind.WORKFLOW,
    TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW: TaskKind.WORKFLOW,
    TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY: TaskKind.ACTIVITY,
}
_RATE_PER_SECOND: Final = 4000.0  # what the real server reports for a queue of four partitions


@family.serves(DescribeTaskQueueRequest)
async def describe_task_queue(scope: Scope, request: DescribeTaskQueueRequest) -> DescribeTaskQueueResponse:
    """Who polled a queue in the last minutes; with `report_stats`, what waits in it."""
    validation.poll_queue(request.task_queue, scope.limits, present=request.HasField("task_queue"))
    if request.api_mode == DescribeTaskQueueMode.DESCRIBE_TASK_QUEUE_MODE_ENHANCED:
        raise Unimplemented("DescribeTaskQueue in mode ENHANCED is not built.")
    kind = _KINDS.get(request.task_queue_type)
    if kind is None:
        raise Unimplemented("DescribeTaskQueue of a Nexus task queue is not built.")
    view = scope.region.matching.describe(scope.namespace, request.task_queue.name, kind)
    response = DescribeTaskQueueResponse(pollers=view.pollers)
    response.effective_rate_limit.requests_per_second = _RATE_PER_SECOND
    response.effective_rate_limit.rate_limit_source = RateLimitSource.RATE_LIMIT_SOURCE_SYSTEM
    if request.report_stats:
        response.stats.approximate_backlog_count = view.backlog
        response.stats.approximate_backlog_age.CopyFrom(times.duration(view.backlog_age))
    if request.include_task_queue_status:
        response.task_queue_status.backlog_count_hint = view.backlog
    return response


@family.serves(ListTaskQueuePartitionsRequest)
async def list_task_queue_partitions(
    scope: Scope, request: ListTaskQueuePartitionsRequest
) -> ListTaskQueuePartitionsResponse:
    """A queue has one partition of each kind here."""
    validation.poll_queue(request.task_queue, scope.limits, present=request.HasField("task_queue"))
    partition = TaskQueuePartitionMetadata(key=request.task_queue.name, owner_host_name=scope.region.name)
    return ListTaskQueuePartitionsResponse(
        activity_task_queue_partitions=[partition], workflow_task_queue_partitions=[partition]
    )


@family.serves(ResetStickyTaskQueueRequest)
async def reset_sticky_task_queue(
    scope: Scope, request: ResetStickyTaskQueueRequest
) -> ResetStickyTaskQueueResponse:
    """A worker has dropped a run from its cache. A passive region has no sticky queues."""
    run = request.execution
    validation.execution(run, present=request.HasField("execution"))
    if scope.namespace.active:
        await scope.region.changes.update(scope.namespace, run.workflow_id, run.run_id, reset_sticky)
    else:
        await scope.region.changes.read(scope.namespace, run.workflow_id, run.run_id, lambda _: None)
    return ResetStickyTaskQueueResponse()


@family.serves(ShutdownWorkerRequest)
async def shutdown_worker(scope: Scope, request: ShutdownWorkerRequest) -> ShutdownWorkerResponse:
    """A worker goes: its polls end empty, its sticky queue is given up."""
    end_polls(scope, request)
    return ShutdownWorkerResponse()


def end_polls(scope: Scope, request: ShutdownWorkerRequest) -> None:
    """End the polls that a worker has parked in this region."""
    scope.region.matching.shutdown_worker(scope.namespace, request)
