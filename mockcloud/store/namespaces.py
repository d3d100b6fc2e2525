"""Namespace records as this region has them."""

from __future__ import annotations

import sqlite3

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.store import log

_PUT = (
    "INSERT INTO namespaces (namespace_id, name, record) VALUES (?, ?, ?)"
    " ON CONFLICT (namespace_id) DO UPDATE SET name = excluded.name, record = excluded.record"
)
_BY_NAMESPACE = (
    "task_queue_user_data",
    "schedules",
    "visibility",
    "search_attribute",
    "replication_log",
    "log_trimmed",
    "positions",
    "deletions",
    "fills",
    "parked",
    "dead_letters",
    "namespaces",
)

_POSITIONS = frozenset({"log_trimmed", "positions"})


def put_namespace(connection: sqlite3.Connection, record: NamespaceRecord) -> None:
    """Insert or replace by id. Raises sqlite3.IntegrityError when another namespace has the name."""
    connection.execute(_PUT, (record.id, record.name, record.SerializeToString()))


def all_namespaces(connection: sqlite3.Connection) -> list[NamespaceRecord]:
    """Every namespace, by name."""
    rows = connection.execute("SELECT record FROM namespaces ORDER BY name")
    return [NamespaceRecord.FromString(data) for (data,) in rows]


def forget_namespace(connection: sqlite3.Connection, namespace_id: str) -> None:
    """Remove a namespace that has left this region, but not how far its logs were: it may come back.

    Peers go on from there; positions that were used once must never be used again.
    """
    log.trim_log(connection, namespace_id, log.last_position(connection, namespace_id))
    for table in _BY_NAMESPACE:
        if table not in _POSITIONS:
            connection.execute(f"DELETE FROM {table} WHERE namespace_id = ?", (namespace_id,))  # noqa: S608 our own names
