"""Does the errands of a run: what is to be done to other runs because of it (`core.errands`).

An errand is two commits, the other run's first, then one of the run that it is of. Each takes its own lock
and gives it back before the next, so a child may have its parent's workflow id, and two workflows may signal
each other. Whatever comes between the two, a crash, a failover, another change: the errand still stands, is
looked at anew and done again, which changes nothing where it was done.

What the other run refuses becomes an event of the run that asked. What a close has to do is in `close_hands`.

A command can name another namespace only where both live in one and the same region
(`core.command_checks_others`), so the other run is always in this one.

Real: transfer_queue_active_task_executor.go.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import (
    CancelExternalWorkflowExecutionFailedCause,
    ParentClosePolicy,
    SignalExternalWorkflowExecutionFailedCause,
    StartChildWorkflowExecutionFailedCause,
)

from mockcloud.core import children, errands, externals, signals
from mockcloud.core.change import RunChange
from mockcloud.core.children import ChildStart, Leave
from mockcloud.core.derived import Errand, ErrandKind
from mockcloud.core.errors import (
    InvalidArgument,
    NotFound,
    WorkflowExecutionAlreadyStarted,
)
from mockcloud.core.externals import Target
from mockcloud.core.run import Run, RunKey
from mockcloud.engine.changes import Changes
from mockcloud.engine.close_hands import CloseHands, NotYetError
from mockcloud.engine.namespaces import Namespace, NamespaceRegistry

T = TypeVar("T")

# In the server's own words, which are long.
_SIGNAL_NOT_FOUND = SignalExternalWorkflowExecutionFailedCause.Value(
    "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND"
)
_CANCEL_NOT_FOUND = CancelExternalWorkflowExecutionFailedCause.Value(
    "CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND"
)

ChildCause = StartChildWorkflowExecutionFailedCause
SignalCause = SignalExternalWorkflowExecutionFailedCause
CancelCause = CancelExternalWorkflowExecutionFailedCause

_POLICY_OF_LEAVE = {
    Leave.TERMINATE: ParentClosePolicy.PARENT_CLOSE_POLICY_TERMINATE,
    Leave.REQUEST_CANCEL: ParentClosePolicy.PARENT_CLOSE_POLICY_REQUEST_CANCEL,
}


class ErrandHands:
    """Knows how each kind of errand is done."""

    def __init__(self, changes: Changes, namespaces: NamespaceRegistry) -> None:
        self._changes = changes
        self._namespaces = namespaces
        self._closes = CloseHands(changes, namespaces)
        self._by_kind: Mapping[ErrandKind, Callable[[Namespace, RunKey, Errand], Awaitable[None]]] = {
            ErrandKind.START_CHILD: self._start_child,
            ErrandKind.SIGNAL_EXTERNAL: self._signal,
            ErrandKind.CANCEL_EXTERNAL: self._cancel,
            ErrandKind.FIRST_TASK: self._ask_parent,
            ErrandKind.CLOSE: self._closes.perform,
        }

    async def perform(self, namespace: Namespace, key: RunKey, errand: Errand) -> None:
        """Do an errand of the run `key`, if it still stands.

        Raises:
            NotFound: the run is gone.
            NotYetError, Unavailable, NamespaceNotActive and others: it is not done, and still stands.
        """
        await self._by_kind[errand.kind](namespace, key, errand)

    async def _read(self, namespace: Namespace, key: RunKey, fn: Callable[[Run], T]) -> T:
        return await self._changes.read(namespace, key.workflow_id, key.run_id, fn)

    async def _update(self, namespace: Namespace, key: RunKey, rule: Callable[[RunChange], T]) -> T:
        return await self._changes.update(namespace, key.workflow_id, key.run_id, rule)

    # The start of a child

    async def _start_child(self, namespace: Namespace, key: RunKey, errand: Errand) -> None:
        event_id, version = errand.event_id, errand.version
        child = await self._read(
            namespace, key, lambda run: children.to_start(run, event_id, version, namespace.record)
        )
        if child is None:
            return
        first = await self._started(namespace, child)
        if not isinstance(first, RunKey):
            refused = partial(children.record_start_failed, event_id=event_id, version=version, cause=first)
            await self._update(namespace, key, refused)
            return
        recorded = partial(
            children.record_started, event_id=event_id, version=version, first_run_id=first.run_id
        )
        leave = await self._update(namespace, key, recorded)
        await self._take_leave(first, leave, child.parent.execution)

    async def _started(self, namespace: Namespace, child: ChildStart) -> RunKey | ChildCause.ValueType:
        """The first run of a child, made now or before; or why there is none."""
        target = self._namespaces.find_id(child.namespace_id)
        if target is None:
            return ChildCause.START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND
        run_id = ""
        if child.original_run_id:
            run_id = await self._started_before_reset(namespace, target, child)
        if not run_id:
            try:
                run_id = (await self._changes.start(target, child.request, child.parent)).run_id
            except WorkflowExecutionAlreadyStarted:
                return ChildCause.START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS
        return RunKey(target.id, child.request.workflow_id, run_id)

    async def _started_before_reset(self, namespace: Namespace, target: Namespace, child: ChildStart) -> str:
        """The first run of a child that an earlier one of the parent's runs started; empty: there is none.

        Real: verifyChildWorkflow.
        """
        try:
            start = await self._changes.read(target, child.request.workflow_id, "", lambda run: run.start)
            parent = start.parent_workflow_execution
            if parent.workflow_id != child.parent.execution.workflow_id:
                return ""
            original = parent.run_id
            if original != child.original_run_id:
                original = await self._changes.read(
                    namespace,
                    parent.workflow_id,
                    parent.run_id,
                    lambda run: run.start.original_execution_run_id,
                )
        except NotFound:
            return ""
        return start.first_execution_run_id if original == child.original_run_id else ""

    async def _ask_parent(self, namespace: Namespace, key: RunKey, errand: Errand) -> None:
        """A child waits for its first task, and nobody here is starting it: what does its parent say?

        Where it says nothing, it may itself be late: it is asked again. An orphan ends by its own time-outs.
        """
        link = await self._read(
            namespace, key, lambda run: run.start if errands.awaits_first_task(run) else None
        )
        owner = self._namespaces.find_id(link.parent_workflow_namespace_id) if link else None
        if link is None or owner is None:
            return
        parent = link.parent_workflow_execution
        leave = Leave.WAIT
        with contextlib.suppress(NotFound):
            leave = await self._changes.read(
                owner,
                parent.workflow_id,
                parent.run_id,
                lambda run: children.leave(
                    run,
                    link.parent_initiated_event_id,
                    link.parent_initiated_event_version,
                    link.first_execution_run_id,
                ),
            )
        if leave is Leave.WAIT:
            raise NotYetError
        await self._take_leave(key, leave, parent)

    async def _take_leave(self, first: RunKey, leave: Leave, parent: WorkflowExecution) -> None:
        """Do with a child what its parent has said. `first` is the child's first run."""
        target = self._namespaces.by_id(first.namespace_id)
        if leave is Leave.BEGIN:
            with contextlib.suppress(NotFound):  # it was ended, and deleted
                await self._update(target, first, children.begin)
        elif leave in _POLICY_OF_LEAVE:
            await self._closes.apply_policy(target, first, _POLICY_OF_LEAVE[leave], parent)

    # Signals and cancel requests

    async def _signal(self, namespace: Namespace, key: RunKey, errand: Errand) -> None:
        event_id, version = errand.event_id, errand.version
        signal = await self._read(
            namespace, key, lambda run: externals.pending_signal(run, event_id, version)
        )
        if signal is None:
            return
        target = self._namespaces.find_id(signal.attributes.namespace_id)
        cause: SignalCause.ValueType | None = None
        if target is None:
            cause = SignalCause.SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND
        else:
            execution = signal.attributes.workflow_execution
            rule = partial(signals.signal, request=signal.request, source=signal.source)
            try:
                _refuse_itself(key, target, execution)
                await self._changes.update(target, execution.workflow_id, execution.run_id, rule)
            except NotFound:
                cause = _SIGNAL_NOT_FOUND
            except InvalidArgument:
                cause = (
                    SignalCause.SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_SIGNAL_COUNT_LIMIT_EXCEEDED
                )
        await self._update(
            namespace,
            key,
            partial(
                externals.record_signal,
                event_id=event_id,
                version=version,
                target=_named(target, signal.attributes.namespace, signal.attributes.namespace_id),
                cause=cause,
            ),
        )

    async def _cancel(self, namespace: Namespace, key: RunKey, errand: Errand) -> None:
        event_id, version = errand.event_id, errand.version
        cancel = await self._read(
            namespace, key, lambda run: externals.pending_cancel(run, event_id, version)
        )
        if cancel is None:
            return
        target = self._namespaces.find_id(cancel.attributes.namespace_id)
        cause: CancelCause.ValueType | None = None
        if target is None:
            cause = CancelCause.CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND
        else:
            execution = cancel.attributes.workflow_execution
            rule = partial(signals.request_cancel, request=cancel.request, source=cancel.source)
            try:
                _refuse_itself(key, target, execution)
                await self._changes.update(target, execution.workflow_id, execution.run_id, rule)
            except NotFound:
                cause = _CANCEL_NOT_FOUND
        await self._update(
            namespace,
            key,
            partial(
                externals.record_cancel,
                event_id=event_id,
                version=version,
                target=_named(target, cancel.attributes.namespace, cancel.attributes.namespace_id),
                cause=cause,
            ),
        )


def _refuse_itself(key: RunKey, target: Namespace, execution: WorkflowExecution) -> None:
    """No workflow signals or cancels itself; its run id does not matter. Raises NotFound."""
    if (key.namespace_id, key.workflow_id) == (target.id, execution.workflow_id):
        raise NotFound("the workflow itself")


def _named(target: Namespace | None, name: str, namespace_id: str) -> Target:
    return Target(target.name, target.id) if target else Target(name, namespace_id)
