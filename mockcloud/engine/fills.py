"""Gives a region that joined a namespace what the others have: runs, schedules, what was said of task queues.

The region where the longer list of clusters was asked for writes into its replication log, run by run and oldest
first, the last batch of each branch and what events do not carry. Who has a run drops these as duplicates; who does
not have it asks for the whole of it, as for any missing range. So a fill is idempotent, is in order with live work,
goes on after a crash where it was (`store.fills`), and blocks nobody: each slice is one small transaction, and the
next one waits until those who are being filled have nearly all of it.

Closed runs come as long as their retention keeps them, and lists of runs are derived where the runs arrive.

A graceful failover to a region that is being filled waits for the end of that.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History

from mockcloud.api.replication.v1.replication_pb2 import (
    ActivityState,
    HistoryBatch,
    ReplicationTask,
    RunStateRecord,
)
from mockcloud.api.replication.v1.replication_pb2 import ScheduleState as ScheduleMessage
from mockcloud.api.state.v1.state_pb2 import NamespaceRecord, RunRecord, TaskProblems, VersionHistory
from mockcloud.core.ports import Ports
from mockcloud.core.schedule.state import ScheduleState
from mockcloud.engine.namespaces import Namespace, NamespaceRegistry
from mockcloud.engine.tasks import Tasks
from mockcloud.engine.wakeups import Signal, WakeUps
from mockcloud.store import fills, history, log, task_queues
from mockcloud.store.database import Store
from mockcloud.store.fills import Fill, StoredRun
from mockcloud.store.log import LogWrite, NodeRef

_RUNS_AT_ONCE: Final = 5
_EVENTS_AT_ONCE: Final = 256


class Fills:
    """The fills that were asked for in this region."""

    def __init__(
        self, namespaces: NamespaceRegistry, store: Store, ports: Ports, tasks: Tasks, log_signal: Signal
    ) -> None:
        self._store: Final = store
        self._ports: Final = ports
        self._tasks: Final = tasks
        self._log_signal: Final = log_signal
        self._running = False
        self._at_work: Final[dict[str, asyncio.Task[None]]] = {}  # by namespace id
        # Set by what replicates: returns when those peers of a namespace have nearly all that is in its log.
        self.room: Callable[[str, Sequence[str]], Awaitable[None]] = _at_once
        self._ended: Final = WakeUps()
        namespaces.listeners.append(self._namespace_changed)

    async def start(self) -> None:
        """Go on where a life before was ended."""
        self._running = True
        for namespace_id in await self._store.read(fills.pending):
            self._begin(namespace_id)

    def stop(self) -> None:
        """Write no further slice."""
        self._running = False
        for task in self._at_work.values():
            task.cancel()

    async def wait(self, namespace_id: str, peer: str) -> None:
        """Return when what `peer` is to be filled with is in the log; at once if it is not being filled."""
        while True:
            seen = self._ended.count(namespace_id)
            fill = await self._load(namespace_id)
            if fill is None or peer not in fill.peers:
                return
            await self._ended.wait(namespace_id, seen)

    def _namespace_changed(self, namespace: Namespace, before: NamespaceRecord | None) -> None:
        if before is None or list(namespace.record.clusters) == list(before.clusters):
            return
        # Who has left is waited for no longer.
        task = self._at_work.pop(namespace.id, None)
        if task is not None:
            task.cancel()
        self._begin(namespace.id)

    def _begin(self, namespace_id: str) -> None:
        if self._running and namespace_id not in self._at_work:
            task = self._tasks.background(self._fill(namespace_id), "fill")
            if task is not None:
                self._at_work[namespace_id] = task

    async def _fill(self, namespace_id: str) -> None:
        try:
            while self._running and (fill := await self._load(namespace_id)) is not None:
                await self.room(namespace_id, fill.peers)
                await self._store.transact(
                    lambda connection: _slice(connection, namespace_id, self._ports.clock.now())
                )
                self._log_signal.notify(namespace_id)
            self._ended.notify(namespace_id)
        finally:
            if self._at_work.get(namespace_id) is asyncio.current_task():
                del self._at_work[namespace_id]

    async def _load(self, namespace_id: str) -> Fill | None:
        return await self._store.read(lambda connection: fills.load(connection, namespace_id))


async def _at_once(namespace_id: str, peers: Sequence[str]) -> None:
    """Where nothing replicates, nobody is waited for."""


def _slice(connection: sqlite3.Connection, namespace_id: str, now: int) -> bool:
    """Write the next runs into the log; whether there may be more. One transaction: the log is in order."""
    fill = fills.load(connection, namespace_id)
    if fill is None:
        return False
    if fill.until_key is None:
        fill = fill._replace(until_key=fills.newest_key(connection, namespace_id))
        for data in task_queues.all_user_data(connection, namespace_id):
            _append(connection, namespace_id, ReplicationTask(created_at=now, task_queue=data))
    assert fill.until_key is not None, "it has begun"
    found = fills.runs_between(connection, namespace_id, fill.after_key, fill.until_key, _RUNS_AT_ONCE)
    last_key = found[-1].run_key if len(found) == _RUNS_AT_ONCE else fill.until_key
    for stored in found:
        for entry in _run(connection, stored, now):
            log.append_log(connection, namespace_id, entry)
    for _, raw in fills.schedules_between(connection, namespace_id, fill.after_key, last_key):
        state = ScheduleState.load(raw)
        message = ScheduleMessage(
            workflow_id=state.workflow_id, run_id=state.record.run_id, record=state.record
        )
        _append(connection, namespace_id, ReplicationTask(created_at=now, schedule=message))
    if last_key >= fill.until_key:
        fills.end(connection, namespace_id)
        return False
    fills.advance(connection, namespace_id, fill._replace(after_key=last_key))
    return True


def _append(connection: sqlite3.Connection, namespace_id: str, task: ReplicationTask) -> None:
    log.append_log(connection, namespace_id, LogWrite(task.SerializeToString()))


def _run(connection: sqlite3.Connection, stored: StoredRun, now: int) -> Iterator[LogWrite]:
    """The current branch, what its events do not carry, then the losing branches."""
    record = RunRecord.FromString(stored.record)
    histories = record.version_histories
    current = histories.histories[histories.current_index]
    yield _last_batch(connection, stored, record, current, now)
    for activity in record.activities:
        state = ActivityState(
            workflow_id=stored.workflow_id, run_id=stored.run_id, items=current.items, activity=activity
        )
        yield LogWrite(ReplicationTask(created_at=now, activity=state).SerializeToString())
    run_state = RunStateRecord(
        workflow_id=stored.workflow_id,
        run_id=stored.run_id,
        items=current.items,
        reapplied=record.reapplied,
        close_errands=record.close_errands if record.HasField("close_errands") else None,
        problems=_problems(connection, record, current),
    )
    yield LogWrite(ReplicationTask(created_at=now, run_state=run_state).SerializeToString())
    for index, branch in enumerate(histories.histories):
        if index != histories.current_index:
            yield _last_batch(connection, stored, record, branch, now)


def _problems(
    connection: sqlite3.Connection, record: RunRecord, branch: VersionHistory
) -> TaskProblems | None:
    """What is reported of failing workflow tasks, with the event that makes it void once another follows."""
    if not record.reported_problems:
        return None
    completed, end = 0, branch.items[-1].event_id + 1
    while not completed and end > 1:
        for batch in history.read_branch_reverse(connection, branch.branch_id, 1, end, _EVENTS_AT_ONCE):
            for event in History.FromString(batch.data).events:
                if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                    completed = max(completed, event.event_id)
            end = batch.first_event_id
    return TaskProblems(
        completed_event_id=completed,
        version=record.reported_version,
        count=record.task_problems,
        reported=record.reported_problems,
    )


def _last_batch(
    connection: sqlite3.Connection, stored: StoredRun, record: RunRecord, branch: VersionHistory, now: int
) -> LogWrite:
    (batch,) = history.read_branch_reverse(connection, branch.branch_id, max_events=1)
    message = HistoryBatch(
        workflow_id=stored.workflow_id,
        run_id=stored.run_id,
        items=branch.items,
        create_request_id=record.create_request_id if batch.first_event_id == 1 else "",
        filled=True,
    )
    task = ReplicationTask(created_at=now, history=message)
    return LogWrite(task.SerializeToString(), NodeRef(batch.branch_id, batch.first_event_id))
