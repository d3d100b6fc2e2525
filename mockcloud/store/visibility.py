"""Runs as lists show them. Written in the transaction of the change, so lists are never behind.

Order as in the real SQL visibility store (store/sql): open runs first, then by close time, then by start
time, all newest first, and by run id where both are equal. A cursor names the last row seen, so that pages
neither repeat nor skip rows when runs start meanwhile.

Of a filter's sources (`store.visibility_filter`) the smallest is taken, if it is small; else the list is read in its
order. How large one is, is counted in its index, and only so far as it matters.
"""

from __future__ import annotations

import sqlite3
from operator import itemgetter
from typing import NamedTuple

from temporalio.api.enums.v1 import WorkflowExecutionStatus

from mockcloud.core.derived import VisibilityRow
from mockcloud.core.visibility_filter import AllOf, Filter
from mockcloud.store.visibility_filter import Source, condition, sources
from mockcloud.store.visibility_terms import custom_of, division_of, terms_of

_OPEN_ORDER = (1 << 63) - 1  # open runs sort as if they closed last

# Set again is what may change: also when a run began, where a replica hears late of the reset that made it. SQLite
# leaves the indexes of the rest alone.
_PUT = (
    "INSERT INTO visibility (run_key, namespace_id, workflow_id, run_id, order_time,"
    " workflow_type, task_queue, status, start_time, execution_time, close_time, history_length,"
    " history_size, state_transitions, memo, search_attributes, parent_workflow_id, parent_run_id,"
    " root_workflow_id, root_run_id, division, custom)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (run_key) DO UPDATE SET order_time = excluded.order_time, status = excluded.status,"
    " start_time = excluded.start_time, execution_time = excluded.execution_time,"
    " close_time = excluded.close_time, history_length = excluded.history_length,"
    " history_size = excluded.history_size, state_transitions = excluded.state_transitions,"
    " memo = excluded.memo, search_attributes = excluded.search_attributes, division = excluded.division,"
    " custom = excluded.custom"
)
_COLUMNS = (
    "v.workflow_id, v.run_id, v.order_time, v.workflow_type, v.task_queue, v.status, v.start_time,"
    " v.execution_time, v.close_time, v.history_length, v.history_size, v.state_transitions, v.memo,"
    " v.search_attributes, v.parent_workflow_id, v.parent_run_id, v.root_workflow_id, v.root_run_id"
)
# What is in the indexes of the lists too hardly ever changes.
_PUT_DETAILS = (
    "UPDATE visibility SET memo = ?, search_attributes = ? WHERE run_key = ? AND division IS ? AND custom = ?"
)
_ORDER = "v.order_time DESC, v.start_time DESC, v.run_id"
_PUT_TERM = (
    "INSERT INTO search_attribute (run_key, name, ordinal, namespace_id, text, number)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_DELETE_TERMS = "DELETE FROM search_attribute WHERE run_key = ?"

# A source of more rows than this is no faster than reading the list in its order; to count, any is.
_FEW = 20_000
_FEW_ORDERED = 2_000  # where the index has them in the list's order
_VERY_FEW = 200
_ALL = 1 << 40


class VisibilityCursor(NamedTuple):
    """The last row of a page."""

    order_time: int
    start_time: int
    run_id: str


class ListedRun(NamedTuple):
    """One row of a list."""

    workflow_id: str
    run_id: str
    row: VisibilityRow


EVERYTHING: Filter = AllOf(())


def put_visibility(
    connection: sqlite3.Connection,
    run_key: int,
    namespace_id: str,
    workflow_id: str,
    run_id: str,
    row: VisibilityRow | None,
    *,
    attributes_changed: bool = True,
    columns_changed: bool = True,
) -> None:
    """Show a run as `row`; None takes it out of the lists.

    `attributes_changed`: its search attributes differ from what was put last; `columns_changed`: so does anything
    but these and the memo, and with it the indexes of the lists.
    """
    if row is None:
        connection.execute("DELETE FROM visibility WHERE run_key = ?", (run_key,))
        connection.execute(_DELETE_TERMS, (run_key,))
        return
    division = division_of(row.search_attributes)
    custom = custom_of(row.search_attributes)
    if not columns_changed:
        details = (row.memo, row.search_attributes, run_key, division, custom)
        if connection.execute(_PUT_DETAILS, details).rowcount:
            _put_terms(connection, run_key, namespace_id, row)
            return
    connection.execute(
        _PUT,
        (
            run_key,
            namespace_id,
            workflow_id,
            run_id,
            row.close_time or _OPEN_ORDER,
            row.workflow_type,
            row.task_queue,
            row.status,
            row.start_time,
            row.execution_time,
            row.close_time,
            row.history_length,
            row.history_size,
            row.state_transitions,
            row.memo,
            row.search_attributes,
            row.parent_workflow_id,
            row.parent_run_id,
            row.root_workflow_id,
            row.root_run_id,
            division,
            custom,
        ),
    )
    if attributes_changed:
        _put_terms(connection, run_key, namespace_id, row)


def _put_terms(connection: sqlite3.Connection, run_key: int, namespace_id: str, row: VisibilityRow) -> None:
    connection.execute(_DELETE_TERMS, (run_key,))
    terms = [
        (run_key, term.name, term.ordinal, namespace_id, term.text, term.number)
        for term in terms_of(row.search_attributes)
    ]
    if terms:
        connection.executemany(_PUT_TERM, terms)


def list_runs(
    connection: sqlite3.Connection,
    namespace_id: str,
    wanted: Filter = EVERYTHING,
    page_size: int = 1000,
    cursor: VisibilityCursor | None = None,
) -> tuple[list[ListedRun], VisibilityCursor | None]:
    """One page after `cursor`, and the cursor of the next one: None when there is no further row."""
    rows, where, values = _from(connection, namespace_id, wanted, _FEW)
    if cursor is not None:
        where += (
            " AND (v.order_time, v.start_time) <= (?, ?)"
            " AND ((v.order_time, v.start_time) < (?, ?) OR v.run_id > ?)"
        )
        moment = (cursor.order_time, cursor.start_time)
        values += [*moment, *moment, cursor.run_id]
    sql = (
        f"SELECT {_COLUMNS} FROM {rows} WHERE {where}"  # noqa: S608 constants; values are bound
        f" ORDER BY {_ORDER} LIMIT ?"
    )
    found = connection.execute(sql, (*values, page_size + 1)).fetchall()
    page = [ListedRun(row[0], row[1], VisibilityRow(*row[3:])) for row in found[:page_size]]
    if len(found) <= page_size:
        return page, None
    last = found[page_size - 1]
    return page, VisibilityCursor(order_time=last[2], start_time=last[6], run_id=last[1])


def count_runs(connection: sqlite3.Connection, namespace_id: str, wanted: Filter = EVERYTHING) -> int:
    """How many runs a full list would show."""
    rows, where, values = _from(connection, namespace_id, wanted, _ALL)
    sql = f"SELECT count(*) FROM {rows} WHERE {where}"  # noqa: S608 constants; values are bound
    return int(connection.execute(sql, values).fetchone()[0])


def count_by_status(
    connection: sqlite3.Connection, namespace_id: str, wanted: Filter = EVERYTHING
) -> dict[WorkflowExecutionStatus.ValueType, int]:
    """The same, by status; statuses without runs are absent."""
    rows, where, values = _from(connection, namespace_id, wanted, _ALL)
    sql = f"SELECT v.status, count(*) FROM {rows} WHERE {where} GROUP BY v.status"  # noqa: S608 constants; bound
    return dict(connection.execute(sql, values).fetchall())


def _from(
    connection: sqlite3.Connection, namespace_id: str, wanted: Filter, few: int
) -> tuple[str, str, list[object]]:
    """Where the rows come from, what they must pass, and the values of both."""
    taken = _taken(connection, sources(wanted, namespace_id), few)
    passing = condition(wanted, [source.test for source in taken if source.test is not None])
    where = "v.namespace_id = ?" + (f" AND {passing.text}" if passing.text != "1" else "")
    if not taken:
        return "visibility v", where, [namespace_id, *passing.values]
    keys = " INTERSECT ".join(f"SELECT run_key FROM ({source.sql.text})" for source in taken)  # noqa: S608 constants
    values = [value for source in taken for value in source.sql.values]
    # A cross join keeps SQLite from turning it round.
    rows = f"(SELECT DISTINCT run_key FROM ({keys})) c CROSS JOIN visibility v ON v.run_key = c.run_key"  # noqa: S608 constants
    return rows, where, [*values, namespace_id, *passing.values]


def _taken(connection: sqlite3.Connection, found: list[Source], few: int) -> list[Source]:
    """The smallest source, if it is at most `few` rows; if it is not really small, with others of that size."""
    sizes: list[tuple[int, Source]] = []
    for source in found:
        sql = f"SELECT count(*) FROM (SELECT 1 FROM ({source.sql.text}) LIMIT ?)"  # noqa: S608 constants; bound
        size = int(connection.execute(sql, (*source.sql.values, few + 1)).fetchone()[0])
        if size <= _VERY_FEW:
            return [source]
        if size <= few:
            sizes.append((size, source))
    sizes.sort(key=itemgetter(0))
    if sizes and sizes[0][1].ordered and sizes[0][0] > _FEW_ORDERED and few == _FEW:
        return []
    return [source for _, source in sizes]
