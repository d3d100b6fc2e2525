"""A region on a temporary file, and short words for what a client and a worker do to it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import ActivityType, Payloads, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import CommandType, TaskQueueKind
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.replication.v1 import ClusterReplicationConfig, NamespaceReplicationConfig
from temporalio.api.taskqueue.v1 import StickyExecutionAttributes, TaskQueue
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RegisterNamespaceRequest,
    RespondWorkflowTaskCompletedRequest,
    RespondWorkflowTaskCompletedResponse,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    UpdateNamespaceRequest,
)

from mockcloud.core import signals, times
from mockcloud.core.cluster import Clusters
from mockcloud.core.limits import Limits
from mockcloud.core.ports import Ports
from mockcloud.core.tokens import TaskToken
from mockcloud.engine.changes import StartReply
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.region import Region
from mockcloud.store.database import Store

A, B = "aws-us-east-1", "aws-us-west-2"
CLUSTERS = Clusters.of([A, B])
QUEUE = "orders"


class ManualClock:
    """A clock that stands still until it is moved, and then moves a little with each look."""

    def __init__(self) -> None:
        self.moment = 1_700_000_000 * times.SECOND

    def now(self) -> int:
        self.moment += 1
        return self.moment


async def open_region(
    path: Path, name: str = A, limits: Limits | None = None, *, start: bool = True
) -> Region:
    """A region recovered from `path`, started unless it is not to do anything by itself."""
    store = await Store.open(path / f"{name}.db", durable=False)
    region = await Region.open(name, CLUSTERS, store, Ports(rng=random.Random(7)), limits)
    if start:
        await region.start()
    return region


@asynccontextmanager
async def running(path: Path, name: str = A, limits: Limits | None = None) -> AsyncIterator[Region]:
    """A region with the namespace `default` in both regions, closed at the end."""
    region = await open_region(path, name, limits)
    try:
        await register(region)
        yield region
    finally:
        await region.close()


async def crash(region: Region) -> None:
    """Kill it, and wait until its file is free."""
    region.kill()
    await region.store.wait_closed()


async def register(region: Region, name: str = "default", clusters: Sequence[str] = (A, B)) -> Namespace:
    request = RegisterNamespaceRequest(
        namespace=name,
        clusters=[ClusterReplicationConfig(cluster_name=cluster) for cluster in clusters],
        active_cluster_name=A,
    )
    request.workflow_execution_retention_period.FromSeconds(86400 * 3)
    return await region.namespaces.register(request)


async def fail_over(region: Region, target: str, name: str = "default") -> None:
    """Make `target` active, as far as this region is concerned."""
    await region.namespaces.update(
        region.namespaces.by_name(name),
        UpdateNamespaceRequest(
            namespace=name, replication_config=NamespaceReplicationConfig(active_cluster_name=target)
        ),
    )


async def set_state(region: Region, state: int, name: str = "default") -> None:
    await region.namespaces.update(
        region.namespaces.by_name(name),
        UpdateNamespaceRequest(
            namespace=name,
            replication_config=NamespaceReplicationConfig(state=state),  # type: ignore[arg-type]
        ),
    )


class Driver:
    """A client and a worker of one namespace."""

    def __init__(self, region: Region, name: str = "default") -> None:
        self.region = region
        self.namespace = region.namespaces.by_name(name)

    async def start(self, workflow_id: str = "order-1", **fields: object) -> StartReply:
        request = StartWorkflowExecutionRequest(
            namespace=self.namespace.name,
            workflow_id=workflow_id,
            workflow_type=WorkflowType(name="Order"),
            task_queue=TaskQueue(name=QUEUE),
            request_id=self.region.ports.ids.uuid(),
        )
        for name, value in fields.items():
            field = getattr(request, name)
            if hasattr(field, "CopyFrom"):
                field.CopyFrom(value)
            else:
                setattr(request, name, value)
        return await self.region.changes.start(self.namespace, request)

    async def signal(self, workflow_id: str = "order-1", name: str = "paid", run_id: str = "") -> None:
        request = SignalWorkflowExecutionRequest(
            signal_name=name, request_id=self.region.ports.ids.uuid(), input=Payloads()
        )
        await self.region.changes.update(
            self.namespace, workflow_id, run_id, lambda change: signals.signal(change, request)
        )

    async def poll(
        self,
        queue: str = QUEUE,
        *,
        sticky: bool = False,
        timeout: float = 5.0,
        identity: str = "worker",
        worker_instance_key: str = "",
    ) -> PollWorkflowTaskQueueResponse:
        kind = TaskQueueKind.TASK_QUEUE_KIND_STICKY if sticky else TaskQueueKind.TASK_QUEUE_KIND_NORMAL
        request = PollWorkflowTaskQueueRequest(
            namespace=self.namespace.name,
            task_queue=TaskQueue(name=queue, kind=kind, normal_name=QUEUE if sticky else ""),
            identity=identity,
            worker_instance_key=worker_instance_key,
        )
        return await self.region.matching.poll_workflow_task(self.namespace, request, timeout)

    async def poll_activity(self, timeout: float = 5.0) -> PollActivityTaskQueueResponse:
        request = PollActivityTaskQueueRequest(
            namespace=self.namespace.name, task_queue=TaskQueue(name=QUEUE), identity="worker"
        )
        return await self.region.matching.poll_activity_task(self.namespace, request, timeout)

    async def complete(
        self, task: PollWorkflowTaskQueueResponse, *commands: Command, sticky: str = "", **fields: object
    ) -> RespondWorkflowTaskCompletedResponse:
        request = RespondWorkflowTaskCompletedRequest(
            task_token=task.task_token, commands=commands, identity="worker"
        )
        for name, value in fields.items():
            if isinstance(value, dict):
                for key, message in value.items():
                    getattr(request, name)[key].CopyFrom(message)
            else:
                setattr(request, name, value)
        if sticky:
            request.sticky_attributes.CopyFrom(
                StickyExecutionAttributes(
                    worker_task_queue=TaskQueue(name=sticky, kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY)
                )
            )
            request.sticky_attributes.schedule_to_start_timeout.FromSeconds(5)
        return await self.region.workflow_tasks.complete(
            self.namespace, TaskToken.load(task.task_token), request
        )

    async def events(self, workflow_id: str = "order-1", run_id: str = "") -> list[HistoryEvent]:
        request = GetWorkflowExecutionHistoryRequest(
            execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
        )
        found: list[HistoryEvent] = []
        while True:
            page = await self.region.history.read(self.namespace, request, 5.0, transient=False)
            found.extend(page.history.events)
            if not page.next_page_token:
                return found
            request.next_page_token = page.next_page_token

    async def names(self, workflow_id: str = "order-1", run_id: str = "") -> list[str]:
        """Event types, short."""
        return [short(event) for event in await self.events(workflow_id, run_id)]


def short(event: HistoryEvent) -> str:
    return "".join(part.title() for part in (event.WhichOneof("attributes") or "").split("_")[:-2])


def close() -> Command:
    command = Command(command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION)
    command.complete_workflow_execution_command_attributes.SetInParent()
    return command


def timer(timer_id: str, seconds: float) -> Command:
    command = Command(command_type=CommandType.COMMAND_TYPE_START_TIMER)
    command.start_timer_command_attributes.timer_id = timer_id
    command.start_timer_command_attributes.start_to_fire_timeout.FromNanoseconds(int(seconds * times.SECOND))
    return command


def activity(activity_id: str) -> Command:
    command = Command(command_type=CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK)
    attributes = command.schedule_activity_task_command_attributes
    attributes.activity_id = activity_id
    attributes.activity_type.CopyFrom(ActivityType(name="charge"))
    attributes.task_queue.name = QUEUE
    attributes.start_to_close_timeout.FromSeconds(30)
    return command


def limits(**changed: Any) -> Limits:
    return replace(Limits(), **changed)
