from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.api.history.v1 import History

from mockcloud.core.outcome import Batch, Fork
from mockcloud.store import history, schema
from tests.store.builders import batch


def ids(batches: list[Batch]) -> list[int]:
    """Event ids of batches, which must concatenate to one History."""
    return [event.event_id for event in History.FromString(b"".join(batch.data for batch in batches)).events]


def test_batches_of_a_branch_concatenate_to_one_history(connection: sqlite3.Connection) -> None:
    history.add_forks(connection, 1, [Fork(10)])
    history.append(connection, [batch(10, 1, 2), batch(10, 3, 3), batch(10, 4, 7)])

    found = history.read_branch(connection, 10)

    assert ids(found) == [1, 2, 3, 4, 5, 6, 7]
    assert found[2] == batch(10, 4, 7)


@pytest.mark.parametrize(
    ("first", "end", "expected"),
    [
        (1, 3, [1, 2]),
        (3, 4, [3]),
        (2, 3, [1, 2]),
        (5, 6, [4, 5, 6, 7]),
        (3, 5, [3, 4, 5, 6, 7]),
        (8, 20, []),
        (3, 3, []),
    ],
)
def test_a_range_takes_the_whole_batches_that_hold_it(
    connection: sqlite3.Connection, first: int, end: int, expected: list[int]
) -> None:
    history.add_forks(connection, 1, [Fork(10)])
    history.append(connection, [batch(10, 1, 2), batch(10, 3, 3), batch(10, 4, 7)])

    assert ids(history.read_branch(connection, 10, first, end)) == expected
    backward = history.read_branch_reverse(connection, 10, first, end)
    assert ids(backward[::-1]) == expected


def test_a_page_holds_whole_batches_and_at_least_one(connection: sqlite3.Connection) -> None:
    history.add_forks(connection, 1, [Fork(10)])
    history.append(connection, [batch(10, 1, 2), batch(10, 3, 3), batch(10, 4, 7)])

    assert ids(history.read_branch(connection, 10, max_events=3)) == [1, 2, 3]
    assert ids(history.read_branch(connection, 10, max_events=6)) == [1, 2, 3]
    assert ids(history.read_branch(connection, 10, 4, max_events=1)) == [4, 5, 6, 7]
    assert ids(history.read_branch_reverse(connection, 10, max_events=1)) == [4, 5, 6, 7]
    assert [b.first_event_id for b in history.read_branch_reverse(connection, 10, max_events=5)] == [4, 3]


def test_a_fork_shares_its_parents_events_up_to_the_fork(connection: sqlite3.Connection) -> None:
    history.add_forks(connection, 1, [Fork(10), Fork(20, 10, 3)])
    history.append(connection, [batch(10, 1, 3), batch(10, 4, 5), batch(20, 4, 4, version=2)])

    assert [(b.branch_id, b.version) for b in history.read_branch(connection, 20)] == [(10, 1), (20, 2)]
    assert [b.branch_id for b in history.read_branch(connection, 10)] == [10, 10]


def test_a_fork_in_the_middle_of_a_batch_shares_its_first_part(connection: sqlite3.Connection) -> None:
    history.add_forks(connection, 1, [Fork(10), Fork(20, 10, 4)])
    history.append(connection, [batch(10, 1, 2), batch(10, 3, 6), batch(20, 5, 5, version=2)])

    assert ids(history.read_branch(connection, 20)) == [1, 2, 3, 4, 5]
    assert ids(history.read_branch(connection, 10)) == [1, 2, 3, 4, 5, 6]


def test_a_batch_is_not_written_twice(connection: sqlite3.Connection) -> None:
    history.add_forks(connection, 1, [Fork(10)])
    history.append(connection, [batch(10, 1, 2)])

    with pytest.raises(sqlite3.IntegrityError):
        history.append(connection, [batch(10, 1, 2)])


def test_an_unknown_branch_is_empty(connection: sqlite3.Connection) -> None:
    assert history.read_branch(connection, 99) == []


@dataclass
class Branch:
    """What a branch must read as: its batches, as (writer, first, last)."""

    branch_id: int
    batches: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def last(self) -> int:
        return self.batches[-1][2] if self.batches else 0


def cut(batches: list[tuple[int, int, int]], last: int) -> list[tuple[int, int, int]]:
    return [(writer, low, min(high, last)) for writer, low, high in batches if low <= last]


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_any_tree_reads_as_if_each_branch_were_a_list(data: st.DataObject) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(connection)
    branches = [Branch(1)]
    history.add_forks(connection, 7, [Fork(1)])
    for _ in range(data.draw(st.integers(1, 14), label="steps")):
        chosen = data.draw(st.sampled_from(branches))
        if data.draw(st.booleans(), label="fork") and chosen.last:
            shared = data.draw(st.integers(1, chosen.last), label="shared")
            child = Branch(len(branches) + 1, cut(chosen.batches, shared))
            history.add_forks(connection, 7, [Fork(child.branch_id, chosen.branch_id, shared)])
            branches.append(child)
        else:
            first = chosen.last + 1
            last = first + data.draw(st.integers(0, 4), label="length")
            history.append(connection, [batch(chosen.branch_id, first, last)])
            chosen.batches.append((chosen.branch_id, first, last))

    # A later write on a parent must not show in a branch that forked before; so read only now.
    for branch in branches:
        first = data.draw(st.integers(1, branch.last + 2), label="first")
        end = data.draw(st.integers(first, branch.last + 3), label="end")
        expected = [b for b in branch.batches if b[1] < end and b[2] >= first] if first < end else []

        forward = history.read_branch(connection, branch.branch_id, first, end)
        backward = history.read_branch_reverse(connection, branch.branch_id, first, end)

        assert [(b.branch_id, b.first_event_id, b.last_event_id) for b in forward] == expected
        assert backward == forward[::-1]
        assert ids(forward) == [event_id for _, low, high in expected for event_id in range(low, high + 1)]

        maximum = data.draw(st.integers(1, 8), label="maximum")
        paged, at = list[Batch](), 1
        while page := history.read_branch(connection, branch.branch_id, at, max_events=maximum):
            assert len(page) == 1 or len(ids(page)) <= maximum
            paged += page
            at = page[-1].last_event_id + 1
        assert [(b.branch_id, b.first_event_id, b.last_event_id) for b in paged] == branch.batches
        paged, end = [], branch.last + 1
        while page := history.read_branch_reverse(connection, branch.branch_id, 1, end, maximum):
            paged += page
            end = page[-1].first_event_id
        assert [b.first_event_id for b in paged[::-1]] == [low for _, low, _ in branch.batches]
    connection.close()
