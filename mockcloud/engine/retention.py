"""Closed runs are deleted once their retention is over, in each region by itself, or at once if a user asked for it.

The moment is stored with the run when it closes. Real: delete_history_event_task of the timer queue, deletemanager.
"""

from __future__ import annotations

import asyncio
import sqlite3

from mockcloud.api.state.v1.state_pb2 import RunRecord
from mockcloud.core import times
from mockcloud.core.errors import Unavailable
from mockcloud.core.ports import Ports
from mockcloud.core.run import RunKey
from mockcloud.engine.alarm import Alarm
from mockcloud.engine.cache import RunCache
from mockcloud.engine.changes import Changes
from mockcloud.engine.commit import Committed
from mockcloud.engine.namespaces import Namespace, NamespaceRegistry
from mockcloud.engine.plans import Loaded, Replicated
from mockcloud.engine.tasks import Tasks
from mockcloud.store import deletions, runs
from mockcloud.store.database import Store
from mockcloud.store.runs import ExpiredRun

_AT_ONCE = 256
_RETRY = times.MINUTE  # after a commit that failed

_NEXT = "SELECT min(delete_at) FROM runs WHERE delete_at IS NOT NULL"


class Retention:
    """Deletes what is over, by one wake-up at the next moment."""

    def __init__(
        self,
        changes: Changes,
        namespaces: NamespaceRegistry,
        cache: RunCache,
        store: Store,
        ports: Ports,
        tasks: Tasks,
    ) -> None:
        self._changes = changes
        self._namespaces = namespaces
        self._cache = cache
        self._store = store
        self._ports = ports
        self._tasks = tasks
        self._alarm = Alarm(ports.clock, lambda: tasks.background(self._sweep(), "retention"))
        self._sweeping = asyncio.Lock()
        self._running = False
        changes.close_listeners.append(self._closed)

    def start(self) -> None:
        """Delete what is over now, and from then on what gets over."""
        self._running = True
        self._alarm.set(self._ports.clock.now())

    def stop(self) -> None:
        """Delete no more."""
        self._running = False
        self._alarm.clear()

    async def delete_replica(self, namespace: Namespace, workflow_id: str, run_id: str) -> None:
        """Delete this region's replica of a run, open or closed. An empty run id is the current run.

        Raises NotFound: there is none.
        """
        key = await self._changes.read(namespace, workflow_id, run_id, lambda run: run.key)

        async def plan(_loaded: Loaded) -> Replicated:
            return Replicated(deleted=[key])

        await self._changes.replicate(namespace, workflow_id, plan)

    def _closed(self, namespace: Namespace, committed: Committed) -> None:
        if committed.delete_at is not None and self._running:
            self._alarm.set(committed.delete_at)

    async def _sweep(self) -> None:
        async with self._sweeping:
            try:
                while expired := await self._expired():
                    for run in expired:
                        await self._delete(run)
                following = await self._store.read(_next_moment)
            except Unavailable:
                following = self._ports.clock.now() + _RETRY
        if following is not None and self._running:
            self._alarm.set(following)

    async def _expired(self) -> list[ExpiredRun]:
        now = self._ports.clock.now()
        return await self._store.read(lambda connection: runs.expired_runs(connection, now, _AT_ONCE))

    async def _delete(self, expired: ExpiredRun) -> None:
        namespace = self._namespaces.find_id(expired.namespace_id)
        assert namespace is not None, "a run has a namespace"
        key = RunKey(expired.namespace_id, expired.workflow_id, expired.run_id)

        def transaction(connection: sqlite3.Connection) -> None:
            # Looked at again under the lock: a branch switch may have opened the run.
            row = runs.load_run(connection, key.namespace_id, key.workflow_id, key.run_id)
            if row is None or row.delete_at is None:
                return
            record = RunRecord.FromString(row.record)
            if record.delete_requested:
                now, keep = self._ports.clock.now(), namespace.record.retention
                deletions.put_deletion(connection, *key, record.version_histories, now=now, keep=keep)
            runs.delete_run(connection, row.run_key)

        async def delete() -> None:
            await self._store.transact(transaction)
            self._cache.drop(key)
            self._cache.drop_current(key.namespace_id, key.workflow_id)

        await self._changes.exclusive(namespace, expired.workflow_id, delete)


def _next_moment(connection: sqlite3.Connection) -> int | None:
    (moment,) = connection.execute(_NEXT).fetchone()
    return None if moment is None else int(moment)
