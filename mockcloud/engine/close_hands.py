"""What a closed run has to do to others: tell its parent, and apply its parent-close policies.

It is noted as done, with the run, when the parent has the news in its history: what waits in a buffer, for a worker to
finish, no other region knows of. Nobody waits for an answer: a run that is gone, or that has ended, is none of
anybody's business.

That it has ended may be known here and not yet in the next active region, if a third one has ended it. So the note says
on which runs it rests, and how far they were: a replica takes it in when it has all of that.

Real: processCloseExecution of transfer_queue_active_task_executor.go. There each region holds the task until its own
copy of the parent has the news (transfer_queue_standby_task_executor.go).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TypeVar

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import ParentClosePolicy
from temporalio.api.workflowservice.v1 import (
    RequestCancelWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
)

from mockcloud.api.state.v1.state_pb2 import RunAt
from mockcloud.core import children, errands, signals
from mockcloud.core.change import RunChange
from mockcloud.core.children import ClosedChild
from mockcloud.core.derived import Errand
from mockcloud.core.errors import Internal, NotFound
from mockcloud.core.run import BUFFERED_EVENT_ID, Child, Run, RunKey
from mockcloud.core.signals import HISTORY_SERVICE, Source
from mockcloud.engine.changes import Changes
from mockcloud.engine.namespaces import Namespace, NamespaceRegistry

T = TypeVar("T")

_MOST_RESETS = 100  # of a parent, that a child's end follows. Real: maxResetRedirectCount
_POLICIES_AT_ONCE = 64


class NotYetError(Exception):
    """It is too early: what was done waits in another run's buffer, or a parent has not said anything yet."""


class CloseHands:
    """Knows how the errand of a close is done."""

    def __init__(self, changes: Changes, namespaces: NamespaceRegistry) -> None:
        self._changes = changes
        self._namespaces = namespaces

    async def perform(self, namespace: Namespace, key: RunKey, errand: Errand) -> None:
        """Tell the parent, then apply the policies, then note that it is done. Raises as `ErrandHands.perform`."""

        def look(run: Run) -> tuple[ClosedChild | None, list[Child]] | None:
            if errand not in errands.errands_of(run):
                return None
            told = children.closed_child(run) if errands.tells_parent(run) else None
            return told, list(errands.policies_to_apply(run))

        found = await self._read(namespace, key, look)
        if found is None:
            return
        told, orphans = found
        rests_on = await self._tell_parent(namespace, told) if told is not None else []
        execution = WorkflowExecution(workflow_id=key.workflow_id, run_id=key.run_id)
        for start in range(0, len(orphans), _POLICIES_AT_ONCE):
            some = orphans[start : start + _POLICIES_AT_ONCE]
            rests_on += filter(
                None, await _all(self._apply_policy_to(namespace, child, execution) for child in some)
            )
        await self._update(
            namespace,
            key,
            partial(
                children.close_errands_done,
                event_id=errand.event_id,
                version=errand.version,
                rests_on=rests_on,
            ),
        )

    async def _tell_parent(self, namespace: Namespace, child: ClosedChild) -> list[RunAt]:
        """The runs that have ended without being told, and the one that was told in their place."""
        owner = self._namespaces.find_id(child.link.parent_workflow_namespace_id)
        if owner is None:
            return []
        chain, heard = await self._told(owner, child)
        event_id = child.link.parent_initiated_event_id

        def look(run: Run) -> RunAt:
            # A zombie hears nothing, and is not gone: it may be revived, by a region that still counts it as current.
            if children.end_is_buffered(run, event_id) or (run.open and run.record.zombie):
                raise NotYetError
            return _run_at(run)

        found = []
        for parent in chain:
            with contextlib.suppress(NotFound):
                found.append(await self._read(owner, parent, look))
        return found if owner is namespace and not (heard and len(chain) == 1) else []

    async def _told(self, owner: Namespace, child: ClosedChild) -> tuple[list[RunKey], bool]:
        """The parent, and the runs that resets have made of it, as far as they were asked; did the last one hear?"""
        execution = child.link.parent_workflow_execution
        parent = RunKey(owner.id, execution.workflow_id, execution.run_id)
        rule = partial(children.record_closed, child=child)
        chain = []
        for _ in range(_MOST_RESETS + 1):
            chain.append(parent)
            try:
                run_id = await self._update(owner, parent, rule)
            except NotFound:  # nobody is there, or it was told before
                return chain, False
            if not run_id:
                return chain, True
            parent = parent._replace(run_id=run_id)
        raise Internal("The chain of resets is too long to iterate.")

    async def _apply_policy_to(
        self, namespace: Namespace, child: Child, parent: WorkflowExecution
    ) -> RunAt | None:
        attributes = child.attributes
        target = self._namespaces.find_id(attributes.namespace_id)
        if target is None:
            return None
        key = RunKey(target.id, attributes.workflow_id, child.first_run_id)
        if await self.apply_policy(target, key, attributes.parent_close_policy, parent):
            return None
        with contextlib.suppress(NotFound):
            found = await self._changes.read(target, key.workflow_id, "", _run_at)
            return found if target is namespace else None
        return None

    async def apply_policy(
        self,
        target: Namespace,
        first: RunKey,
        policy: ParentClosePolicy.ValueType,
        parent: WorkflowExecution,
    ) -> bool:
        """To the newest run of the child's chain; whose first run is not known, to whatever run is the parent's.

        Whether there was one: it may have ended. Real: applyParentClosePolicy.
        """
        source = Source(parent, only_parent=True)
        rule: Callable[[RunChange], None]
        if policy == ParentClosePolicy.PARENT_CLOSE_POLICY_TERMINATE:
            terminate = TerminateWorkflowExecutionRequest(
                first_execution_run_id=first.run_id, reason="by parent close policy", identity=HISTORY_SERVICE
            )
            rule = partial(signals.terminate, request=terminate, source=source)
        else:
            cancel = RequestCancelWorkflowExecutionRequest(
                first_execution_run_id=first.run_id, identity=HISTORY_SERVICE
            )
            rule = partial(signals.request_cancel, request=cancel, source=source)
        try:
            await self._changes.update(target, first.workflow_id, "", rule)
            if await self._changes.read(target, first.workflow_id, "", _cancel_request_is_buffered):
                raise NotYetError
        except NotFound:
            return False
        return True

    async def _read(self, namespace: Namespace, key: RunKey, fn: Callable[[Run], T]) -> T:
        return await self._changes.read(namespace, key.workflow_id, key.run_id, fn)

    async def _update(self, namespace: Namespace, key: RunKey, rule: Callable[[RunChange], T]) -> T:
        return await self._changes.update(namespace, key.workflow_id, key.run_id, rule)


def _run_at(run: Run) -> RunAt:
    return RunAt(workflow_id=run.key.workflow_id, run_id=run.key.run_id, items=run.version_history.items)


def _cancel_request_is_buffered(run: Run) -> bool:
    return run.open and run.cancel_request_event_id == BUFFERED_EVENT_ID


async def _all(works: Iterable[Awaitable[T]]) -> list[T]:
    """Wait for all, then raise what the first one that failed has raised."""
    results = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
