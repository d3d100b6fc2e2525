"""Forwarding, switched by UpdateNamespace under Workers of both regions that stay connected."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from itertools import count

import grpc
import pytest
from temporalio import activity, workflow
from temporalio.api.cloud.cloudservice.v1 import (
    GetAsyncOperationRequest,
    GetNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.api.errordetails.v1 import NamespaceNotActiveFailure
from temporalio.client import CloudOperationsClient
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from mockcloud.core import times
from mockcloud.core.limits import Limits
from tests.scenarios.stage import EAST, LOCALLY, WEST, Stage, detail, opened, refused, types, until
from tests.scenarios.workflows import QUEUE

ENOUGH = 20
SHORT = Limits(task_poll=times.SECOND)  # polls look again where they belong so often


@workflow.defn
class Errand:
    @workflow.run
    async def run(self) -> str:
        limit = timedelta(seconds=10)
        region: str = await workflow.execute_activity("where", start_to_close_timeout=limit)
        return region


async def switch_forwarding(stage: Stage, *, disable: bool) -> None:
    """By UpdateNamespace of the Cloud Ops API; returns when every region knows it."""
    api = (await CloudOperationsClient.connect(target_host=stage.cloud.cloud_ops, tls=False)).cloud_service
    known = (await api.get_namespace(GetNamespaceRequest(namespace="default"))).namespace
    assert known.spec.high_availability.disable_passive_poller_forwarding != disable
    known.spec.high_availability.disable_passive_poller_forwarding = disable
    update = UpdateNamespaceRequest(
        namespace="default", spec=known.spec, resource_version=known.resource_version
    )
    operation = (await api.update_namespace(update)).async_operation
    while not operation.HasField("finished_time"):
        await asyncio.sleep(0.01)
        poll = GetAsyncOperationRequest(async_operation_id=operation.id)
        operation = (await api.get_async_operation(poll)).async_operation
    assert operation.state == operation.STATE_FULFILLED

    async def known_everywhere() -> bool:
        views = [stage.cloud.cloud.node(region).region.namespaces.find("default") for region in (EAST, WEST)]
        return {view.record.disable_passive_poller_forwarding for view in views if view} == {disable}

    await until(known_everywhere)


class Crew:
    """Workers at both regional endpoints, and somebody who always has work for them."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._done: Counter[str] = Counter()
        self._more = asyncio.Condition()

    async def work(self, region: str, stop: asyncio.Event) -> None:
        @activity.defn
        async def where() -> str:
            async with self._more:
                self._done[region] += 1
                self._more.notify_all()
            return region

        worker = Worker(
            await self._stage.client(region),
            task_queue=QUEUE,
            workflows=[Errand],
            activities=[where],
            # What sticks to a Worker whose polls are no longer forwarded waits for it so long at most.
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=0.5),
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
        async with worker:
            await stop.wait()

    async def order(self, numbers: count[int]) -> None:
        client = await self._stage.client()
        while True:
            await client.execute_workflow(Errand.run, id=f"w{next(numbers)}", task_queue=QUEUE)

    async def both(self) -> None:
        """Both regions' Workers do tasks from now on."""
        await self._wait(lambda done: min(done[EAST], done[WEST]) >= ENOUGH)

    async def only(self, region: str) -> None:
        """All tasks come to be done in one region: many, one after the other, none elsewhere."""
        other = WEST if region == EAST else EAST
        while True:
            await self._wait(lambda done: done[region] >= ENOUGH or done[other] > 0)
            if not self._done[other]:
                return

    async def _wait(self, met: object) -> None:
        assert callable(met)
        async with self._more:
            self._done.clear()
            await self._more.wait_for(lambda: met(self._done))


async def test_workers_stay_connected_while_forwarding_is_switched() -> None:
    async with opened(limits=SHORT) as stage:
        crew, numbers, stop = Crew(stage), count(), asyncio.Event()
        async with asyncio.timeout(50), asyncio.TaskGroup() as group:
            workers = [group.create_task(crew.work(region, stop)) for region in (EAST, WEST)]
            orders = [group.create_task(crew.order(numbers)) for _ in range(4)]
            await crew.both()

            await switch_forwarding(stage, disable=True)
            await crew.only(EAST)
            await stage.failover(WEST)
            await crew.only(WEST)
            await switch_forwarding(stage, disable=False)
            await crew.both()
            await stage.failover(EAST)
            await crew.both()

            for order in orders:
                order.cancel()
            stop.set()
            await asyncio.gather(*workers)
        runs = await stage.settled("w0")
        assert {version for _, version in types(runs[0].events)} == {1}


@pytest.mark.parametrize("unforwarded", ["hold", "error"])
async def test_what_a_poll_at_the_passive_region_meets(unforwarded: str) -> None:
    """Raw polls: each row of the table, switched in a running cloud."""
    async with opened(limits=SHORT, unforwarded_polls=unforwarded) as stage:
        east, west = stage.at(EAST), stage.at(WEST)
        await east.start("w1")
        assert (await west.work()).workflow_execution.workflow_id == "w1", "forwarded"

        await switch_forwarding(stage, disable=True)
        await east.start("w2")
        if unforwarded == "hold":
            assert not (await west.poll()).task_token, "it has waited, and is over"
        else:
            error = await refused(west.poll())
            assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
            failure = detail(error, NamespaceNotActiveFailure)
            assert failure is not None
            assert (failure.namespace, failure.current_cluster, failure.active_cluster) == (
                "default",
                WEST,
                EAST,
            )
        # All other calls are forwarded as before; a completion is one.
        task = await east.poll()
        await west.complete(task)
        await west.start("w3")
        assert [event.version for event in await east.events("w3", metadata=LOCALLY)] == [1, 1]

        await switch_forwarding(stage, disable=False)
        assert (await west.poll()).workflow_execution.workflow_id == "w3", "forwarded again"


async def test_a_held_poll_is_served_the_moment_its_region_turns_active() -> None:
    async with opened() as stage:
        await switch_forwarding(stage, disable=True)
        east, west = stage.at(EAST), stage.at(WEST)
        waiting = asyncio.create_task(west.poll(timeout=20))
        await west.polled()
        await east.start("w")

        await stage.failover(WEST)

        assert (await waiting).workflow_execution.workflow_id == "w"
