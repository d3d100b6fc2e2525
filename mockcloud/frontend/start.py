"""Starting workflows, with or without a signal. The rules are `core.start`."""

from __future__ import annotations

from typing import Final

from temporalio.api.common.v1 import Link
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import (
    SignalWithStartWorkflowExecutionRequest,
    SignalWithStartWorkflowExecutionResponse,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
)

from mockcloud.core import start_checks
from mockcloud.frontend.scope import Family, Scope

family: Final = Family()


@family.serves(StartWorkflowExecutionRequest)
async def start_workflow_execution(
    scope: Scope, request: StartWorkflowExecutionRequest
) -> StartWorkflowExecutionResponse:
    """Start a run, or find the one that the id policies say."""
    ports = scope.region.ports
    start_checks.start_request(request, scope.limits, ports.ids.uuid, ports.clock.now())
    reply = await scope.region.changes.start(scope.namespace, request)
    response = StartWorkflowExecutionResponse(run_id=reply.run_id, started=reply.started, status=reply.status)
    if reply.started:
        response.link.workflow_event.CopyFrom(
            Link.WorkflowEvent(
                namespace=scope.namespace.name,
                workflow_id=request.workflow_id,
                run_id=reply.run_id,
                event_ref=Link.WorkflowEvent.EventReference(
                    event_id=1, event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
                ),
            )
        )
    return response


@family.serves(SignalWithStartWorkflowExecutionRequest)
async def signal_with_start_workflow_execution(
    scope: Scope, request: SignalWithStartWorkflowExecutionRequest
) -> SignalWithStartWorkflowExecutionResponse:
    """Signal the open run, or start one that has the signal."""
    ports = scope.region.ports
    start_checks.signal_with_start_request(request, scope.limits, ports.ids.uuid, ports.clock.now())
    reply = await scope.region.changes.signal_with_start(scope.namespace, request)
    return SignalWithStartWorkflowExecutionResponse(run_id=reply.run_id, started=reply.started)
