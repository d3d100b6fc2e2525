"""What clients do to a workflow: signal, ask to cancel, terminate, describe. The rules are `core.signals`."""

from __future__ import annotations

from functools import partial
from typing import Final

from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    RequestCancelWorkflowExecutionRequest,
    RequestCancelWorkflowExecutionResponse,
    SignalWorkflowExecutionRequest,
    SignalWorkflowExecutionResponse,
    TerminateWorkflowExecutionRequest,
    TerminateWorkflowExecutionResponse,
)

from mockcloud.core import signals
from mockcloud.core.describe import describe
from mockcloud.frontend import validation
from mockcloud.frontend.scope import Family, Scope

family: Final = Family()


@family.serves(SignalWorkflowExecutionRequest)
async def signal_workflow_execution(
    scope: Scope, request: SignalWorkflowExecutionRequest
) -> SignalWorkflowExecutionResponse:
    """Signal an open run."""
    validation.signal(request, scope.limits)
    run = request.workflow_execution
    error = await scope.region.changes.update(
        scope.namespace, run.workflow_id, run.run_id, partial(signals.signal, request=request)
    )
    if error is not None:  # the history is too long: the run was terminated instead
        raise error
    return SignalWorkflowExecutionResponse()


@family.serves(RequestCancelWorkflowExecutionRequest)
async def request_cancel_workflow_execution(
    scope: Scope, request: RequestCancelWorkflowExecutionRequest
) -> RequestCancelWorkflowExecutionResponse:
    """Ask a run to cancel itself."""
    run = request.workflow_execution
    validation.request_cancel(request, scope.limits)
    await scope.region.changes.update(
        scope.namespace, run.workflow_id, run.run_id, partial(signals.request_cancel, request=request)
    )
    return RequestCancelWorkflowExecutionResponse()


@family.serves(TerminateWorkflowExecutionRequest)
async def terminate_workflow_execution(
    scope: Scope, request: TerminateWorkflowExecutionRequest
) -> TerminateWorkflowExecutionResponse:
    """Close a run at once."""
    validation.terminate(request, scope.limits)
    run = request.workflow_execution
    await scope.region.changes.update(
        scope.namespace, run.workflow_id, run.run_id, partial(signals.terminate, request=request)
    )
    return TerminateWorkflowExecutionResponse()


@family.serves(DescribeWorkflowExecutionRequest)
async def describe_workflow_execution(
    scope: Scope, request: DescribeWorkflowExecutionRequest
) -> DescribeWorkflowExecutionResponse:
    """A run as this region knows it."""
    run = request.execution
    validation.execution(run, present=request.HasField("execution"))
    now = scope.region.ports.clock.now()
    record = scope.namespace.record
    return await scope.region.changes.read(
        scope.namespace, run.workflow_id, run.run_id, lambda found: describe(found, now, record)
    )
