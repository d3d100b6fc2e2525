"""How fast a queue lets its tasks go, and whose word counts."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import DoubleValue
from temporalio.api.common.v1 import Priority
from temporalio.api.enums.v1 import RateLimitSource, TaskQueueType
from temporalio.api.taskqueue.v1 import RateLimit, TaskQueue, TaskQueueConfig, TaskQueueMetadata
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    UpdateTaskQueueConfigRequest,
)

from mockcloud.core import times
from mockcloud.core.derived import TaskKind
from mockcloud.core.priorities import TaskPriority
from mockcloud.engine.rate_limits import SYSTEM_RATE, RateLimits
from mockcloud.engine.task_queue import Poll

from .support import QUEUE, Driver, activity, crash, limits, open_region, register, running

ACTIVITY = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
NOW = 1_800_000_000 * times.SECOND
Update = UpdateTaskQueueConfigRequest.RateLimitUpdate


async def configure(driver: Driver, **fields: object) -> None:
    request = UpdateTaskQueueConfigRequest(task_queue=QUEUE, task_queue_type=ACTIVITY, **fields)  # type: ignore[arg-type]
    await driver.region.task_queue_configs.update(driver.namespace, request, limits())


def at_most(rate: float) -> Update:
    return Update(rate_limit=RateLimit(requests_per_second=rate))


async def poll(
    driver: Driver, timeout: float = 5.0, rate: float | None = None
) -> PollActivityTaskQueueResponse:
    request = PollActivityTaskQueueRequest(task_queue=TaskQueue(name=QUEUE), identity="worker")
    if rate is not None:
        request.task_queue_metadata.CopyFrom(TaskQueueMetadata(max_tasks_per_second=DoubleValue(value=rate)))
    return await driver.region.matching.poll_activity_task(driver.namespace, request, timeout)


async def with_activities(driver: Driver, *ids: str) -> None:
    await driver.start()
    await driver.complete(await driver.poll(), *map(activity, ids))


def test_whose_word_counts() -> None:
    rates = RateLimits()
    assert rates.effective() == (SYSTEM_RATE, RateLimitSource.RATE_LIMIT_SOURCE_SYSTEM)
    rates.polled(10.0, NOW)
    assert rates.effective() == (10.0, RateLimitSource.RATE_LIMIT_SOURCE_WORKER)
    config = _config(5)
    rates.configure(config, NOW)
    assert rates.effective() == (5.0, RateLimitSource.RATE_LIMIT_SOURCE_API)
    rates.configure(_config(1e6), NOW)
    assert rates.effective() == (SYSTEM_RATE, RateLimitSource.RATE_LIMIT_SOURCE_SYSTEM)
    rates.configure(_config(None), NOW)
    assert rates.effective() == (10.0, RateLimitSource.RATE_LIMIT_SOURCE_WORKER)
    rates.polled(None, NOW)
    assert rates.effective() == (SYSTEM_RATE, RateLimitSource.RATE_LIMIT_SOURCE_SYSTEM)


def _config(rate: float | None) -> TaskQueueConfig:
    config = TaskQueueConfig()
    if rate is not None:
        config.queue_rate_limit.rate_limit.requests_per_second = rate
    return config


def test_a_key_has_a_limit_of_its_own_scaled_by_its_weight() -> None:
    rates = RateLimits()
    config = TaskQueueConfig(fairness_weight_overrides={"heavy": 10.0})
    config.fairness_keys_rate_limit_default.rate_limit.requests_per_second = 1
    rates.configure(config, NOW)
    light, heavy = TaskPriority(3, "light"), TaskPriority(3, "heavy")
    for _ in range(2):
        rates.consume(light, NOW)
        rates.consume(heavy, NOW)
    assert rates.ready(light) > NOW
    assert rates.ready(heavy) <= NOW
    assert rates.ready(TaskPriority(3, "other")) <= NOW


async def test_zero_stops_a_queue_and_lifting_it_lets_it_go_on(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await configure(driver, update_queue_rate_limit=at_most(0))
        await with_activities(driver, "a")
        parked = asyncio.ensure_future(poll(driver))
        done, _ = await asyncio.wait([parked], timeout=0.03)
        assert not done
        assert not (await poll(driver, timeout=0.01)).task_token
        await configure(driver, update_queue_rate_limit=Update())
        assert (await parked).activity_id == "a"


async def test_a_task_that_comes_to_a_stopped_queue_waits_beside_the_poll(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await configure(driver, update_queue_rate_limit=at_most(0))
        parked = asyncio.ensure_future(poll(driver))
        await asyncio.sleep(0)
        await with_activities(driver, "a")
        view = region.task_queues.describe(driver.namespace, QUEUE, ACTIVITY)
        assert view.stats.approximate_backlog_count == 1
        assert not parked.done()
        await configure(driver, update_queue_rate_limit=Update())
        assert (await parked).activity_id == "a"


async def test_a_parked_poll_is_woken_when_the_limit_allows(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await configure(driver, update_queue_rate_limit=at_most(20))
        await with_activities(driver, *(f"a{number}" for number in range(26)))
        began = asyncio.get_running_loop().time()
        for _ in range(26):
            assert (await poll(driver)).task_token
        took = asyncio.get_running_loop().time() - began
        assert took >= 0.2, "a second's worth at once, then one each 50 ms"


async def test_the_last_polls_word_counts(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await with_activities(driver, "a", "b")
        assert not (await poll(driver, timeout=0.01, rate=0.0)).task_token
        view = region.task_queues.describe(driver.namespace, QUEUE, ACTIVITY)
        assert (view.rate, view.rate_source) == (0.0, RateLimitSource.RATE_LIMIT_SOURCE_WORKER)
        assert [poller.rate_per_second for poller in view.pollers] == [0.0]
        assert (await poll(driver)).task_token


async def test_a_void_task_takes_nothing_of_the_limit(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await configure(driver, update_queue_rate_limit=at_most(0.5))
        await driver.start("gone")
        await driver.complete(await driver.poll(), activity("a"))
        queue = region.task_queues.get(driver.namespace, TaskKind.ACTIVITY, QUEUE)
        before = queue.rates.ready(TaskPriority())
        task = queue.backlog.first()
        assert task is not None
        got = await queue.take(Poll("worker", ""), 0.0)
        assert got is task
        assert queue.rates.ready(TaskPriority()) > before
        queue.gone_in_vain(task)
        assert queue.rates.ready(TaskPriority()) <= region.ports.clock.now()


async def test_what_the_api_said_survives_a_crash(tmp_path: Path) -> None:
    region = await open_region(tmp_path)
    await register(region)
    await configure(Driver(region), update_queue_rate_limit=at_most(0))
    await crash(region)
    region = await open_region(tmp_path)
    try:
        driver = Driver(region)
        await with_activities(driver, "a")
        assert not (await poll(driver, timeout=0.01)).task_token
    finally:
        await region.close()


@pytest.mark.parametrize("crashed", [False, True])
async def test_priority_and_its_inheritance(tmp_path: Path, crashed: bool) -> None:
    region = await open_region(tmp_path)
    await register(region)
    driver = Driver(region)
    try:
        for name, key in (("slow", 5), ("plain", 0), ("fast", 1)):
            await driver.start(name, priority=Priority(priority_key=key))
        if crashed:
            await crash(region)
            region = await open_region(tmp_path)
            driver = Driver(region)
        tasks = [await driver.poll() for _ in range(3)]
        assert [task.workflow_execution.workflow_id for task in tasks] == ["fast", "plain", "slow"]
        urgent = activity("urgent")
        urgent.schedule_activity_task_command_attributes.priority.priority_key = 1
        for task in tasks:
            await driver.complete(task, activity(task.workflow_execution.workflow_id), urgent)
        given = [await poll(driver) for _ in range(6)]
        assert [answer.activity_id for answer in given[:4]].count("urgent") == 3
        assert [answer.activity_id for answer in given][-2:] == ["plain", "slow"]
        assert [answer.priority.priority_key for answer in given] == [1, 1, 1, 1, 0, 5]
    finally:
        await region.close()


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_the_limits_each_activity_is_given_once_and_in_order(
    tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    async with running(tmp_path) as region:
        driver = Driver(region)
        names = [f"a{number}" for number in range(30)]
        await with_activities(driver, *names)
        given: list[str] = []

        async def work() -> None:
            while len(given) < len(names):
                answer = await poll(driver, timeout=0.5)
                if answer.activity_id:
                    given.append(answer.activity_id)

        async def change() -> None:
            while len(given) < len(names):
                rate = rng.choice([5, 20, 200, None])
                limit = Update() if rate is None else at_most(rate)
                await configure(driver, update_queue_rate_limit=limit)
                await asyncio.sleep(0.02)
                if rng.random() < 0.3:
                    asyncio.ensure_future(poll(driver)).cancel()  # a client that vanishes

        async with asyncio.timeout(60):
            await asyncio.gather(work(), change())
        assert given == names
