from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockcloud.api.state.v1.state_pb2 import VersionHistory
from mockcloud.core import version_history
from mockcloud.core.version_history import Item, NoCommonAncestorError


def history(*pairs: tuple[int, int]) -> list[Item]:
    return [Item(*pair) for pair in pairs]


@st.composite
def histories(draw: st.DrawFn, versions: list[int] | None = None, start: Item | None = None) -> list[Item]:
    """A well-formed history; with `start`, one that goes on after that item."""
    chosen = draw(
        st.lists(st.sampled_from(versions or list(range(1, 60))), min_size=1, max_size=6, unique=True)
    )
    event_id = start.event_id if start else 0
    items = []
    for version in sorted(chosen):
        event_id += draw(st.integers(1, 9))
        items.append(Item(event_id, version))
    return items


def grown(base: list[Item], more: list[Item]) -> list[Item]:
    """`base` continued by `more`; where the version is the same, the item grows."""
    message = version_history.branch(0, base)
    for item in more:
        version_history.add_event(message, item.event_id, item.version)
    return version_history.items(message)


def test_events_of_one_version_make_one_item() -> None:
    message = VersionHistory()
    for event_id, version in [(1, 1), (2, 1), (4, 1), (5, 2), (6, 2)]:
        version_history.add_event(message, event_id, version)
    assert version_history.items(message) == history((4, 1), (6, 2))


def test_falling_versions_are_refused() -> None:
    message = version_history.branch(1, history((4, 2)))
    with pytest.raises(AssertionError):
        version_history.add_event(message, 5, 1)
    with pytest.raises(AssertionError):
        version_history.add_event(message, 4, 2)


@pytest.mark.parametrize(
    ("a", "b", "ancestor"),
    [
        (history((12, 1)), history((4, 1), (8, 2)), Item(4, 1)),
        (history((4, 1), (8, 2), (12, 11)), history((4, 1), (12, 2)), Item(8, 2)),
        (history((4, 1)), history((9, 1)), Item(4, 1)),
        (history((4, 1), (8, 2)), history((4, 1), (9, 11)), Item(4, 1)),
        (history((7, 1), (9, 2)), history((9, 1)), Item(7, 1)),
    ],
)
def test_lowest_common_ancestor(a: list[Item], b: list[Item], ancestor: Item) -> None:
    assert version_history.lowest_common_ancestor(a, b) == ancestor
    assert version_history.lowest_common_ancestor(b, a) == ancestor


def test_no_common_ancestor() -> None:
    with pytest.raises(NoCommonAncestorError, match="No joint point found"):
        version_history.lowest_common_ancestor(history((4, 1)), history((4, 2)))


@given(histories(), st.data())
def test_two_continuations_meet_where_they_part(base: list[Item], data: st.DataObject) -> None:
    """Each region continues the same history with versions of its own: they part where it ends."""
    last = base[-1]
    ours = [version for version in range(last.version + 1, 90) if version % 10 == 1]
    theirs = [version for version in range(last.version + 1, 90) if version % 10 == 2]
    a = grown(base, data.draw(histories(ours, last)))
    b = grown(base, data.draw(histories(theirs, last)))
    assert version_history.lowest_common_ancestor(a, b) == last
    assert not version_history.same_branch(a, b)
    assert version_history.same_branch(a, base)
    assert version_history.is_tail(base, last)


@given(histories(), st.data())
def test_a_prefix_is_its_own_ancestor(items: list[Item], data: st.DataObject) -> None:
    event_id = data.draw(st.integers(1, items[-1].event_id))
    prefix = version_history.until(items, event_id)
    assert version_history.is_well_formed(prefix)
    assert version_history.lowest_common_ancestor(items, prefix) == prefix[-1]
    assert prefix[-1] == Item(event_id, version_history.version_of(items, event_id))


@given(histories())
def test_contains_each_event_under_its_version_only(items: list[Item]) -> None:
    for event_id in range(1, items[-1].event_id + 1):
        version = version_history.version_of(items, event_id)
        assert version_history.contains(items, Item(event_id, version))
        assert not version_history.contains(items, Item(event_id, version + 1000))
    assert not version_history.contains(items, Item(items[-1].event_id + 1, items[-1].version))
    assert not version_history.contains(items, Item(0, items[0].version))


def test_branch_with_the_longest_shared_part_is_chosen() -> None:
    branches = [history((8, 1)), history((4, 1), (12, 2))]
    found = version_history.find_ancestor(branches, history((4, 1), (8, 2), (12, 11)))
    assert (found.branch_index, found.item) == (1, Item(8, 2))


def test_on_ties_the_shorter_branch_is_chosen() -> None:
    branches = [history((4, 1), (9, 2)), history((4, 1))]
    found = version_history.find_ancestor(branches, history((4, 1), (5, 11)))
    assert (found.branch_index, found.item) == (1, Item(4, 1))


@pytest.mark.parametrize(
    "items", [[], history((0, 1)), history((3, 0)), history((3, 2), (5, 1)), history((5, 1), (5, 2))]
)
def test_malformed_histories_are_known(items: list[Item]) -> None:
    assert not version_history.is_well_formed(items)
