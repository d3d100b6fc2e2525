"""Continue-as-new: a run closes and a new one of the same workflow id goes on, in the same commit.

Real: CommandAttrValidator.ValidateContinueAsNewWorkflowExecutionAttributes,
MutableStateImpl.AddContinueAsNewEvent.
"""

from __future__ import annotations

from temporalio.api.command.v1 import ContinueAsNewWorkflowExecutionCommandAttributes
from temporalio.api.enums.v1 import ContinueAsNewInitiator, EventType
from temporalio.api.history.v1 import WorkflowExecutionContinuedAsNewEventAttributes
from temporalio.api.sdk.v1 import UserMetadata
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest

from mockcloud.core import chain, start, times
from mockcloud.core.change import RunChange
from mockcloud.core.messages import copy_set
from mockcloud.core.search_attribute_values import copy_memo_and_search_attributes


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
        initiator=command.initiator,  # as given: only the new run's is never unspecified
        inherit_build_id=command.inherit_build_id,
    )
    copy_set(
        command,
        attributes,
        "input",
        "backoff_start_interval",
        "failure",
        "last_completion_result",
        "header",
    )
    copy_memo_and_search_attributes(command, attributes)
    change.add(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW, attributes, user_metadata=user_metadata
    )
    started = run.start
    request = StartWorkflowExecutionRequest(
        workflow_type=command.workflow_type,
        task_queue=command.task_queue,
        workflow_run_timeout=command.workflow_run_timeout,
        workflow_task_timeout=command.workflow_task_timeout,
        cron_schedule=command.cron_schedule,
    )
    copy_set(started, request, "workflow_execution_timeout")
    if run.priority is not None:
        request.priority.CopyFrom(run.priority)
    copy_set(command, request, "input", "header", "memo", "search_attributes", "retry_policy")
    asked = command.backoff_start_interval if command.HasField("backoff_start_interval") else None
    chain.continue_with(
        change,
        request,
        new_run_id,
        start.Continued(
            run_id=run.key.run_id,
            first_execution_run_id=started.first_execution_run_id,
            initiator=initiator,
            reset_points=chain.handed_on_points(run, change.context),
            attempt=chain.next_attempt(run, initiator),
            first_workflow_task_backoff=chain.minimum_backoff(
                run, None if asked is None else times.nanoseconds(asked), change.context
            ),
            execution_expiration_time=run.execution_expires_at,
            failure=command.failure if command.HasField("failure") else None,
            last_completion_result=(
                command.last_completion_result if command.HasField("last_completion_result") else None
            ),
            parent=started,
        ),
    )
