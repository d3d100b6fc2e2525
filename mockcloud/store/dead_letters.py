"""Replication tasks that failed after all their retries: kept whole, with the reason, until someone decides.

Real: the history task DLQ (`temporal operator dlq`).
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

_COLUMNS = (
    "message_id, namespace_id, workflow_id, run_id, source, position, failed_at, attempts, reason, task"
)
_PUT = (
    "INSERT INTO dead_letters (namespace_id, workflow_id, run_id, source, position, failed_at, attempts,"
    " reason, task) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (namespace_id, source, position) DO UPDATE SET failed_at = excluded.failed_at,"
    " attempts = attempts + excluded.attempts, reason = excluded.reason"
)
_LIST = (
    f"SELECT {_COLUMNS} FROM dead_letters"  # noqa: S608 constants
    " WHERE namespace_id = ? AND message_id > ? ORDER BY message_id LIMIT ?"
)
_GET = f"SELECT {_COLUMNS} FROM dead_letters WHERE message_id = ?"  # noqa: S608 constants


class DeadLetter(NamedTuple):
    """One failed task."""

    message_id: int  # rising; 0 when not stored yet
    namespace_id: str
    workflow_id: str
    run_id: str
    source: str  # region whose log it comes from
    position: int  # there
    failed_at: int
    attempts: int
    reason: str
    task: bytes  # mockcloud.replication.v1.ReplicationTask


def put_dead_letter(connection: sqlite3.Connection, letter: DeadLetter) -> None:
    """Keep a task. One that is there (same source and position) gets the new reason and adds its attempts."""
    connection.execute(
        _PUT,
        (
            letter.namespace_id,
            letter.workflow_id,
            letter.run_id,
            letter.source,
            letter.position,
            letter.failed_at,
            letter.attempts,
            letter.reason,
            letter.task,
        ),
    )


def list_dead_letters(
    connection: sqlite3.Connection, namespace_id: str, after_id: int = 0, limit: int = 100
) -> list[DeadLetter]:
    """A page of a namespace's dead letters, oldest first, after a `message_id`."""
    return [DeadLetter(*row) for row in connection.execute(_LIST, (namespace_id, after_id, limit))]


def get_dead_letter(connection: sqlite3.Connection, message_id: int) -> DeadLetter | None:
    row = connection.execute(_GET, (message_id,)).fetchone()
    return None if row is None else DeadLetter(*row)


def delete_dead_letter(connection: sqlite3.Connection, message_id: int) -> bool:
    """Remove one, once replayed or given up. False when it was not there."""
    return connection.execute("DELETE FROM dead_letters WHERE message_id = ?", (message_id,)).rowcount > 0


def purge_dead_letters(connection: sqlite3.Connection, namespace_id: str) -> int:
    """Remove all of a namespace; how many there were."""
    return connection.execute("DELETE FROM dead_letters WHERE namespace_id = ?", (namespace_id,)).rowcount


def all_ids(connection: sqlite3.Connection) -> list[int]:
    """Those of all namespaces, oldest first."""
    return [
        number for (number,) in connection.execute("SELECT message_id FROM dead_letters ORDER BY message_id")
    ]


def count_dead_letters(connection: sqlite3.Connection, namespace_id: str) -> int:
    sql = "SELECT count(*) FROM dead_letters WHERE namespace_id = ?"
    return int(connection.execute(sql, (namespace_id,)).fetchone()[0])


def reasons_of(connection: sqlite3.Connection, namespace_id: str, workflow_id: str) -> dict[str, str]:
    """Run id -> why the newest dead letter of a run of that workflow id failed."""
    sql = "SELECT run_id, reason FROM dead_letters WHERE namespace_id = ? AND workflow_id = ? ORDER BY message_id"
    return dict(connection.execute(sql, (namespace_id, workflow_id)).fetchall())
