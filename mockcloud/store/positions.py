"""How far replication came, per namespace and peer; durable on both sides. Positions only rise.

`acked`: what a peer has applied of this region's log. `applied`: what this region has applied of a peer's
log, set in the same transaction as what was applied, so that a crash neither loses nor repeats a task.
"""

from __future__ import annotations

import sqlite3

_GET = "SELECT position FROM positions WHERE namespace_id = ? AND direction = ? AND peer = ?"
_SET = (
    "INSERT INTO positions (namespace_id, direction, peer, position) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (namespace_id, direction, peer) DO UPDATE SET position = max(position, excluded.position)"
)


def acked(connection: sqlite3.Connection, namespace_id: str, peer: str) -> int:
    """Last position of this region's log that `peer` has made durable; 0 for none."""
    return _get(connection, namespace_id, "acked", peer)


def set_acked(connection: sqlite3.Connection, namespace_id: str, peer: str, position: int) -> None:
    connection.execute(_SET, (namespace_id, "acked", peer, position))


def all_acked(connection: sqlite3.Connection, namespace_id: str) -> dict[str, int]:
    """Peer -> last position it has made durable. A peer that never acknowledged is absent."""
    sql = "SELECT peer, position FROM positions WHERE namespace_id = ? AND direction = 'acked'"
    return dict(connection.execute(sql, (namespace_id,)).fetchall())


def applied(connection: sqlite3.Connection, namespace_id: str, source: str) -> int:
    """Last position of `source`'s log that is durable here; 0 for none."""
    return _get(connection, namespace_id, "applied", source)


def set_applied(connection: sqlite3.Connection, namespace_id: str, source: str, position: int) -> None:
    connection.execute(_SET, (namespace_id, "applied", source, position))


def _get(connection: sqlite3.Connection, namespace_id: str, direction: str, peer: str) -> int:
    row = connection.execute(_GET, (namespace_id, direction, peer)).fetchone()
    return 0 if row is None else int(row[0])
