"""Replication tasks that wait: their run cannot take them yet, for a reason that is not a failure.

A parked task blocks only its run: later tasks of the run are parked behind it, those of others pass. The task
is whole (its events are in it), so it survives the trimming of the sender's log.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

_COLUMNS = "parked_id, namespace_id, workflow_id, run_id, source, position, parked_at, reason, task"
_PARK = (
    "INSERT OR IGNORE INTO parked (namespace_id, workflow_id, run_id, source, position, parked_at,"
    " reason, task) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_OF_RUN = (
    f"SELECT {_COLUMNS} FROM parked"  # noqa: S608 constants
    " WHERE namespace_id = ? AND workflow_id = ? AND run_id = ? ORDER BY parked_id"
)
_LIST = (
    f"SELECT {_COLUMNS} FROM parked"  # noqa: S608 constants
    " WHERE namespace_id = ? AND parked_id > ? ORDER BY parked_id LIMIT ?"
)
_FIRST = (
    f"SELECT {_COLUMNS} FROM parked WHERE parked_id IN"  # noqa: S608 constants
    " (SELECT min(parked_id) FROM parked WHERE namespace_id = ? GROUP BY workflow_id, run_id)"
    " ORDER BY parked_id LIMIT ?"
)
_COUNT = (
    "SELECT count(*), count(DISTINCT workflow_id || char(0) || run_id) FROM parked WHERE namespace_id = ?"
)


class ParkedTask(NamedTuple):
    """One waiting task."""

    parked_id: int  # rising; 0 when not stored yet
    namespace_id: str
    workflow_id: str
    run_id: str
    source: str  # region whose log it comes from
    position: int  # there
    parked_at: int
    reason: str
    task: bytes  # mockcloud.replication.v1.ReplicationTask


class ParkedCount(NamedTuple):
    """How much waits in a namespace."""

    tasks: int
    runs: int


def park(connection: sqlite3.Connection, task: ParkedTask) -> None:
    """Keep a task behind those of its run. One that is there (same source and position) stays as it was."""
    connection.execute(
        _PARK,
        (
            task.namespace_id,
            task.workflow_id,
            task.run_id,
            task.source,
            task.position,
            task.parked_at,
            task.reason,
            task.task,
        ),
    )


def parked_of(
    connection: sqlite3.Connection, namespace_id: str, workflow_id: str, run_id: str
) -> list[ParkedTask]:
    """The waiting tasks of a run, in the order in which they came."""
    return [ParkedTask(*row) for row in connection.execute(_OF_RUN, (namespace_id, workflow_id, run_id))]


def list_parked(
    connection: sqlite3.Connection, namespace_id: str, after_id: int = 0, limit: int = 100
) -> list[ParkedTask]:
    """A page of a namespace's waiting tasks, oldest first, after a `parked_id`."""
    return [ParkedTask(*row) for row in connection.execute(_LIST, (namespace_id, after_id, limit))]


def first_parked(connection: sqlite3.Connection, namespace_id: str, limit: int = 100) -> list[ParkedTask]:
    """The first waiting task of each run, which tells why the run waits; oldest first."""
    return [ParkedTask(*row) for row in connection.execute(_FIRST, (namespace_id, limit))]


def unpark(connection: sqlite3.Connection, parked_id: int) -> bool:
    """Remove a task, in the transaction that applies it. False when it was not there."""
    return connection.execute("DELETE FROM parked WHERE parked_id = ?", (parked_id,)).rowcount > 0


def count_parked(connection: sqlite3.Connection, namespace_id: str) -> ParkedCount:
    return ParkedCount(*connection.execute(_COUNT, (namespace_id,)).fetchone())
