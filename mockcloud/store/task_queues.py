"""What was said of task queues by name: one row for each queue that was ever configured."""

from __future__ import annotations

import sqlite3

from mockcloud.api.state.v1.state_pb2 import TaskQueueUserData

_PUT = (
    "INSERT INTO task_queue_user_data (namespace_id, task_queue, data) VALUES (?, ?, ?)"
    " ON CONFLICT (namespace_id, task_queue) DO UPDATE SET data = excluded.data"
)
_ALL = "SELECT data FROM task_queue_user_data WHERE namespace_id = ? ORDER BY task_queue"


def put_user_data(connection: sqlite3.Connection, namespace_id: str, data: TaskQueueUserData) -> None:
    """Insert or replace by name."""
    connection.execute(_PUT, (namespace_id, data.task_queue, data.SerializeToString()))


def all_user_data(connection: sqlite3.Connection, namespace_id: str) -> list[TaskQueueUserData]:
    """Everything of a namespace, by name."""
    return [TaskQueueUserData.FromString(raw) for (raw,) in connection.execute(_ALL, (namespace_id,))]
