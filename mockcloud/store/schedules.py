"""Schedules as stored: one row each, with the whole of its state. A deleted one stays until its retention is over.

In lists of runs each is a workflow, in a namespace division of its own; lists of schedules are made from those.

Of two states of a schedule the one with the higher (version, stamp) holds, whoever wrote it.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from mockcloud.core.derived import VisibilityRow
from mockcloud.store import visibility

_COLUMNS = "run_key, namespace_id, schedule_id, run_id, version, stamp, busy, due, delete_at, record"
_PUT = f"INSERT OR REPLACE INTO schedules ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_OF = "FROM schedules WHERE namespace_id = ? AND schedule_id = ?"
_LOAD = f"SELECT record {_OF}"
_STATE_OF = f"SELECT version, stamp {_OF}"
_KEY_OF = f"SELECT run_key, run_id {_OF}"
# What of its row in the lists may change, and seldom does.
_SHOWN = "SELECT status, close_time, memo, search_attributes FROM visibility WHERE run_key = ?"
_BUSY = (
    "SELECT record FROM schedules WHERE namespace_id = ? AND busy AND delete_at IS NULL ORDER BY schedule_id"
)
_DUE = (
    "SELECT schedule_id FROM schedules WHERE namespace_id = ? AND due <= ? AND due > 0 ORDER BY due LIMIT ?"
)
_NEXT_DUE = "SELECT min(due) FROM schedules WHERE namespace_id = ? AND due > ?"
_OVER = "SELECT run_key FROM schedules WHERE delete_at <= ?"
_DELETE = "DELETE FROM schedules WHERE run_key = ?"
_NEXT_OVER = "SELECT min(delete_at) FROM schedules WHERE delete_at IS NOT NULL"


class ScheduleRow(NamedTuple):
    """One schedule."""

    run_key: int  # a new one, taken if the region does not have this `run_id` yet; shared with runs
    namespace_id: str
    schedule_id: str
    workflow_id: str  # of the workflow that it is in lists of runs
    run_id: str
    version: int
    stamp: int
    busy: bool  # something of it is under way
    due: int  # 0: never by itself
    delete_at: int | None  # None while open
    record: bytes  # mockcloud.state.v1.ScheduleRecord
    visibility: VisibilityRow


class StateOf(NamedTuple):
    """Which state of a schedule it is; the greater one holds."""

    version: int
    stamp: int


def load(connection: sqlite3.Connection, namespace_id: str, schedule_id: str) -> bytes | None:
    """The record of one schedule, deleted or not; None: it never was, or its retention is over."""
    row = connection.execute(_LOAD, (namespace_id, schedule_id)).fetchone()
    return None if row is None else bytes(row[0])


def state_of(connection: sqlite3.Connection, namespace_id: str, schedule_id: str) -> StateOf | None:
    """Which state is stored; None: no such schedule."""
    row = connection.execute(_STATE_OF, (namespace_id, schedule_id)).fetchone()
    return None if row is None else StateOf(*row)


def put(connection: sqlite3.Connection, row: ScheduleRow) -> None:
    """Store a state in place of what was there, and show it in the lists of runs."""
    run_key = row.run_key
    stored = connection.execute(_KEY_OF, (row.namespace_id, row.schedule_id)).fetchone()
    if stored is not None and stored[1] == row.run_id:
        run_key = stored[0]
    elif stored is not None:
        _delete(connection, stored[0])
    connection.execute(
        _PUT,
        (
            run_key,
            row.namespace_id,
            row.schedule_id,
            row.run_id,
            row.version,
            row.stamp,
            row.busy,
            row.due,
            row.delete_at,
            row.record,
        ),
    )
    shown = row.visibility
    before = connection.execute(_SHOWN, (run_key,)).fetchone()
    if before != (shown.status, shown.close_time, shown.memo, shown.search_attributes):
        visibility.put_visibility(connection, run_key, row.namespace_id, row.workflow_id, row.run_id, shown)


def put_newer(connection: sqlite3.Connection, row: ScheduleRow) -> bool:
    """Store a state unless a newer one (or itself) is there; whether it was stored."""
    stored = state_of(connection, row.namespace_id, row.schedule_id)
    if stored is not None and stored >= (row.version, row.stamp):
        return False
    put(connection, row)
    return True


def busy(connection: sqlite3.Connection, namespace_id: str) -> list[bytes]:
    """Records of open schedules of which something is under way."""
    return [record for (record,) in connection.execute(_BUSY, (namespace_id,))]


def due(connection: sqlite3.Connection, namespace_id: str, now: int, limit: int) -> list[str]:
    """Ids of schedules that are due, longest due first."""
    return [schedule_id for (schedule_id,) in connection.execute(_DUE, (namespace_id, now, limit))]


def next_due(connection: sqlite3.Connection, namespace_id: str, now: int) -> int | None:
    """The next moment after `now` at which one is due."""
    (moment,) = connection.execute(_NEXT_DUE, (namespace_id, now)).fetchone()
    return None if moment is None else int(moment)


def delete_over(connection: sqlite3.Connection, now: int) -> None:
    """Remove those whose retention is over."""
    for (run_key,) in connection.execute(_OVER, (now,)).fetchall():
        _delete(connection, run_key)


def next_over(connection: sqlite3.Connection) -> int | None:
    """When the next one's retention is over."""
    (moment,) = connection.execute(_NEXT_OVER).fetchone()
    return None if moment is None else int(moment)


def _delete(connection: sqlite3.Connection, run_key: int) -> None:
    connection.execute(_DELETE, (run_key,))
    visibility.put_visibility(connection, run_key, "", "", "", None)


def delete_all(connection: sqlite3.Connection, namespace_id: str) -> None:
    """Remove those of a namespace, from its lists as well."""
    keys = connection.execute("SELECT run_key FROM schedules WHERE namespace_id = ?", (namespace_id,))
    for (run_key,) in keys.fetchall():
        _delete(connection, run_key)
