"""What is left of deleted namespaces goes, in each region by itself, as soon as it hears of the deletion.

So does all of a namespace that has no replica in this region any more, but when the control plane says so.

The namespace's record stays, under the name that the deletion gave it: peers may not have heard of it yet, and
what they still send of the namespace is applied and deleted again. Real: service/worker/deletenamespace.
"""

from __future__ import annotations

import sqlite3

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core.errors import FailedPrecondition
from mockcloud.core.run import RunKey
from mockcloud.engine.changes import Changes
from mockcloud.engine.commit import Committed
from mockcloud.engine.namespaces import Namespace, NamespaceRegistry
from mockcloud.engine.plans import Loaded, Replicated
from mockcloud.engine.tasks import Tasks
from mockcloud.store import runs, schedules
from mockcloud.store.database import Store

_AT_ONCE = 256


class NamespaceRemoval:
    """Deletes the runs and schedules of deleted namespaces."""

    def __init__(self, changes: Changes, namespaces: NamespaceRegistry, store: Store, tasks: Tasks) -> None:
        self._changes = changes
        self._namespaces = namespaces
        self._store = store
        self._tasks = tasks
        self._removing: set[str] = set()  # namespace ids
        self._running = False
        changes.start_listeners.append(self._started)
        namespaces.listeners.append(self._namespace_changed)

    def start(self) -> None:
        """Go on where a life before was ended."""
        self._running = True
        for namespace in self._namespaces.all():
            self._begin(namespace)

    def stop(self) -> None:
        """Begin nothing more."""
        self._running = False

    async def forget(self, namespace: Namespace) -> None:
        """Remove all that is here of a namespace that has left this region. Returns when it is gone.

        Raises FailedPrecondition: it is active here.
        """
        if namespace.active:
            raise FailedPrecondition(f"namespace {namespace.name} is active in region {namespace.region}")
        self._removing.add(namespace.id)  # here, and not in the background
        try:
            await self._namespaces.leave(namespace)
            await self._remove_all(namespace)
            await self._namespaces.forget(namespace)
        finally:
            self._removing.discard(namespace.id)

    def _started(self, namespace: Namespace, committed: Committed) -> None:
        self._begin(namespace)

    def _namespace_changed(self, namespace: Namespace, before: NamespaceRecord | None) -> None:
        self._begin(namespace)

    def _begin(self, namespace: Namespace) -> None:
        if self._running and namespace.record.deleted_time and namespace.id not in self._removing:
            self._removing.add(namespace.id)
            self._tasks.background(self._remove(namespace), "namespace removal")

    async def _remove(self, namespace: Namespace) -> None:
        try:
            await self._remove_all(namespace)
        finally:
            self._removing.discard(namespace.id)

    async def _remove_all(self, namespace: Namespace) -> None:
        while self._running and (keys := await self._some(namespace)):
            for key in keys:
                await self._delete(namespace, key)
        await self._store.transact(lambda connection: schedules.delete_all(connection, namespace.id))

    async def _some(self, namespace: Namespace) -> list[RunKey]:
        def read(connection: sqlite3.Connection) -> list[RunKey]:
            return [
                RunKey(namespace.id, workflow_id, run_id)
                for workflow_id, run_id in runs.some_runs(connection, namespace.id, _AT_ONCE)
            ]

        return await self._store.read(read)

    async def _delete(self, namespace: Namespace, key: RunKey) -> None:
        async def plan(_loaded: Loaded) -> Replicated:
            return Replicated(deleted=[key])

        await self._changes.replicate(namespace, key.workflow_id, plan)
