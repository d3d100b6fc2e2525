"""What a backlog costs: the link is cut while one region writes, then healed, and everything drains.

`python -m bench.backlog [--events N] [--kind KIND]` prints one JSON object: events a second of
wall and of processor time of the whole process (sending and applying together, from the heal until everything is
acknowledged), and the resident memory in MiB before the cut, with the backlog on disk, at its peak while it drains,
and afterwards. The kinds differ in how many events a replication task has:

    signals     one event a task, to 1,000 runs in turn: the dearest backlog
    bursts      the same, ten events a task
    workflows   workflows with one activity, from start to end: eleven events in six batches, and state
    markers     a thousand events a task, a worker's answer each: the most bytes
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import grpc.aio
import psutil
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest, StartWorkflowExecutionRequest

from bench.load import NAMESPACE, lengthen, one_activity, signal_request, start_request
from mockcloud import MockCloud
from mockcloud.cloud.region_node import RegionNode
from mockcloud.core import signals
from mockcloud.core.change import RunChange
from mockcloud.store import log

EAST: Final = "aws-us-east-1"
WEST: Final = "aws-us-west-2"
RUNS: Final = 1_000
_EVENTS_OF_WORKFLOW: Final = 11
_EVENTS_OF_MARKERS: Final = 1_000
_IN_FLIGHT: Final = 50
_SAMPLE_SECONDS: Final = 0.05


async def start_runs(node: RegionNode, ids: list[str]) -> None:
    """Start workflows without a gRPC call."""
    namespace = node.region.namespaces.by_name(NAMESPACE)
    for begin in range(0, len(ids), 100):
        await asyncio.gather(
            *(
                node.region.changes.start(
                    namespace, StartWorkflowExecutionRequest.FromString(start_request(workflow_id))
                )
                for workflow_id in ids[begin : begin + 100]
            )
        )


async def signal_runs(node: RegionNode, ids: list[str], count: int, *, burst: int = 1) -> None:
    """So many times `burst` signals to runs in turn, a hundred of them at a time, without a gRPC call."""
    namespace = node.region.namespaces.by_name(NAMESPACE)

    async def one(workflow_id: str) -> None:
        request = SignalWorkflowExecutionRequest.FromString(signal_request(workflow_id))

        def rule(change: RunChange) -> None:
            for _ in range(burst):
                signals.signal(change, request)

        await node.region.changes.update(namespace, workflow_id, "", rule)

    for begin in range(0, count, 100):
        await asyncio.gather(
            *(one(ids[number % len(ids)]) for number in range(begin, min(count, begin + 100)))
        )


async def _signals(cloud: MockCloud, count: int, *, burst: int = 1) -> None:
    ids = [f"signalled-{number}" for number in range(min(RUNS, count))]
    await cloud.run(start_runs(cloud.cloud.node(EAST), ids))
    await cloud.run(signal_runs(cloud.cloud.node(EAST), ids, -(-count // burst), burst=burst))


async def _workflows(cloud: MockCloud, count: int) -> None:
    numbers = iter(range(-(-count // _EVENTS_OF_WORKFLOW)))
    async with grpc.aio.insecure_channel(cloud.region(EAST).address) as channel:

        async def lane(name: int) -> None:
            for number in numbers:
                await one_activity(channel, f"workflow-{number}", f"queue-{name}")

        await asyncio.gather(*(lane(name) for name in range(_IN_FLIGHT)))


async def _markers(cloud: MockCloud, count: int) -> None:
    address = cloud.region(EAST).address
    for number in range(-(-count // _EVENTS_OF_MARKERS)):
        name = f"markers-{number}"
        async with grpc.aio.insecure_channel(address) as channel:
            await channel.unary_unary(
                "/temporal.api.workflowservice.v1.WorkflowService/StartWorkflowExecution"
            )(start_request(name, name), timeout=60)
        await lengthen(address, name, name, _EVENTS_OF_MARKERS)


KINDS: Final[dict[str, Callable[[MockCloud, int], Awaitable[None]]]] = {
    "signals": _signals,
    "bursts": partial(_signals, burst=10),
    "workflows": _workflows,
    "markers": _markers,
}


async def drain(kind: str, events: int) -> dict[str, float]:
    """Produce the backlog over a cut link, heal, and measure until nothing is outstanding."""
    process = psutil.Process()

    def resident() -> float:
        return float(process.memory_info().rss) / 2**20

    async with MockCloud(regions=[EAST, WEST], namespaces=[NAMESPACE]) as cloud:
        region = cloud.cloud.node(EAST).region
        namespace = cloud.namespace(NAMESPACE)
        before = resident()
        begin = time.perf_counter()
        cut = cloud.link(EAST, WEST).partition()
        await KINDS[kind](cloud, events)
        produced = time.perf_counter() - begin
        tasks = await cloud.run(
            region.store.read(
                lambda connection: log.last_position(connection, region.namespaces.by_name(NAMESPACE).id)
            )
        )
        backlog = peak = resident()
        draining = True

        async def watch() -> None:
            nonlocal peak
            while draining:
                peak = max(peak, resident())
                await asyncio.sleep(_SAMPLE_SECONDS)

        watching = asyncio.create_task(watch())
        wall, processor = time.perf_counter(), time.process_time()
        cut.remove()
        await namespace.replicated()
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        draining = False
        await watching
        return {
            "events": events,
            "tasks": tasks,
            "seconds_to_produce": round(produced, 1),
            "events_per_second": round(events / wall),
            "events_per_processor_second": round(events / processor),
            "MiB_before": round(before),
            "MiB_with_backlog": round(backlog),
            "MiB_peak_while_draining": round(peak),
            "MiB_after": round(resident()),
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.backlog")
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--kind", choices=KINDS, default="signals")
    options = parser.parse_args()
    print(json.dumps(asyncio.run(drain(options.kind, options.events)), indent=1), flush=True)
