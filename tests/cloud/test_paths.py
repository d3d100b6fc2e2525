"""Clients' ways into a cloud: DNS that lags behind a failover, and paths that are cut or slowed by themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceResponse,
    RegisterNamespaceRequest,
    RegisterNamespaceResponse,
    StartWorkflowExecutionResponse,
)
from temporalio.client import Client as Temporal
from temporalio.worker import Worker

from mockcloud import MockCloud
from mockcloud.cloud.settings import CloudSettings
from mockcloud.core.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from mockcloud.endpoints.connection import Client
from tests.cloud.test_endpoints import EAST, WEST, Caller, describe_namespace, dial, shown, start
from tests.scenarios.workflows import QUEUE, Inbox, greet

CUT = grpc.StatusCode.UNAVAILABLE


def arrivals(cloud: MockCloud) -> dict[Client, str]:
    """The region to which each connection of the namespace endpoint goes."""

    def look() -> dict[Client, str]:
        regions = {cloud.cloud.node(region).address[1]: region for region in (EAST, WEST)}
        found = {}
        for client in cloud.cloud.endpoints._endpoints["default"]._connections:
            if client.other is not None and client.other.transport is not None:
                port = client.other.transport.get_extra_info("peername")[1]
                found[client] = regions[port]
        return found

    return cloud.call(look)


@asynccontextmanager
async def newly_connected(cloud: MockCloud) -> AsyncIterator[str]:
    """A new client has asked something; the region to which its connection goes."""
    before = arrivals(cloud)
    async with dial(cloud.namespace("default").endpoint) as caller:
        await caller.ask(describe_namespace(), DescribeNamespaceResponse)
        (region,) = [region for client, region in arrivals(cloud).items() if client not in before]
        yield region


async def refused(caller: Caller) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await caller.ask(describe_namespace(), DescribeNamespaceResponse, timeout=5)
    return caught.value.code()


class TestDns:
    async def test_at_once_by_default_and_only_for_new_connections(self, mockcloud: MockCloud) -> None:
        async with dial(mockcloud.namespace("default").endpoint) as old:
            await old.ask(start("before"), StartWorkflowExecutionResponse)
            await mockcloud.namespace("default").failover(WEST)

            async with newly_connected(mockcloud) as region:
                assert region == WEST
            await old.ask(start("after"), StartWorkflowExecutionResponse)
            assert EAST in arrivals(mockcloud).values(), "it stays, and its calls are forwarded"
            runs = await mockcloud.namespace("default").history("after")
            assert runs[WEST][0].events[0].version == 2

    @pytest.mark.serial
    async def test_with_lag_new_connections_go_to_the_old_region_for_as_long(self) -> None:
        async with MockCloud(namespaces=["default"], settings=CloudSettings(dns_ttl=0.5)) as cloud:
            begin = time.monotonic()
            async with newly_connected(cloud) as region:
                assert region == EAST
            await cloud.namespace("default").failover(WEST)

            regions = []
            async with asyncio.timeout(10):
                while WEST not in regions:
                    async with newly_connected(cloud) as region:
                        regions.append(region)
            assert regions.index(WEST) > 0, "there was none at the old region"
            assert time.monotonic() - begin >= 0.5
            assert set(regions[:-1]) == {EAST}

    async def test_with_lag_no_call_fails_that_arrives_at_the_old_region(self) -> None:
        async with MockCloud(namespaces=["default"], settings=CloudSettings(dns_ttl=60.0)) as cloud:
            async with newly_connected(cloud) as first:
                assert first == EAST
            for number, region in enumerate([WEST, EAST, WEST]):
                await cloud.namespace("default").failover(region)
                async with dial(cloud.namespace("default").endpoint) as caller:
                    await caller.ask(start(f"w{number}"), StartWorkflowExecutionResponse)
                    assert set(arrivals(cloud).values()) == {EAST}

    async def test_a_connection_at_the_old_region_ends_by_its_age(self) -> None:
        settings = CloudSettings(connection_age=0.2, connection_grace=10.0)
        async with MockCloud(namespaces=["default"], settings=settings) as cloud:
            client = await cloud.namespace("default").client()
            handle = await client.start_workflow("any", id="w", task_queue="q")
            await cloud.namespace("default").failover(WEST)

            async with asyncio.timeout(10):
                while set(arrivals(cloud).values()) != {WEST}:
                    assert (await handle.describe()).id == "w"

    async def test_no_call_fails_when_the_region_changes_in_an_idle_cloud(self) -> None:
        """Nobody retries here. Connections old and new, at whichever region they arrive."""
        async with (
            MockCloud(namespaces=["default"], settings=CloudSettings(dns_ttl=0.05)) as cloud,
            dial(cloud.namespace("default").endpoint) as old,
        ):
            done = asyncio.Event()
            count = 0

            async def ask() -> None:
                nonlocal count
                while not done.is_set():
                    await old.ask(start(f"old-{count}"), StartWorkflowExecutionResponse)
                    async with dial(cloud.namespace("default").endpoint) as new:
                        await new.ask(start(f"new-{count}"), StartWorkflowExecutionResponse)
                    count += 1

            asking = asyncio.create_task(ask())
            for region in (WEST, EAST, WEST, EAST, WEST):
                operation = await cloud.namespace("default").failover(region)
                assert (operation.state, operation.mode) == ("FULFILLED", "graceful")
            done.set()
            await asking
            assert count > 5


class TestFaults:
    async def test_who_loses_the_way_to_a_region_loses_nothing_else(self, mockcloud: MockCloud) -> None:
        namespace, west = mockcloud.namespace("default"), mockcloud.region(WEST)
        async with dial(west.address) as cut, dial(namespace.endpoint) as free:
            await cut.ask(describe_namespace(), DescribeNamespaceResponse)
            west.endpoint.partition()

            assert await refused(cut) is CUT
            async with dial(west.address) as new:
                assert await refused(new) is CUT
            await free.ask(start("w"), StartWorkflowExecutionResponse)
            await namespace.replicated()
            assert len((await namespace.history("w"))[WEST]) == 1

            west.endpoint.heal()
            async with dial(west.address) as new:
                await new.ask(describe_namespace(), DescribeNamespaceResponse)

    async def test_a_namespace_endpoint_is_cut_by_itself(self, mockcloud: MockCloud) -> None:
        orders = await mockcloud.create_namespace("orders")
        default = mockcloud.namespace("default")
        async with dial(orders.endpoint) as cut, dial(default.endpoint) as other:
            fault = orders.endpoint.partition(name="no way")
            assert await refused(cut) is CUT
            await other.ask(describe_namespace(), DescribeNamespaceResponse)
            async with dial(mockcloud.region(EAST).address) as regional:
                await regional.ask(start("w", "orders"), StartWorkflowExecutionResponse)
            assert [(each.name, each.source, each.target) for each in mockcloud.faults()] == [
                ("no way", "clients", "orders")
            ]
            fault.remove()
            async with dial(orders.endpoint) as new:
                await new.ask(start("w2", "orders"), StartWorkflowExecutionResponse)

    async def test_a_worker_that_loses_its_own_region_goes_on_when_the_way_is_back(
        self, mockcloud: MockCloud
    ) -> None:
        namespace = mockcloud.namespace("default")
        outside = await namespace.client()
        client = await namespace.client(region=EAST)
        async with Worker(client, task_queue=QUEUE, workflows=[Inbox], activities=[greet]):
            assert await _greeted(outside, "w1") == ["hello w1"]
            mockcloud.region(EAST).endpoint.partition()
            waiting = asyncio.create_task(_greeted(outside, "w2"))
            _, pending = await asyncio.wait([waiting], timeout=0.3)
            assert pending, "there is nobody else"

            mockcloud.region(EAST).endpoint.heal()

            assert await asyncio.wait_for(waiting, 20) == ["hello w2"]

    async def test_a_worker_without_a_way_to_the_active_region_works_through_its_own(
        self, mockcloud: MockCloud
    ) -> None:
        namespace = mockcloud.namespace("default")
        client = await namespace.client(region=EAST)
        async with Worker(client, task_queue=QUEUE, workflows=[Inbox], activities=[greet]):
            mockcloud.region(WEST).endpoint.partition()
            await namespace.failover(WEST)
            async with dial(mockcloud.region(WEST).address) as cut:
                assert await refused(cut) is CUT

            assert await _greeted(client, "w") == ["hello w"]

        versions = {event.version for event in (await namespace.history("w"))[WEST][0].events}
        assert versions == {2}, "the active region wrote it, and forwarded calls brought it there"

    @pytest.mark.serial
    async def test_a_slow_way_is_slow_there_and_back(self, mockcloud: MockCloud) -> None:
        namespace = mockcloud.namespace("default")
        async with dial(namespace.endpoint) as slow, dial(mockcloud.region(EAST).address) as quick:
            await slow.ask(describe_namespace(), DescribeNamespaceResponse)
            await quick.ask(describe_namespace(), DescribeNamespaceResponse)
            namespace.endpoint.delay(0.15)
            seconds = []
            for caller in (slow, quick):
                begin = time.monotonic()
                await caller.ask(describe_namespace(), DescribeNamespaceResponse)
                seconds.append(time.monotonic() - begin)
            assert 0.3 <= seconds[0] < 0.6
            assert seconds[1] < 0.15

    async def test_a_paused_way_keeps_the_call_until_it_is_resumed(self, mockcloud: MockCloud) -> None:
        endpoint = mockcloud.region(EAST).endpoint
        async with dial(endpoint) as caller:
            await caller.ask(describe_namespace(), DescribeNamespaceResponse)
            endpoint.pause()
            call = asyncio.create_task(caller.ask(start("w"), StartWorkflowExecutionResponse))
            _, pending = await asyncio.wait([call], timeout=0.2)
            assert pending
            endpoint.resume()
            await call

    def test_an_endpoint_is_its_address(self) -> None:
        with MockCloud(namespaces=["default"]) as cloud:
            endpoint = cloud.region(EAST).endpoint
            assert endpoint == endpoint.address == cloud.region(EAST).address
            assert type(endpoint.address) is str
            fault = cloud.namespace("default").endpoint.delay(0.1, one_way=True)
            assert fault.name == "delay-1"
            with pytest.raises(AlreadyExists):
                endpoint.partition(name="delay-1")
            cloud.reset_faults()
            assert cloud.faults() == []

    @pytest.mark.parametrize(
        ("fault", "message"),
        [
            (("drop", "clients", EAST), "a client's connection is a stream of bytes"),
            (("partition", "clients", "nowhere"), "region or namespace 'nowhere' does not exist"),
            (("partition", "clients", "control"), "nothing passes between clients and control"),
            (("partition", "control", "default"), "region 'default' does not exist"),
            (("earthquake", "clients", EAST), "unknown fault 'earthquake'"),
            (("delay", "clients", EAST), "a delay has seconds"),
        ],
    )
    def test_what_makes_no_sense(self, fault: tuple[str, str, str], message: str) -> None:
        with MockCloud(namespaces=["default"]) as cloud:
            inner = cloud.asynchronous
            with pytest.raises(InvalidArgument, match=message):
                inner.call(lambda: inner.cloud.add_fault(*fault))
            with pytest.raises(InvalidArgument, match="cut one way is cut"):
                inner.call(lambda: inner.cloud.add_fault("partition", "clients", EAST, one_way=True))
            assert cloud.faults() == []


async def test_a_control_plane_that_was_cut_off_a_region_learns_what_it_missed(mockcloud: MockCloud) -> None:
    """What happens there meanwhile passes unseen, and no failover can begin; after it, all is known."""
    link = mockcloud.link("control", WEST)
    link.partition()
    mockcloud.link(EAST, WEST).partition()
    with pytest.raises(FailedPrecondition, match="link control → aws-us-west-2 is cut"):
        await mockcloud.namespace("default").failover(WEST)
    day = Duration(seconds=86_400)
    request = RegisterNamespaceRequest(namespace="orders", workflow_execution_retention_period=day)
    async with dial(mockcloud.region(WEST).address) as west, dial(mockcloud.cloud_ops) as ops:
        await west.ask(request, RegisterNamespaceResponse)
        assert "orders" not in [namespace.name for namespace in (await mockcloud.status()).namespaces]

        link.heal()

        assert (await shown(ops, "orders")).active_region == WEST


async def _greeted(client: Temporal, workflow_id: str) -> list[str]:
    handle = await client.start_workflow(Inbox.run, workflow_id, id=workflow_id, task_queue=QUEUE)
    await handle.signal(Inbox.close)
    return await handle.result()


async def test_clients_that_say_nothing_or_half_of_it_are_in_nobodys_way() -> None:
    async with MockCloud(namespaces=["default"], settings=CloudSettings(endpoint_connections=100)) as cloud:
        endpoint = cloud.namespace("default").endpoint
        host, _, port = endpoint.rpartition(":")
        beginnings = (b"", b"PRI * HT", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\n", bytes(64))
        writers = []
        for number in range(90):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(beginnings[number % len(beginnings)])
            if number % 3 == 0:
                writer.write_eof()
            writers.append(writer)

        async with dial(endpoint) as caller:
            for number in range(20):
                await caller.ask(start(f"w{number}"), StartWorkflowExecutionResponse, timeout=5)
        for writer in writers:
            writer.transport.abort()


@pytest.mark.parametrize("lag", [0.0, 600.0], ids=["at once", "as DNS"])
async def test_who_was_connected_through_a_region_that_is_deleted_connects_anew(lag: float) -> None:
    async with MockCloud(namespaces=["default"], settings=CloudSettings(dns_ttl=lag)) as cloud:
        namespace = cloud.namespace("default")
        client = await Temporal.connect(namespace.endpoint)
        async with (
            Worker(client, task_queue=QUEUE, workflows=[Inbox], activities=[greet]),
            dial(cloud.region(EAST).address) as elsewhere,
        ):
            handle = await client.start_workflow(Inbox.run, "you", id="w", task_queue=QUEUE)
            await namespace.failover(WEST)
            await handle.signal(Inbox.deliver, "before")
            assert set(arrivals(cloud).values()) == {EAST}

            deleting = asyncio.create_task(namespace.delete_region(EAST))
            while not deleting.done():  # each call goes over the network
                assert (await handle.describe()).id == "w"
            assert (await deleting).state == "FULFILLED"

            await handle.signal(Inbox.close)
            assert await handle.result() == ["hello you", "before"]
            assert set(arrivals(cloud).values()) == {WEST}
            async with newly_connected(cloud) as region:
                assert region == WEST
            assert await refused(elsewhere) is grpc.StatusCode.NOT_FOUND, "which asks the region itself"
