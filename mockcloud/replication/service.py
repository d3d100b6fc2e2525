"""Replication of one region: a sender for each namespace and peer, and what the peers are served.

Starts and stops with its region. Everything that a peer sees goes through the region's transport;
everything that is written goes through the engine's one write path.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message
from temporalio.api.history.v1 import History

from mockcloud.api.replication.v1.replication_pb2 import (
    GetHistoryRangeRequest,
    GetNamespaceRecordRequest,
    GetNamespaceRecordResponse,
    PutNamespaceRecordRequest,
    PutNamespaceRecordResponse,
    ReapplyEventsRequest,
    ReapplyEventsResponse,
)
from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import namespace_rules, reapply
from mockcloud.core.errors import InvalidArgument, RegionKilled
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.plans import Loaded, Replicated
from mockcloud.engine.region import Region
from mockcloud.replication import names, reapplying, resend
from mockcloud.replication.apply import Apply
from mockcloud.replication.lag import LagReport
from mockcloud.replication.peers import Peers
from mockcloud.replication.receiver import Receiver
from mockcloud.replication.sender import Route, Sender
from mockcloud.replication.settings import Settings
from mockcloud.rpc.faults import Links
from mockcloud.rpc.transport import Handlers, Stream, Transport
from mockcloud.store import log, positions
from mockcloud.store.dead_letters import DeadLetter

_logger = logging.getLogger(__name__)

M = TypeVar("M", bound=Message)


class Replication:
    """Both directions of all namespaces of one region."""

    def __init__(
        self,
        region: Region,
        transport: Transport,
        *,
        links: Links | None = None,
        settings: Settings | None = None,
    ) -> None:
        self._region = region
        self._transport = transport
        self._links = links
        self._settings = settings or Settings()
        self._peers = Peers(transport, self._settings.call_timeout)
        self._apply = Apply(
            region.name,
            changes=region.changes,
            schedules=region.schedules,
            namespaces=region.namespaces,
            task_queues=region.task_queue_configs,
            store=region.store,
            clock=region.ports.clock,
            peers=self._peers,
            settings=self._settings,
        )
        self._senders: dict[str, dict[str, Sender]] = {}  # by namespace id and peer
        self._running: dict[Sender, asyncio.Task[None]] = {}
        self._receivers: dict[tuple[str, str], Receiver] = {}  # (namespace id, source)
        self._serving: set[asyncio.Task[None]] = set()
        self._unlisten: Callable[[], None] | None = None
        region.fills.room = self._room
        self._ended = False

    def register(self, handlers: Handlers) -> None:
        """Serve the peers' calls on `handlers`."""
        handlers.stream(names.REPLICATE, self._replicate)
        handlers.unary(names.GET_HISTORY_RANGE, self._get_history_range)
        handlers.unary(names.REAPPLY_EVENTS, self._reapply_events)
        handlers.unary(names.GET_NAMESPACE_RECORD, self._get_namespace_record)
        handlers.unary(names.PUT_NAMESPACE_RECORD, self._put_namespace_record)

    async def start(self) -> None:
        """Take up parked tasks and begin to send, where it was left."""
        registry = self._region.namespaces
        registry.listeners.append(self._namespace_changed)
        self._region.log_signal.listeners.append(self._log_grew)
        if self._links is not None:
            self._unlisten = self._links.listen(self._link_changed)
        for namespace in registry.all():
            await self._apply.retry_parked(namespace)
        for namespace in registry.all():
            self._reconcile(namespace)

    async def stop(self) -> None:
        """End in good order: what the peers have acknowledged is stored."""
        tasks = self._end()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(sender.save() for sender in self._all_senders()))
        self._senders.clear()

    def kill(self) -> None:
        """End at once; nothing is stored."""
        self._end()
        self._senders.clear()

    def sender(self, namespace_id: str, peer: str) -> Sender | None:
        """The sender of a namespace's log to `peer`; None: there is none."""
        return self._senders.get(namespace_id, {}).get(peer)

    async def lag(self, namespace_id: str) -> list[LagReport]:
        """How far each peer is behind this region's log."""
        senders = tuple(self._senders.get(namespace_id, {}).values())
        return [await sender.report() for sender in senders]

    async def replay(self, letter: DeadLetter) -> bool:
        """Apply a dead letter once more; whether it could be. One that could not stays, with its new reason.

        Raises NamespaceNotFound: its namespace is gone.
        """
        return await self._apply.replay(self._region.namespaces.by_id(letter.namespace_id), letter)

    async def wait_acked(self, namespace_id: str, peer: str, position: int) -> None:
        """Return when `peer` has made `position` of this region's log durable.

        Raises:
            InvalidArgument: the namespace does not replicate there.
        """
        sender = self.sender(namespace_id, peer)
        if sender is None:
            raise InvalidArgument(f"the namespace does not replicate from {self._region.name} to {peer}")
        await sender.wait_acked(position)

    async def _room(self, namespace_id: str, peers: Sequence[str]) -> None:
        """Return when peers that are being filled are not far behind this region's log."""
        for peer in peers:
            sender = self.sender(namespace_id, peer)
            if sender is not None:
                last = await self._region.store.read(
                    lambda connection: log.last_position(connection, namespace_id)
                )
                await sender.wait_acked(last - self._settings.fill_window)

    # Senders

    def _namespace_changed(self, namespace: Namespace, before: NamespaceRecord | None) -> None:
        if before is None or list(before.clusters) != list(namespace.record.clusters):
            self._reconcile(namespace)

    def _reconcile(self, namespace: Namespace) -> None:
        """One sender per peer of the namespace, and none for a region that it has left."""
        if self._ended:
            return
        member = self._region.name in namespace.record.clusters
        wanted = set(namespace.peers) if member else set()
        senders = self._senders.setdefault(namespace.id, {})
        for peer in sorted(senders.keys() - wanted):
            self._running.pop(senders.pop(peer)).cancel()
        for peer in sorted(wanted - senders.keys()):
            sender = senders[peer] = self._make_sender(namespace.id, peer)
            self._running[sender] = self._spawn(sender.run(), f"replicate {namespace.name} to {peer}")

    def _make_sender(self, namespace_id: str, peer: str) -> Sender:
        return Sender(
            Route(namespace_id, self._region.name, peer),
            store=self._region.store,
            transport=self._transport,
            clock=self._region.ports.clock,
            settings=self._settings,
            introduce=self._introduce,
            save=self._save_acked,
        )

    def _log_grew(self, namespace_id: str) -> None:
        for sender in self._senders.get(namespace_id, {}).values():
            sender.wake()

    def _all_senders(self) -> Iterator[Sender]:
        for senders in self._senders.values():
            yield from senders.values()

    def _link_changed(self, source: str, target: str) -> None:
        own = self._region.name
        if self._links is None or own not in (source, target):
            return
        peer = target if source == own else source
        if self._links.direction(own, peer).cut:
            return  # nothing would get there; whether answers come back is another matter
        for sender in self._all_senders():
            if sender.route.peer == peer:
                sender.healed()

    async def _introduce(self, namespace_id: str, peer: str) -> None:
        record = self._region.namespaces.by_id(namespace_id).record
        await self._peers.put_namespace_record(peer, namespace_rules.for_wire(record))

    async def _save_acked(self, namespace_id: str, peer: str, position: int) -> None:
        """Store how far a peer is, and drop from the log what all peers have."""
        peers = self._region.namespaces.by_id(namespace_id).peers

        def transaction(connection: sqlite3.Connection) -> None:
            positions.set_acked(connection, namespace_id, peer, position)
            acked = positions.all_acked(connection, namespace_id)
            log.trim_log(connection, namespace_id, min((acked.get(name, 0) for name in peers), default=0))

        await self._region.store.transact(transaction)

    # What the peers call

    async def _replicate(self, stream: Stream, metadata: Mapping[str, str]) -> None:
        namespace = self._region.namespaces.by_id(metadata.get(names.NAMESPACE_ID, ""))
        source = metadata.get(names.SOURCE_REGION, "")
        if source not in self._region.clusters.initial_versions or source == self._region.name:
            raise InvalidArgument(f"no region {source!r} replicates to {self._region.name}")
        key = (namespace.id, source)
        if key not in self._receivers:
            self._receivers[key] = Receiver(
                namespace.id,
                source,
                store=self._region.store,
                applier=self._apply,
                settings=self._settings,
            )
        task = asyncio.current_task()
        assert task is not None, "handlers run in tasks"
        self._serving.add(task)
        try:
            await self._receivers[key].serve(stream)
        except RegionKilled:
            return
        finally:
            self._serving.discard(task)

    async def _get_history_range(
        self, raw: bytes, metadata: Mapping[str, str], timeout: float | None
    ) -> bytes:
        request = _parsed(GetHistoryRangeRequest, raw)
        answer = await resend.history_range(self._region.store, request, self._settings.resend_events)
        return answer.SerializeToString()

    async def _reapply_events(self, raw: bytes, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        request = _parsed(ReapplyEventsRequest, raw)
        region = self._region
        namespace = region.namespaces.by_id(request.namespace_id)
        namespace.require_active()
        events = reapply.without_own(History.FromString(request.events).events, region.clusters, region.name)

        async def plan(loaded: Loaded) -> Replicated:
            current = await loaded.current()
            target = await loaded.run(current.run_id) if current else None
            if target is None:
                return Replicated()  # all runs of the workflow are deleted here
            return Replicated(await reapplying.onto(loaded, target, request.run_id, events))

        if events:
            await region.changes.compose(namespace, request.workflow_id, plan)
        return ReapplyEventsResponse().SerializeToString()

    async def _get_namespace_record(
        self, raw: bytes, metadata: Mapping[str, str], timeout: float | None
    ) -> bytes:
        request = _parsed(GetNamespaceRecordRequest, raw)
        record = self._region.namespaces.by_id(request.namespace_id).record
        return GetNamespaceRecordResponse(record=namespace_rules.for_wire(record)).SerializeToString()

    async def _put_namespace_record(
        self, raw: bytes, metadata: Mapping[str, str], timeout: float | None
    ) -> bytes:
        request = _parsed(PutNamespaceRecordRequest, raw)
        await self._region.namespaces.receive(request.record)
        return PutNamespaceRecordResponse().SerializeToString()

    # Tasks

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_report)
        return task

    def _end(self) -> list[asyncio.Task[None]]:
        self._ended = True
        if self._unlisten is not None:
            self._unlisten()
            self._unlisten = None
        if self._log_grew in self._region.log_signal.listeners:
            self._region.namespaces.listeners.remove(self._namespace_changed)
            self._region.log_signal.listeners.remove(self._log_grew)
        tasks = [*self._running.values(), *self._serving]
        for task in tasks:
            task.cancel()
        self._running.clear()
        return tasks


def _parsed(kind: type[M], raw: bytes) -> M:
    try:
        return kind.FromString(raw)
    except DecodeError as error:
        raise InvalidArgument(f"{kind.DESCRIPTOR.full_name} does not parse") from error


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _logger.error("%s ended", task.get_name(), exc_info=error)
