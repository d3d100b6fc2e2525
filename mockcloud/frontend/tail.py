"""Which events of a region a peer does not have: read beside the engine, or from the file of a region that is down.

It reads the replication log after the acknowledged position, and histories after a mark; a page at a time, because
functions on the database run in the event loop's thread and nobody's write shall wait for a report.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from temporalio.api.history.v1 import History

from mockcloud.api.admin.v1 import region_admin_pb2 as admin
from mockcloud.api.replication.v1.replication_pb2 import HistoryBatch
from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core.event_kinds import subject_of
from mockcloud.store import history, log, positions

_ROWS: Final = 256
_BYTES: Final = 1 << 18
_NODES: Final = 1024

# What people call the changes that no event tells of, by the kind of their replication task.
_OTHER_KINDS: Final = {
    "activity": "activity states",
    "namespace_record": "namespace settings",
    "run_state": "run states",
    "deletion": "deletions",
    "task_queue": "task queue settings",
    "schedule": "schedule states",
}


def read_tail(
    connection: sqlite3.Connection, record: NamespaceRecord, request: admin.ReadTailRequest
) -> admin.ReadTailResponse:
    """A page of what `request.peer` has not acknowledged of the namespace's log."""
    after = request.after_position or positions.acked(connection, record.id, request.peer)
    last = request.up_to_position or log.last_position(connection, record.id)
    answer = admin.ReadTailResponse(
        last_position=last,
        last_node=history.last_node(connection),
        failover_version=record.failover_version,
    )
    rows = log.read_log(connection, record.id, after, _ROWS, _BYTES)
    for row in rows:
        if row.position > last:
            break
        task = row.task
        if not task.HasField("history"):
            answer.other_changes += 1
            answer.other_kinds[_OTHER_KINDS.get(task.WhichOneof("task") or "", "other changes")] += 1
        elif not row.events_gone:
            _add_batch(answer, task.history)
    if rows and rows[-1].position < last:
        answer.next_after_position = rows[-1].position
    return answer


def read_written(
    connection: sqlite3.Connection, record: NamespaceRecord, request: admin.ReadWrittenRequest
) -> admin.ReadWrittenResponse:
    """A page of what has been written under `request.version` after the mark `request.after_node`."""
    up_to = request.after_node + _NODES
    answer = admin.ReadWrittenResponse()
    for workflow_id, run_id, _, data in history.written(
        connection, record.id, request.after_node, up_to, request.version
    ):
        answer.events.append(_events(workflow_id, run_id, data))
    if up_to < history.last_node(connection):
        answer.next_after_node = up_to
    return answer


def find_missing(
    connection: sqlite3.Connection, record: NamespaceRecord, request: admin.FindMissingRequest
) -> admin.FindMissingResponse:
    """Those of `request.events` that were not here at the mark `request.last_node`."""
    return admin.FindMissingResponse(
        events=[
            part
            for events in request.events
            for part in _missing(connection, record.id, events, request.last_node)
        ]
    )


def _missing(
    connection: sqlite3.Connection, namespace_id: str, events: admin.RunEvents, last_node: int
) -> Iterator[admin.RunEvents]:
    first = events.first_event_id
    event_ids = range(first, first + len(events.types))
    held = history.held(
        connection, namespace_id, events.workflow_id, events.run_id, events.version, event_ids, last_node
    )
    for is_held, group in groupby(event_ids, held.__contains__):
        if not is_held:
            part = list(group)
            begin, end = part[0] - first, part[-1] + 1 - first
            yield admin.RunEvents(
                workflow_id=events.workflow_id,
                run_id=events.run_id,
                version=events.version,
                first_event_id=part[0],
                types=events.types[begin:end],
                names=events.names[begin:end],
            )


def _add_batch(answer: admin.ReadTailResponse, batch: HistoryBatch) -> None:
    answer.events.append(_events(batch.workflow_id, batch.run_id, batch.events))
    if batch.HasField("new_run"):
        answer.events.append(
            _events(
                batch.new_run.workflow_id or batch.workflow_id, batch.new_run.run_id, batch.new_run.events
            )
        )


def _events(workflow_id: str, run_id: str, data: bytes) -> admin.RunEvents:
    events = History.FromString(data).events
    return admin.RunEvents(
        workflow_id=workflow_id,
        run_id=run_id,
        version=events[0].version,
        first_event_id=events[0].event_id,
        types=[event.event_type for event in events],
        names=[subject_of(event) for event in events],
    )
