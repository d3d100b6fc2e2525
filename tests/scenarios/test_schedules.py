"""Schedules across failovers: no slot is started twice, and none is left out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.schedule.v1 import ScheduleInfo, SchedulePatch, TriggerImmediatelyRequest
from temporalio.api.workflowservice.v1 import (
    DescribeScheduleRequest,
    DescribeScheduleResponse,
    ListSchedulesRequest,
    ListSchedulesResponse,
    PatchScheduleRequest,
)
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleBackfill,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)

from tests.scenarios.stage import EAST, LOCALLY, WEST, Caller, Stage, refused, until
from tests.scenarios.workflows import QUEUE, worker

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def schedule(every: timedelta, workflow: str, *args: str, workflow_id: str = "w") -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(workflow, args=args, id=workflow_id, task_queue=QUEUE),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.ALLOW_ALL),
    )


async def described(caller: Caller) -> DescribeScheduleResponse:
    """The schedule as this very region has it."""
    request = DescribeScheduleRequest(schedule_id="s")
    return await caller.ask(request, DescribeScheduleResponse, metadata=LOCALLY)


async def waited(caller: Caller, condition: Callable[[ScheduleInfo], bool]) -> ScheduleInfo:
    """What this very region knows, once it is so."""

    async def met() -> bool:
        try:
            return condition((await described(caller)).info)
        except grpc.aio.AioRpcError as error:  # it has not come here yet
            assert error.code() == grpc.StatusCode.NOT_FOUND  # noqa: PT017 - anything else is a failure
            return False

    await until(met)
    return (await described(caller)).info


def acted(count: int) -> Callable[[ScheduleInfo], bool]:
    return lambda info: info.action_count >= count


def started(info: ScheduleInfo) -> list[str]:
    return [action.start_workflow_result.workflow_id for action in info.recent_actions]


def contiguous(workflow_ids: list[str]) -> bool:
    moments = [
        datetime.strptime(name.partition("-")[2], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        for name in workflow_ids
    ]
    return all(later - earlier == SECOND for earlier, later in pairwise(moments))


async def test_17_schedules(stage: Stage) -> None:
    """There and back: each slot is one run, started in the region that was active by then."""
    client = await stage.client()
    east, west = stage.at(EAST), stage.at(WEST)
    async with worker(client):
        await client.create_schedule("s", schedule(SECOND, "Echo", "hello"))
        before = await waited(east, acted(1))
        await stage.failover(WEST)
        between = await waited(west, acted(before.action_count + 2))
        await stage.failover(EAST)
        after = await waited(east, acted(between.action_count + 2))
        await client.get_schedule_handle("s").pause()

    assert contiguous(started(after))
    versions = []
    for workflow_id in started(after):
        run = await stage.only_run(workflow_id)
        versions.append(run.events[0].version)
    assert versions == sorted(versions)
    assert set(versions) == {1, 2, 11}
    # Both regions know the same of it.
    both = [await described(east), await described(west)]
    assert both[0] == both[1]
    await stage.namespace.replicated()
    lists = [
        await caller.ask(ListSchedulesRequest(), ListSchedulesResponse, metadata=LOCALLY)
        for caller in (east, west)
    ]
    assert lists[0] == lists[1]
    assert [entry.schedule_id for entry in lists[0].schedules] == ["s"]


async def test_switches_and_kills_in_quick_succession(stage: Stage) -> None:
    """Some of them meet a turn in the middle. Each slot of each schedule is one run all the same."""
    client = await stage.client()
    names = [f"s{number}" for number in range(6)]
    async with worker(client):
        for name in names:
            await client.create_schedule(name, schedule(SECOND, "Echo", "hello", workflow_id=name))
        for _ in range(3):
            for region in (WEST, EAST):
                await stage.failover(region)
            await stage.cloud.region(EAST).kill()
            await stage.cloud.region(EAST).start()
            await until_acted(client.get_schedule_handle(names[0]))
        for name in names:
            await client.get_schedule_handle(name).pause()

    for name in names:
        info = (await client.get_schedule_handle(name).describe()).raw_description.info
        assert contiguous(started(info))
        assert info.action_count == len(info.recent_actions)
        for action in info.recent_actions:
            execution = action.start_workflow_result
            run = await stage.only_run(execution.workflow_id)
            assert run.run_id == execution.run_id


async def until_acted(handle: ScheduleHandle) -> None:
    """Return once the schedule has acted again."""
    before = (await handle.describe()).info.num_actions

    async def again() -> bool:
        return (await handle.describe()).info.num_actions > before

    await until(again)


async def test_what_came_due_in_between_is_made_up_for(stage: Stage) -> None:
    """The old region is down for some slots before the new one takes over."""
    client = await stage.client(WEST)
    west = stage.at(WEST)
    async with worker(client):
        await client.create_schedule("s", schedule(SECOND, "Echo", "hello"))
        before = await waited(west, acted(1))
        await stage.cloud.region(EAST).kill()
        last = max(before.future_action_times[1].ToDatetime(UTC), datetime.now(UTC))

        async def passed() -> bool:
            return datetime.now(UTC) > last

        await until(passed)
        await stage.failover(WEST, forced=True)
        after = await waited(west, acted(before.action_count + 3))

    assert contiguous(started(after))
    assert after.missed_catchup_window == 0


async def test_a_split_leads_to_one_schedule(stage: Stage) -> None:
    """Both regions act on it for a while; then the new region's state holds, and names each slot once."""
    client = await stage.client(WEST)
    east, west = stage.at(EAST), stage.at(WEST)
    await client.create_schedule("s", schedule(SECOND, "Echo", "hello"))
    before = await waited(west, acted(1))
    stage.cloud.link(EAST, WEST).partition()
    await stage.failover(WEST, forced=True)
    both = await waited(east, acted(before.action_count + 2))
    await waited(west, acted(before.action_count + 2))
    stage.cloud.link(EAST, WEST).heal()

    async def agreed() -> bool:
        return (await described(east)).info.action_count > both.action_count and (await described(east)) == (
            await described(west)
        )

    await until(agreed)
    await client.get_schedule_handle("s").pause()
    assert contiguous(started((await described(west)).info))


