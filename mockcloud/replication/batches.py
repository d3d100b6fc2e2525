"""A batch of a peer as it comes: what it says of its run and its events, before anything is planned."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio.api.history.v1 import History, HistoryEvent

from mockcloud.api.replication.v1.replication_pb2 import HistoryBatch, ReplicationTask
from mockcloud.core import conflict, reapply, reset, version_history
from mockcloud.core.conflict import Append, Incoming
from mockcloud.core.outcome import Outcome
from mockcloud.core.version_history import Item
from mockcloud.engine.plans import Loaded
from mockcloud.replication.needs import RefusedError


async def continues(loaded: Loaded, task: ReplicationTask) -> bool:
    """Whether a task only continues the open, current run of its workflow id as it stands here.

    Then nothing before it is missing, and it may be applied ahead of its turn: where it comes again, it is a duplicate.
    """
    batch = task.history
    if task.WhichOneof("task") != "history" or batch.HasField("new_run") or batch.filled:
        return False
    current = await loaded.current()
    if current is None or current.run_id != batch.run_id:
        return False
    run = await loaded.look(batch.run_id)
    if run is None or not run.open or run.record.buffered_events:
        return False
    incoming = incoming_of(batch, list(History.FromString(batch.events).events))
    return incoming.last.version <= loaded.namespace.record.failover_version and isinstance(
        conflict.decide(run.record.version_histories, incoming), Append
    )


def wanted_of(batch: HistoryBatch, events: Sequence[HistoryEvent]) -> list[HistoryEvent]:
    """What is reapplied of the events of a batch if they lose.

    A region that joins reapplies nothing of what it is filled with: those who had it before have done so, and the
    current run may be a later one by now, which does not know.
    """
    return [] if batch.filled else reapply.candidates(events)


def marked(outcome: Outcome, batch: HistoryBatch) -> Outcome:
    """A run that comes with what a reset copied is marked where the copy ends."""
    if outcome.batches[-1].last_event_id == batch.base.item.event_id:
        base = batch.base
        reset.mark(outcome.run, base.run_id, Item.of(base.item), base.reset_time)
    return outcome


def incoming_of(batch: HistoryBatch, events: Sequence[HistoryEvent]) -> Incoming:
    """The batch as the plan sees it. Raises RefusedError where events and version history disagree."""
    items = version_history.values(batch.items)
    if not events or not items:
        raise RefusedError("a batch without events or version history")
    first, last = events[0].event_id, items[-1]
    for event_id, event in enumerate(events, first):
        if event.event_id != event_id:
            raise RefusedError("the event ids of a batch must be consecutive")
        if event.version != last.version:
            raise RefusedError("the events of a batch must have one version")
    if event_id != last.event_id:
        raise RefusedError("a batch ends where its version history ends")
    return Incoming(items, first)


def signal_request_ids(batch: HistoryBatch, events: Sequence[HistoryEvent]) -> list[str]:
    """Request ids by which a signal sent twice is known.

    A batch that was fetched again has them in its events.
    """
    found = dict.fromkeys(batch.request_ids)
    for event in events:
        if event.event_type == reapply.SIGNALED:
            request_id = event.workflow_execution_signaled_event_attributes.request_id
            if request_id:
                found[request_id] = None
    return list(found)
