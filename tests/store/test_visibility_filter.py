"""Filters as SQL find what a naive reader of the same filters finds, row by row."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from temporalio.api.common.v1 import SearchAttributes

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import times
from mockcloud.core.derived import VisibilityRow
from mockcloud.core.search_attribute_values import (
    BOOL,
    DATETIME,
    DOUBLE,
    INT,
    KEYWORD,
    KEYWORD_LIST,
    TEXT,
    encode,
)
from mockcloud.core.visibility_filter import AllOf, AnyOf, FieldTest, Filter, Negated
from mockcloud.core.visibility_query import parse
from mockcloud.store import schema, visibility
from tests.store.builders import NAMESPACE

TYPES: dict[str, Any] = {
    "Customer": KEYWORD,
    "Amount": DOUBLE,
    "Count": INT,
    "Tags": KEYWORD_LIST,
    "Note": TEXT,
    "Due": DATETIME,
    "Flag": BOOL,
}
ORDERS = NamespaceRecord(id=NAMESPACE, name="orders", custom_search_attributes=TYPES)
DAY = datetime(2026, 1, 1, tzinfo=UTC)

Row = Mapping[str, Any]


def moment(hours: int) -> str:
    return (DAY + timedelta(hours=hours)).isoformat().replace("+00:00", "Z")


def micros(text: str) -> int:
    since = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


WORDS = ["red", "Green", "blue"]
hours = st.integers(0, 5)

rows_of = st.fixed_dictionaries(
    {
        "WorkflowId": st.sampled_from(["order-1", "order-2", "Order-1", "it's"]),
        "WorkflowType": st.sampled_from(["A", "B"]),
        "start": hours,
        "close": st.none() | st.integers(6, 9),
        "ParentWorkflowId": st.none() | st.sampled_from(["p1", "p2"]),
        "Customer": st.none() | st.sampled_from(["a", "B", "ab", "10"]),
        "Amount": st.none() | st.sampled_from([-1.5, 0.0, 2.0, 2.5]),
        "Count": st.none() | st.integers(-1, 3),
        "Tags": st.none() | st.lists(st.sampled_from(WORDS), min_size=1, max_size=2),
        "Note": st.none() | st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(", ".join),
        "Due": st.none() | hours.map(moment),
        "Flag": st.none() | st.booleans(),
        "TemporalNamespaceDivision": st.none() | st.just("d"),
    }
)

texts = st.sampled_from(["a", "B", "ab", "A", "10", "order-1", "it''s", "p1"]).map("'{}'".format)
numbers = st.sampled_from(["-1", "0", "2", "2.5", "3", "'2'", "'x'"])
moments = hours.map(moment).map("'{}'".format)
OPERANDS: dict[str, tuple[st.SearchStrategy[str], str]] = {
    "WorkflowId": (texts, "order prefix"),
    "WorkflowType": (st.sampled_from(["'A'", "'B'", "'C'"]), "order prefix"),
    "ParentWorkflowId": (st.sampled_from(["'p1'", "'p2'", "''"]), "order prefix"),
    "Customer": (texts | st.just("10"), "order prefix"),
    "Amount": (st.sampled_from(["0", "2", "2.5", "3", "'2'", "'x'"]), "order"),
    "Count": (numbers, "order"),
    "Tags": (st.sampled_from(["'red'", "'GREEN'", "'x'", "''"]), ""),
    "Note": (st.sampled_from(["'red'", "'green'", "'blue red'", "'red,blue'", "'x'", "'-'"]), "text"),
    "Due": (moments, "order"),
    "Flag": (st.sampled_from(["true", "false"]), "equal"),
    "StartTime": (moments, "order"),
    "CloseTime": (hours.map(lambda h: f"'{moment(h + 4)}'"), "order"),
    "ExecutionStatus": (st.sampled_from(["'Running'", "'Completed'", "2"]), "order"),
    "ExecutionDuration": (st.sampled_from(["'2h'", "'01:00:00'", "7200000000000"]), "order"),
    "HistoryLength": (st.sampled_from(["5", "'5'"]), "order"),
    "TemporalNamespaceDivision": (st.sampled_from(["'d'", "'e'"]), "order"),
}


@st.composite
def comparisons(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(sorted(OPERANDS)))
    operands, can = OPERANDS[name]
    forms = ["IS NULL", "IS NOT NULL", "=", "!="]
    if can not in ("text", "equal"):
        forms += ["IN", "NOT IN"]
    if "order" in can:
        forms += ["<", "<=", ">", ">=", "BETWEEN", "NOT BETWEEN"]
    if "prefix" in can:
        forms += ["STARTS_WITH", "NOT STARTS_WITH"]
    form = draw(st.sampled_from(forms))
    if "NULL" in form:
        return f"{name} {form}"
    if "BETWEEN" in form:
        return f"{name} {form} {draw(operands)} AND {draw(operands)}"
    if "IN" in form:
        return f"{name} {form} ({', '.join(draw(st.lists(operands, min_size=1, max_size=3)))})"
    operand = draw(operands)
    assume("STARTS_WITH" not in form or operand.startswith("'"))
    return f"{name} {form} {operand}"


queries = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}) AND {pair[1]}"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} OR {pair[1]})"),
        inner.map("NOT ({})".format),
    ),
    max_leaves=5,
)


def passes(wanted: Filter, row: Row) -> bool | None:
    """None: unknown, because a value is missing."""
    match wanted:
        case AllOf(parts):
            found = [passes(part, row) for part in parts]
            return False if False in found else None if None in found else True
        case AnyOf(parts):
            found = [passes(part, row) for part in parts]
            return True if True in found else None if None in found else False
        case Negated(part):
            inner = passes(part, row)
            return None if inner is None else not inner
        case FieldTest():
            return holds(wanted, row)


def holds(test: FieldTest, row: Row) -> bool | None:
    name, operator = test.field.name, test.operator
    value = row[name]
    if operator.endswith("null"):
        return (value is None) == (operator == "is null")
    if name == "CloseTime" and value is None:
        value = micros("9999-12-31T23:59:59+00:00")
    if name in ("Tags", "Note"):
        if name == "Tags":
            has = value is not None and any(
                str(each).lower() in [tag.lower() for tag in value] for each in test.values if each
            )
        else:
            words = (value or "").lower().replace(",", " ").split()
            has = any(
                phrase and any(words[at : at + len(phrase)] == phrase for at in range(len(words)))
                for each in str(test.values[0]).split(" ")
                for phrase in [each.lower().replace(",", " ").replace("-", " ").split()]
            )
        return has if operator in ("=", "in") else not has
    if value is None:
        return None
    left, rights = ordered(name, value), [ordered(name, each) for each in test.values]
    match operator:
        case "=" | "in":
            return left in rights
        case "!=" | "not in":
            return left not in rights
        case "<":
            return left < rights[0]
        case "<=":
            return left <= rights[0]
        case ">":
            return left > rights[0]
        case ">=":
            return left >= rights[0]
        case "between":
            return rights[0] <= left <= rights[1]
        case "not between":
            return not rights[0] <= left <= rights[1]
        case "starts_with":
            return str(value).lower().startswith(str(test.values[0]).lower())
        case _:
            return not str(value).lower().startswith(str(test.values[0]).lower())


def ordered(name: str, value: Any) -> tuple[int, Any]:
    """As SQLite compares: columns of text take numbers as text, others texts as numbers if they are."""
    if name in ("WorkflowId", "WorkflowType", "ParentWorkflowId", "Customer", "TemporalNamespaceDivision"):
        return 1, str(value)
    try:
        return 0, float(value)
    except ValueError:
        return 1, value


@pytest.fixture(scope="module")
def table() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(connection)
    yield connection
    connection.close()


def fill(connection: sqlite3.Connection, rows: list[dict[str, Any]]) -> list[Row]:
    connection.execute("DELETE FROM visibility")
    connection.execute("DELETE FROM search_attribute")
    seen: list[Row] = []
    for key, row in enumerate(rows):
        start = (
            micros(moment(row["start"])) * times.MICROSECOND + key
        )  # less than a microsecond counts for nothing
        close = 0 if row["close"] is None else micros(moment(row["close"])) * times.MICROSECOND
        attributes = {
            name: encode(row[name], value_type)
            for name, value_type in {**TYPES, "TemporalNamespaceDivision": KEYWORD}.items()
            if row[name] is not None
        }
        stored = VisibilityRow(
            workflow_type=row["WorkflowType"],
            task_queue="q",
            status=2 if close else 1,  # type: ignore[arg-type]
            start_time=start,
            execution_time=start - key,
            close_time=close,
            history_length=5 if close else 0,
            history_size=0,
            state_transitions=0,
            memo=b"",
            search_attributes=SearchAttributes(indexed_fields=attributes).SerializeToString(),
            parent_workflow_id=row["ParentWorkflowId"] or "",
            parent_run_id="",
            root_workflow_id="w",
            root_run_id="r",
        )
        visibility.put_visibility(connection, key, NAMESPACE, row["WorkflowId"], f"{key:03}", stored)
        seen.append(
            {
                **row,
                "Due": row["Due"] and micros(row["Due"]),
                "StartTime": start // times.MICROSECOND,
                "CloseTime": close // times.MICROSECOND if close else None,
                "ExecutionStatus": 2 if close else 1,
                "ExecutionDuration": close - (start - key) if close else None,
                "HistoryLength": 5 if close else None,
            }
        )
    return seen


@settings(deadline=None, max_examples=200)
@given(st.lists(rows_of, max_size=8), queries, st.sampled_from([0, 1, 1 << 40]))
def test_sql_finds_what_a_naive_reader_finds(
    table: sqlite3.Connection, rows: list[dict[str, Any]], query: str, few: int
) -> None:
    seen = fill(table, rows)
    wanted = parse(query, ORDERS).filter
    expected = sorted(key for key, row in enumerate(seen) if passes(wanted, row))

    with pytest.MonkeyPatch.context() as patch:  # from the sources, and from the list in its order
        patch.setattr(visibility, "_FEW", few)
        patch.setattr(visibility, "_VERY_FEW", min(few, 1))
        found, _ = visibility.list_runs(table, NAMESPACE, wanted)
        assert sorted(int(run.run_id) for run in found) == expected
    assert visibility.count_runs(table, NAMESPACE, wanted) == len(expected)


def test_two_texts_are_one_phrase_only_where_they_follow_each_other(table: sqlite3.Connection) -> None:
    base = dict.fromkeys([*TYPES, "close", "ParentWorkflowId", "TemporalNamespaceDivision"])
    rows = [
        {**base, "WorkflowId": "w", "WorkflowType": "A", "start": 0, "Note": note}
        for note in ("Crème brûlée, warm", "brulee creme", "creme-brulee")
    ]
    fill(table, rows)

    def found(query: str) -> list[str]:
        return [run.run_id for run in visibility.list_runs(table, NAMESPACE, parse(query, ORDERS).filter)[0]]

    assert sorted(found("Note = 'creme'")) == ["000", "001", "002"]
    assert sorted(found("Note = 'CREME-BRULEE'")) == ["000", "002"]
    assert sorted(found("Note = 'warm nothing'")) == ["000"]
    assert found("Note = 'cre'") == []
