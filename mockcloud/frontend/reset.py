"""Resetting and deleting runs. The rules are `core.reset` and `core.deletion`."""

from __future__ import annotations

from typing import Final

from temporalio.api.enums.v1 import ResetReapplyType
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    DeleteWorkflowExecutionResponse,
    ResetWorkflowExecutionRequest,
    ResetWorkflowExecutionResponse,
)

from mockcloud.core import deletion
from mockcloud.core.errors import Internal, InvalidArgument
from mockcloud.core.validation import too_long
from mockcloud.frontend import validation
from mockcloud.frontend.scope import Family, Scope

family: Final = Family()


@family.serves(ResetWorkflowExecutionRequest)
async def reset_workflow_execution(
    scope: Scope, request: ResetWorkflowExecutionRequest
) -> ResetWorkflowExecutionResponse:
    """Go on from an earlier point of a run, in a new run."""
    if not request.request_id:
        raise InvalidArgument("RequestId is not set on request.")
    if too_long(request.request_id, scope.limits):
        raise InvalidArgument("RequestId length exceeds limit.")
    validation.execution(request.workflow_execution, present=request.HasField("workflow_execution"))
    if request.reset_reapply_type not in ResetReapplyType.values():
        raise Internal(f"unknown reset reapply type: {request.reset_reapply_type}")
    return ResetWorkflowExecutionResponse(run_id=await scope.region.resets.reset(scope.namespace, request))


@family.serves(DeleteWorkflowExecutionRequest)
async def delete_workflow_execution(
    scope: Scope, request: DeleteWorkflowExecutionRequest
) -> DeleteWorkflowExecutionResponse:
    """Delete a run, terminating it if it is open; in a passive region only this region's replica of it."""
    run = request.workflow_execution
    validation.execution(run, present=request.HasField("workflow_execution"))
    region, namespace = scope.region, scope.namespace
    if namespace.active:
        await region.changes.update(namespace, run.workflow_id, run.run_id, deletion.request)
    else:
        await region.retention.delete_replica(namespace, run.workflow_id, run.run_id)
    return DeleteWorkflowExecutionResponse()
