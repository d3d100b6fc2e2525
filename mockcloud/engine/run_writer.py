"""The part of the write path for one run whose lock is held: load, touch, keep.

Called by `Changes` and `Starts`, in a task of the engine. Nothing here decides what a change means: a rule does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mockcloud.core import failover
from mockcloud.core.change import Context, RunChange
from mockcloud.core.cluster import Clusters
from mockcloud.core.current import CurrentRun
from mockcloud.core.errors import workflow_already_completed, workflow_not_found
from mockcloud.core.run import Run, RunKey
from mockcloud.engine.cache import Entry, RunCache
from mockcloud.engine.committer import Committer
from mockcloud.engine.loader import Loader
from mockcloud.engine.namespaces import Namespace

__all__ = ["RunWriter"]

T = TypeVar("T")


class RunWriter:
    """Loads, changes and commits a run. The caller holds the lock of its workflow id."""

    def __init__(
        self,
        region: str,
        clusters: Clusters,
        loader: Loader,
        committer: Committer,
        cache: RunCache,
        context: Callable[[Namespace], Context],
    ) -> None:
        self._region = region
        self._clusters = clusters
        self._loader = loader
        self._committer = committer
        self._cache = cache
        self._context = context

    async def require(self, namespace: Namespace, workflow_id: str, run_id: str) -> Entry:
        """The loaded run. Raises NotFound."""
        if not run_id:
            current = await self._loader.current(namespace.id, workflow_id)
            if current is None:
                raise workflow_not_found(workflow_id)
            entry = await self._loader.entry(RunKey(namespace.id, workflow_id, current.run_id))
        else:
            entry = await self._loader.entry(RunKey(namespace.id, workflow_id, run_id))
        if entry is None:
            raise workflow_not_found(workflow_id, run_id)
        return entry

    def must_touch(self, namespace: Namespace, run: Run) -> bool:
        """Whether a worker has a workflow task of a lower failover version that is to be failed first."""
        task = run.started_workflow_task
        if task is None or task.version >= namespace.record.failover_version:
            return False
        if not run.open or run.record.zombie or namespace.handover:
            return False
        # A passive region closes what it itself had begun when it was active, and nothing else.
        return namespace.active or self._clusters.owner(run.last_write_version) == self._region

    async def touch(self, namespace: Namespace, entry: Entry) -> None:
        """Fail the workflow task that a worker has under a lower failover version, in a commit of its own.

        Real: workflow.ContextImpl.LoadMutableState, which commits what StartTransaction flushed.
        """
        if not self.must_touch(namespace, entry.run):
            return
        key = entry.run.key
        current = await self._loader.current(key.namespace_id, key.workflow_id)
        change = RunChange(entry.run, self._context(namespace))
        try:
            if namespace.active:
                failover.touch(change)
            else:
                failover.close_task_of_lower_version(change)
            if change.changed:
                await self.commit(
                    namespace, entry, current, change, as_active=namespace.active, replicate=True
                )
            elif change.in_memory:
                self._committer.tell(namespace, entry, change.update_ends)
        except BaseException:
            if change.changed or change.in_memory:
                self._cache.drop(key)
            raise

    async def change(
        self,
        namespace: Namespace,
        entry: Entry,
        current: CurrentRun | None,
        rule: Callable[[RunChange], T],
    ) -> T:
        """Change a loaded run by `rule`, under its lock, as the active region; the reply once that is in force."""
        change = RunChange(entry.run, self._context(namespace))
        try:
            reply = rule(change)
            await self.keep(namespace, entry, current, change, as_active=True)
        except BaseException:
            if change.changed or change.in_memory:
                self._cache.drop(entry.run.key)
            raise
        return reply

    async def keep(
        self,
        namespace: Namespace,
        entry: Entry,
        current: CurrentRun | None,
        change: RunChange,
        *,
        as_active: bool,
    ) -> None:
        """Commit what `change` made; what is in memory only is told at once.

        Raises NotFound for a zombie: it changes by replication only [05d].
        """
        if as_active and entry.run.record.zombie and (change.changed or change.in_memory):
            raise workflow_already_completed()
        if change.changed:
            await self.commit(namespace, entry, current, change, as_active=as_active)
        elif change.in_memory:
            if as_active:
                change.require_active()
                namespace.require_writable()
            self._committer.tell(namespace, entry, change.update_ends)

    async def commit(
        self,
        namespace: Namespace,
        entry: Entry,
        current: CurrentRun | None,
        change: RunChange,
        *,
        as_active: bool,
        replicate: bool | None = None,
    ) -> None:
        """Fence and commit. What is not the active region's does not replicate, unless told to."""
        if as_active:
            change.require_active()
            namespace.require_writable()
        outcome = change.finish()
        if change.in_memory:
            self._cache.note_memory(entry.run.key)
        if not (as_active if replicate is None else replicate):
            outcome.replicate = False
        await self._committer.commit(namespace, [outcome], {entry.run.key: entry}, current)
