"""A start that finds its workflow open may leave something of itself there: its request id, its links.

The event that says so tells no worker anything, so no workflow task follows. By an attached request id the
start is known when it is sent again, as by the one that made the run: after the run has closed, and in every
region. Completion callbacks would be attached the same way; none gets so far (`core.request_links`).

Real: startworkflow.Starter.handleUseExistingWorkflowOnConflictOptions,
MutableStateImpl.AddWorkflowExecutionOptionsUpdatedEvent.
"""

from __future__ import annotations

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import WorkflowExecutionOptionsUpdatedEventAttributes
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest

from mockcloud.core import history_limits, task_state
from mockcloud.core.change import RunChange
from mockcloud.core.errors import ServiceError


def attach(change: RunChange, request: StartWorkflowExecutionRequest) -> ServiceError | None:
    """Write what `request.on_conflict_options` wants attached to the run, which is open.

    An event is written even if that is nothing. Returns an error to answer with once the change is committed:
    the history was too long, and the run is terminated instead.
    """
    assert change.run.open, "only an open run is left as it is by a start"
    options = request.on_conflict_options
    guard = history_limits.guard(change)
    change.add(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED,
        WorkflowExecutionOptionsUpdatedEventAttributes(
            attached_request_id=request.request_id if options.attach_request_id else ""
        ),
        links=request.links if options.attach_links else (),
        worker_may_ignore=True,
    )
    task_state.limit_buffer(change)
    return history_limits.enforce(change, guard)
