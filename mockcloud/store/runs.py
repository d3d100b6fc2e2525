"""Runs as stored, current runs, and `write_run`: everything that one change of a run leaves.

A run's record is what its events do not carry (`core.run`); the events are in `history`. Zombie runs are rows
as well, but never current.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, field

from temporalio.api.enums.v1 import WorkflowExecutionStatus

from mockcloud.core.current import CurrentRun
from mockcloud.core.derived import Offer, VisibilityRow
from mockcloud.core.outcome import Batch, Fork
from mockcloud.store import history, log, offers, visibility

_INSERT = (
    "INSERT INTO runs"
    " (run_key, namespace_id, workflow_id, run_id, status, zombie, due, delete_at, errands, record)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
# Most changes leave the indexed columns as they are: then SQLite need not touch their indexes.
_UPDATE_RECORD = (
    "UPDATE runs SET record = ?"
    " WHERE run_key = ? AND status = ? AND zombie = ? AND due IS ? AND delete_at IS ? AND errands = ?"
)
_UPDATE = "UPDATE runs SET record = ?, status = ?, zombie = ?, due = ?, delete_at = ?, errands = ? WHERE run_key = ?"
_COLUMNS = "run_key, namespace_id, workflow_id, run_id, status, zombie, record, due, delete_at"
_OF_WORKFLOW = f"SELECT {_COLUMNS} FROM runs WHERE namespace_id = ? AND workflow_id = ?"  # noqa: S608 constants
_LOAD = f"{_OF_WORKFLOW} AND run_id = ?"
_RUNS_OF = f"{_OF_WORKFLOW} ORDER BY run_key"
_LOAD_CURRENT = (
    "SELECT run_id, create_request_id, status, start_time, start_version, last_write_version, close_time,"
    " attached_request_ids FROM current_runs WHERE namespace_id = ? AND workflow_id = ?"
)
_PUT_CURRENT = (
    "INSERT OR REPLACE INTO current_runs (namespace_id, workflow_id, run_id, create_request_id, status,"
    " start_time, start_version, last_write_version, close_time, attached_request_ids)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_DUE = (
    "SELECT due, workflow_id, run_id FROM runs"
    " WHERE namespace_id = ? AND due IS NOT NULL ORDER BY due, run_key"
)
_WITH_ERRANDS = "SELECT workflow_id, run_id FROM runs WHERE namespace_id = ? AND errands ORDER BY run_key"
_SOME = "SELECT workflow_id, run_id FROM runs WHERE namespace_id = ? ORDER BY workflow_id, run_id LIMIT ?"
_EXPIRED = (
    "SELECT run_key, namespace_id, workflow_id, run_id FROM runs"
    " WHERE delete_at IS NOT NULL AND delete_at <= ? ORDER BY delete_at LIMIT ?"
)
_BRANCHES = (
    "SELECT branch_id, parent_id, last_shared_event_id FROM branches WHERE run_key = ? ORDER BY branch_id"
)
_IS_RUN = (
    "(namespace_id, workflow_id, run_id) ="
    " (SELECT namespace_id, workflow_id, run_id FROM runs WHERE run_key = ?)"
)
_DELETE_RUN = (
    f"DELETE FROM current_runs WHERE {_IS_RUN}",  # noqa: S608 constants
    f"DELETE FROM parked WHERE {_IS_RUN}",  # noqa: S608 constants
    "DELETE FROM nodes WHERE branch_id IN (SELECT branch_id FROM branches WHERE run_key = ?)",
    "DELETE FROM branches WHERE run_key = ?",
    "DELETE FROM offers WHERE run_key = ?",
    "DELETE FROM visibility WHERE run_key = ?",
    "DELETE FROM search_attribute WHERE run_key = ?",
    "DELETE FROM runs WHERE run_key = ?",
)


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run."""

    run_key: int
    namespace_id: str
    workflow_id: str
    run_id: str
    status: WorkflowExecutionStatus.ValueType
    zombie: bool
    record: bytes  # mockcloud.state.v1.RunRecord
    due: int | None  # next moment at which something of it is due
    delete_at: int | None  # end of its retention; None while open


@dataclass(frozen=True, slots=True)
class ExpiredRun:
    """A closed run whose retention is over."""

    run_key: int
    namespace_id: str
    workflow_id: str
    run_id: str


@dataclass(slots=True)
class RunWrite:
    """What one change leaves of one run."""

    run_key: int  # unique in the region; the engine takes it from its task ids when the run is created
    namespace_id: str
    workflow_id: str
    run_id: str
    created: bool
    record: bytes
    status: WorkflowExecutionStatus.ValueType
    zombie: bool
    due: int | None
    delete_at: int | None
    due_changed: bool = (
        True  # only a hint: False makes the write cheaper where nothing that is indexed changed
    )
    errands: bool = False  # whether something is to be done to other runs because of this one
    forks: list[Fork] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    offers_added: Collection[Offer] = ()
    offers_removed: Collection[Offer] = ()
    visibility: VisibilityRow | None = None
    visibility_changed: bool = False  # with a visibility of None: the run is listed no more
    search_attributes_changed: bool = True
    columns_changed: bool = True  # of the visibility: anything but memo and search attributes
    current: CurrentRun | None = None  # the workflow id's current-run row to put; None: leave it as it is
    log: list[log.LogWrite] = field(default_factory=list)


