"""From the outcome of a change to the rows that store it. Pure: nothing here waits or touches the database.

What hangs on a run's state is derived after the change and compared with what was stored before, so only
differences are written. Entries of the replication log are made here too, for outcomes of the active region
alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mockcloud.api.replication.v1.replication_pb2 import (
    HistoryBatch,
    ReplicationTask,
    ResetBase,
    RunDeletion,
    RunStateRecord,
)
from mockcloud.api.state.v1.state_pb2 import NamespaceRecord, TaskProblems, VersionHistoryItem
from mockcloud.core.current import CurrentRun
from mockcloud.core.derive import derive, derive_live
from mockcloud.core.derived import NO_ERRANDS, Derived, Errand, Offer, VisibilityRow
from mockcloud.core.outcome import Batch, Outcome
from mockcloud.core.run import RUNNING, Run
from mockcloud.core.update_state import UpdateEnd
from mockcloud.store.log import LogWrite, NodeRef
from mockcloud.store.runs import RunWrite

NOTHING = Derived(due=None, offers=frozenset(), visibility=None)
_NO_OFFERS: frozenset[Offer] = frozenset()


class Committed(NamedTuple):
    """What a commit made of one run, for those who wait for it. The run must only be read, and not kept.

    So is told what is in memory only, which needs no commit: then there are no batches.
    """

    run: Run
    created: bool
    offers_added: frozenset[Offer]
    offers_removed: frozenset[Offer]
    due: int | None
    due_changed: bool
    delete_at: int | None  # end of retention, or at once where a user asked for it; None while open
    batches: Sequence[Batch]
    record_size: int  # bytes, as stored; 0: nothing was stored
    update_ends: Mapping[str, UpdateEnd]  # of updates that ended without an event, by id
    errands: frozenset[Errand]
    errands_added: frozenset[Errand]
    made_here: bool  # by this region as the active one; otherwise a peer's


class Prepared(NamedTuple):
    """One outcome as rows, and what the cache needs once they are stored."""

    outcome: Outcome
    write: RunWrite
    derived: Derived
    live: Derived
    committed: Committed


def prepare(
    outcome: Outcome,
    run_key: int,
    before: Derived,
    live_before: Derived,
    current: CurrentRun | None,
    namespace: NamespaceRecord,
    now: int,
    *,
    replicated: bool,
) -> Prepared:
    """The rows of one outcome.

    `before` is what is stored of the run (`NOTHING` for a new one), `live_before` what was told of it, `current`
    its workflow id's current-run row as stored. `replicated`: the namespace has peers. A successor's rows are made
    by the caller, in a `prepare` of its own; its log entry is part of its predecessor's.
    """
    run = outcome.run
    key = run.key
    after = derive(run)
    shown_before, shown = before.visibility, after.visibility
    added, removed = _offers(before, after)
    listed_anew = shown is not shown_before and shown != shown_before
    # A run that others have to hear of stays until they have.
    delete_at = None if run.open or after.errands else run.record.close_time
    if delete_at is not None and not run.record.delete_requested:
        delete_at += namespace.retention
    write = RunWrite(
        run_key=run_key,
        namespace_id=key.namespace_id,
        workflow_id=key.workflow_id,
        run_id=key.run_id,
        created=outcome.created,
        record=run.dump(),
        status=run.status,
        zombie=run.record.zombie,
        due=after.due,
        due_changed=after.due != before.due,
        delete_at=delete_at,
        errands=bool(after.errands),
        forks=outcome.forks,
        batches=[*outcome.copies, *outcome.batches],
        offers_added=added,
        offers_removed=removed,
        visibility=shown,
        visibility_changed=listed_anew,
        search_attributes_changed=listed_anew
        and _search_attributes(shown) != _search_attributes(shown_before),
        columns_changed=listed_anew and _columns_changed(shown_before, shown),
        current=_current_write(outcome, current),
    )
    if outcome.replicate and replicated:
        write.log = log_entries(outcome, now)
    live = derive_live(run, after)
    if live is not after or live_before is not before:
        added, removed = _offers(live_before, live)
    committed = Committed(
        run=run,
        created=outcome.created,
        offers_added=added,
        offers_removed=removed,
        due=live.due,
        due_changed=live.due != live_before.due,
        delete_at=delete_at,
        batches=outcome.batches,
        record_size=len(write.record),
        update_ends=outcome.update_ends,
        errands=after.errands,
        errands_added=NO_ERRANDS if after.errands == before.errands else after.errands - before.errands,
        made_here=outcome.replicate,
    )
    return Prepared(outcome=outcome, write=write, derived=after, live=live, committed=committed)


def in_memory(run: Run, before: Derived, live: Derived, update_ends: Mapping[str, UpdateEnd]) -> Committed:
    """What to tell of a change that is in memory only: `before` was told of the run, now `live` is true."""
    added, removed = _offers(before, live)
    return Committed(
        run=run,
        created=False,
        offers_added=added,
        offers_removed=removed,
        due=live.due,
        due_changed=live.due != before.due,
        delete_at=None,
        batches=(),
        record_size=0,
        update_ends=update_ends,
        errands=live.errands,
        errands_added=NO_ERRANDS,
        made_here=True,
    )


def _offers(before: Derived, after: Derived) -> tuple[frozenset[Offer], frozenset[Offer]]:
    """The offers that came and those that went."""
    if after.offers == before.offers:
        return _NO_OFFERS, _NO_OFFERS
    return after.offers - before.offers, before.offers - after.offers


def _columns_changed(before: VisibilityRow | None, after: VisibilityRow | None) -> bool:
    """Whether two rows differ in more than memo and search attributes, which are in no index of the lists."""
    if before is None or after is None:
        return True
    return before != after._replace(memo=before.memo, search_attributes=before.search_attributes)


def _search_attributes(row: VisibilityRow | None) -> bytes:
    return b"" if row is None else row.search_attributes


def current_run(run: Run) -> CurrentRun:
    """The row that says `run` is its workflow id's current one."""
    started = run.started
    assert started is not None, "a current run has been started"
    return CurrentRun(
        run_id=run.key.run_id,
        create_request_id=run.record.create_request_id,
        status=run.status,
        start_time=run.start_time,
        start_version=started.version,
        last_write_version=run.last_write_version,
        close_time=0 if run.open else run.record.close_time,
        attached_request_ids=tuple(sorted(run.record.attached_request_ids)),
    )


