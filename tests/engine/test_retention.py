"""Closed runs go when their retention is over."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from mockcloud.core import times
from mockcloud.core.errors import NotFound
from mockcloud.core.ports import Ports, SystemClock
from mockcloud.engine.region import Region
from mockcloud.store.database import Store

from .support import CLUSTERS, A, Driver, close, register


class Shifted(SystemClock):
    """The machine's clock, some time ahead."""

    ahead = 0

    def now(self) -> int:
        return super().now() + self.ahead


async def test_a_closed_run_is_deleted_after_its_retention_and_an_open_one_is_not(tmp_path: Path) -> None:
    clock = Shifted()

    async def life() -> Region:
        store = await Store.open(tmp_path / "a.db", durable=False)
        region = await Region.open(A, CLUSTERS, store, Ports(clock, random.Random(1)))
        await region.start()
        return region

    region = await life()
    await register(region)
    driver = Driver(region)
    await driver.start("open")
    task = await driver.poll()
    await driver.start("closed")
    await driver.complete(await driver.poll(), close())
    assert task.task_token
    await region.close()

    clock.ahead = 4 * times.DAY
    region = await life()
    driver = Driver(region)

    async def gone() -> None:
        while True:
            try:
                await driver.names("closed")
            except NotFound:
                return
            await asyncio.sleep(0)

    await asyncio.wait_for(gone(), 5)
    assert (await driver.names("open"))[0] == "WorkflowExecutionStarted"
    with pytest.raises(NotFound):
        await driver.signal("closed")
    await region.close()
