"""A local activity that is under way when its region loses the namespace."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.scenarios.stage import WEST, Stage, of_type
from tests.scenarios.workflows import QUEUE


@workflow.defn
class LocalWork:
    """One local activity."""

    @workflow.run
    async def run(self) -> int:
        return int(
            await workflow.execute_local_activity(
                "count_attempts", start_to_close_timeout=timedelta(seconds=30)
            )
        )


async def test_a_local_activity_is_done_again_by_the_region_that_takes_over(stage: Stage) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    runs = 0

    @activity.defn
    async def count_attempts() -> int:
        nonlocal runs
        runs += 1
        begun.set()
        await go_on.wait()
        return runs

    client = await stage.client()
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[LocalWork],
        activities=[count_attempts],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        handle = await client.start_workflow(
            LocalWork.run, id="w", task_queue=QUEUE, task_timeout=timedelta(seconds=1)
        )
        await begun.wait()
        await stage.failover(WEST)
        go_on.set()
        assert await handle.result() >= 1
    run = await stage.only_run("w")
    assert run.status == "COMPLETED"
    assert len(of_type(run.events, "MARKER_RECORDED")) == 1, "what the old region had begun left no trace"
    assert run.events[-1].version == stage.versions[-1]
