"""Events of losing branches and runs on their way to the current run of their workflow id, in the active region.

Planned under the workflow's lock, beside what made them lose. The rules are `core.reapply`.
"""

from __future__ import annotations

from collections.abc import Sequence

from temporalio.api.history.v1 import HistoryEvent

from mockcloud.core import failover, reapply, version_history
from mockcloud.core.change import RunChange
from mockcloud.core.outcome import Outcome
from mockcloud.core.run import Run
from mockcloud.core.version_history import Item
from mockcloud.engine.plans import Loaded
from mockcloud.engine.resets import reset_closed


def missing(
    loaded: Loaded,
    target: Run,
    source_run_id: str,
    events: Sequence[HistoryEvent],
    losing: Sequence[Item] = (),
) -> list[HistoryEvent]:
    """What of `events` of the run `source_run_id` is to reach `target`, the current run, and has not yet.

    Those of this region's own versions, and those of children, count only on the very run that they come from;
    `losing` is the version history of its branch.
    """
    if target.key.run_id != source_run_id:
        context = loaded.context()
        events = reapply.without_own(events, context.clusters, context.region)
    if target.open and losing and target.key.run_id == source_run_id:
        shared = version_history.lowest_common_ancestor(version_history.items(target.version_history), losing)
        events = reapply.of_shared_children(events, shared.event_id)
    else:
        events = reapply.for_other_run(events)
    return reapply.not_yet_reapplied(target, source_run_id, events)


def begin(loaded: Loaded, target: Run) -> RunChange:
    """The change that events are written again in, on an open run."""
    change = RunChange(target, loaded.context())
    failover.touch(change)
    return change


def finish(loaded: Loaded, change: RunChange) -> list[Outcome]:
    """What is to be committed of a change that `begin` made.

    Raises NamespaceHandover, NamespaceNotActive: this region may not write now.
    """
    if not change.changed:
        return []
    change.require_active()
    loaded.namespace.require_writable()
    return [change.finish()]


async def onto(
    loaded: Loaded, target: Run, source_run_id: str, events: Sequence[HistoryEvent]
) -> list[Outcome]:
    """What is to be committed so that `events` of the run `source_run_id` reach `target`, the current run.

    An open run takes them; a closed one is reset. Raises as `finish`.
    """
    events = missing(loaded, target, source_run_id, events)
    if not events:
        return []
    if not target.open:
        return await reset_closed(loaded.namespace, loaded, target, source_run_id, events)
    change = begin(loaded, target)
    reapply.reapply(change, source_run_id, events)
    return finish(loaded, change)
