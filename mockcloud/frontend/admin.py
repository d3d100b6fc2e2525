"""RegionAdmin: what a region tells about itself, and takes from the control plane, on its peer server.

It reads beside the engine and writes nothing but namespace records, by the registry. It must never change a run.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol, TypeVar

from google.protobuf.message import DecodeError, Message

from mockcloud.api.admin.v1 import region_admin_pb2 as admin
from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import times
from mockcloud.core.cluster import Clusters
from mockcloud.core.errors import DeadlineExceeded, InvalidArgument
from mockcloud.core.limits import Limits
from mockcloud.core.namespace_configuration import Configuration, configure
from mockcloud.core.run import OPEN_STATUSES
from mockcloud.core.search_attribute_values import KEYWORD
from mockcloud.core.visibility_filter import Field, FieldTest
from mockcloud.engine.fills import Fills
from mockcloud.engine.namespace_removal import NamespaceRemoval
from mockcloud.engine.namespaces import Namespace, NamespaceRegistry
from mockcloud.engine.tallies import Tallies
from mockcloud.engine.task_queues import TaskQueues
from mockcloud.frontend import history_tree, tail
from mockcloud.frontend.calls import CallMeter
from mockcloud.frontend.dead_letters import DeadLetters
from mockcloud.frontend.health import Health
from mockcloud.frontend.last_minute import LastMinuteReport
from mockcloud.replication.lag import LagReport
from mockcloud.rpc.transport import Handlers, Stream
from mockcloud.store import dead_letters, fills, history, log, parked, positions, visibility
from mockcloud.store.database import Store
from mockcloud.store.dead_letters import DeadLetter
from mockcloud.store.fills import Fill
from mockcloud.store.parked import ParkedTask

R = TypeVar("R", bound=Message)

SERVICE: Final = admin.DESCRIPTOR.services_by_name["RegionAdmin"]

_PAGE: Final = 100
_OPEN: Final = FieldTest(Field("ExecutionStatus", KEYWORD, system=True), "in", tuple(sorted(OPEN_STATUSES)))


class RegionParts(Protocol):
    """What this service uses of a region (`engine.region.Region`)."""

    @property
    def name(self) -> str: ...
    @property
    def store(self) -> Store: ...
    @property
    def namespaces(self) -> NamespaceRegistry: ...
    @property
    def clusters(self) -> Clusters: ...
    @property
    def fills(self) -> Fills: ...
    @property
    def removal(self) -> NamespaceRemoval: ...
    @property
    def task_queues(self) -> TaskQueues: ...
    @property
    def tallies(self) -> Tallies: ...
    @property
    def limits(self) -> Limits: ...


class ReplicationParts(Protocol):
    """What it uses of the region's replication (`replication.service.Replication`)."""

    async def lag(self, namespace_id: str) -> list[LagReport]:
        """How far each peer is behind this region's log."""
        ...

    async def wait_acked(self, namespace_id: str, peer: str, position: int) -> None:
        """Return when `peer` has made `position` of this region's log durable."""
        ...

    async def replay(self, letter: DeadLetter) -> bool:
        """Apply a dead letter once more; whether it could be."""
        ...


