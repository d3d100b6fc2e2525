"""Tasks meet workers: each task goes to one of them, and none is lost."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import ReplicationState, TaskQueueType
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueResponse, ShutdownWorkerRequest

from mockcloud.core import times
from mockcloud.core.derived import Offer, TaskKind
from mockcloud.core.errors import NotFound
from mockcloud.core.priorities import DEFAULT
from mockcloud.core.run import RunKey
from mockcloud.engine.changes import StartReply
from mockcloud.engine.task_queue import Poll, Task, TaskQueue

from .support import QUEUE, A, B, Driver, activity, close, fail_over, limits, running, set_state, timer

WORKFLOW = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW


async def test_a_poll_ends_empty_when_its_time_is_over(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        assert not (await Driver(region).poll(timeout=0.02)).task_token


async def test_a_parked_poll_gets_the_task_when_it_comes(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        poll = asyncio.ensure_future(driver.poll())
        await asyncio.sleep(0)
        await driver.start()
        assert (await poll).task_token


async def test_each_task_goes_to_exactly_one_poll(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        polls = [asyncio.ensure_future(driver.poll(timeout=2)) for _ in range(60)]
        await asyncio.sleep(0)
        await asyncio.gather(*(driver.start(f"order-{number}") for number in range(40)))
        given = [poll.workflow_execution.workflow_id for poll in await asyncio.gather(*polls)]
        counts = Counter(given)
        assert counts.pop("") == 20
        assert set(counts.values()) == {1}
        assert len(counts) == 40


@pytest.mark.parametrize("turns", range(6))
async def test_a_poll_whose_client_is_gone_swallows_no_task(tmp_path: Path, turns: int) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        gone = asyncio.ensure_future(driver.poll(identity="gone"))
        await asyncio.sleep(0)
        start = asyncio.ensure_future(driver.start())
        await region.changes.drained_position(driver.namespace)
        for _ in range(turns):
            await asyncio.sleep(0)
        had = gone.done()
        gone.cancel()
        await asyncio.gather(start, gone, return_exceptions=True)
        events = await driver.names()
        if had or "WorkflowTaskStarted" in events:
            return  # it had been started for the one that vanished; its time-out brings it back
        assert (await driver.poll(timeout=2)).task_token


async def test_a_cancelled_waiter_is_passed_over(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        gone = asyncio.ensure_future(driver.poll(identity="gone"))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        await driver.start()
        assert (await driver.poll(timeout=2)).task_token


async def test_a_task_that_its_poll_did_not_start_is_first_again(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        loop = asyncio.get_running_loop()
        queue = TaskQueue(Driver(region).namespace, TaskKind.WORKFLOW, QUEUE, region.ports.clock)
        offers = [
            Offer(TaskKind.WORKFLOW, number, 1, 1, QUEUE, False, QUEUE, 0, DEFAULT) for number in (2, 5)
        ]
        first, second = (Task(RunKey(queue.namespace.id, "order", "run"), offer, queue) for offer in offers)
        gone = asyncio.ensure_future(queue.take(Poll("gone", ""), loop.time() + 5))
        await asyncio.sleep(0)
        queue.offer(first)
        queue.offer(second)
        gone.cancel()
        await asyncio.wait([gone])
        taken = [await queue.take(Poll("worker", ""), loop.time() + 5) for _ in range(2)]
        assert taken == [first, second]


async def test_a_sticky_task_carries_only_what_is_new(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        task = await driver.poll()
        sticky = asyncio.ensure_future(driver.poll("sticky-1", sticky=True))
        await driver.complete(task, timer("late", 3600), sticky="sticky-1")
        await driver.signal()
        given = await sticky
        assert [event.event_id for event in given.history.events] == [4, 5, 6, 7, 8]
        assert given.previous_started_event_id == 3


async def test_a_sticky_queue_without_worker_gives_way_to_the_normal_one(tmp_path: Path) -> None:
    async with running(tmp_path, limits=limits(sticky_poller_gone=0)) as region:
        driver = Driver(region)
        await driver.start()
        await driver.complete(await driver.poll(), timer("late", 3600), sticky="sticky-1")
        await driver.signal()
        given = await driver.poll()
        assert [event.event_id for event in given.history.events] == list(range(1, 9))
        sticky = await region.changes.read(
            driver.namespace, "order-1", "", lambda run: run.record.sticky.task_queue
        )
        assert sticky == ""


async def test_a_worker_that_shuts_down_ends_its_polls_and_frees_its_sticky_tasks(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        await driver.poll("sticky-1", sticky=True, timeout=0.01, worker_instance_key="w")
        await driver.complete(await driver.poll(), timer("late", 3600), sticky="sticky-1")
        await driver.signal()
        assert (
            region.task_queues.describe(
                driver.namespace, "sticky-1", WORKFLOW
            ).stats.approximate_backlog_count
            == 1
        )
        parked = asyncio.ensure_future(driver.poll("other", worker_instance_key="w"))
        await asyncio.sleep(0)
        region.matching.shutdown_worker(
            driver.namespace,
            ShutdownWorkerRequest(
                namespace="default", sticky_task_queue="sticky-1", worker_instance_key="w", task_queue=QUEUE
            ),
        )
        assert not (await parked).task_token
        assert not (await driver.poll(worker_instance_key="w")).task_token  # it was on its way
        assert (await driver.poll(timeout=2)).task_token


async def test_a_worker_that_shuts_down_is_no_poller_any_more(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        parked = asyncio.ensure_future(driver.poll(identity="me", worker_instance_key="w"))
        await asyncio.sleep(0)
        request = ShutdownWorkerRequest(identity="me", worker_instance_key="w", task_queue=QUEUE)
        region.matching.shutdown_worker(driver.namespace, request)
        assert not (await parked).task_token
        assert not region.task_queues.describe(driver.namespace, QUEUE, WORKFLOW).pollers


async def test_a_switch_turns_off_that_shutdown_ends_polls(tmp_path: Path) -> None:
    async with running(tmp_path, limits=limits(cancel_worker_polls_on_shutdown=False)) as region:
        driver = Driver(region)
        parked = asyncio.ensure_future(driver.poll(identity="me", worker_instance_key="w"))
        await asyncio.sleep(0)
        request = ShutdownWorkerRequest(identity="me", worker_instance_key="w", task_queue=QUEUE)
        region.matching.shutdown_worker(driver.namespace, request)
        await driver.start()
        assert (await parked).task_token


async def test_a_poll_that_waited_long_is_told_to_bring_fewer(tmp_path: Path) -> None:
    async with running(tmp_path, limits=limits(poller_scaling_wait=0)) as region:
        driver = Driver(region)
        await driver.start()
        assert (await driver.poll()).poller_scaling_decision.poll_request_delta_suggestion == -1


async def test_a_poll_that_leaves_others_waiting_is_told_to_bring_more(tmp_path: Path) -> None:
    async with running(tmp_path, limits=limits(poller_scaling_backlog_age=0)) as region:
        driver = Driver(region)
        for number in range(40):
            await driver.start(f"order-{number}")
        told = [
            (await driver.poll()).poller_scaling_decision.poll_request_delta_suggestion for _ in range(40)
        ]
        assert told[0] == 1
        assert set(told) == {0, 1}, "and not each of them"


async def test_tasks_that_come_faster_than_they_go_ask_for_more_polls(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        for number in range(2):
            await driver.start(f"order-{number}")
        assert (await driver.poll()).poller_scaling_decision.poll_request_delta_suggestion == 1
        assert not (await driver.poll()).HasField("poller_scaling_decision")


async def test_turning_passive_ends_polls_and_turning_active_serves_those_parked(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        parked = asyncio.ensure_future(driver.poll())
        await asyncio.sleep(0)
        await fail_over(region, B)
        assert not (await parked).task_token
        await fail_over(region, A)
        await driver.start()
        await fail_over(region, B)
        held = asyncio.ensure_future(driver.poll())
        await asyncio.sleep(0)
        assert (
            region.task_queues.describe(driver.namespace, QUEUE, WORKFLOW).stats.approximate_backlog_count
            == 1
        )
        await fail_over(region, A)
        assert (await held).task_token


async def test_handover_holds_tasks_and_keeps_polls(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        await set_state(region, ReplicationState.REPLICATION_STATE_HANDOVER)
        poll = asyncio.ensure_future(driver.poll())
        done, _ = await asyncio.wait([poll], timeout=0.02)
        assert not done
        await set_state(region, ReplicationState.REPLICATION_STATE_NORMAL)
        assert (await poll).task_token


async def test_a_stale_offer_is_passed_over(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start("order-1")
        task = await driver.poll()
        await driver.complete(task, activity("charge"))
        polls = [asyncio.ensure_future(driver.poll_activity(timeout=0.3)) for _ in range(3)]
        given = [poll.activity_id for poll in await asyncio.gather(*polls)]
        assert sorted(given) == ["", "", "charge"]


async def test_activities_of_one_workflow_task_wait_in_the_order_of_their_commands(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        names = [f"a{number}" for number in range(20)]
        await driver.complete(await driver.poll(), *map(activity, names))
        assert [(await driver.poll_activity()).activity_id for _ in names] == names


async def test_pollers_and_backlog_are_shown(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.poll(timeout=0.01, identity="me@host")
        await driver.start()
        view = region.task_queues.describe(driver.namespace, QUEUE, WORKFLOW)
        assert [poller.identity for poller in view.pollers] == ["me@host"]
        assert view.stats.approximate_backlog_count == 1
        assert 0 < times.nanoseconds(view.stats.approximate_backlog_age) < times.MINUTE


async def test_a_long_history_is_given_in_pages(tmp_path: Path) -> None:
    async with running(tmp_path, limits=limits(history_page=8)) as region:
        driver = Driver(region)
        await driver.start()
        for _ in range(20):
            await driver.signal()
        task = await driver.poll()
        assert [event.event_id for event in task.history.events] == list(range(1, 9))
        assert task.next_page_token
        await driver.complete(task, close())
        assert len(await driver.events()) == 25


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_clients_do_each_task_is_given_once_or_waits(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    async with running(tmp_path) as region:
        driver = Driver(region)
        polls: list[asyncio.Future[PollWorkflowTaskQueueResponse]] = []
        starts: list[asyncio.Future[StartReply]] = []
        for number in range(60):
            action = rng.choice(["poll", "start", "start", "vanish", "turn"])
            if action == "poll":
                polls.append(asyncio.ensure_future(driver.poll(timeout=0.5)))
            elif action == "start":
                starts.append(asyncio.ensure_future(driver.start(f"order-{number}")))
            elif action == "vanish" and polls:
                rng.choice(polls).cancel()
            for _ in range(rng.randrange(4)):
                await asyncio.sleep(0)
        await asyncio.gather(*starts)
        given = Counter(
            answer.workflow_execution.workflow_id
            for answer in await asyncio.gather(*polls, return_exceptions=True)
            if isinstance(answer, PollWorkflowTaskQueueResponse) and answer.task_token
        )
        assert set(given.values()) <= {1}
        waiting = 0
        for key in [f"order-{number}" for number in range(60)]:
            try:
                names = await driver.names(key)
            except NotFound:
                continue
            assert names.count("WorkflowTaskStarted") == 1 or key not in given
            waiting += "WorkflowTaskStarted" not in names
        assert (
            region.task_queues.describe(driver.namespace, QUEUE, WORKFLOW).stats.approximate_backlog_count
            == waiting
        )
        rest = [await driver.poll(timeout=1) for _ in range(waiting)]
        assert all(task.task_token for task in rest)
