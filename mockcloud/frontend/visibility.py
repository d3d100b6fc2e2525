"""Lists and counts of workflows. What a query may say is `core.visibility_query`.

The older lists (open, closed) are queries with a form to fill in; a scan is a list. Real:
service/frontend/workflow_handler.go.
"""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Memo, SearchAttributes, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.filter.v1 import StartTimeFilter
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    CountWorkflowExecutionsResponse,
    GetSearchAttributesRequest,
    GetSearchAttributesResponse,
    ListArchivedWorkflowExecutionsRequest,
    ListArchivedWorkflowExecutionsResponse,
    ListClosedWorkflowExecutionsRequest,
    ListClosedWorkflowExecutionsResponse,
    ListOpenWorkflowExecutionsRequest,
    ListOpenWorkflowExecutionsResponse,
    ListWorkflowExecutionsRequest,
    ListWorkflowExecutionsResponse,
    ScanWorkflowExecutionsRequest,
    ScanWorkflowExecutionsResponse,
)

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import search_attributes, sql, times
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.search_attribute_values import KEYWORD, encode
from mockcloud.core.tokens import ListPageToken
from mockcloud.core.visibility_filter import VisibilityQuery
from mockcloud.frontend.scope import Family, Scope
from mockcloud.store import visibility
from mockcloud.store.visibility import ListedRun, VisibilityCursor

family: Final = Family()

_ARCHIVAL_PAGE: Final = 10_000  # frontend.visibilityArchivalQueryMaxPageSize
_NO_TIME: Final = -62_135_596_800  # seconds of Go's zero time, which stands for none

_Status: Final = WorkflowExecutionStatus


@family.serves(ListWorkflowExecutionsRequest)
async def list_workflow_executions(
    scope: Scope, request: ListWorkflowExecutionsRequest
) -> ListWorkflowExecutionsResponse:
    """One page of runs, open ones first, newest first."""
    runs, token = await list_page(scope, request.query, request.page_size, request.next_page_token)
    return ListWorkflowExecutionsResponse(executions=runs, next_page_token=token)


@family.serves(ScanWorkflowExecutionsRequest)
async def scan_workflow_executions(
    scope: Scope, request: ScanWorkflowExecutionsRequest
) -> ScanWorkflowExecutionsResponse:
    """The same as a list, as it is today."""
    runs, token = await list_page(scope, request.query, request.page_size, request.next_page_token)
    return ScanWorkflowExecutionsResponse(executions=runs, next_page_token=token)


@family.serves(ListOpenWorkflowExecutionsRequest)
async def list_open_workflow_executions(
    scope: Scope, request: ListOpenWorkflowExecutionsRequest
) -> ListOpenWorkflowExecutionsResponse:
    """Running workflows by start time, and by id or type."""
    terms = ["ExecutionStatus = 'Running'", *_within("StartTime", request.start_time_filter)]
    if request.HasField("execution_filter"):
        terms.append(f"WorkflowId = '{request.execution_filter.workflow_id}'")
    elif request.HasField("type_filter"):
        terms.append(f"WorkflowType = '{request.type_filter.name}'")
    runs, token = await list_page(
        scope, " AND ".join(terms), request.maximum_page_size, request.next_page_token
    )
    return ListOpenWorkflowExecutionsResponse(executions=runs, next_page_token=token)


@family.serves(ListClosedWorkflowExecutionsRequest)
async def list_closed_workflow_executions(
    scope: Scope, request: ListClosedWorkflowExecutionsRequest
) -> ListClosedWorkflowExecutionsResponse:
    """Workflows that do not run by close time, and by id, type or status."""
    terms = ["ExecutionStatus != 'Running'", *_within("CloseTime", request.start_time_filter)]
    if request.HasField("execution_filter"):
        terms.append(f"WorkflowId = '{request.execution_filter.workflow_id}'")
    elif request.HasField("type_filter"):
        terms.append(f"WorkflowType = '{request.type_filter.name}'")
    elif request.HasField("status_filter"):
        status = request.status_filter.status
        if status in (
            _Status.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED,
            _Status.WORKFLOW_EXECUTION_STATUS_RUNNING,
        ):
            raise InvalidArgument("StatusFilter must be specified and must be not Running.")
        terms.append(f"ExecutionStatus = {int(status)}")
    runs, token = await list_page(
        scope, " AND ".join(terms), request.maximum_page_size, request.next_page_token
    )
    return ListClosedWorkflowExecutionsResponse(executions=runs, next_page_token=token)


@family.serves(ListArchivedWorkflowExecutionsRequest)
async def list_archived_workflow_executions(
    scope: Scope, request: ListArchivedWorkflowExecutionsRequest
) -> ListArchivedWorkflowExecutionsResponse:
    """Refused: there is no archive, as in the dev server."""
    if request.page_size > _ARCHIVAL_PAGE:
        raise InvalidArgument(f"PageSize is larger than allowed {_ARCHIVAL_PAGE}.")
    raise InvalidArgument("Cluster is not configured for visibility archival.")


