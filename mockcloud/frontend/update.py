"""Updates: asking a workflow to change and to answer, and asking what has become of that. See `engine.updates`.

Real: service/frontend/workflow_handler.go, UpdateWorkflowExecution and PollWorkflowExecutionUpdate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from temporalio.api.enums.v1 import UpdateWorkflowExecutionLifecycleStage
from temporalio.api.errordetails.v1 import PermissionDeniedFailure
from temporalio.api.workflowservice.v1 import (
    PollWorkflowExecutionUpdateRequest,
    PollWorkflowExecutionUpdateResponse,
    UpdateWorkflowExecutionRequest,
    UpdateWorkflowExecutionResponse,
)

from mockcloud.core.errors import InvalidArgument, PermissionDenied
from mockcloud.core.limits import Limits
from mockcloud.frontend import validation
from mockcloud.frontend.scope import Family, Scope

family: Final = Family()

Stage = UpdateWorkflowExecutionLifecycleStage


@family.serves(UpdateWorkflowExecutionRequest)
async def update_workflow_execution(
    scope: Scope, request: UpdateWorkflowExecutionRequest
) -> UpdateWorkflowExecutionResponse:
    """Update an open run, or find what has become of the update."""
    prepare(request, scope.limits, scope.region.ports.ids.uuid)
    return await scope.region.updates.update(scope.namespace, request, scope.deadline)


@family.serves(PollWorkflowExecutionUpdateRequest)
async def poll_workflow_execution_update(
    scope: Scope, request: PollWorkflowExecutionUpdateRequest
) -> PollWorkflowExecutionUpdateResponse:
    """What has become of an update."""
    if not request.HasField("update_ref"):
        raise InvalidArgument("UpdateRef is not set on request.")
    return await scope.region.updates.poll(scope.namespace, request, scope.deadline)


def prepare(request: UpdateWorkflowExecutionRequest, limits: Limits, new_id: Callable[[], str]) -> None:
    """Check an update and fill in its defaults, in place.

    Raises:
        InvalidArgument: a field cannot be right.
        PermissionDenied: it would wait for the admission alone.
    """
    validation.execution(request.workflow_execution, present=request.HasField("workflow_execution"))
    update = request.request
    if not update.HasField("meta"):
        raise InvalidArgument("Update meta is not set on request.")
    if len(update.meta.update_id.encode()) > limits.id_characters:
        raise InvalidArgument("UpdateId length exceeds limit.")
    if not update.meta.update_id:
        update.meta.update_id = new_id()
    if not update.HasField("input"):
        raise InvalidArgument("Update input is not set on request.")
    if not update.input.name:
        raise InvalidArgument("Update name is not set on request.")
    policy = request.wait_policy
    if not policy.lifecycle_stage:
        policy.lifecycle_stage = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED
    if policy.lifecycle_stage == Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ADMITTED:
        raise PermissionDenied(
            "UpdateWorkflowExecution issued asynchronously and waiting on update admitted is not supported.",
            PermissionDeniedFailure(),
        )
