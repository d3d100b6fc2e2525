from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from temporalio.api.command.v1 import Command, ScheduleActivityTaskCommandAttributes
from temporalio.api.common.v1 import ActivityType
from temporalio.api.enums.v1 import CommandType, PendingActivityState, PendingWorkflowTaskState
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from mockcloud.core import activity, times
from mockcloud.core.derive import derive
from mockcloud.core.derived import TaskKind
from mockcloud.core.describe import describe
from tests.core.makers import Life, World
from tests.core.test_workflow_task import COMPLETE, complete, take

CHARGE = Command(
    command_type=CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
    schedule_activity_task_command_attributes=ScheduleActivityTaskCommandAttributes(
        activity_id="charge-1",
        activity_type=ActivityType(name="charge"),
        task_queue=TaskQueue(name="tq"),
        start_to_close_timeout=Duration(seconds=10),
    ),
)


def described(life: Life) -> DescribeWorkflowExecutionResponse:
    context = life.world.context()
    return describe(life.run, context.now, context.namespace)


def test_an_open_run_is_described_as_recorded() -> None:
    life = Life(World())
    complete(life, take(life).token)
    answer = MessageToDict(described(life))
    assert answer["executionConfig"] == {
        "taskQueue": {"name": "tq", "kind": "TASK_QUEUE_KIND_NORMAL"},
        "defaultWorkflowTaskTimeout": "10s",
    }
    info = answer["workflowExecutionInfo"]
    assert info["status"] == "WORKFLOW_EXECUTION_STATUS_RUNNING"
    assert info["historyLength"] == "4"
    assert info["startTime"] == info["executionTime"]
    assert info["rootExecution"] == info["execution"] == {"workflowId": "order-1", "runId": "run-1"}
    assert info["firstRunId"] == "run-1"
    assert int(info["historySizeBytes"]) == sum(event.ByteSize() for event in life.events)
    assert info["memo"] == {}
    assert info["stateTransitionCount"] == "3"
    extended = answer["workflowExtendedInfo"]
    assert extended["runExpirationTime"] == "0001-01-01T00:00:00Z"
    assert extended["requestIdInfos"] == {
        "start-1": {"eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED", "eventId": "1"}
    }
    assert "pendingWorkflowTask" not in answer


def test_the_pending_workflow_task_is_told() -> None:
    life = Life(World())
    pending = described(life).pending_workflow_task
    assert (pending.state, pending.attempt) == (
        PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED,
        1,
    )
    take(life)
    pending = described(life).pending_workflow_task
    assert pending.state == PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_STARTED
    assert times.nanoseconds(pending.started_time) == life.world.time


def test_an_activity_between_two_attempts_tells_why_and_when() -> None:
    # Given an activity whose first attempt failed.
    life = Life(World())
    complete(life, take(life).token, CHARGE)
    (offer,) = (each for each in derive(life.run).offers if each.kind == TaskKind.ACTIVITY)
    change = life.change()
    started = activity.start_activity(change, offer, "poll-a", "worker")
    assert started is not None
    life.commit(change)
    (pending,) = described(life).pending_activities
    assert pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
    life.world.advance(2 * times.SECOND)
    change = life.change()
    failure = Failure(message="no", application_failure_info=ApplicationFailureInfo(type="X"))
    activity.fail(change, started.token, failure, "worker")
    life.commit(change)

    # Then its description has the failure and the moment of the next attempt.
    (pending,) = described(life).pending_activities
    assert pending.activity_id == "charge-1"
    assert pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    assert pending.attempt == 2
    assert pending.last_failure.message == "no"
    assert times.nanoseconds(pending.next_attempt_schedule_time) > life.world.time
    assert times.nanoseconds(pending.current_retry_interval) > 0
    assert pending.last_worker_identity == "worker"


def test_a_closed_run_has_a_duration_and_nothing_pending() -> None:
    life = Life(World())
    life.world.advance(3 * times.SECOND)
    complete(life, take(life).token, COMPLETE)
    answer = described(life)
    assert answer.workflow_execution_info.execution_duration.seconds == 3
    assert times.nanoseconds(answer.workflow_execution_info.close_time) == life.world.time
    assert not answer.HasField("pending_workflow_task")
