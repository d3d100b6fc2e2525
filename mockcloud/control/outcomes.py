"""What became of the events that a forced failover left: told from the runs as the active region has them.

recovered   on the current branch of its run, which no other run has taken the place of; or the winner has it by
            other means
reapplied   written again, on which run and as which event
lost        and by which rule of `core.fates`; or only a region has it that has not returned, for as long as it does not
waiting     it can be either, still: not replicated, parked, in the dead letters, not reapplied yet
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from temporalio.api.history.v1 import History

from mockcloud.api.admin.v1 import cloud_admin_pb2 as cloud
from mockcloud.api.admin.v1 import region_admin_pb2 as admin
from mockcloud.core.event_kinds import KINDS, kind_of
from mockcloud.core.fates import Fate

RECOVERED: Final = "recovered"
REAPPLIED: Final = "reapplied"
LOST: Final = "lost"
WAITING: Final = "waiting"
OUTCOMES: Final = (RECOVERED, REAPPLIED, LOST, WAITING)

NOT_THERE: Final = "it has not been replicated"
NOT_ASKED: Final = "the active region cannot be asked"

_OF_FATES: Final = {
    Fate.REAPPLIED: REAPPLIED,
    Fate.KEPT: RECOVERED,
    Fate.LOST: LOST,
    Fate.WAITING: WAITING,
}


class _Told(NamedTuple):
    outcome: str
    reason: str = ""
    run_id: str = ""
    to_event_id: int = 0


def add_events(
    runs: dict[tuple[str, str], cloud.RunReport], found: Iterable[admin.RunEvents], *, after_switch: bool
) -> None:
    """Add events to the runs that they belong to, joined with those before them.

    A log has some a second time: what a region that joins is filled with.
    """
    for events in found:
        key = (events.workflow_id, events.run_id)
        run = runs.get(key)
        if run is None:
            run = runs[key] = cloud.RunReport(workflow_id=key[0], run_id=key[1])
        if any(_holds(left, events) for left in run.left):
            continue
        last = run.left[-1] if run.left else None
        if (
            last is not None
            and (last.version, last.after_switch) == (events.version, after_switch)
            and last.first_event_id + len(last.types) == events.first_event_id
        ):
            last.types.extend(events.types)
            last.names.extend(events.names)
        else:
            run.left.add(
                version=events.version,
                first_event_id=events.first_event_id,
                types=events.types,
                names=events.names,
                after_switch=after_switch,
            )


def _holds(left: cloud.LeftEvents, events: admin.RunEvents) -> bool:
    """Whether the first of these events, which come in whole batches, is among those that are known."""
    place = events.first_event_id - left.first_event_id
    return left.version == events.version and 0 <= place < len(left.types)


def sum_up(runs: Iterable[cloud.RunReport], summary: cloud.Unreplicated) -> None:
    """Count what was left at the switch."""
    kinds: Counter[str] = Counter()
    workflows = set()
    for run in runs:
        for left in run.left:
            if not left.after_switch:
                kinds.update(kind_of(event_type) for event_type in left.types)
                workflows.add(run.workflow_id)
    summary.events, summary.workflows = kinds.total(), len(workflows)
    order = [*dict.fromkeys(KINDS.values()), "other"]
    summary.kinds.extend(cloud.KindCount(kind=kind, count=kinds[kind]) for kind in order if kinds[kind])


def tell(run: cloud.RunReport, trees: Sequence[admin.RunTree] | None, away: str = "") -> None:
    """Put into the report of a run what became of its events.

    `trees`: all runs of its workflow id as the active region has them; None: it cannot be asked. `away`: the region
    that wrote them, if it has not returned.
    """
    tree = next((tree for tree in trees or () if tree.run_id == run.run_id), admin.RunTree())
    if tree.base_event_id:
        _drop_copies(run, tree.base_event_id)
    known = _known(tree)
    unknown = NOT_ASKED if trees is None else NOT_THERE
    elsewhere = tree.parked_reason or (
        f"in the dead letters: {tree.dead_letter_reason}" if tree.dead_letter_reason else unknown
    )
    missing = _Told(WAITING, elsewhere)
    if away and elsewhere == NOT_THERE:
        missing = _Told(LOST, f"only region {away} has it, which has not returned")
    outcomes: dict[tuple[str, str, str, bool], cloud.EventsOutcome] = {}
    for left in run.left:
        for event_id, (event_type, name) in enumerate(
            zip(left.types, left.names, strict=True), left.first_event_id
        ):
            told = known.get((event_id, left.version), missing)
            key = (told.outcome, told.reason, told.run_id, left.after_switch)
            if key not in outcomes:
                outcomes[key] = cloud.EventsOutcome(
                    outcome=told.outcome,
                    reason=told.reason,
                    run_id=told.run_id,
                    after_switch=left.after_switch,
                )
            outcomes[key].event_ids.append(event_id)
            outcomes[key].types.append(event_type)
            outcomes[key].names.append(name)
            if told.outcome == REAPPLIED:
                outcomes[key].to_event_ids.append(told.to_event_id)
    del run.outcomes[:]
    run.outcomes.extend(outcomes.values())


def is_final(runs: Iterable[cloud.RunReport]) -> bool:
    """Whether nothing of it waits any more."""
    return all(told.outcome != WAITING for run in runs for told in run.outcomes)


def _known(tree: admin.RunTree) -> Mapping[tuple[int, int], _Told]:
    """(event id, version) of what there is of the run -> what became of it."""
    known: dict[tuple[int, int], _Told] = {}
    # The current branch comes first: what it has is there, whatever else has it.
    for branch in tree.branches:
        fates = {fate.event_id: fate for fate in branch.fates}
        for event in History.FromString(branch.events).events:
            fate = fates.get(event.event_id)
            known.setdefault(
                (event.event_id, event.version),
                _Told(RECOVERED)
                if fate is None
                else _Told(_OF_FATES[Fate(fate.fate)], fate.reason, fate.run_id, fate.to_event_id),
            )
    return known


def _drop_copies(run: cloud.RunReport, base_event_id: int) -> None:
    """A reset run begins with events of another run: those are told of there."""
    kept = [part for left in run.left for part in _after(left, base_event_id)]
    del run.left[:]
    run.left.extend(kept)


def _after(left: cloud.LeftEvents, event_id: int) -> Iterator[cloud.LeftEvents]:
    skipped = max(0, event_id + 1 - left.first_event_id)
    if skipped < len(left.types):
        yield cloud.LeftEvents(
            version=left.version,
            first_event_id=left.first_event_id + skipped,
            types=left.types[skipped:],
            names=left.names[skipped:],
            after_switch=left.after_switch,
        )
