"""Resets: the plan for the base run, the current run and the new one, committed together.

The rules are `core.reset`; this reads what they need and carries the pieces. The write path and its fence are
those of `Changes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from mockcloud.core import failover, reapply, reset
from mockcloud.core.change import Context, RunChange
from mockcloud.core.errors import workflow_not_found
from mockcloud.core.outcome import Batch, Outcome
from mockcloud.core.run import Run
from mockcloud.core.task_state import schedule_workflow_task
from mockcloud.engine.changes import Changes
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.plans import Loaded, Replicated


class Resets:
    """Makes runs out of others."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    async def reset(self, namespace: Namespace, request: ResetWorkflowExecutionRequest) -> str:
        """The id of the run that goes on from the event before `workflow_task_finish_event_id` of the base run.

        A request whose id made the current run gets that run. Whether the namespace is active here is asked after it
        has been found what there is to reset.

        Raises:
            NotFound: no such run.
            InvalidArgument: the point is outside of its history, or no workflow task ends there.
            NamespaceNotActive, NamespaceHandover: the fence, see `Namespace.require_writable`.

        Real: api/resetworkflow.
        """
        workflow_id = request.workflow_execution.workflow_id
        made = ""

        async def plan(loaded: Loaded) -> Replicated:
            nonlocal made
            made, outcomes = await _Reset(namespace, loaded, request).plan()
            return Replicated(outcomes)

        await self._changes.compose(namespace, workflow_id, plan)
        return made


class _Reset:
    """One reset, under its workflow's lock."""

    def __init__(self, namespace: Namespace, loaded: Loaded, request: ResetWorkflowExecutionRequest) -> None:
        self._namespace = namespace
        self._loaded = loaded
        self._request = request
        self._excluded = reset.exclusions(request)

    async def plan(self) -> tuple[str, list[Outcome]]:
        """The run that the request leads to, and what is to be committed: nothing for a retry."""
        loaded, request = self._loaded, self._request
        workflow_id, run_id = request.workflow_execution.workflow_id, request.workflow_execution.run_id
        current_row = await loaded.current()
        if current_row is None:
            raise workflow_not_found(workflow_id, run_id)
        base = await loaded.run(run_id or current_row.run_id)
        if base is None:
            raise workflow_not_found(workflow_id, run_id)
        finish = request.workflow_task_finish_event_id
        reset.check(base, finish)
        reset.check_operations(request.post_reset_operations)
        current = base if base.key.run_id == current_row.run_id else await loaded.run(current_row.run_id)
        assert current is not None, "the current run is there"
        if current.record.create_request_id == request.request_id:
            return current.key.run_id, []
        self._namespace.require_writable()

        batches = await loaded.batches(base.version_history.branch_id, 1, finish)
        reset.check_boundary(batches, finish)
        copy = await _copy(loaded, base, batches, finish)
        later, last_visited = await self._later_events(base, finish)

        # No await from here on: what follows is one change of up to three runs.
        context = loaded.context()
        end = RunChange(current, context)
        failover.touch(end)
        if current.open:
            reset.terminate_current(end, request.reason)
            if last_visited == current.key.run_id:
                later += end.events
        change = reset.begin(copy.run, copy.batches, base, context)
        change.version = max(change.version, end.version)
        reset.fail_copied_task(change, base.key.run_id, request.reason)
        reapply.after_reset(change, later, self._excluded)
        reset.perform(change, request.post_reset_operations)
        schedule_workflow_task(change)
        end.touch()
        changes = [end, change]
        if base is not current:
            changes.insert(0, _touched(base, context))
        return change.run.key.run_id, _finished(self._namespace, changes)

    async def _later_events(self, base: Run, finish: int) -> tuple[list[HistoryEvent], str]:
        """What of the base run and of those that continue it comes after the copy; the last of these runs."""
        run_id = base.key.run_id
        if reset.reapplies_nothing(self._excluded):
            return [], run_id
        found = _events(await self._loaded.batches(base.version_history.branch_id, finish), finish)
        following = reset.continued_by(found)
        while following:
            run = await self._loaded.run(following)
            if run is None:
                break  # deleted meanwhile
            run_id = following
            events = _events(await self._loaded.batches(run.version_history.branch_id))
            found += events
            following = reset.continued_by(events)
        return found, run_id


async def reset_closed(
    namespace: Namespace, loaded: Loaded, base: Run, source_run_id: str, events: Sequence[HistoryEvent]
) -> list[Outcome]:
    """What is to be committed so that events reach the closed current run `base`: a run that goes on from it.

    They are dropped, as in the real server, where the run never had a workflow task, and where it would have children
    pending again.

    Real: case 1.b of transactionMgrImpl.backfillWorkflowEventsReapply, api/reapplyevents.
    """
    batches = await loaded.batches(base.version_history.branch_id)
    finish = reset.reapply_point(base, batches)
    if finish is None:
        return []
    copy = await _copy(loaded, base, batches, finish)
    if copy.run.children:
        return []
    context = loaded.context()
    change = reset.begin(copy.run, copy.batches, base, context)
    reset.fail_copied_task(change, base.key.run_id, reset.REAPPLY_REASON)
    reapply.after_reset(change, _events(batches, finish))
    reapply.after_reset(change, events)
    reapply.remember(change, source_run_id, events)
    schedule_workflow_task(change)
    return _finished(namespace, [_touched(base, context), change])


class _Copy(NamedTuple):
    run: Run  # the fold of the batches
    batches: list[Batch]


async def _copy(loaded: Loaded, base: Run, batches: Sequence[Batch], finish: int) -> _Copy:
    """The base run's events before `finish` as a run of its own, which has a new run id."""
    context = loaded.context()
    key = loaded.key(context.ids.uuid())
    copies = reset.copied(batches, context.next_task_id(), finish)
    return _Copy(await loaded.fold_branch(key.run_id, base.version_history.branch_id, finish), copies)


def _touched(base: Run, context: Context) -> RunChange:
    """The base run, which now names the reset run."""
    change = RunChange(base, context)
    change.touch()
    return change


def _finished(namespace: Namespace, changes: Sequence[RunChange]) -> list[Outcome]:
    """The outcomes, past the fence."""
    for change in changes:
        change.require_active()
    namespace.require_writable()
    return [change.finish() for change in changes]


def _events(batches: Sequence[Batch], first_event_id: int = 1) -> list[HistoryEvent]:
    return [
        event
        for batch in batches
        for event in History.FromString(batch.data).events
        if event.event_id >= first_event_id
    ]
