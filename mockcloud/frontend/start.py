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
from mockcloud.engine.changes import StartReply
from mockcloud.frontend.scope import Family, Scope

family: Final = Family()


@family.serves(StartWorkflowExecutionRequest)
async def start_workflow_execution(
    scope: Scope, request: StartWorkflowExecutionRequest
) -> StartWorkflowExecutionResponse:
    """Start a run, or find the one that the id policies say."""
    ports = scope.region.ports
    start_checks.start_request(
        request, scope.namespace.record, scope.limits, ports.ids.uuid, ports.clock.now()
    )
    reply = await scope.region.changes.start(scope.namespace, request)
    response = StartWorkflowExecutionResponse(
        run_id=reply.run_id, started=reply.started, status=reply.status, link=_link(scope, request, reply)
    )
    if reply.eager_task is not None:
        response.eager_workflow_task.CopyFrom(
            await scope.region.answers.workflow_task(reply.eager_task, queries={}, backlog=0)
        )
    return response


def _link(scope: Scope, request: StartWorkflowExecutionRequest, reply: StartReply) -> Link:
    """Where the start is to be found: the run's first event, or the event that attached it, by its request id."""
    link = Link.WorkflowEvent(
        namespace=scope.namespace.name, workflow_id=request.workflow_id, run_id=reply.run_id
    )
    if reply.attached:
        link.request_id_ref.request_id = request.request_id
        link.request_id_ref.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED
    else:
        link.event_ref.event_id = 1
        link.event_ref.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
    return Link(workflow_event=link)


@family.serves(SignalWithStartWorkflowExecutionRequest)
async def signal_with_start_workflow_execution(
    scope: Scope, request: SignalWithStartWorkflowExecutionRequest
) -> SignalWithStartWorkflowExecutionResponse:
    """Signal the open run, or start one that has the signal."""
    ports = scope.region.ports
    start_checks.signal_with_start_request(
        request, scope.namespace.record, scope.limits, ports.ids.uuid, ports.clock.now()
    )
    reply = await scope.region.changes.signal_with_start(scope.namespace, request)
    return SignalWithStartWorkflowExecutionResponse(run_id=reply.run_id, started=reply.started)
