"""A cloud below gRPC, in one seeded event loop: regions, links, crashes, clients, workers, failovers."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from temporalio.api.enums.v1 import ReplicationState
from temporalio.api.replication.v1 import ClusterReplicationConfig, NamespaceReplicationConfig
from temporalio.api.workflowservice.v1 import (
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)

from mockcloud.core.cluster import Clusters
from mockcloud.core.errors import MockcloudError, ServiceError
from mockcloud.core.limits import Limits
from mockcloud.core.ports import Ports
from mockcloud.core.run import OPEN_STATUSES
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.region import Region
from mockcloud.frontend.methods import SERVICES
from mockcloud.frontend.service import Frontend
from mockcloud.replication.service import Replication
from mockcloud.replication.settings import Settings
from mockcloud.rpc.faults import Fault, Links
from mockcloud.rpc.memory_transport import MemoryPeers
from mockcloud.rpc.transport import NO_METADATA, Handlers
from mockcloud.store import log, positions, runs
from mockcloud.store.database import Store
from tests.simulation.clients import NAMESPACE, OTHER_NAMESPACE, Clients, namespace_of
from tests.simulation.disk import Disk
from tests.simulation.loop import SimulatedClock, SimulatedLoop
from tests.simulation.schedule import Step
from tests.simulation.transport import SimulatedTransport
from tests.simulation.witness import Witness
from tests.simulation.workers import Workers
from tests.support import Site

_GRACEFUL = 10.0  # seconds that a graceful failover may take


@dataclass
class Life:
    """A region between two crashes."""

    region: Region
    store: Store
    replication: Replication
    transport: SimulatedTransport
    site: Site
    disk: Disk
    workers: list[asyncio.Task[None]] = field(default_factory=list)

    def namespace(self, workflow_id: str = "") -> Namespace:
        """The one that a workflow id belongs to."""
        return self.region.namespaces.by_name(namespace_of(workflow_id))

    def namespaces(self) -> list[Namespace]:
        """All that clients have made."""
        return [one for one in self.region.namespaces.all() if one.name in (NAMESPACE, OTHER_NAMESPACE)]


@dataclass(frozen=True)
class _CountedSite(Site):
    """A region as clients and workers call it."""

    world: World

    async def call(
        self, request: Message, *, timeout: float | None = 10.0, metadata: Mapping[str, str] = NO_METADATA
    ) -> Message:
        self.world.calls += 1
        return await super().call(request, timeout=timeout, metadata=metadata)


class World:
    """Made, driven and ended within one loop."""

    def __init__(
        self,
        directory: Path,
        seed: int,
        loop: SimulatedLoop,
        regions: tuple[str, ...] = ("A", "B"),
        namespaces: tuple[str, ...] = (NAMESPACE,),
    ) -> None:
        self.namespaces: Final = namespaces
        self.names: Final = regions
        self.directory: Final = directory
        self.clock: Final = SimulatedClock(loop)
        self.clusters: Final = Clusters.of(regions)
        self.rng: Final = random.Random(f"world-{seed}")
        self._disk_rng: Final = random.Random(f"disk-{seed}")
        self._buried: Final[dict[str, asyncio.Task[None]]] = {}
        self.links: Final = Links(random.Random(f"links-{seed}"))
        # Where messages are small, a short cut of a link leaves a backlog of several, and a full window.
        self._settings: Final = Settings(page_rows=2, window=12) if seed % 3 == 0 else Settings()
        self.peers: Final = MemoryPeers()
        self.lives: Final[dict[str, Life]] = {}
        self.faults: Final[list[Fault]] = []
        self.clients: Final = Clients()
        self.witness: Final = Witness(self.clients.deleted)
        self.problems: Final[list[str]] = []  # of the model itself
        self.calls = 0  # of clients and workers
        self._births = 0
        self._tasks: Final[set[asyncio.Task[None]]] = set()

    # Life

    async def open(self) -> None:
        for name in self.names:
            await self.bear(name)
        for namespace in self.namespaces:
            request = RegisterNamespaceRequest(
                namespace=namespace,
                workflow_execution_retention_period=Duration(seconds=86400 * 30),
                is_global_namespace=True,
                active_cluster_name=self.names[0],
                clusters=[ClusterReplicationConfig(cluster_name=name) for name in self.names],
            )
            await self.lives[self.names[0]].site.call(request)
        while any(  # noqa: ASYNC110 - nothing announces it
            len(life.namespaces()) < len(self.namespaces) for life in self.lives.values()
        ):
            await asyncio.sleep(0.01)
        for name in self.names:
            self._put_to_work(name)

    async def bear(self, name: str) -> None:
        """Bring a region up from its file."""
        self._births += 1
        if name in self._buried:
            await self._buried.pop(name)
        store = await Store.open(self.directory / f"{name}.db", durable=False, writer="inline")
        disk = Disk(store, self._disk_rng, lambda: self._die(name))
        ports = Ports(clock=self.clock, rng=random.Random(f"{self.rng.random()}-{name}-{self._births}"))
        region = await Region.open(
            name, self.clusters, store, ports, Limits(task_poll=20_000_000_000, workflow_pause=True)
        )
        transport = SimulatedTransport(self.peers.transport(), name, self.links)
        replication = Replication(region, transport, links=self.links, settings=self._settings)
        frontend = Frontend(region, transport)
        handlers = Handlers()
        replication.register(handlers)
        handlers.services(SERVICES, frontend.dispatch)
        self.peers.serve(name, handlers)
        self.lives[name] = Life(
            region, store, replication, transport, _CountedSite(region, frontend, self), disk
        )
        self.witness.watch(region, replication)
        await self.witness.starts.learn(name, store)
        await region.start()
        await replication.start()
        self._put_to_work(name)

    async def crash(self, name: str) -> None:
        """End a region in the middle of whatever it does."""
        self._die(name)
        if name in self._buried:
            await self._buried.pop(name)

    def _die(self, name: str) -> None:
        life = self.lives.pop(name, None)
        if life is None:
            return
        life.store.kill()
        life.region.kill()
        life.replication.kill()
        self.peers.kill(name)
        for worker in life.workers:
            worker.cancel()
        self._buried[name] = asyncio.get_running_loop().create_task(self._bury(life))

    async def _bury(self, life: Life) -> None:
        await life.transport.close()
        await life.store.wait_closed()

    async def look(self) -> None:
        """Look at what must hold at each moment."""
        regions = {name: life.region for name, life in self.lives.items()}
        for namespace in next(iter(self.lives.values())).namespaces() if self.lives else ():
            await self.witness.look(regions, namespace.id)

    async def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        for name in tuple(self.lives):
            await self.crash(name)

    def background(self, work: Awaitable[Any]) -> None:
        async def run() -> None:
            with contextlib.suppress(
                MockcloudError
            ):  # refused, or its region has crashed: the client knows nothing
                await work

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Steps

    async def take(self, step: Step) -> None:
        """Do one step of the schedule; calls of clients go on by themselves."""
        match step.kind:
            case "fault":
                self._fault(step)
            case "heal":
                self.heal()
            case "disk":
                self._disk(step)
            case "crash":
                if step.region in self.lives:
                    await self.crash(step.region)
                    self.background(self._again(step.region, step.amount))
            case "failover":
                graceful = step.detail == "graceful"
                self.background(
                    self._fail_over(step.region, namespace_of(step.workflow_id), graceful=graceful)
                )
            case _:
                self.background(self._ask(step))
                if step.kind == "signal" and step.amount:
                    self.background(self._ask(step, after=step.amount))

    async def _ask(self, step: Step, *, after: float = 0.0) -> None:
        await asyncio.sleep(after)
        if step.region in self.lives:
            await self.clients.do(self.lives[step.region].site, step)

    async def _again(self, name: str, after: float) -> None:
        await asyncio.sleep(after)
        if name not in self.lives:
            await self.bear(name)

    def _fault(self, step: Step) -> None:
        one_way = step.detail != "partition"
        kind = "partition" if step.detail == "cut" else step.detail
        parameters: dict[str, Any] = {"seconds": step.amount} if kind == "delay" else {}
        if kind in ("drop", "duplicate", "reorder"):
            parameters = {"probability": step.amount}
        self.faults.append(self.links.add(kind, step.region, step.target, one_way=one_way, **parameters))

    def _disk(self, step: Step) -> None:
        if step.region not in self.lives:
            return
        disk = self.lives[step.region].disk
        if step.detail == "slow":
            disk.seconds = step.amount
            return
        disk.crash_at = step.detail
        self.background(self._after_disk_crash(step.region, disk, step.amount))

    async def _after_disk_crash(self, name: str, disk: Disk, after: float) -> None:
        while name in self.lives and self.lives[name].disk is disk:
            if not disk.crash_at:
                return  # nothing was written before the end of all faults
            await asyncio.sleep(0.1)
        await self._again(name, after)

    def heal(self) -> None:
        """Take all faults away."""
        self.links.reset()
        self.faults.clear()
        for life in self.lives.values():
            life.disk.seconds = 0.0
            life.disk.crash_at = ""

    async def _fail_over(self, target: str, name: str, *, graceful: bool) -> None:
        """As the control plane does it: it reaches every region that is up, whatever the links do."""
        here = self.lives.get(target)
        if here is None:
            return
        active = here.region.namespaces.by_name(name).record.active_cluster
        if active == target:
            return
        if graceful and active in self.lives:
            await self._hand_over(active, target, name)
        config = NamespaceReplicationConfig(active_cluster_name=target)
        request = UpdateNamespaceRequest(namespace=name, replication_config=config)
        while True:  # an accepted failover finishes
            if target in self.lives:
                try:
                    await self.lives[target].site.call(request)
                except MockcloudError:
                    await asyncio.sleep(0.1)
                else:
                    break
            await asyncio.sleep(0.5)

    async def _hand_over(self, active: str, target: str, name: str) -> None:
        old = self.lives[active]
        namespace = old.region.namespaces.by_name(name)
        try:
            async with asyncio.timeout(_GRACEFUL):
                await self._set_state(old, name, ReplicationState.REPLICATION_STATE_HANDOVER)
                position = await old.region.changes.drained_position(namespace)
                self.witness.drained.add((active, namespace.id))
                await old.replication.wait_acked(namespace.id, target, position)
        except (TimeoutError, MockcloudError):
            self.witness.drained.discard((active, namespace.id))
            try:
                await self._set_state(old, name, ReplicationState.REPLICATION_STATE_NORMAL)
            except MockcloudError:
                return  # it has crashed, or is passive by now

    async def _set_state(self, life: Life, name: str, state: ReplicationState.ValueType) -> None:
        config = NamespaceReplicationConfig(state=state)
        await life.site.call(UpdateNamespaceRequest(namespace=name, replication_config=config))

    def _put_to_work(self, name: str) -> None:
        life = self.lives[name]
        for namespace in self.namespaces:
            if life.region.namespaces.find(namespace) is not None:
                rng = random.Random(f"worker-{self.rng.random()}")
                life.workers += Workers(life.site, namespace, rng, self.problems).begin()

    # Quiescence

    async def replicated(self) -> bool:
        """Whether every region has applied all that is in the others' logs."""
        for source, there in self.lives.items():
            for namespace in there.namespaces():
                position = await there.store.read(lambda c, n=namespace.id: log.last_position(c, n))  # type: ignore[misc]
                for target, here in self.lives.items():
                    if source != target:
                        applied = await here.store.read(
                            lambda c, n=namespace.id, s=source: positions.applied(c, n, s)  # type: ignore[misc]
                        )
                        if applied < position:
                            return False
        return True

    async def let_go(self, workflow_ids: Iterable[str]) -> None:
        """Do what open workflows may wait for: signals, and the end of pauses and of schedules."""
        for schedule_id in self.clients.schedules:
            with contextlib.suppress(MockcloudError):
                await self.clients.delete_schedule(self._anyone(), schedule_id)
        for workflow_id in workflow_ids:
            for call in (self.clients.unpause, self.clients.signal):
                with contextlib.suppress(MockcloudError):
                    await call(self._anyone(), workflow_id)
            with contextlib.suppress(MockcloudError):
                await self.clients.do(self._anyone(), Step(0, "activity", "", workflow_id, detail="off"))
            with contextlib.suppress(MockcloudError):
                if workflow_id in self.clients.deleted and await self._waits_in_vain(workflow_id):
                    await self.clients.do(self._anyone(), Step(0, "terminate", "", workflow_id))

    async def _waits_in_vain(self, workflow_id: str) -> bool:
        """Whether a run that was deleted, and has come back, waits for children that have ended and told nobody.

        Real: a child that does not find its parent has done its duty (processCloseExecution), and a parent that is
        made again does not ask for children that were started.
        """
        life = self.lives[self.names[0]]
        life = self.lives[life.namespace(workflow_id).record.active_cluster]
        namespace = life.namespace(workflow_id)
        children = await life.region.changes.read(
            namespace,
            workflow_id,
            "",
            lambda run: {child.attributes.workflow_id for child in run.children.values() if child.started},
        )

        def look(connection: sqlite3.Connection) -> bool:
            found = [run for child in children for run in runs.runs_of(connection, namespace.id, child)]
            errands = runs.runs_with_errands(connection, namespace.id)
            return not errands and not any(run.status in OPEN_STATUSES for run in found)

        return bool(children) and await life.store.read(look)

    def _anyone(self) -> Site:
        return self.lives[self.rng.choice(self.names)].site


__all__ = ["Life", "ServiceError", "World"]
