"""Two regions without servers: store, engine, replication, and an in-memory transport with faults."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.api.protocol.v1 import Message
from temporalio.api.replication.v1 import NamespaceReplicationConfig
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.update.v1 import Acceptance, Input, Meta, Outcome, Request, Response
from temporalio.api.workflowservice.v1 import (
    RegisterNamespaceRequest,
    RespondWorkflowTaskCompletedRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    UpdateNamespaceRequest,
    UpdateWorkflowExecutionRequest,
)

from mockcloud.api.state.v1.state_pb2 import RunRecord
from mockcloud.core import due, signals, updates, version_history, workflow_task
from mockcloud.core.change import RunChange
from mockcloud.core.cluster import Clusters
from mockcloud.core.derive import workflow_task_offer
from mockcloud.core.ports import Ports
from mockcloud.core.run import Run, RunKey
from mockcloud.core.tokens import TaskToken
from mockcloud.core.version_history import Item
from mockcloud.engine import region as engine_region
from mockcloud.engine.namespaces import Namespace
from mockcloud.replication.service import Replication
from mockcloud.replication.settings import Settings
from mockcloud.rpc.faults import Fault, Links
from mockcloud.rpc.faulty_transport import FaultyTransport
from mockcloud.rpc.memory_transport import MemoryPeers
from mockcloud.rpc.transport import Handlers
from mockcloud.store import history, log, positions, runs
from mockcloud.store.database import Store

FAST = Settings(ack_timeout=0.05, ack_timeout_most=0.2, reconnect_first=0.01, reconnect_most=0.05, pacing=0.0)
NAMESPACE = "orders"


class ManualClock:
    """Moves by a microsecond with each look, and by what a test says."""

    def __init__(self) -> None:
        self._now = 1_800_000_000_000_000_000

    def now(self) -> int:
        self._now += 1_000
        return self._now

    def advance(self, nanoseconds: int) -> None:
        self._now += nanoseconds


class Region(engine_region.Region):
    """One region's life, with what clients, workers and tests do to it. Timers fire when a test says so."""

    replication: Replication

    @property
    def namespace(self) -> Namespace:
        return self.namespaces.by_name(NAMESPACE)

    # What clients and workers do

    async def start_workflow(self, workflow_id: str, **fields: Any) -> str:
        request = StartWorkflowExecutionRequest(
            namespace=NAMESPACE,
            workflow_id=workflow_id,
            workflow_type=WorkflowType(name="wf"),
            task_queue=TaskQueue(name="tq"),
            request_id=self.ports.ids.uuid(),
            identity=f"starter-{self.name}",
            workflow_task_timeout=Duration(seconds=10),
        )
        for name, value in fields.items():
            if isinstance(value, str):
                setattr(request, name, value)
            else:
                getattr(request, name).CopyFrom(value)
        return (await self.changes.start(self.namespace, request)).run_id

    async def signal(self, workflow_id: str, name: str, request_id: str = "") -> None:
        request = SignalWorkflowExecutionRequest(
            namespace=NAMESPACE,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            signal_name=name,
            input=text(name),
            identity=f"signaler-{self.name}",
            request_id=request_id or self.ports.ids.uuid(),
        )
        await self.changes.update(
            self.namespace,
            workflow_id,
            "",
            lambda change: signals.signal(change, request),
            require_open=True,
        )

    async def poll(self, workflow_id: str) -> TaskToken:
        """The started workflow task of the current run; it must have one to give."""
        return (await self.take(workflow_id)).token

    async def take(self, workflow_id: str) -> workflow_task.StartedTask:
        """`poll`, with all that a worker gets."""

        def rule(change: RunChange) -> workflow_task.StartedTask | None:
            offer = workflow_task_offer(change.run)
            assert offer is not None, f"{self.name} has no workflow task of {change.run.key}"
            return workflow_task.start_workflow_task(
                change, offer, change.context.ids.uuid(), f"worker-{self.name}"
            )

        started = await self.changes.update(self.namespace, workflow_id, "", rule)
        assert started is not None
        return started

    async def complete(self, token: TaskToken, *commands: Command, messages: Sequence[Message] = ()) -> None:
        request = RespondWorkflowTaskCompletedRequest(
            identity=f"worker-{self.name}", commands=commands, messages=messages
        )

        def rule(change: RunChange) -> None:
            done = workflow_task.complete_workflow_task(change, token, request, change.context.ids.run_id)
            assert done.error is None

        await self.changes.update(self.namespace, token.workflow_id, token.run_id, rule)

    async def update_workflow(self, workflow_id: str, update_id: str, *, complete: bool = False) -> None:
        """An update that a worker accepts, and completes if told so."""
        request = UpdateWorkflowExecutionRequest(
            namespace=NAMESPACE,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            request=Request(
                meta=Meta(update_id=update_id, identity=f"updater-{self.name}"),
                input=Input(name="upd", args=text(update_id)),
            ),
        )
        change = partial(updates.admit, request=request)
        await self.changes.update(self.namespace, workflow_id, "", change)
        task = await self.take(workflow_id)
        (sent,) = task.messages
        body = AnyMessage()
        body.Pack(
            Acceptance(
                accepted_request_message_id=sent.id, accepted_request_sequencing_event_id=sent.event_id
            )
        )
        messages = [Message(id="1", protocol_instance_id=update_id, body=body)]
        if complete:
            body = AnyMessage()
            body.Pack(Response(meta=request.request.meta, outcome=Outcome(success=text("updated"))))
            messages.append(Message(id="2", protocol_instance_id=update_id, body=body))
        await self.complete(task.token, messages=messages)

    async def work(self, workflow_id: str, *commands: Command) -> None:
        """Poll the workflow task and complete it."""
        await self.complete(await self.poll(workflow_id), *commands)

    async def fire_due(self, workflow_id: str) -> None:
        """What is due of the current run happens."""
        await self.changes.update(self.namespace, workflow_id, "", due.run_due)

    async def activate(self, region: str) -> None:
        """A forced failover, issued here."""
        config = NamespaceReplicationConfig(active_cluster_name=region)
        request = UpdateNamespaceRequest(namespace=NAMESPACE, replication_config=config)
        await self.namespaces.update(self.namespace, request)

    # What is stored; none of it touches a run

    async def run_ids(self, workflow_id: str) -> list[str]:
        rows = await self.store.read(lambda c: runs.runs_of(c, self.namespace.id, workflow_id))
        return [row.run_id for row in rows]

    async def current_run_id(self, workflow_id: str) -> str:
        row = await self.store.read(lambda c: runs.load_current(c, self.namespace.id, workflow_id))
        return row.run_id if row else ""

    async def record(self, workflow_id: str, run_id: str = "") -> RunRecord | None:
        run_id = run_id or await self.current_run_id(workflow_id)
        row = await self.store.read(lambda c: runs.load_run(c, self.namespace.id, workflow_id, run_id))
        return RunRecord.FromString(row.record) if row else None

    async def branches(self, workflow_id: str, run_id: str = "") -> tuple[list[list[Item]], int]:
        """The version histories of a run, and which one is current."""
        record = await self.record(workflow_id, run_id)
        if record is None:
            return [], 0
        histories = record.version_histories
        return [version_history.items(branch) for branch in histories.histories], histories.current_index

    async def events(
        self, workflow_id: str, run_id: str = "", branch: int | None = None
    ) -> list[HistoryEvent]:
        """The events of a branch, by default the current one."""
        record = await self.record(workflow_id, run_id)
        if record is None:
            return []
        histories = record.version_histories
        chosen = histories.histories[histories.current_index if branch is None else branch]
        batches = await self.store.read(
            lambda c: history.read_branch(c, chosen.branch_id, 1, chosen.items[-1].event_id + 1)
        )
        return [event for batch in batches for event in History.FromString(batch.data).events]

    async def types(self, workflow_id: str, run_id: str = "") -> list[tuple[str, int]]:
        """Types and versions of the current branch's events."""
        return [
            (EventType.Name(event.event_type).removeprefix("EVENT_TYPE_"), event.version)
            for event in await self.events(workflow_id, run_id)
        ]

    async def loaded(self, workflow_id: str) -> Run:
        """The current run as the engine has it in memory."""
        key = RunKey(self.namespace.id, workflow_id, await self.current_run_id(workflow_id))
        entry = await self.changes.loader.entry(key)
        assert entry is not None
        return entry.run

    async def log_position(self) -> int:
        return await self.store.read(lambda c: log.last_position(c, self.namespace.id))

    async def applied(self, source: str) -> int:
        return await self.store.read(lambda c: positions.applied(c, self.namespace.id, source))