def _current_write(outcome: Outcome, current: CurrentRun | None) -> CurrentRun | None:
    """The current-run row to put, or None where it stays as it is."""
    run = outcome.run
    if not outcome.becomes_current and (current is None or current.run_id != run.key.run_id):
        return None
    if run.record.zombie and not outcome.becomes_current:
        return None
    if (
        current is not None
        and current.run_id == run.key.run_id
        and current.status == run.status == RUNNING
        and current.last_write_version == run.last_write_version
        and len(current.attached_request_ids) == len(run.record.attached_request_ids)
    ):
        return None  # nothing else of the row changes while a run is open; most changes end here
    row = current_run(run)
    return None if row == current else row


def log_entries(outcome: Outcome, now: int) -> list[LogWrite]:
    """The replication tasks of one outcome: its batches in order, then what events do not carry."""
    run = outcome.run
    entries: list[LogWrite] = []
    last = len(outcome.batches) - 1
    for index, batch in enumerate(outcome.batches):
        task = ReplicationTask(created_at=now)
        message = task.history
        _put_batch(message, run, batch)
        if outcome.copies and index == 0:
            message.base.CopyFrom(_reset_base(run, outcome.copies))
            message.create_request_id = run.record.create_request_id
        new_run_events: NodeRef | None = None
        if index == last:
            message.request_ids.extend(outcome.request_ids)
            if outcome.successor is not None:
                (first,) = outcome.successor.batches
                _put_batch(message.new_run, outcome.successor.run, first)
                message.new_run.request_ids.extend(outcome.successor.request_ids)
                new_run_events = NodeRef(first.branch_id, first.first_event_id)
        entries.append(
            LogWrite(task.SerializeToString(), NodeRef(batch.branch_id, batch.first_event_id), new_run_events)
        )
    if outcome.activity_states or outcome.replicate_run_state:
        items = run.version_history.items
        for scheduled_event_id in outcome.activity_states:
            activity = run.activities.get(scheduled_event_id)
            if activity is None:
                continue
            task = ReplicationTask(created_at=now)
            state = task.activity
            state.workflow_id, state.run_id = run.key.workflow_id, run.key.run_id
            state.items.extend(items)
            state.activity.CopyFrom(activity.record)
            entries.append(LogWrite(task.SerializeToString()))
        if outcome.replicate_run_state:
            record = RunStateRecord(
                workflow_id=run.key.workflow_id,
                run_id=run.key.run_id,
                items=items,
                reapplied=run.record.reapplied,
                close_errands=run.record.close_errands if run.record.HasField("close_errands") else None,
                problems=_problems(run),
            )
            entries.append(LogWrite(ReplicationTask(created_at=now, run_state=record).SerializeToString()))
    if outcome.deleted:
        deletion = RunDeletion(
            workflow_id=run.key.workflow_id,
            run_id=run.key.run_id,
            version=run.last_write_version,
            items=run.version_history.items,
        )
        entries.append(LogWrite(ReplicationTask(created_at=now, deletion=deletion).SerializeToString()))
    return entries


def _problems(run: Run) -> TaskProblems | None:
    record = run.record
    if not record.reported_problems:
        return None
    return TaskProblems(
        completed_event_id=run.last_completed_task_event_id,
        version=record.reported_version,
        count=record.task_problems,
        reported=record.reported_problems,
    )


def _reset_base(run: Run, copies: Sequence[Batch]) -> ResetBase:
    last = copies[-1]
    return ResetBase(
        run_id=run.record.base_run_id,
        item=VersionHistoryItem(event_id=last.last_event_id, version=last.version),
        reset_time=run.record.reset_time,
    )


def _put_batch(message: HistoryBatch, run: Run, batch: Batch) -> None:
    """Write into `message` what is told of a batch: its run, and the version history of its branch up to its end."""
    message.workflow_id = run.key.workflow_id
    message.run_id = run.key.run_id
    if batch.first_event_id == 1:
        message.create_request_id = run.record.create_request_id
    for history in run.record.version_histories.histories:
        if history.branch_id == batch.branch_id:
            break
    else:
        raise AssertionError(f"{run.key} has no branch {batch.branch_id}")
    for item in history.items:
        if item.event_id >= batch.last_event_id:
            message.items.add(event_id=batch.last_event_id, version=item.version)
            break
        message.items.add(event_id=item.event_id, version=item.version)
