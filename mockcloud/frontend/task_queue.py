"""Task queues as such: who polls them, what waits, their limits; a run's sticky queue; a worker that goes."""

from __future__ import annotations

from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import (
    BuildIdTaskReachability,
    DescribeTaskQueueMode,
    TaskQueueKind,
    TaskQueueType,
)
from temporalio.api.taskqueue.v1 import (
    TaskQueuePartitionMetadata,
    TaskQueueStats,
    TaskQueueVersioningInfo,
)
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    ListTaskQueuePartitionsRequest,
    ListTaskQueuePartitionsResponse,
    ResetStickyTaskQueueRequest,
    ResetStickyTaskQueueResponse,
    ShutdownWorkerRequest,
    ShutdownWorkerResponse,
    UpdateTaskQueueConfigRequest,
    UpdateTaskQueueConfigResponse,
)

from mockcloud.core.errors import InvalidArgument
from mockcloud.core.workflow_task import reset_sticky
from mockcloud.frontend import task_queue_checks, validation
from mockcloud.frontend.scope import Family, Scope

family: Final = Family()

_TYPES: Final = (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)
# Go's zero time: when the version of a queue that never had one was set.
_NEVER: Final = Timestamp(seconds=-62_135_596_800)


@family.serves(DescribeTaskQueueRequest)
async def describe_task_queue(scope: Scope, request: DescribeTaskQueueRequest) -> DescribeTaskQueueResponse:
    """Who polled a queue in the last minutes, what waits in it, how fast it may go."""
    if not request.HasField("task_queue"):
        raise InvalidArgument("taskQueue is not set")
    if request.api_mode == DescribeTaskQueueMode.DESCRIBE_TASK_QUEUE_MODE_ENHANCED:
        validation.poll_queue(request.task_queue, scope.limits, present=True)
        task_queue_checks.enhanced(request)
        return _enhanced(scope, request)
    name, partition = task_queue_checks.described_queue(request, scope.limits)
    sticky = request.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY
    if request.report_stats and (partition or sticky):
        raise InvalidArgument("DescribeTaskQueue stats are only supported for the root partition")
    kind = request.task_queue_type or TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
    view = scope.region.task_queues.describe(scope.namespace, name, kind)
    response = DescribeTaskQueueResponse(
        effective_rate_limit=DescribeTaskQueueResponse.EffectiveRateLimit(
            requests_per_second=view.rate, rate_limit_source=view.rate_source
        )
    )
    if not sticky:
        response.versioning_info.CopyFrom(
            TaskQueueVersioningInfo(current_version="__unversioned__", update_time=_NEVER)
        )
    if request.report_config:
        config = scope.region.task_queue_configs.config(scope.namespace.id, name, kind)
        if config is not None:
            response.config.CopyFrom(config)
    if partition:  # a queue has one partition here: nobody polls another, and nothing waits in it
        view = scope.region.task_queues.describe(scope.namespace, request.task_queue.name, kind)
    response.pollers.extend(view.pollers)
    if request.include_task_queue_status:
        response.task_queue_status.CopyFrom(view.status)
    if request.report_stats:
        response.stats.CopyFrom(view.stats)
        for level, stats in view.stats_by_priority.items():
            response.stats_by_priority_key[level].CopyFrom(stats)
    return response


def _enhanced(scope: Scope, request: DescribeTaskQueueRequest) -> DescribeTaskQueueResponse:
    """By build id; nothing is versioned here, so all there is belongs to the empty one."""
    versions = request.versions
    build_ids = {*versions.build_ids, *([""] if versions.unversioned else [])}
    if not request.HasField("versions"):
        build_ids = {""}
    response = DescribeTaskQueueResponse()
    for build_id in build_ids:
        info = response.versions_info[build_id]
        for kind in request.task_queue_types or _TYPES:
            of_kind = info.types_info[kind]
            view = scope.region.task_queues.describe(scope.namespace, request.task_queue.name, kind)
            if request.report_pollers and not build_id:
                of_kind.pollers.extend(view.pollers)
            if request.report_stats:
                of_kind.stats.CopyFrom(
                    TaskQueueStats(approximate_backlog_age=Duration()) if build_id else view.stats
                )
        if request.report_task_reachability:
            info.task_reachability = (
                BuildIdTaskReachability.BUILD_ID_TASK_REACHABILITY_UNREACHABLE
                if build_id
                else BuildIdTaskReachability.BUILD_ID_TASK_REACHABILITY_REACHABLE
            )
    return response


@family.serves(UpdateTaskQueueConfigRequest)
async def update_task_queue_config(
    scope: Scope, request: UpdateTaskQueueConfigRequest
) -> UpdateTaskQueueConfigResponse:
    """Limit how fast tasks of a queue may go, or give fairness keys a weight; or take that back."""
    task_queue_checks.update_config(request, scope.limits)
    config = await scope.region.task_queue_configs.update(scope.namespace, request, scope.limits)
    return UpdateTaskQueueConfigResponse(config=config)


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
    if request.HasField("worker_heartbeat") and scope.limits.worker_heartbeats:
        scope.region.workers.record(scope.namespace.id, [request.worker_heartbeat])
    return ShutdownWorkerResponse()


def end_polls(scope: Scope, request: ShutdownWorkerRequest) -> None:
    """End the polls that a worker has parked in this region."""
    scope.region.matching.shutdown_worker(scope.namespace, request)
