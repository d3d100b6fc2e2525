"""What operators do to a whole run: pause it, unpause it, change its options.

The rules are `core.pause` and `core.execution_options`. Real: workflow_handler.go.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from temporalio.api.workflow.v1 import WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import (
    PauseWorkflowExecutionRequest,
    PauseWorkflowExecutionResponse,
    UnpauseWorkflowExecutionRequest,
    UnpauseWorkflowExecutionResponse,
    UpdateWorkflowExecutionOptionsRequest,
    UpdateWorkflowExecutionOptionsResponse,
)

from mockcloud.core import execution_options, field_mask, pause
from mockcloud.core.errors import InvalidArgument, Unimplemented
from mockcloud.core.validation import priority, too_long
from mockcloud.frontend import validation
from mockcloud.frontend.scope import Family, Scope

family: Final = Family()

_BAD_RUN_ID: Final = "RunId is not valid UUID."


@family.serves(PauseWorkflowExecutionRequest)
async def pause_workflow_execution(
    scope: Scope, request: PauseWorkflowExecutionRequest
) -> PauseWorkflowExecutionResponse:
    """Give no worker anything of a run until it is unpaused."""
    if not scope.limits.workflow_pause:
        raise Unimplemented(f"workflow pause is not enabled for namespace: {request.namespace}")
    _check(scope, request)
    await scope.region.changes.update(
        scope.namespace, request.workflow_id, request.run_id, partial(pause.pause, request=request)
    )
    return PauseWorkflowExecutionResponse()


@family.serves(UnpauseWorkflowExecutionRequest)
async def unpause_workflow_execution(
    scope: Scope, request: UnpauseWorkflowExecutionRequest
) -> UnpauseWorkflowExecutionResponse:
    """Let a paused run go on."""
    _check(scope, request)
    await scope.region.changes.update(
        scope.namespace, request.workflow_id, request.run_id, partial(pause.unpause, request=request)
    )
    return UnpauseWorkflowExecutionResponse()


def _check(scope: Scope, request: PauseWorkflowExecutionRequest | UnpauseWorkflowExecutionRequest) -> None:
    for value, name in (
        (request.reason, "reason"),
        (request.request_id, "request id"),
        (request.identity, "identity"),
    ):
        if too_long(value, scope.limits):
            raise InvalidArgument(f"{name} is too long.")
    if not request.workflow_id:
        raise InvalidArgument("Can't load workflow execution.  WorkflowId not set.")
    validation.run_id(request.run_id, _BAD_RUN_ID)


@family.serves(UpdateWorkflowExecutionOptionsRequest)
async def update_workflow_execution_options(
    scope: Scope, request: UpdateWorkflowExecutionOptionsRequest
) -> UpdateWorkflowExecutionOptionsResponse:
    """Change the options that the mask names."""
    run = request.workflow_execution
    if not run.workflow_id:
        raise InvalidArgument("WorkflowId is not set on request.")
    if not request.HasField("update_mask"):
        raise InvalidArgument("UpdateMask is required")
    if not request.HasField("workflow_execution_options"):
        raise InvalidArgument("WorkflowExecutionOptions is required")
    problem = field_mask.invalid_path(request.update_mask.paths, WorkflowExecutionOptions.DESCRIPTOR)
    if problem is not None:
        raise InvalidArgument(f"error parsing UpdateMask: {problem}")
    priority(request.workflow_execution_options.priority)
    validation.run_id(run.run_id, _BAD_RUN_ID)
    options = await scope.region.changes.update(
        scope.namespace,
        run.workflow_id,
        run.run_id,
        partial(execution_options.update_options, request=request),
    )
    return UpdateWorkflowExecutionOptionsResponse(workflow_execution_options=options)
