"""Runs as lists show them. Written in the transaction of the change, so lists are never behind.

Order as in the real SQL visibility store (store/sql): open runs first, then by close time, then by start
time, all newest first, and by run id where both are equal. A cursor names the last row seen, so that pages
neither repeat nor skip rows when runs start meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

from temporalio.api.enums.v1 import WorkflowExecutionStatus

from mockcloud.core.derived import VisibilityRow

_OPEN_ORDER = (1 << 63) - 1  # open runs sort as if they closed last

_PUT = (
    "INSERT OR REPLACE INTO visibility (run_key, namespace_id, workflow_id, run_id, order_time,"
    " workflow_type, task_queue, status, start_time, execution_time, close_time, history_length,"
    " history_size, state_transitions, memo, search_attributes, parent_workflow_id, parent_run_id,"
    " root_workflow_id, root_run_id)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_COLUMNS = (
    "workflow_id, run_id, order_time, workflow_type, task_queue, status, start_time, execution_time,"
    " close_time, history_length, history_size, state_transitions, memo, search_attributes,"
    " parent_workflow_id, parent_run_id, root_workflow_id, root_run_id"
)


@dataclass(frozen=True, slots=True)
class VisibilityFilter:
    """Which runs to list; None means any. Times are inclusive nanoseconds."""

    statuses: Collection[WorkflowExecutionStatus.ValueType] | None = None
    workflow_id: str | None = None
    workflow_type: str | None = None
    run_id: str | None = None
    start_time_from: int | None = None
    start_time_to: int | None = None


@dataclass(frozen=True, slots=True)
class VisibilityCursor:
    """The last row of a page."""

    order_time: int
    start_time: int
    run_id: str


@dataclass(frozen=True, slots=True)
class ListedRun:
    """One row of a list."""

    workflow_id: str
    run_id: str
    row: VisibilityRow


_EVERYTHING = VisibilityFilter()


def put_visibility(
    connection: sqlite3.Connection,
    run_key: int,
    namespace_id: str,
    workflow_id: str,
    run_id: str,
    row: VisibilityRow | None,
) -> None:
    """Show a run as `row`; None takes it out of the lists."""
    if row is None:
        connection.execute("DELETE FROM visibility WHERE run_key = ?", (run_key,))
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
        ),
    )


def list_runs(
    connection: sqlite3.Connection,
    namespace_id: str,
    wanted: VisibilityFilter = _EVERYTHING,
    page_size: int = 1000,
    cursor: VisibilityCursor | None = None,
) -> tuple[list[ListedRun], VisibilityCursor | None]:
    """One page after `cursor`, and the cursor of the next one: None when there is no further row."""
    where, values = _where(namespace_id, wanted)
    if cursor is not None:
        where += (
            " AND (order_time, start_time) <= (?, ?) AND ((order_time, start_time) < (?, ?) OR run_id > ?)"
        )
        moment = (cursor.order_time, cursor.start_time)
        values += [*moment, *moment, cursor.run_id]
    sql = (
        f"SELECT {_COLUMNS} FROM visibility WHERE {where}"  # noqa: S608 constants; values are bound
        " ORDER BY order_time DESC, start_time DESC, run_id LIMIT ?"
    )
    found = connection.execute(sql, (*values, page_size + 1)).fetchall()
    page = [ListedRun(row[0], row[1], VisibilityRow(*row[3:])) for row in found[:page_size]]
    if len(found) <= page_size:
        return page, None
    last = found[page_size - 1]
    return page, VisibilityCursor(order_time=last[2], start_time=last[6], run_id=last[1])


def count_runs(
    connection: sqlite3.Connection, namespace_id: str, wanted: VisibilityFilter = _EVERYTHING
) -> int:
    """How many runs a full list would show."""
    where, values = _where(namespace_id, wanted)
    sql = f"SELECT count(*) FROM visibility WHERE {where}"  # noqa: S608 constants; values are bound
    return int(connection.execute(sql, values).fetchone()[0])


def count_by_status(
    connection: sqlite3.Connection, namespace_id: str, wanted: VisibilityFilter = _EVERYTHING
) -> dict[WorkflowExecutionStatus.ValueType, int]:
    """The same, by status; statuses without runs are absent."""
    where, values = _where(namespace_id, wanted)
    sql = f"SELECT status, count(*) FROM visibility WHERE {where} GROUP BY status"  # noqa: S608 constants; bound
    return dict(connection.execute(sql, values).fetchall())


def _where(namespace_id: str, wanted: VisibilityFilter) -> tuple[str, list[object]]:
    # A unary plus keeps SQLite from using a column's index: few runs share an id, many a status or a type.
    by_run = "+" if wanted.run_id is not None else ""
    by_id = "+" if by_run or wanted.workflow_id is not None else ""
    tests: tuple[tuple[str, str | int | None], ...] = (
        (f"{by_run}namespace_id = ?", namespace_id),
        ("run_id = ?", wanted.run_id),
        (f"{by_run}workflow_id = ?", wanted.workflow_id),
        (f"{by_id}workflow_type = ?", wanted.workflow_type),
        ("start_time >= ?", wanted.start_time_from),
        ("start_time <= ?", wanted.start_time_to),
    )
    clauses = [clause for clause, value in tests if value is not None]
    values = list[object](value for _, value in tests if value is not None)
    if wanted.statuses is not None:
        statuses = sorted(set(wanted.statuses))
        clauses.append(f"{by_id}status IN ({', '.join('?' * len(statuses))})")
        values.extend(statuses)
    return " AND ".join(clauses), values
