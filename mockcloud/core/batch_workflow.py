"""The workflow of a batch operation: it starts its one activity, and ends as that ended.

Real: service/worker/batcher/workflow.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from temporalio.api.command.v1 import (
    Command,
    CompleteWorkflowExecutionCommandAttributes,
    FailWorkflowExecutionCommandAttributes,
    ModifyWorkflowPropertiesCommandAttributes,
    ScheduleActivityTaskCommandAttributes,
)
from temporalio.api.common.v1 import RetryPolicy
from temporalio.api.enums.v1 import CommandType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent

from mockcloud.core import batch as rules
from mockcloud.core import times
from mockcloud.core.batch import Progress

# So long a lost attempt is not missed, and so long its successor waits. The real server takes 10 s for each.
_HEARTBEAT_TIMEOUT: Final = times.duration(2 * times.SECOND)
_RETRY: Final = RetryPolicy(
    initial_interval=times.duration(times.SECOND // 2),
    backoff_coefficient=1.7,
    maximum_interval=times.duration(5 * times.MINUTE),
)
_FOR_EVER: Final = times.duration(20 * 365 * times.DAY)


def decide(events: Sequence[HistoryEvent]) -> list[Command]:
    """What the batch's workflow does next: start its activity, or end as that ended."""
    for event in reversed(events):
        match event.WhichOneof("attributes"):
            case "activity_task_completed_event_attributes":
                result = event.activity_task_completed_event_attributes.result
                progress = Progress.of(result) or Progress()
                return [
                    Command(
                        command_type=CommandType.COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES,
                        modify_workflow_properties_command_attributes=(
                            ModifyWorkflowPropertiesCommandAttributes(
                                upserted_memo=rules.stats_memo(progress)
                            )
                        ),
                    ),
                    Command(
                        command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
                        complete_workflow_execution_command_attributes=(
                            CompleteWorkflowExecutionCommandAttributes(result=result)
                        ),
                    ),
                ]
            case "activity_task_failed_event_attributes":
                return [_failed(event.activity_task_failed_event_attributes.failure)]
            case "activity_task_timed_out_event_attributes":
                return [_failed(event.activity_task_timed_out_event_attributes.failure)]
            case "activity_task_scheduled_event_attributes":
                return []  # it is under way
    started = events[0].workflow_execution_started_event_attributes
    return [
        Command(
            command_type=CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
            schedule_activity_task_command_attributes=ScheduleActivityTaskCommandAttributes(
                activity_id="5",
                activity_type=rules.ACTIVITY_TYPE,
                task_queue=rules.TASK_QUEUE,
                input=started.input,
                schedule_to_start_timeout=times.duration(5 * times.MINUTE),
                start_to_close_timeout=_FOR_EVER,
                heartbeat_timeout=_HEARTBEAT_TIMEOUT,
                retry_policy=_RETRY,
            ),
        )
    ]


def _failed(failure: Failure) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION,
        fail_workflow_execution_command_attributes=FailWorkflowExecutionCommandAttributes(failure=failure),
    )
