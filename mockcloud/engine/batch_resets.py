"""Where a batch resets a run to.

Real: service/worker/batcher/activities.go (getResetEventIDByType, getResetEventIDByOptions).
"""

from __future__ import annotations

from temporalio.api.batch.v1 import BatchOperationReset
from temporalio.api.common.v1 import ResetOptions, WorkflowExecution
from temporalio.api.enums.v1 import EventType, ResetType
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    GetWorkflowExecutionHistoryReverseRequest,
    GetWorkflowExecutionHistoryReverseResponse,
)

from mockcloud.core.errors import InvalidArgument
from mockcloud.engine.batch_caller import Caller


async def reset_point(caller: Caller, run: WorkflowExecution, operation: BatchOperationReset) -> int:
    """The event to reset `run` to; it may become an earlier run."""
    options = operation.options if operation.HasField("options") else None
    target = None if options is None else options.WhichOneof("target")
    if options is not None and target == "workflow_task_id":
        return options.workflow_task_id
    if options is not None and target == "build_id":
        return await _point_of_build(caller, run, options)
    first = target == "first_workflow_task" or (
        options is None and operation.reset_type == ResetType.RESET_TYPE_FIRST_WORKFLOW_TASK
    )
    return await (_first_task(caller, run) if first else _last_task(caller, run))


async def _first_task(caller: Caller, run: WorkflowExecution) -> int:
    found, token = 0, b""
    while True:
        request = GetWorkflowExecutionHistoryRequest(
            namespace=caller.namespace, execution=run, next_page_token=token
        )
        answer = await caller.ask(request, GetWorkflowExecutionHistoryResponse)
        for event in answer.history.events:
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                return event.event_id
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED and not found:
                found = event.event_id + 1
        token = answer.next_page_token
        if not token:
            return _required(found)


async def _last_task(caller: Caller, run: WorkflowExecution) -> int:
    found, token = 0, b""
    while True:
        request = GetWorkflowExecutionHistoryReverseRequest(
            namespace=caller.namespace, execution=run, next_page_token=token
        )
        answer = await caller.ask(request, GetWorkflowExecutionHistoryReverseResponse)
        for event in answer.history.events:
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                return event.event_id
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED:
                found = event.event_id + 1
        token = answer.next_page_token
        if not token:
            return _required(found)


async def _point_of_build(caller: Caller, run: WorkflowExecution, options: ResetOptions) -> int:
    request = DescribeWorkflowExecutionRequest(namespace=caller.namespace, execution=run)
    answer = await caller.ask(request, DescribeWorkflowExecutionResponse)
    for point in answer.workflow_execution_info.auto_reset_points.points:
        if point.build_id == options.build_id:
            if not point.resettable:
                raise InvalidArgument(f"Reset point for {options.build_id} is not resettable")
            if run.run_id != point.run_id and options.current_run_only:
                raise InvalidArgument(
                    f"Reset point for {options.build_id} points to previous run and CurrentRunOnly is set"
                )
            run.run_id = point.run_id
            return point.first_workflow_task_completed_id
    raise InvalidArgument(f"Can't find reset point for {options.build_id}")


def _required(event_id: int) -> int:
    if not event_id:
        raise InvalidArgument("unable to find any scheduled or completed task")
    return event_id
