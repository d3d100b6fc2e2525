"""Continue-as-new: a run closes and a new one of the same workflow id goes on, in the same commit.

Real: CommandAttrValidator.ValidateContinueAsNewWorkflowExecutionAttributes,
MutableStateImpl.AddContinueAsNewEvent.
"""

from __future__ import annotations

from temporalio.api.command.v1 import ContinueAsNewWorkflowExecutionCommandAttributes
from temporalio.api.enums.v1 import ContinueAsNewInitiator, EventType, TaskQueueKind
from temporalio.api.history.v1 import WorkflowExecutionContinuedAsNewEventAttributes
from temporalio.api.sdk.v1 import UserMetadata
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest

from mockcloud.core import start, times
from mockcloud.core.change import Context, RunChange
from mockcloud.core.messages import copy_set
from mockcloud.core.run import Run, RunKey


def continue_as_new(
    change: RunChange,
    command: ContinueAsNewWorkflowExecutionCommandAttributes,
    completed_event_id: int,
    new_run_id: str,
    user_metadata: UserMetadata | None = None,
) -> None:
    """Close the run as continued, and start the next one as `change.successor`.

    `command` was checked: type, queue and time-outs are filled in (`core.command_checks`).
    """
    run = change.run
    initiator = command.initiator or ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW
    attributes = WorkflowExecutionContinuedAsNewEventAttributes(
        new_execution_run_id=new_run_id,
        workflow_type=command.workflow_type,
        task_queue=command.task_queue,
        workflow_run_timeout=command.workflow_run_timeout,
        workflow_task_timeout=command.workflow_task_timeout,
        workflow_task_completed_event_id=completed_event_id,
        initiator=initiator,
        inherit_build_id=command.inherit_build_id,
        initial_versioning_behavior=command.initial_versioning_behavior,
    )
    copy_set(
        command,
        attributes,
        "input",
        "backoff_start_interval",
        "failure",
        "last_completion_result",
        "header",
        "memo",
        "search_attributes",
    )
    change.add(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW, attributes, user_metadata=user_metadata
    )
    started = run.start
    successor = RunChange.new_run(
        RunKey(run.key.namespace_id, run.key.workflow_id, new_run_id), change.context
    )
    successor.version = change.version
    request = StartWorkflowExecutionRequest(
        request_id=change.context.ids.uuid(),
        workflow_id=run.key.workflow_id,
        workflow_type=command.workflow_type,
        task_queue=command.task_queue,
        workflow_run_timeout=command.workflow_run_timeout,
        workflow_task_timeout=command.workflow_task_timeout,
    )
    request.task_queue.kind = TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    copy_set(started, request, "workflow_execution_timeout", "priority")
    copy_set(command, request, "input", "header", "memo", "search_attributes")
    assert run.started is not None, "an open run has its Started event"
    request.links.extend(run.started.links)
    start.start(
        successor,
        request,
        continued=start.Continued(
            run_id=run.key.run_id,
            first_execution_run_id=started.first_execution_run_id,
            initiator=initiator,
            first_workflow_task_backoff=_backoff(run, command, change.context),
            execution_expiration_time=run.execution_expires_at,
            failure=command.failure if command.HasField("failure") else None,
            last_completion_result=(
                command.last_completion_result if command.HasField("last_completion_result") else None
            ),
            parent=started,
        ),
    )
    change.successor = successor


def _backoff(
    run: Run, command: ContinueAsNewWorkflowExecutionCommandAttributes, context: Context
) -> int | None:
    """A chain of runs does not spin: a new one waits until its predecessor's life was a second long.

    Real: MutableStateImpl.ContinueAsNewMinBackoff.
    """
    asked = (
        times.nanoseconds(command.backoff_start_interval)
        if command.HasField("backoff_start_interval")
        else None
    )
    execution_time = run.start_time + times.nanoseconds(run.start.first_workflow_task_backoff)
    lifetime = context.now - execution_time
    minimum = context.limits.continue_as_new_minimum_interval
    if lifetime + (asked or 0) < minimum:
        return minimum - lifetime
    return asked
