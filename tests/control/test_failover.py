"""The failover state machine against regions in memory. Scenario numbers are those of the multi-region scenarios."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest

from mockcloud.api.admin.v1 import cloud_admin_pb2 as admin
from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.control.failover import Step
from mockcloud.control.settings import ControlSettings
from mockcloud.core.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NamespaceNotFound,
    NotFound,
    Unavailable,
)
from tests.control.fakes import EAST, PATIENCE, SOUTH, WEST, Gate, World, raising, seconds, world

ORDER = ("caught-up", "handover", "drained", "switch", "adopt", "normal")

# The graceful attempt's time in tests where it must run out.
SHORT = ControlSettings(graceful=seconds(0.4), retry_first=seconds(0.01))


async def _failover(cloud: World, target: str, **fields: object) -> admin.OperationView:
    request = admin.FailoverRequest(namespace="orders", region=target, **fields)  # type: ignore[arg-type]
    return await asyncio.wait_for(cloud.plane.failover(request), PATIENCE)


async def _ended(cloud: World, operation_id: str) -> admin.OperationView:
    """The operation once it has ended: asking again with its id waits for it."""
    operation = await cloud.plane.operation(operation_id)
    return await _failover(cloud, operation.region, operation_id=operation_id)


async def test_graceful_20(tmp_path: Path) -> None:
    """Catch up, HANDOVER, drain, switch at the target, tell the old region: in this order."""
    async with world(tmp_path) as cloud:
        operation = await _failover(cloud, WEST, who="a test")

        assert (operation.state, operation.mode, operation.version) == ("FULFILLED", "graceful", 2)
        assert (operation.source, operation.who, operation.reason) == (EAST, "a test", "")
        assert cloud.journal_of(*ORDER) == [
            f"{EAST} caught-up",
            f"{EAST} handover",
            f"{EAST} drained",
            f"{WEST} switch",
            f"{EAST} adopt",
        ]
        for region in (cloud.east, cloud.west):
            record = region.record()
            assert (record.active_cluster, record.failover_version, record.handover) == (WEST, 2, False)
        assert list(cloud.east.record().failover_history) == list(cloud.west.record().failover_history)
        assert cloud.endpoints.followed == [("orders", EAST), ("orders", WEST)]


async def test_failback_19_raises_the_version_and_the_active_region_is_a_no_op(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        await _failover(cloud, WEST)
        back = await _failover(cloud, EAST)
        cloud.journal.clear()

        again = await _failover(cloud, EAST)

        assert (back.mode, back.version) == ("graceful", 11)
        assert (again.state, again.mode, again.version) == ("FULFILLED", "none", 11)
        assert cloud.journal == []


async def test_forced_on_request_asks_nothing_of_the_old_region(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        operation = await _failover(cloud, WEST, forced=True)

        assert (operation.mode, operation.version) == ("forced", 2)
        assert cloud.journal_of(*ORDER) == [f"{WEST} switch"]
        # It goes on serving under its version until its link tells it.
        assert cloud.east.record().active_cluster == EAST


async def test_drain_impossible_22(tmp_path: Path) -> None:
    """Half of the time for catching up, HANDOVER regardless, and at the end NORMAL before the forced switch."""
    async with world(tmp_path, SHORT) as cloud:
        cloud.east.hooks["caught-up"] = cloud.east.hooks["drained"] = Gate()
        began = asyncio.get_running_loop().time()

        operation = await _failover(cloud, WEST)

        assert asyncio.get_running_loop().time() - began >= 0.3
        assert (operation.state, operation.mode) == ("FULFILLED", "forced")
        assert operation.reason == "handover: the graceful attempt took longer than 0.4 s"
        assert cloud.journal_of(*ORDER) == [f"{EAST} handover", f"{EAST} normal", f"{WEST} switch"]
        assert cloud.east.record().handover is False
        assert cloud.east.record().active_cluster == EAST


@pytest.mark.parametrize(
    ("word", "order"),
    [
        ("caught-up", ["switch"]),
        ("handover", ["normal", "switch"]),
        ("drained", ["handover", "normal", "switch"]),
    ],
)
async def test_a_step_that_fails_forces(tmp_path: Path, word: str, order: list[str]) -> None:
    async with world(tmp_path) as cloud:
        cloud.east.hooks[word] = raising(Unavailable("gone"))

        operation = await _failover(cloud, WEST)

        assert (operation.state, operation.mode) == ("FULFILLED", "forced")
        assert operation.reason.endswith("gone")
        wanted = [entry.split()[1] for entry in cloud.journal_of(*ORDER)]
        assert [entry for entry in wanted if entry != "caught-up"] == order
        assert cloud.east.record().handover is False


async def test_a_forced_switch_gives_a_slow_region_more_time_with_each_try(tmp_path: Path) -> None:
    settings = ControlSettings(call_timeout=seconds(0.05), retry_first=seconds(0.01))
    async with world(tmp_path, settings) as cloud:
        attempts = 0

        async def slow() -> None:
            nonlocal attempts
            attempts += 1
            await asyncio.sleep(0.15)

        cloud.west.hooks["switch"] = slow

        operation = await _failover(cloud, WEST, forced=True)

        assert (operation.state, operation.mode) == ("FULFILLED", "forced")
        assert attempts >= 2, "the first ones gave it less time than it needs"


async def test_a_switch_that_fails_releases_the_old_region_and_is_tried_again(tmp_path: Path) -> None:
    settings = ControlSettings(retry_first=seconds(0.01))
    async with world(tmp_path, settings) as cloud:
        attempts = 0

        async def twice() -> None:
            nonlocal attempts
            attempts += 1
            if attempts <= 2:
                raise Unavailable("not yet")

        cloud.west.hooks["switch"] = twice

        operation = await _failover(cloud, WEST)

        assert (operation.state, operation.mode, attempts) == ("FULFILLED", "forced", 3)
        assert cloud.journal_of("normal", "switch") == [f"{EAST} normal", f"{WEST} switch"]
        assert (cloud.east.record().handover, cloud.east.record().active_cluster) == (False, EAST)


async def test_a_switch_that_the_target_refuses_fails_the_operation(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        cloud.west.hooks["switch"] = raising(InvalidArgument("never"))

        operation = await _failover(cloud, WEST)

        assert (operation.state, operation.reason) == ("FAILED", "never")
        assert cloud.east.record().handover is False


async def test_the_old_region_that_could_not_be_released_is_released_when_it_comes_back(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, SHORT) as cloud:
        gate = Gate()
        cloud.east.hooks["drained"] = gate
        released = Gate()
        released.open()
        cloud.east.hooks["normal"] = released
        running = asyncio.create_task(_failover(cloud, WEST))
        await gate.reached.wait()

        cloud.down(EAST)
        operation = await running
        assert (operation.mode, cloud.east.record().handover) == ("forced", True)
        assert not released.reached.is_set()

        # The debt is on disk, too.
        await cloud.restart()
        cloud.up(EAST)
        await asyncio.wait_for(released.reached.wait(), PATIENCE)
        await cloud.east.until(lambda record: not record.handover)


async def test_asked_twice_at_once_25(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        gate = Gate()
        cloud.east.hooks["drained"] = gate
        first = asyncio.create_task(_failover(cloud, WEST))
        await gate.reached.wait()
        second = asyncio.create_task(_failover(cloud, WEST))
        elsewhere = await asyncio.gather(_failover(cloud, SOUTH), return_exceptions=True)
        gate.open()

        assert ((await first).mode, (await first).version) == ("graceful", 2)
        assert ((await second).state, (await second).mode, (await second).version) == ("FULFILLED", "none", 2)
        assert isinstance(elsewhere[0], InvalidArgument)  # it has no replica there
        assert cloud.journal_of("switch") == [f"{WEST} switch"]


async def test_a_failover_to_another_region_waits_its_turn_outside(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        await cloud.plane.tools.create_namespace(
            admin.CreateNamespaceRequest(name="wide", regions=[EAST, WEST, SOUTH])
        )
        gate = Gate()
        cloud.east.hooks["drained"] = gate
        request = admin.FailoverRequest(namespace="wide", region=WEST, no_wait=True)
        operation = await cloud.plane.failover(request)
        await gate.reached.wait()

        with pytest.raises(FailedPrecondition, match=operation.id):
            await cloud.plane.failover(admin.FailoverRequest(namespace="wide", region=SOUTH))
        gate.open()


async def test_the_timeline_tells_for_how_long_calls_are_held(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        gate = Gate()
        cloud.east.hooks["drained"] = gate
        cloud.told.clear()
        operation = await cloud.plane.failover(
            admin.FailoverRequest(namespace="orders", region=WEST, no_wait=True)
        )
        held = [(EAST, True)]
        async with asyncio.timeout(PATIENCE):
            while _held(cloud) != held:  # noqa: ASYNC110 nobody tells when something is told
                await asyncio.sleep(0)
        await gate.reached.wait()
        gate.open()
        await _ended(cloud, operation.id)
        assert _held(cloud) == [*held, (WEST, False)]


def _held(cloud: World) -> list[tuple[str, bool]]:
    """Where the namespace was active and whether it was in HANDOVER, whenever either changed."""
    states = [(data["active_region"], data["handover"]) for kind, data in cloud.told if kind == "namespace"]
    return [state for state, _ in itertools.groupby(states)]


@pytest.mark.parametrize("step", ["caught-up", "handover", "drained", "switch", "adopt"])
async def test_control_plane_killed_at_each_step_26(tmp_path: Path, step: str) -> None:
    """Killed before the region has answered, and again after it has: the operation ends, nothing stays in HANDOVER."""
    async with world(tmp_path) as cloud:
        region = cloud.west if step == "switch" else cloud.east
        gate = Gate()
        region.hooks[step] = gate
        operation = await cloud.plane.failover(
            admin.FailoverRequest(namespace="orders", region=WEST, no_wait=True)
        )
        await asyncio.wait_for(gate.reached.wait(), PATIENCE)
        await cloud.plane.kill()
        del region.hooks[step]

        await cloud.restart()
        ended = await _ended(cloud, operation.id)

        assert (ended.state, ended.mode, ended.version) == ("FULFILLED", "graceful", 2)
        for place in (cloud.east, cloud.west):
            assert (place.record().active_cluster, place.record().handover) == (WEST, False)


async def test_control_plane_killed_after_the_switch_took_place(tmp_path: Path) -> None:
    """The target has switched, the answer is lost with the control plane: the version does not rise twice."""
    async with world(tmp_path) as cloud:
        gate = Gate()
        cloud.west.hooks["get"] = gate  # asked after the switch, for the record to tell
        gate.open()
        operation = await _failover(cloud, WEST)
        assert operation.version == 2

        # Taken back to the step before, as if its end had not been stored.
        parts = cloud.plane._running
        stored = await parts.operations.get(operation.id)
        await parts.operations.save(stored._replace(step=Step.SWITCHING, finished=0))
        await cloud.restart()
        again = await _ended(cloud, operation.id)

        assert (again.mode, again.version) == ("graceful", 2)
        assert cloud.west.record().failover_version == 2


async def test_control_plane_that_was_dead_for_longer_than_the_graceful_time_forces(tmp_path: Path) -> None:
    async with world(tmp_path, SHORT) as cloud:
        gate = Gate()
        cloud.east.hooks["drained"] = gate
        operation = await cloud.plane.failover(
            admin.FailoverRequest(namespace="orders", region=WEST, no_wait=True)
        )
        await gate.reached.wait()
        await cloud.plane.kill()
        cloud.clock.skip(SHORT.graceful)
        del cloud.east.hooks["drained"]

        await cloud.restart()
        ended = await _ended(cloud, operation.id)

        assert (ended.state, ended.mode) == ("FULFILLED", "forced")
        assert (cloud.east.record().active_cluster, cloud.east.record().handover) == (EAST, False)


async def test_a_target_that_is_down_is_refused_and_one_that_dies_later_is_waited_for(tmp_path: Path) -> None:
    async with world(tmp_path, SHORT) as cloud:
        cloud.down(WEST)
        with pytest.raises(FailedPrecondition, match="not ready to be failed over to"):
            await _failover(cloud, WEST)
        cloud.up(WEST)

        gate = Gate()
        cloud.east.hooks["drained"] = gate
        running = asyncio.create_task(_failover(cloud, WEST))
        await gate.reached.wait()
        cloud.down(WEST)
        gate.open()
        await cloud.east.until(lambda record: not record.handover)
        assert not running.done()
        cloud.up(WEST)

        assert ((await running).state, (await running).mode) == ("FULFILLED", "forced")


async def test_failing_back_to_a_region_that_never_heard_of_the_first_failover(tmp_path: Path) -> None:
    """East missed version 2: without being told it would stay at 1, below the other side."""
    async with world(tmp_path) as cloud:
        await _failover(cloud, WEST, forced=True)
        assert cloud.east.record().failover_version == 1

        operation = await _failover(cloud, EAST, forced=True)

        assert operation.version == 11
        assert cloud.east.record().failover_version == 11


async def test_configuration_does_not_go_around_the_links(tmp_path: Path) -> None:
    """Scenario 41: what the control plane tells a region of a failover leaves its configuration alone."""
    async with world(tmp_path) as cloud:
        changed = NamespaceRecord()
        changed.CopyFrom(cloud.west.record())
        changed.description, changed.config_version = "west's", 7
        cloud.west.put(changed)

        await _failover(cloud, WEST)

        assert cloud.east.record().active_cluster == WEST
        assert cloud.east.record().description == ""


async def test_the_same_operation_id_finds_the_same_operation(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        first = await _failover(cloud, WEST, operation_id="mine")
        again = await _failover(cloud, WEST, operation_id="mine")

        assert again == first
        with pytest.raises(AlreadyExists):
            await _failover(cloud, EAST, operation_id="mine")


async def test_bad_requests_change_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        with pytest.raises(InvalidArgument, match="does not exist"):
            await _failover(cloud, "mars-1")
        with pytest.raises(InvalidArgument, match="has no replica in region"):
            await _failover(cloud, SOUTH)
        with pytest.raises(NamespaceNotFound):
            await cloud.plane.failover(admin.FailoverRequest(namespace="nobody", region=WEST))
        with pytest.raises(NotFound):
            await cloud.plane.operation("nothing")
        assert cloud.journal == []


async def test_after_its_end_it_answers_unavailable(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        gate = Gate()
        cloud.east.hooks["drained"] = gate
        waiting = asyncio.create_task(_failover(cloud, WEST))
        await gate.reached.wait()

        await cloud.plane.kill()

        with pytest.raises(Unavailable):
            await waiting
        with pytest.raises(Unavailable):
            await _failover(cloud, WEST)
