"""Namespace records as this region has them."""

from __future__ import annotations

import sqlite3

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord

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
    "fills",
    "parked",
    "dead_letters",
    "namespaces",
)


def put_namespace(connection: sqlite3.Connection, record: NamespaceRecord) -> None:
    """Insert or replace by id. Raises sqlite3.IntegrityError when another namespace has the name."""
    connection.execute(_PUT, (record.id, record.name, record.SerializeToString()))


def all_namespaces(connection: sqlite3.Connection) -> list[NamespaceRecord]:
    """Every namespace, by name."""
    rows = connection.execute("SELECT record FROM namespaces ORDER BY name")
    return [NamespaceRecord.FromString(data) for (data,) in rows]


def delete_namespace(connection: sqlite3.Connection, namespace_id: str) -> None:
    """Remove the record and all that belongs to its replication. Its runs are deleted before, one by one."""
    for table in _BY_NAMESPACE:
        connection.execute(f"DELETE FROM {table} WHERE namespace_id = ?", (namespace_id,))  # noqa: S608 our own names
