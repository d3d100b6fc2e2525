from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockcloud.api.state.v1.state_pb2 import VersionHistories
from mockcloud.core import conflict, version_history
from mockcloud.core.conflict import (
    Append,
    Backfill,
    Duplicate,
    Existing,
    Incoming,
    Invalid,
    Missing,
    NewBranch,
    Plan,
    Switch,
    UnknownRun,
)
from mockcloud.core.version_history import Item

Pairs = list[tuple[int, int]]


def run(*branches: Pairs, current: int = 0) -> VersionHistories:
    return VersionHistories(
        current_index=current,
        histories=[
            version_history.branch(100 + number, [Item(*pair) for pair in pairs])
            for number, pairs in enumerate(branches)
        ],
    )


def batch(first_event_id: int, *pairs: tuple[int, int]) -> Incoming:
    return Incoming([Item(*pair) for pair in pairs], first_event_id)


CASES: list[tuple[str, VersionHistories | None, Incoming, Plan]] = [
    ("start of an unknown run", None, batch(1, (2, 1)), UnknownRun(is_start=True)),
    ("middle of an unknown run", None, batch(3, (3, 1)), UnknownRun(is_start=False)),
    ("next batch", run([(4, 1)]), batch(5, (6, 1)), Append(5)),
    ("next batch, after a failover", run([(4, 1)]), batch(5, (4, 1), (6, 2)), Append(5)),
    ("a tail that stands: the winner is idle [03b]", run([(4, 1)]), batch(5, (9, 1)), Append(5)),
    ("seen before", run([(4, 1)]), batch(3, (4, 1)), Duplicate()),
    ("a start seen before", run([(4, 1), (9, 2)]), batch(1, (2, 1)), Duplicate()),
    ("half of it seen before", run([(4, 1)]), batch(3, (6, 1)), Append(5)),
    ("a gap", run([(4, 1)]), batch(7, (8, 1)), Missing(Item(4, 1), Item(6, 1))),
    (
        "a gap across versions",
        run([(4, 1)]),
        batch(9, (6, 1), (8, 2), (9, 11)),
        Missing(Item(4, 1), Item(8, 2)),
    ),
    (
        "a gap on another branch",
        run([(12, 1)]),
        batch(7, (4, 1), (8, 2)),
        Missing(Item(4, 1), Item(6, 2)),
    ),
    (
        "the loser's tail reaches the winner",
        run([(4, 1), (8, 2)]),
        batch(5, (6, 1)),
        Backfill(NewBranch(0, Item(4, 1)), 5),
    ),
    (
        "more of the loser's tail",
        run([(4, 1), (8, 2)], [(6, 1)]),
        batch(7, (7, 1)),
        Backfill(Existing(1), 7),
    ),
    (
        "the winner's events reach the loser",
        run([(12, 1)]),
        batch(5, (4, 1), (6, 2)),
        Switch(NewBranch(0, Item(4, 1)), 5),
    ),
    (
        "the winner forks in the middle of a batch of the loser",
        run([(12, 1)]),
        batch(3, (4, 1)),
        Duplicate(),
    ),
    (
        "three switches: the third winner continues a branch that lost",
        run([(8, 1)], [(4, 1), (12, 2)], current=1),
        batch(9, (8, 1), (9, 11)),
        Switch(Existing(0), 9),
    ),
    (
        "three switches: forks from the middle of the second branch [09b]",
        run([(4, 1), (12, 2)]),
        batch(9, (4, 1), (8, 2), (10, 11)),
        Switch(NewBranch(0, Item(8, 2)), 9),
    ),
    (
        "nothing in common",
        run([(4, 1)]),
        batch(2, (3, 2)),
        Invalid("version history is malformed. No joint point found."),
    ),
]


DELETED = run([(4, 1), (8, 2)], [(6, 1)])


