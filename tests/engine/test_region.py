"""One region: a workflow from start to close, and what a restart brings back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType

from mockcloud.core.errors import RegionKilled

from .support import QUEUE, Driver, activity, close, crash, open_region, register, running, timer


async def test_a_workflow_runs_from_start_to_close(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        task = await driver.poll()
        assert [event.event_id for event in task.history.events] == [1, 2, 3]
        assert task.workflow_execution.workflow_id == "order-1"
        await driver.complete(task, close())
        assert await driver.names() == [
            "WorkflowExecutionStarted",
            "WorkflowTaskScheduled",
            "WorkflowTaskStarted",
            "WorkflowTaskCompleted",
            "WorkflowExecutionCompleted",
        ]


async def test_an_activity_goes_to_a_worker_and_back(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        await driver.complete(await driver.poll(), activity("charge"))
        given = await driver.poll_activity()
        assert given.activity_id == "charge"
        assert given.attempt == 1


async def test_a_killed_region_answers_nothing_and_recovers_what_it_had_answered(tmp_path: Path) -> None:
    region = await open_region(tmp_path)
    await register(region)
    driver = Driver(region)
    await driver.start()
    task = await driver.poll()
    await driver.complete(task, timer("soon", 0.05), activity("charge"))
    await driver.signal()
    before = await driver.events()
    await crash(region)
    with pytest.raises(RegionKilled):
        await driver.signal()

    region = await open_region(tmp_path)
    driver = Driver(region)
    assert await driver.events() == before
    # offers and timers are as they were
    given = await driver.poll_activity()
    assert given.activity_id == "charge"
    again = await driver.poll()
    assert again.previous_started_event_id == 3
    assert any(e.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED for e in again.history.events)
    await region.close()


async def test_a_timer_fires_after_a_restart_at_its_own_time(tmp_path: Path) -> None:
    region = await open_region(tmp_path)
    await register(region)
    driver = Driver(region)
    await driver.start()
    await driver.complete(await driver.poll(), timer("soon", 0.2))
    await crash(region)
    region = await open_region(tmp_path)
    driver = Driver(region)
    task = await driver.poll()
    fired = [e for e in task.history.events if e.event_type == EventType.EVENT_TYPE_TIMER_FIRED]
    started = [e for e in task.history.events if e.event_type == EventType.EVENT_TYPE_TIMER_STARTED]
    assert len(fired) == len(started) == 1
    waited = fired[0].event_time.ToNanoseconds() - started[0].event_time.ToNanoseconds()
    assert 200_000_000 <= waited < 1_200_000_000
    await region.close()


async def test_a_cold_load_equals_the_cached_state(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        await driver.complete(await driver.poll(), timer("late", 3600), activity("charge"), sticky="sticky-1")
        await driver.signal()
        await driver.poll(QUEUE)  # started: the next signal waits in the buffer
        await driver.signal(name="shipped")
        current = region.runs.current(driver.namespace.id, "order-1")
        assert current is not None
        key = await region.changes.read(driver.namespace, "order-1", "", lambda run: run.key)
        cached = region.runs.get(key)
        assert cached is not None
        region.runs.drop(key)
        loaded = await region.changes.loader.entry(key)
        assert loaded is not None
        cached.run.dump(), loaded.run.dump()
        assert loaded.run == cached.run
        assert loaded.derived == cached.derived
        assert loaded.run_key == cached.run_key
        assert loaded.tail.batches == cached.tail.batches


async def test_calls_under_way_at_a_kill_get_no_answer_and_leave_whole_changes(tmp_path: Path) -> None:
    region = await open_region(tmp_path)
    await register(region)
    driver = Driver(region)
    await driver.start()
    calls = [asyncio.ensure_future(driver.signal()) for _ in range(30)]
    done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    await crash(region)
    results = await asyncio.gather(*calls, return_exceptions=True)
    answered = sum(result is None for result in results)
    assert answered >= len(done)
    assert all(result is None or isinstance(result, RegionKilled) for result in results)

    region = await open_region(tmp_path)
    events = await Driver(region).events()
    assert [event.event_id for event in events] == list(range(1, len(events) + 1))
    assert len(events) - 2 >= answered
    await Driver(region).signal()
    await region.close()
