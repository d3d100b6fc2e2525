"""A cloud of two regions as the scenarios use it: raw gRPC calls, SDK clients, failovers along a route."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.status_pb2 import Status
from temporalio.api.command.v1 import (
    Command,
    CompleteWorkflowExecutionCommandAttributes,
    ScheduleActivityTaskCommandAttributes,
    StartTimerCommandAttributes,
)
from temporalio.api.common.v1 import ActivityType, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import CommandType, EventType, ReplicationState
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.replication.v1 import NamespaceReplicationConfig
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeNamespaceResponse,
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RespondWorkflowTaskCompletedRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
    UpdateNamespaceRequest,
)
from temporalio.api.workflowservice.v1 import service_pb2 as workflow_service
from temporalio.client import Client

from mockcloud import MockCloud
from mockcloud.cloud.facade import Namespace
from mockcloud.cloud.failover_views import Operation
from mockcloud.cloud.region_node import RegionNode
from mockcloud.cloud.settings import CloudSettings
from mockcloud.cloud.views import RunView
from tests.scenarios.invariants import settled
from tests.scenarios.workflows import QUEUE

M = TypeVar("M", bound=Message)

EAST, WEST = "aws-us-east-1", "aws-us-west-2"
SERVICE = workflow_service.DESCRIPTOR.services_by_name["WorkflowService"]
NORMAL_QUEUE = TaskQueue(name=QUEUE)
LOCALLY = {"xdc-redirection": "false"}
NO_METADATA: Mapping[str, str] = {}

COMPLETE = Command(
    command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
    complete_workflow_execution_command_attributes=CompleteWorkflowExecutionCommandAttributes(),
)


HANDOVER = ReplicationState.REPLICATION_STATE_HANDOVER
NORMAL = ReplicationState.REPLICATION_STATE_NORMAL
HELD_TOO_LONG = (grpc.StatusCode.UNAVAILABLE, "Namespace replication in Handover state.")


class Caller:
    """Raw calls to one endpoint, each sent once: nothing here retries."""

    def __init__(self, address: str, namespace: str) -> None:
        self.namespace = namespace
        options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
        self.channel = grpc.aio.insecure_channel(address, options=options)

    async def by_name(
        self,
        name: str,
        request: Message | bytes,
        *,
        timeout: float | None = 10.0,
        metadata: Mapping[str, str] = NO_METADATA,
    ) -> Message:
        """The answer of the method `name`. Raises AioRpcError."""
        raw = request if isinstance(request, bytes) else request.SerializeToString()
        method = self.channel.unary_unary(f"/{SERVICE.full_name}/{name}", None, None)
        answer: bytes = await method(raw, timeout=timeout, metadata=tuple(metadata.items()))
        return GetMessageClass(SERVICE.methods_by_name[name].output_type).FromString(answer)

    async def call(
        self, request: Message, *, timeout: float | None = 10.0, metadata: Mapping[str, str] = NO_METADATA
    ) -> Message:
        """The answer of the method whose request this is; the namespace is filled in."""
        if "namespace" in request.DESCRIPTOR.fields_by_name and not getattr(request, "namespace"):  # noqa: B009
            setattr(request, "namespace", self.namespace)  # noqa: B010
        name = request.DESCRIPTOR.name.removesuffix("Request")
        return await self.by_name(name, request, timeout=timeout, metadata=metadata)

    async def ask(
        self,
        request: Message,
        kind: type[M],
        *,
        timeout: float | None = 10.0,
        metadata: Mapping[str, str] = NO_METADATA,
    ) -> M:
        """`call`, with the type of the answer."""
        answer = await self.call(request, timeout=timeout, metadata=metadata)
        assert isinstance(answer, kind)
        return answer

    # What a client does

    async def start(self, workflow_id: str, **fields: Any) -> str:
        """Start a workflow; its run id."""
        given = {"workflow_type": WorkflowType(name="raw"), "task_queue": NORMAL_QUEUE, **fields}
        request = StartWorkflowExecutionRequest(workflow_id=workflow_id, **given)
        return (await self.ask(request, StartWorkflowExecutionResponse)).run_id

    async def signal(self, workflow_id: str, name: str, **options: Any) -> None:
        run = WorkflowExecution(workflow_id=workflow_id)
        request = SignalWorkflowExecutionRequest(workflow_execution=run, signal_name=name)
        await self.call(request, **options)

    async def events(
        self, workflow_id: str, run_id: str = "", *, metadata: Mapping[str, str] = LOCALLY
    ) -> list[HistoryEvent]:
        """The history, by default as this very region has it."""
        run = WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
        request = GetWorkflowExecutionHistoryRequest(execution=run)
        answer = await self.ask(request, GetWorkflowExecutionHistoryResponse, metadata=metadata)
        assert not answer.next_page_token
        return list(answer.history.events)

    async def closed(self, workflow_id: str, run_id: str = "") -> HistoryEvent:
        """Wait for the close event, by long polls."""
        request = GetWorkflowExecutionHistoryRequest(
            execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
            wait_new_event=True,
            history_event_filter_type=2,  # type: ignore[arg-type]  # the close event
        )
        while True:
            answer = await self.ask(request, GetWorkflowExecutionHistoryResponse, timeout=25)
            if answer.history.events:
                return answer.history.events[-1]
            request.next_page_token = answer.next_page_token

    # What a worker does

    async def poll(self, *, timeout: float | None = 10.0, **fields: Any) -> PollWorkflowTaskQueueResponse:
        """Poll for a workflow task."""
        request = PollWorkflowTaskQueueRequest(
            **{"task_queue": NORMAL_QUEUE, "identity": "raw worker", **fields}
        )
        return await self.ask(request, PollWorkflowTaskQueueResponse, timeout=timeout)

    async def poll_activity(self, *, timeout: float = 10.0) -> PollActivityTaskQueueResponse:
        """Poll for an activity task."""
        request = PollActivityTaskQueueRequest(task_queue=NORMAL_QUEUE, identity="raw worker")
        return await self.ask(request, PollActivityTaskQueueResponse, timeout=timeout)

    async def complete(self, task: PollWorkflowTaskQueueResponse, *commands: Command) -> None:
        """Complete a workflow task."""
        await self.call(RespondWorkflowTaskCompletedRequest(task_token=task.task_token, commands=commands))

    async def work(self, *commands: Command) -> PollWorkflowTaskQueueResponse:
        """Poll a workflow task and complete it."""
        task = await self.poll()
        assert task.task_token, "there is a task"
        await self.complete(task, *commands)
        return task

    async def polled(self, count: int = 1) -> None:
        """Return once this region has seen polls of `count` identities at the task queue."""
        request = DescribeTaskQueueRequest(task_queue=NORMAL_QUEUE, task_queue_type=1)  # type: ignore[arg-type]
        request.namespace = self.namespace

        async def seen() -> bool:
            answer = await self.ask(request, DescribeTaskQueueResponse, metadata=LOCALLY)
            return len(answer.pollers) >= count

        await until(seen)

    # The namespace

    async def describe_namespace(self) -> DescribeNamespaceResponse:
        """The namespace as this region has it."""
        return await self.ask(DescribeNamespaceRequest(), DescribeNamespaceResponse)

    async def set_state(self, state: ReplicationState.ValueType) -> None:
        """Enter or leave HANDOVER in this region."""
        await self.call(UpdateNamespaceRequest(replication_config=NamespaceReplicationConfig(state=state)))


class Stage:
    """A running cloud. `route` is where `switch` goes, one failover after the other."""

    def __init__(self, cloud: MockCloud, route: tuple[str, ...] = (WEST,)) -> None:
        self.cloud = cloud
        self.namespace: Namespace = cloud.namespace("default")
        self.route = route
        self.callers: list[Caller] = []

    @property
    def versions(self) -> list[int]:
        """Failover versions before the switch and after each hop."""
        return [1, 2, 11, 12][: len(self.route) + 1]

    @property
    def old(self) -> str:
        """The region that `switch` leaves last."""
        return ((EAST, *self.route))[-2]

    @property
    def new(self) -> str:
        """The region that is active after `switch`."""
        return self.route[-1]

    def at(self, region: str | None = None) -> Caller:
        """Raw calls at a region's own endpoint, or at the namespace endpoint."""
        address = self.namespace.endpoint if region is None else self.cloud.region(region).address
        caller = Caller(address, self.namespace.name)
        self.callers.append(caller)
        return caller

    async def client(self, region: str | None = None, **options: Any) -> Client:
        return await self.namespace.client(region, **options)

    async def failover(self, region: str, *, forced: bool = False) -> Operation:
        operation = await self.namespace.failover(region, forced=forced)
        assert operation.state == "FULFILLED", operation
        return operation

    async def switch(self) -> Operation:
        """Fail over along the route, gracefully: nothing may get lost on it."""
        for region in self.route:
            operation = await self.failover(region)
            assert operation.mode == "graceful", operation
        return operation

    async def settled(self, workflow_id: str) -> list[RunView]:
        """The runs once the regions agree; the invariants hold."""
        return await settled(self.namespace, workflow_id)

    async def only_run(self, workflow_id: str) -> RunView:
        """`settled`, of a workflow id that has had one run."""
        (run,) = await self.settled(workflow_id)
        return run

    async def end(self) -> None:
        """What every scenario ends with: all links healed, all regions up, and the invariants of every workflow."""
        self.cloud.reset_faults()
        for region in (await self.cloud.status()).regions:
            if not region.up:
                await self.cloud.region(region.name).start()
        await self.namespace.replicated()
        for workflow_id in await self.cloud.run(self._workflow_ids()):
            await settled(self.namespace, workflow_id, regions=len(self.cloud.region_names))

    async def _workflow_ids(self) -> set[str]:
        """Of all runs of the namespace, in whatever region."""
        nodes = [self.cloud.cloud.node(name) for name in self.cloud.region_names]
        return {
            workflow_id for node in nodes for workflow_id in await workflow_ids(node, self.namespace.name)
        }

    async def close(self) -> None:
        await asyncio.gather(*(caller.channel.close(None) for caller in self.callers))
        # Stopping blocks this loop's thread no more than the start did.
        await asyncio.get_running_loop().run_in_executor(None, self.cloud.stop)


