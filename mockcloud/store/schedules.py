"""Schedules as stored: one row each, with the whole of its state. A deleted one stays until its retention is over.

Of two states of a schedule the one with the higher (version, stamp) holds, whoever wrote it.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import NamedTuple

_COLUMNS = "namespace_id, schedule_id, run_id, version, stamp, created, busy, due, delete_at, record"
_PUT = f"INSERT OR REPLACE INTO schedules ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_LOAD = f"SELECT {_COLUMNS} FROM schedules WHERE namespace_id = ? AND schedule_id = ?"  # noqa: S608 constants
_STATE_OF = "SELECT version, stamp FROM schedules WHERE namespace_id = ? AND schedule_id = ?"
_BUSY = (
    f"SELECT {_COLUMNS} FROM schedules"  # noqa: S608 constants
    " WHERE namespace_id = ? AND busy AND delete_at IS NULL ORDER BY schedule_id"
)
_DUE = (
    "SELECT schedule_id FROM schedules WHERE namespace_id = ? AND due <= ? AND due > 0 ORDER BY due LIMIT ?"
)
_NEXT_DUE = "SELECT min(due) FROM schedules WHERE namespace_id = ? AND due > ?"
_OVER = "DELETE FROM schedules WHERE delete_at <= ?"
_NEXT_OVER = "SELECT min(delete_at) FROM schedules WHERE delete_at IS NOT NULL"
_OPEN = "namespace_id = ? AND delete_at IS NULL"
_AFTER = " AND (created, run_id) < (?, ?)"


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """One schedule."""

    namespace_id: str
    schedule_id: str
    run_id: str
    version: int
    stamp: int
    created: int
    busy: bool  # something of it is under way
    due: int  # 0: never by itself
    delete_at: int | None  # None while open
    record: bytes  # mockcloud.state.v1.ScheduleRecord


class ScheduleCursor(NamedTuple):
    """The last row of a page."""

    created: int
    run_id: str


class StateOf(NamedTuple):
    """Which state of a schedule it is; the greater one holds."""

    version: int
    stamp: int


def load(connection: sqlite3.Connection, namespace_id: str, schedule_id: str) -> ScheduleRow | None:
    """One schedule, deleted or not; None: it never was, or its retention is over."""
    row = connection.execute(_LOAD, (namespace_id, schedule_id)).fetchone()
    return None if row is None else ScheduleRow(*row)


def state_of(connection: sqlite3.Connection, namespace_id: str, schedule_id: str) -> StateOf | None:
    """Which state is stored; None: no such schedule."""
    row = connection.execute(_STATE_OF, (namespace_id, schedule_id)).fetchone()
    return None if row is None else StateOf(*row)


def put(connection: sqlite3.Connection, row: ScheduleRow) -> None:
    """Store a state in place of what was there."""
    connection.execute(
        _PUT,
        (
            row.namespace_id,
            row.schedule_id,
            row.run_id,
            row.version,
            row.stamp,
            row.created,
            row.busy,
            row.due,
            row.delete_at,
            row.record,
        ),
    )


def put_newer(connection: sqlite3.Connection, row: ScheduleRow) -> bool:
    """Store a state unless a newer one (or itself) is there; whether it was stored."""
    stored = state_of(connection, row.namespace_id, row.schedule_id)
    if stored is not None and stored >= (row.version, row.stamp):
        return False
    put(connection, row)
    return True


def busy(connection: sqlite3.Connection, namespace_id: str) -> list[ScheduleRow]:
    """Open schedules of which something is under way."""
    return [ScheduleRow(*row) for row in connection.execute(_BUSY, (namespace_id,))]


def due(connection: sqlite3.Connection, namespace_id: str, now: int, limit: int) -> list[str]:
    """Ids of schedules that are due, longest due first."""
    return [schedule_id for (schedule_id,) in connection.execute(_DUE, (namespace_id, now, limit))]


def next_due(connection: sqlite3.Connection, namespace_id: str, now: int) -> int | None:
    """The next moment after `now` at which one is due."""
    (moment,) = connection.execute(_NEXT_DUE, (namespace_id, now)).fetchone()
    return None if moment is None else int(moment)


def page(
    connection: sqlite3.Connection, namespace_id: str, limit: int, cursor: ScheduleCursor | None
) -> list[ScheduleRow]:
    """Open schedules after `cursor`, newest first."""
    where, values = _OPEN, [namespace_id]
    sql = f"SELECT {_COLUMNS} FROM schedules WHERE {where}"  # noqa: S608 constants; values are bound
    if cursor is not None:
        sql += _AFTER
        values += [*cursor]  # type: ignore[list-item]
    sql += " ORDER BY created DESC, run_id DESC LIMIT ?"
    return [ScheduleRow(*row) for row in connection.execute(sql, (*values, limit))]


def count(connection: sqlite3.Connection, namespace_id: str) -> int:
    """How many are open."""
    sql = f"SELECT count(*) FROM schedules WHERE {_OPEN}"  # noqa: S608 constants
    return int(connection.execute(sql, (namespace_id,)).fetchone()[0])


def delete_over(connection: sqlite3.Connection, now: int) -> None:
    """Remove those whose retention is over."""
    connection.execute(_OVER, (now,))


def next_over(connection: sqlite3.Connection) -> int | None:
    """When the next one's retention is over."""
    (moment,) = connection.execute(_NEXT_OVER).fetchone()
    return None if moment is None else int(moment)
