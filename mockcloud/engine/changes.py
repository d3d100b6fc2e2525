"""THE write path: everything that is ever written of a run in this region goes through here.

The life of a change, under the lock of its workflow id:

    load        the run from the cache, or folded from disk
    touch       a workflow task started under a lower failover version is failed, in a commit of its own (§7)
    rule        a pure function of `core` changes the run
    fence       the version is ours, the namespace is active and not in HANDOVER
    commit      one transaction, shared with others that wait
    tell        cache, task queues, timers, long polls, replication
    answer

From the rule to the queue of the writer there is no await, so no change of the namespace can come between
them. All of it runs in a task of the engine: a caller that vanishes leaves nothing half done. Where a rule
has begun to change the run and fails, or the commit does, the run in memory is dropped.

Nothing may be told or answered before the commit, and nothing here decides what a change means. Its parts:
`run_writer` (one run), `starts` (a new one), `replicated` (several, as a plan says).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from temporalio.api.workflowservice.v1 import (
    SignalWithStartWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
)

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import history_limits
from mockcloud.core import start as start_rules
from mockcloud.core.change import Context, RunChange
from mockcloud.core.cluster import Clusters
from mockcloud.core.errors import (
    ServiceError,
    workflow_already_completed,
)
from mockcloud.core.limits import Limits
from mockcloud.core.ports import Ports
from mockcloud.core.run import Run
from mockcloud.engine.cache import RunCache
from mockcloud.engine.committer import Committer, Listener
from mockcloud.engine.loader import Loader
from mockcloud.engine.locks import KeyedLocks
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.plans import InTransaction, Loaded, Replicated
from mockcloud.engine.replicated import Plan, ReplicatedChanges
from mockcloud.engine.run_writer import RunWriter
from mockcloud.engine.starts import StartReply, Starts
from mockcloud.engine.tasks import Tasks
from mockcloud.engine.wakeups import Signal
from mockcloud.store import log
from mockcloud.store.database import Store

__all__ = ["Changes", "Loaded", "Replicated", "StartReply"]

T = TypeVar("T")


class Changes:
    """Changes and reads of runs, one at a time per workflow id."""

    def __init__(
        self,
        region: str,
        clusters: Clusters,
        store: Store,
        ports: Ports,
        limits: Limits,
        tasks: Tasks,
        cache: RunCache,
        log_signal: Signal,
        next_task_id: Callable[[], int],
        find_namespace: Callable[[str], Namespace | None],
    ) -> None:
        self._region = region
        self._clusters = clusters
        self._store = store
        self._ports = ports
        self._limits = limits
        self._tasks = tasks
        self._cache = cache
        self._next_task_id = next_task_id
        self._find_namespace = find_namespace
        self._locks = KeyedLocks()
        self.loader = Loader(store, cache)
        self._committer = Committer(store, ports.clock, cache, log_signal, next_task_id)
        self.listeners: list[Listener] = self._committer.listeners
        self.start_listeners: list[Listener] = self._committer.start_listeners
        self.close_listeners: list[Listener] = self._committer.close_listeners
        self._writer = RunWriter(region, clusters, self.loader, self._committer, cache, self.context)
        self._starts = Starts(self._writer, self.loader, self._committer, cache, self._locks, self.context)
        self._replicated = ReplicatedChanges(self.loader, self._committer, cache, self._locks, self.context)

    def context(self, namespace: Namespace) -> Context:
        """What a rule may know, as of now."""
        return Context(
            now=self._ports.clock.now(),
            region=self._region,
            namespace=namespace.record,
            clusters=self._clusters,
            ids=self._ports.ids,
            next_task_id=self._next_task_id,
            limits=self._limits,
            random=self._ports.rng.random,
            find_namespace=self._find_record,
        )

    def _find_record(self, name: str) -> NamespaceRecord | None:
        found = self._find_namespace(name)
        return found.record if found else None

    # Changing a run that exists

    async def update(
        self,
        namespace: Namespace,
        workflow_id: str,
        run_id: str,
        rule: Callable[[RunChange], T],
        *,
        require_open: bool = False,
        as_active: bool = True,
        afterwards: Callable[[RunChange, T], T] | None = None,
    ) -> T:
        """Change one run by `rule`.

        Its reply, once the change is committed. An empty run id is the current run.

        A reply that is a ServiceError is raised after the commit. `as_active`: the change is the active
        region's, which is refused elsewhere, and replicates; otherwise it is local to this region and no part
        of the history. What a rule changes in memory only (`RunChange.in_memory`) needs no commit, and meets
        the same fence. `afterwards` follows the commit under the same lock, gets the reply and gives the one
        to return; it may only change what is in memory, and is left out if the namespace is no longer writable.

        Raises:
            NotFound: no such run; or, with `require_open`, it is closed.
            NamespaceNotActive, NamespaceHandover: the fence, see `Namespace.require_writable`.
            InvalidArgument: the history would get too long, so the run is terminated instead.
            Whatever `rule` raises; then nothing is written.
        """
        if as_active:
            namespace.require_writable()
        reply = await self._tasks.shielded(
            self._update(
                namespace,
                workflow_id,
                run_id,
                rule,
                require_open=require_open,
                as_active=as_active,
                afterwards=afterwards,
            )
        )
        if isinstance(reply, ServiceError):
            raise reply
        return reply

    async def _update(
        self,
        namespace: Namespace,
        workflow_id: str,
        run_id: str,
        rule: Callable[[RunChange], T],
        *,
        require_open: bool,
        as_active: bool,
        afterwards: Callable[[RunChange, T], T] | None,
    ) -> T:
        lock = (namespace.id, workflow_id)
        await self._locks.acquire(lock)
        try:
            entry = await self._writer.require(namespace, workflow_id, run_id)
            if as_active:
                namespace.require_writable()
                await self._writer.touch(namespace, entry)
            if require_open and (not entry.run.open or entry.run.record.zombie):
                raise workflow_already_completed()
            current = await self.loader.current(namespace.id, workflow_id)
            change = RunChange(entry.run, self.context(namespace))
            try:
                guard = history_limits.guard(change) if as_active else None
                reply = rule(change)
                too_long = history_limits.enforce(change, guard)
                await self._writer.keep(namespace, entry, current, change, as_active=as_active)
                if afterwards is not None and too_long is None and namespace.writable:
                    change = RunChange(entry.run, self.context(namespace))
                    reply = afterwards(change, reply)
                    assert not change.changed, "what follows a commit is in memory only"
                    await self._writer.keep(namespace, entry, current, change, as_active=as_active)
            except BaseException:
                if change.changed or change.in_memory:
                    self._cache.drop(entry.run.key)
                raise
            if too_long is not None:
                raise too_long
            return reply
        finally:
            self._locks.release(lock)

    async def read(self, namespace: Namespace, workflow_id: str, run_id: str, fn: Callable[[Run], T]) -> T:
        """What `fn` sees of a run as committed. An empty run id is the current run.

        A read is a touch: where a worker has a workflow task of a lower failover version, that is failed
        first.

        Raises:
            NotFound: no such run.
        """
        lock = (namespace.id, workflow_id)
        touched = False
        while True:
            await self._locks.acquire(lock)
            try:
                entry = await self._writer.require(namespace, workflow_id, run_id)
                if touched or not self._writer.must_touch(namespace, entry.run):
                    return fn(entry.run)
            finally:
                self._locks.release(lock)
            run_id = entry.run.key.run_id
            await self.touch(namespace, workflow_id, run_id)
            touched = True

    async def touch(self, namespace: Namespace, workflow_id: str, run_id: str) -> None:
        """Fail the workflow task that a worker has under a lower failover version; otherwise do nothing."""
        await self._tasks.shielded(self._touch_run(namespace, workflow_id, run_id))

    async def _touch_run(self, namespace: Namespace, workflow_id: str, run_id: str) -> None:
        lock = (namespace.id, workflow_id)
        await self._locks.acquire(lock)
        try:
            await self._writer.touch(namespace, await self._writer.require(namespace, workflow_id, run_id))
        finally:
            self._locks.release(lock)

    # Starting runs

    async def start(
        self,
        namespace: Namespace,
        request: StartWorkflowExecutionRequest,
        parent: start_rules.Parent | None = None,
    ) -> StartReply:
        """Start a run, or find the one that the policies say. A child gets no workflow task (`core.children`).

        Raises:
            WorkflowExecutionAlreadyStarted, and what `core.start` raises; the fence as in `update`.
        """
        namespace.require_writable()
        return await self._tasks.shielded(self._starts.start(namespace, request, parent))

    async def signal_with_start(
        self, namespace: Namespace, request: SignalWithStartWorkflowExecutionRequest
    ) -> StartReply:
        """Signal the open run, or start one with the signal in it.

        One transaction either way. Errors as `start`.
        """
        namespace.require_writable()
        return await self._tasks.shielded(self._starts.start(namespace, request))

    async def start_or_join(
        self,
        namespace: Namespace,
        request: StartWorkflowExecutionRequest,
        joins: Callable[[Run], bool],
        rule: Callable[[RunChange], None],
    ) -> StartReply:
        """Change the current run by `rule`, if `joins` says so, else a run that is started in the same commit.

        Raises:
            Unavailable: the policies lead to the current run, and it is not to be joined.
            What `rule` and `start` raise; then nothing is written.
        """
        namespace.require_writable()
        return await self._tasks.shielded(self._starts.start_or_join(namespace, request, joins, rule))

    # Replication

    async def replicate(
        self,
        namespace: Namespace,
        workflow_id: str,
        plan: Plan,
    ) -> None:
        """Commit what `plan` makes of the runs of a workflow id, under its lock.

        The way of everything that a peer sends.

        There is no fence: a peer's batches are applied whatever this region is. An outcome's run may be a new
        object (a branch switch): it replaces the one that was loaded. What the plan raises comes out here,
        and nothing is written.
        """
        await self._tasks.shielded(self._replicated.alone(namespace, workflow_id, plan))

    async def replicate_together(
        self,
        namespace: Namespace,
        plans: Mapping[str, Plan],
        complete: Sequence[InTransaction] = (),
    ) -> set[str]:
        """Commit what the plans make of the runs of their workflow ids, many in a transaction.

        What a peer sends by hundreds costs a task and a few transactions this way. Returns the workflow ids that
        need a `replicate` of their own, nothing of theirs is written: someone holds the lock, the plan raises, or
        the namespace has changed since it passed the fence. When a transaction fails, all of it need it.
        `complete` is part of the last transaction if no workflow id is left over.
        """
        return await self._tasks.shielded(self._replicated.together(namespace, plans, complete))

    async def compose(self, namespace: Namespace, workflow_id: str, plan: Plan) -> None:
        """Commit what `plan` makes of several runs of a workflow id, as the active region, under its lock.

        The plan itself must end with the fence: `Namespace.require_writable` and `RunChange.require_active` after
        its last await. What it raises comes out here, and nothing is written.
        """
        await self._tasks.shielded(self._replicated.alone(namespace, workflow_id, plan))

    async def exclusive(self, namespace: Namespace, workflow_id: str, work: Callable[[], Awaitable[T]]) -> T:
        """Do what is no change of a run to a workflow id's rows, such as deleting one, under its lock."""

        async def locked() -> T:
            lock = (namespace.id, workflow_id)
            await self._locks.acquire(lock)
            try:
                return await work()
            finally:
                self._locks.release(lock)

        return await self._tasks.shielded(locked())

    async def drained_position(self, namespace: Namespace) -> int:
        """The position in the replication log after everything that was admitted before this call."""
        return await self._store.transact(lambda connection: log.last_position(connection, namespace.id))
