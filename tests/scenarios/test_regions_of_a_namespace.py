"""A namespace gets a region and loses one over the Cloud Ops API, with work in it all the time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Any

import grpc
import pytest
from temporalio import workflow
from temporalio.api.cloud.cloudservice.v1 import (
    AddNamespaceRegionRequest,
    CreateNamespaceRequest,
    DeleteNamespaceRegionRequest,
    DeleteNamespaceRequest,
    FailoverNamespaceRegionRequest,
    GetAsyncOperationRequest,
    GetNamespaceRequest,
    RenameCustomSearchAttributeRequest,
    UpdateNamespaceRequest,
)
from temporalio.api.cloud.namespace.v1 import Namespace, NamespaceSpec
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    CountWorkflowExecutionsResponse,
    DescribeNamespaceRequest,
)
from temporalio.client import (
    Client,
    CloudOperationsClient,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleSpec,
)
from temporalio.client import Schedule as SdkSchedule
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from mockcloud.core.run import RunKey
from mockcloud.engine.namespace_removal import NamespaceRemoval
from mockcloud.engine.namespaces import Namespace as EngineNamespace
from tests.scenarios.stage import (
    COMPLETE,
    EAST,
    LOCALLY,
    WEST,
    Caller,
    Stage,
    open_stage,
    signals,
    start_timer,
    until,
)

_RUNS = 12
_DAY = timedelta(days=1)


class Operator:
    """Who calls the Cloud Ops API."""

    def __init__(self, client: CloudOperationsClient) -> None:
        self._service = client.cloud_service

    async def namespace(self) -> Namespace:
        return (await self._service.get_namespace(GetNamespaceRequest(namespace="orders.local"))).namespace

    async def accept(self, region: str) -> AsyncOperation:
        """Ask for a region more; how it stands when it is accepted."""
        version = (await self.namespace()).resource_version
        request = AddNamespaceRegionRequest(namespace="orders.local", region=region, resource_version=version)
        return (await self._service.add_namespace_region(request)).async_operation

    async def add(self, region: str) -> AsyncOperation:
        return await self.end(await self.accept(region))

    async def delete(self, region: str) -> AsyncOperation:
        version = (await self.namespace()).resource_version
        request = DeleteNamespaceRegionRequest(
            namespace="orders.local", region=region, resource_version=version
        )
        return await self.end((await self._service.delete_namespace_region(request)).async_operation)

    async def fail_over(self, region: str) -> AsyncOperation:
        request = FailoverNamespaceRegionRequest(namespace="orders.local", region=region)
        return await self.end((await self._service.failover_namespace_region(request)).async_operation)

    async def create(self, spec: NamespaceSpec) -> AsyncOperation:
        answer = await self._service.create_namespace(CreateNamespaceRequest(spec=spec))
        assert answer.namespace == "orders.local"
        return await self.end(answer.async_operation)

    async def update(self, **fields: Any) -> AsyncOperation:
        namespace = await self.namespace()
        namespace.spec.MergeFrom(NamespaceSpec(**fields))
        request = UpdateNamespaceRequest(
            namespace="orders.local", spec=namespace.spec, resource_version=namespace.resource_version
        )
        return await self.end((await self._service.update_namespace(request)).async_operation)

    async def rename(self, name: str, new_name: str) -> AsyncOperation:
        request = RenameCustomSearchAttributeRequest(
            namespace="orders.local",
            existing_custom_search_attribute_name=name,
            new_custom_search_attribute_name=new_name,
            resource_version=(await self.namespace()).resource_version,
        )
        return await self.end((await self._service.rename_custom_search_attribute(request)).async_operation)

    async def delete_namespace(self) -> AsyncOperation:
        version = (await self.namespace()).resource_version
        request = DeleteNamespaceRequest(namespace="orders.local", resource_version=version)
        return await self.end((await self._service.delete_namespace(request)).async_operation)

    async def end(self, operation: AsyncOperation) -> AsyncOperation:
        """Ask until it has ended, as often as it says."""
        while not operation.HasField("finished_time"):
            await asyncio.sleep(operation.check_duration.ToTimedelta().total_seconds())
            request = GetAsyncOperationRequest(async_operation_id=operation.id)
            operation = (await self._service.get_async_operation(request)).async_operation
        assert operation.state == AsyncOperation.STATE_FULFILLED, operation
        return operation


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = await open_stage(readd_days=0.0)
    yield stage
    await stage.close()


async def _operator(stage: Stage) -> Operator:
    return Operator(await CloudOperationsClient.connect(target_host=stage.cloud.cloud_ops, tls=False))


async def _count(caller: Caller) -> int:
    answer = await caller.ask(
        CountWorkflowExecutionsRequest(), CountWorkflowExecutionsResponse, metadata=LOCALLY
    )
    return answer.count


async def test_a_region_is_added_failed_over_to_deleted_and_added_again(stage: Stage) -> None:
    operator = await _operator(stage)
    await operator.create(NamespaceSpec(name="orders", regions=[EAST], retention_days=1))
    stage.namespace = stage.cloud.namespace("orders")
    east, west = stage.at(EAST), stage.at(WEST)
    for number in range(_RUNS):
        await east.start(f"closed-{number}")
        await east.work(COMPLETE)
    for number in range(_RUNS):
        await east.start(f"open-{number}")
    client = await stage.client(EAST)
    await client.create_schedule(
        "nightly",
        SdkSchedule(
            action=ScheduleActionStartWorkflow("raw", id="night", task_queue="elsewhere"),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=_DAY)]),
        ),
    )
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await _count(west)
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND

    # It gets a second region, while work goes on.
    adding = asyncio.create_task(operator.add(WEST))
    for number in range(_RUNS):
        await east.signal(f"open-{number}", "during")
    await adding
    assert await _count(west) == await _count(east) == 2 * _RUNS
    for number in range(_RUNS):
        assert (await west.events(f"closed-{number}")) == (await east.events(f"closed-{number}"))
    assert {
        region: status.state for region, status in (await operator.namespace()).region_status.items()
    } == {
        EAST: 2,
        WEST: 3,
    }

    # The second region does the work, then it is the only one.
    await operator.fail_over(WEST)
    completed = (await west.work(COMPLETE)).workflow_execution.workflow_id
    going = next(name for name in ("open-5", "open-6") if name != completed)
    await (await stage.client(WEST)).get_schedule_handle("nightly").describe()
    await operator.delete(EAST)
    with pytest.raises(grpc.aio.AioRpcError) as gone:
        await east.call(DescribeNamespaceRequest())
    assert gone.value.code() is grpc.StatusCode.NOT_FOUND
    assert stage.cloud.cloud.node(EAST).region.namespaces.find("orders") is None
    left = await stage.cloud.run(_rows(stage, EAST))
    assert left == {}, "nothing of it is left in the region's database"
    await west.signal(going, "alone")
    assert signals(await west.events(going)) == ["during", "alone"]

    # The first one comes back, empty, and is failed over to once more.
    await operator.add(EAST)
    assert await _count(east) == await _count(west)
    await operator.fail_over(EAST)
    await east.signal(going, "back")
    await stage.namespace.replicated()
    for caller in (east, west):
        assert signals(await caller.events(going)) == ["during", "alone", "back"]

    # And does all the work again: tasks, timers, starts, polls that have waited since before.
    for _ in range(_RUNS - 1):
        await east.work(COMPLETE)
    polling = asyncio.create_task(east.poll(timeout=20))
    await east.polled()
    await east.start("last")
    task = await polling
    assert task.workflow_execution.workflow_id == "last"
    await east.complete(task, start_timer(10))
    assert (await east.work(COMPLETE)).workflow_execution.workflow_id == "last"
    await east.start("kept")
    await stage.namespace.replicated()
    assert await _count(west) == await _count(east) == 2 * _RUNS + 2


async def test_a_region_is_added_through_kills_of_everybody(stage: Stage) -> None:
    """Over a cut link: the control plane dies, then the region that fills, then the one that is filled."""
    operator = await _operator(stage)
    await operator.create(NamespaceSpec(name="orders", regions=[EAST], retention_days=1))
    stage.namespace = stage.cloud.namespace("orders")
    east = stage.at(EAST)
    for number in range(_RUNS):
        await east.start(f"open-{number}")
    stage.cloud.link(EAST, WEST).partition()
    accepted = await operator.accept(WEST)
    assert [await _refused(operator, WEST) for _ in range(2)] == [RPCStatusCode.FAILED_PRECONDITION] * 2

    async def filling() -> bool:
        adding, *_ = await stage.namespace.operations()
        return adding.step == "filling"

    await until(filling)
    await stage.cloud.control.kill()
    await stage.cloud.region(EAST).kill()
    await stage.cloud.control.start()
    await stage.cloud.region(EAST).start()
    assert await _refused(operator, WEST) is RPCStatusCode.FAILED_PRECONDITION
    stage.cloud.reset_faults()
    await stage.cloud.region(WEST).kill()
    await stage.cloud.region(WEST).start()
    await operator.end(accepted)

    assert await _count(stage.at(WEST)) == _RUNS
    assert [each.fill for each in await stage.namespace.operations()] == [None, None]
    await operator.fail_over(WEST)


async def _refused(operator: Operator, region: str) -> RPCStatusCode:
    with pytest.raises(RPCError) as caught:
        await operator.fail_over(region)
    return caught.value.status


async def test_a_region_killed_while_it_forgets_goes_on_later(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = await _operator(stage)
    await operator.create(NamespaceSpec(name="orders", regions=[EAST, WEST], retention_days=1))
    stage.namespace = stage.cloud.namespace("orders")
    for number in range(3):
        await stage.at(EAST).start(f"open-{number}")
    await stage.namespace.replicated()
    delete, begun = NamespaceRemoval._delete, threading.Event()

    async def only_one(removal: NamespaceRemoval, namespace: EngineNamespace, key: RunKey) -> None:
        if begun.is_set():
            await asyncio.Event().wait()
        begun.set()
        await delete(removal, namespace, key)

    monkeypatch.setattr(NamespaceRemoval, "_delete", only_one)
    deleting = asyncio.create_task(operator.delete(WEST))
    await asyncio.to_thread(begun.wait, 10)
    await stage.cloud.region(WEST).kill()
    await deleting
    monkeypatch.undo()
    await stage.cloud.region(WEST).start()

    await until(partial(_forgotten, stage, WEST))
    assert await stage.cloud.run(_rows(stage, WEST)) == {}


async def test_a_deleted_region_that_believes_to_be_active_forgets_too(stage: Stage) -> None:
    """It was down when it was failed over and when it was deleted: no link tells it of either."""
    operator = await _operator(stage)
    await operator.create(NamespaceSpec(name="orders", regions=[EAST, WEST], retention_days=1))
    stage.namespace = stage.cloud.namespace("orders")
    await stage.at(EAST).start("one")
    await stage.namespace.replicated()
    await stage.cloud.region(EAST).kill()
    await operator.fail_over(WEST)
    await operator.delete(EAST)
    await stage.cloud.control.kill()
    await stage.cloud.region(EAST).start()
    await stage.cloud.control.start()

    await until(partial(_forgotten, stage, EAST))
    assert await stage.cloud.run(_rows(stage, EAST)) == {}
    await operator.add(EAST)
    await operator.fail_over(EAST)
    assert [event.event_id for event in await stage.at(EAST).events("one")] == [1, 2]


async def test_regions_know_a_namespace_with_its_account_and_without(stage: Stage) -> None:
    operator = await _operator(stage)
    await operator.create(NamespaceSpec(name="orders", regions=[EAST, WEST], retention_days=1))
    for name in ("orders", "orders.local"):
        stage.namespace = stage.cloud.namespace("orders")
        for region in (EAST, WEST):
            caller = stage.at(region)
            caller.namespace = name
            await caller.start(f"{name}-at-{region}")
            assert (await caller.describe_namespace()).namespace_info.name == "orders"
    elsewhere = stage.at(EAST)
    elsewhere.namespace = "orders.elsewhere"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await elsewhere.start("nowhere")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_passive_polls_stay_when_the_namespace_says_so(stage: Stage) -> None:
    """The switch is thrown over the Cloud Ops API; the next poll at the passive region is not forwarded."""
    operator = await _operator(stage)
    await operator.create(NamespaceSpec(name="orders", regions=[EAST, WEST], retention_days=1))
    stage.namespace = stage.cloud.namespace("orders")
    east, west = stage.at(EAST), stage.at(WEST)
    await east.start("first")
    assert (await west.poll()).workflow_execution.workflow_id == "first"

    await operator.update(high_availability={"disable_passive_poller_forwarding": True})

    async def arrived() -> bool:
        node = stage.cloud.cloud.node(WEST)
        return node.region.namespaces.by_name("orders").record.disable_passive_poller_forwarding

    await until(arrived)
    polling = asyncio.create_task(west.poll(timeout=20))
    await west.polled()
    await east.start("second")
    assert (await east.poll()).workflow_execution.workflow_id == "second"
    await east.start("third")
    await operator.fail_over(WEST)
    assert (await polling).workflow_execution.workflow_id == "third", (
        "it is served when its region turns active"
    )


async def test_a_deleted_namespace_is_gone_for_its_clients(stage: Stage) -> None:
    operator = await _operator(stage)
    await operator.create(NamespaceSpec(name="orders", regions=[EAST, WEST], retention_days=1))
    stage.namespace = stage.cloud.namespace("orders")
    east, west = stage.at(EAST), stage.at(WEST)
    await east.start("one")
    await operator.delete_namespace()

    for caller in (east, west):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _count(caller)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    with pytest.raises(RPCError) as missing:
        await operator.namespace()
    assert missing.value.status is RPCStatusCode.NOT_FOUND
    assert [entry.name for entry in (await stage.cloud.status()).namespaces] == ["default"]


async def _forgotten(stage: Stage, region: str) -> bool:
    """Whether a region knows `default` alone. One that leaves loses its name first, and all else after that."""
    node = stage.cloud.cloud.node(region)
    return [namespace.name for namespace in node.region.namespaces.all()] == ["default"]


async def _rows(stage: Stage, region: str) -> dict[str, int]:
    """How many rows of runs, lists and logs a region's database has, by table, where there are any."""
    tables = ("runs", "visibility", "schedules", "replication_log", "current_runs", "search_attribute")
    store = stage.cloud.cloud.node(region).region.store
    default = stage.cloud.cloud.node(region).region.namespaces.by_name("default").id
    counts = {}
    for table in tables:
        query = f"SELECT count(*) FROM {table} WHERE namespace_id != ?"
        counts[table] = await store.read(
            lambda connection, query=query: connection.execute(query, (default,)).fetchone()[0]  # type: ignore[misc]
        )
    return {table: count for table, count in counts.items() if count}


