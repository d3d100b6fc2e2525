"""Load with raw grpc.aio and ready-made bytes: an SDK client would cost as much as the server under test."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import grpc
import grpc.aio
from google.protobuf.message import Message
from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import CommandType
from temporalio.api.workflowservice import v1 as api

PREFIX = "/temporal.api.workflowservice.v1.WorkflowService/"
NAMESPACE = "default"


@dataclass(frozen=True, slots=True)
class Measured:
    """Calls per second, and latencies in milliseconds."""

    rate: float
    p50: float
    p99: float


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


async def drive(
    address: str, method: str, make: Callable[[int], bytes], *, in_flight: int, seconds: float
) -> Measured:
    """Call `method` with `make(n)` for `seconds`, with `in_flight` calls at a time on four connections."""
    channels = [
        grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        for _ in range(min(4, in_flight))
    ]
    calls = [channel.unary_unary(method) for channel in channels]
    await asyncio.gather(*(call(make(-1 - index), timeout=30) for index, call in enumerate(calls)))
    numbers = itertools.count()
    latencies: list[float] = []
    begin = time.perf_counter()
    end = begin + seconds

    async def one(index: int) -> None:
        call = calls[index % len(calls)]
        while (now := time.perf_counter()) < end:
            await call(make(next(numbers)), timeout=30)
            latencies.append(time.perf_counter() - now)

    await asyncio.gather(*(one(index) for index in range(in_flight)))
    took = time.perf_counter() - begin
    await asyncio.gather(*(channel.close() for channel in channels))
    return Measured(
        len(latencies) / took, percentile(latencies, 0.5) * 1000, percentile(latencies, 0.99) * 1000
    )


def start_request(workflow_id: str, task_queue: str = "bench-idle") -> bytes:
    """A start of a workflow that no worker takes up."""
    request = api.StartWorkflowExecutionRequest(
        namespace=NAMESPACE, workflow_id=workflow_id, request_id=workflow_id, identity="bench"
    )
    request.workflow_type.name = "bench"
    request.task_queue.name = task_queue
    request.input.payloads.add(metadata={"encoding": b"json/plain"}, data=b'"some input"')
    return request.SerializeToString()


def signal_request(workflow_id: str) -> bytes:
    """A signal without a request id, as most clients' are after the SDK's own."""
    request = api.SignalWorkflowExecutionRequest(namespace=NAMESPACE, signal_name="note", identity="bench")
    request.workflow_execution.workflow_id = workflow_id
    request.input.payloads.add(metadata={"encoding": b"json/plain"}, data=b'"some input"')
    return request.SerializeToString()


def describe_request(workflow_id: str) -> bytes:
    """A describe of the current run."""
    request = api.DescribeWorkflowExecutionRequest(namespace=NAMESPACE)
    request.execution.workflow_id = workflow_id
    return request.SerializeToString()


def round_robin(requests: Sequence[bytes]) -> Callable[[int], bytes]:
    """Requests taken in turn."""
    return lambda number: requests[number % len(requests)]


def unique_ids(prefix: str) -> Iterator[str]:
    """Workflow ids that have not been used in this run."""
    return (f"{prefix}-{number}-{time.monotonic_ns()}" for number in itertools.count())


async def start_all(address: str, ids: Sequence[str]) -> None:
    """Start workflows that stay open, 100 at a time."""
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(PREFIX + "StartWorkflowExecution")
        for begin in range(0, len(ids), 100):
            await asyncio.gather(
                *(call(start_request(name), timeout=60) for name in ids[begin : begin + 100])
            )


async def lengthen(address: str, workflow_id: str, task_queue: str, length: int) -> None:
    """Bring a run with a pending workflow task to so many events, by markers: a run takes 10,000 signals at most."""
    async with grpc.aio.insecure_channel(address) as channel:
        poll = api.PollWorkflowTaskQueueRequest(namespace=NAMESPACE, identity="bench")
        poll.task_queue.name = task_queue
        raw = await channel.unary_unary(PREFIX + "PollWorkflowTaskQueue")(
            poll.SerializeToString(), timeout=60
        )
        task = api.PollWorkflowTaskQueueResponse.FromString(raw)
        done = api.RespondWorkflowTaskCompletedRequest(
            namespace=NAMESPACE, identity="bench", task_token=task.task_token
        )
        # The task's own Completed event, then the markers; Started is there.
        for _ in range(length - task.started_event_id - 1):
            command = done.commands.add(command_type=CommandType.COMMAND_TYPE_RECORD_MARKER)
            command.record_marker_command_attributes.marker_name = "bench"
        await channel.unary_unary(PREFIX + "RespondWorkflowTaskCompleted")(
            done.SerializeToString(), timeout=60
        )


async def one_activity(channel: grpc.aio.Channel, workflow_id: str, task_queue: str) -> None:
    """A workflow with one activity from start to end, by a worker of its own queue: eleven events."""

    async def call(name: str, request: Message | bytes) -> bytes:
        raw = request if isinstance(request, bytes) else request.SerializeToString()
        answer: bytes = await channel.unary_unary(PREFIX + name)(raw, timeout=60)
        return answer

    async def answer(*commands: Command) -> list[api.PollActivityTaskQueueResponse]:
        poll = api.PollWorkflowTaskQueueRequest(namespace=NAMESPACE, identity="bench")
        poll.task_queue.name = task_queue
        raw = await call("PollWorkflowTaskQueue", poll)
        task = api.PollWorkflowTaskQueueResponse.FromString(raw)
        done = api.RespondWorkflowTaskCompletedRequest(
            namespace=NAMESPACE, identity="bench", task_token=task.task_token, commands=commands
        )
        raw = await call("RespondWorkflowTaskCompleted", done)
        return list(api.RespondWorkflowTaskCompletedResponse.FromString(raw).activity_tasks)

    await call("StartWorkflowExecution", start_request(workflow_id, task_queue))
    schedule = Command(command_type=CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK)
    activity = schedule.schedule_activity_task_command_attributes
    activity.activity_id = "1"
    activity.activity_type.name = "bench"
    activity.task_queue.name = task_queue
    activity.start_to_close_timeout.FromSeconds(60)
    activity.request_eager_execution = True
    (eager,) = await answer(schedule)
    await call(
        "RespondActivityTaskCompleted",
        api.RespondActivityTaskCompletedRequest(
            namespace=NAMESPACE, identity="bench", task_token=eager.task_token
        ),
    )
    complete = Command(command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION)
    complete.complete_workflow_execution_command_attributes.result.payloads.add(data=b'"done"')
    await answer(complete)
