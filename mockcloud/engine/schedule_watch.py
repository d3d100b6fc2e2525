"""What became of a workflow that a schedule has started.

A schedule follows the chain that its start began: a run that continues as new, is retried or has a cron schedule is
over when its last run is. A later workflow of the same id is none of its business.

Real: service/worker/scheduler/activities.go, tryWatchWorkflow.
"""

from __future__ import annotations

import logging
from typing import Final, NamedTuple

from temporalio.api.common.v1 import Payloads, WorkflowExecution
from temporalio.api.enums.v1 import HistoryEventFilterType, WorkflowExecutionStatus
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest

from mockcloud.core.errors import NotFound
from mockcloud.core.limits import Limits
from mockcloud.core.run import RUNNING, Run
from mockcloud.core.schedule.machine import Ended
from mockcloud.engine.changes import Changes
from mockcloud.engine.history_reader import HistoryReader
from mockcloud.engine.namespaces import Namespace

_log = logging.getLogger(__name__)

_CLOSE_EVENT: Final = HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT
_OVERHEAD: Final = 1_024  # bytes beside a result that the real server counts
_GONE: Final = Ended(WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED)


class _Facts(NamedTuple):
    """What is asked of a run."""

    run_id: str
    first_run_id: str
    status: WorkflowExecutionStatus.ValueType
    create_request_id: str


class ScheduleWatch:
    """Looks at workflows, and changes nothing."""

    def __init__(self, changes: Changes, history: HistoryReader, limits: Limits) -> None:
        self._changes = changes
        self._history = history
        self._limits = limits

    async def runs(self, namespace: Namespace, workflow: WorkflowExecution) -> bool:
        """Whether the current run of the workflow id is of the chain that `workflow` began, and open."""
        current = await self._facts(namespace, workflow.workflow_id, "")
        return current is not None and current.status == RUNNING and current.first_run_id == workflow.run_id

    async def began_with(self, namespace: Namespace, workflow_id: str, request_id: str) -> str | None:
        """The first run of the current chain of a workflow id, if `request_id` started that; otherwise None."""
        current = await self._facts(namespace, workflow_id, "")
        first = current and await self._facts(namespace, workflow_id, current.first_run_id)
        return first.run_id if first and first.create_request_id == request_id else None

    async def ended(self, namespace: Namespace, workflow: WorkflowExecution) -> Ended | None:
        """How the chain that `workflow` began has ended; None: it has not."""
        workflow_id, run_id = workflow.workflow_id, ""
        while True:
            run = await self._facts(namespace, workflow_id, run_id)
            if run is None:
                return _GONE
            if run.first_run_id != workflow.run_id:
                if run_id:
                    _log.error("run %s of %s is of another chain", run_id, workflow_id)
                    return None
                run_id = workflow.run_id  # a later workflow of the same id; ours is closed
                continue
            if run.status == RUNNING:
                return None
            event = await self._close_event(namespace, workflow_id, run.run_id)
            if event is None:
                return None
            following = _new_run_id(event)
            if not following:
                return self._ended(run.status, event)
            run_id = following

    async def _facts(self, namespace: Namespace, workflow_id: str, run_id: str) -> _Facts | None:
        try:
            return await self._changes.read(namespace, workflow_id, run_id, _facts)
        except NotFound:
            return None

    async def _close_event(self, namespace: Namespace, workflow_id: str, run_id: str) -> HistoryEvent | None:
        request = GetWorkflowExecutionHistoryRequest(
            execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
            history_event_filter_type=_CLOSE_EVENT,
        )
        page = await self._history.read(namespace, request, 0)
        return page.history.events[-1] if page.history.events else None

    def _ended(self, status: WorkflowExecutionStatus.ValueType, event: HistoryEvent) -> Ended:
        result: Payloads | None = None
        failure: Failure | None = None
        largest = self._limits.largest_blob - _OVERHEAD
        completed, failed = (
            event.workflow_execution_completed_event_attributes,
            event.workflow_execution_failed_event_attributes,
        )
        if completed.HasField("result") and completed.result.ByteSize() <= largest:
            result = completed.result
        if failed.HasField("failure") and failed.failure.ByteSize() <= largest:
            failure = failed.failure
        return Ended(status, result, failure)


def _facts(run: Run) -> _Facts:
    return _Facts(run.key.run_id, run.start.first_execution_run_id, run.status, run.record.create_request_id)


def _new_run_id(event: HistoryEvent) -> str:
    """The run that continues the one that the event closes; empty: none."""
    kind = event.WhichOneof("attributes")
    attributes = getattr(event, kind) if kind else None
    return str(getattr(attributes, "new_execution_run_id", ""))
