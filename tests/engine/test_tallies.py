"""What a region counts of polls and of runs that close."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from temporalio.api.enums.v1 import WorkflowExecutionStatus

from mockcloud.engine.region import Region

from .support import QUEUE, Driver, activity, close, running


def polls(region: Region, queue: str = QUEUE, kind: str = "WORKFLOW") -> Mapping[str, int]:
    return {
        outcome: tally.count
        for (_, name, of, outcome), tally in region.tallies.polls().items()
        if (name, of.name) == (queue, kind)
    }


async def test_a_task_that_waited_for_a_poll_and_one_that_did_not(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start("waits")
        await driver.poll()
        assert polls(region) == {"success": 1}
        poll = asyncio.ensure_future(driver.poll())
        await asyncio.sleep(0)
        await driver.start("comes")
        assert (await poll).task_token
        assert polls(region) == {"success": 2, "success_sync": 1}


async def test_a_poll_that_waits_in_vain_has_timed_out_and_one_that_is_ended_has_not(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.poll(timeout=0.01)
        await driver.poll_activity(timeout=0.01)
        ended = asyncio.ensure_future(driver.poll())
        await asyncio.sleep(0)
        region.matching.end_polls()
        assert not (await ended).task_token
        assert polls(region) == polls(region, kind="ACTIVITY") == {"timeout": 1}


async def test_sticky_queues_are_counted_together(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        for worker in "ab":
            await driver.poll(f"sticky-of-{worker}", sticky=True, timeout=0.01)
        assert polls(region, "__sticky__") == {"timeout": 2}
        assert {name for _, name, _, _ in region.tallies.polls()} == {"__sticky__"}


async def test_a_run_is_counted_when_it_closes(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        await driver.complete(await driver.poll(), activity("a"))
        assert region.tallies.closes() == {}
        await driver.signal()
        await driver.complete(await driver.poll(), close())
        (one,) = region.tallies.closes().items()
        assert one[0] == (
            "default",
            QUEUE,
            "Order",
            WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED,
        )
        assert one[1].count == 1
        assert one[1].percentile(50) > 0