@contextlib.asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[Stage]:
    """`open_stage`; if all went well, it ends with the invariants."""
    stage = await open_stage(**settings)
    try:
        yield stage
        await stage.end()
    finally:
        await stage.close()


async def open_stage(
    route: tuple[str, ...] = (WEST,), *, regions: tuple[str, ...] = (EAST, WEST), **settings: Any
) -> Stage:
    """Start a cloud with the namespace `default`, active in EAST. `settings` are those of CloudSettings."""
    cloud = MockCloud(regions, namespaces=["default"], settings=CloudSettings(**settings))
    await asyncio.get_running_loop().run_in_executor(None, cloud.start)
    return Stage(cloud, route)


async def workflow_ids(node: RegionNode, namespace: str) -> list[str]:
    """What a region's database has runs of."""
    of = (node.region.namespaces.by_name(namespace).id,)
    query = "SELECT DISTINCT workflow_id FROM runs WHERE namespace_id = ?"
    rows = await node.region.store.read(lambda connection: connection.execute(query, of).fetchall())
    return [str(workflow_id) for (workflow_id,) in rows]


# Reading what happened


def types(events: list[HistoryEvent] | tuple[HistoryEvent, ...]) -> list[tuple[str, int]]:
    """Type and version of each event."""
    return [(short(event), event.version) for event in events]


