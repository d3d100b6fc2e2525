"""What workers do with activities: poll, heartbeat, complete, fail, cancel; by token and by id.

The rules are `core.activity`. A by-id call stands for whichever attempt is pending. An answer that is over
2 MB fails the activity instead.
Real: workflow_handler.go.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payloads
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    RecordActivityTaskHeartbeatByIdRequest,
    RecordActivityTaskHeartbeatByIdResponse,
    RecordActivityTaskHeartbeatRequest,
    RecordActivityTaskHeartbeatResponse,
    RespondActivityTaskCanceledByIdRequest,
    RespondActivityTaskCanceledByIdResponse,
    RespondActivityTaskCanceledRequest,
    RespondActivityTaskCanceledResponse,
    RespondActivityTaskCompletedByIdRequest,
    RespondActivityTaskCompletedByIdResponse,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskCompletedResponse,
    RespondActivityTaskFailedByIdRequest,
    RespondActivityTaskFailedByIdResponse,
    RespondActivityTaskFailedRequest,
    RespondActivityTaskFailedResponse,
)

from mockcloud.core import activity, failures
from mockcloud.core.activity import HeartbeatReply
from mockcloud.core.change import RunChange
from mockcloud.core.derived import TaskKind
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.tokens import TaskToken
from mockcloud.frontend import validation
from mockcloud.frontend.scope import Family, Scope

family: Final = Family()

ByIdRequest = (
    RecordActivityTaskHeartbeatByIdRequest
    | RespondActivityTaskCompletedByIdRequest
    | RespondActivityTaskFailedByIdRequest
    | RespondActivityTaskCanceledByIdRequest
)


@family.serves(PollActivityTaskQueueRequest)
async def poll_activity_task_queue(
    scope: Scope, request: PollActivityTaskQueueRequest
) -> PollActivityTaskQueueResponse:
    """Wait for an activity; empty when none comes in time."""
    validation.poll_deadline(scope.remaining)
    validation.poll_queue(request.task_queue, scope.limits, present=request.HasField("task_queue"))
    validation.identity(request.identity, scope.limits)
    validation.versioning(request.worker_version_capabilities, request.deployment_options, scope.limits)
    return await scope.region.matching.poll_activity_task(
        scope.namespace, request, scope.long_poll(scope.limits.task_poll)
    )


# Heartbeats


@family.serves(RecordActivityTaskHeartbeatRequest)
async def record_activity_task_heartbeat(
    scope: Scope, request: RecordActivityTaskHeartbeatRequest
) -> RecordActivityTaskHeartbeatResponse:
    """Keep an attempt's progress."""
    reply = await _heartbeat(
        scope, TaskToken.load(request.task_token), _payloads(request, request.details), request.identity
    )
    return RecordActivityTaskHeartbeatResponse(
        cancel_requested=reply.cancel_requested, activity_paused=reply.paused, activity_reset=reply.reset
    )


@family.serves(RecordActivityTaskHeartbeatByIdRequest)
async def record_activity_task_heartbeat_by_id(
    scope: Scope, request: RecordActivityTaskHeartbeatByIdRequest
) -> RecordActivityTaskHeartbeatByIdResponse:
    """The same, by id."""
    reply = await _heartbeat(
        scope, _token_by_id(scope, request), _payloads(request, request.details), request.identity
    )
    return RecordActivityTaskHeartbeatByIdResponse(
        cancel_requested=reply.cancel_requested, activity_paused=reply.paused, activity_reset=reply.reset
    )


async def _heartbeat(
    scope: Scope, token: TaskToken, details: Payloads | None, identity: str
) -> HeartbeatReply:
    if details is not None and validation.too_large(details, scope.limits):
        await _fail_too_large(scope, token, validation.HEARTBEAT_TOO_LARGE, identity)
        return HeartbeatReply(cancel_requested=True)

    def rule(change: RunChange) -> HeartbeatReply:
        return activity.heartbeat(change, token, details, identity)

    return await scope.region.changes.update(scope.namespace, token.workflow_id, token.run_id, rule)


# Completion


@family.serves(RespondActivityTaskCompletedRequest)
async def respond_activity_task_completed(
    scope: Scope, request: RespondActivityTaskCompletedRequest
) -> RespondActivityTaskCompletedResponse:
    """Close an activity with its result."""
    await _complete(scope, TaskToken.load(request.task_token), request)
    return RespondActivityTaskCompletedResponse()


@family.serves(RespondActivityTaskCompletedByIdRequest)
async def respond_activity_task_completed_by_id(
    scope: Scope, request: RespondActivityTaskCompletedByIdRequest
) -> RespondActivityTaskCompletedByIdResponse:
    """The same, by id."""
    await _complete(scope, _token_by_id(scope, request), request)
    return RespondActivityTaskCompletedByIdResponse()


async def _complete(
    scope: Scope,
    token: TaskToken,
    request: RespondActivityTaskCompletedRequest | RespondActivityTaskCompletedByIdRequest,
) -> None:
    validation.identity(request.identity, scope.limits)
    result = _payloads(request, request.result, "result")
    if result is not None and validation.too_large(result, scope.limits):
        await _fail_too_large(scope, token, validation.COMPLETE_RESULT_TOO_LARGE, request.identity)
        return
    stamp = None
    if isinstance(request, RespondActivityTaskCompletedRequest) and request.HasField("worker_version"):
        stamp = request.worker_version

    def rule(change: RunChange) -> None:
        activity.complete(change, token, result, request.identity, stamp)

    await scope.region.changes.update(scope.namespace, token.workflow_id, token.run_id, rule)


