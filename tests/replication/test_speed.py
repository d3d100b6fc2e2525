"""What must not cost more for being much: a backlog, a conflict of many runs.

`bench.backlog` and `bench.conflict` measure the same at full size.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from mockcloud.engine import loader
from mockcloud.engine.commit import Committed
from mockcloud.engine.namespaces import Namespace
from tests.replication.regions import Pair, Region

RUNS = 10
EACH = 60


async def started(pair: Pair) -> list[str]:
    await pair.register()
    ids = [f"w{number}" for number in range(RUNS)]
    for workflow_id in ids:
        await pair.a.start_workflow(workflow_id)
    await pair.converge()
    return ids


async def signal_in_turn(region: Region, ids: Iterable[str], each: int) -> None:
    for number in range(each):
        for workflow_id in ids:
            await region.signal(workflow_id, f"{region.name}{number}")


def applied_commits(region: Region) -> list[int]:
    """Of each commit of a peer's events in `region`: how many batches it has."""
    found: list[int] = []

    def committed(_namespace: Namespace, change: Committed) -> None:
        if not change.made_here and change.batches:
            found.append(len(change.batches))

    region.changes.listeners.append(committed)
    return found


async def test_the_tasks_of_a_run_behind_a_backlog_share_its_write(tmp_path: Path) -> None:
    async with Pair(tmp_path) as pair:
        ids = await started(pair)
        pair.cut("A", "B")
        await signal_in_turn(pair.a, ids, EACH)
        commits = applied_commits(pair.b)
        pair.mend()
        await pair.converge()
        assert sum(commits) == RUNS * EACH
        assert len(commits) < RUNS * EACH / 5


async def test_a_conflict_folds_each_run_a_few_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for the branch that wins, where it was not current; not once for each event that loses."""
    async with Pair(tmp_path) as pair:
        ids = await started(pair)
        pair.split()
        await pair.b.activate("B")
        await signal_in_turn(pair.a, ids, EACH)
        await signal_in_turn(pair.b, ids, EACH)
        folds = 0
        fold_batches = loader.fold_batches

        async def counted(*arguments: object) -> None:
            nonlocal folds
            folds += 1
            await fold_batches(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(loader, "fold_batches", counted)
        pair.mend()
        await pair.converge()
        assert [(await pair.a.loaded(name)).signal_count for name in ids] == [2 * EACH] * RUNS
        assert folds <= 3 * RUNS


@pytest.mark.serial
async def test_a_backlog_drains_at_a_rate_that_does_not_fall_with_its_size(tmp_path: Path) -> None:
    rates = []
    async with Pair(tmp_path) as pair:
        ids = await started(pair)
        for each in (50, 400):
            pair.cut("A", "B")
            await signal_in_turn(pair.a, ids, each)
            began = time.process_time()
            pair.mend()
            await pair.converge()
            rates.append(RUNS * each / (time.process_time() - began))
    assert rates[1] > 2_500, f"{rates[1]:.0f} events/s of processor time"
    assert rates[1] > 0.3 * rates[0], f"{rates}"  # an eighth, were it quadratic
