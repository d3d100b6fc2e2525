"""A cloud below gRPC, in one seeded event loop: regions, links, crashes, clients, workers, failovers."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import ReplicationState, TaskQueueKind, WorkflowIdConflictPolicy
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.replication.v1 import ClusterReplicationConfig, NamespaceReplicationConfig
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.update.v1 import WaitPolicy
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RegisterNamespaceRequest,
    RequestCancelWorkflowExecutionRequest,
    ResetWorkflowExecutionRequest,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskFailedRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
    UpdateNamespaceRequest,
    UpdateWorkflowExecutionRequest,
    UpdateWorkflowExecutionResponse,
)

from mockcloud.core.cluster import Clusters
from mockcloud.core.errors import MockcloudError, ServiceError
from mockcloud.core.limits import Limits
from mockcloud.core.ports import Ports
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.region import Region
from mockcloud.frontend.methods import SERVICES
from mockcloud.frontend.service import Frontend
from mockcloud.replication.service import Replication
from mockcloud.rpc.faults import Fault, Links
from mockcloud.rpc.faulty_transport import FaultyTransport
from mockcloud.rpc.memory_transport import MemoryPeers
from mockcloud.rpc.transport import Handlers
from mockcloud.store import log, positions
from mockcloud.store.database import Store
from tests.simulation import model
from tests.simulation.disk import Disk
from tests.simulation.loop import SimulatedClock, SimulatedLoop
from tests.simulation.schedule import Step
from tests.simulation.witness import Witness
from tests.support import Site

NAMESPACE: Final = "ns"
_QUEUE = TaskQueue(name=model.QUEUE, kind=TaskQueueKind.TASK_QUEUE_KIND_NORMAL)
_GRACEFUL = 10.0  # seconds that a graceful failover may take


@dataclass
class Life:
    """A region between two crashes."""

    region: Region
    store: Store
    replication: Replication
    transport: FaultyTransport
    site: Site
    disk: Disk
    workers: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def namespace(self) -> Namespace:
        return self.region.namespaces.by_name(NAMESPACE)


class World:
    """Made, driven and ended within one loop."""

    def __init__(
        self, directory: Path, seed: int, loop: SimulatedLoop, regions: tuple[str, ...] = ("A", "B")
    ) -> None:
        self.names: Final = regions
        self.directory: Final = directory
        self.clock: Final = SimulatedClock(loop)
        self.clusters: Final = Clusters.of(regions)
        self.rng: Final = random.Random(f"world-{seed}")
        self.witness: Final = Witness()
        self._disk_rng: Final = random.Random(f"disk-{seed}")
        self._buried: Final[dict[str, asyncio.Task[None]]] = {}
        self.links: Final = Links(random.Random(f"links-{seed}"))
        self.peers: Final = MemoryPeers()
        self.lives: Final[dict[str, Life]] = {}
        self.faults: Final[list[Fault]] = []
        self.acknowledged: Final[set[tuple[str, str]]] = set()  # (workflow id, signal name)
        self.updated: Final[set[tuple[str, str]]] = (
            set()
        )  # (workflow id, update id) that was answered with its outcome
        self.problems: Final[list[str]] = []  # of the model itself
        self._births = 0
        self._signals = 0
        self._tasks: Final[set[asyncio.Task[None]]] = set()

    # Life

    async def open(self) -> None:
        for name in self.names:
            await self.bear(name)
        request = RegisterNamespaceRequest(
            namespace=NAMESPACE,
            workflow_execution_retention_period=Duration(seconds=86400 * 30),
            is_global_namespace=True,
            active_cluster_name=self.names[0],
            clusters=[ClusterReplicationConfig(cluster_name=name) for name in self.names],
        )
        await self.lives[self.names[0]].site.call(request)
        while any(  # noqa: ASYNC110 - nothing announces it
            life.region.namespaces.find(NAMESPACE) is None for life in self.lives.values()
        ):
            await asyncio.sleep(0.01)
        self._namespace_id = self.lives[self.names[0]].namespace.id
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
        region = await Region.open(name, self.clusters, store, ports, Limits(task_poll=20_000_000_000))
        transport = FaultyTransport(self.peers.transport(), name, self.links)
        replication = Replication(region, transport, links=self.links)
        frontend = Frontend(region, transport)
        handlers = Handlers()
        replication.register(handlers)
        handlers.services(SERVICES, frontend.dispatch)
        self.peers.serve(name, handlers)
        self.lives[name] = Life(region, store, replication, transport, Site(region, frontend), disk)
        self.witness.watch(region, replication)
        await region.start()
        await replication.start()
        if region.namespaces.find(NAMESPACE) is not None:
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
        await self.witness.look(regions, self._namespace_id)

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
                self.background(self._fail_over(step.region, graceful=step.detail == "graceful"))
            case _:
                if step.region in self.lives:
                    self.background(self._client(step))

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

    async def _fail_over(self, target: str, *, graceful: bool) -> None:
        """As the control plane does it: it reaches every region that is up, whatever the links do."""
        here = self.lives.get(target)
        if here is None:
            return
        active = here.namespace.record.active_cluster
        if active == target:
            return
        if graceful and active in self.lives:
            await self._hand_over(active, target)
        config = NamespaceReplicationConfig(active_cluster_name=target)
        request = UpdateNamespaceRequest(namespace=NAMESPACE, replication_config=config)
        while True:  # an accepted failover finishes
            if target in self.lives:
                try:
                    await self.lives[target].site.call(request)
                except MockcloudError:
                    await asyncio.sleep(0.1)
                else:
                    break
            await asyncio.sleep(0.5)

    async def _hand_over(self, active: str, target: str) -> None:
        old = self.lives[active]
        try:
            async with asyncio.timeout(_GRACEFUL):
                await self._set_state(old, ReplicationState.REPLICATION_STATE_HANDOVER)
                position = await old.region.changes.drained_position(old.namespace)
                self.witness.drained.add((active, old.namespace.id))
                await old.replication.wait_acked(old.namespace.id, target, position)
        except (TimeoutError, MockcloudError):
            self.witness.drained.discard((active, old.namespace.id))
            try:
                await self._set_state(old, ReplicationState.REPLICATION_STATE_NORMAL)
            except MockcloudError:
                return  # it has crashed, or is passive by now

    async def _set_state(self, life: Life, state: ReplicationState.ValueType) -> None:
        config = NamespaceReplicationConfig(state=state)
        await life.site.call(UpdateNamespaceRequest(namespace=NAMESPACE, replication_config=config))

    # Clients

    async def _client(self, step: Step) -> None:
        site = self.lives[step.region].site
        run = WorkflowExecution(workflow_id=step.workflow_id)
        match step.kind:
            case "start":
                await site.call(
                    StartWorkflowExecutionRequest(
                        namespace=NAMESPACE,
                        workflow_id=step.workflow_id,
                        workflow_type=WorkflowType(name="model"),
                        task_queue=_QUEUE,
                        input=model.text(step.detail),
                        request_id=f"start-{step.at}",
                        workflow_id_conflict_policy=WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
                    )
                )
            case "signal":
                await self.signal(step.region, step.workflow_id)
            case "cancel":
                await site.call(
                    RequestCancelWorkflowExecutionRequest(namespace=NAMESPACE, workflow_execution=run)
                )
            case "terminate":
                await site.call(
                    TerminateWorkflowExecutionRequest(namespace=NAMESPACE, workflow_execution=run)
                )
            case "update":
                request = UpdateWorkflowExecutionRequest(
                    namespace=NAMESPACE,
                    workflow_execution=run,
                    wait_policy=WaitPolicy(lifecycle_stage=3),  # type: ignore[arg-type]
                )
                request.request.meta.update_id = f"u-{step.at}"
                request.request.input.name = "update"
                answer = await site.ask(request, UpdateWorkflowExecutionResponse)
                if answer.outcome.HasField("success"):
                    self.updated.add((step.workflow_id, request.request.meta.update_id))
            case "reset":
                await site.call(
                    ResetWorkflowExecutionRequest(
                        namespace=NAMESPACE,
                        workflow_execution=run,
                        workflow_task_finish_event_id=4,
                        request_id=f"reset-{step.at}",
                    )
                )

    async def signal(self, region: str, workflow_id: str) -> None:
        """Send a signal of a name of its own; keep in mind that it was answered."""
        self._signals += 1
        name = f"s{self._signals}"
        await self.lives[region].site.call(
            SignalWorkflowExecutionRequest(
                namespace=NAMESPACE,
                workflow_execution=WorkflowExecution(workflow_id=workflow_id),
                signal_name=name,
                request_id=name,
            )
        )
        self.acknowledged.add((workflow_id, name))

    # Workers

    def _put_to_work(self, name: str) -> None:
        life = self.lives[name]
        rng = random.Random(f"worker-{self.rng.random()}")
        loop = asyncio.get_running_loop()
        life.workers = [
            loop.create_task(self._workflow_worker(life, rng)),
            loop.create_task(self._workflow_worker(life, rng)),
            loop.create_task(self._activity_worker(life, rng)),
        ]

    async def _workflow_worker(self, life: Life, rng: random.Random) -> None:
        request = PollWorkflowTaskQueueRequest(namespace=NAMESPACE, task_queue=_QUEUE, identity="model")
        while True:
            try:
                task = await life.site.ask(request, PollWorkflowTaskQueueResponse, timeout=30.0)
                if not task.task_token:
                    continue
                history = await _whole(life.site, task)
                answer = model.decide(task, history)
                await asyncio.sleep(rng.choice([0.0, 0.01, 0.3]))
                if rng.random() < 0.02:
                    continue  # it forgets about the task
                answer.namespace = NAMESPACE
                await life.site.call(answer)
            except MockcloudError:
                await asyncio.sleep(0.1)
            except Exception as error:
                self.problems.append(f"{type(error).__name__}: {error}")
                raise

    async def _activity_worker(self, life: Life, rng: random.Random) -> None:
        request = PollActivityTaskQueueRequest(namespace=NAMESPACE, task_queue=_QUEUE, identity="model")
        while True:
            try:
                task = await life.site.ask(request, PollActivityTaskQueueResponse, timeout=30.0)
                if not task.task_token:
                    continue
                await asyncio.sleep(rng.choice([0.0, 0.05, 0.5]))
                chance = rng.random()
                answer: Message
                if chance < 0.1:
                    continue  # it forgets about the task
                if chance < 0.3:
                    answer = RespondActivityTaskFailedRequest(namespace=NAMESPACE, task_token=task.task_token)
                    answer.failure.message = "no"
                    answer.failure.application_failure_info.type = "No"
                else:
                    answer = RespondActivityTaskCompletedRequest(
                        namespace=NAMESPACE, task_token=task.task_token
                    )
                await life.site.call(answer)
            except MockcloudError:
                await asyncio.sleep(0.1)
            except Exception as error:
                self.problems.append(f"{type(error).__name__}: {error}")
                raise

    # Quiescence

    async def replicated(self) -> bool:
        """Whether every region has applied all that is in the others' logs."""
        for source, there in self.lives.items():
            position = await there.store.read(lambda c, n=there.namespace.id: log.last_position(c, n))  # type: ignore[misc]
            for target, here in self.lives.items():
                if source != target:
                    applied = await here.store.read(
                        lambda c, n=here.namespace.id, s=source: positions.applied(c, n, s)  # type: ignore[misc]
                    )
                    if applied < position:
                        return False
        return True


async def _whole(site: Site, task: PollWorkflowTaskQueueResponse) -> list[HistoryEvent]:
    """All events of a task's run: a page may be missing."""
    events = list(task.history.events)
    token = task.next_page_token
    while token:
        request = GetWorkflowExecutionHistoryRequest(
            namespace=NAMESPACE, execution=task.workflow_execution, next_page_token=token
        )
        page = await site.ask(request, GetWorkflowExecutionHistoryResponse)
        events += page.history.events
        token = page.next_page_token
    return events


__all__ = ["NAMESPACE", "Life", "ServiceError", "World"]
