"""What the four patterns share: a little application, the Workers of a region, and a log of who did which task."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count, pairwise
from typing import Any, Final

from temporalio import activity, workflow
from temporalio.api.cloud.cloudservice.v1 import (
    GetAsyncOperationRequest,
    GetNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client, CloudOperationsClient, WorkflowFailureError
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from mockcloud import MockCloud
from mockcloud.cloud.facade import Namespace

EAST, WEST = "aws-us-east-1", "aws-us-west-2"
TASK_QUEUE: Final = "orders"
ENOUGH: Final = 30  # tasks that each phase of a story waits for
LANES: Final = 4  # workflows that a customer has open at a time


@workflow.defn
class Order:
    """One task of work."""

    @workflow.run
    async def run(self) -> str:
        """The region whose Worker did it."""
        region: str = await workflow.execute_activity("fulfil", start_to_close_timeout=timedelta(seconds=5))
        return region


@dataclass(frozen=True, slots=True)
class Done:
    """A task that was done."""

    at: float  # seconds of the process's clock
    namespace: str
    region: str  # of the Worker


class TaskLog:
    """Who did which task when; tells it by phases."""

    def __init__(self) -> None:
        self._done: list[Done] = []
        self._more = asyncio.Condition()
        self._phase = 0.0

    async def add(self, namespace: str, region: str) -> None:
        """A Worker of `region` has done a task."""
        async with self._more:
            self._done.append(Done(time.monotonic(), namespace, region))
            self._more.notify_all()

    def begin_phase(self) -> None:
        """What follows is counted anew."""
        self._phase = time.monotonic()

    def counts(self, namespace: str) -> Counter[str]:
        """Tasks by the region whose Workers did them, in this phase."""
        return Counter(done.region for done in self._done if self._is_now(done, namespace))

    async def enough(self, namespace: str, *regions: str) -> None:
        """Return once the Workers of each of these regions have done enough in this phase."""

        def reached() -> bool:
            counts = self.counts(namespace)
            return all(counts[region] >= ENOUGH for region in regions)

        async with asyncio.timeout(30), self._more:
            await self._more.wait_for(reached)

    def pause(self, namespace: str) -> float:
        """Seconds for which nobody did a task, at the longest: up to the first ones of this phase, or in it."""
        times = [done.at for done in self._done if done.namespace == namespace]
        before = [at for at in times if at < self._phase][-1:]
        return max(
            later - earlier for earlier, later in pairwise(before + [at for at in times if at >= self._phase])
        )

    def _is_now(self, done: Done, namespace: str) -> bool:
        return done.namespace == namespace and done.at >= self._phase

    def tell(self, phase: str, *namespaces: str) -> None:
        """Print the phase's tasks."""
        for namespace in namespaces:
            counts = self.counts(namespace)
            shares = ", ".join(f"{region} {counts[region]}" for region in (EAST, WEST))
            print(f"{phase}: tasks of {namespace} done in {shares}")


async def keep_polls(cloud: MockCloud, namespace: str) -> None:
    """Let polls at the passive region wait there, as one does it in the Cloud: by its API."""
    api = (await CloudOperationsClient.connect(target_host=cloud.cloud_ops, tls=False)).cloud_service
    known = (await api.get_namespace(GetNamespaceRequest(namespace=namespace))).namespace
    known.spec.high_availability.disable_passive_poller_forwarding = True
    update = UpdateNamespaceRequest(
        namespace=namespace, spec=known.spec, resource_version=known.resource_version
    )
    operation = (await api.update_namespace(update)).async_operation
    while not operation.HasField("finished_time"):
        await asyncio.sleep(operation.check_duration.ToTimedelta().total_seconds())
        poll = GetAsyncOperationRequest(async_operation_id=operation.id)
        operation = (await api.get_async_operation(poll)).async_operation
    assert operation.state == operation.STATE_FULFILLED, operation


@asynccontextmanager
async def workers(log: TaskLog, region: str, *namespaces: Namespace) -> AsyncIterator[None]:
    """The Workers of a region: one for each namespace, connected to the region's own endpoint."""
    async with AsyncExitStack() as stack:
        for namespace in namespaces:
            client = await namespace.client(region)
            await stack.enter_async_context(_worker(client, log, namespace.name, region))
        yield


def _worker(client: Client, log: TaskLog, namespace: str, region: str) -> Worker:
    @activity.defn
    async def fulfil() -> str:
        await log.add(namespace, region)
        return region

    return Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[Order],
        activities=[fulfil],
        identity=f"worker in {region}",
        # A workflow sticks to a Worker that may be gone with its region: its next task waits so long at most.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
        # The sandbox only slows this small example down.
        workflow_runner=UnsandboxedWorkflowRunner(),
    )


@asynccontextmanager
async def customers(*namespaces: Namespace) -> AsyncIterator[None]:
    """Somebody always orders something, at the namespace endpoint, and waits for it."""
    async with asyncio.TaskGroup() as group:
        lanes = []
        for namespace in namespaces:
            client, numbers = await namespace.client(), count(1)
            lanes += [group.create_task(_order(client, numbers)) for _ in range(LANES)]
        yield
        for lane in lanes:
            lane.cancel()


async def _order(client: Client, numbers: count[int]) -> None:
    while True:
        try:
            order = await client.start_workflow(
                Order.run,
                id=f"order-{next(numbers)}",
                task_queue=TASK_QUEUE,
                run_timeout=timedelta(seconds=20),
            )
            await order.result()
        except (RPCError, WorkflowFailureError):
            # The order may have been lost with its region, or is answered by nobody for now: a new one.
            await asyncio.sleep(0.01)


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run an example as a program."""
    asyncio.run(story())
    # The SDK's native threads may abort in the interpreter's shutdown; everything is said by now.
    sys.stdout.flush()
    os._exit(0)
