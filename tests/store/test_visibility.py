from __future__ import annotations

import random
import sqlite3

import pytest

from mockcloud.store.visibility import (
    VisibilityFilter,
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


def found(connection: sqlite3.Connection, wanted: VisibilityFilter) -> list[str]:
    return [run.run_id for run in list_runs(connection, NAMESPACE, wanted)[0]]


def test_open_runs_come_first_then_by_close_time(listed: sqlite3.Connection) -> None:
    assert found(listed, VisibilityFilter()) == ["run-4", "run-2", "run-5", "run-1", "run-3"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (VisibilityFilter(statuses={RUNNING}), ["run-4", "run-2"]),
        (VisibilityFilter(statuses={COMPLETED, FAILED}), ["run-5", "run-1", "run-3"]),
        (VisibilityFilter(statuses=()), []),
        (VisibilityFilter(workflow_id="order-2"), ["run-2", "run-5"]),
        (VisibilityFilter(workflow_id="order-2", statuses={COMPLETED}), ["run-5"]),
        (VisibilityFilter(workflow_type="Refund"), ["run-4"]),
        (VisibilityFilter(run_id="run-3"), ["run-3"]),
        (VisibilityFilter(start_time_from=20, start_time_to=40), ["run-4", "run-2", "run-3"]),
    ],
)
def test_filters_narrow_lists_and_counts_alike(
    listed: sqlite3.Connection, wanted: VisibilityFilter, expected: list[str]
) -> None:
    assert found(listed, wanted) == expected
    assert count_runs(listed, NAMESPACE, wanted) == len(expected)
    assert sum(count_by_status(listed, NAMESPACE, wanted).values()) == len(expected)


def test_counts_by_status(listed: sqlite3.Connection) -> None:
    assert count_by_status(listed, NAMESPACE) == {RUNNING: 2, COMPLETED: 2, FAILED: 1}
    assert count_by_status(listed, "elsewhere") == {}


def test_a_row_comes_back_as_it_was_put_last(listed: sqlite3.Connection) -> None:
    put(listed, 4, start=40, close=99, status=FAILED, workflow_type="Refund")

    (run,) = list_runs(listed, NAMESPACE, VisibilityFilter(run_id="run-4"))[0]

    assert (run.workflow_id, run.row) == ("order-1", visibility_row(40, 99, "Refund", FAILED))
    assert count_runs(listed, NAMESPACE) == 5


@pytest.mark.parametrize("page_size", [1, 2, 3, 7, 100])
def test_pages_neither_repeat_nor_skip(connection: sqlite3.Connection, page_size: int) -> None:
    rng = random.Random(page_size)
    for key in range(60):
        put(connection, key, start=rng.randint(1, 5), close=rng.choice([0, 8, 9]))
    whole = found(connection, VisibilityFilter())

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


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (VisibilityFilter(), "visibility_all"),
        (VisibilityFilter(statuses={RUNNING}), "visibility_status"),
        (VisibilityFilter(workflow_id="order-1"), "visibility_workflow"),
        (VisibilityFilter(workflow_type="Order"), "visibility_type"),
        (VisibilityFilter(run_id="run-1"), "visibility_run"),
        (VisibilityFilter(workflow_id="order-1", statuses={RUNNING}), "visibility_workflow"),
        (VisibilityFilter(workflow_id="order-1", run_id="run-1"), "visibility_run"),
    ],
)
def test_lists_do_not_sort_nor_scan_the_table(
    listed: sqlite3.Connection, wanted: VisibilityFilter, index: str
) -> None:
    """The cost of a page must not grow with the number of runs."""
    statements: list[str] = []
    listed.set_trace_callback(statements.append)
    _, cursor = list_runs(listed, NAMESPACE, wanted, 1)
    list_runs(listed, NAMESPACE, wanted, 1, cursor)
    listed.set_trace_callback(None)

    for statement in statements:
        plan = [row[3] for row in listed.execute(f"EXPLAIN QUERY PLAN {statement}")]
        assert plan[0].startswith(f"SEARCH visibility USING INDEX {index} "), plan
        assert index == "visibility_run" or len(plan) == 1, plan