def write_run(connection: sqlite3.Connection, write: RunWrite) -> None:
    """Everything of one change. sqlite3.IntegrityError: a created run exists, or an updated one does not."""
    key = write.run_key
    if write.created:
        connection.execute(
            _INSERT,
            (
                key,
                write.namespace_id,
                write.workflow_id,
                write.run_id,
                write.status,
                write.zombie,
                write.due,
                write.delete_at,
                write.errands,
                write.record,
            ),
        )
    else:
        _update(connection, write)
    if write.forks:
        history.add_forks(connection, key, write.forks)
    if write.batches:
        history.append(connection, write.batches)
    if write.offers_added or write.offers_removed:
        offers.change_offers(connection, key, write.offers_added, write.offers_removed)
    if write.visibility_changed:
        visibility.put_visibility(
            connection,
            key,
            write.namespace_id,
            write.workflow_id,
            write.run_id,
            write.visibility,
            attributes_changed=write.search_attributes_changed,
            columns_changed=write.columns_changed,
        )
    if write.current is not None:
        _put_current(connection, write.namespace_id, write.workflow_id, write.current)
    for entry in write.log:
        log.append_log(connection, write.namespace_id, entry)


def some_runs(connection: sqlite3.Connection, namespace_id: str, limit: int) -> list[tuple[str, str]]:
    """Up to `limit` runs of a namespace, as (workflow id, run id)."""
    return connection.execute(_SOME, (namespace_id, limit)).fetchall()


def load_run(
    connection: sqlite3.Connection, namespace_id: str, workflow_id: str, run_id: str
) -> RunRow | None:
    """One run, or None."""
    row = connection.execute(_LOAD, (namespace_id, workflow_id, run_id)).fetchone()
    return None if row is None else _run_row(row)


def runs_of(connection: sqlite3.Connection, namespace_id: str, workflow_id: str) -> list[RunRow]:
    """All runs of a workflow id, zombies included, in the order in which this region made them."""
    return [_run_row(row) for row in connection.execute(_RUNS_OF, (namespace_id, workflow_id))]


def load_current(connection: sqlite3.Connection, namespace_id: str, workflow_id: str) -> CurrentRun | None:
    """The current run of a workflow id: the open one, or else the newest; None if there is none."""
    row = connection.execute(_LOAD_CURRENT, (namespace_id, workflow_id)).fetchone()
    if row is None:
        return None
    current = CurrentRun(*row)
    return current._replace(attached_request_ids=tuple(json.loads(row[-1])))


def due_runs(connection: sqlite3.Connection, namespace_id: str) -> list[tuple[int, str, str]]:
    """(due, workflow id, run id) of the runs that wait for a moment, earliest first."""
    return connection.execute(_DUE, (namespace_id,)).fetchall()


def runs_with_errands(connection: sqlite3.Connection, namespace_id: str) -> list[tuple[str, str]]:
    """(workflow id, run id) of the runs because of which something is to be done to others, oldest first."""
    return connection.execute(_WITH_ERRANDS, (namespace_id,)).fetchall()


def expired_runs(connection: sqlite3.Connection, now: int, limit: int) -> list[ExpiredRun]:
    """Runs of all namespaces whose retention is over at `now`, longest over first."""
    return [ExpiredRun(*row) for row in connection.execute(_EXPIRED, (now, limit))]


def branches(connection: sqlite3.Connection, run_key: int) -> list[Fork]:
    """All branches of a run, losing ones included, oldest first."""
    return [Fork(*row) for row in connection.execute(_BRANCHES, (run_key,))]


def delete_run(connection: sqlite3.Connection, run_key: int) -> None:
    """Remove a run and all that hangs on it, its current-run row too if that names it. Unknown runs: nothing.

    Entries of the replication log stay; those whose batch is gone read back as `events_gone`.
    """
    for sql in _DELETE_RUN:
        connection.execute(sql, (run_key,))


def _update(connection: sqlite3.Connection, write: RunWrite) -> None:
    columns = (write.status, write.zombie, write.due, write.delete_at, write.errands)
    if not write.due_changed:
        unchanged = (write.record, write.run_key, *columns)
        if connection.execute(_UPDATE_RECORD, unchanged).rowcount:
            return
    changed = (write.record, *columns, write.run_key)
    if not connection.execute(_UPDATE, changed).rowcount:
        raise sqlite3.IntegrityError(f"run {write.run_key} ({write.run_id}) does not exist")


def _put_current(
    connection: sqlite3.Connection, namespace_id: str, workflow_id: str, current: CurrentRun
) -> None:
    connection.execute(
        _PUT_CURRENT,
        (
            namespace_id,
            workflow_id,
            current.run_id,
            current.create_request_id,
            current.status,
            current.start_time,
            current.start_version,
            current.last_write_version,
            current.close_time,
            json.dumps(current.attached_request_ids),
        ),
    )


def _run_row(
    row: tuple[int, str, str, str, WorkflowExecutionStatus.ValueType, int, bytes, int | None, int | None],
) -> RunRow:
    run_key, namespace_id, workflow_id, run_id, status, zombie, record, due, delete_at = row
    return RunRow(run_key, namespace_id, workflow_id, run_id, status, bool(zombie), record, due, delete_at)
