"""The part of the write path for several runs at once, peers' changes above all: plans carried out under the locks.

Called by `Changes`, in a task of the engine. Nothing here decides what a change means: a plan does.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core.change import Context
from mockcloud.core.errors import RegionKilled
from mockcloud.core.run import RunKey
from mockcloud.engine.cache import Entry, RunCache
from mockcloud.engine.committer import Committer, Work
from mockcloud.engine.loader import Loader
from mockcloud.engine.locks import KeyedLocks
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.plans import InTransaction, Loaded, Replicated
from mockcloud.store import runs

Plan = Callable[[Loaded], Awaitable[Replicated]]

# So many workflow ids share a transaction: it bounds for how long the event loop is held.
_TOGETHER = 32


class _Planned(NamedTuple):
    """What a plan has made of a workflow id whose lock is held."""

    loaded: Loaded
    record: NamespaceRecord  # of the namespace, when the plan was made
    work: Work
    deleted: Sequence[RunKey]
    also: Sequence[InTransaction]
    then: Sequence[Callable[[], None]]

    @property
    def outdated(self) -> bool:
        """Whether it writes as the active region, and the namespace has changed since it passed the fence."""
        return self.loaded.namespace.record is not self.record and any(
            outcome.replicate for outcome in self.work.outcomes
        )


class ReplicatedChanges:
    """Carries out plans. See `Changes.replicate` and `Changes.replicate_together`."""

    def __init__(
        self,
        loader: Loader,
        committer: Committer,
        cache: RunCache,
        locks: KeyedLocks,
        context: Callable[[Namespace], Context],
    ) -> None:
        self._loader = loader
        self._committer = committer
        self._cache = cache
        self._locks = locks
        self._context = context

    async def alone(self, namespace: Namespace, workflow_id: str, plan: Plan) -> None:
        """Commit what `plan` makes of the runs of a workflow id. Whatever it raises comes out here."""
        lock = (namespace.id, workflow_id)
        await self._locks.acquire(lock)
        loaded = self._loaded(namespace, workflow_id)
        try:
            planned = await self._plan(loaded, plan)
            await self._committer.commit_all(namespace, [planned.work], planned.also)
            self._settled(planned)
        except BaseException:
            self._forget(loaded)
            raise
        finally:
            self._locks.release(lock)

    async def together(
        self, namespace: Namespace, plans: Mapping[str, Plan], complete: Sequence[InTransaction]
    ) -> set[str]:
        """Commit what plans make of several workflow ids, so many in a transaction; those that are left over."""
        left: set[str] = set()
        ids = list(plans)
        for begin in range(0, len(ids), _TOGETHER):
            some = ids[begin : begin + _TOGETHER]
            is_last = begin + _TOGETHER >= len(ids)
            left |= await self._transaction(
                namespace, {name: plans[name] for name in some}, complete if is_last and not left else ()
            )
            await asyncio.sleep(0)
        return left

    async def _transaction(
        self, namespace: Namespace, plans: Mapping[str, Plan], complete: Sequence[InTransaction]
    ) -> set[str]:
        """Commit what plans make in one transaction, `complete` with it if none is left over."""
        group: list[_Planned] = []
        try:
            for workflow_id, plan in plans.items():
                if self._locks.try_acquire((namespace.id, workflow_id)):
                    planned = await self._try(namespace, workflow_id, plan)
                    if planned is not None:
                        group.append(planned)
            for planned in [planned for planned in group if planned.outdated]:
                group.remove(planned)
                self._give_up(planned.loaded)
            left = set(plans).difference(planned.loaded.workflow_id for planned in group)
            also = [function for planned in group for function in planned.also]
            if not left:
                also += complete
            await self._committer.commit_all(namespace, [planned.work for planned in group], also)
            for planned in group:
                self._settled(planned)
        except BaseException as error:
            for planned in group:
                self._forget(planned.loaded)
            if not isinstance(error, Exception) or isinstance(error, RegionKilled):
                raise
            return set(plans)  # the one that fails the transaction fails again, alone
        else:
            return left
        finally:
            for planned in group:
                self._locks.release((namespace.id, planned.loaded.workflow_id))

    async def _try(self, namespace: Namespace, workflow_id: str, plan: Plan) -> _Planned | None:
        """What `plan` makes, under the lock that was taken; None: it must be carried out alone, the lock is free."""
        loaded = self._loaded(namespace, workflow_id)
        planned: _Planned | None = None
        try:
            planned = await self._plan(loaded, plan)
        except RegionKilled:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, it comes again when the plan is carried out alone
            return None
        finally:
            if planned is None:
                self._give_up(loaded)
        return planned

    async def _plan(self, loaded: Loaded, plan: Plan) -> _Planned:
        """What `plan` makes, ready to be committed; without a turn of the loop after the plan."""
        replicated = await plan(loaded)
        record = loaded.namespace.record
        entries: dict[RunKey, Entry] = {}
        for outcome in replicated.outcomes:
            if not outcome.created and outcome.run.key not in entries:
                entry = await self._loader.entry(outcome.run.key)
                assert entry is not None, f"{outcome.run.key} is changed, so it is there"
                entries[outcome.run.key] = entry
        current = await self._loader.current(loaded.namespace.id, loaded.workflow_id)
        deletions = [partial(_delete, key=key) for key in replicated.deleted]
        work = Work(replicated.outcomes, entries, current)
        also: list[InTransaction] = [*deletions, *replicated.also]
        return _Planned(loaded, record, work, replicated.deleted, also, replicated.then)

    def _loaded(self, namespace: Namespace, workflow_id: str) -> Loaded:
        return Loaded(namespace, workflow_id, self._loader, lambda: self._context(namespace))

    def _settled(self, planned: _Planned) -> None:
        # A run that the plan looked at and left out of its outcomes may have been changed all the same.
        for key in planned.loaded.touched.difference(planned.work.entries):
            self._cache.drop(key)
        for key in planned.deleted:
            self._cache.drop(key)
            self._cache.drop_current(key.namespace_id, key.workflow_id)
        for follow in planned.then:
            follow()

    def _give_up(self, loaded: Loaded) -> None:
        self._forget(loaded)
        self._locks.release((loaded.namespace.id, loaded.workflow_id))

    def _forget(self, loaded: Loaded) -> None:
        for key in loaded.touched:
            self._cache.drop(key)
        self._cache.drop_current(loaded.namespace.id, loaded.workflow_id)


def _delete(connection: sqlite3.Connection, key: RunKey) -> None:
    row = runs.load_run(connection, *key)
    if row is not None:
        runs.delete_run(connection, row.run_key)
