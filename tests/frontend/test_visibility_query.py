"""The built part of the list filter, and the refusal of the rest by name."""

from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import WorkflowExecutionStatus

from mockcloud.core.errors import InvalidArgument, Unimplemented
from mockcloud.frontend.visibility_query import parse
from mockcloud.store.visibility import VisibilityFilter

RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
FAILED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED
TIMED_OUT = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT


@pytest.mark.parametrize("query", ["", "   "])
def test_an_empty_query_asks_for_all(query: str) -> None:
    assert parse(query).filter == VisibilityFilter()


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("ExecutionStatus = 'Running'", VisibilityFilter(statuses={RUNNING})),
        ('ExecutionStatus="WORKFLOW_EXECUTION_STATUS_RUNNING"', VisibilityFilter(statuses={RUNNING})),
        ("`ExecutionStatus` = 1", VisibilityFilter(statuses={RUNNING})),
        ("ExecutionStatus IN ('Failed', 'TimedOut')", VisibilityFilter(statuses={FAILED, TIMED_OUT})),
        ("WorkflowId = 'order-1'", VisibilityFilter(workflow_id="order-1")),
        ("WorkflowId = 'it''s'", VisibilityFilter(workflow_id="it's")),
        ("RunId = 'r' and WorkflowType = 'T'", VisibilityFilter(run_id="r", workflow_type="T")),
        ("WorkflowId = 'a' AND WorkflowId = 'b'", VisibilityFilter(workflow_id="b", statuses=())),
        (
            "ExecutionStatus = 'Running' AND ExecutionStatus = 'Failed'",
            VisibilityFilter(statuses=set()),
        ),
    ],
)
def test_equalities_joined_by_and(query: str, wanted: VisibilityFilter) -> None:
    assert parse(query).filter == wanted


def test_group_by_status() -> None:
    query = parse("WorkflowType = 'T' GROUP BY ExecutionStatus")
    assert query.by_status
    assert query.filter == VisibilityFilter(workflow_type="T")
    assert parse("group by ExecutionStatus").by_status


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("WorkflowId = 'a' OR WorkflowId = 'b'", "OR"),
        ("WorkflowId != 'a'", "!="),
        ("WorkflowId STARTS_WITH 'a'", "STARTS_WITH"),
        ("StartTime > '2024-01-01'", "StartTime"),
        ("CustomField = 'x'", "CustomField"),
        ("(WorkflowId = 'a')", "("),
        ("WorkflowId = 'a' ORDER BY StartTime", "ORDER"),
    ],
)
def test_the_rest_of_the_language_is_refused_by_name(query: str, named: str) -> None:
    with pytest.raises(Unimplemented) as caught:
        parse(query)
    assert named in caught.value.message


@pytest.mark.parametrize(
    "query",
    [
        "WorkflowId",
        "WorkflowId =",
        "WorkflowId = order",
        "= 'a'",
        "WorkflowId = 'a' 'b'",
        "WorkflowId = 'a' AND",
        "WorkflowId = 'unclosed",
        "ExecutionStatus = 'Nonsense'",
        "ExecutionStatus IN 'Failed'",
        "GROUP BY WorkflowType",
        "GROUP ExecutionStatus BY",
    ],
)
def test_what_is_no_query_is_an_invalid_argument(query: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid query"):
        parse(query)
