from __future__ import annotations

import random
import sqlite3
from contextlib import closing

import pytest
from temporalio.api.common.v1 import SearchAttributes

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core.derived import VisibilityRow
from mockcloud.core.search_attribute_values import INT, KEYWORD, KEYWORD_LIST, encode
from mockcloud.core.visibility_filter import Filter
from mockcloud.core.visibility_query import parse
from mockcloud.store import visibility
from mockcloud.store.schema import MIGRATIONS, migrate, version
from mockcloud.store.visibility import (
    count_by_status,
    count_runs,
    list_runs,
    put_visibility,
)
from tests.store.builders import COMPLETED, FAILED, NAMESPACE, RUNNING, visibility_row


def put(connection: sqlite3.Connection, key: int, start: int, close: int = 0, **more: object) -> None:
    row = visibility_row(start, close, **more)  # type: ignore[arg-type]
    put_visibility(connection, key, NAMESPACE, f"order-{key % 3}", f"run-{key}", row)


@pytest.fixture
def listed(connection: sqlite3.Connection) -> sqlite3.Connection:
    put(connection, 1, start=10, close=90)
    put(connection, 2, start=20)
    put(connection, 3, start=30, close=70, status=FAILED)
    put(connection, 4, start=40, workflow_type="Refund")
    put(connection, 5, start=50, close=95)
    return connection


ORDERS = NamespaceRecord(custom_search_attributes={"Customer": KEYWORD, "Count": INT})


def wanted(query: str) -> Filter:
    return parse(query, ORDERS).filter


def found(connection: sqlite3.Connection, query: str) -> list[str]:
    return [run.run_id for run in list_runs(connection, NAMESPACE, wanted(query))[0]]


def test_open_runs_come_first_then_by_close_time(listed: sqlite3.Connection) -> None:
    assert found(listed, "") == ["run-4", "run-2", "run-5", "run-1", "run-3"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("ExecutionStatus = 'Running'", ["run-4", "run-2"]),
        ("ExecutionStatus IN ('Completed', 'Failed')", ["run-5", "run-1", "run-3"]),
        ("WorkflowId = 'order-2'", ["run-2", "run-5"]),
        ("WorkflowId = 'order-2' AND ExecutionStatus = 'Completed'", ["run-5"]),
        ("WorkflowType = 'Refund'", ["run-4"]),
        ("RunId = 'run-3'", ["run-3"]),
        ("CloseTime IS NULL", ["run-4", "run-2"]),
    ],
)
def test_filters(listed: sqlite3.Connection, query: str, expected: list[str]) -> None:
    assert found(listed, query) == expected
    assert count_runs(listed, NAMESPACE, wanted(query)) == len(expected)


def test_counts_by_status(listed: sqlite3.Connection) -> None:
    assert count_by_status(listed, NAMESPACE) == {RUNNING: 2, COMPLETED: 2, FAILED: 1}
    assert count_by_status(listed, "elsewhere") == {}


def test_a_row_comes_back_as_it_was_put_last(listed: sqlite3.Connection) -> None:
    put(listed, 4, start=40, close=99, status=FAILED, workflow_type="Refund")

    (run,) = list_runs(listed, NAMESPACE, wanted("RunId = 'run-4'"))[0]

    assert (run.workflow_id, run.row) == ("order-1", visibility_row(40, 99, "Refund", FAILED))
    assert count_runs(listed, NAMESPACE) == 5


@pytest.mark.parametrize("page_size", [1, 2, 3, 7, 100])
def test_pages_neither_repeat_nor_skip(connection: sqlite3.Connection, page_size: int) -> None:
    rng = random.Random(page_size)
    for key in range(60):
        put(connection, key, start=rng.randint(1, 5), close=rng.choice([0, 8, 9]))
    whole = found(connection, "")

    pages, cursor = list[str](), None
    while True:
        page, cursor = list_runs(connection, NAMESPACE, page_size=page_size, cursor=cursor)
        assert 0 < len(page) <= page_size
        pages += [run.run_id for run in page]
        if cursor is None:
            break

    assert pages == whole
    assert len(set(pages)) == 60


def test_runs_that_start_between_two_pages_do_not_shift_the_second(listed: sqlite3.Connection) -> None:
    _, cursor = list_runs(listed, NAMESPACE, page_size=2)
    put(listed, 6, start=60)

    page, _ = list_runs(listed, NAMESPACE, page_size=2, cursor=cursor)

    assert [run.run_id for run in page] == ["run-5", "run-1"]


def attributes(**values: object) -> bytes:
    types = {"Customer": KEYWORD, "Count": INT, "Tags": KEYWORD_LIST, "TemporalNamespaceDivision": KEYWORD}
    fields = {name: encode(value, types[name]) for name, value in values.items()}  # type: ignore[arg-type]
    return SearchAttributes(indexed_fields=fields).SerializeToString()


