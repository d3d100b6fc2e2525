"""What operators do to pending activities of a workflow: pause, unpause, reset, change options.

The rules are `core.activity_control`. Real: workflow_handler.go.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

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
from mockcloud.core.change import RunChange
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.validation import priority
from mockcloud.frontend import validation
from mockcloud.frontend.scope import Family, Scope

family: Final = Family()

T = TypeVar("T")


@family.serves(PauseActivityRequest)
async def pause_activity(scope: Scope, request: PauseActivityRequest) -> PauseActivityResponse:
    """Offer activities to no worker until they are unpaused."""
    await _control(scope, request, partial(activity_control.pause, request=request))
    return PauseActivityResponse()


@family.serves(UnpauseActivityRequest)
async def unpause_activity(scope: Scope, request: UnpauseActivityRequest) -> UnpauseActivityResponse:
    """Let paused activities go on."""
    await _control(scope, request, partial(activity_control.unpause, request=request))
    return UnpauseActivityResponse()


@family.serves(ResetActivityRequest)
async def reset_activity(scope: Scope, request: ResetActivityRequest) -> ResetActivityResponse:
    """Begin activities anew with their first attempt."""
    await _control(scope, request, partial(activity_control.reset, request=request))
    return ResetActivityResponse()


@family.serves(UpdateActivityOptionsRequest)
async def update_activity_options(
    scope: Scope, request: UpdateActivityOptionsRequest
) -> UpdateActivityOptionsResponse:
    """Change the options that the mask names, or give back those of the beginning."""
    options = await _control(scope, request, partial(activity_control.update_options, request=request))
    return UpdateActivityOptionsResponse(activity_options=options)


async def _control(scope: Scope, request: ControlRequest, rule: Callable[[RunChange], T]) -> T:
    run = request.execution
    if not run.workflow_id:
        raise InvalidArgument("WorkflowId is not set on request.")
    if request.WhichOneof("activity") is None:
        raise InvalidArgument("Either Activity.Id or Activity.Type should be set on request.")
    if isinstance(request, UpdateActivityOptionsRequest):
        priority(request.activity_options.priority)
    validation.run_id(run.run_id, "RunId is not valid UUID.")
    return await scope.region.changes.update(scope.namespace, run.workflow_id, run.run_id, rule)
