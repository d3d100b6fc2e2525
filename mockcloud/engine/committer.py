"""The commit of a change and what follows it: one transaction, then the cache and everyone who waits."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from mockcloud.core.current import CurrentRun
from mockcloud.core.derive import derive_live
from mockcloud.core.derived import Derived
from mockcloud.core.outcome import Outcome
from mockcloud.core.ports import Clock
from mockcloud.core.run import RunKey
from mockcloud.core.update_state import UpdateEnd
from mockcloud.engine import commit
from mockcloud.engine.cache import Entry, RunCache, Tail
from mockcloud.engine.commit import Committed, Prepared
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.plans import InTransaction
from mockcloud.engine.wakeups import Signal
from mockcloud.store import runs
from mockcloud.store.database import Store

Listener = Callable[[Namespace, Committed], None]


class Work(NamedTuple):
    """Outcomes of one workflow id, its loaded runs that they change, and its current-run row as stored."""

    outcomes: Sequence[Outcome]
    entries: dict[RunKey, Entry]
    current: CurrentRun | None


class Committer:
    """Commits outcomes. The caller holds the locks of their workflow ids."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        cache: RunCache,
        log_signal: Signal,
        next_task_id: Callable[[], int],
    ) -> None:
        self._store = store
        self._clock = clock
        self._cache = cache
        self._log_signal = log_signal
        self._next_task_id = next_task_id
        # Told of every committed run, in the order of the commits, before the answer. They must not raise or
        # wait.
        self.listeners: list[Listener] = []
        # Told only of runs that are new, or closed.
        self.start_listeners: list[Listener] = []
        self.close_listeners: list[Listener] = []

    async def commit(
        self,
        namespace: Namespace,
        outcomes: Sequence[Outcome],
        entries: dict[RunKey, Entry],
        current: CurrentRun | None,
        also: Sequence[InTransaction] = (),
    ) -> None:
        """Commit outcomes of one workflow id and tell everyone.

        Up to the writer's queue there is no await.
        """
        await self.commit_all(namespace, [Work(outcomes, entries, current)], also)

    async def commit_all(
        self, namespace: Namespace, works: Sequence[Work], also: Sequence[InTransaction] = ()
    ) -> None:
        """Commit the work of several workflow ids in one transaction, as `commit` does that of one."""
        done: list[tuple[Work, list[Prepared]]] = []
        try:
            for work in works:
                prepared: list[Prepared] = []
                self._prepare(namespace, work.outcomes, work.entries, work.current, prepared)
                done.append((work, prepared))

            def transaction(connection: sqlite3.Connection) -> None:
                for _, prepared in done:
                    for one in prepared:
                        runs.write_run(connection, one.write)
                for function in also:
                    function(connection)

            # Several workflow ids are company enough: a peer's batch, whose acknowledgement is waited for.
            await self._store.transact(transaction, urgent=len(works) > 1)
        except BaseException:
            for outcome in (outcome for work in works for outcome in work.outcomes):
                key = outcome.run.key
                self._cache.drop(key)
                self._cache.drop_current(key.namespace_id, key.workflow_id)
            raise
        for work, prepared in done:
            self._committed(namespace, prepared, work.entries)

    def tell(self, namespace: Namespace, entry: Entry, update_ends: Mapping[str, UpdateEnd]) -> None:
        """Tell everyone of a change that is in memory only: nothing is to be stored."""
        live = derive_live(entry.run, entry.derived)
        told = commit.in_memory(entry.run, entry.live, live, update_ends)
        entry.live = live
        self._cache.put(entry)
        for listener in self.listeners:
            listener(namespace, told)

    def _prepare(
        self,
        namespace: Namespace,
        outcomes: Sequence[Outcome],
        entries: Mapping[RunKey, Entry],
        current: CurrentRun | None,
        prepared: list[Prepared],
        *,
        in_predecessors_log: bool = False,
    ) -> CurrentRun | None:
        now = self._clock.now()
        for outcome in outcomes:
            one = commit.prepare(
                outcome,
                *self._before(outcome, entries, prepared),
                current,
                namespace.record,
                now,
                replicated=namespace.replicated and not in_predecessors_log,
            )
            current = one.write.current or current
            prepared.append(one)
            if outcome.successor is not None:
                current = self._prepare(
                    namespace,
                    [outcome.successor],
                    entries,
                    current,
                    prepared,
                    in_predecessors_log=outcome.replicate,
                )
        return current

    def _before(
        self, outcome: Outcome, entries: Mapping[RunKey, Entry], prepared: Sequence[Prepared]
    ) -> tuple[int, Derived, Derived]:
        """The run's key in the store, and what hangs on it before this outcome: as stored, and as told."""
        key = outcome.run.key
        if outcome.created:
            return self._next_task_id(), commit.NOTHING, commit.NOTHING
        for one in reversed(prepared):
            if one.outcome.run.key == key:
                return one.write.run_key, one.derived, one.live
        entry = entries[key]
        return entry.run_key, entry.derived, entry.live

    def _committed(
        self,
        namespace: Namespace,
        prepared: Sequence[Prepared],
        entries: dict[RunKey, Entry],
    ) -> None:
        logged = False
        for one in prepared:
            run, write = one.outcome.run, one.write
            branch_id = run.version_history.branch_id
            entry = entries.get(run.key)
            if entry is None or entry.run is not run or entry.tail.branch_id != branch_id:
                entry = entries[run.key] = Entry(run, write.run_key, one.derived, Tail(branch_id))
            entry.derived = one.derived
            entry.live = one.live
            entry.tail.extend(one.outcome.batches)
            self._cache.put(entry)
            if write.current is not None:
                self._cache.put_current(write.namespace_id, write.workflow_id, write.current)
            logged = logged or bool(write.log)
        for one in prepared:
            committed = one.committed
            for listener in self.listeners:
                listener(namespace, committed)
            if committed.created:
                for listener in self.start_listeners:
                    listener(namespace, committed)
            if not committed.run.open:
                for listener in self.close_listeners:
                    listener(namespace, committed)
        if logged:
            self._log_signal.notify(namespace.id)