def test_values_follow_their_run(connection: sqlite3.Connection) -> None:
    # Given a run with attributes, when they change, and when it is taken from the lists.
    row = visibility_row(10)._replace(search_attributes=attributes(Customer="a", Count=1))
    put_visibility(connection, 1, NAMESPACE, "w", "run-1", row)
    assert found(connection, "Customer = 'a' AND Count = 1") == ["run-1"]

    row = row._replace(search_attributes=attributes(Customer="b"))
    put_visibility(connection, 1, NAMESPACE, "w", "run-1", row)
    assert found(connection, "Customer = 'a' OR Count = 1") == []
    assert found(connection, "Customer = 'b' AND Count IS NULL") == ["run-1"]

    # And a run that only closes keeps them.
    closed = row._replace(close_time=20, status=COMPLETED)
    put_visibility(connection, 1, NAMESPACE, "w", "run-1", closed, attributes_changed=False)
    assert found(connection, "Customer = 'b' AND ExecutionStatus = 'Completed'") == ["run-1"]

    put_visibility(connection, 1, NAMESPACE, "w", "run-1", None)
    assert connection.execute("SELECT count(*) FROM search_attribute").fetchone() == (0,)


def plans(connection: sqlite3.Connection, query: str) -> list[list[str]]:
    """The plans of the statements that read two pages."""
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    _, cursor = list_runs(connection, NAMESPACE, wanted(query), 1)
    list_runs(connection, NAMESPACE, wanted(query), 1, cursor)
    connection.set_trace_callback(None)
    return [
        [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")] for statement in statements
    ]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("", "visibility_all"),
        ("ExecutionStatus = 'Running'", "visibility_status"),
        ("WorkflowId = 'order-1'", "visibility_workflow"),
        ("WorkflowType = 'Order'", "visibility_type"),
        ("TemporalNamespaceDivision = 'd'", "visibility_all"),
        ("Customer = 'a'", "visibility_all"),
        ("Customer != 'a' AND Count > 3", "visibility_all"),
    ],
)
def test_long_lists_are_read_in_their_order(
    listed: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, query: str, index: str
) -> None:
    """The cost of a page must not grow with the number of runs that pass: nothing is sorted."""
    monkeypatch.setattr(visibility, "_FEW", -1)
    monkeypatch.setattr(visibility, "_VERY_FEW", -1)
    read = [plan for plan in plans(listed, query) if plan[0].startswith("SEARCH v ")]
    assert len(read) == 2
    for plan in read:
        assert plan[0].startswith(f"SEARCH v USING INDEX {index} "), plan
        assert not any("TEMP B-TREE" in step or "SCAN" in step for step in plan), plan


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("Customer = 'a'", "search_attribute_text"),
        ("Customer IN ('a', 'b') AND StartTime > 5", "search_attribute_text"),
        ("Customer > 'a'", "search_attribute_text"),
        ("Count = 1", "search_attribute_number"),
        ("Count BETWEEN 1 AND 3", "search_attribute_number"),
        ("BuildIds = 'b'", "search_attribute_text"),
        ("RunId = 'r'", "visibility_run"),
        ("ParentWorkflowId = 'p'", "visibility_parent"),
        ("TemporalNamespaceDivision = 'd'", "visibility_all"),
    ],
)
def test_rare_runs_are_looked_up(listed: sqlite3.Connection, query: str, index: str) -> None:
    """Nor may it grow with the number of those that do not pass."""
    for plan in plans(listed, query):
        assert any(f"INDEX {index} " in step for step in plan), plan
        assert not any(step.startswith("SCAN v") for step in plan), plan


@pytest.mark.parametrize(
    ("query", "looked_up"), [("ParentWorkflowId = 'p'", True), ("WorkflowType = 'Order'", False)]
)
def test_many_runs_are_looked_up_where_no_index_has_them_in_order(
    listed: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, query: str, *, looked_up: bool
) -> None:
    monkeypatch.setattr(visibility, "_VERY_FEW", -1)
    monkeypatch.setattr(visibility, "_FEW_ORDERED", -1)

    page = plans(listed, query)[-1]

    assert (page[-1] == "USE TEMP B-TREE FOR ORDER BY") is looked_up, page


def test_counting_what_is_in_no_division_needs_no_rows(listed: sqlite3.Connection) -> None:
    statements: list[str] = []
    listed.set_trace_callback(statements.append)
    count_runs(listed, NAMESPACE, wanted(""))
    count_by_status(listed, NAMESPACE, wanted(""))
    listed.set_trace_callback(None)

    for statement in statements:
        (step,) = [row[3] for row in listed.execute(f"EXPLAIN QUERY PLAN {statement}")]
        assert step.startswith("SEARCH v USING COVERING INDEX "), step


