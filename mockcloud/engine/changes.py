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

Nothing may be told or answered before the commit, and nothing here decides what a change means.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import (
    SignalWithStartWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
)

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import failover, history_limits, signals
from mockcloud.core import start as start_rules
from mockcloud.core.attach import attach
from mockcloud.core.change import Context, Outcome, RunChange
from mockcloud.core.cluster import Clusters
from mockcloud.core.current import CurrentRun
from mockcloud.core.errors import (
    ServiceError,
    Unavailable,
    workflow_already_completed,
    workflow_not_found,
)
from mockcloud.core.limits import Limits
from mockcloud.core.ports import Ports
from mockcloud.core.run import RUNNING, Run, RunKey
from mockcloud.core.start import AttachTo, StartNew, TerminateAndStart, UseExisting
from mockcloud.core.task_start import StartedTask
from mockcloud.engine.cache import Entry, RunCache
from mockcloud.engine.committer import Committer, Listener
from mockcloud.engine.loader import Loader
from mockcloud.engine.locks import KeyedLocks
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.plans import InTransaction, Loaded, Replicated
from mockcloud.engine.replicated import Plan, ReplicatedChanges
from mockcloud.engine.tasks import Tasks
from mockcloud.engine.wakeups import WakeUps
from mockcloud.store import log
from mockcloud.store.database import Store