async def test_a_renamed_search_attribute_keeps_its_values(stage: Stage) -> None:
    """In both regions, for runs and schedules from before and after; the old name is gone."""
    operator = await _operator(stage)
    spec = NamespaceSpec(name="orders", regions=[EAST, WEST], retention_days=1)
    spec.search_attributes["Customer"] = NamespaceSpec.SEARCH_ATTRIBUTE_TYPE_KEYWORD
    await operator.create(spec)
    stage.namespace = stage.cloud.namespace("orders")
    client = await stage.client(EAST)
    customer, renamed = SearchAttributeKey.for_keyword("Customer"), SearchAttributeKey.for_keyword("Client")

    def alice(key: SearchAttributeKey[str]) -> TypedSearchAttributes:
        return TypedSearchAttributes([SearchAttributePair(key, "alice")])

    await client.start_workflow("raw", id="before", task_queue="none", search_attributes=alice(customer))
    handle = await client.create_schedule(
        "nightly",
        SdkSchedule(
            action=ScheduleActionStartWorkflow(
                "raw", id="night", task_queue="none", typed_search_attributes=alice(customer)
            ),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=_DAY)]),
        ),
        search_attributes=alice(customer),
    )

    await operator.rename("Customer", "Client")

    await client.start_workflow("raw", id="after", task_queue="none", search_attributes=alice(renamed))
    await handle.trigger()
    for region in (EAST, WEST):
        there = await stage.client(region, rpc_metadata=LOCALLY)

        async def listed(there: Client = there) -> bool:
            found = [run async for run in there.list_workflows("Client = 'alice'")]
            return {run.id.partition("-2")[0] for run in found} == {"before", "after", "night"} and all(
                run.typed_search_attributes.get(renamed) == "alice" for run in found
            )

        await until(listed)
        with pytest.raises(RPCError, match="not a valid search attribute"):
            _ = [run async for run in there.list_workflows("Customer = 'alice'")]
    described = await handle.describe()
    assert described.typed_search_attributes.get(renamed) == "alice"
    with pytest.raises(RPCError, match="no mapping defined for search attribute Customer"):
        await client.start_workflow("raw", id="old", task_queue="none", search_attributes=alice(customer))


@workflow.defn
class Family:
    """Starts a child, signals it as an outsider, and waits for it."""

    @workflow.run
    async def run(self) -> str:
        child = await workflow.start_child_workflow(Child.run, id="child")
        await workflow.get_external_workflow_handle_for(Child.run, "child").signal(Child.grow)
        return await child


@workflow.defn
class Child:
    def __init__(self) -> None:
        self._grown = False

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self._grown)
        return workflow.info().namespace

    @workflow.signal
    def grow(self) -> None:
        self._grown = True


async def test_workers_connect_with_the_full_name(stage: Stage) -> None:
    """As their configuration for Temporal Cloud has it: children and signals to others included."""
    operator = await _operator(stage)
    await operator.create(NamespaceSpec(name="orders", regions=[EAST, WEST], retention_days=1))
    endpoint = stage.cloud.namespace("orders").endpoint
    client = await Client.connect(endpoint, namespace="orders.local")
    async with Worker(
        client, task_queue="q", workflows=[Family, Child], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        result = await client.execute_workflow(Family.run, id="family", task_queue="q")

    assert result == "orders.local"
    assert [run.id async for run in client.list_workflows("WorkflowId = 'child'")] == ["child"]