@family.serves(CountWorkflowExecutionsRequest)
async def count_workflow_executions(
    scope: Scope, request: CountWorkflowExecutionsRequest
) -> CountWorkflowExecutionsResponse:
    """How many runs, in all or by status."""
    namespace_id = scope.namespace.id
    query = await parsed(request.query, scope.namespace.record)
    store = scope.region.store
    if query.group_by is None:
        count = await store.read(
            lambda connection: visibility.count_runs(connection, namespace_id, query.filter)
        )
        return CountWorkflowExecutionsResponse(count=count)
    from mockcloud.core.visibility_query import status_named

    by_status = await store.read(
        lambda connection: visibility.count_by_status(connection, namespace_id, query.filter)
    )
    response = CountWorkflowExecutionsResponse(count=sum(by_status.values()))
    for status, count in sorted(by_status.items()):
        name = encode(status_named(status), KEYWORD)
        response.groups.add(group_values=[name], count=count)
    return response


@family.serves(GetSearchAttributesRequest)
async def get_search_attributes(
    scope: Scope, request: GetSearchAttributesRequest
) -> GetSearchAttributesResponse:
    """What can be searched for in any namespace; those of one are listed by OperatorService.

    The columns that the real server keeps for custom attributes are part of its answer, not their names.
    """
    return GetSearchAttributesResponse(
        keys={**search_attributes.SYSTEM, **search_attributes.PREDEFINED, **search_attributes.COLUMNS}
    )


async def list_page(
    scope: Scope, text: str, page_size: int, page_token: bytes
) -> tuple[list[WorkflowExecutionInfo], bytes]:
    """One page of the runs that a query finds, and the token of the next: empty when there is none.

    Raises:
        InvalidArgument: the query or the token is bad.
    """
    namespace = scope.namespace
    longest = scope.limits.list_page
    size = page_size if 0 < page_size <= longest else longest
    cursor = cursor_of(page_token, namespace.id)
    query = await parsed(text, namespace.record)
    if query.group_by is not None:
        raise InvalidArgument("invalid query: operation is not supported: 'GROUP BY' clause")

    def read(connection: sqlite3.Connection) -> tuple[list[ListedRun], VisibilityCursor | None]:
        return visibility.list_runs(connection, namespace.id, query.filter, size, cursor)

    runs, following = await scope.region.store.read(read)
    return [_listed(run, namespace.record) for run in runs], token_of(following, namespace.id)


async def parsed(query: str, record: NamespaceRecord) -> VisibilityQuery:
    """What a query means.

    Raises:
        InvalidArgument: it is no filter.
    """
    from mockcloud.core import visibility_query  # with the first list: a cloud starts without it

    if query:
        await parser_ready()
    return visibility_query.parse(query, record)


async def parser_ready() -> None:
    """Wait until a filter can be read: the first one of all has the parser made, beside the event loop."""
    if not sql.prepared():
        await asyncio.to_thread(sql.prepare)


def _within(field: str, wanted: StartTimeFilter) -> list[str]:
    """The condition on a time; a bound that is not set is none."""
    earliest = _bound(wanted.earliest_time) if wanted.HasField("earliest_time") else None
    latest = _bound(wanted.latest_time) if wanted.HasField("latest_time") else None
    if earliest is not None and latest is not None:
        if earliest > latest:
            raise InvalidArgument("EarliestTime in StartTimeFilter should not be larger than LatestTime.")
        return [f"{field} BETWEEN {earliest} AND {latest}"]
    if earliest is not None:
        return [f"{field} >= {earliest}"]
    return [] if latest is None else [f"{field} <= {latest}"]


def _bound(moment: Timestamp) -> int | None:
    """Nanoseconds, cut to what a query can say."""
    if moment.seconds == _NO_TIME and not moment.nanos:
        return None
    largest = (1 << 63) - 1
    return max(-largest, min(times.nanoseconds(moment), largest))


def cursor_of(raw: bytes, namespace_id: str) -> VisibilityCursor | None:
    """Where a page token goes on; None: it is the first page. Raises InvalidArgument."""
    if not raw:
        return None
    token = ListPageToken.load(raw, namespace_id)
    return VisibilityCursor(token.order_time, token.start_time, token.run_id)


def token_of(cursor: VisibilityCursor | None, namespace_id: str) -> bytes:
    """The token of the next page; empty: there is none."""
    if cursor is None:
        return b""
    return ListPageToken(namespace_id, cursor.order_time, cursor.start_time, cursor.run_id).dump()


def _listed(run: ListedRun, namespace: NamespaceRecord) -> WorkflowExecutionInfo:
    """A run as lists show it. Real: visibility_manager_impl.convertInternalWorkflowExecutionInfo."""
    row = run.row
    info = WorkflowExecutionInfo(
        execution=WorkflowExecution(workflow_id=run.workflow_id, run_id=run.run_id),
        type=WorkflowType(name=row.workflow_type),
        task_queue=row.task_queue,
        status=row.status,
        start_time=times.timestamp(row.start_time),
        execution_time=times.timestamp(row.execution_time),
        memo=Memo.FromString(row.memo),
        search_attributes=search_attributes.visible(
            namespace, SearchAttributes.FromString(row.search_attributes).indexed_fields
        ),
    )
    if row.close_time:
        info.close_time.CopyFrom(times.timestamp(row.close_time))
        info.execution_duration.CopyFrom(times.duration(row.close_time - row.execution_time))
        info.history_length = row.history_length
        info.history_size_bytes = row.history_size
        info.state_transition_count = row.state_transitions
    if row.parent_workflow_id:
        info.parent_execution.workflow_id = row.parent_workflow_id
        info.parent_execution.run_id = row.parent_run_id
    if row.root_workflow_id:
        info.root_execution.workflow_id = row.root_workflow_id
        info.root_execution.run_id = row.root_run_id
    return info
