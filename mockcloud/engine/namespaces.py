"""The namespaces of one region.

Their live records, who is told when they change, and the fence of the write path.

A record is replaced, never changed in place, so whoever holds one holds a snapshot. What takes rights away
(HANDOVER, turning passive) is in force in memory before it is stored, and what gives rights is stored before
it is in force: in between, nothing is written that the record on disk would not allow.

Every stored change is also an entry of the namespace's replication log, in order with the histories that it
governs; what came from a peer is not: nothing echoes.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable

from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest, UpdateNamespaceRequest

from mockcloud.api.replication.v1.replication_pb2 import ReplicationTask
from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import namespace_rules
from mockcloud.core.cluster import Clusters
from mockcloud.core.errors import (
    NamespaceAlreadyExists,
    NamespaceHandover,
    NamespaceNotActive,
    NamespaceNotFound,
)
from mockcloud.core.limits import Limits
from mockcloud.core.namespace_rules import Update
from mockcloud.core.ports import Ports
from mockcloud.engine.tasks import Tasks
from mockcloud.engine.wakeups import Signal
from mockcloud.store import fills, log, namespaces
from mockcloud.store.database import Store

# Told after a change is stored and in force: the namespace, and its record before (None: it is new).
Listener = Callable[["Namespace", NamespaceRecord | None], None]


class Namespace:
    """The live handle of one namespace in one region."""

    def __init__(self, record: NamespaceRecord, region: str, clusters: Clusters) -> None:
        self.region = region
        self._first_version = clusters.initial_versions[region]
        self._waiting: set[asyncio.Future[None]] = set()
        self._set(record)

    def _set(self, record: NamespaceRecord) -> None:
        self._record = record
        self.id: str = record.id
        self.name: str = record.name
        # A deleted one is active nowhere: nothing is dispatched, nothing fires, nothing is written as active.
        self.active: bool = record.active_cluster == self.region and not record.deleted_time
        self.handover: bool = record.handover
        # Whether changes are made here as the active region: active, and not in HANDOVER.
        self.writable: bool = self.active and not self.handover
        # Whether this region may have written histories of it, being the active one now or at some time
        # before.
        self.was_active: bool = record.failover_version >= self._first_version
        # Whether it has no replica here any more, and only its runs are still to go.
        self.left: bool = not record.clusters
        # Whether there is anyone to replicate to.
        self.replicated: bool = len(record.clusters) > 1

    @property
    def record(self) -> NamespaceRecord:
        """The record in force. Never change it."""
        return self._record

    @property
    def peers(self) -> list[str]:
        """The other regions that have it."""
        return [cluster for cluster in self._record.clusters if cluster != self.region]

    def require_active(self) -> None:
        """Raises NamespaceNotActive in a passive region, NamespaceNotFound for a deleted namespace."""
        if self._record.deleted_time:
            raise NamespaceNotFound(self.name)
        if not self.active:
            raise NamespaceNotActive(self.name, self.region, self._record.active_cluster)

    def require_writable(self) -> None:
        """Raises NamespaceNotActive in a passive region, NamespaceHandover in HANDOVER."""
        if self.writable:
            return
        self.require_active()
        raise NamespaceHandover

    async def wait_until(self, condition: Callable[[Namespace], bool]) -> None:
        """Return once `condition` holds of this namespace; looked at again after each change."""
        while not condition(self):
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
            try:
                await future
            finally:
                self._waiting.discard(future)

    def _publish(self, record: NamespaceRecord) -> None:
        self._set(record)
        for future in tuple(self._waiting):
            if not future.done():
                future.set_result(None)


class NamespaceRegistry:
    """All namespaces of a region. Changes are made one at a time."""

    def __init__(
        self,
        region: str,
        clusters: Clusters,
        store: Store,
        ports: Ports,
        limits: Limits,
        tasks: Tasks,
        log_signal: Signal,
    ) -> None:
        self._region = region
        self._clusters = clusters
        self._store = store
        self._ports = ports
        self._limits = limits
        self._tasks = tasks
        self._log_signal = log_signal
        self._by_id: dict[str, Namespace] = {}
        self._by_name: dict[str, Namespace] = {}
        self._forgotten: dict[str, Namespace] = {}  # by id
        self._changing = asyncio.Lock()
        self.account = ""  # that names may carry behind a dot: `orders.a1b2c` is `orders`; empty: none
        self.listeners: list[Listener] = []

    def load(self, records: Iterable[NamespaceRecord]) -> None:
        """Take over what is stored; once, when the region opens. Listeners are not told."""
        for record in records:
            self._add(record)

    def all(self) -> list[Namespace]:
        """Every namespace, by name."""
        return [self._by_name[name] for name in sorted(self._by_name)]

    def find(self, name: str) -> Namespace | None:
        """The namespace of that name, with its account or without, or None."""
        found = self._by_name.get(name)
        if found is None and self.account:
            found = self._by_name.get(name.removesuffix(f".{self.account}"))
        return found

    def find_id(self, namespace_id: str) -> Namespace | None:
        """The namespace of that id, or None."""
        return self._by_id.get(namespace_id)

    def by_name(self, name: str) -> Namespace:
        """The namespace of that name, with its account or without. Raises NamespaceNotFound."""
        found = self.find(name)
        if found is None:
            raise NamespaceNotFound(name)
        return found

    def by_id(self, namespace_id: str) -> Namespace:
        """The namespace of that id. Raises NamespaceNotFound."""
        found = self._by_id.get(namespace_id)
        if found is None:
            raise NamespaceNotFound(namespace_id)
        return found

    async def register(self, request: RegisterNamespaceRequest) -> Namespace:
        """Make a namespace. Raises InvalidArgument, NamespaceAlreadyExists (`namespace_rules.register`)."""

        async def work() -> Namespace:
            async with self._changing:
                existing = self._by_name.get(request.namespace)
                record = namespace_rules.register(
                    request,
                    region=self._region,
                    clusters=self._clusters,
                    limits=self._limits,
                    now=self._ports.clock.now(),
                    namespace_id=self._ports.ids.uuid(),
                    existing=existing.record if existing else None,
                )
                return await self._store_change(None, record, replicate=True)

        return await self._tasks.shielded(work())

    async def create(self, record: NamespaceRecord) -> Namespace:
        """Make a namespace of a record that somebody else has made; made already, it is found.

        Raises NamespaceAlreadyExists: its name belongs to another namespace here.
        """

        async def work() -> Namespace:
            async with self._changing:
                known = self._by_id.get(record.id)
                if known is not None:
                    return known
                if record.name in self._by_name:
                    raise NamespaceAlreadyExists(f'Namespace "{record.name}" already exists')
                return await self._store_change(None, record, replicate=True)

        return await self._tasks.shielded(work())

    async def leave(self, namespace: Namespace) -> None:
        """Make nothing of a namespace that has no replica here any more: its name is free, no peer hears of it."""

        def gone(record: NamespaceRecord) -> Update:
            after = namespace_rules.delete(record, self._ports.clock.now()).record
            del after.clusters[:]
            return Update(after, changed=True, failed_over=False)

        if not namespace.record.deleted_time:
            await self.change(namespace, gone, replicate=False)

    async def forget(self, namespace: Namespace) -> None:
        """Drop what is left of a namespace that was left, once its runs are gone; it may come back as a new one."""

        async def work() -> None:
            async with self._changing:
                await self._store.transact(
                    lambda connection: namespaces.forget_namespace(connection, namespace.id)
                )
                self._by_id.pop(namespace.id, None)
                self._by_name.pop(namespace.name, None)
                self._forgotten[namespace.id] = namespace

        await self._tasks.shielded(work())

    async def update(self, namespace: Namespace, request: UpdateNamespaceRequest) -> Update:
        """Change configuration, HANDOVER state or active region.

        Raises InvalidArgument (`namespace_rules.update`).
        """
        return await self.change(
            namespace,
            lambda record: namespace_rules.update(
                record,
                request,
                clusters=self._clusters,
                limits=self._limits,
                now=self._ports.clock.now(),
            ),
        )

    async def change(
        self, namespace: Namespace, decide: Callable[[NamespaceRecord], Update], *, replicate: bool = True
    ) -> Update:
        """Store and publish what `decide` makes of the record in force; what it raises comes out here."""

        async def work() -> Update:
            async with self._changing:
                update = decide(namespace.record)
                if update.changed:
                    await self._store_change(namespace, update.record, replicate=replicate)
                return update

        return await self._tasks.shielded(work())

    async def receive(
        self,
        incoming: NamespaceRecord,
        also: Iterable[Callable[[sqlite3.Connection], object]] = (),
    ) -> Namespace:
        """Apply a peer's record (`namespace_rules.receive`).

        `also` goes into the same transaction, or into one of its own.

        Raises NamespaceAlreadyExists: the name belongs to another namespace here.
        """
        others = tuple(also)

        async def work() -> Namespace:
            async with self._changing:
                known = self._by_id.get(incoming.id)
                same_name = self._by_name.get(incoming.name)
                before = known or same_name
                update = namespace_rules.receive(before.record if before else None, incoming)
                if update.changed:
                    return await self._store_change(before, update.record, replicate=False, also=others)
                if others:
                    await self._store.transact(lambda connection: _run_all(connection, others))
                assert before is not None, "an unknown record is a change"
                return before

        return await self._tasks.shielded(work())

    async def _store_change(
        self,
        namespace: Namespace | None,
        record: NamespaceRecord,
        *,
        replicate: bool,
        also: tuple[Callable[[sqlite3.Connection], object], ...] = (),
    ) -> Namespace:
        entry: log.LogWrite | None = None
        if replicate and len(record.clusters) > 1:
            task = ReplicationTask(
                created_at=self._ports.clock.now(), namespace_record=namespace_rules.for_wire(record)
            )
            entry = log.LogWrite(task.SerializeToString())

        joined = set(record.clusters).difference(namespace.record.clusters if namespace else record.clusters)

        def transaction(connection: sqlite3.Connection) -> None:
            namespaces.put_namespace(connection, record)
            if joined and replicate:
                # Here it was asked for: from here they are filled.
                fills.begin(connection, record.id, joined)
            if entry is not None:
                log.append_log(connection, record.id, entry)
            _run_all(connection, also)

        before = namespace.record if namespace else None
        takes_rights = record.handover or record.active_cluster != self._region or record.deleted_time != 0
        if namespace is not None and takes_rights:
            namespace._set(record)  # noqa: SLF001 the fence, before anything else can be queued
        try:
            # A handover and a switch hold up everybody.
            await self._store.transact(transaction, urgent=True)
        except BaseException:
            if namespace is not None and before is not None:
                namespace._set(before)  # noqa: SLF001 it is not stored
            raise
        if namespace is None:
            namespace = self._add(record)
        else:
            if before is not None and before.name != record.name:
                del self._by_name[before.name]
                self._by_name[record.name] = namespace
            namespace._publish(record)  # noqa: SLF001 the registry is the only one that may
        for listener in self.listeners:
            listener(namespace, before)
        if entry is not None:
            self._log_signal.notify(record.id)
        return namespace

    def _add(self, record: NamespaceRecord) -> Namespace:
        # One that comes back has its handle again: task queues and others that hold it need not know that it was away.
        namespace = self._forgotten.pop(record.id, None)
        if namespace is None:
            namespace = Namespace(record, self._region, self._clusters)
        else:
            namespace._publish(record)  # noqa: SLF001 the registry is the only one that may
        self._by_id[record.id] = namespace
        self._by_name[record.name] = namespace
        return namespace


def _run_all(
    connection: sqlite3.Connection, functions: Iterable[Callable[[sqlite3.Connection], object]]
) -> None:
    for function in functions:
        function(connection)
