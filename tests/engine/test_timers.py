"""What falls due: at its moment, never before, not in a passive region, and nothing is lost by waiting."""

from __future__ import annotations

import asyncio
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import ReplicationState

from mockcloud.core import times
from mockcloud.core.ports import SystemClock
from mockcloud.engine.alarm import Alarm

from .support import A, B, Driver, fail_over, running, set_state, timer


async def armed(driver: Driver, seconds: float) -> None:
    await driver.start()
    await driver.complete(await driver.poll(), timer("t", seconds))


async def test_a_timer_fires_once_and_not_before_its_moment(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await armed(driver, 0.1)
        await driver.poll()
        started, fired = (await driver.events())[4:6]
        waited = fired.event_time.ToNanoseconds() - started.event_time.ToNanoseconds()
        assert 0.1 * times.SECOND <= waited < 1.1 * times.SECOND
        assert (await driver.names()).count("TimerFired") == 1


async def test_a_passive_region_waits_and_fires_when_it_turns_active(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await armed(driver, 0.05)
        await fail_over(region, B)
        poll = asyncio.ensure_future(driver.poll())
        done, _ = await asyncio.wait([poll], timeout=0.2)
        assert not done
        assert "TimerFired" not in await driver.names()
        await fail_over(region, A)
        task = await poll
        assert task.history.events[-3].WhichOneof("attributes") == "timer_fired_event_attributes"
        assert task.history.events[-3].version == 11


async def test_timers_wait_in_handover(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await armed(driver, 0.05)
        await set_state(region, ReplicationState.REPLICATION_STATE_HANDOVER)
        poll = asyncio.ensure_future(driver.poll())
        done, _ = await asyncio.wait([poll], timeout=0.2)
        assert not done
        await set_state(region, ReplicationState.REPLICATION_STATE_NORMAL)
        assert (await poll).task_token


async def test_a_workflow_task_that_is_not_completed_times_out(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start(workflow_task_timeout=Duration(seconds=1))
        await driver.poll()
        again = await driver.poll()
        assert again.attempt == 2
        assert [event.event_id for event in again.history.events] == [1, 2, 3, 4, 5, 6]


async def test_an_alarm_rings_for_the_earliest_moment() -> None:
    clock = SystemClock()
    rung: list[int] = []
    ringing = asyncio.Event()

    def ring() -> None:
        rung.append(clock.now())
        ringing.set()

    alarm = Alarm(clock, ring)
    early = clock.now() + 20 * times.MILLISECOND
    alarm.set(clock.now() + times.HOUR)
    alarm.set(early)
    alarm.set(early + times.SECOND)
    await asyncio.wait_for(ringing.wait(), 5)
    assert len(rung) == 1
    assert rung[0] >= early
    alarm.clear()
