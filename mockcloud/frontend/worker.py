"""Workers as such: their heartbeats, and who is there. See `engine.workers`."""

from __future__ import annotations

from typing import Final

from temporalio.api.worker.v1 import WorkerHeartbeat, WorkerInfo, WorkerListInfo
from temporalio.api.workflowservice.v1 import (
    CountWorkersRequest,
    CountWorkersResponse,
    DescribeWorkerRequest,
    DescribeWorkerResponse,
    FetchWorkerConfigRequest,
    FetchWorkerConfigResponse,
    ListWorkersRequest,
    ListWorkersResponse,
    RecordWorkerHeartbeatRequest,
    RecordWorkerHeartbeatResponse,
    UpdateWorkerConfigRequest,
    UpdateWorkerConfigResponse,
)

from mockcloud.core.errors import Unimplemented
from mockcloud.core.messages import copy_set
from mockcloud.engine import workers
from mockcloud.frontend.scope import Family, Scope
from mockcloud.frontend.visibility import parser_ready

family: Final = Family()


@family.serves(RecordWorkerHeartbeatRequest)
async def record_worker_heartbeat(
    scope: Scope, request: RecordWorkerHeartbeatRequest
) -> RecordWorkerHeartbeatResponse:
    """Take in what workers say of themselves."""
    if scope.limits.worker_heartbeats:
        scope.region.workers.record(scope.namespace.id, request.worker_heartbeat)
    return RecordWorkerHeartbeatResponse()


@family.serves(ListWorkersRequest)
async def list_workers(scope: Scope, request: ListWorkersRequest) -> ListWorkersResponse:
    """The workers that a query wants."""
    found = await _found(scope, request.query)
    given, token = workers.page(found, request.page_size, request.next_page_token)
    return ListWorkersResponse(
        workers_info=[WorkerInfo(worker_heartbeat=heartbeat) for heartbeat in given],
        workers=[_listed(heartbeat) for heartbeat in given],
        next_page_token=token,
    )


@family.serves(CountWorkersRequest)
async def count_workers(scope: Scope, request: CountWorkersRequest) -> CountWorkersResponse:
    """How many workers a query wants."""
    return CountWorkersResponse(count=len(await _found(scope, request.query)))


@family.serves(DescribeWorkerRequest)
async def describe_worker(scope: Scope, request: DescribeWorkerRequest) -> DescribeWorkerResponse:
    """One worker, by its instance key."""
    heartbeat = scope.region.workers.one(scope.namespace.id, request.worker_instance_key)
    return DescribeWorkerResponse(worker_info=WorkerInfo(worker_heartbeat=heartbeat))


@family.serves(FetchWorkerConfigRequest)
async def fetch_worker_config(scope: Scope, request: FetchWorkerConfigRequest) -> FetchWorkerConfigResponse:
    """No worker is commanded by the server, as in the real one."""
    raise Unimplemented("FetchWorkerConfig command is not enabled.")


@family.serves(UpdateWorkerConfigRequest)
async def update_worker_config(
    scope: Scope, request: UpdateWorkerConfigRequest
) -> UpdateWorkerConfigResponse:
    """No worker is commanded by the server, as in the real one."""
    raise Unimplemented("UpdateWorkerConfig command is not enabled.")


async def _found(scope: Scope, query: str) -> list[WorkerHeartbeat]:
    """The workers that a query wants. Raises InvalidArgument: it cannot be read."""
    from mockcloud.core import worker_filter  # with the first list: a cloud starts without it

    if query:
        await parser_ready()
    return scope.region.workers.all(scope.namespace.id, worker_filter.parse(query))


def _listed(heartbeat: WorkerHeartbeat) -> WorkerListInfo:
    info = WorkerListInfo(
        worker_instance_key=heartbeat.worker_instance_key,
        worker_identity=heartbeat.worker_identity,
        task_queue=heartbeat.task_queue,
        sdk_name=heartbeat.sdk_name,
        sdk_version=heartbeat.sdk_version,
        status=heartbeat.status,
        host_name=heartbeat.host_info.host_name,
        worker_grouping_key=heartbeat.host_info.worker_grouping_key,
        process_id=heartbeat.host_info.process_id,
        plugins=heartbeat.plugins,
        drivers=heartbeat.drivers,
    )
    copy_set(heartbeat, info, "deployment_version", "start_time")
    return info
