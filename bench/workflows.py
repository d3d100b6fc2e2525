"""One-activity workflows with a real Python Worker, in a process of its own: `python -m bench.workflows ADDRESS`.

Prints one JSON line: workflows per second with 50 in flight, and serial latencies with and without an activity.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import uuid
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker


@activity.defn
async def work(text: str) -> str:
    return text


@workflow.defn
class OneActivity:
    @workflow.run
    async def run(self, text: str) -> str:
        return await workflow.execute_activity(work, text, start_to_close_timeout=timedelta(seconds=30))


@workflow.defn
class Empty:
    @workflow.run
    async def run(self, text: str) -> str:
        return text


async def measure(address: str, seconds: float) -> dict[str, float]:
    client = await Client.connect(address, namespace="default")
    prefix = uuid.uuid4().hex[:8]
    results: dict[str, float] = {}
    async with Worker(
        client,
        task_queue="bench",
        workflows=[OneActivity, Empty],
        activities=[work],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_workflow_tasks=60,
        max_concurrent_activities=60,
    ):

        async def one(kind: type[OneActivity | Empty], name: str) -> None:
            await client.execute_workflow(kind.run, "x", id=name, task_queue="bench")

        await one(OneActivity, f"{prefix}-warm")
        for label, kind in (("empty_serial_ms", Empty), ("activity_serial_ms", OneActivity)):
            times = []
            for number in range(20):
                begin = time.perf_counter()
                await one(kind, f"{prefix}-{label}-{number}")
                times.append((time.perf_counter() - begin) * 1000)
            results[label] = sorted(times)[len(times) // 2]
        done = 0
        begin = time.perf_counter()
        end = begin + seconds

        async def lane(index: int) -> None:
            nonlocal done
            number = 0
            while time.perf_counter() < end:
                await one(OneActivity, f"{prefix}-{index}-{number}")
                done += 1
                number += 1

        await asyncio.gather(*(lane(index) for index in range(50)))
        results["workflows_per_second"] = done / (time.perf_counter() - begin)
    return results


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(sys.argv[1], float(sys.argv[2])))), flush=True)
    os._exit(0)
