"""Replicas that joined a namespace and do not have its runs yet: whose they are, and how far they were given them.

One fill per namespace: its log goes to all peers. It ends at the newest run that was there when it began; what comes
later is in the log anyway. Keys are run keys, which runs and schedules share.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

_PUT = (
    "INSERT OR REPLACE INTO fills (namespace_id, peers, after_key, until_key) VALUES (?, ?, ?, ?)"  # afresh
)
_RUNS = (
    # By key, not by namespace: a slice ends where it is full, and nothing is sorted.
    "SELECT run_key, workflow_id, run_id, record FROM runs"
    " WHERE run_key > ? AND run_key <= ? AND +namespace_id = ? ORDER BY run_key LIMIT ?"
)
_SCHEDULES = (
    "SELECT run_key, record FROM schedules"
    " WHERE namespace_id = ? AND run_key > ? AND run_key <= ? ORDER BY run_key"
)
_COUNT = (
    "SELECT (SELECT count(*) FROM runs WHERE namespace_id = ?1 AND run_key <= ?2)"
    " + (SELECT count(*) FROM schedules WHERE namespace_id = ?1 AND run_key <= ?2)"
)
_NEWEST = (
    "SELECT max(coalesce((SELECT max(run_key) FROM runs WHERE namespace_id = ?1), 0),"
    " coalesce((SELECT max(run_key) FROM schedules WHERE namespace_id = ?1), 0))"
)


class Fill(NamedTuple):
    """What is to be given to `peers`."""

    peers: tuple[str, ...]
    after_key: int  # up to here they were given everything
    until_key: int | None  # None: not begun


class StoredRun(NamedTuple):
    """A run to be given."""

    run_key: int
    workflow_id: str
    run_id: str
    record: bytes  # mockcloud.state.v1.RunRecord


def begin(connection: sqlite3.Connection, namespace_id: str, peers: Iterable[str]) -> None:
    """Peers have joined. Others that are being filled begin again with them: giving twice does no harm."""
    before = load(connection, namespace_id)
    everyone = sorted({*peers, *(before.peers if before else ())})
    connection.execute(_PUT, (namespace_id, json.dumps(everyone), 0, None))


def load(connection: sqlite3.Connection, namespace_id: str) -> Fill | None:
    """The fill of a namespace that has not ended, or None."""
    sql = "SELECT peers, after_key, until_key FROM fills WHERE namespace_id = ?"
    row = connection.execute(sql, (namespace_id,)).fetchone()
    return None if row is None else Fill(tuple(json.loads(row[0])), row[1], row[2])


def progress(connection: sqlite3.Connection, namespace_id: str) -> tuple[Fill, int, int] | None:
    """The fill of a namespace, how many of its runs and schedules were given, and how many there are to give."""
    fill = load(connection, namespace_id)
    if fill is None:
        return None
    until = newest_key(connection, namespace_id) if fill.until_key is None else fill.until_key
    given, everything = (
        connection.execute(_COUNT, (namespace_id, key)).fetchone()[0] for key in (fill.after_key, until)
    )
    return fill, given, everything


def pending(connection: sqlite3.Connection) -> list[str]:
    """The ids of the namespaces whose fill has not ended."""
    return [namespace_id for (namespace_id,) in connection.execute("SELECT namespace_id FROM fills")]


def advance(connection: sqlite3.Connection, namespace_id: str, fill: Fill) -> None:
    """Keep how far it came."""
    connection.execute(_PUT, (namespace_id, json.dumps(fill.peers), fill.after_key, fill.until_key))


def end(connection: sqlite3.Connection, namespace_id: str) -> None:
    """The peers have been given everything."""
    connection.execute("DELETE FROM fills WHERE namespace_id = ?", (namespace_id,))


def newest_key(connection: sqlite3.Connection, namespace_id: str) -> int:
    """The key of the newest run or schedule."""
    return int(connection.execute(_NEWEST, (namespace_id,)).fetchone()[0])


def runs_between(
    connection: sqlite3.Connection, namespace_id: str, after_key: int, until_key: int, limit: int
) -> list[StoredRun]:
    """The next runs, oldest first."""
    return [StoredRun(*row) for row in connection.execute(_RUNS, (after_key, until_key, namespace_id, limit))]


def schedules_between(
    connection: sqlite3.Connection, namespace_id: str, after_key: int, until_key: int
) -> list[tuple[int, bytes]]:
    """(key, ScheduleRecord) of the schedules between two keys, oldest first."""
    return connection.execute(_SCHEDULES, (namespace_id, after_key, until_key)).fetchall()
