"""Reading histories, forward and reverse. See `engine.history_reader`."""

from __future__ import annotations

from typing import Final

from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    GetWorkflowExecutionHistoryReverseRequest,
    GetWorkflowExecutionHistoryReverseResponse,
)

from mockcloud.frontend import validation
from mockcloud.frontend.scope import Family, Scope

family: Final = Family()

# Clients that show histories to people and must not see events that may never come to be.
_VIEWERS: Final = frozenset({"temporal-cli", "temporal-ui"})


@family.serves(GetWorkflowExecutionHistoryRequest)
async def get_workflow_execution_history(
    scope: Scope, request: GetWorkflowExecutionHistoryRequest
) -> GetWorkflowExecutionHistoryResponse:
    """One page, oldest event first; may wait for more, or for the last."""
    validation.execution(request.execution, present=request.HasField("execution"))
    return await scope.region.history.read(
        scope.namespace,
        request,
        scope.long_poll(scope.limits.history_long_poll),
        transient=scope.client_name not in _VIEWERS,
    )


@family.serves(GetWorkflowExecutionHistoryReverseRequest)
async def get_workflow_execution_history_reverse(
    scope: Scope, request: GetWorkflowExecutionHistoryReverseRequest
) -> GetWorkflowExecutionHistoryReverseResponse:
    """One page, newest event first."""
    validation.execution(request.execution, present=request.HasField("execution"))
    return await scope.region.history.read_reverse(scope.namespace, request)
