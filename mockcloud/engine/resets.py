"""Resets: the plan for the base run, the current run and the new one, committed together.

The rules are `core.reset`; this reads what they need and carries the pieces. The write path and its fence are
those of `Changes`.
"""

from __future__ import annotations

from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from mockcloud.core import failover, reset
from mockcloud.core.change import Batch, Context, Outcome, RunChange
from mockcloud.core.errors import workflow_not_found
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

        A request whose id made the current run gets that run.

        Raises:
            NotFound: no such run.
            InvalidArgument: the point is outside of its history, or no workflow task ends there.
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
        current = base if base.key.run_id == current_row.run_id else await loaded.run(current_row.run_id)
        assert current is not None, "the current run is there"
        if current.record.create_request_id == request.request_id:
            return current.key.run_id, []

        key = loaded.key(loaded.context().ids.uuid())
        branch_id = base.version_history.branch_id
        batches = await loaded.batches(branch_id, 1, finish)
        reset.check_boundary(batches, finish)
        copies = reset.copied(batches, loaded.context().next_task_id(), finish)
        run = await loaded.fold_branch(key.run_id, branch_id, finish)
        later, last_visited = await self._later_events(base, finish)

        # No await from here on: what follows is one change of up to three runs.
        context = loaded.context()
        end = RunChange(current, context)
        failover.touch(end)
        if current.open:
            reset.terminate_current(end, request.reason)
            if last_visited == current.key.run_id:
                later += end.events
        change = reset.begin(run, copies, base, context)
        change.version = max(change.version, end.version)
        reset.fail_copied_task(change, base.key.run_id, request.reason)
        reset.reapply_events(change, later, self._excluded)
        schedule_workflow_task(change)
        outcomes = []
        if base is not current:
            outcomes.append(_touched(base, context))
        end.touch()
        for each in (end, change):
            each.require_active()
            outcomes.append(each.finish())
        self._namespace.require_writable()
        return key.run_id, outcomes

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


def _touched(base: Run, context: Context) -> Outcome:
    """The base run, which now names the reset run."""
    change = RunChange(base, context)
    change.touch()
    return change.finish()


def _events(batches: list[Batch], first_event_id: int = 1) -> list[HistoryEvent]:
    return [
        event
        for batch in batches
        for event in History.FromString(batch.data).events
        if event.event_id >= first_event_id
    ]
