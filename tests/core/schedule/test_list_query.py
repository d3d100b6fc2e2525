"""Filters of schedules: which there may be. Those that the real server was asked are in the tests of the calls."""

from __future__ import annotations

import pytest

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import visibility_query
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.schedule import list_query

NAMESPACE = NamespaceRecord(name="default", custom_search_attributes={"Customer": 2})
ALL = "TemporalNamespaceDivision = 'TemporalScheduler' AND ExecutionStatus = 'Running'"


def test_a_filter_is_put_in_brackets() -> None:
    assert list_query.runs_of(" ", NAMESPACE) == ALL
    query = "Customer = 'a' OR SchedulePaused = true"
    assert list_query.runs_of(query, NAMESPACE) == f"{ALL} AND ({query})"
    visibility_query.parse(list_query.runs_of(query, NAMESPACE), NAMESPACE)


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("Customer", "unable to convert filter expression: incomplete expression"),
        (
            "NOT Customer = 'a'",
            "unable to convert filter expression: operation is not supported: 'not' expression",
        ),
        (
            "f(Customer)",
            "unable to convert filter expression: operation is not supported: function expression",
        ),
        (
            "Nobody BETWEEN 1 AND 2",
            (
                "unable to convert filter expression: unable to convert left part of 'between' expression: "
                "invalid search attribute: Nobody"
            ),
        ),
        (
            "Nobody IS NULL",
            (
                "unable to convert filter expression: unable to convert left part of 'is' expression: "
                "invalid search attribute: Nobody"
            ),
        ),
        (
            "Customer IS TRUE",
            (
                "unable to convert filter expression: invalid expression: "
                "'is' operator can be used with 'null' and 'not null' only"
            ),
        ),
        (
            "1 = 1",
            (
                'unable to convert filter expression: unable to convert left side of "1 = 1": '
                "invalid expression: must be a column name but was *sqlparser.SQLVal"
            ),
        ),
        (
            "Customer = ann",
            (
                'unable to convert filter expression: unable to convert right side of "Customer = ann": '
                "operation is not supported: column name on the right side of comparison expression "
                '(did you forget to quote "ann"?)'
            ),
        ),
        (
            "Customer LIKE 'a'",
            "unable to convert filter expression: operator 'like' not allowed in comparison expression",
        ),
        ("Customer = 'a' LIMIT 1", "operation is not supported: 'limit' clause"),
        (
            "GROUP BY Customer",
            (
                "unable to convert 'group by' column name: "
                "operation is not supported: 'GROUP BY' clause is only supported for ExecutionStatus"
            ),
        ),
    ],
)
def test_what_is_no_filter(query: str, problem: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        list_query.runs_of(query, NAMESPACE)
    assert refused.value.message == f"invalid query: {problem}"


@pytest.mark.parametrize("name", ["ExecutionStatus", "StartTime", "BuildIds", "TemporalScheduledById"])
def test_reserved_fields_are_none_of_a_filter(name: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        list_query.runs_of(f"Customer = 'a' AND ({name} = 'x')", NAMESPACE)
    assert refused.value.message == f'invalid query filter for schedules: cannot filter on "{name}"'
