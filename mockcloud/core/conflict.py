"""What a replicated batch means for the run that it belongs to: a plan, made of version histories alone.

Terms: the *current* branch is the one whose fold is the run's state. A batch *continues* a branch when
the last event that both share, their lowest common ancestor, is the tail of that branch; otherwise it
*forks* from it. The branch with the highest version wins; the others are kept to be read, and some of
their events are reapplied (`core.reapply`).

The cases, in the order in which they are decided:

    the run is unknown          the batch starts it                     UnknownRun(is_start=True)
                                it does not                             UnknownRun(is_start=False)
    all its events are there    on some branch                          Duplicate
    events before it are not    on the branch that it belongs to        Missing
    it continues the current branch                                     Append
    it belongs to another one   of a lower version than the current     Backfill
                                of the same version                     Invalid
                                of a higher version                     Switch

A new branch never becomes current merely by being created: only `Switch` changes the current branch.
Where the new active region has written nothing for a run, nothing forks, and the old region's tail is
appended and stands.

This module decides; `core.passive` carries out. It must never look at anything but version histories.

Real: service/history/ndc (history_replicator.go, branch_manager.go, conflict_resolver.go).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mockcloud.api.state.v1.state_pb2 import VersionHistories, VersionHistory
from mockcloud.core import version_history
from mockcloud.core.version_history import Item, NoCommonAncestorError


class Incoming(NamedTuple):
    """A batch as the plan sees it.

    The history that its run has in the sending region up to its last event.
    """

    items: Sequence[Item]
    first_event_id: int

    @property
    def last(self) -> Item:
        """Its last event; all its events have that version."""
        return version_history.last_item(self.items)

    def problem(self) -> str:
        """What is wrong with it in itself; empty: nothing."""
        if not version_history.is_well_formed(self.items):
            return "event ids and versions of a version history must rise"
        if not 1 <= self.first_event_id <= self.last.event_id:
            return f"a batch cannot start at event {self.first_event_id} and end at {self.last.event_id}"
        if version_history.version_of(self.items, self.first_event_id) != self.last.version:
            return "the events of a batch must have one version"
        return ""


@dataclass(frozen=True, slots=True)
class Existing:
    """A branch that is there: the one with this index."""

    index: int


@dataclass(frozen=True, slots=True)
class NewBranch:
    """A branch to be made: it shares the parent's events up to and including `last_shared`."""

    parent_index: int
    last_shared: Item


Target = Existing | NewBranch


@dataclass(frozen=True, slots=True)
class UnknownRun:
    """There is no such run here. If the batch does not start it, all before it must be fetched."""

    is_start: bool


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Nothing to do: its events are there."""


@dataclass(frozen=True, slots=True)
class Missing:
    """The events after `after`, up to and including `until`, must be fetched first."""

    after: Item
    until: Item


@dataclass(frozen=True, slots=True)
class Append:
    """Fold the events from `first_event_id` on into the current state.

    The earlier ones of the batch are there.
    """

    first_event_id: int


@dataclass(frozen=True, slots=True)
class Backfill:
    """Store the events from `first_event_id` on with a branch that loses, then reapply some of them."""

    target: Target
    first_event_id: int


@dataclass(frozen=True, slots=True)
class Switch:
    """Rebuild the state from the branch that wins, then fold the events from `first_event_id` on."""

    target: Target
    first_event_id: int


@dataclass(frozen=True, slots=True)
class Invalid:
    """No healthy region sends this: to the dead letters, after retries."""

    reason: str


Plan = UnknownRun | Duplicate | Missing | Append | Backfill | Switch | Invalid

SAME_VERSION = "ConflictResolver encountered replication task version == current branch last write version"


def decide(
    histories: VersionHistories | None, incoming: Incoming, deleted: VersionHistories | None = None
) -> Plan:
    """The plan for `incoming`, given the branches of its run (None: the run is unknown here).

    `deleted` are those that an unknown run had when a user deleted it. What was deleted with it does not come back;
    what a peer wrote without knowing of that does, and the run with it.
    """
    problem = incoming.problem()
    if problem:
        return Invalid(problem)
    if histories is None or not histories.histories:
        gone = deleted.histories if deleted is not None else ()
        if any(version_history.begins_with(version_history.items(each), incoming.items) for each in gone):
            return Duplicate()
        return UnknownRun(is_start=incoming.first_event_id == 1)
    branches = [version_history.items(history) for history in histories.histories]
    try:
        ancestor = version_history.find_ancestor(branches, incoming.items)
    except NoCommonAncestorError as error:
        return Invalid(str(error))
    shared = ancestor.item
    if incoming.last.event_id <= shared.event_id:
        return Duplicate()
    if incoming.first_event_id > shared.event_id + 1:
        before = incoming.first_event_id - 1
        return Missing(shared, Item(before, version_history.version_of(incoming.items, before)))
    first = shared.event_id + 1
    continues = version_history.is_tail(branches[ancestor.branch_index], shared)
    if continues and ancestor.branch_index == histories.current_index:
        return Append(first)
    target: Target = (
        Existing(ancestor.branch_index) if continues else NewBranch(ancestor.branch_index, shared)
    )
    current = version_history.last_item(branches[histories.current_index])
    if incoming.last.version < current.version:
        return Backfill(target, first)
    if incoming.last.version == current.version:
        return Invalid(SAME_VERSION)
    return Switch(target, first)


def branch_with(histories: VersionHistories, item: Item) -> VersionHistory | None:
    """The first branch that has an event under a version; None: none has."""
    for branch in histories.histories:
        if version_history.contains(version_history.items(branch), item):
            return branch
    return None


def happens_after(version: int, task_id: int, other_version: int, other_task_id: int) -> bool:
    """Whether the first of two runs of one workflow id is the newer one.

    By last write version (of a closed run: its close version), ties by the task id of the last event.
    Real: ndc.WorkflowHappensAfter.
    """
    return (version, task_id) > (other_version, other_task_id)
