"""The replication log: what this region committed as the active one, in order, for its peers to fetch.

Positions are dense and rising within a namespace (from 1), so `last_position - acked` is the number of
outstanding tasks. The events of an entry are not stored twice: it refers to the batch in the history and
reading joins them in. Trimming removes what all peers have; it never makes a position be used again.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from mockcloud.api.replication.v1.replication_pb2 import HistoryBatch, ReplicationTask

_APPEND = (
    "INSERT INTO replication_log (namespace_id, position, branch_id, first_event_id, new_run_branch_id,"
    " new_run_first_event_id, payload) VALUES (?1, 1 + max("
    "coalesce((SELECT max(position) FROM replication_log WHERE namespace_id = ?1), 0),"
    "coalesce((SELECT position FROM log_trimmed WHERE namespace_id = ?1), 0)), ?2, ?3, ?4, ?5, ?6)"
)
_READ = (
    "SELECT position, payload, log.branch_id, nodes.data, new_run_branch_id, new_nodes.data"
    " FROM replication_log AS log"
    " LEFT JOIN nodes ON nodes.branch_id = log.branch_id AND nodes.first_event_id = log.first_event_id"
    " LEFT JOIN nodes AS new_nodes ON new_nodes.branch_id = log.new_run_branch_id"
    " AND new_nodes.first_event_id = log.new_run_first_event_id"
    " WHERE namespace_id = ? AND position > ? ORDER BY position LIMIT ?"
)
_LAST = (
    "SELECT max(coalesce((SELECT max(position) FROM replication_log WHERE namespace_id = ?1), 0),"
    " coalesce((SELECT position FROM log_trimmed WHERE namespace_id = ?1), 0))"
)
_TRIM = "DELETE FROM replication_log WHERE namespace_id = ? AND position <= ?"
_TRIMMED = (
    "INSERT INTO log_trimmed (namespace_id, position) VALUES (?, ?)"
    " ON CONFLICT (namespace_id) DO UPDATE SET position = max(position, excluded.position)"
)


class NodeRef(NamedTuple):
    """Names a batch in the history."""

    branch_id: int
    first_event_id: int


class LogWrite(NamedTuple):
    """One task to append: a serialised ReplicationTask, without position and without events of batches."""

    payload: bytes
    events: NodeRef | None = None  # the batch that becomes `history.events`
    new_run_events: NodeRef | None = None  # the batch that becomes `history.new_run.events`


class LogRow(NamedTuple):
    """One task as read back."""

    position: int
    task: ReplicationTask  # whole: position and events are in it
    # The run was deleted meanwhile: the task has no events and must not be sent. Of a run and the one that continues
    # it the task is about the one that is left, if only one is.
    events_gone: bool


def append_log(connection: sqlite3.Connection, namespace_id: str, write: LogWrite) -> None:
    """Append one task under the namespace's next position."""
    events, new_run = write.events, write.new_run_events
    connection.execute(
        _APPEND,
        (
            namespace_id,
            events.branch_id if events else None,
            events.first_event_id if events else None,
            new_run.branch_id if new_run else None,
            new_run.first_event_id if new_run else None,
            write.payload,
        ),
    )


def read_log(
    connection: sqlite3.Connection,
    namespace_id: str,
    after_position: int,
    limit_rows: int = 256,
    limit_bytes: int = 1 << 20,
) -> list[LogRow]:
    """Tasks after a position, in order; within the limit of bytes, but at least one if there is one."""
    page: list[LogRow] = []
    size = 0
    rows = connection.execute(_READ, (namespace_id, after_position, limit_rows))
    for position, payload, branch_id, events, new_branch_id, new_events in rows:
        size += len(payload) + len(events or b"") + len(new_events or b"")
        if page and size > limit_bytes:
            break
        task = ReplicationTask.FromString(payload)
        task.position = position
        if events is not None:
            task.history.events = events
        if new_events is not None:
            task.history.new_run.events = new_events
        gone = branch_id is not None and events is None
        if new_branch_id is not None and gone != (new_events is None):
            _halve(task, new_run=gone)
            gone = False
        page.append(LogRow(position, task, gone))
    rows.close()
    return page


def last_position(connection: sqlite3.Connection, namespace_id: str) -> int:
    """Position of the newest task, trimmed or not; 0 when there never was one."""
    return int(connection.execute(_LAST, (namespace_id,)).fetchone()[0])


def trim_log(connection: sqlite3.Connection, namespace_id: str, up_to: int) -> None:
    """Remove tasks up to and including a position: the lowest that all peers have acknowledged."""
    up_to = min(up_to, last_position(connection, namespace_id))
    if connection.execute(_TRIM, (namespace_id, up_to)).rowcount:
        connection.execute(_TRIMMED, (namespace_id, up_to))


def _halve(task: ReplicationTask, *, new_run: bool) -> None:
    """Of a task about a run and the one that continues it, keep what is about one of them."""
    left = HistoryBatch()
    left.CopyFrom(task.history.new_run if new_run else task.history)
    left.ClearField("new_run")
    task.history.CopyFrom(left)