class Pair:
    """Regions A and B, and the link between them."""

    def __init__(self, directory: Path, *, seed: int = 1, settings: Settings = FAST) -> None:
        self.directory = directory
        self.clusters = Clusters.of(["A", "B"])
        self.links = Links(random.Random(seed))
        self.peers = MemoryPeers()
        self.clock = ManualClock()
        self.settings = settings
        self.regions: dict[str, Region] = {}
        self._cuts: dict[tuple[str, str], Fault] = {}
        self._lives = 0

    @property
    def a(self) -> Region:
        return self.regions["A"]

    @property
    def b(self) -> Region:
        return self.regions["B"]

    async def __aenter__(self) -> Self:
        for name in ("A", "B"):
            await self.open(name)
        return self

    async def __aexit__(self, *error: object) -> None:
        self.links.reset()
        for name in tuple(self.regions):
            await self.stop(name)

    async def open(self, name: str) -> Region:
        store = await Store.open(self.directory / f"{name}.db", durable=False)
        self._lives += 1
        ports = Ports(clock=self.clock, rng=random.Random(f"{name}{self._lives}"))
        region = await Region.open(name, self.clusters, store, ports)
        assert isinstance(region, Region)
        transport = FaultyTransport(self.peers.transport(), name, self.links)
        region.replication = Replication(region, transport, links=self.links, settings=self.settings)
        handlers = Handlers()
        region.replication.register(handlers)
        self.peers.serve(name, handlers)
        self.regions[name] = region
        await region.replication.start()
        return region

    async def stop(self, name: str) -> None:
        region = self.regions.pop(name)
        await region.replication.stop()
        self.peers.kill(name)
        await region.close()

    async def kill(self, name: str) -> None:
        region = self.regions.pop(name)
        region.kill()
        self.peers.kill(name)
        region.replication.kill()
        await region.tasks.wait()
        await region.store.wait_closed()

    async def register(self) -> None:
        """The namespace, active in A, known in both, with a stream each way: over a link that is cut none begins."""
        await self.a.namespaces.register(
            RegisterNamespaceRequest(
                namespace=NAMESPACE, workflow_execution_retention_period=Duration(seconds=86400)
            )
        )
        await until(lambda: self.b.namespaces.find(NAMESPACE) is not None)

        async def connected() -> bool:
            reports = [
                report
                for region in self.regions.values()
                for report in await region.replication.lag(region.namespace.id)
            ]
            return len(reports) == len(self.regions) and all(report.connected for report in reports)

        await until_async(connected)

    def cut(self, source: str, target: str) -> None:
        """Nothing passes from `source` to `target`."""
        self._cuts[source, target] = self.links.add("partition", source, target, one_way=True)

    def heal(self, source: str, target: str) -> None:
        self._cuts.pop((source, target)).remove()

    def split(self) -> None:
        self.cut("A", "B")
        self.cut("B", "A")

    def mend(self) -> None:
        """Every cut is healed."""
        for source, target in tuple(self._cuts):
            self.heal(source, target)

    async def converge(self) -> None:
        """Everything that is in either log is applied by the other region, and nothing new came of it."""
        while True:
            before = (await self.a.log_position(), await self.b.log_position())
            for source, target, position in (("A", "B", before[0]), ("B", "A", before[1])):
                async with asyncio.timeout(10):
                    await self.regions[source].replication.wait_acked(
                        self.regions[source].namespace.id, target, position
                    )
            if before == (await self.a.log_position(), await self.b.log_position()):
                return

    async def arrived(self, source: str, target: str) -> None:
        """Everything in `source`'s log is applied in `target`; the acknowledgement may be lost."""
        position = await self.regions[source].log_position()

        async def there() -> bool:
            return await self.regions[target].applied(source) >= position

        await until_async(there)

    async def same(self, workflow_id: str) -> None:
        """Both have the same runs, the same current history to the last field, the same set of branches."""
        await self.converge()
        assert await self.a.current_run_id(workflow_id) == await self.b.current_run_id(workflow_id)
        assert set(await self.a.run_ids(workflow_id)) == set(await self.b.run_ids(workflow_id))
        for run_id in await self.a.run_ids(workflow_id):
            both = []
            for region in (self.a, self.b):
                branches, current = await region.branches(workflow_id, run_id)
                both.append(
                    (
                        sorted(branches),
                        branches[current],
                        [e.SerializeToString() for e in await region.events(workflow_id, run_id)],
                    )
                )
            assert both[0] == both[1]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that nothing announces."""

    async def check() -> bool:
        return condition()

    await until_async(check)


async def until_async(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.001)


def text(value: str) -> Payloads:
    payload = Payload(metadata={"encoding": b"json/plain"}, data=f'"{value}"'.encode())
    return Payloads(payloads=[payload])
