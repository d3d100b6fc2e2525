"""Runs that a user deleted: what of them was deleted here, so that a peer who tells it late does not bring it back.

What a peer wrote to such a run without knowing of its deletion is not in there, and does bring it back.
"""

from __future__ import annotations

import sqlite3

from mockcloud.api.state.v1.state_pb2 import VersionHistories

_PUT = (
    "INSERT OR REPLACE INTO deletions (namespace_id, workflow_id, run_id, forget_at, histories)"
    " VALUES (?, ?, ?, ?, ?)"
)
_LOAD = "SELECT histories FROM deletions WHERE namespace_id = ? AND workflow_id = ? AND run_id = ?"


def put_deletion(
    connection: sqlite3.Connection,
    namespace_id: str,
    workflow_id: str,
    run_id: str,
    histories: VersionHistories,
    *,
    now: int,
    keep: int,
) -> None:
    """Keep for `keep` nanoseconds that these branches of a run are deleted; older ones are forgotten."""
    connection.execute("DELETE FROM deletions WHERE forget_at <= ?", (now,))
    connection.execute(_PUT, (namespace_id, workflow_id, run_id, now + keep, histories.SerializeToString()))


def deleted_histories(
    connection: sqlite3.Connection, namespace_id: str, workflow_id: str, run_id: str
) -> VersionHistories | None:
    """The branches that a run had when it was deleted; None: it was not, or that is forgotten."""
    row = connection.execute(_LOAD, (namespace_id, workflow_id, run_id)).fetchone()
    return None if row is None else VersionHistories.FromString(row[0])
