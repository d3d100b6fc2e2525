"""What a filtered list over many workflows costs: the first page by RPC, in milliseconds, the best of five.

`python -m bench.lists` fills one region's lists with 100,000 rows, as they would stand there, and asks for each filter.
The first ones are answered from an index; the last ones have to look at every row, for they find nothing.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import time
from typing import Final

import grpc.aio
from temporalio.api.common.v1 import Memo, Payload, SearchAttributes
from temporalio.api.enums.v1 import IndexedValueType, WorkflowExecutionStatus
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest, ListWorkflowExecutionsResponse

from bench.load import NAMESPACE, PREFIX
from mockcloud import MockCloud
from mockcloud.core import times
from mockcloud.core.derived import VisibilityRow
from mockcloud.store.visibility import put_visibility

ROWS: Final = 100_000
EAST: Final = "aws-us-east-1"

FILTERS: Final = (
    "",
    "WorkflowType = 'Type7'",
    "WorkflowId = 'w-4711'",
    "WorkflowId STARTS_WITH 'w-471'",
    "ExecutionStatus = 'Running' AND WorkflowType = 'Type7'",
    "ExecutionStatus IN ('Failed', 'Completed') AND CloseTime > '2026-01-01T00:00:00Z'",
    "StartTime BETWEEN '2026-01-01T00:00:00Z' AND '2026-01-01T01:00:00Z'",
    "Customer = 'customer-77'",
    "Customer IN ('customer-1', 'customer-2') AND Amount > 10",
    "Amount BETWEEN 100 AND 110 OR Customer = 'customer-5'",
    "NOT WorkflowType = 'Type7' AND Amount < 3",
    # What follows finds nothing.
    "WorkflowType = 'nobody'",
    "Customer = 'nobody'",
    "Amount > 1000000",
    "HistoryLength > 1000000",
    "Customer IS NULL",
)
_COMPLETED: Final = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED
_RUNNING: Final = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
_BEGIN: Final = 1_767_225_600 * times.SECOND  # 2026-01-01


def _row(number: int) -> VisibilityRow:
    closed = number % 10 != 0
    started = _BEGIN + number * times.SECOND
    attributes = SearchAttributes()
    for name, kind, value in (
        ("Customer", b"Keyword", f'"customer-{number % 1000}"'),
        ("Amount", b"Int", str(number % 500)),
    ):
        payload = Payload(metadata={"encoding": b"json/plain", "type": kind}, data=value.encode())
        attributes.indexed_fields[name].CopyFrom(payload)
    return VisibilityRow(
        workflow_type=f"Type{number % 50}",
        task_queue="q",
        status=_COMPLETED if closed else _RUNNING,
        start_time=started,
        execution_time=started,
        close_time=started + times.MINUTE if closed else 0,
        history_length=11 if closed else 0,
        history_size=1_000 if closed else 0,
        state_transitions=5 if closed else 0,
        memo=Memo().SerializeToString(),
        search_attributes=attributes.SerializeToString(),
        parent_workflow_id="",
        parent_run_id="",
        root_workflow_id=f"w-{number}",
        root_run_id=f"run-{number}",
    )


async def first_pages(rows: int = ROWS) -> dict[str, float]:
    """Milliseconds of the first page of each filter."""
    taken = {}
    async with MockCloud(regions=[EAST], namespaces=[NAMESPACE]) as cloud:
        region = cloud.cloud.node(EAST).region
        namespace_id = region.namespaces.by_name(NAMESPACE).id

        def fill(connection: sqlite3.Connection) -> None:
            for number in range(1, rows + 1):
                # Beyond the keys of runs that are there.
                put_visibility(
                    connection, rows + number, namespace_id, f"w-{number}", f"run-{number}", _row(number)
                )

        async with grpc.aio.insecure_channel(cloud.region(EAST).address) as channel:
            add = AddSearchAttributesRequest(namespace=NAMESPACE)
            add.search_attributes["Customer"] = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
            add.search_attributes["Amount"] = IndexedValueType.INDEXED_VALUE_TYPE_INT
            await channel.unary_unary("/temporal.api.operatorservice.v1.OperatorService/AddSearchAttributes")(
                add.SerializeToString()
            )
            await cloud.run(region.store.transact(fill))
            for query in FILTERS:
                request = ListWorkflowExecutionsRequest(namespace=NAMESPACE, page_size=100, query=query)
                raw = request.SerializeToString()
                best = float("inf")
                for _ in range(5):
                    begin = time.perf_counter()
                    answer = await channel.unary_unary(PREFIX + "ListWorkflowExecutions")(raw)
                    best = min(best, time.perf_counter() - begin)
                found = len(ListWorkflowExecutionsResponse.FromString(answer).executions)
                taken[f"{query or 'no filter'} [{found} on the page]"] = round(best * 1000, 1)
    return taken


if __name__ == "__main__":
    print(json.dumps(asyncio.run(first_pages()), indent=1))
    sys.stdout.flush()
