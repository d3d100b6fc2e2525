"""What every multi-region scenario ends with, whatever happened in it.

Of each run of a workflow id, in each region that is up: nothing of it is parked; the events of each branch have ids
without gaps, and versions that never fall and belong to failovers that took place; the version history says what the
events say. Between the regions: the same runs, the same current run, equal current histories to the last byte, the
same set of branches. At most one run is open, and it is the current one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mockcloud.cloud.facade import Namespace
from mockcloud.cloud.views import Branch, RunView

INCREMENT = 10


async def settled(namespace: Namespace, workflow_id: str, *, regions: int = 2) -> list[RunView]:
    """Wait until the regions agree, check the invariants, and give the runs of `workflow_id`, the current one first."""
    await namespace.replicated()
    history = await namespace.history(workflow_id)
    check(history, regions)
    return current_first(next(iter(history.values())))


def current_first(runs: Sequence[RunView]) -> list[RunView]:
    return sorted(runs, key=lambda run: not run.current)


def check(history: Mapping[str, Sequence[RunView]], regions: int = 2) -> None:
    """The invariants of one workflow id, as the regions have it."""
    assert len(history) == regions, f"regions that are up: {list(history)}"
    for region, runs in history.items():
        assert runs, f"{region} has no run"
        current = [run for run in runs if run.current]
        assert len(current) == 1, f"{region} has {len(current)} current runs"
        still_open = [run for run in runs if run.status == "RUNNING" and not run.zombie]
        assert len(still_open) <= 1, f"{region} has {len(still_open)} open runs"
        assert not still_open or still_open == current, f"the open run of {region} is not the current one"
        for run in runs:
            assert not run.parked, f"{region} has parked {run.run_id}: {run.parked}"
            assert run.branches[0].current
            assert sum(branch.current for branch in run.branches) == 1
            for branch in run.branches:
                check_branch(branch, len(history))
    first, *others = ({run.run_id: run for run in runs} for runs in history.values())
    for other in others:
        assert other.keys() == first.keys(), "the regions have different runs"
        for run_id, run in first.items():
            check_same(run, other[run_id])


def check_branch(branch: Branch, regions: int) -> None:
    """Ids without gaps; versions that never fall, each of a region; items as the events have them."""
    assert [event.event_id for event in branch.events] == list(range(1, len(branch.events) + 1))
    versions = [event.version for event in branch.events]
    assert versions == sorted(versions), f"versions fall: {versions}"
    assert all(1 <= version % INCREMENT <= regions for version in versions), f"nobody's: {versions}"
    last_of = {event.version: event.event_id for event in branch.events}
    assert branch.items == tuple((event_id, version) for version, event_id in last_of.items())


def check_same(one: RunView, other: RunView) -> None:
    """The same run to the last field, the same set of branches (their order may differ)."""
    assert (one.status, one.current) == (other.status, other.current)
    assert one.branches[0].items == other.branches[0].items
    assert content(one.branches[0]) == content(other.branches[0]), "current histories differ"
    assert sorted(map(content, one.branches)) == sorted(map(content, other.branches)), "branches differ"


def content(branch: Branch) -> list[bytes]:
    return [event.SerializeToString(deterministic=True) for event in branch.events]
