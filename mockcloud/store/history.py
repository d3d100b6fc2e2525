"""Histories: batches of events on a tree of branches.

A branch holds only the batches that were written on it; up to its fork point it shares those of its parent.
Reading collects the ancestors once and then takes one range of each. Batches are whole: the caller cuts pages
at their ends. Real: common/persistence/history_manager.go (history_node, history_tree).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from temporalio.api.history.v1 import History

from mockcloud.core.outcome import Batch, Fork

_LAST_EVENT_ID = (1 << 63) - 1

_FORK = "INSERT INTO branches (branch_id, run_key, parent_id, last_shared_event_id) VALUES (?, ?, ?, ?)"
_APPEND = "INSERT INTO nodes (branch_id, first_event_id, last_event_id, version, data) VALUES (?, ?, ?, ?, ?)"
# Each branch with the event above which it has its own batches, and the one up to which they are seen.
_ANCESTORS = (
    "WITH RECURSIVE chain (branch_id, parent_id, above, up_to) AS ("
    " SELECT branch_id, parent_id, last_shared_event_id, 9223372036854775807"
    " FROM branches WHERE branch_id = ?"
    " UNION ALL"
    " SELECT b.branch_id, b.parent_id, b.last_shared_event_id, min(chain.up_to, chain.above)"
    " FROM chain JOIN branches b ON b.branch_id = chain.parent_id"
    ") SELECT branch_id, above, up_to FROM chain"
)
# The first batch is the one that holds event `?3`, wherever in it that lies.
_RANGE = (
    "SELECT branch_id, first_event_id, last_event_id, version, data FROM nodes WHERE branch_id = ?1"
    " AND first_event_id <= ?2 AND first_event_id >= coalesce("
    "(SELECT max(first_event_id) FROM nodes WHERE branch_id = ?1 AND first_event_id <= ?3), ?3)"
    " AND last_event_id >= ?3 ORDER BY first_event_id"
)
_RANGE_REVERSE = _RANGE + " DESC"
_WRITTEN = (
    "SELECT runs.workflow_id, runs.run_id, nodes.version, nodes.data FROM nodes"
    " JOIN branches ON branches.branch_id = nodes.branch_id JOIN runs ON runs.run_key = branches.run_key"
    " WHERE nodes.node_id > ? AND nodes.node_id <= ? AND nodes.version = ? AND runs.namespace_id = ?"
    " ORDER BY nodes.node_id"
)

# From the first batch on that may hold event `?5`, wherever in it that lies.
_HELD = (
    "SELECT nodes.first_event_id, nodes.last_event_id FROM runs"
    " JOIN branches ON branches.run_key = runs.run_key JOIN nodes ON nodes.branch_id = branches.branch_id"
    " WHERE runs.namespace_id = ?1 AND runs.workflow_id = ?2 AND runs.run_id = ?3 AND nodes.version = ?4"
    " AND nodes.first_event_id >= coalesce((SELECT max(before.first_event_id) FROM nodes AS before"
    " WHERE before.branch_id = branches.branch_id AND before.first_event_id <= ?5), ?5)"
    " AND nodes.first_event_id <= ?6 AND nodes.node_id <= ?7"
)


def add_forks(connection: sqlite3.Connection, run_key: int, forks: Iterable[Fork]) -> None:
    """Make branches of a run; root ones have parent 0."""
    for fork in forks:
        connection.execute(_FORK, (fork.branch_id, run_key, fork.parent_id, fork.last_shared_event_id))


def append(connection: sqlite3.Connection, batches: Iterable[Batch]) -> None:
    """Write batches. Raises sqlite3.IntegrityError when a branch has a batch with that first event."""
    for batch in batches:
        connection.execute(
            _APPEND, (batch.branch_id, batch.first_event_id, batch.last_event_id, batch.version, batch.data)
        )


def last_node(connection: sqlite3.Connection) -> int:
    """A mark in what this region writes: batches written later have higher ones. 0 before the first."""
    return int(connection.execute("SELECT coalesce(max(node_id), 0) FROM nodes").fetchone()[0])


def written(
    connection: sqlite3.Connection, namespace_id: str, after_node: int, up_to_node: int, version: int
) -> list[tuple[str, str, int, bytes]]:
    """(workflow id, run id, version, History) of the batches between two marks that have that version."""
    return connection.execute(_WRITTEN, (after_node, up_to_node, version, namespace_id)).fetchall()


def held(
    connection: sqlite3.Connection,
    namespace_id: str,
    workflow_id: str,
    run_id: str,
    version: int,
    event_ids: range,
    up_to_node: int,
) -> set[int]:
    """Which of these events of a run, of that version, some branch of it had at a mark."""
    first, last = event_ids[0], event_ids[-1]
    batches = connection.execute(
        _HELD, (namespace_id, workflow_id, run_id, version, first, last, up_to_node)
    ).fetchall()
    return {event_id for begin, end in batches for event_id in range(max(begin, first), min(end, last) + 1)}


def read_branch(
    connection: sqlite3.Connection,
    branch_id: int,
    first_event_id: int = 1,
    end_event_id: int = _LAST_EVENT_ID,
    max_events: int | None = None,
) -> list[Batch]:
    """Batches that hold events of [first, end) as `branch_id` sees them, oldest first.

    With `max_events`, whole batches as long as they fit; the first one always. Go on from the last one's
    `last_event_id` + 1. `data` of several batches concatenated is one serialised History. Empty for an
    unknown branch.
    """
    return _page(_batches(connection, branch_id, first_event_id, end_event_id, reverse=False), max_events)


def read_branch_reverse(
    connection: sqlite3.Connection,
    branch_id: int,
    first_event_id: int = 1,
    end_event_id: int = _LAST_EVENT_ID,
    max_events: int | None = None,
) -> list[Batch]:
    """The same, newest batch first (in it events rise). Go on with the last one's first id as end."""
    return _page(_batches(connection, branch_id, first_event_id, end_event_id, reverse=True), max_events)


def _page(batches: Iterator[Batch], max_events: int | None) -> list[Batch]:
    page: list[Batch] = []
    events = 0
    for batch in batches:
        events += batch.last_event_id - batch.first_event_id + 1
        if page and max_events is not None and events > max_events:
            break
        page.append(batch)
    return page


def _batches(
    connection: sqlite3.Connection, branch_id: int, first: int, end: int, *, reverse: bool
) -> Iterator[Batch]:
    segments = connection.execute(_ANCESTORS, (branch_id,)).fetchall()  # youngest branch first
    sql = _RANGE_REVERSE if reverse else _RANGE
    for owner, above, up_to in segments if reverse else reversed(segments):
        low, high = max(first, above + 1), min(end - 1, up_to)
        if low > high:
            continue
        rows = connection.execute(sql, (owner, high, low))
        try:
            for row in rows:
                batch = Batch(*row)
                yield batch if batch.last_event_id <= up_to else _cut(batch, up_to)
        finally:
            rows.close()  # an abandoned cursor would hold the snapshot


def _cut(batch: Batch, last_event_id: int) -> Batch:
    """The part of a batch that a branch forked in its middle shares."""
    events = [event for event in History.FromString(batch.data).events if event.event_id <= last_event_id]
    return Batch.of(batch.branch_id, events)