# Failure


@family.serves(RespondActivityTaskFailedRequest)
async def respond_activity_task_failed(
    scope: Scope, request: RespondActivityTaskFailedRequest
) -> RespondActivityTaskFailedResponse:
    """End an attempt with a failure."""
    found = await _fail(scope, TaskToken.load(request.task_token), request)
    return RespondActivityTaskFailedResponse(failures=found)


@family.serves(RespondActivityTaskFailedByIdRequest)
async def respond_activity_task_failed_by_id(
    scope: Scope, request: RespondActivityTaskFailedByIdRequest
) -> RespondActivityTaskFailedByIdResponse:
    """The same, by id."""
    found = await _fail(scope, _token_by_id(scope, request), request)
    return RespondActivityTaskFailedByIdResponse(failures=found)


async def _fail(
    scope: Scope,
    token: TaskToken,
    request: RespondActivityTaskFailedRequest | RespondActivityTaskFailedByIdRequest,
) -> list[Failure]:
    """Returns what was wrong with the request itself: parts of it that were too large."""
    validation.activity_failure(request.failure, present=request.HasField("failure"))
    validation.identity(request.identity, scope.limits)
    found: list[Failure] = []
    details = _payloads(request, request.last_heartbeat_details, "last_heartbeat_details")
    if details is not None and validation.too_large(details, scope.limits):
        found.append(failures.server_failure(validation.HEARTBEAT_TOO_LARGE, non_retryable=True))
        details = None
    if isinstance(request, RespondActivityTaskFailedByIdRequest):
        details = None  # the real server checks them, and then loses them
    failure = request.failure
    if validation.too_large(failure, scope.limits):
        kept = failures.server_failure(validation.FAILURE_TOO_LARGE, non_retryable=True)
        kept.cause.CopyFrom(failures.truncated(failure, scope.limits.blob_bytes // 4))
        failure = kept
        found.append(kept)
    stamp = None
    if isinstance(request, RespondActivityTaskFailedRequest) and request.HasField("worker_version"):
        stamp = request.worker_version

    def rule(change: RunChange) -> None:
        activity.fail(
            change, token, failure, request.identity, last_heartbeat_details=details, worker_version=stamp
        )

    await scope.region.changes.update(scope.namespace, token.workflow_id, token.run_id, rule)
    return found


# Cancellation


@family.serves(RespondActivityTaskCanceledRequest)
async def respond_activity_task_canceled(
    scope: Scope, request: RespondActivityTaskCanceledRequest
) -> RespondActivityTaskCanceledResponse:
    """Close an activity as cancelled, as its workflow asked for."""
    await _cancel(scope, TaskToken.load(request.task_token), request)
    return RespondActivityTaskCanceledResponse()


@family.serves(RespondActivityTaskCanceledByIdRequest)
async def respond_activity_task_canceled_by_id(
    scope: Scope, request: RespondActivityTaskCanceledByIdRequest
) -> RespondActivityTaskCanceledByIdResponse:
    """The same, by id."""
    await _cancel(scope, _token_by_id(scope, request), request)
    return RespondActivityTaskCanceledByIdResponse()


async def _cancel(
    scope: Scope,
    token: TaskToken,
    request: RespondActivityTaskCanceledRequest | RespondActivityTaskCanceledByIdRequest,
) -> None:
    validation.identity(request.identity, scope.limits)
    details = _payloads(request, request.details)
    if details is not None and validation.too_large(details, scope.limits):
        await _fail_too_large(scope, token, validation.CANCEL_DETAILS_TOO_LARGE, request.identity)
        return

    def rule(change: RunChange) -> None:
        activity.cancel(change, token, details, request.identity)

    await scope.region.changes.update(scope.namespace, token.workflow_id, token.run_id, rule)


# Shared


async def _fail_too_large(scope: Scope, token: TaskToken, reason: str, identity: str) -> None:
    failure = failures.server_failure(reason, non_retryable=True)

    def rule(change: RunChange) -> None:
        activity.fail(change, token, failure, identity)

    await scope.region.changes.update(scope.namespace, token.workflow_id, token.run_id, rule)


def _token_by_id(scope: Scope, request: ByIdRequest) -> TaskToken:
    if not request.activity_id:
        raise InvalidArgument("ActivityId is not set on request.")
    if not request.workflow_id:
        raise InvalidArgument("WorkflowId is not set on request.")
    validation.run_id(request.run_id, "RunId is not valid UUID.")
    return TaskToken(
        namespace_id=scope.namespace.id,
        workflow_id=request.workflow_id,
        run_id=request.run_id,
        scheduled_event_id=0,
        attempt=1,
        version=0,
        kind=TaskKind.ACTIVITY,
        activity_id=request.activity_id,
    )


def _payloads(request: Message, value: Payloads, field: str = "details") -> Payloads | None:
    return value if request.HasField(field) else None