class RegionAdmin:
    """The handlers of one region. `calls` is how its frontend does."""

    def __init__(self, region: RegionParts, replication: ReplicationParts, calls: CallMeter) -> None:
        self._region: Final = region
        self._replication: Final = replication
        self._health: Final = Health(region.store, calls)
        self._last_minute: Final = LastMinuteReport(region.tallies, calls)
        self._letters: Final = DeadLetters(region.name, region.store, region.namespaces, replication.replay)

    def register(self, handlers: Handlers) -> None:
        """Serve every method of the service on `handlers`."""
        _serve(handlers, "ListNamespaces", admin.ListNamespacesRequest, self._list_namespaces)
        _serve(handlers, "GetNamespace", admin.GetNamespaceRequest, self._get_namespace)
        _serve(handlers, "AdoptNamespaceRecord", admin.AdoptNamespaceRecordRequest, self._adopt)
        _serve(handlers, "CreateNamespace", admin.CreateNamespaceRecordRequest, self._create)
        _serve(handlers, "ConfigureNamespace", admin.ConfigureNamespaceRequest, self._configure)
        _serve(handlers, "ForgetNamespace", admin.ForgetNamespaceRequest, self._forget)
        _serve(handlers, "GetHealth", admin.GetHealthRequest, self._health.get)
        _serve(handlers, "ListTaskQueues", admin.ListTaskQueuesRequest, self._list_task_queues)
        _serve(handlers, "GetLastMinute", admin.GetLastMinuteRequest, self._last_minute.get)
        _serve(handlers, "NamespaceStatus", admin.NamespaceStatusRequest, self._status)
        _serve(handlers, "AwaitReplicated", admin.AwaitReplicatedRequest, self._await_replicated)
        _serve(handlers, "Lag", admin.LagRequest, self._lag)
        _serve(handlers, "HistoryTree", admin.HistoryTreeRequest, self._history_tree)
        _serve(handlers, "GetApplied", admin.GetAppliedRequest, self._get_applied)
        _serve(handlers, "ReadTail", admin.ReadTailRequest, self._read_tail)
        _serve(handlers, "FindMissing", admin.FindMissingRequest, self._find_missing)
        _serve(handlers, "ReadWritten", admin.ReadWrittenRequest, self._read_written)
        _serve(handlers, "ListParked", admin.ListParkedRequest, self._list_parked)
        _serve(handlers, "ListDeadLetters", admin.ListDeadLettersRequest, self._letters.list)
        _serve(handlers, "ShowDeadLetter", admin.ShowDeadLetterRequest, self._letters.show)
        _serve(handlers, "ReplayDeadLetters", admin.ReplayDeadLettersRequest, self._letters.replay)
        _serve(handlers, "PurgeDeadLetters", admin.PurgeDeadLettersRequest, self._letters.purge)
        handlers.stream(f"/{SERVICE.full_name}/WatchNamespaces", self._watch_namespaces)

    # Namespaces

    async def _list_namespaces(self, _request: admin.ListNamespacesRequest) -> Message:
        records = [namespace.record for namespace in self._region.namespaces.all()]
        return admin.ListNamespacesResponse(records=records)

    async def _get_namespace(self, request: admin.GetNamespaceRequest) -> Message:
        return admin.GetNamespaceResponse(record=self._find(request.namespace).record)

    async def _adopt(self, request: admin.AdoptNamespaceRecordRequest) -> Message:
        if not request.record.id or not request.record.name:
            raise InvalidArgument("the record has no id or no name")
        namespace = await self._region.namespaces.receive(request.record)
        return admin.AdoptNamespaceRecordResponse(record=namespace.record)

    async def _create(self, request: admin.CreateNamespaceRecordRequest) -> Message:
        if not request.record.id or not request.record.name:
            raise InvalidArgument("the record has no id or no name")
        namespace = await self._region.namespaces.create(request.record)
        return admin.CreateNamespaceRecordResponse(record=namespace.record)

    async def _configure(self, request: admin.ConfigureNamespaceRequest) -> Message:
        wanted = Configuration(
            retention=request.retention if request.HasField("retention") else None,
            search_attributes=dict(request.add_search_attributes),
            renamed_search_attributes=dict(request.rename_search_attributes),
            disable_passive_poller_forwarding=request.disable_passive_poller_forwarding
            if request.HasField("disable_passive_poller_forwarding")
            else None,
            add_clusters=request.add_clusters,
            remove_clusters=request.remove_clusters,
        )
        region = self._region
        update = await region.namespaces.change(
            region.namespaces.by_id(request.namespace_id),
            lambda record: configure(record, wanted, region.clusters, region.limits),
        )
        return admin.ConfigureNamespaceResponse(record=update.record)

    async def _forget(self, request: admin.ForgetNamespaceRequest) -> Message:
        namespace = self._region.namespaces.find_id(request.namespace_id)
        if namespace is not None:
            await self._region.removal.forget(namespace)
        return admin.ForgetNamespaceResponse()

    async def _watch_namespaces(self, stream: Stream, _metadata: Mapping[str, str]) -> None:
        registry = self._region.namespaces
        changed: dict[str, Namespace] = {}  # by id: several changes of one are told once, as the last one
        wake = asyncio.Event()

        def listen(namespace: Namespace, _before: NamespaceRecord | None) -> None:
            if namespace.left:
                return  # which says nothing about the namespace
            changed[namespace.id] = namespace
            wake.set()

        async def tell() -> None:
            for namespace in registry.all():
                if not namespace.left:
                    await _send(stream, admin.NamespaceChange(record=namespace.record))
            await _send(stream, admin.NamespaceChange(complete=True))
            while True:
                await wake.wait()
                wake.clear()
                told, changes = list(changed.values()), changed
                changes.clear()
                for namespace in told:
                    await _send(stream, admin.NamespaceChange(record=namespace.record))

        async def listen_for_the_end() -> None:
            while await stream.receive() is not None:
                pass  # the request; there is nothing to ask for

        registry.listeners.append(listen)
        halves = (asyncio.create_task(tell()), asyncio.create_task(listen_for_the_end()))
        try:
            await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
        finally:
            registry.listeners.remove(listen)
            for half in halves:
                half.cancel()
            # What either ended with is that the caller is gone: nobody is left to be told.
            await asyncio.gather(*halves, return_exceptions=True)

    async def _status(self, request: admin.NamespaceStatusRequest) -> Message:
        namespace = self._find(request.namespace)

        def read(
            connection: sqlite3.Connection,
        ) -> tuple[int, int, int, list[ParkedTask], int, tuple[Fill, int, int] | None]:
            return (
                log.last_position(connection, namespace.id),
                visibility.count_runs(connection, namespace.id, _OPEN),
                parked.count_parked(connection, namespace.id).runs,
                parked.first_parked(connection, namespace.id, _PAGE),
                dead_letters.count_dead_letters(connection, namespace.id),
                fills.progress(connection, namespace.id),
            )

        position, opened, waiting, first, dead, progress = await self._region.store.read(read)
        return admin.NamespaceStatusResponse(
            region=self._region.name,
            record=namespace.record,
            last_position=position,
            peers=await self._peers(namespace),
            open_workflows=opened,
            parked=waiting,
            parked_tasks=map(_parked_task, first),
            dead_letters=dead,
            fill=admin.FillProgress(peers=progress[0].peers, runs_given=progress[1], runs=progress[2])
            if progress is not None
            else None,
        )

    async def _list_task_queues(self, _request: admin.ListTaskQueuesRequest) -> Message:
        return admin.ListTaskQueuesResponse(
            queues=[
                admin.TaskQueueSize(
                    namespace=queue.namespace.name,
                    name=queue.name,
                    kind=queue.kind.name.lower(),
                    polls=len(queue.polls),
                    backlog={} if queue.sticky else queue.backlog.sizes(),
                )
                for queue in self._region.task_queues.all()
            ]
        )

    # Replication

    async def _await_replicated(self, request: admin.AwaitReplicatedRequest) -> Message:
        namespace = self._find(request.namespace)
        position = request.position
        try:
            async with asyncio.timeout(request.timeout / times.SECOND if request.timeout else None):
                # A peer that joined lately has nothing before it was given everything.
                await self._region.fills.wait(namespace.id, request.peer)
                # Changes and the record that set HANDOVER are committed in order: all admitted before is in this.
                position = position or await self._region.store.read(
                    lambda connection: log.last_position(connection, namespace.id)
                )
                await self._replication.wait_acked(namespace.id, request.peer, position)
        except TimeoutError:
            raise DeadlineExceeded(
                f"{request.peer} has not acknowledged position {position} in time"
            ) from None
        return admin.AwaitReplicatedResponse(position=position)

    async def _lag(self, request: admin.LagRequest) -> Message:
        registry = self._region.namespaces
        wanted = [self._find(request.namespace)] if request.namespace else registry.all()
        return admin.LagResponse(
            namespaces=[
                admin.NamespaceLag(
                    namespace=namespace.name,
                    region=self._region.name,
                    peers=[
                        peer
                        for peer in await self._peers(namespace)
                        if peer.tasks or not namespace.record.deleted_time
                    ],
                )
                for namespace in wanted
            ]
        )

    async def _peers(self, namespace: Namespace) -> list[admin.PeerLag]:
        return [_peer_lag(report) for report in await self._replication.lag(namespace.id)]

    # Histories

    async def _history_tree(self, request: admin.HistoryTreeRequest) -> Message:
        namespace = self._find(request.namespace)
        trees = await self._region.store.read(
            lambda connection: history_tree.trees(connection, namespace.id, request.workflow_id)
        )
        history_tree.tell_fates(trees, self._region.clusters, namespace.record.active_cluster)
        wanted = [tree.message for tree in trees if request.run_id in {"", tree.message.run_id}]
        return admin.HistoryTreeResponse(region=self._region.name, runs=wanted)

    async def _get_applied(self, request: admin.GetAppliedRequest) -> Message:
        namespace_id = self._find(request.namespace).id
        return await self._region.store.read(
            lambda connection: admin.GetAppliedResponse(
                position=positions.applied(connection, namespace_id, request.source),
                last_node=history.last_node(connection),
            )
        )

    async def _read_tail(self, request: admin.ReadTailRequest) -> Message:
        record = self._find(request.namespace).record
        return await self._region.store.read(lambda connection: tail.read_tail(connection, record, request))

    async def _find_missing(self, request: admin.FindMissingRequest) -> Message:
        record = self._find(request.namespace).record
        return await self._region.store.read(
            lambda connection: tail.find_missing(connection, record, request)
        )

    async def _read_written(self, request: admin.ReadWrittenRequest) -> Message:
        record = self._find(request.namespace).record
        return await self._region.store.read(
            lambda connection: tail.read_written(connection, record, request)
        )

    # What waits

    async def _list_parked(self, request: admin.ListParkedRequest) -> Message:
        namespace, limit = self._find(request.namespace), request.limit or _PAGE
        page = await self._region.store.read(
            lambda connection: parked.list_parked(connection, namespace.id, request.after_id, limit)
        )
        return admin.ListParkedResponse(
            tasks=map(_parked_task, page), next_after_id=page[-1].parked_id if len(page) == limit else 0
        )

    def _find(self, name: str) -> Namespace:
        if not name:
            raise InvalidArgument("Namespace not set on request.")
        return self._region.namespaces.by_name(name)


