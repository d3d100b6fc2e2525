"""Pausing a run: it goes on being signalled, its timers fire, but no worker gets any of it until it is unpaused.

Rules:
1. While a run is paused no workflow task is scheduled (`task_state.schedule_workflow_task`), and neither a pending
   one nor an activity is offered (`core.derive`).
2. A workflow task that a worker has may complete; its Paused event waits in the buffer until then.
3. Time goes on: timers, activity and run time-outs fire.
4. Updates are refused (`core.updates`) and queries are rejected (`engine.queries`).
5. Unpausing schedules a workflow task, unless the first one still waits for its backoff.

The fold does the rest (`core.fold`), so a paused run stays paused in whichever region is active.

Real: api/pauseworkflow, api/unpauseworkflow, MutableStateImpl.Apply…PausedEvent. Rule 1 holds after the completion of
rule 2 too, as in the newest server; v1.31.2 schedules a task then, and so loses the pause.
"""

from __future__ import annotations

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import (
    WorkflowExecutionPausedEventAttributes,
    WorkflowExecutionUnpausedEventAttributes,
)
from temporalio.api.workflowservice.v1 import PauseWorkflowExecutionRequest, UnpauseWorkflowExecutionRequest

from mockcloud.core import task_state
from mockcloud.core.change import RunChange
from mockcloud.core.errors import FailedPrecondition, workflow_already_completed


def pause(change: RunChange, request: PauseWorkflowExecutionRequest) -> None:
    """Pause an open run. The same request again changes nothing.

    Raises:
        NotFound: the run is closed.
        FailedPrecondition: it is paused already.
    """
    run = change.run
    if not run.open or run.record.zombie:
        raise workflow_already_completed()
    if run.paused:
        assert run.pause is not None, "a paused run knows who paused it"
        if request.request_id and request.request_id == run.pause.request_id:
            return
        raise FailedPrecondition("workflow is already paused.")
    change.add(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_PAUSED,
        WorkflowExecutionPausedEventAttributes(
            identity=request.identity, reason=request.reason, request_id=request.request_id
        ),
        worker_may_ignore=True,
    )


def unpause(change: RunChange, request: UnpauseWorkflowExecutionRequest) -> None:
    """Let a paused run go on, with a workflow task that is a first attempt.

    Raises:
        NotFound: the run is closed.
        FailedPrecondition: it is not paused.
    """
    run = change.run
    if not run.open or run.record.zombie:
        raise workflow_already_completed()
    if not run.paused:
        raise FailedPrecondition("workflow is not paused.")
    change.add(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UNPAUSED,
        WorkflowExecutionUnpausedEventAttributes(
            identity=request.identity, reason=request.reason, request_id=request.request_id
        ),
        worker_may_ignore=True,
    )
    task_state.schedule_workflow_task(change)
