"""Queries: asking a workflow, and a worker's answer to a query that came by itself. See `engine.queries`."""

from __future__ import annotations

from typing import Final

from temporalio.api.workflowservice.v1 import (
    QueryWorkflowRequest,
    QueryWorkflowResponse,
    RespondQueryTaskCompletedRequest,
    RespondQueryTaskCompletedResponse,
)

from mockcloud.core import times
from mockcloud.core.errors import DeadlineExceeded
from mockcloud.frontend import validation
from mockcloud.frontend.scope import Family, Scope

family: Final = Family()


@family.serves(QueryWorkflowRequest)
async def query_workflow(scope: Scope, request: QueryWorkflowRequest) -> QueryWorkflowResponse:
    """A worker's answer, within the client's deadline."""
    validation.query(request, scope.limits)
    remaining = scope.remaining
    timeout = scope.limits.query_timeout / times.SECOND if remaining is None else remaining
    try:
        return await scope.region.queries.query(scope.namespace, request, timeout)
    except DeadlineExceeded:
        raise DeadlineExceeded("query timed out before a worker could process it") from None


@family.serves(RespondQueryTaskCompletedRequest)
async def respond_query_task_completed(
    scope: Scope, request: RespondQueryTaskCompletedRequest
) -> RespondQueryTaskCompletedResponse:
    """A worker's answer."""
    scope.region.queries.respond(request)
    return RespondQueryTaskCompletedResponse()