__all__ = ["Changes", "Loaded", "Replicated", "StartReply"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StartReply:
    """Where a start led.

    `started`: this request made the run, now or when it was sent before. `attached`: it is known there by its
    request id without having made it. `eager_task`: the first task, for a caller with a worker of its own.
    """

    run_id: str
    started: bool
    status: WorkflowExecutionStatus.ValueType = RUNNING
    attached: bool = False
    eager_task: StartedTask | None = None


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
        log_signal: WakeUps,
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
            entry = await self._require(namespace, workflow_id, run_id)
            if as_active:
                namespace.require_writable()
                await self._touch(namespace, entry)
            if require_open and (not entry.run.open or entry.run.record.zombie):
                raise workflow_already_completed()
            current = await self.loader.current(namespace.id, workflow_id)
            change = RunChange(entry.run, self.context(namespace))
            try:
                guard = history_limits.guard(change) if as_active else None
                reply = rule(change)
                too_long = history_limits.enforce(change, guard)
                await self._keep(namespace, entry, current, change, as_active=as_active)
                if afterwards is not None and too_long is None and namespace.writable:
                    change = RunChange(entry.run, self.context(namespace))
                    reply = afterwards(change, reply)
                    assert not change.changed, "what follows a commit is in memory only"
                    await self._keep(namespace, entry, current, change, as_active=as_active)
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
                entry = await self._require(namespace, workflow_id, run_id)
                if touched or not self._must_touch(namespace, entry.run):
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
            await self._touch(namespace, await self._require(namespace, workflow_id, run_id))
        finally:
            self._locks.release(lock)

    def _must_touch(self, namespace: Namespace, run: Run) -> bool:
        task = run.started_workflow_task
        if task is None or task.version >= namespace.record.failover_version:
            return False
        if not run.open or run.record.zombie or namespace.handover:
            return False
        # A passive region closes what it itself had begun when it was active, and nothing else.
        return namespace.active or self._clusters.owner(run.last_write_version) == self._region

    async def _touch(self, namespace: Namespace, entry: Entry) -> None:
        """Real: workflow.ContextImpl.LoadMutableState, which commits what StartTransaction flushed."""
        if not self._must_touch(namespace, entry.run):
            return
        key = entry.run.key
        current = await self.loader.current(key.namespace_id, key.workflow_id)
        change = RunChange(entry.run, self.context(namespace))
        try:
            if namespace.active:
                failover.touch(change)
            else:
                failover.close_task_of_lower_version(change)
            if change.changed:
                await self._commit_change(
                    namespace, entry, current, change, as_active=namespace.active, replicate=True
                )
            elif change.in_memory:
                self._committer.tell(namespace, entry, change.update_ends)
        except BaseException:
            if change.changed:
                self._cache.drop(key)
            raise

    async def _keep(
        self,
        namespace: Namespace,
        entry: Entry,
        current: CurrentRun | None,
        change: RunChange,
        *,
        as_active: bool,
    ) -> None:
        """Commit what `change` made; what is in memory only is told at once."""
        if change.changed:
            await self._commit_change(namespace, entry, current, change, as_active=as_active)
        elif change.in_memory:
            if as_active:
                change.require_active()
                namespace.require_writable()
            self._committer.tell(namespace, entry, change.update_ends)

    async def _commit_change(
        self,
        namespace: Namespace,
        entry: Entry,
        current: CurrentRun | None,
        change: RunChange,
        *,
        as_active: bool,
        replicate: bool | None = None,
    ) -> None:
        if as_active:
            change.require_active()
            namespace.require_writable()
        outcome = change.finish()
        if not (as_active if replicate is None else replicate):
            outcome.replicate = False
        await self._committer.commit(namespace, [outcome], {entry.run.key: entry}, current)

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
        return await self._tasks.shielded(self._start(namespace, request, parent))

    async def signal_with_start(
        self, namespace: Namespace, request: SignalWithStartWorkflowExecutionRequest
    ) -> StartReply:
        """Signal the open run, or start one with the signal in it.

        One transaction either way. Errors as `start`.
        """
        namespace.require_writable()
        return await self._tasks.shielded(self._start(namespace, request))

    async def _start(
        self,
        namespace: Namespace,
        request: StartWorkflowExecutionRequest | SignalWithStartWorkflowExecutionRequest,
        parent: start_rules.Parent | None = None,
    ) -> StartReply:
        workflow_id = request.workflow_id
        lock = (namespace.id, workflow_id)
        await self._locks.acquire(lock)
        try:
            current = await self.loader.current(namespace.id, workflow_id)
            namespace.require_writable()
            context = self.context(namespace)
            if isinstance(request, StartWorkflowExecutionRequest):
                decision = start_rules.decide_start(request, current, context)
            else:
                decision = start_rules.decide_signal_with_start(request, current, context)
            match decision:
                case UseExisting():
                    if isinstance(request, SignalWithStartWorkflowExecutionRequest):
                        rule = partial(signals.signal_existing, request=request)
                        await self._change_existing(namespace, workflow_id, decision.run_id, rule)
                        return StartReply(decision.run_id, started=False, status=decision.status)
                    return await self._existing(namespace, decision, request)
                case AttachTo():
                    assert isinstance(request, StartWorkflowExecutionRequest), "only a start is attached"
                    rule = partial(attach, request=request)
                    await self._change_existing(namespace, workflow_id, decision.run_id, rule)
                    return StartReply(
                        decision.run_id, started=False, attached=request.on_conflict_options.attach_request_id
                    )
                case TerminateAndStart():
                    entry = await self._require(namespace, workflow_id, decision.run_id)
                    await self._touch(namespace, entry)
                    current = await self.loader.current(namespace.id, workflow_id)
                    return await self._start_new(namespace, request, parent, current, replaces=entry)
                case StartNew():
                    return await self._start_new(namespace, request, parent, current, replaces=None)
        finally:
            self._locks.release(lock)

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
        return await self._tasks.shielded(self._start_or_join(namespace, request, joins, rule))

    async def _start_or_join(
        self,
        namespace: Namespace,
        request: StartWorkflowExecutionRequest,
        joins: Callable[[Run], bool],
        rule: Callable[[RunChange], None],
    ) -> StartReply:
        workflow_id = request.workflow_id
        lock = (namespace.id, workflow_id)
        await self._locks.acquire(lock)
        try:
            current = await self.loader.current(namespace.id, workflow_id)
            replaces: Entry | None = None
            if current is not None:
                entry = await self._require(namespace, workflow_id, current.run_id)
                namespace.require_writable()
                await self._touch(namespace, entry)
                current = await self.loader.current(namespace.id, workflow_id)
                if joins(entry.run):
                    status = entry.run.status
                    await self._change_entry(namespace, entry, current, rule)
                    return StartReply(entry.run.key.run_id, started=False, status=status)
                replaces = entry
            namespace.require_writable()
            match start_rules.decide_start(request, current, self.context(namespace)):
                case StartNew():
                    replaces = None
                case TerminateAndStart():
                    pass
                case UseExisting(deduplicated=True):
                    raise Unavailable("Workflow was not started: StartDeduped")
                case UseExisting() | AttachTo():
                    raise Unavailable("Workflow was not started: StartReused")
            return await self._start_new(namespace, request, None, current, replaces=replaces, rule=rule)
        finally:
            self._locks.release(lock)

    async def _start_new(
        self,
        namespace: Namespace,
        request: StartWorkflowExecutionRequest | SignalWithStartWorkflowExecutionRequest,
        parent: start_rules.Parent | None,
        current: CurrentRun | None,
        *,
        replaces: Entry | None,
        rule: Callable[[RunChange], None] | None = None,
    ) -> StartReply:
        context = self.context(namespace)
        key = RunKey(namespace.id, request.workflow_id, context.ids.run_id())
        outcomes: list[Outcome] = []
        entries: dict[RunKey, Entry] = {}
        try:
            if replaces is not None:
                # Its end comes first: of two runs of one version, the newer one is that with higher task ids.
                end = RunChange(replaces.run, context)
                entries[replaces.run.key] = replaces
                signals.terminate_for_new_run(end, key.run_id)
                end.require_active()
                outcomes.append(end.finish())
            change = RunChange.new_run(key, context)
            eager_task = start_rules.start(change, request, parent=parent)
            if rule is not None:
                rule(change)
            change.require_active()
            namespace.require_writable()
        except BaseException:
            if replaces is not None:
                self._cache.drop(replaces.run.key)
            raise
        outcomes.append(change.finish())
        await self._committer.commit(namespace, outcomes, entries, current)
        return StartReply(key.run_id, started=True, status=change.run.status, eager_task=eager_task)

    async def _existing(
        self, namespace: Namespace, decision: UseExisting, request: StartWorkflowExecutionRequest
    ) -> StartReply:
        """The answer to a start that leads to the current run and leaves it as it is."""
        task: StartedTask | None = None
        if decision.deduplicated and not decision.attached and request.request_eager_execution:
            entry = await self._require(namespace, request.workflow_id, decision.run_id)
            await self._touch(namespace, entry)
            task = start_rules.eager_task_of(entry.run, request)
        return StartReply(
            decision.run_id,
            started=decision.deduplicated and not decision.attached,
            status=decision.status,
            attached=decision.attached,
            eager_task=task,
        )

    async def _change_existing(
        self,
        namespace: Namespace,
        workflow_id: str,
        run_id: str,
        rule: Callable[[RunChange], ServiceError | None],
    ) -> None:
        """What a start does to the open run that it found, under the lock that it holds."""
        entry = await self._require(namespace, workflow_id, run_id)
        await self._touch(namespace, entry)
        current = await self.loader.current(namespace.id, workflow_id)
        error = await self._change_entry(namespace, entry, current, rule)
        if error is not None:
            raise error

    async def _change_entry(
        self,
        namespace: Namespace,
        entry: Entry,
        current: CurrentRun | None,
        rule: Callable[[RunChange], T],
    ) -> T:
        """Change a loaded run by `rule`, under its lock, as the active region; the reply once that is in force."""
        change = RunChange(entry.run, self.context(namespace))
        try:
            reply = rule(change)
            await self._keep(namespace, entry, current, change, as_active=True)
        except BaseException:
            if change.changed or change.in_memory:
                self._cache.drop(entry.run.key)
            raise
        return reply

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
        """Commit what the plans make of the runs of their workflow ids, all in one transaction.

        What a peer sends by hundreds costs one task and one transaction this way. Returns the workflow ids that
        need a `replicate` of their own, nothing of theirs is written: someone holds the lock, the plan raises, or
        it makes a change as the active region (for which no other plan may come between fence and commit). When
        the transaction fails, all need it. `complete` is part of the transaction if no workflow id is left over.
        """
        return await self._tasks.shielded(self._replicated.together(namespace, plans, complete))

    async def compose(self, namespace: Namespace, workflow_id: str, plan: Plan) -> None:
        """Commit what `plan` makes of several runs of a workflow id, as the active region, under its lock.

        The plan itself must end with the fence: `Namespace.require_writable` and `RunChange.require_active` after
        its last await. What it raises comes out here, and nothing is written.
        """
        namespace.require_writable()
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

    # Loading

    async def _require(self, namespace: Namespace, workflow_id: str, run_id: str) -> Entry:
        """The loaded run. Raises NotFound."""
        if not run_id:
            current = await self.loader.current(namespace.id, workflow_id)
            if current is None:
                raise workflow_not_found(workflow_id)
            entry = await self.loader.entry(RunKey(namespace.id, workflow_id, current.run_id))
        else:
            entry = await self.loader.entry(RunKey(namespace.id, workflow_id, run_id))
        if entry is None:
            raise workflow_not_found(workflow_id, run_id)
        return entry
