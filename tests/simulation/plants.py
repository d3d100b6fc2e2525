"""Bugs that are planted one at a time, to see that the simulation finds them: `--plant NAME`, `--plants` for all.

Each is a small patch of the product, by `patch(owner, name, value)`, in force until the process ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from mockcloud.api.replication.v1.replication_pb2 import FromSender
from mockcloud.core import children, conflict, passive, reapply, signals, two_runs, version_history
from mockcloud.core.change import Context, RunChange
from mockcloud.core.conflict import Backfill, Switch
from mockcloud.core.errors import NotFound
from mockcloud.core.outcome import Outcome
from mockcloud.core.run import Run, Timer
from mockcloud.core.version_history import Item
from mockcloud.engine.loader import Loader
from mockcloud.engine.namespaces import Namespace
from mockcloud.frontend import handover
from mockcloud.replication.receiver import _Session
from mockcloud.store import positions

Patch = Callable[[Any, str, Any], None]


def _ancestor_off_by_one(patch: Patch) -> None:
    """The lowest common ancestor is one event too low."""
    right = version_history.lowest_common_ancestor

    def wrong(a: Sequence[Item], b: Sequence[Item]) -> Item:
        found = right(a, b)
        return found if found.event_id == 1 else Item(found.event_id - 1, found.version)

    patch(version_history, "lowest_common_ancestor", wrong)


def _version_not_compared(patch: Patch) -> None:
    """Whichever branch has news becomes the current one."""
    right = conflict.decide

    def wrong(*args: Any) -> conflict.Plan:
        plan = right(*args)
        return Switch(plan.target, plan.first_event_id) if isinstance(plan, Backfill) else plan

    patch(conflict, "decide", wrong)


def _reapplied_again(patch: Patch) -> None:
    """What was reapplied before is reapplied again."""
    patch(reapply, "not_yet_reapplied", lambda reapplied, source_run_id, events: list(events))


def _nothing_reapplied(patch: Patch) -> None:
    """What a losing branch was asked for is lost."""
    patch(reapply, "candidates", lambda events: [])


def _updates_not_reapplied(patch: Patch) -> None:
    """The same, of accepted updates alone."""
    rules = {**reapply._RULES, reapply._ACCEPTED: lambda change, event: False}
    patch(reapply, "_RULES", rules)


def _losing_branch_not_stored(patch: Patch) -> None:
    """Events of a losing branch are dropped."""
    right = passive.backfill

    def wrong(*args: Any) -> Outcome:
        outcome = right(*args)
        outcome.batches = []
        return outcome

    patch(passive, "backfill", wrong)


def _older_run_wins(patch: Patch) -> None:
    """Of two runs the one that was written last under a lower version is current."""
    right = two_runs.is_newer
    patch(two_runs, "is_newer", lambda run, other: not right(run, other))


def _suppressed_run_stays_open(patch: Patch) -> None:
    """The region that wrote a suppressed run does not terminate it."""

    def wrong(current: Run, newer: Run, context: Context) -> Outcome:
        current.record.zombie = True
        return Outcome(run=current)

    patch(two_runs, "suppress", wrong)


def _signals_not_deduplicated(patch: Patch) -> None:
    """A signal that comes twice counts twice."""
    patch(signals, "_signaled_before", lambda change, request_id: False)


def _parent_not_told(patch: Patch) -> None:
    """A parent does not hear of the end of its child."""

    def wrong(change: RunChange, child: children.ClosedChild) -> str:
        raise NotFound("planted")

    patch(children, "record_closed", wrong)


def _no_fence(patch: Patch) -> None:
    """A passive region writes as if it were the active one: neither fence holds."""
    patch(RunChange, "require_active", lambda self: None)
    patch(Namespace, "require_active", lambda self: None)
    patch(Namespace, "require_writable", lambda self: None)


def _no_handover_fence(patch: Patch) -> None:
    """The active region writes on in HANDOVER: no call waits, and there is no fence behind that."""
    patch(handover, "held", lambda method, namespace: False)
    patch(Namespace, "require_writable", Namespace.require_active)


def _position_ahead(patch: Patch) -> None:
    """A region takes one task more for applied than it has."""
    right = positions.set_applied

    def wrong(connection: Any, namespace_id: str, source: str, position: int) -> None:
        right(connection, namespace_id, source, position + 1)

    patch(positions, "set_applied", wrong)


def _gap_accepted(patch: Patch) -> None:
    """Messages that are missing are not asked for."""
    right: Callable[..., None] = _Session._take

    def wrong(self: _Session, message: FromSender, *more: Any) -> None:
        self._received = max(self._received, message.previous_position)
        right(self, message, *more)

    patch(_Session, "_take", wrong)


def _timers_early(patch: Patch) -> None:
    """Timers fire a tenth of a second too soon."""
    right = Timer.fires_at.fget  # type: ignore[attr-defined]
    patch(Timer, "fires_at", property(lambda self: right(self) - 100_000_000))


def _deletions_forgotten(patch: Patch) -> None:
    """What is deleted comes back by what a third region tells late."""

    async def wrong(self: Loader, key: Any) -> None:
        return None

    patch(Loader, "deleted", wrong)


# What two regions alone never show: that two of them tell the active one the same, and what comes late.
OF_THREE_REGIONS: Final = frozenset({"reapplied-again", "deletions-forgotten"})

PLANTS: Final[dict[str, Callable[[Patch], None]]] = {
    function.__name__.strip("_").replace("_", "-"): function
    for function in (
        _ancestor_off_by_one,
        _version_not_compared,
        _reapplied_again,
        _nothing_reapplied,
        _updates_not_reapplied,
        _losing_branch_not_stored,
        _older_run_wins,
        _suppressed_run_stays_open,
        _signals_not_deduplicated,
        _parent_not_told,
        _no_fence,
        _no_handover_fence,
        _position_ahead,
        _gap_accepted,
        _timers_early,
        _deletions_forgotten,
    )
}
