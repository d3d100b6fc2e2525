"""What workers do with workflow tasks: poll, complete, fail. See `engine.workflow_tasks`."""

from __future__ import annotations

from typing import Final

from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RespondWorkflowTaskCompletedRequest,
    RespondWorkflowTaskCompletedResponse,
    RespondWorkflowTaskFailedRequest,
    RespondWorkflowTaskFailedResponse,
)

from mockcloud.core import failures
from mockcloud.core.tokens import TaskToken
from mockcloud.frontend import validation
from mockcloud.frontend.scope import Family, Scope

family: Final = Family()


@family.serves(PollWorkflowTaskQueueRequest)
async def poll_workflow_task_queue(
    scope: Scope, request: PollWorkflowTaskQueueRequest
) -> PollWorkflowTaskQueueResponse:
    """Wait for a workflow task or a query; empty when none comes in time."""
    validation.poll_deadline(scope.remaining)
    validation.identity(request.identity, scope.limits)
    validation.versioning(request.worker_version_capabilities, request.deployment_options, scope.limits)
    validation.poll_queue(request.task_queue, scope.limits, present=request.HasField("task_queue"))
    return await scope.region.matching.poll_workflow_task(
        scope.namespace, request, scope.long_poll(scope.limits.task_poll)
    )


@family.serves(RespondWorkflowTaskCompletedRequest)
async def respond_workflow_task_completed(
    scope: Scope, request: RespondWorkflowTaskCompletedRequest
) -> RespondWorkflowTaskCompletedResponse:
    """Do what the worker's commands say; the answer may hold the next task, and activities to begin."""
    validation.identity(request.identity, scope.limits)
    validation.versioning(request.worker_version_stamp, request.deployment_options, scope.limits)
    token = TaskToken.load(request.task_token)
    return await scope.region.workflow_tasks.complete(scope.namespace, token, request)


@family.serves(RespondWorkflowTaskFailedRequest)
async def respond_workflow_task_failed(
    scope: Scope, request: RespondWorkflowTaskFailedRequest
) -> RespondWorkflowTaskFailedResponse:
    """End a task that the worker could not do."""
    token = TaskToken.load(request.task_token)
    validation.identity(request.identity, scope.limits)
    if validation.too_large(request.failure, scope.limits):
        kept = failures.server_failure(validation.FAILURE_TOO_LARGE, non_retryable=True)
        kept.cause.CopyFrom(failures.truncated(request.failure, scope.limits.blob_bytes // 4))
        request.failure.CopyFrom(kept)

    await scope.region.workflow_tasks.fail(scope.namespace, token, request)
    return RespondWorkflowTaskFailedResponse()