def rewritten(connection: sqlite3.Connection, before: VisibilityRow, after: VisibilityRow) -> set[str]:
    """The indexes of the lists from which entries may be taken when a run's row changes; the change is made."""
    put_visibility(connection, 1, NAMESPACE, "w", "run-1", before)
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    details = before._replace(memo=after.memo, search_attributes=after.search_attributes)
    put_visibility(connection, 1, NAMESPACE, "w", "run-1", after, columns_changed=after != details)
    connection.set_trace_callback(None)
    (run,) = list_runs(connection, NAMESPACE, wanted("RunId = 'run-1'"))[0]
    assert run.row == after

    indexes = dict(
        connection.execute(
            "SELECT rootpage, name FROM sqlite_master WHERE tbl_name = 'visibility'"
        ).fetchall()
    )
    found = set[str]()
    for statement in statements:
        program = connection.execute(f"EXPLAIN {statement}").fetchall()
        opened = {step[2]: step[3] for step in program if step[1] == "OpenWrite"}
        pages = {opened[step[2]] for step in program if step[1] == "IdxDelete"}
        found |= {name for page, name in indexes.items() if page in pages}
    return found


def test_a_close_leaves_the_indexes_of_what_stays_alone(connection: sqlite3.Connection) -> None:
    found = rewritten(connection, visibility_row(10), visibility_row(10, 90))

    assert "visibility_all" in found
    assert found.isdisjoint({"visibility_run", "visibility_parent"})


def test_an_upsert_leaves_the_lists_indexes_alone(connection: sqlite3.Connection) -> None:
    row = visibility_row(10)._replace(search_attributes=attributes(Customer="b"))
    after = row._replace(memo=b"m", search_attributes=attributes(Customer="a"))

    assert rewritten(connection, row, after) == set()
    assert found(connection, "Customer = 'a'") == ["run-1"]


def test_an_upsert_of_one_more_attribute_is_seen_by_the_filter_for_none(
    connection: sqlite3.Connection,
) -> None:
    row = visibility_row(10)
    put_visibility(connection, 1, NAMESPACE, "w", "run-1", row)
    assert found(connection, "Customer IS NULL") == ["run-1"]

    after = row._replace(search_attributes=attributes(Customer="a"))
    put_visibility(connection, 1, NAMESPACE, "w", "run-1", after, columns_changed=False)
    assert found(connection, "Customer IS NULL") == []
    assert found(connection, "Customer IS NOT NULL") == ["run-1"]


def test_a_file_of_the_first_schema_is_filtered_like_a_new_one(connection: sqlite3.Connection) -> None:
    given: tuple[dict[str, object], ...] = (
        {},
        {"Customer": "a"},
        {"Customer": "b", "Count": 3, "Tags": ["x", "y"]},
        {"Tags": ["z"]},
    )
    for number, values in enumerate(given):
        row = visibility_row(10)._replace(search_attributes=attributes(**values))
        put_visibility(connection, number, NAMESPACE, "w", f"run-{number}", row)

    with closing(sqlite3.connect(":memory:", isolation_level=None)) as older:
        older.executescript(f"{MIGRATIONS[0]}; PRAGMA user_version = 1")
        for table in ("visibility", "search_attribute"):
            names = [column[1] for column in older.execute(f"PRAGMA table_info ({table})")]
            rows = connection.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall()
            older.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(names))})", rows)
        migrate(older)

        assert version(older) == len(MIGRATIONS)
        for name in ("Customer", "Count"):
            for query in (f"{name} IS NULL", f"{name} IS NOT NULL"):
                assert found(older, query) == found(connection, query)
        assert found(older, "Customer IS NULL") == ["run-0", "run-3"]
        put_visibility(older, 9, NAMESPACE, "w", "run-9", visibility_row(20))
        assert found(older, "Customer IS NULL") == ["run-9", "run-0", "run-3"]


def test_an_upsert_can_move_a_run_to_another_division(connection: sqlite3.Connection) -> None:
    row = visibility_row(10)
    put_visibility(connection, 1, NAMESPACE, "w", "run-1", row)
    after = row._replace(search_attributes=attributes(TemporalNamespaceDivision="mine", Customer="a"))

    put_visibility(connection, 1, NAMESPACE, "w", "run-1", after, columns_changed=False)

    assert found(connection, "") == []
    assert found(connection, "TemporalNamespaceDivision = 'mine' AND Customer = 'a'") == ["run-1"]


def test_a_replica_may_hear_late_when_a_run_was_reset(connection: sqlite3.Connection) -> None:
    put(connection, 1, start=10)

    put(connection, 1, start=30)

    (run,) = list_runs(connection, NAMESPACE)[0]
    assert run.row == visibility_row(30)
