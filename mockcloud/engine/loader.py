"""Runs from disk to memory: the stored record laid over the fold of the current branch.

A fold is cut into slices, so that a long history holds up nobody else. The caller holds the workflow's lock.
"""

from __future__ import annotations

import asyncio
import sqlite3

from temporalio.api.history.v1 import History

from mockcloud.api.state.v1.state_pb2 import RunRecord, VersionHistories
from mockcloud.core import fold
from mockcloud.core.current import CurrentRun
from mockcloud.core.derive import derive
from mockcloud.core.outcome import Batch
from mockcloud.core.run import Run, RunKey
from mockcloud.engine.cache import Entry, RunCache, Tail
from mockcloud.store import deletions, history, runs
from mockcloud.store.database import Store
from mockcloud.store.runs import RunRow

# Events folded in one turn of the event loop: some 5 ms. Counted, not timed, so that a seed repeats it.
_SLICE_EVENTS = 256
# Events that one read from the database brings.
_PAGE_EVENTS = 1024


class Loader:
    """Reads through the cache."""

    def __init__(self, store: Store, cache: RunCache) -> None:
        self._store = store
        self._cache = cache

    async def entry(self, key: RunKey) -> Entry | None:
        """The run.

        None: there is no such run. Its current-run row is brought with it, so that both cost one read.
        """
        entry = self._cache.get(key)
        if entry is not None:
            return entry

        def read(connection: sqlite3.Connection) -> tuple[RunRow | None, CurrentRun | None, list[Batch]]:
            row = runs.load_run(connection, key.namespace_id, key.workflow_id, key.run_id)
            current = runs.load_current(connection, key.namespace_id, key.workflow_id)
            if row is None:
                return None, current, []
            record = RunRecord.FromString(row.record)
            branch_id = _current_branch(record)
            return row, current, history.read_branch(connection, branch_id, max_events=_PAGE_EVENTS)

        row, current, batches = await self._store.read(read)
        self._cache.put_current(key.namespace_id, key.workflow_id, current)
        if row is None:
            return None
        record = RunRecord.FromString(row.record)
        branch_id = _current_branch(record)
        end_event_id = _end_event_id(record)
        run = Run(key)
        tail = Tail(branch_id)
        while True:
            await fold_batches(run, batches, end_event_id)
            tail.extend(batches)
            if run.next_event_id >= end_event_id:
                break
            assert batches, f"{key}: branch {branch_id} ends before event {end_event_id}"
            batches = await self.read_branch(branch_id, run.next_event_id, end_event_id, _PAGE_EVENTS)
        fold.overlay(run, record)
        loaded = Entry(run=run, run_key=row.run_key, derived=derive(run), tail=tail)
        self._cache.put(loaded)
        return loaded

    async def deleted(self, key: RunKey) -> VersionHistories | None:
        """The branches of a run that a user deleted, see `store.deletions`."""
        return await self._store.read_one(lambda connection: deletions.deleted_histories(connection, *key))

    async def histories_of(self, key: RunKey) -> VersionHistories | None:
        """The branches of a run as stored by now, whoever holds its lock; None: there is no such run."""
        row = await self._store.read_one(lambda connection: runs.load_run(connection, *key))
        return RunRecord.FromString(row.record).version_histories if row else None

    async def current(self, namespace_id: str, workflow_id: str) -> CurrentRun | None:
        """The current-run row of a workflow id; None: it never had a run, or all are deleted."""
        try:
            return self._cache.current(namespace_id, workflow_id)
        except KeyError:
            found = await self._store.read_one(
                lambda connection: runs.load_current(connection, namespace_id, workflow_id)
            )
        self._cache.put_current(namespace_id, workflow_id, found)
        return found

    async def read_branch(
        self,
        branch_id: int,
        first_event_id: int = 1,
        end_event_id: int = 1 << 62,
        max_events: int | None = None,
    ) -> list[Batch]:
        """Batches of a branch, see `store.history.read_branch`."""
        return await self._store.read(
            lambda connection: history.read_branch(
                connection, branch_id, first_event_id, end_event_id, max_events
            )
        )

    async def fold_branch(self, key: RunKey, branch_id: int, end_event_id: int) -> Run:
        """The bare fold of a branch's events before `end_event_id`, whether it is the current one or not."""
        run = Run(key)
        while run.next_event_id < end_event_id:
            batches = await self.read_branch(branch_id, run.next_event_id, end_event_id, _PAGE_EVENTS)
            assert batches, f"{key}: branch {branch_id} ends before event {end_event_id}"
            await fold_batches(run, batches, end_event_id)
        return run


async def fold_batches(run: Run, batches: list[Batch], end_event_id: int = 1 << 62) -> None:
    """Fold the events of `batches` into `run`, as far as they are not there and lie before `end_event_id`."""
    folded = 0
    for batch in batches:
        for event in History.FromString(batch.data).events:
            if run.next_event_id <= event.event_id < end_event_id:
                fold.fold(run, event)
                folded += 1
                if folded % _SLICE_EVENTS == 0:
                    await asyncio.sleep(0)


def _current_branch(record: RunRecord) -> int:
    histories = record.version_histories
    return histories.histories[histories.current_index].branch_id


def _end_event_id(record: RunRecord) -> int:
    histories = record.version_histories
    return histories.histories[histories.current_index].items[-1].event_id + 1
