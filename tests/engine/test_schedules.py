"""Schedules of one region: crashes at the worst moments, HANDOVER, and the passive side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import CommandType, ReplicationState
from temporalio.api.schedule.v1 import IntervalSpec
from temporalio.api.workflowservice.v1 import CreateScheduleRequest

from mockcloud.api.state.v1.schedule_pb2 import ScheduleRecord
from mockcloud.core import times
from mockcloud.core.errors import NamespaceHandover, NamespaceNotActive, NotFound, RegionKilled
from mockcloud.core.ports import SystemClock
from mockcloud.core.schedule import checks, machine
from mockcloud.core.schedule.state import ScheduleState
from mockcloud.engine.changes import StartReply
from mockcloud.engine.region import Region
from mockcloud.store import runs
from tests.engine.support import (
    QUEUE,
    A,
    B,
    Driver,
    crash,
    fail_over,
    open_region,
    register,
    running,
    set_state,
)

SLOT = "order-2026-01-05T12:00:00Z"
HANDOVER = ReplicationState.REPLICATION_STATE_HANDOVER
NORMAL = ReplicationState.REPLICATION_STATE_NORMAL


def wanted(region: Region, seconds: int = 3_600) -> CreateScheduleRequest:
    """A schedule that acts each so many seconds."""
    request = CreateScheduleRequest(schedule_id="s", request_id="create")
    interval = IntervalSpec()
    interval.interval.FromSeconds(seconds)
    request.schedule.spec.interval.append(interval)
    action = request.schedule.action.start_workflow
    action.workflow_id, action.workflow_type.name, action.task_queue.name = "order", "Order", QUEUE
    checks.create(request, region.namespaces.by_name("default").record, region.limits)
    return request


def triggered(region: Region) -> CreateScheduleRequest:
    """One that acts at once, for the slot `SLOT`."""
    request = wanted(region)
    request.initial_patch.trigger_immediately.scheduled_time.FromJsonString("2026-01-05T12:00:00Z")
    return request


async def create(region: Region, request: CreateScheduleRequest) -> None:
    await region.schedules.create(region.namespaces.by_name("default"), request)


async def state_of(region: Region) -> ScheduleState:
    return await region.schedules.read(region.namespaces.by_name("default"), "s")


async def until(region: Region, condition: Callable[[ScheduleState], bool]) -> ScheduleState:
    async with asyncio.timeout(10):
        while not condition(state := await state_of(region)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return state


def acted(count: int) -> Callable[[ScheduleState], bool]:
    return lambda state: state.info.action_count >= count


async def run_ids(region: Region, workflow_id: str = SLOT) -> list[str]:
    namespace = region.namespaces.by_name("default")
    rows = await region.store.read(lambda connection: runs.runs_of(connection, namespace.id, workflow_id))
    return [row.run_id for row in rows]


def on_start(
    region: Region, act: Callable[[Callable[[], Awaitable[StartReply]]], Awaitable[StartReply]]
) -> None:
    """Have `act` come between the schedule and the start of its workflow."""
    start = region.changes.start

    async def replaced(*arguments: Any) -> StartReply:
        return await act(lambda: start(*arguments))

    region.changes.start = replaced  # type: ignore[assignment,method-assign]


async def killed_in_turn(region: Region, request: CreateScheduleRequest) -> None:
    with pytest.raises(RegionKilled):
        await create(region, request)
    await region.store.wait_closed()


async def test_killed_between_commit_and_start(tmp_path: Path) -> None:
    region = await open_region(tmp_path)
    await register(region)

    async def before_the_start(start: Callable[[], Awaitable[StartReply]]) -> StartReply:
        region.kill()
        raise RegionKilled

    on_start(region, before_the_start)
    await killed_in_turn(region, triggered(region))

    region = await open_region(tmp_path)
    state = await until(region, acted(1))
    assert len(await run_ids(region)) == 1
    assert not state.record.pending_starts
    await region.close()


async def test_killed_between_start_and_record(tmp_path: Path) -> None:
    """The start is sent again, and is the same one."""
    region = await open_region(tmp_path)
    await register(region)

    async def after_the_start(start: Callable[[], Awaitable[StartReply]]) -> StartReply:
        await start()
        region.kill()
        raise RegionKilled

    on_start(region, after_the_start)
    await killed_in_turn(region, triggered(region))

    region = await open_region(tmp_path)
    state = await until(region, acted(1))
    (run_id,) = await run_ids(region)
    assert [action.start_workflow_result.run_id for action in state.info.recent_actions] == [run_id]
    assert [workflow.run_id for workflow in state.info.running_workflows] == [run_id]
    await region.close()


async def test_killed_when_the_run_has_gone_on_to_another(tmp_path: Path) -> None:
    """The workflow has continued as new before its start was recorded; it is known by the first run."""
    region = await open_region(tmp_path)
    await register(region)
    driver = Driver(region)

    async def after_the_first_run(start: Callable[[], Awaitable[StartReply]]) -> StartReply:
        await start()
        await driver.complete(await driver.poll(), continue_as_new())
        region.kill()
        raise RegionKilled

    on_start(region, after_the_first_run)
    await killed_in_turn(region, triggered(region))

    region = await open_region(tmp_path)
    state = await until(region, acted(1))
    first, _ = await run_ids(region)
    assert [workflow.run_id for workflow in state.info.running_workflows] == [first]
    await region.close()


def continue_as_new() -> Command:
    command = Command(command_type=CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION)
    command.continue_as_new_workflow_execution_command_attributes.workflow_type.name = "Order"
    return command


async def test_nothing_starts_in_handover(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        await create(region, wanted(region, seconds=1))
        before = await until(region, acted(1))
        await set_state(region, HANDOVER)
        counted = (await state_of(region)).info.action_count
        await passed(before.record.due + 2 * times.SECOND)
        assert (await state_of(region)).info.action_count == counted
        with pytest.raises(NamespaceHandover):
            await region.schedules.delete(region.namespaces.by_name("default"), "s")

        await set_state(region, NORMAL)
        # The first one still runs: the others are left out, each counted once.
        state = await until(region, lambda state: state.info.overlap_skipped >= 2)
        assert state.info.missed_catchup_window == 0


async def passed(moment: int) -> None:
    """Return after `moment`."""
    clock = SystemClock()
    while clock.now() < moment:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_the_passive_region_does_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        await create(region, wanted(region, seconds=1))
        before = await until(region, acted(1))
        await fail_over(region, B)
        await passed(before.record.due + times.SECOND)
        state = await state_of(region)
        assert (state.info.action_count, state.info.overlap_skipped) == (
            before.info.action_count,
            before.info.overlap_skipped,
        )
        with pytest.raises(NamespaceNotActive):
            await region.schedules.delete(region.namespaces.by_name("default"), "s")

        await fail_over(region, A)
        await until(region, lambda state: state.info.overlap_skipped > before.info.overlap_skipped)


async def test_a_peer_s_state_holds_if_it_is_newer(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        namespace = region.namespaces.by_name("default")
        await create(region, wanted(region))
        own = await state_of(region)

        async def received(version: int, stamp: int, note: str) -> str:
            state = ScheduleState.load(own.dump())
            state.record.version, state.record.stamp = version, stamp
            state.schedule.state.notes = note
            record = ScheduleRecord.FromString(state.dump())
            store, committed = region.schedules.receive(namespace, record)
            await region.store.transact(store)
            committed()
            return (await state_of(region)).schedule.state.notes

        record = own.record
        assert await received(record.version, record.stamp, "the same") == ""
        assert await received(record.version, record.stamp - 1, "older") == ""
        assert await received(record.version, record.stamp + 1, "newer") == "newer"
        assert await received(record.version + 1, 1, "of a later version") == "of a later version"
        assert await received(record.version, record.stamp + 2, "late") == "of a later version"


async def test_a_schedule_that_has_nothing_to_do_ends_after_a_week(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        request = wanted(region)
        request.schedule.spec.end_time.FromJsonString("2026-01-01T00:00:00Z")
        await create(region, request)
        state = await state_of(region)
        created = times.nanoseconds(state.info.create_time)
        assert state.record.due == created + machine.IDLE_RETENTION


async def test_closed_schedules_go_when_their_retention_is_over(tmp_path: Path) -> None:
    region = await open_region(tmp_path)
    await register(region)
    await create(region, wanted(region))
    namespace = region.namespaces.by_name("default")
    long_ago = region.ports.clock.now() - namespace.record.retention - 1
    await region.schedules._change(namespace, "s", lambda state, now: machine.close(state, long_ago))
    await crash(region)

    region = await open_region(tmp_path)
    async with asyncio.timeout(5):
        while True:
            try:
                await state_of(region)
            except NotFound:
                break
            await asyncio.sleep(0.01)
    await region.close()
