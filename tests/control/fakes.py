"""Regions without engines: the services that the control plane calls, over records in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.cloud.cloudservice.v1 import GetNamespaceRequest, GetNamespaceResponse
from temporalio.api.cloud.namespace.v1 import Namespace
from temporalio.api.cloud.operation.v1 import message_pb2 as operations
from temporalio.api.enums.v1 import ReplicationState
from temporalio.api.operatorservice.v1 import DeleteNamespaceRequest, DeleteNamespaceResponse
from temporalio.api.replication.v1 import ClusterReplicationConfig, NamespaceReplicationConfig
from temporalio.api.workflowservice.v1 import (
    UpdateNamespaceRequest,
    UpdateNamespaceResponse,
)

from mockcloud.api.admin.v1 import cloud_admin_pb2 as admin_cloud
from mockcloud.api.admin.v1 import region_admin_pb2 as admin
from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.control.cloud_ops import CLOUD_SERVICE
from mockcloud.control.plane import ControlPlane
from mockcloud.control.regions import OPERATOR_SERVICE, REGION_ADMIN, WORKFLOW_SERVICE
from mockcloud.control.settings import ControlSettings
from mockcloud.core import namespace_rules, times
from mockcloud.core.cluster import Clusters
from mockcloud.core.errors import NamespaceAlreadyExists, NamespaceNotFound, ServiceError
from mockcloud.core.limits import Limits
from mockcloud.core.namespace_configuration import Configuration, configure
from mockcloud.core.ports import Ports, SystemClock
from mockcloud.rpc.memory_transport import MemoryPeers
from mockcloud.rpc.methods import Call
from mockcloud.rpc.transport import Handlers, Stream

EAST, WEST, SOUTH = "aws-us-east-1", "aws-us-west-2", "gcp-us-central1"
CLUSTERS = Clusters.of([EAST, WEST, SOUTH])

# Called before a region answers: it may raise the answer, wait, or note.
Hook = Callable[[], Awaitable[None]]

# Long enough for a slow machine, short enough that a test that hangs says so.
PATIENCE = 10.0


class FakeRegion:
    """One region: its records, and what it was asked for, in order, as short words."""

    def __init__(self, name: str, journal: list[str]) -> None:
        self.name = name
        self.records: dict[str, NamespaceRecord] = {}
        self.hooks: dict[str, Hook] = {}
        self.fill: admin.FillProgress | None = None
        self._journal = journal
        self._changed = asyncio.Event()
        self._answered = asyncio.Event()
        self._watchers: set[asyncio.Queue[NamespaceRecord]] = set()
        self.handlers = Handlers()
        self._ports = Ports()
        self._serve(f"/{WORKFLOW_SERVICE}/UpdateNamespace", self._update)
        self._serve(f"/{OPERATOR_SERVICE}/DeleteNamespace", self._delete)
        self._serve(f"/{REGION_ADMIN}/CreateNamespace", self._create)
        self._serve(f"/{REGION_ADMIN}/ConfigureNamespace", self._configure)
        self._serve(f"/{REGION_ADMIN}/ForgetNamespace", self._forget)
        self._serve(f"/{REGION_ADMIN}/GetNamespace", self._get)
        self._serve(f"/{REGION_ADMIN}/AdoptNamespaceRecord", self._adopt)
        self._serve(f"/{REGION_ADMIN}/AwaitReplicated", self._await_replicated)
        self._serve(f"/{REGION_ADMIN}/NamespaceStatus", self._status)
        self.handlers.stream("/mockcloud.admin.v1.RegionAdmin/WatchNamespaces", self._watch)

    def put(self, record: NamespaceRecord) -> None:
        """The record has changed, whatever the reason."""
        self.records[record.name] = record
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        for queue in self._watchers:
            queue.put_nowait(record)

    async def until(self, condition: Callable[[NamespaceRecord], bool], name: str = "orders") -> None:
        """Return when the record is so."""
        async with asyncio.timeout(PATIENCE):
            while not condition(self.record(name)):
                await self._changed.wait()

    async def answered(self) -> None:
        """Return when the region has answered its next call."""
        async with asyncio.timeout(PATIENCE):
            await self._answered.wait()

    def record(self, name: str = "orders") -> NamespaceRecord:
        if name not in self.records:
            raise NamespaceNotFound(name)
        return self.records[name]

    def _serve(
        self, full_name: str, understand: Callable[[bytes], tuple[str, Callable[[], Message]]]
    ) -> None:
        async def serve(raw: bytes, metadata: Mapping[str, str], timeout: float | None) -> bytes:
            word, answer = understand(raw)
            if word in self.hooks:
                await self.hooks[word]()
            self._journal.append(f"{self.name} {word}")
            message: Message = answer()
            answered, self._answered = self._answered, asyncio.Event()
            answered.set()
            return message.SerializeToString()

        self.handlers.unary(full_name, serve)

    def _update(self, raw: bytes) -> tuple[str, Callable[[], Message]]:
        request = UpdateNamespaceRequest.FromString(raw)
        config = request.replication_config
        words = {
            ReplicationState.REPLICATION_STATE_HANDOVER: "handover",
            ReplicationState.REPLICATION_STATE_NORMAL: "normal",
        }

        def answer() -> Message:
            update = namespace_rules.update(
                self.record(request.namespace),
                request,
                clusters=CLUSTERS,
                limits=Limits(),
                now=self._ports.clock.now(),
            )
            if update.changed:
                self.put(update.record)
            return UpdateNamespaceResponse(
                replication_config=NamespaceReplicationConfig(
                    active_cluster_name=update.record.active_cluster,
                    clusters=[ClusterReplicationConfig(cluster_name=name) for name in update.record.clusters],
                ),
                failover_version=update.record.failover_version,
            )

        return words.get(config.state, "switch"), answer

    def _create(self, raw: bytes) -> tuple[str, Callable[[], Message]]:
        record = admin.CreateNamespaceRecordRequest.FromString(raw).record

        def answer() -> Message:
            if self._by_id(record.id) is None:
                if record.name in self.records:
                    raise NamespaceAlreadyExists
                self.put(record)
            return admin.CreateNamespaceRecordResponse(record=self._by_id(record.id))

        return "create", answer

    def _configure(self, raw: bytes) -> tuple[str, Callable[[], Message]]:
        request = admin.ConfigureNamespaceRequest.FromString(raw)

        def answer() -> Message:
            record = self._by_id(request.namespace_id)
            if record is None:
                raise NamespaceNotFound(request.namespace_id)
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
            update = configure(record, wanted, CLUSTERS, Limits())
            if update.changed:
                self.put(update.record)
            return admin.ConfigureNamespaceResponse(record=update.record)

        word = "join" if request.add_clusters else "leave" if request.remove_clusters else "configure"
        return word, answer

    def _forget(self, raw: bytes) -> tuple[str, Callable[[], Message]]:
        request = admin.ForgetNamespaceRequest.FromString(raw)

        def answer() -> Message:
            record = self._by_id(request.namespace_id)
            if record is not None:
                del self.records[record.name]
            return admin.ForgetNamespaceResponse()

        return "forget", answer

    def _delete(self, raw: bytes) -> tuple[str, Callable[[], Message]]:
        request = DeleteNamespaceRequest.FromString(raw)

        def answer() -> Message:
            record = self._by_id(request.namespace_id)
            if record is None or record.deleted_time:
                raise NamespaceNotFound(request.namespace_id)
            del self.records[record.name]
            self.put(namespace_rules.delete(record, self._ports.clock.now()).record)
            return DeleteNamespaceResponse()

        return "delete", answer

    def _by_id(self, namespace_id: str) -> NamespaceRecord | None:
        return next((record for record in self.records.values() if record.id == namespace_id), None)

    def _get(self, raw: bytes) -> tuple[str, Callable[[], Message]]:
        request = admin.GetNamespaceRequest.FromString(raw)
        return "get", lambda: admin.GetNamespaceResponse(record=self.record(request.namespace))

    def _adopt(self, raw: bytes) -> tuple[str, Callable[[], Message]]:
        incoming = admin.AdoptNamespaceRecordRequest.FromString(raw).record

        def answer() -> Message:
            known = self._by_id(incoming.id) or self.records.get(incoming.name)
            if known is not None:
                del self.records[known.name]
            self.put(namespace_rules.receive(known, incoming).record)
            return admin.AdoptNamespaceRecordResponse(record=self.record(incoming.name))

        return "adopt", answer

    def _status(self, raw: bytes) -> tuple[str, Callable[[], Message]]:
        request = admin.NamespaceStatusRequest.FromString(raw)
        return "status", lambda: admin.NamespaceStatusResponse(
            region=self.name, record=self.record(request.namespace), fill=self.fill
        )

    def _await_replicated(self, raw: bytes) -> tuple[str, Callable[[], Message]]:
        request = admin.AwaitReplicatedRequest.FromString(raw)
        self.record(request.namespace)
        word = "drained" if self.records[request.namespace].handover else "caught-up"
        return word, admin.AwaitReplicatedResponse

    async def _watch(self, stream: Stream, metadata: Mapping[str, str]) -> None:
        queue: asyncio.Queue[NamespaceRecord] = asyncio.Queue()
        for record in self.records.values():
            queue.put_nowait(record)
        self._watchers.add(queue)
        try:
            await stream.send(admin.NamespaceChange(complete=True).SerializeToString())
            while True:
                change = admin.NamespaceChange(record=await queue.get())
                await stream.send(change.SerializeToString())
        finally:
            self._watchers.discard(queue)


class FakeEndpoints:
    """Endpoints without sockets: the ports given out, and where each namespace leads, in order."""

    def __init__(self) -> None:
        self.ports: dict[str, int] = {}
        self.asked: list[tuple[str, int | None]] = []
        self.followed: list[tuple[str, str]] = []
        self.left: list[tuple[str, str]] = []
        self._changed = asyncio.Event()

    async def open(self, namespace: str, port: int | None) -> tuple[str, int]:
        self.asked.append((namespace, port))
        taken = self.ports.setdefault(namespace, port or 50_000 + len(self.ports))
        return "127.0.0.1", taken

    async def close(self, namespace: str) -> None:
        self.ports.pop(namespace, None)

    def follow(self, namespace: str, region: str) -> None:
        self.followed.append((namespace, region))
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def leave(self, namespace: str, region: str) -> None:
        self.left.append((namespace, region))

    async def changed(self) -> None:
        """Return when an endpoint leads elsewhere."""
        await self._changed.wait()


class SkippingClock:
    """The machine's clock, and time that a test skips."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._skipped = 0

    def now(self) -> int:
        return self._clock.now() + self._skipped

    def skip(self, duration: int) -> None:
        self._skipped += duration


