"""Serves GetHistoryRange.

Batches of one run for a peer that misses them, read from this region's own branches.

Reads what is stored, without the run's lock: what is asked for was committed before it was replicated.
Such a read is no touch of the run.
"""

from __future__ import annotations

import sqlite3

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History

from mockcloud.api.replication.v1.replication_pb2 import (
    GetHistoryRangeRequest,
    GetHistoryRangeResponse,
    HistoryBatch,
    ResetBase,
)
from mockcloud.api.state.v1.state_pb2 import RunRecord, VersionHistory
from mockcloud.core import conflict, version_history
from mockcloud.core.errors import FailedPrecondition, workflow_not_found
from mockcloud.core.outcome import Batch
from mockcloud.core.version_history import Item
from mockcloud.store import history, runs
from mockcloud.store.database import Store


async def history_range(
    store: Store, request: GetHistoryRangeRequest, max_events: int
) -> GetHistoryRangeResponse:
    """The batches after an event id, up to `until`, of the branch that has `until`: as many as fit.

    Raises:
        NotFound: no such run here.
        FailedPrecondition: no branch of it has that event under that version.
    """
    return await store.read(lambda connection: _read(connection, request, max_events))


def _read(
    connection: sqlite3.Connection, request: GetHistoryRangeRequest, max_events: int
) -> GetHistoryRangeResponse:
    row = runs.load_run(connection, request.namespace_id, request.workflow_id, request.run_id)
    if row is None:
        raise workflow_not_found(request.workflow_id, request.run_id)
    record = RunRecord.FromString(row.record)
    until = Item.of(request.until)
    branch = conflict.branch_with(record.version_histories, until)
    if branch is None:
        raise FailedPrecondition(
            f"run {request.run_id} has no event {until.event_id} of version {until.version}"
        )
    # What a reset run was copied from, its replica copies too, unless that is deleted here or there.
    copied = request.after_event_id < record.base_event_id < until.event_id and not request.with_copy
    if copied and not runs.load_run(
        connection, request.namespace_id, request.workflow_id, record.base_run_id
    ):
        copied = False
    base = record.base_event_id if copied else 0
    first = (base or request.after_event_id) + 1
    batches = history.read_branch(connection, branch.branch_id, first, until.event_id + 1, max_events)
    response = GetHistoryRangeResponse()
    for batch in batches:
        message = _message(request.run_id, request.workflow_id, record, branch, batch)
        if base and batch.first_event_id == first:
            message.base.CopyFrom(_reset_base(record, branch))
            message.create_request_id = record.create_request_id
        elif record.base_event_id == batch.last_event_id:
            message.base.CopyFrom(_reset_base(record, branch))
        new_run = _new_run(connection, request, batch)
        if new_run is not None:
            message.new_run.CopyFrom(new_run)
        response.batches.append(message)
    return response


def _reset_base(record: RunRecord, branch: VersionHistory) -> ResetBase:
    last = version_history.until(version_history.items(branch), record.base_event_id)[-1]
    return ResetBase(run_id=record.base_run_id, item=last.message(), reset_time=record.reset_time)


def _message(
    run_id: str, workflow_id: str, record: RunRecord, branch: VersionHistory, batch: Batch
) -> HistoryBatch:
    items = version_history.until(version_history.items(branch), batch.last_event_id)
    return HistoryBatch(
        workflow_id=workflow_id,
        run_id=run_id,
        items=[item.message() for item in items],
        events=batch.data,
        create_request_id=record.create_request_id if batch.first_event_id == 1 else "",
    )


def _new_run(
    connection: sqlite3.Connection, request: GetHistoryRangeRequest, batch: Batch
) -> HistoryBatch | None:
    """The first batch of the run that continues this one, if `batch` ends so."""
    last = History.FromString(batch.data).events[-1]
    if last.event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
        return None
    run_id = last.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    row = runs.load_run(connection, request.namespace_id, request.workflow_id, run_id)
    if row is None:
        return None
    record = RunRecord.FromString(row.record)
    branch = record.version_histories.histories[record.version_histories.current_index]
    first = history.read_branch(connection, branch.branch_id, 1, 2)
    return _message(run_id, request.workflow_id, record, branch, first[0]) if first else None
