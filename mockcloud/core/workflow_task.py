"""What happens to a workflow task: a worker takes it, completes it, fails it, lets it time out.

The state machine beneath is `core.task_state`; taking and completing have files of their own and are named
here again. Real: api/respondworkflowtaskfailed, timer_queue_active_task_executor.go,
api/resetstickytaskqueue.
"""

from __future__ import annotations

from temporalio.api.enums.v1 import EventType, TimeoutType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import WorkflowTaskTimedOutEventAttributes
from temporalio.api.workflowservice.v1 import RespondWorkflowTaskFailedRequest

from mockcloud.core import failures, messages, signals, task_state
from mockcloud.core.change import RunChange
from mockcloud.core.errors import workflow_already_completed
from mockcloud.core.task_completion import Completion, complete_workflow_task
from mockcloud.core.task_start import (
    StartedTask,
    require_started_task,
    start_workflow_task,
    task_token,
    transient_events,
)
from mockcloud.core.task_state import schedule_workflow_task
from mockcloud.core.tokens import TaskToken

__all__ = [
    "Completion",
    "StartedTask",
    "complete_workflow_task",
    "fail_workflow_task",
    "reset_sticky",
    "schedule_workflow_task",
    "start_workflow_task",
    "sticky_timed_out",
    "task_token",
    "transient_events",
    "workflow_task_timed_out",
]

_MESSAGE_TOO_LARGE = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_GRPC_MESSAGE_TOO_LARGE


def fail_workflow_task(
    change: RunChange, token: TaskToken, request: RespondWorkflowTaskFailedRequest
) -> None:
    """End the started task as failed, at its worker's word, and schedule a further attempt.

    Raises:
        NotFound: the run is closed, or the token is stale.
    """
    if not change.run.open:
        raise workflow_already_completed()
    require_started_task(change, token)
    if request.cause == _MESSAGE_TOO_LARGE:
        signals.terminate_run(change, reason=_cause_name(request.cause))
        return
    task_state.fail_task(
        change,
        request.cause,
        identity=request.identity,
        failure=request.failure if request.HasField("failure") else None,
        binary_checksum=request.binary_checksum,
    )
    schedule_workflow_task(change)


def workflow_task_timed_out(change: RunChange) -> None:
    """The worker that has the task did not answer in time: a further attempt follows."""
    task_state.time_out_started_task(change)
    schedule_workflow_task(change)


def sticky_timed_out(change: RunChange) -> None:
    """No worker took the task from the sticky queue in time: it is scheduled anew on the normal one."""
    run = change.run
    task = run.workflow_task
    assert task is not None, "a scheduled task"
    assert not task.started_time, "no worker has it"
    change.add(
        EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
        WorkflowTaskTimedOutEventAttributes(
            scheduled_event_id=task.scheduled_event_id,
            timeout_type=TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START,
        ),
    )
    schedule_workflow_task(change)


def reset_sticky(change: RunChange) -> None:
    """Forget the run's sticky queue: its worker has dropped it from its cache.

    Raises:
        NotFound: the run is closed.
    """
    if not change.run.open:
        raise workflow_already_completed()
    if change.run.record.sticky.task_queue:
        change.run.record.ClearField("sticky")
        change.touch()


def _cause_name(cause: WorkflowTaskFailedCause.ValueType) -> str:
    """The cause as Go prints it: GrpcMessageTooLarge."""
    return failures.camel_case(
        messages.enum_name(WorkflowTaskFailedCause, cause), "WORKFLOW_TASK_FAILED_CAUSE_"
    )
