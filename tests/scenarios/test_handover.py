"""Scenarios of the graceful failover and of HANDOVER, by number."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from temporalio.api.cloud.cloudservice.v1 import (
    FailoverNamespaceRegionRequest,
    GetAsyncOperationRequest,
)
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import ReplicationState
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
)
from temporalio.client import CloudOperationsClient
from temporalio.service import CloudService

from tests.scenarios.stage import (
    EAST,
    HANDOVER,
    HELD_TOO_LONG,
    NORMAL,
    WEST,
    Caller,
    Stage,
    opened,
    refused,
    signals,
    until,
)
from tests.scenarios.workflows import QUEUE, Echo, Inbox, greeted, worker


async def handover_state(caller: Caller) -> ReplicationState.ValueType:
    return (await caller.describe_namespace()).replication_config.state


async def in_handover(caller: Caller) -> None:
    """Return once the region is in HANDOVER."""

    async def entered() -> bool:
        return await handover_state(caller) == HANDOVER

    await until(entered)


# 20


@pytest.mark.serial
async def test_20_idle_graceful_failover(stage: Stage) -> None:
    """A client that calls one call after the other sees no error and waits less than 300 ms for any."""
    client = stage.at()
    await client.start("w")
    done = asyncio.Event()
    some = asyncio.Semaphore(0)
    waits: list[float] = []

    async def call() -> None:
        while not done.is_set():
            begun = time.perf_counter()
            await client.signal("w", str(len(waits)))
            waits.append(time.perf_counter() - begun)
            some.release()

    calling = asyncio.create_task(call())
    await some.acquire()
    before = time.perf_counter()
    operation = await stage.failover(WEST)
    pause = time.perf_counter() - before
    for _ in range(3):
        await some.acquire()
    done.set()
    await calling

    assert operation.mode == "graceful"
    assert pause < 0.3
    assert max(waits) < 0.3
    run = await stage.only_run("w")
    assert signals(run.events) == [str(number) for number in range(len(waits))]
    assert len(run.branches) == 1  # the recovery point is zero: nothing of v1 came after v2


async def test_20_idle_client_sees_no_error(stage: Stage) -> None:
    """Also one whose connection leads to the region that has turned passive, and whose poll waits there."""
    client = await stage.client()
    async with worker(client):
        handle = await client.start_workflow(Inbox.run, "all", id="w", task_queue=QUEUE)
        await greeted(handle)
        for region in (WEST, EAST, WEST):
            await stage.failover(region)
            await handle.signal(Inbox.deliver, region)
        await handle.signal(Inbox.close)
        assert await handle.result() == ["hello all", WEST, EAST, WEST]


# 21


async def test_21_graceful_under_load(stage: Stage) -> None:
    """Writes at both regions and at the namespace endpoint; each is answered once, and none is wrong."""
    callers = [stage.at(), stage.at(EAST), stage.at(WEST)]
    runs = [f"w{number}" for number in range(4)]
    for workflow_id in runs:
        await callers[0].start(workflow_id)
    acknowledged: dict[str, list[str]] = {workflow_id: [] for workflow_id in runs}
    done = asyncio.Event()
    some = asyncio.Semaphore(0)

    async def write(number: int) -> None:
        workflow_id, caller = runs[number % len(runs)], callers[number % len(callers)]
        count = 0
        while not done.is_set():
            name = f"{number}-{count}"
            await caller.signal(workflow_id, name, timeout=20)
            acknowledged[workflow_id].append(name)
            count += 1
            some.release()

    async def more(count: int) -> None:
        for _ in range(count):
            await some.acquire()

    writers = [asyncio.create_task(write(number)) for number in range(24)]
    await more(100)
    operation = await stage.failover(WEST)
    await more(100)
    done.set()
    await asyncio.gather(*writers)

    assert operation.mode == "graceful"
    for workflow_id in runs:
        run = await stage.only_run(workflow_id)
        assert sorted(signals(run.events)) == sorted(acknowledged[workflow_id])
        # Had WEST turned active before it had everything, what it lacked would be a branch of its own.
        assert len(run.branches) == 1
        assert {event.version for event in run.events} == {1, 2}


async def test_21_graceful_under_load_of_workers(stage: Stage) -> None:
    """With Workers, some signals wait in the buffer of a started task at the switch; they are applied again."""
    client, west = await stage.client(), await stage.client(WEST)
    async with worker(client), worker(west):
        handles = [
            await client.start_workflow(Inbox.run, "all", id=f"w{number}", task_queue=QUEUE)
            for number in range(4)
        ]
        sent: list[list[str]] = [[] for _ in handles]
        done = asyncio.Event()
        some = asyncio.Semaphore(0)

        async def write(number: int) -> None:
            while not done.is_set():
                name = str(len(sent[number]))
                await handles[number].signal(Inbox.deliver, name)
                sent[number].append(name)
                some.release()

        writers = [asyncio.create_task(write(number)) for number in range(len(handles))]
        for region in (WEST, EAST):
            for _ in range(40):
                await some.acquire()
            assert (await stage.failover(region)).mode == "graceful"
        for _ in range(40):
            await some.acquire()
        done.set()
        await asyncio.gather(*writers)
        await stage.namespace.replicated()
        for handle, letters in zip(handles, sent, strict=True):
            await handle.signal(Inbox.close)
            assert sorted(await handle.result()) == sorted(["hello all", *letters])
    for handle in handles:
        await stage.settled(handle.id)


# 22


@pytest.mark.serial
async def test_22_drain_impossible() -> None:
    """The link is cut: calls are held or refused for as long as the attempt lasts, then it is forced."""
    async with opened(failover_timeout=1.2) as stage:
        east, west = stage.at(EAST), stage.at(WEST)
        await east.start("w")
        await stage.namespace.replicated()
        cut = stage.cloud.link(EAST, WEST).partition()
        await east.signal("w", "unreplicated")

        begun = time.perf_counter()
        failing_over = asyncio.create_task(stage.failover(WEST))
        await in_handover(east)
        held = asyncio.create_task(east.signal("w", "held", timeout=10))
        error = await refused(east.signal("w", "refused", timeout=0.2))
        assert (error.code(), error.details()) == HELD_TOO_LONG
        assert not failing_over.done()
        assert not held.done()
        operation = await failing_over
        took = time.perf_counter() - begun
        await held
        held_for = time.perf_counter() - begun

        assert operation.mode == "forced"
        assert "1.2 s" in operation.reason
        assert 1.2 <= took < 2.0
        assert held_for < 2.0
        # The old region is not in HANDOVER and serves on, under its version; so does the new one.
        assert await handover_state(east) == NORMAL
        await east.signal("w", "east")
        await west.signal("w", "west")
        assert signals(await east.events("w")) == ["unreplicated", "held", "east"]
        assert {event.version for event in await east.events("w")} == {1}
        assert signals(await west.events("w")) == ["west"]

        cut.remove()
        run = await stage.only_run("w")
        assert sorted(signals(run.events)) == ["east", "held", "unreplicated", "west"]
        assert len(run.branches) == 2


async def test_22_the_old_region_is_down() -> None:
    async with opened() as stage:
        await stage.at().start("w")
        await stage.namespace.replicated()
        await stage.cloud.region(EAST).kill()

        operation = await stage.failover(WEST)

        assert operation.mode == "forced"
        await stage.at(WEST).signal("w", "alone")
        await stage.cloud.region(EAST).start()
        run = await stage.only_run("w")
        assert signals(run.events) == ["alone"]
        assert await handover_state(stage.at(EAST)) == NORMAL


# 24


@pytest.mark.serial
async def test_24_polls_parked_at_the_switch(stage: Stage) -> None:
    """They end empty, wherever they were made; Workers come again, and get the first task within a second."""
    places = [stage.at(region) for region in (EAST, WEST, None)]
    polls = [
        asyncio.create_task(poll)
        for number, place in enumerate(places)
        for poll in (place.poll(timeout=60, identity=str(number)), place.poll_activity(timeout=60))
    ]
    await stage.at(EAST).polled(3)

    await stage.failover(WEST)

    for answer in await asyncio.wait_for(asyncio.gather(*polls), 5):
        assert not answer.ByteSize()


@pytest.mark.serial
@pytest.mark.parametrize("place", [EAST, WEST, None])
async def test_24_first_task_after_the_switch(stage: Stage, place: str | None) -> None:
    client = await stage.client(place)
    async with worker(client):
        assert await client.execute_workflow(Echo.run, "1", id="before", task_queue=QUEUE) == "1"
        await stage.at(EAST).polled()

        await stage.failover(WEST)

        begun = time.perf_counter()
        assert await client.execute_workflow(Echo.run, "2", id="after", task_queue=QUEUE) == "2"
        assert time.perf_counter() - begun < 1
    run = await stage.only_run("after")
    assert {event.version for event in run.events} == {2}


# 25


@pytest.mark.parametrize("forced", [False, True], ids=["graceful", "forced"])
async def test_25_asked_twice_at_once(stage: Stage, forced: bool) -> None:
    await stage.at().start("w")

    both = await asyncio.gather(*(stage.failover(WEST, forced=forced) for _ in range(2)))

    assert sorted(operation.mode for operation in both) == sorted(
        ["forced" if forced else "graceful", "none"]
    )
    assert both[0].id != both[1].id
    assert (await stage.at(EAST).describe_namespace()).failover_version == 2
    assert len((await stage.only_run("w")).events) == 2


async def test_25_asked_twice_with_the_same_id(stage: Stage) -> None:
    """By Cloud Ops: the same operation."""
    service = await cloud_ops(stage)
    request = FailoverNamespaceRegionRequest(namespace="default", region=WEST, async_operation_id="one")
    answers = await asyncio.gather(*(service.failover_namespace_region(request) for _ in range(2)))
    assert {answer.async_operation.id for answer in answers} == {"one"}
    assert (await fulfilled(service, "one")).state == AsyncOperation.STATE_FULFILLED
    assert (await stage.at(EAST).describe_namespace()).failover_version == 2


# 26


async def cloud_ops(stage: Stage) -> CloudService:
    client = await CloudOperationsClient.connect(target_host=stage.cloud.cloud_ops, tls=False)
    return client.cloud_service


async def fulfilled(service: CloudService, operation_id: str) -> AsyncOperation:
    """The operation once it has ended."""
    request = GetAsyncOperationRequest(async_operation_id=operation_id)
    operation = (await service.get_async_operation(request)).async_operation

    async def ended() -> bool:
        nonlocal operation
        operation = (await service.get_async_operation(request)).async_operation
        return operation.HasField("finished_time")

    await until(ended)
    return operation


Moment = Callable[[Stage], Awaitable[None]]


async def at_once(stage: Stage) -> None:
    """The operation was accepted, and no more is known."""


async def handed_over(stage: Stage) -> None:
    await in_handover(stage.at(EAST))


@pytest.mark.parametrize("moment", [at_once, handed_over])
@pytest.mark.parametrize("goes_on", ["graceful", "forced"])
async def test_26_control_plane_killed(moment: Moment, goes_on: str) -> None:
    """It goes on after the restart from where it was: in time, or, when that is over, by force."""
    seconds = 1.0 if goes_on == "forced" or moment is handed_over else 10.0
    if goes_on == "graceful" and moment is handed_over:
        seconds = 3.0
    async with opened(failover_timeout=seconds) as stage:
        east, west = stage.at(EAST), stage.at(WEST)
        await east.start("w")
        await stage.namespace.replicated()
        pause = stage.cloud.link(EAST, WEST).pause()  # so the drain does not end
        await east.signal("w", "before")
        service = await cloud_ops(stage)
        request = FailoverNamespaceRegionRequest(namespace="default", region=WEST, async_operation_id="op")
        await service.failover_namespace_region(request)
        await moment(stage)

        await stage.cloud.control.kill()

        assert (await west.describe_namespace()).failover_version == 1
        if goes_on == "graceful":
            pause.remove()
        await stage.cloud.control.start()
        operation = await fulfilled(service, "op")
        pause.remove()

        assert operation.state == AsyncOperation.STATE_FULFILLED
        await east.signal("w", "after", timeout=10)
        for caller in (east, west):
            assert await handover_state(caller) == NORMAL
            await caller.call(DescribeWorkflowExecutionRequest(execution=WorkflowExecution(workflow_id="w")))
        run = await stage.only_run("w")
        assert sorted(signals(run.events)) == ["after", "before"]
        shown = await west.describe_namespace()
        assert shown.replication_config.active_cluster_name == WEST
        assert shown.failover_version == 2
        if goes_on == "graceful":
            assert len(run.branches) == 1


async def test_26_killed_again_and_again() -> None:
    async with opened(failover_timeout=3.0) as stage:
        await stage.at(EAST).start("w")
        service = await cloud_ops(stage)
        for number, region in enumerate((WEST, EAST, WEST)):
            operation_id = f"op-{number}"
            request = FailoverNamespaceRegionRequest(
                namespace="default", region=region, async_operation_id=operation_id
            )
            await service.failover_namespace_region(request)
            for _ in range(3):
                await stage.cloud.control.kill()
                await stage.cloud.control.start()
            operation = await fulfilled(service, operation_id)
            assert operation.state == AsyncOperation.STATE_FULFILLED
            await stage.at(region).signal("w", region)
        run = await stage.only_run("w")
        assert signals(run.events) == [WEST, EAST, WEST]
        assert [event.version for event in run.events][-3:] == [2, 11, 12]
        assert await handover_state(stage.at(EAST)) == NORMAL
