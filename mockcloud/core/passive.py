"""Carries out what `core.conflict` decided.

Replicated batches become state, by the same fold as everything else.

Each function takes a run as loaded, changes it in place and returns the `Outcome` to commit. An outcome
made here does not replicate: nothing echoes. The one exception is `settle`, which ends what this region
itself had begun as the active one; that is a write of its own, under its own version.

Events whose meaning is not built raise `fold.UnsupportedEvent`; the run in memory is then worthless.

Real: service/history/ndc (history_replicator.go, buffer_event_flusher.go, state_rebuilder.go,
activity_state_replicator.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from temporalio.api.history.v1 import HistoryEvent

from mockcloud.api.state.v1.state_pb2 import (
    ActivityRecord,
    CloseErrands,
    ReappliedEvent,
    RunRecord,
    TaskProblems,
    VersionHistories,
    VersionHistory,
)
from mockcloud.core import failover, fold, version_history
from mockcloud.core.change import Context, RunChange
from mockcloud.core.conflict import Existing, Missing, Target
from mockcloud.core.outcome import Batch, Fork, Outcome
from mockcloud.core.run import Run, RunKey
from mockcloud.core.update_state import Forgotten, UpdateEnd
from mockcloud.core.version_history import Item

# What of a run's record belongs to no branch.
_OF_THE_RUN = ("base_run_id", "base_event_id", "reset_time", "reset_run_id", "delete_requested")


class Extra(NamedTuple):
    """What travels with a batch beside its events."""

    create_request_id: str = ""
    signal_request_ids: Sequence[str] = ()
    data: bytes = b""  # the events as they came; empty where only some of them are taken


def settle(run: Run, context: Context) -> Outcome | None:
    """End what waits in this region's buffer before a peer's batch reaches the run; None: nothing waits.

    The started workflow task is failed and a new one scheduled, under the version that this region last
    wrote. That replicates, on the loser as on the winner. Without buffered events a started task is left
    alone: its next touch may fail it.
    """
    if not run.record.buffered_events:
        return None
    change = RunChange(run, context)
    closed = failover.close_task_of_lower_version(change)
    assert closed, f"{run.key} has buffered events, so this region was active and a worker has the task"
    return change.finish()


def create(key: RunKey, events: Sequence[HistoryEvent], context: Context, extra: Extra) -> Outcome:
    """A run that is new here; its batch must start it."""
    run = Run(key)
    branch_id = context.next_task_id()
    run.record.version_histories.histories.append(VersionHistory(branch_id=branch_id))
    run.record.create_request_id = extra.create_request_id
    _fold(run, events, context, extra)
    return Outcome(
        run=run,
        created=True,
        forks=[Fork(branch_id)],
        batches=[Batch.of(branch_id, events, extra.data)],
    )


def create_reset(
    run: Run, copies: Sequence[Batch], events: Sequence[HistoryEvent], context: Context, extra: Extra
) -> Outcome:
    """A reset run that is new here: `run` is what `core.reset.adopt` made of the copy."""
    run.record.create_request_id = extra.create_request_id
    _fold(run, events, context, extra)
    branch_id = copies[0].branch_id
    return Outcome(
        run=run,
        created=True,
        forks=[Fork(branch_id)],
        copies=copies,
        batches=[Batch.of(branch_id, events, extra.data)],
    )


def append(run: Run, events: Sequence[HistoryEvent], context: Context, extra: Extra) -> Outcome:
    """Events that continue the current branch.

    A transient attempt of this region is dropped without an event. So is what it has in memory only: who asked for
    an update asks again.
    """
    lost: dict[str, UpdateEnd] = dict.fromkeys(run.pending_updates, Forgotten())
    run.forget_memory()
    task = run.started_workflow_task
    if task is not None and task.transient:
        run.record.ClearField("workflow_task")
        run.record.next_workflow_task_attempt = 1
    branch_id = run.version_history.branch_id
    _fold(run, events, context, extra)
    return Outcome(run=run, batches=[Batch.of(branch_id, events, extra.data)], update_ends=lost)


def backfill(run: Run, target: Target, events: Sequence[HistoryEvent], context: Context) -> Outcome:
    """Events of a branch that loses: they are stored to be read, and leave the state as it is."""
    index, forks = _branch(run.record.version_histories, target, context)
    history = run.record.version_histories.histories[index]
    version_history.add_event(history, events[-1].event_id, events[-1].version)
    run.record.last_update_time = context.now
    return Outcome(run=run, forks=forks, batches=[Batch.of(history.branch_id, events)])


def switch(
    run: Run, shared: Run, target: Target, events: Sequence[HistoryEvent], context: Context, extra: Extra
) -> Outcome:
    """The branch of `target` wins: its state replaces that of `run`, then `events` are folded in.

    `shared` is the bare fold of that branch's events before `events`. What the losing branch had
    pending is gone with it; everything that hangs on the state is derived anew. Returns an outcome with
    another `Run` object.
    """
    histories = VersionHistories()
    histories.CopyFrom(run.record.version_histories)
    index, forks = _branch(histories, target, context)
    winner = version_history.items(histories.histories[index])
    assert version_history.items(shared.version_history) == winner, "the rebuilt branch is the one that wins"
    histories.current_index = index
    record = shared.record
    record.version_histories.CopyFrom(histories)
    record.create_request_id = run.record.create_request_id
    lost = sorted(run.signal_request_ids - shared.signal_request_ids)
    record.signal_request_ids.extend(lost)
    shared.signal_request_ids.update(lost)
    shared.add_reapplied(run.record.reapplied)
    record.state_transitions = run.record.state_transitions
    record.zombie = run.record.zombie
    for name in _OF_THE_RUN:
        setattr(record, name, getattr(run.record, name))
    if run.record.HasField("close_errands"):  # void unless the winner has closed by the same event
        record.close_errands.CopyFrom(run.record.close_errands)
    for request_id, event_id in run.record.attached_request_ids.items():
        if event_id < shared.next_event_id:
            record.attached_request_ids[request_id] = event_id
    branch_id = histories.histories[index].branch_id
    _fold(shared, events, context, extra)
    return Outcome(run=shared, forks=forks, batches=[Batch.of(branch_id, events, extra.data)])


def merge_reapplied(run: Run, incoming: Iterable[ReappliedEvent]) -> Outcome | None:
    """Which events of losing branches the active region has reapplied to this run; None: all known."""
    return Outcome(run=run) if run.add_reapplied(incoming) else None


def merge_close_errands(run: Run, incoming: CloseErrands, context: Context) -> Outcome | None:
    """A peer has done what the run's close has to do to others; None: known, or not to be relied upon.

    What was done under a lower version than the namespace has now may have been done to a branch that lost:
    the active region does it again, where it changes nothing if it stands.
    """
    if not takes_close_errands(run, incoming, context):
        return None
    run.record.close_errands.CopyFrom(incoming)
    return Outcome(run=run)


def takes_close_errands(run: Run, incoming: CloseErrands, context: Context) -> bool:
    """Whether `merge_close_errands` takes them in."""
    return incoming.version >= context.version and incoming.version > run.record.close_errands.version


def merge_problems(run: Run, incoming: TaskProblems, context: Context) -> Outcome | None:
    """What the active region reports of failing workflow tasks; None: nothing new, or void by now."""
    record = run.record
    if (
        not run.open
        or incoming.version < context.version
        or incoming.completed_event_id != run.last_completed_task_event_id
        or list(record.reported_problems) == list(incoming.reported)
    ):
        return None
    record.task_problems = incoming.count
    record.reported_version = incoming.version
    record.reported_problems[:] = incoming.reported
    return Outcome(run=run)


def sync_activity(
    run: Run, history: Sequence[Item], incoming: ActivityRecord, context: Context
) -> Outcome | Missing | None:
    """An activity's attempt and heartbeats as the active region has them; None: nothing to do.

    `history` is the run's version history there. Where this region lacks the Scheduled event, or the
    winning branch, it must fetch that first.
    """
    local = version_history.items(run.version_history)
    ancestor = version_history.lowest_common_ancestor(local, history)
    if version_history.is_tail(local, ancestor) or version_history.is_tail(history, ancestor):
        if incoming.scheduled_event_id > ancestor.event_id:
            return Missing(ancestor, history[-1])
    elif history[-1].version < local[-1].version:
        return None
    elif history[-1].version > local[-1].version:
        return Missing(ancestor, history[-1])
    activity = run.activities.get(incoming.scheduled_event_id)
    if not run.open or activity is None or not _is_newer(activity.record, incoming):
        return None
    if activity.record == incoming:
        return None
    replaced = ActivityRecord()
    replaced.CopyFrom(incoming)
    # The cancel request is an event; the record that comes may be from before it.
    if activity.record.cancel_requested and not replaced.cancel_requested:
        replaced.cancel_requested = True
        replaced.cancel_request_event_id = activity.record.cancel_request_event_id
    activity.record = replaced
    run.record.last_update_time = context.now
    return Outcome(run=run)


def _is_newer(local: ActivityRecord, incoming: ActivityRecord) -> bool:
    """Real: ActivityStateReplicatorImpl.compareActivity: version, stamp, attempt, last heartbeat."""
    ours = (local.version, local.stamp, local.attempt, local.last_heartbeat_time)
    theirs = (incoming.version, incoming.stamp, incoming.attempt, incoming.last_heartbeat_time)
    return theirs >= ours


def _branch(histories: VersionHistories, target: Target, context: Context) -> tuple[int, list[Fork]]:
    """The index of the branch that a batch goes to; if it is a new one, `histories` gets it."""
    if isinstance(target, Existing):
        return target.index, []
    parent = histories.histories[target.parent_index]
    fork = Fork(context.next_task_id(), parent.branch_id, target.last_shared.event_id)
    shared = version_history.until(version_history.items(parent), target.last_shared.event_id)
    histories.histories.append(version_history.branch(fork.branch_id, shared))
    return len(histories.histories) - 1, [fork]


def _fold(run: Run, events: Sequence[HistoryEvent], context: Context, extra: Extra) -> None:
    """Fold replicated events.

    What only the region that wrote them may use, its sticky worker, is given up.
    """
    for event in events:
        fold.fold(run, event)
    record: RunRecord = run.record
    record.ClearField("sticky")
    unknown = [name for name in extra.signal_request_ids if name not in run.signal_request_ids]
    record.signal_request_ids.extend(unknown)
    run.signal_request_ids.update(unknown)
    record.state_transitions += 1
    record.last_update_time = context.now