def short(event: HistoryEvent) -> str:
    return EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")


def of_type(events: list[HistoryEvent] | tuple[HistoryEvent, ...], name: str) -> list[HistoryEvent]:
    return [event for event in events if short(event) == name]


def signals(events: list[HistoryEvent] | tuple[HistoryEvent, ...]) -> list[str]:
    """Names of the signals, in order."""
    found = of_type(events, "WORKFLOW_EXECUTION_SIGNALED")
    return [event.workflow_execution_signaled_event_attributes.signal_name for event in found]


async def refused(answer: Awaitable[object]) -> grpc.aio.AioRpcError:
    """The error that a call is answered with."""
    try:
        await answer
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError("the call was served")


def detail(error: grpc.aio.AioRpcError, kind: type[M]) -> M | None:
    """The error's detail, if it has one of that kind."""
    metadata: Iterable[tuple[str, bytes]] = error.trailing_metadata()  # type: ignore[assignment]  # what it is
    packed = dict(metadata).get("grpc-status-details-bin", b"")
    for found in Status.FromString(packed).details:
        unpacked = kind()
        if found.Unpack(unpacked):
            return unpacked
    return None


# Commands


def schedule_activity(activity_id: str = "a", **fields: Any) -> Command:
    attributes = ScheduleActivityTaskCommandAttributes(
        activity_id=activity_id,
        activity_type=ActivityType(name="raw"),
        task_queue=NORMAL_QUEUE,
        **{"start_to_close_timeout": Duration(seconds=60), **fields},
    )
    return Command(
        command_type=CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
        schedule_activity_task_command_attributes=attributes,
    )


def start_timer(milliseconds: int) -> Command:
    fires = Duration()
    fires.FromMilliseconds(milliseconds)
    return Command(
        command_type=CommandType.COMMAND_TYPE_START_TIMER,
        start_timer_command_attributes=StartTimerCommandAttributes(timer_id="t", start_to_fire_timeout=fires),
    )


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what nothing announces to a client."""
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
