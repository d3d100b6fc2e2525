"""The part of the write path that starts runs, or finds the run that a start leads to.

Called by `Changes`, in a task of the engine. What a start leads to is decided in `core.start`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import (
    SignalWithStartWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
)

from mockcloud.core import signals
from mockcloud.core import start as start_rules
from mockcloud.core.attach import attach
from mockcloud.core.change import Context, RunChange
from mockcloud.core.current import CurrentRun
from mockcloud.core.errors import ServiceError, Unavailable
from mockcloud.core.outcome import Outcome
from mockcloud.core.run import RUNNING, Run, RunKey
from mockcloud.core.start import AttachTo, StartNew, TerminateAndStart, UseExisting
from mockcloud.core.task_start import StartedTask
from mockcloud.engine.cache import Entry, RunCache
from mockcloud.engine.committer import Committer
from mockcloud.engine.loader import Loader
from mockcloud.engine.locks import KeyedLocks
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.run_writer import RunWriter

__all__ = ["StartReply", "Starts"]


class StartReply(NamedTuple):
    """Where a start led.

    `started`: this request made the run, now or when it was sent before. `attached`: it is known there by its
    request id without having made it. `eager_task`: the first task, for a caller with a worker of its own.
    """

    run_id: str
    started: bool
    status: WorkflowExecutionStatus.ValueType = RUNNING
    attached: bool = False
    eager_task: StartedTask | None = None


class Starts:
    """Starts runs. See `Changes.start`, `Changes.signal_with_start` and `Changes.start_or_join`."""

    def __init__(
        self,
        writer: RunWriter,
        loader: Loader,
        committer: Committer,
        cache: RunCache,
        locks: KeyedLocks,
        context: Callable[[Namespace], Context],
    ) -> None:
        self._writer = writer
        self._loader = loader
        self._committer = committer
        self._cache = cache
        self._locks = locks
        self._context = context

    async def start(
        self,
        namespace: Namespace,
        request: StartWorkflowExecutionRequest | SignalWithStartWorkflowExecutionRequest,
        parent: start_rules.Parent | None = None,
    ) -> StartReply:
        """Start a run or do to the current one what the policies say, under the lock of the workflow id."""
        workflow_id = request.workflow_id
        lock = (namespace.id, workflow_id)
        await self._locks.acquire(lock)
        try:
            current = await self._loader.current(namespace.id, workflow_id)
            namespace.require_writable()
            context = self._context(namespace)
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
                    entry = await self._writer.require(namespace, workflow_id, decision.run_id)
                    await self._writer.touch(namespace, entry)
                    current = await self._loader.current(namespace.id, workflow_id)
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
        """Change the current run or start one with the change in it, under the lock of the workflow id."""
        workflow_id = request.workflow_id
        lock = (namespace.id, workflow_id)
        await self._locks.acquire(lock)
        try:
            current = await self._loader.current(namespace.id, workflow_id)
            replaces: Entry | None = None
            if current is not None:
                entry = await self._writer.require(namespace, workflow_id, current.run_id)
                namespace.require_writable()
                await self._writer.touch(namespace, entry)
                current = await self._loader.current(namespace.id, workflow_id)
                if joins(entry.run):
                    status = entry.run.status
                    await self._writer.change(namespace, entry, current, rule)
                    return StartReply(entry.run.key.run_id, started=False, status=status)
                replaces = entry
            namespace.require_writable()
            match start_rules.decide_start(request, current, self._context(namespace)):
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
        context = self._context(namespace)
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
            entry = await self._writer.require(namespace, request.workflow_id, decision.run_id)
            await self._writer.touch(namespace, entry)
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
        entry = await self._writer.require(namespace, workflow_id, run_id)
        await self._writer.touch(namespace, entry)
        current = await self._loader.current(namespace.id, workflow_id)
        error = await self._writer.change(namespace, entry, current, rule)
        if error is not None:
            raise error