def _serve(handlers: Handlers, method: str, kind: type[R], answer: Callable[[R], Awaitable[Message]]) -> None:
    async def serve(raw: bytes, _metadata: Mapping[str, str], _timeout: float | None) -> bytes:
        try:
            request = kind.FromString(raw)
        except DecodeError as error:
            raise InvalidArgument(f"{kind.DESCRIPTOR.full_name} does not parse") from error
        return (await answer(request)).SerializeToString()

    handlers.unary(f"/{SERVICE.full_name}/{method}", serve)


async def _send(stream: Stream, message: Message) -> None:
    await stream.send(message.SerializeToString())


def _peer_lag(report: LagReport) -> admin.PeerLag:
    return admin.PeerLag(
        peer=report.peer,
        acked_position=report.acked_position,
        tasks=report.outstanding,
        age=report.age,
        p50=report.p50,
        p95=report.p95,
        p99=report.p99,
        connected=report.connected,
        paused=report.paused,
        last_error=report.last_error,
    )


def _parked_task(task: ParkedTask) -> admin.ParkedTask:
    return admin.ParkedTask(
        id=task.parked_id,
        workflow_id=task.workflow_id,
        run_id=task.run_id,
        source=task.source,
        position=task.position,
        parked_at=task.parked_at,
        reason=task.reason,
    )
