"""Batch operations: start, stop, describe and list them. The rules are `core.batch`, the work `engine.batches`."""

from __future__ import annotations

from typing import Final

from temporalio.api.batch.v1 import BatchOperationInfo
from temporalio.api.enums.v1 import ResourceExhaustedCause, WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import (
    DescribeBatchOperationRequest,
    DescribeBatchOperationResponse,
    ListBatchOperationsRequest,
    ListBatchOperationsResponse,
    StartBatchOperationRequest,
    StartBatchOperationResponse,
    StopBatchOperationRequest,
    StopBatchOperationResponse,
    TerminateWorkflowExecutionRequest,
)

from mockcloud.core import batch, search_attributes, signals, times
from mockcloud.core.batch import Progress
from mockcloud.core.describe import pending_activity
from mockcloud.core.errors import InvalidArgument, ResourceExhausted
from mockcloud.core.run import Run
from mockcloud.core.search_attribute_values import KEYWORD, decode
from mockcloud.frontend.scope import Family, Scope
from mockcloud.frontend.visibility import list_page, parser_ready
from mockcloud.store import visibility

family: Final = Family()


@family.serves(StartBatchOperationRequest)
async def start_batch_operation(
    scope: Scope, request: StartBatchOperationRequest
) -> StartBatchOperationResponse:
    """Start the workflow that the batch is."""
    namespace = scope.namespace
    if request.visibility_query:
        await parser_ready()
    batch.validate(request)
    count = await scope.region.store.read(
        lambda connection: visibility.count_runs(connection, namespace.id, batch.OPEN_BATCHES)
    )
    if count >= scope.limits.open_batches:
        raise ResourceExhausted(
            "Max concurrent batch operations is reached",
            ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT,
        )
    start = batch.start_request(request, scope.region.ports.ids.uuid())
    search_attributes.apply_types(namespace.record, start.search_attributes)
    await scope.region.changes.start(namespace, start)
    return StartBatchOperationResponse()


@family.serves(StopBatchOperationRequest)
async def stop_batch_operation(
    scope: Scope, request: StopBatchOperationRequest
) -> StopBatchOperationResponse:
    """Terminate it; what it has done stays done."""
    _job(request.job_id)
    if not request.reason:
        raise InvalidArgument("Reason is not set on request.")
    terminate = TerminateWorkflowExecutionRequest(reason=request.reason, identity=request.identity)
    terminate.workflow_execution.workflow_id = request.job_id
    await scope.region.changes.update(
        scope.namespace, request.job_id, "", lambda change: signals.terminate(change, request=terminate)
    )
    return StopBatchOperationResponse()


@family.serves(DescribeBatchOperationRequest)
async def describe_batch_operation(
    scope: Scope, request: DescribeBatchOperationRequest
) -> DescribeBatchOperationResponse:
    """A batch, and how far it is."""
    _job(request.job_id)
    now = scope.region.ports.clock.now()
    return await scope.region.changes.read(
        scope.namespace, request.job_id, "", lambda run: _described(run, now)
    )


@family.serves(ListBatchOperationsRequest)
async def list_batch_operations(
    scope: Scope, request: ListBatchOperationsRequest
) -> ListBatchOperationsResponse:
    """One page of batches, open ones first, newest first."""
    runs, token = await list_page(scope, batch.ALL_BATCHES, request.page_size, request.next_page_token)
    infos = []
    for run in runs:
        info = BatchOperationInfo(
            job_id=run.execution.workflow_id, state=batch.state(run.status), start_time=run.start_time
        )
        if run.HasField("close_time"):
            info.close_time.CopyFrom(run.close_time)
        infos.append(info)
    return ListBatchOperationsResponse(operation_info=infos, next_page_token=token)


def _job(job_id: str) -> None:
    if not job_id:
        raise InvalidArgument("JobId is not set on request.")


def _described(run: Run, now: int) -> DescribeBatchOperationResponse:
    identity = run.search_attributes.get("BatcherUser")
    response = DescribeBatchOperationResponse(
        operation_type=batch.operation_type(run.memo),
        job_id=run.key.workflow_id,
        state=batch.state(run.status),
        start_time=times.timestamp(run.start_time),
        identity="" if identity is None else str(decode(identity, KEYWORD)),
        reason=batch.reason(run.memo),
    )
    if not run.open:
        response.close_time.CopyFrom(times.timestamp(run.record.close_time))
    if run.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED:
        succeeded, failed = batch.stats(run.memo)
        response.total_operation_count = succeeded + failed
        response.complete_operation_count = succeeded
        response.failure_operation_count = failed
        return response
    for activity in run.activities.values():
        progress = Progress.of(pending_activity(activity, now).heartbeat_details)
        if progress is not None:
            response.total_operation_count = progress.TotalEstimate
            response.complete_operation_count = progress.SuccessCount
            response.failure_operation_count = progress.ErrorCount
    return response
