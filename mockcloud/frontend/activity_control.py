"""What operators do to pending activities of a workflow: pause, unpause, reset, change options.

The rules are `core.activity_control`. Real: workflow_handler.go.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from temporalio.api.workflowservice.v1 import (
    PauseActivityRequest,
    PauseActivityResponse,
    ResetActivityRequest,
    ResetActivityResponse,
    UnpauseActivityRequest,
    UnpauseActivityResponse,
    UpdateActivityOptionsRequest,
    UpdateActivityOptionsResponse,
)

from mockcloud.core import activity_control
from mockcloud.core.activity_control import ControlRequest
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.validation import priority
from mockcloud.frontend import validation
from mockcloud.frontend.scope import Family, Scope

family: Final = Family()


@family.serves(PauseActivityRequest)
async def pause_activity(scope: Scope, request: PauseActivityRequest) -> PauseActivityResponse:
    """Offer activities to no worker until they are unpaused."""
    _check(request)
    run = request.execution
    await scope.region.changes.update(
        scope.namespace, run.workflow_id, run.run_id, partial(activity_control.pause, request=request)
    )
    return PauseActivityResponse()


@family.serves(UnpauseActivityRequest)
async def unpause_activity(scope: Scope, request: UnpauseActivityRequest) -> UnpauseActivityResponse:
    """Let paused activities go on."""
    _check(request)
    run = request.execution
    await scope.region.changes.update(
        scope.namespace, run.workflow_id, run.run_id, partial(activity_control.unpause, request=request)
    )
    return UnpauseActivityResponse()


@family.serves(ResetActivityRequest)
async def reset_activity(scope: Scope, request: ResetActivityRequest) -> ResetActivityResponse:
    """Begin activities anew with their first attempt."""
    _check(request)
    run = request.execution
    await scope.region.changes.update(
        scope.namespace, run.workflow_id, run.run_id, partial(activity_control.reset, request=request)
    )
    return ResetActivityResponse()


@family.serves(UpdateActivityOptionsRequest)
async def update_activity_options(
    scope: Scope, request: UpdateActivityOptionsRequest
) -> UpdateActivityOptionsResponse:
    """Change the options that the mask names, or give back those of the beginning."""
    _check(request)
    priority(request.activity_options.priority)
    run = request.execution
    options = await scope.region.changes.update(
        scope.namespace,
        run.workflow_id,
        run.run_id,
        partial(activity_control.update_options, request=request),
    )
    return UpdateActivityOptionsResponse(activity_options=options)


def _check(request: ControlRequest) -> None:
    if not request.execution.workflow_id:
        raise InvalidArgument("WorkflowId is not set on request.")
    validation.run_id(request.execution.run_id, "RunId is not valid UUID.")
    if request.WhichOneof("activity") is None:
        raise InvalidArgument("Either Activity.Id or Activity.Type should be set on request.")