@pytest.mark.parametrize(
    ("incoming", "plan"),
    [
        pytest.param(batch(1, (2, 1)), Duplicate(), id="its start"),
        pytest.param(batch(7, (4, 1), (8, 2)), Duplicate(), id="its end"),
        pytest.param(batch(5, (6, 1)), Duplicate(), id="its losing branch"),
        pytest.param(batch(7, (7, 1)), UnknownRun(is_start=False), id="more of the losing branch"),
        pytest.param(batch(9, (4, 1), (8, 2), (9, 3)), UnknownRun(is_start=False), id="a later region's"),
        pytest.param(batch(7, (3, 1), (8, 2)), UnknownRun(is_start=False), id="written again elsewhere"),
        pytest.param(batch(1, (2, 5)), UnknownRun(is_start=True), id="another start"),
    ],
)
def test_a_deleted_run_comes_back_by_what_was_not_known_when_it_was_deleted(
    incoming: Incoming, plan: Plan
) -> None:
    assert conflict.decide(None, incoming, DELETED) == plan


@pytest.mark.parametrize(("local", "incoming", "plan"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_plan(local: VersionHistories | None, incoming: Incoming, plan: Plan) -> None:
    assert conflict.decide(local, incoming) == plan


@pytest.mark.parametrize(
    "incoming",
    [batch(1), batch(5, (4, 1)), batch(0, (4, 1)), batch(3, (4, 1), (6, 2)), batch(1, (4, 2), (5, 1))],
)
def test_a_batch_that_cannot_be(incoming: Incoming) -> None:
    assert isinstance(conflict.decide(run([(4, 1)]), incoming), Invalid)


@st.composite
def _forked_runs(draw: st.DrawFn) -> tuple[VersionHistories, Incoming]:
    """A run of branches, each forked from an earlier one, and a batch of one of them or of a new one."""

    def fork(branches: list[list[Item]], version: int) -> list[Item]:
        base = draw(st.sampled_from(branches))
        shared = version_history.until(base, draw(st.integers(1, base[-1].event_id)))
        shared = [item for item in shared if item.version < version]
        event_id = shared[-1].event_id if shared else 1
        return [*shared, Item(event_id + draw(st.integers(1, 6)), version)] if shared else base

    branches = [[Item(draw(st.integers(1, 8)), 1)]]
    for version in draw(st.lists(st.integers(2, 30), max_size=3, unique=True)):
        branches.append(fork(branches, version))
    used = {item.version for branch in branches for item in branch}
    # A version is one region's, which writes it on one branch only.
    new_version = draw(st.integers(2, 40).filter(lambda version: version not in used))
    longer = [[*branch[:-1], Item(branch[-1].event_id + 3, branch[-1].version)] for branch in branches]
    incoming = draw(st.sampled_from([fork(branches, new_version), *branches, *longer]))
    last = incoming[-1]
    before = incoming[-2].event_id if len(incoming) > 1 else 0
    first = draw(st.integers(before + 1, last.event_id))
    highest = max(range(len(branches)), key=lambda index: branches[index][-1].version)
    histories = VersionHistories(
        current_index=highest,
        histories=[version_history.branch(n, items) for n, items in enumerate(branches)],
    )
    return histories, Incoming(incoming, first)


@given(_forked_runs())
def test_every_plan_is_sound(case: tuple[VersionHistories, Incoming]) -> None:
    histories, incoming = case
    branches = [version_history.items(branch) for branch in histories.histories]
    current = branches[histories.current_index]
    plan = conflict.decide(histories, incoming)
    held = any(version_history.contains(branch, incoming.last) for branch in branches)
    assert isinstance(plan, Duplicate) == held
    if isinstance(plan, Append):
        assert version_history.is_tail(
            version_history.until(incoming.items, plan.first_event_id - 1), current[-1]
        )
    elif isinstance(plan, Backfill):
        assert incoming.last.version < current[-1].version
    elif isinstance(plan, Switch):
        assert incoming.last.version > current[-1].version
    elif isinstance(plan, Missing):
        assert plan.after.event_id < plan.until.event_id == incoming.first_event_id - 1
        assert version_history.contains(incoming.items, plan.until)
        assert any(version_history.contains(branch, plan.after) for branch in branches)
    if isinstance(plan, Backfill | Switch):
        shared = version_history.until(incoming.items, plan.first_event_id - 1)
        if isinstance(plan.target, Existing):
            assert branches[plan.target.index] == shared
        else:
            assert plan.target.last_shared == shared[-1]
            assert version_history.contains(branches[plan.target.parent_index], shared[-1])


def test_newer_of_two_runs() -> None:
    assert conflict.happens_after(2, 1, 1, 99)
    assert conflict.happens_after(2, 5, 2, 4)
    assert not conflict.happens_after(2, 4, 2, 4)
