"""What a long history costs: to build it, to read it, to hand it to a worker, to load it again.

Each should take a time that grows linearly with the history's length: what one event costs at 10,000 of them is
set against what it costs at 1,000. `python -m bench.histories` measures this alone.

Building takes seconds: what counts is the cloud's processor time, replication included, which is the same beside a
busy neighbour. The others take milliseconds, less than the processor's account shows: the best of some tries.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence

import grpc.aio
from google.protobuf.message import Message
from temporalio.api.enums.v1 import CommandType
from temporalio.api.workflowservice import v1 as api

from bench.load import NAMESPACE, PREFIX, describe_request, signal_request, start_request

LENGTHS = (1_000, 3_000, 10_000)
_STEP = 10  # events


async def _call(channel: grpc.aio.Channel, name: str, request: Message | bytes) -> bytes:
    raw = request if isinstance(request, bytes) else request.SerializeToString()
    answer: bytes = await channel.unary_unary(PREFIX + name)(raw, timeout=60)
    return answer


async def _poll(channel: grpc.aio.Channel, queue: str) -> api.PollWorkflowTaskQueueResponse:
    poll = api.PollWorkflowTaskQueueRequest(namespace=NAMESPACE, identity="bench")
    poll.task_queue.name = queue
    return api.PollWorkflowTaskQueueResponse.FromString(await _call(channel, "PollWorkflowTaskQueue", poll))


async def build(channel: grpc.aio.Channel, workflow_id: str, length: int) -> None:
    """A run of so many events, ten a step: a workflow task, two markers, an activity, its result, a signal."""
    await _call(channel, "StartWorkflowExecution", start_request(workflow_id, workflow_id))
    while True:
        task = await _poll(channel, workflow_id)
        done = api.RespondWorkflowTaskCompletedRequest(
            namespace=NAMESPACE, identity="bench", task_token=task.task_token
        )
        left = length - task.started_event_id - 1
        for _ in range(2 if left > _STEP else left):
            command = done.commands.add(command_type=CommandType.COMMAND_TYPE_RECORD_MARKER)
            command.record_marker_command_attributes.marker_name = "bench"
        if left > _STEP:
            command = done.commands.add(command_type=CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK)
            activity = command.schedule_activity_task_command_attributes
            activity.activity_id = str(task.started_event_id)
            activity.activity_type.name = "bench"
            activity.task_queue.name = workflow_id
            activity.start_to_close_timeout.FromSeconds(60)
            activity.request_eager_execution = True
        raw = await _call(channel, "RespondWorkflowTaskCompleted", done)
        if left <= _STEP:
            return
        (eager,) = api.RespondWorkflowTaskCompletedResponse.FromString(raw).activity_tasks
        await _call(
            channel,
            "RespondActivityTaskCompleted",
            api.RespondActivityTaskCompletedRequest(
                namespace=NAMESPACE, identity="bench", task_token=eager.task_token
            ),
        )
        await _call(channel, "SignalWorkflowExecution", signal_request(workflow_id))


async def read(channel: grpc.aio.Channel, workflow_id: str, token: bytes = b"") -> int:
    """Read the whole history, or what follows a page; the number of events."""
    count = 0
    while True:
        request = api.GetWorkflowExecutionHistoryRequest(namespace=NAMESPACE, next_page_token=token)
        request.execution.workflow_id = workflow_id
        raw = await _call(channel, "GetWorkflowExecutionHistory", request)
        page = api.GetWorkflowExecutionHistoryResponse.FromString(raw)
        count += len(page.history.events)
        token = page.next_page_token
        if not token:
            return count


async def replay(channel: grpc.aio.Channel, workflow_id: str) -> int:
    """A worker that has lost its cache takes a task with the whole history; the number of events it got."""
    await _call(channel, "SignalWorkflowExecution", signal_request(workflow_id))
    task = await _poll(channel, workflow_id)
    count = len(task.history.events)
    if task.next_page_token:
        count += await read(channel, workflow_id, task.next_page_token)
    done = api.RespondWorkflowTaskCompletedRequest(
        namespace=NAMESPACE, identity="bench", task_token=task.task_token
    )
    await _call(channel, "RespondWorkflowTaskCompleted", done)
    return count


async def costs(
    address: str,
    busy: Callable[[], float],
    restart: Callable[[], Awaitable[None]],
    lengths: Sequence[int] = LENGTHS,
) -> dict[str, float]:
    """Microseconds per event of each step at each length, and the longest's against the shortest's.

    `busy` is the processor time that the cloud has used, in seconds; `restart` brings the region back from its
    files, with nothing in memory.
    """
    taken: dict[str, dict[int, float]] = {"build": {}, "read": {}, "replay": {}, "load": {}}

    async def timed(
        step: str, length: int, work: Awaitable[object], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        begin = clock()
        await work
        each = (clock() - begin) / length * 1e6
        taken[step][length] = min(each, taken[step].get(length, each))

    async with grpc.aio.insecure_channel(address) as channel:
        await build(channel, "warm-up", lengths[0])
        for length in lengths:
            await timed("build", length, build(channel, f"long-{length}", length), busy)
        for _ in range(5):
            for length in lengths:
                await timed("read", length, read(channel, f"long-{length}"))
                await timed("replay", length, replay(channel, f"long-{length}"))
    for _ in range(5):
        await restart()
        async with grpc.aio.insecure_channel(address) as channel:
            await _call(channel, "DescribeWorkflowExecution", describe_request("warm-up"))
            for length in lengths:
                describe = describe_request(f"long-{length}")
                await timed("load", length, _call(channel, "DescribeWorkflowExecution", describe))
    result = {}
    for step, by_length in taken.items():
        for length, each in by_length.items():
            result[f"{step}_us_per_event_at_{length}"] = each
        result[f"{step}_of_linear"] = by_length[lengths[-1]] / by_length[lengths[0]]
    return result


async def _alone() -> dict[str, float]:
    from bench.__main__ import EAST, cloud, command, processor_seconds  # what starts a cloud

    with cloud() as ready:

        async def restart() -> None:
            for verb in ("kill", "start"):
                await asyncio.to_thread(command, ready, "region", verb, EAST)

        return await costs(ready["address"], lambda: processor_seconds(ready), restart)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_alone()), indent=1))
