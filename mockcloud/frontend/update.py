"""Updates: asking a workflow to change and to answer, and asking what has become of that. See `engine.updates`.

With a start in the same call: `engine.update_with_start`. Real: service/frontend/workflow_handler.go,
UpdateWorkflowExecution, PollWorkflowExecutionUpdate and ExecuteMultiOperation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from temporalio.api.enums.v1 import UpdateWorkflowExecutionLifecycleStage
from temporalio.api.errordetails.v1 import PermissionDeniedFailure
from temporalio.api.workflowservice.v1 import (
    ExecuteMultiOperationRequest,
    ExecuteMultiOperationResponse,
    PollWorkflowExecutionUpdateRequest,
    PollWorkflowExecutionUpdateResponse,
    StartWorkflowExecutionRequest,
    UpdateWorkflowExecutionRequest,
    UpdateWorkflowExecutionResponse,
)

from mockcloud.core import start_checks, times
from mockcloud.core.errors import (
    InvalidArgument,
    MultiOperationAborted,
    MultiOperationExecution,
    NamespaceNotFound,
    PermissionDenied,
    ServiceError,
)
from mockcloud.core.limits import Limits
from mockcloud.frontend import switches, validation
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
    switches.require(switches.updates, scope.limits)
    execution = request.update_ref.workflow_execution
    if not execution.workflow_id:
        raise InvalidArgument("Can't load workflow execution.  WorkflowId not set.")
    validation.run_id(execution.run_id, "RunId is not valid UUID.")
    return await scope.region.updates.poll(scope.namespace, request, scope.deadline)


@family.serves(ExecuteMultiOperationRequest)
async def execute_multi_operation(
    scope: Scope, request: ExecuteMultiOperationRequest
) -> ExecuteMultiOperationResponse:
    """Update a workflow, and start it if need be."""
    operations = request.operations
    if [operation.WhichOneof("operation") for operation in operations] != [
        "start_workflow",
        "update_workflow",
    ]:
        raise InvalidArgument("Operations have to be exactly [Start, Update].")
    start, update = operations[0].start_workflow, operations[1].update_workflow
    errors = [
        _refusal(lambda: _prepare_start(scope, start)),
        _refusal(lambda: _prepare_update(scope, update)),
    ]
    inconsistent = start.workflow_id != update.workflow_execution.workflow_id
    if inconsistent and errors == [None, None]:
        errors[1] = InvalidArgument("WorkflowId is not consistent with previous operation(s).")
    if any(errors):
        raise MultiOperationExecution([error or MultiOperationAborted() for error in errors])
    return await scope.region.update_with_start.execute(scope.namespace, start, update, scope.deadline)


def _refusal(check: Callable[[], None]) -> ServiceError | None:
    """What a check raises."""
    try:
        check()
    except ServiceError as error:
        return error
    return None


def _prepare_start(scope: Scope, request: StartWorkflowExecutionRequest) -> None:
    """Real: convertToHistoryMultiOperationItem."""
    _same_namespace(scope, request.namespace)
    ports = scope.region.ports
    start_checks.start_request(
        request, scope.namespace.record, scope.limits, ports.ids.uuid, ports.clock.now()
    )
    if not request.namespace:  # the real frontend looks it up here, for the search attributes
        raise NamespaceNotFound("")
    if request.cron_schedule:
        raise InvalidArgument("CronSchedule is not allowed.")
    if request.request_eager_execution:
        raise InvalidArgument("RequestEagerExecution is not supported.")
    if times.nanoseconds(request.workflow_start_delay) > 0:
        raise InvalidArgument("WorkflowStartDelay is not supported.")


def _prepare_update(scope: Scope, request: UpdateWorkflowExecutionRequest) -> None:
    """Real: convertToHistoryMultiOperationItem."""
    _same_namespace(scope, request.namespace)
    prepare(request, scope.limits, scope.region.ports.ids.uuid)
    if request.first_execution_run_id:
        raise InvalidArgument("FirstExecutionRunId is not allowed.")
    if request.workflow_execution.run_id:
        raise InvalidArgument("RunId is not allowed.")


def _same_namespace(scope: Scope, name: str) -> None:
    if name and name != scope.namespace.name:
        raise InvalidArgument("Operation namespace did not match request's namespace.")


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
    switches.require(switches.updates, limits)
    policy = request.wait_policy
    if not policy.lifecycle_stage:
        policy.lifecycle_stage = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED
    if policy.lifecycle_stage == Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ADMITTED:
        raise PermissionDenied(
            "UpdateWorkflowExecution issued asynchronously and waiting on update admitted is not supported.",
            PermissionDeniedFailure(),
        )
    if policy.lifecycle_stage == Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED:
        switches.require(switches.updates_until_accepted, limits)