async def test_what_the_losing_side_was_told_is_told_again(stage: Stage) -> None:
    """A pause and a trigger at the region that has lost: in the real server they are signals, which are reapplied."""
    client = await stage.client(WEST)
    east, west = stage.at(EAST), stage.at(WEST)
    await client.create_schedule("s", schedule(timedelta(hours=1), "Echo", "hello"))
    await waited(west, lambda info: True)
    stage.cloud.link(EAST, WEST).partition()
    await stage.failover(WEST, forced=True)
    await client.get_schedule_handle("s").pause(note="told the new region")
    moment = Timestamp(seconds=int(NOON.timestamp()))
    for patch in (
        SchedulePatch(unpause="told the old region"),
        SchedulePatch(trigger_immediately=TriggerImmediatelyRequest(scheduled_time=moment)),
    ):
        await east.call(PatchScheduleRequest(schedule_id="s", patch=patch), metadata=LOCALLY)
    stage.cloud.link(EAST, WEST).heal()

    info = await waited(west, acted(1))
    assert started(info) == ["w-2026-01-05T12:00:00Z"]
    assert (await described(west)).schedule.state.notes == "told the old region"

    async def agreed() -> bool:
        return await described(east) == await described(west)

    await until(agreed)
    assert (await described(west)).info.action_count == 1

    # What both regions have started for it has one id, and one of both is left.
    async def one() -> bool:
        return await current(east) == await current(west)

    await until(one)


async def current(caller: Caller) -> str:
    """The run that is current in this very region."""
    events = await caller.events("w-2026-01-05T12:00:00Z")
    return events[0].workflow_execution_started_event_attributes.original_execution_run_id


async def test_a_buffer_and_what_runs_move_along(stage: Stage) -> None:
    """A workflow that runs at the failover is waited for in the new region, and gives its result there."""
    client = await stage.client()
    async with worker(client):
        handle = await client.create_schedule("s", schedule(timedelta(hours=1), "Inbox", "all"))
        await backfilled(handle, ScheduleOverlapPolicy.BUFFER_ALL, hours=3)
        west = stage.at(WEST)
        await waited(west, acted(1))
        await stage.failover(WEST)

        for hour in range(3):
            await waited(west, acted(hour + 1))
            await client.get_workflow_handle(f"w-2026-01-05T{12 + hour}:00:00Z").signal("close")
        info = await waited(west, lambda info: info.action_count == 3 and not info.running_workflows)
    assert started(info) == [f"w-2026-01-05T{12 + hour}:00:00Z" for hour in range(3)]
    assert {action.start_workflow_status for action in info.recent_actions} == {2}


async def backfilled(handle: ScheduleHandle, overlap: ScheduleOverlapPolicy, *, hours: int) -> None:
    end = NOON + timedelta(hours=hours - 1)
    await handle.backfill(ScheduleBackfill(start_at=NOON, end_at=end, overlap=overlap))


async def test_calls_at_the_passive_region(stage: Stage) -> None:
    """They are forwarded; where redirection is off, reads are answered and writes refused."""
    client: Client = await stage.client(WEST)
    east, west = stage.at(EAST), stage.at(WEST)
    handle = await client.create_schedule("s", schedule(timedelta(hours=1), "Echo", "hello"))
    await handle.pause(note="from afar")
    assert (await described(east)).schedule.state.notes == "from afar"

    async def arrived() -> bool:
        page = await west.ask(ListSchedulesRequest(), ListSchedulesResponse, metadata=LOCALLY)
        return [entry.info.notes for entry in page.schedules] == ["from afar"]

    await until(arrived)
    await handle.delete()

    async def gone() -> bool:
        page = await west.ask(ListSchedulesRequest(), ListSchedulesResponse, metadata=LOCALLY)
        return not page.schedules

    await until(gone)
    error = await refused(described(west))
    assert error.details() == "schedule not found"
