"""RegionAdmin over a region with a real store and registry."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
from google.protobuf.message import Message
from temporalio.api.history.v1 import History
from temporalio.api.namespace.v1 import UpdateNamespaceInfo
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest, UpdateNamespaceRequest

from mockcloud.api.admin.v1 import region_admin_pb2 as admin
from mockcloud.api.state.v1.state_pb2 import NamespaceRecord, RunRecord, VersionHistories
from mockcloud.core import times
from mockcloud.core.cluster import Clusters
from mockcloud.core.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NamespaceAlreadyExists,
    NamespaceNotFound,
    NotFound,
)
from mockcloud.core.limits import Limits
from mockcloud.core.outcome import Fork
from mockcloud.core.ports import Ports
from mockcloud.core.version_history import Item, branch
from mockcloud.engine.region import Region
from mockcloud.frontend.admin import SERVICE, RegionAdmin
from mockcloud.frontend.calls import CallMeter
from mockcloud.replication.lag import LagReport
from mockcloud.rpc.memory_transport import MemoryPeers, MemoryTransport
from mockcloud.rpc.transport import Handlers
from mockcloud.store import dead_letters, log, namespaces, parked
from mockcloud.store.database import Store
from mockcloud.store.dead_letters import DeadLetter
from mockcloud.store.parked import ParkedTask
from mockcloud.store.runs import write_run
from tests.store import builders

EAST, WEST = "aws-us-east-1", "aws-us-west-2"


R = TypeVar("R", bound=Message)


@dataclass
class FakeReplication:
    """Acknowledges nothing until it is told to."""

    acked: asyncio.Event = field(default_factory=asyncio.Event)
    waited_for: list[tuple[str, int]] = field(default_factory=list)

    async def lag(self, namespace_id: str) -> list[LagReport]:
        return [LagReport(namespace_id, WEST, 7, 4, 50, 10, 20, 30, False, True, "")]

    async def replay(self, letter: DeadLetter) -> bool:
        return letter.reason == "passing"

    async def wait_acked(self, namespace_id: str, peer: str, position: int) -> None:
        self.waited_for.append((peer, position))
        await self.acked.wait()


@dataclass
class Place:
    region: Region
    replication: FakeReplication
    transport: MemoryTransport

    async def call(self, method: str, request: Message, answer: type[R]) -> R:
        raw = await self.transport.unary(EAST, f"/{SERVICE.full_name}/{method}", request.SerializeToString())
        return answer.FromString(raw)


@asynccontextmanager
async def place(directory: Path) -> AsyncIterator[Place]:
    """A region with the namespace `orders`, served in memory."""
    store = await Store.open(directory / "r.sqlite", durable=False)
    region = await Region.open(EAST, Clusters.of([EAST, WEST]), store, Ports(), Limits())
    request = RegisterNamespaceRequest(namespace="orders")
    request.workflow_execution_retention_period.CopyFrom(times.duration(times.DAY))
    await region.namespaces.register(request)
    replication, handlers, peers = FakeReplication(), Handlers(), MemoryPeers()
    RegionAdmin(region, replication, CallMeter()).register(handlers)
    peers.serve(EAST, handlers)
    try:
        yield Place(region, replication, peers.transport())
    finally:
        await region.close()


async def test_status_and_lag(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        namespace = here.region.namespaces.by_name("orders")
        run = builders.new_run(1)
        run.namespace_id = namespace.id
        await here.region.store.transact(lambda connection: write_run(connection, run))
        await here.region.store.transact(lambda connection: parked.park(connection, _parked(namespace.id)))

        request = admin.NamespaceStatusRequest(namespace="orders")
        status = await here.call("NamespaceStatus", request, admin.NamespaceStatusResponse)
        lag = await here.call("Lag", admin.LagRequest(), admin.LagResponse)

        assert (status.region, status.record) == (EAST, namespace.record)
        assert (status.open_workflows, status.parked, status.dead_letters) == (1, 1, 0)
        assert [(task.run_id, task.reason) for task in status.parked_tasks] == [("run-9", "not built")]
        assert status.last_position == 1  # the namespace's own record
        peer = status.peers[0]
        assert (peer.peer, peer.tasks, peer.age, peer.p99) == (WEST, 3, 50, 30)
        assert [(entry.namespace, entry.region) for entry in lag.namespaces] == [("orders", EAST)]


async def test_a_namespace_is_made_of_a_record_once(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        record = NamespaceRecord(
            id="made", name="billing", active_cluster=EAST, clusters=[EAST, WEST], failover_version=1
        )
        create, answer = (
            admin.CreateNamespaceRecordRequest(record=record),
            admin.CreateNamespaceRecordResponse,
        )
        made = await here.call("CreateNamespace", create, answer)
        again = await here.call("CreateNamespace", create, answer)

        assert made.record == again.record == record
        stored = await here.region.store.read(lambda connection: log.last_position(connection, "made"))
        assert stored == 1, "its peers hear of it, once"
        record.id = "another"
        with pytest.raises(NamespaceAlreadyExists):
            await here.call("CreateNamespace", admin.CreateNamespaceRecordRequest(record=record), answer)
        with pytest.raises(InvalidArgument):
            await here.call("CreateNamespace", admin.CreateNamespaceRecordRequest(), answer)


async def test_configuration_is_changed_and_replicates(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        namespace = here.region.namespaces.by_name("orders")
        request = admin.ConfigureNamespaceRequest(
            namespace_id=namespace.id,
            retention=5 * times.DAY,
            add_search_attributes={"Customer": 2},
            disable_passive_poller_forwarding=True,
        )
        answer = await here.call("ConfigureNamespace", request, admin.ConfigureNamespaceResponse)
        await here.call("ConfigureNamespace", request, admin.ConfigureNamespaceResponse)

        assert answer.record == namespace.record
        assert (namespace.record.config_version, namespace.record.retention) == (1, 5 * times.DAY)
        assert namespace.record.disable_passive_poller_forwarding
        position = await here.region.store.read(
            lambda connection: log.last_position(connection, namespace.id)
        )
        assert position == 2, "the second call changed nothing"
        unknown = admin.ConfigureNamespaceRequest(namespace_id="nobody")
        with pytest.raises(NamespaceNotFound):
            await here.call("ConfigureNamespace", unknown, admin.ConfigureNamespaceResponse)


async def test_a_namespace_is_forgotten_only_where_it_is_not_active(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        namespace = here.region.namespaces.by_name("orders")
        request = admin.ForgetNamespaceRequest(namespace_id=namespace.id)
        with pytest.raises(FailedPrecondition):
            await here.call("ForgetNamespace", request, admin.ForgetNamespaceResponse)
        passive = NamespaceRecord()
        passive.CopyFrom(namespace.record)
        passive.active_cluster, passive.failover_version = WEST, 2
        await here.region.namespaces.receive(passive)
        run = builders.new_run(1)
        run.namespace_id = namespace.id
        await here.region.store.transact(lambda connection: write_run(connection, run))
        here.region.removal.start()
        await here.call("ForgetNamespace", request, admin.ForgetNamespaceResponse)
        await here.call("ForgetNamespace", request, admin.ForgetNamespaceResponse)

        assert here.region.namespaces.find("orders") is None
        assert here.region.namespaces.find_id(namespace.id) is None
        assert await here.region.store.read(namespaces.all_namespaces) == []


async def test_await_replicated_waits_for_what_was_written_so_far(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        request = admin.AwaitReplicatedRequest(namespace="orders", peer=WEST)
        waiting = asyncio.create_task(here.call("AwaitReplicated", request, admin.AwaitReplicatedResponse))
        late = admin.AwaitReplicatedRequest(namespace="orders", peer=WEST, timeout=times.MILLISECOND)
        with pytest.raises(DeadlineExceeded):
            await here.call("AwaitReplicated", late, admin.AwaitReplicatedResponse)
        assert not waiting.done()

        here.replication.acked.set()

        assert (await waiting).position == 1
        assert here.replication.waited_for[0] == (WEST, 1)


async def test_a_watch_tells_all_records_and_then_each_change(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        stream = await here.transport.stream(EAST, f"/{SERVICE.full_name}/WatchNamespaces")

        async def told() -> admin.NamespaceChange:
            async with asyncio.timeout(10):
                message = await stream.receive()
            assert message is not None
            return admin.NamespaceChange.FromString(message)

        assert (await told()).record.name == "orders"
        assert (await told()).complete
        update = UpdateNamespaceRequest(
            namespace="orders", update_info=UpdateNamespaceInfo(description="news")
        )
        await here.region.namespaces.update(here.region.namespaces.by_name("orders"), update)
        assert (await told()).record.description == "news"
        from_west = NamespaceRecord(id="b", name="billing", active_cluster=WEST, clusters=[EAST, WEST])
        await here.call(
            "AdoptNamespaceRecord",
            admin.AdoptNamespaceRecordRequest(record=from_west),
            admin.AdoptNamespaceRecordResponse,
        )
        assert (await told()).record == from_west

        listeners = len(here.region.namespaces.listeners)
        await stream.close()
        assert await stream.receive() is None
        assert len(here.region.namespaces.listeners) == listeners - 1


async def test_the_history_tree_shows_losing_branches_and_parked_runs(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        namespace = here.region.namespaces.by_name("orders")
        winner, loser = [Item(2, 1), Item(4, 2)], [Item(3, 1)]
        histories = VersionHistories(current_index=1, histories=[branch(100, loser), branch(101, winner)])
        run = builders.new_run(1)
        run.namespace_id = namespace.id
        run.record = RunRecord(version_histories=histories).SerializeToString()
        run.forks = [Fork(100), Fork(101, 100, 2)]
        run.batches = [
            builders.batch(100, 1, 2),
            builders.batch(100, 3, 3),
            builders.batch(101, 3, 4, version=2),
        ]
        await here.region.store.transact(lambda connection: write_run(connection, run))
        await here.region.store.transact(lambda connection: parked.park(connection, _parked(namespace.id)))

        request = admin.HistoryTreeRequest(namespace="orders", workflow_id="order-1")
        tree = await here.call("HistoryTree", request, admin.HistoryTreeResponse)

        shown, unknown = tree.runs
        assert (shown.run_id, shown.current, shown.zombie) == ("run-1", True, False)
        assert [view.current for view in shown.branches] == [True, False]
        assert [_events(view) for view in shown.branches] == [
            [(1, 1), (2, 1), (3, 2), (4, 2)],
            [(1, 1), (2, 1), (3, 1)],
        ]
        assert [view.last_shared_event_id for view in shown.branches] == [0, 2]
        assert (unknown.run_id, unknown.parked_reason) == ("run-9", "not built")


async def test_dead_letters_and_parked_tasks_come_in_pages(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        namespace = here.region.namespaces.by_name("orders")

        def fill(connection: sqlite3.Connection) -> None:
            parked.park(connection, _parked(namespace.id))
            for position in (1, 2):
                letter = DeadLetter(0, namespace.id, "order-1", "run-1", WEST, position, 5, 3, "bad", b"task")
                dead_letters.put_dead_letter(connection, letter)

        await here.region.store.transact(fill)
        request = admin.ListDeadLettersRequest(namespace="orders", limit=1)
        first = await here.call("ListDeadLetters", request, admin.ListDeadLettersResponse)
        request.after_id, request.limit = first.next_after_id, 0
        rest = await here.call("ListDeadLetters", request, admin.ListDeadLettersResponse)
        shown = await here.call(
            "ShowDeadLetter",
            admin.ShowDeadLetterRequest(id=first.letters[0].id),
            admin.ShowDeadLetterResponse,
        )
        waiting = await here.call(
            "ListParked", admin.ListParkedRequest(namespace="orders"), admin.ListParkedResponse
        )

        assert [letter.position for letter in (*first.letters, *rest.letters)] == [1, 2]
        assert rest.next_after_id == 0
        assert (first.letters[0].task, shown.letter.task) == (b"", b"task")
        assert [(task.run_id, task.reason) for task in waiting.tasks] == [("run-9", "not built")]


async def test_bad_requests(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        unknown = admin.NamespaceStatusRequest(namespace="nobody")
        with pytest.raises(NamespaceNotFound):
            await here.call("NamespaceStatus", unknown, admin.NamespaceStatusResponse)
        with pytest.raises(InvalidArgument):
            await here.call("GetNamespace", admin.GetNamespaceRequest(), admin.GetNamespaceResponse)
        with pytest.raises(NotFound):
            await here.call("ShowDeadLetter", admin.ShowDeadLetterRequest(id=7), admin.ShowDeadLetterResponse)
        with pytest.raises(InvalidArgument, match="does not parse"):
            await here.transport.unary(EAST, f"/{SERVICE.full_name}/Lag", b"\xff")


def _parked(namespace_id: str) -> ParkedTask:
    return ParkedTask(0, namespace_id, "order-1", "run-9", WEST, 3, 5, "not built", b"task")


def _events(view: admin.BranchView) -> list[tuple[int, int]]:
    return [(event.event_id, event.version) for event in History.FromString(view.events).events]
