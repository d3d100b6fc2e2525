"""Scenario 39: a task that cannot be applied ends in the dead letters, and its run alone waits for it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mockcloud.api.replication.v1.replication_pb2 import ReplicationTask
from mockcloud.cli.main import main
from mockcloud.replication.plan import TaskPlan
from tests.scenarios.stage import COMPLETE, EAST, WEST, Stage, refused, signals, until

REASON = "this region has a bug"


async def run(stage: Stage, *arguments: str) -> Result:
    """`mockcloud …`."""
    return await asyncio.to_thread(
        CliRunner().invoke, main, [*arguments, "--cloud", stage.cloud.cloud_ops, "-o", "json"]
    )


async def letters(stage: Stage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((await run(stage, "dlq", "list")).stdout)
    return found


async def test_39_a_poisoned_task(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The west fails at whatever comes of one workflow. The other ones go on; mended, it takes in what it has kept."""
    add = TaskPlan.add

    async def fails(plan: TaskPlan, task: ReplicationTask, **how: Any) -> None:
        if task.history.workflow_id == "poisoned":
            raise RuntimeError(REASON)
        await add(plan, task, **how)

    monkeypatch.setattr(TaskPlan, "add", fails)
    east, west = stage.at(EAST), stage.at(WEST)
    poisoned = await east.start("poisoned")
    for number in range(3):
        await east.start(f"w{number}")

    # The others do not wait for it.
    for number in range(3):
        await stage.settled(f"w{number}") if number else None
        await east.signal(f"w{number}", "s")

    async def buried() -> bool:
        return len(await letters(stage)) == 1

    await until(buried)
    (letter,) = await letters(stage)
    assert (letter["region"], letter["workflow_id"], letter["run_id"]) == (WEST, "poisoned", poisoned)
    assert letter["reason"] == REASON
    for number in range(3):
        assert signals((await stage.only_run(f"w{number}")).events) == ["s"]
    await refused(west.events("poisoned"))

    # As long as it is not mended, it fails again and stays; then it is taken in, and nothing of the run is missing.
    still = await run(stage, "dlq", "replay", WEST)
    assert still.exit_code == 1
    assert len(await letters(stage)) == 1
    monkeypatch.undo()
    replayed = json.loads((await run(stage, "dlq", "replay", WEST)).stdout)
    assert len(replayed["applied"]) == 1
    assert await letters(stage) == []
    await east.signal("poisoned", "after")
    assert signals((await stage.only_run("poisoned")).events) == ["after"]
    await stage.failover(WEST)
    for _ in range(4):
        await west.work(COMPLETE)
    assert (await stage.only_run("poisoned")).status == "COMPLETED"
