"""Scenarios 50, 51 and 52: parts end in the middle of whatever they do, and nothing that was answered is lost."""

from __future__ import annotations

import asyncio
import itertools
import random
from pathlib import Path

import pytest
from temporalio.api.cloud.cloudservice.v1 import (
    FailoverNamespaceRegionRequest,
    GetAsyncOperationRequest,
    GetNamespaceRequest,
    GetNamespacesRequest,
)
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import CloudOperationsClient
from temporalio.service import CloudService, RPCError, RPCStatusCode

from bench import crash
from mockcloud.cloud.facade import MockCloud
from mockcloud.cloud.views import Lag
from tests.replication.golden import Events
from tests.replication.regions import Pair
from tests.scenarios.one_life import Life, When
from tests.scenarios.sides import EAST, NAMESPACE, WEST, agreed, complete_workflow, sides, signals_of
from tests.scenarios.workflows import QUEUE, Inbox, worker

CLIENTS = 8
SIGNALS = 30


class TestScenario50:
    """kill -9 of a region under load, and its restart: no answered write is lost, replication goes on, lag ends."""

    async def test_50_the_process_is_killed_twice_in_a_row(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Both regions at once, without a word; see `bench.crash` for what is asked of them afterwards."""
        seed = random.randrange(1 << 32)
        async with asyncio.timeout(60):
            lost = await crash.run(tmp_path, rounds=2, seed=seed, most_calls=400)
        assert lost == [], f"seed {seed}"
        lines = capsys.readouterr().out.splitlines()
        assert [line.split(":")[0] for line in lines[:2]] == ["round 1", "round 2"]
        assert [line.split()[0] for line in lines[2:]] == [EAST, WEST]

    @pytest.mark.parametrize("victim", [EAST, WEST], ids=["active", "passive"])
    async def test_50_a_region_is_killed_and_started(self, mockcloud: MockCloud, victim: str) -> None:
        """Clients that try again, as every SDK does, see no error; what they were told is there, once."""
        namespace = mockcloud.namespace(NAMESPACE)
        client = await namespace.client()
        answered = 0
        some = asyncio.Event()
        names = [[f"s{lane}-{number}" for number in range(SIGNALS)] for lane in range(CLIENTS)]

        async def lane(index: int) -> None:
            nonlocal answered
            handle = await client.start_workflow("never", id=f"w{index}", task_queue="nobody")
            for name in names[index]:
                await handle.signal(name)
                answered += 1
                if answered == CLIENTS * SIGNALS // 4:
                    some.set()

        lanes = [asyncio.create_task(lane(index)) for index in range(CLIENTS)]
        await some.wait()
        await mockcloud.region(victim).kill()
        assert [region.name for region in (await mockcloud.status()).regions if not region.up] == [victim]
        await mockcloud.region(victim).start()
        await asyncio.gather(*lanes)

        runs = await agreed(mockcloud, *(f"w{index}" for index in range(CLIENTS)))
        for index in range(CLIENTS):
            assert signals_of(runs[f"w{index}"]) == names[index]
        assert [outstanding(lag) for lag in await namespace.lag()] == [(EAST, WEST, 0), (WEST, EAST, 0)]

    async def test_50_real_workers_go_on_after_their_region_was_killed(self, mockcloud: MockCloud) -> None:
        """Timers, sticky queues and pollers of the first life are gone; workflows in it come to their end."""
        namespace = mockcloud.namespace(NAMESPACE)
        client = await namespace.client()
        ids = [f"i{number}" for number in range(4)]
        async with worker(client):
            handles = [
                await client.start_workflow(Inbox.run, "you", id=workflow_id, task_queue=QUEUE)
                for workflow_id in ids
            ]
            for handle in handles:
                await handle.signal(Inbox.deliver, "before")
                assert "before" in await handle.query(Inbox.letters)
            await mockcloud.region(EAST).kill()
            await mockcloud.region(EAST).start()
            for handle in handles:
                await handle.signal(Inbox.deliver, "after")
                await handle.signal(Inbox.close)
            for handle in handles:
                letters = await handle.result()
                assert [letter for letter in letters if letter != "hello you"] == ["before", "after"]
        for run in (await agreed(mockcloud, *ids)).values():
            assert run.status == "COMPLETED"


def outstanding(lag: Lag) -> tuple[str, str, int]:
    return lag.source, lag.target, lag.tasks


class TestScenario51:
    """Killed at every commit point of one workflow's life, just before it and just after it: the same history."""

    @pytest.mark.parametrize("failover", [False, True], ids=["in_one_region", "over_a_failover"])
    @pytest.mark.parametrize("victim", ["A", "B"], ids=["active", "passive"])
    async def test_51_the_final_history_is_the_same(
        self, tmp_path: Path, victim: str, *, failover: bool
    ) -> None:
        whole, commits = await one_life(tmp_path / "whole", victim, 0, "before", failover=failover)
        assert len(whole) == 14
        assert [version for _, _, version, _ in whole[-4:]] == ["2" if failover else "1"] * 4
        for when in ("before", "after"):
            for at in itertools.count(1):
                directory = tmp_path / f"{when}-{at}"
                history, died_at = await one_life(directory, victim, at, when, failover=failover)
                assert history == whole, f"killed {when} commit {at}"
                if died_at < at:
                    break  # it came to its end before: there are no more commits
            # What the passive region applies at once may share a commit.
            assert at > (commits if victim == "A" and not failover else commits // 2)


async def one_life(
    directory: Path, victim: str, at: int, when: When, *, failover: bool
) -> tuple[Events, int]:
    """The final history of a life with a kill at commit `at` of `victim`, and how many commits its process made."""
    directory.mkdir()  # noqa: ASYNC240 nobody else uses this loop
    async with Pair(directory) as pair:
        await pair.register()
        life = Life(pair, victim, at, when)
        history = await life.live(failover=failover)
        assert (await pair.a.loaded("w1")).open is False
        return history, life.commits


class TestScenario52:
    """Both regions are started again: the control plane, the namespaces and the operations are as before."""

    async def test_52_regions_and_control_plane_of_a_running_cloud(self, mockcloud: MockCloud) -> None:
        namespace = mockcloud.namespace(NAMESPACE)
        other = await mockcloud.create_namespace("other", regions=[WEST, EAST])
        east, west = await sides(mockcloud)
        await east.start("w1")
        operation = await namespace.failover(WEST)
        await west.signal("w1", "after")
        await namespace.replicated()
        before = await seen(mockcloud, operation.id)
        endpoints = namespace.endpoint, other.endpoint

        for region in (EAST, WEST):
            await mockcloud.region(region).kill()
        await mockcloud.control.kill()
        await mockcloud.control.start()
        # It knows what it knew while there is no region to ask.
        assert await seen(mockcloud, operation.id, regions=()) == before[:2]
        for region in (EAST, WEST):
            await mockcloud.region(region).start()

        assert await seen(mockcloud, operation.id) == before
        assert (namespace.endpoint, other.endpoint) == endpoints
        await go_on(mockcloud)

    async def test_52_a_cloud_over_its_directory(self, tmp_path: Path) -> None:
        options = {"namespaces": [NAMESPACE], "data_dir": tmp_path / "data"}
        async with MockCloud(**options) as cloud:  # type: ignore[arg-type]
            namespace = cloud.namespace(NAMESPACE)
            east, west = await sides(cloud)
            await east.start("w1")
            operation = await namespace.failover(WEST)
            await west.signal("w1", "after")
            await namespace.replicated()
            before = await seen(cloud, operation.id)
            endpoint = namespace.endpoint

        async with MockCloud(**options) as cloud:  # type: ignore[arg-type]
            assert await seen(cloud, operation.id) == before
            assert cloud.namespace(NAMESPACE).endpoint == endpoint, "workers need not be told anything new"
            await go_on(cloud)

    async def test_52_an_operation_in_flight_goes_on(self, tmp_path: Path) -> None:
        """Everything ends in the middle of a failover that cannot drain, and starts again over a link that is whole."""
        options = {"namespaces": [NAMESPACE], "data_dir": tmp_path / "data"}
        async with MockCloud(**options) as cloud:  # type: ignore[arg-type]
            east, _ = await sides(cloud)
            await east.start("w1")
            await cloud.namespace(NAMESPACE).replicated()
            cloud.link(EAST, WEST).partition()
            await east.signal("w1", "unreplicated")
            service = await cloud_ops(cloud)
            request = FailoverNamespaceRegionRequest(
                namespace=NAMESPACE, region=WEST, async_operation_id="in-flight"
            )
            accepted = (await service.failover_namespace_region(request)).async_operation
            assert not accepted.HasField("finished_time")

        async with MockCloud(**options) as cloud:  # type: ignore[arg-type]
            service = await cloud_ops(cloud)
            asked = GetAsyncOperationRequest(async_operation_id="in-flight")
            async with asyncio.timeout(20):
                operation = accepted
                while not operation.HasField("finished_time"):
                    operation = (await service.get_async_operation(asked)).async_operation
            assert operation.state == operation.STATE_FULFILLED
            (status,) = (await cloud.status()).namespaces
            assert status.active_region == WEST
            assert not any(region.handover for region in status.regions)
            run = (await agreed(cloud, "w1"))["w1"]
            assert signals_of(run) == ["unreplicated"]


async def cloud_ops(cloud: MockCloud) -> CloudService:
    """The Cloud Ops API as a client of it sees it."""
    client = await CloudOperationsClient.connect(target_host=cloud.cloud_ops, tls=False)
    return client.cloud_service


async def seen(
    cloud: MockCloud, operation_id: str, regions: tuple[str, ...] = (EAST, WEST)
) -> tuple[object, ...]:
    """What the control plane says of the operation and the namespaces, and what each region says of its own."""
    service = await cloud_ops(cloud)
    asked = GetAsyncOperationRequest(async_operation_id=operation_id)
    operation = (await service.get_async_operation(asked)).async_operation
    assert operation.state == operation.STATE_FULFILLED
    listed = (await service.get_namespaces(GetNamespacesRequest())).namespaces
    single = (await service.get_namespace(GetNamespaceRequest(namespace=NAMESPACE))).namespace
    assert single in listed
    found: list[object] = [operation, sorted(map(str, listed))]
    for region in regions:
        client = await cloud.namespace(NAMESPACE).client(region)
        described = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=NAMESPACE)
        )
        assert described.failover_version == 2
        found.append(described)
    return tuple(found)


async def go_on(cloud: MockCloud) -> None:
    """The open workflow is finished where it is active, and the namespace fails back."""
    east, west = await sides(cloud)
    with pytest.raises(RPCError) as caught:
        await west.start("w1")
    assert caught.value.status is RPCStatusCode.ALREADY_EXISTS
    await west.work(complete_workflow())
    run = (await agreed(cloud, "w1"))["w1"]
    assert (run.status, signals_of(run)) == ("COMPLETED", ["after"])
    operation = await cloud.namespace(NAMESPACE).failover(EAST)
    assert (operation.state, operation.mode) == ("FULFILLED", "graceful")
    await east.start("w2")
    (again,) = (await agreed(cloud, "w2")).values()
    assert again.events[0].version == 11
