"""What must not cost more as it grows: polls that wait, and moments that many runs share."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History

from mockcloud.core import times
from mockcloud.core.limits import Limits
from mockcloud.engine.alarm import Alarm
from mockcloud.engine.commit import Committed
from mockcloud.engine.namespaces import Namespace

from .support import Driver, running, timer

MANY = 1_000
FIRED = EventType.EVENT_TYPE_TIMER_FIRED


@pytest.mark.serial
async def test_a_thousand_parked_polls_cost_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        polls = [
            asyncio.ensure_future(driver.poll(f"queue-{number % 50}", timeout=60)) for number in range(MANY)
        ]
        await asyncio.sleep(0)
        began = time.process_time()
        done, _ = await asyncio.wait(polls, timeout=1.0)
        used = time.process_time() - began
        assert not done
        assert used < 0.02, f"{used:.3f} s of CPU in a second"
        region.matching.end_polls()
        await asyncio.gather(*polls)


@pytest.mark.serial
async def test_a_thousand_timers_of_one_moment_fire_within_a_second(tmp_path: Path) -> None:
    async with running(tmp_path, limits=replace(Limits(), task_poll=60 * times.SECOND)) as region:
        driver = Driver(region)
        clock = region.ports.clock
        fired: list[int] = []
        all_fired = asyncio.Event()

        def committed(_namespace: Namespace, change: Committed) -> None:
            events = [event for batch in change.batches for event in History.FromString(batch.data).events]
            fired.extend(clock.now() for event in events if event.event_type == FIRED)
            if len(fired) == MANY:
                all_fired.set()

        await asyncio.gather(*(driver.start(f"run-{number}") for number in range(MANY)))
        tasks = await asyncio.gather(*(driver.poll() for _ in range(MANY)))
        moment = clock.now() + 4 * times.SECOND
        for some in range(0, MANY, 50):
            await asyncio.gather(
                *(
                    driver.complete(task, timer("t", (moment - clock.now()) / times.SECOND))
                    for task in tasks[some : some + 50]
                )
            )
        assert clock.now() < moment, "they are set before they are due"
        region.changes.listeners.append(committed)
        at_once = asyncio.Event()
        Alarm(clock, at_once.set).set(moment)
        await at_once.wait()
        async with asyncio.timeout(10):
            await all_fired.wait()
        late = max(fired) - moment
    assert late < times.SECOND, f"the last one {late / times.SECOND:.2f} s late"
