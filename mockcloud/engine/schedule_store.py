"""Schedules from disk to memory and back: the commit of a change, and what follows it.

As with runs: the fence is checked in the same step in which the transaction is queued, the state and its entry in the
replication log are one transaction, and nobody is told before it is committed. There is no cache: a schedule changes
seldom.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from temporalio.api.workflowservice.v1 import PatchScheduleRequest, UpdateScheduleRequest

from mockcloud.api.replication.v1.replication_pb2 import ReplicationTask
from mockcloud.api.replication.v1.replication_pb2 import ScheduleState as ScheduleMessage
from mockcloud.api.state.v1.schedule_pb2 import ScheduleRecord
from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core.cluster import Clusters
from mockcloud.core.errors import NamespaceNotActive
from mockcloud.core.ports import Clock
from mockcloud.core.schedule import calls, views
from mockcloud.core.schedule.calls import Call
from mockcloud.core.schedule.state import ScheduleState
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.plans import InTransaction
from mockcloud.engine.wakeups import Signal
from mockcloud.store import log, schedules
from mockcloud.store.database import Store
from mockcloud.store.schedules import ScheduleRow, StateOf

# Told of every state that was stored, by a change here or by a peer's, after the commit. Must not wait.
Listener = Callable[[Namespace, ScheduleState], None]


class Overtaken(Exception):
    """Another state was stored since this one was loaded."""


class ScheduleStore:
    """Loads and commits schedules. The caller holds the schedule's lock."""

    def __init__(
        self,
        store: Store,
        clusters: Clusters,
        clock: Clock,
        log_signal: Signal,
        next_key: Callable[[], int],
    ) -> None:
        self._store = store
        self._clusters = clusters
        self._clock = clock
        self._log_signal = log_signal
        self._next_key = next_key
        self.listeners: list[Listener] = []

    async def load(self, namespace: Namespace, schedule_id: str) -> ScheduleState | None:
        """The schedule, closed or not; None: there is none."""
        raw = await self._store.read(lambda connection: schedules.load(connection, namespace.id, schedule_id))
        return None if raw is None else ScheduleState.load(raw)

    async def commit(
        self, namespace: Namespace, state: ScheduleState, before: bytes, call: Call | None = None
    ) -> bytes:
        """Store `state` if it differs from `before`, its last dump; the dump of now. `call`: what changed it.

        Raises:
            NamespaceNotActive, NamespaceHandover: the fence.
            Overtaken: the stored state is not the one that was loaded.
        """
        if state.dump() == before:
            return before
        record = state.record
        expected = StateOf(record.version, record.stamp) if record.stamp else None
        namespace.require_writable()
        version = max(namespace.record.failover_version, record.version)
        owner = self._clusters.owner(version)
        if owner != namespace.region:
            raise NamespaceNotActive(namespace.name, namespace.region, owner)
        now = self._clock.now()
        record.version, record.stamp = version, max(record.stamp + 1, now)
        items = calls.note_version(record.items, record.version, record.stamp)
        del record.items[:]
        record.items.extend(items)
        raw = state.dump()
        row = row_of(namespace.record, state, raw, self._next_key())
        task = ReplicationTask(created_at=now, schedule=_message(state, call))

        def transaction(connection: sqlite3.Connection) -> None:
            if schedules.state_of(connection, row.namespace_id, row.schedule_id) != expected:
                raise Overtaken
            schedules.put(connection, row)
            if namespace.replicated:
                log.append_log(connection, row.namespace_id, log.LogWrite(task.SerializeToString()))

        await self._store.transact(transaction)
        self._tell(namespace, state)
        if namespace.replicated:
            self._log_signal.notify(namespace.id)
        return raw

    async def lost_call(self, namespace: Namespace, message: ScheduleMessage) -> Call | None:
        """The call that made a peer's state, if that has lost a split and the call is not known here."""
        call = _call_of(message)
        own = None if call is None else await self.load(namespace, message.record.schedule_id)
        if call is None or own is None or not calls.lost(own.record, message.record):
            return None
        return None if call.request_id in own.record.request_ids else call

    def receive(
        self, namespace: Namespace, record: ScheduleRecord
    ) -> tuple[InTransaction, Callable[[], None]]:
        """What stores a peer's state of a schedule unless a newer one is here, and what to do after the commit."""
        raw = record.SerializeToString(deterministic=True)
        state = ScheduleState.load(raw)
        row = row_of(namespace.record, state, raw, self._next_key())
        stored = False

        def transaction(connection: sqlite3.Connection) -> None:
            nonlocal stored
            stored = schedules.put_newer(connection, row)

        def committed() -> None:
            if stored:
                self._tell(namespace, state)

        return transaction, committed

    def _tell(self, namespace: Namespace, state: ScheduleState) -> None:
        for listener in self.listeners:
            listener(namespace, state)


def row_of(namespace: NamespaceRecord, state: ScheduleState, raw: bytes, run_key: int) -> ScheduleRow:
    """The row of a state, whose dump is `raw`; `run_key` is for a schedule that is new here."""
    record = state.record
    return ScheduleRow(
        run_key=run_key,
        namespace_id=namespace.id,
        schedule_id=record.schedule_id,
        workflow_id=state.workflow_id,
        run_id=record.run_id,
        version=record.version,
        stamp=record.stamp,
        busy=state.busy,
        due=record.due,
        delete_at=None if state.open else record.close_time + namespace.retention,
        record=raw,
        visibility=views.visibility_row(state),
    )


def _message(state: ScheduleState, call: Call | None) -> ScheduleMessage:
    message = ScheduleMessage(workflow_id=state.workflow_id, run_id=state.record.run_id, record=state.record)
    match call:
        case UpdateScheduleRequest():
            message.update = call.SerializeToString()
        case PatchScheduleRequest():
            message.patch = call.SerializeToString()
    return message


def _call_of(message: ScheduleMessage) -> Call | None:
    if message.update:
        return UpdateScheduleRequest.FromString(message.update)
    return PatchScheduleRequest.FromString(message.patch) if message.patch else None
