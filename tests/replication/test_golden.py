"""Recordings whose outcome depends on a moment that a player cannot choose (`tests/golden` plays the others)."""

from __future__ import annotations

from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import (
    Command,
    CompleteWorkflowExecutionCommandAttributes,
    StartTimerCommandAttributes,
)
from temporalio.api.enums.v1 import CommandType

from mockcloud.core import times
from tests.replication.golden import assert_as_recorded
from tests.replication.regions import Pair, text


def complete_workflow(result: str) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
        complete_workflow_execution_command_attributes=CompleteWorkflowExecutionCommandAttributes(
            result=text(result)
        ),
    )


async def started(pair: Pair) -> None:
    """A run of four events, the same in both regions."""
    await pair.register()
    await pair.a.start_workflow("w1", input=text("input-A"))
    await pair.a.work("w1")
    await pair.same("w1")


async def test_03b_a_touch_between_the_batches_of_the_tail(tmp_path: Path) -> None:
    """The winner is idle, but touches the run when half of the loser's tail has arrived."""
    async with Pair(tmp_path) as pair:
        await started(pair)
        pair.split()
        await pair.b.activate("B")
        await pair.a.signal("w1", "sA1")
        token = await pair.a.poll("w1")
        pair.heal("A", "B")
        await pair.arrived("A", "B")
        pair.cut("A", "B")
        await pair.a.complete(token, complete_workflow("A-result"))

        await pair.b.changes.touch(pair.b.namespace, "w1", token.run_id)
        pair.mend()
        await pair.same("w1")
        await assert_as_recorded(pair, "03b", "after_heal")


async def test_08a_the_old_region_learns_late_of_the_switch(tmp_path: Path) -> None:
    """A's worker completes its task under the old version; B, which is idle, appends it."""
    async with Pair(tmp_path) as pair:
        await pair.register()
        await pair.a.start_workflow("w1", input=text("input-A"))
        token = await pair.a.poll("w1")
        await pair.same("w1")
        await assert_as_recorded(pair, "08a", "before_failover")

        pair.cut("B", "A")
        await pair.b.activate("B")
        await assert_as_recorded(pair, "08a", "after_failover")

        timer = Command(
            command_type=CommandType.COMMAND_TYPE_START_TIMER,
            start_timer_command_attributes=StartTimerCommandAttributes(
                timer_id="t", start_to_fire_timeout=Duration(seconds=1)
            ),
        )
        await pair.a.complete(token, timer)
        await pair.arrived("A", "B")
        await assert_as_recorded(pair, "08a", "after_old_completion")

        pair.mend()
        await pair.converge()
        assert pair.a.namespace.record.active_cluster == "B"
        pair.clock.advance(times.SECOND)
        await pair.b.fire_due("w1")
        await pair.b.work("w1", complete_workflow("done"))
        await pair.same("w1")
        await assert_as_recorded(pair, "08a", "final")
