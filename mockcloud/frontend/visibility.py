"""Lists and counts of workflows. What a query may say is `visibility_query`."""

from __future__ import annotations

import sqlite3
from typing import Final

from temporalio.api.common.v1 import Memo, Payload, SearchAttributes, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    CountWorkflowExecutionsResponse,
    ListWorkflowExecutionsRequest,
    ListWorkflowExecutionsResponse,
)

from mockcloud.core import failures, times
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.tokens import ListPageToken
from mockcloud.frontend import visibility_query
from mockcloud.frontend.scope import Family, Scope
from mockcloud.store import visibility
from mockcloud.store.visibility import ListedRun, VisibilityCursor

family: Final = Family()


@family.serves(ListWorkflowExecutionsRequest)
async def list_workflow_executions(
    scope: Scope, request: ListWorkflowExecutionsRequest
) -> ListWorkflowExecutionsResponse:
    """One page of runs, open ones first, newest first."""
    namespace_id = scope.namespace.id
    longest = scope.limits.list_page
    size = request.page_size if 0 < request.page_size <= longest else longest
    cursor = _cursor(request.next_page_token, namespace_id)
    query = visibility_query.parse(request.query)
    if query.by_status:
        raise InvalidArgument("invalid query: operation is not supported: 'GROUP BY' clause")

    def read(connection: sqlite3.Connection) -> tuple[list[ListedRun], VisibilityCursor | None]:
        return visibility.list_runs(connection, namespace_id, query.filter, size, cursor)

    runs, following = await scope.region.store.read(read)
    return ListWorkflowExecutionsResponse(
        executions=[_listed(run) for run in runs],
        next_page_token=b"" if following is None else _token(following, namespace_id),
    )


@family.serves(CountWorkflowExecutionsRequest)
async def count_workflow_executions(
    scope: Scope, request: CountWorkflowExecutionsRequest
) -> CountWorkflowExecutionsResponse:
    """How many runs, in all or by status."""
    namespace_id = scope.namespace.id
    query = visibility_query.parse(request.query)
    store = scope.region.store
    if not query.by_status:
        count = await store.read(
            lambda connection: visibility.count_runs(connection, namespace_id, query.filter)
        )
        return CountWorkflowExecutionsResponse(count=count)
    by_status = await store.read(
        lambda connection: visibility.count_by_status(connection, namespace_id, query.filter)
    )
    response = CountWorkflowExecutionsResponse(count=sum(by_status.values()))
    for status, count in sorted(by_status.items()):
        response.groups.add(group_values=[_keyword(_status_name(status))], count=count)
    return response


def _cursor(raw: bytes, namespace_id: str) -> VisibilityCursor | None:
    if not raw:
        return None
    token = ListPageToken.load(raw, namespace_id)
    return VisibilityCursor(token.order_time, token.start_time, token.run_id)


def _token(cursor: VisibilityCursor, namespace_id: str) -> bytes:
    return ListPageToken(namespace_id, cursor.order_time, cursor.start_time, cursor.run_id).dump()


def _listed(run: ListedRun) -> WorkflowExecutionInfo:
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
        search_attributes=SearchAttributes.FromString(row.search_attributes),
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


def _keyword(text: str) -> Payload:
    """A search attribute's value as the real server encodes it."""
    return Payload(metadata={"encoding": b"json/plain", "type": b"Keyword"}, data=f'"{text}"'.encode())


def _status_name(status: WorkflowExecutionStatus.ValueType) -> str:
    return failures.camel_case(WorkflowExecutionStatus.Name(status), "WORKFLOW_EXECUTION_STATUS_")
