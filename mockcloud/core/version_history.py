"""Version histories: which versions wrote which events of a branch. Pure functions on values.

A version history is a list of items (last event id written under a version, version), both strictly
rising, together with the branch that holds the events. A run has one per branch; one of them is
current.

Nothing here changes its arguments, except `add_event` and `add_items`, which say so.

Real: common/persistence/versionhistory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mockcloud.api.state.v1.state_pb2 import VersionHistory, VersionHistoryItem


class NoCommonAncestorError(Exception):
    """Two histories of one run share no item: one of them is not of this run."""

    def __str__(self) -> str:
        return "version history is malformed. No joint point found."


class Item(NamedTuple):
    """A version history item as a value."""

    event_id: int
    version: int

    @classmethod
    def of(cls, item: VersionHistoryItem) -> Item:
        return cls(item.event_id, item.version)

    def message(self) -> VersionHistoryItem:
        """For the record and the wire."""
        return VersionHistoryItem(event_id=self.event_id, version=self.version)


class Ancestor(NamedTuple):
    """The lowest common ancestor of a run's branches and an incoming history, and the branch that has it."""

    branch_index: int
    item: Item


def add_event(history: VersionHistory, event_id: int, version: int) -> None:
    """Record that `event_id` was written under `version` at the end of `history`, which changes."""
    last = history.items[-1] if history.items else None
    if last is not None and last.version == version:
        assert event_id > last.event_id, "event ids rise"
        last.event_id = event_id
        return
    assert last is None or version > last.version, "versions rise"
    history.items.add(event_id=event_id, version=version)


def items(history: VersionHistory) -> list[Item]:
    """The items of `history` as values."""
    return values(history.items)


def values(messages: Iterable[VersionHistoryItem]) -> list[Item]:
    """Items from the wire as values."""
    return [Item(item.event_id, item.version) for item in messages]


def is_well_formed(history: Sequence[Item]) -> bool:
    """Whether event ids (from 1) and versions rise strictly, as everything else here assumes."""
    previous = Item(0, 0)
    for item in history:
        if item.event_id <= previous.event_id or item.version <= previous.version:
            return False
        previous = item
    return bool(history)


def last_item(history: Sequence[Item]) -> Item:
    """The tail of a history that has events."""
    assert history, "version history is empty"
    return history[-1]


def contains(history: Sequence[Item], wanted: Item) -> bool:
    """Whether the event `wanted.event_id` of `history` was written under `wanted.version`."""
    return 0 < wanted.event_id <= (history[-1].event_id if history else 0) and (
        version_of(history, wanted.event_id) == wanted.version
    )


def version_of(history: Sequence[Item], event_id: int) -> int:
    """The version under which event `event_id` of `history` was written.

    Raises:
        ValueError: the history has no such event.
    """
    if event_id >= 1:
        for item in history:
            if event_id <= item.event_id:
                return item.version
    raise ValueError(f"event {event_id} is not in version history {history}")


def begins_with(history: Sequence[Item], other: Sequence[Item]) -> bool:
    """Whether `other` is the history of `history`'s first events. One common event does not say so.

    A region that gets back a run that it deleted may write an event of the same id and version on another branch.
    """
    last = other[-1]
    return contains(history, last) and until(history, last.event_id) == list(other)


def until(history: Sequence[Item], event_id: int) -> list[Item]:
    """The history of the events up to and including `event_id`, which must be one of its events (0.

    None of them).
    """
    kept = [item for item in history if item.event_id < event_id]
    return [*kept, Item(event_id, version_of(history, event_id))] if event_id else []


def lowest_common_ancestor(a: Sequence[Item], b: Sequence[Item]) -> Item:
    """The last event that both histories share.

    Walks both from their ends: equal versions give the smaller event id, otherwise the side with the
    larger version steps back.

    Raises:
        NoCommonAncestorError: they share nothing.
    """
    left, right = len(a) - 1, len(b) - 1
    while left >= 0 and right >= 0:
        if a[left].version == b[right].version:
            return min(a[left], b[right])
        if a[left].version > b[right].version:
            left -= 1
        else:
            right -= 1
    raise NoCommonAncestorError


def find_ancestor(branches: Sequence[Sequence[Item]], incoming: Sequence[Item]) -> Ancestor:
    """Among the branches of a run the one that shares most with `incoming`; on ties the shorter one.

    Raises:
        NoCommonAncestorError: some branch shares nothing with it, or there is none.
    """
    best: Ancestor | None = None
    best_length = 0
    for index, local in enumerate(branches):
        item = lowest_common_ancestor(local, incoming)
        longer = best is None or item.event_id > best.item.event_id
        if longer or (best is not None and item.event_id == best.item.event_id and len(local) < best_length):
            best, best_length = Ancestor(index, item), len(local)
    if best is None:
        raise NoCommonAncestorError
    return best


def is_tail(history: Sequence[Item], item: Item) -> bool:
    """Whether `item` is the end of `history`, so that events after it can be appended there."""
    return bool(history) and history[-1] == item


def same_branch(a: Sequence[Item], b: Sequence[Item]) -> bool:
    """Whether one of the two histories continues the other (or equals it)."""
    try:
        ancestor = lowest_common_ancestor(a, b)
    except NoCommonAncestorError:
        return False
    return is_tail(a, ancestor) or is_tail(b, ancestor)


def branch(branch_id: int, history: Sequence[Item]) -> VersionHistory:
    """A branch with these items."""
    return VersionHistory(branch_id=branch_id, items=[item.message() for item in history])