class World:
    """A cloud of fake regions around one control plane, which can be killed and started."""

    def __init__(self, directory: Path, settings: ControlSettings) -> None:
        self.journal: list[str] = []
        self.regions = {name: FakeRegion(name, self.journal) for name in (EAST, WEST, SOUTH)}
        self.peers = MemoryPeers()
        self.endpoints = FakeEndpoints()
        self.clock = SkippingClock()
        self.settings = settings
        self.told: list[tuple[str, Mapping[str, Any]]] = []
        self._path = directory / "control.sqlite"
        for name, region in self.regions.items():
            self.peers.serve(name, region.handlers)
        self.plane = self._make()

    @property
    def east(self) -> FakeRegion:
        return self.regions[EAST]

    @property
    def west(self) -> FakeRegion:
        return self.regions[WEST]

    def _make(self) -> ControlPlane:
        return ControlPlane(
            self._path,
            regions=list(self.regions),
            transport=self.peers.transport(),
            endpoints=self.endpoints,
            ports=Ports(clock=self.clock),
            settings=self.settings,
            tell=lambda kind, data: self.told.append((kind, data)),
            durable=False,
        )

    async def restart(self) -> None:
        """A new life of the control plane over the same file."""
        await self.plane.kill()
        self.plane = self._make()
        await self.plane.start()

    def down(self, region: str) -> None:
        self.peers.kill(region)

    def up(self, region: str) -> None:
        self.peers.serve(region, self.regions[region].handlers)
        self.plane.region_started(region)

    def journal_of(self, *words: str) -> list[str]:
        """What regions were asked for that matters to the order of a failover."""
        return [entry for entry in self.journal if entry.split()[1] in words]


@asynccontextmanager
async def world(directory: Path, settings: ControlSettings | None = None) -> AsyncIterator[World]:
    """Three regions, a control plane, and the namespace `orders` in the first two, active in the first."""
    made = World(directory, settings or ControlSettings())
    await made.plane.start()
    try:
        await made.plane.tools.create_namespace(_create("orders", EAST, WEST))
        made.journal.clear()
        yield made
    finally:
        await made.plane.close()


def _create(name: str, *regions: str) -> admin_cloud.CreateNamespaceRequest:
    return admin_cloud.CreateNamespaceRequest(name=name, regions=regions)


def raising(error: ServiceError) -> Hook:
    """The region answers with an error."""

    async def hook() -> None:
        raise error

    return hook


class Gate:
    """A hook that stops a region before it answers: `reached` tells that, `open` lets it go on."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.passage = asyncio.Event()

    async def __call__(self) -> None:
        self.reached.set()
        await self.passage.wait()

    def open(self) -> None:
        self.passage.set()


def seconds(value: float) -> int:
    return int(value * times.SECOND)


# The Cloud Ops API without a server


async def say(
    cloud: World, request: Message, metadata: Mapping[str, str] | None = None
) -> operations.AsyncOperation:
    """Ask for an operation; how it stands when it is accepted."""
    answer = await ask(cloud, request, metadata)
    operation: operations.AsyncOperation = getattr(answer, "async_operation")  # noqa: B009
    return operation


async def ask(cloud: World, request: Message, metadata: Mapping[str, str] | None = None) -> Message:
    """The answer of the RPC of that request. Raises what it answered."""
    method = request.DESCRIPTOR.name.removesuffix("Request")
    descriptor = CLOUD_SERVICE.methods_by_name[method]
    call = Call(
        CLOUD_SERVICE.full_name,
        method,
        f"/{CLOUD_SERVICE.full_name}/{method}",
        request.SerializeToString(),
        metadata or {},
    )
    return GetMessageClass(descriptor.output_type).FromString(await cloud.plane.dispatch(call))


async def shown(cloud: World, name: str, metadata: Mapping[str, str] | None = None) -> Namespace:
    """A namespace as GetNamespace shows it."""
    answer = await ask(cloud, GetNamespaceRequest(namespace=name), metadata)
    assert isinstance(answer, GetNamespaceResponse)
    return answer.namespace


async def ended(cloud: World, operation: operations.AsyncOperation) -> operations.AsyncOperation:
    """The operation once it has ended."""
    async with asyncio.timeout(PATIENCE):
        found = await cloud.plane._running.operations.end_of(operation.id)
    return found.message(1)
