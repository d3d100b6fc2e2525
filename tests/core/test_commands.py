from __future__ import annotations

from dataclasses import replace

import pytest
from temporalio.api.command.v1 import (
    CancelWorkflowExecutionCommandAttributes,
    Command,
    ContinueAsNewWorkflowExecutionCommandAttributes,
    FailWorkflowExecutionCommandAttributes,
    RecordMarkerCommandAttributes,
    ScheduleNexusOperationCommandAttributes,
)
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import CommandType, RetryState, WorkflowExecutionStatus, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import History
from temporalio.api.sdk.v1 import UserMetadata

from mockcloud.core import activity, due, times
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.limits import Limits
from tests.core.lives import (
    WorkedLife,
    cancel_activity,
    cancel_timer,
    complete_workflow,
    schedule,
    seconds,
    start_timer,
)
from tests.core.makers import World, payloads, same_state, short, start_request

Cause = WorkflowTaskFailedCause
Status = WorkflowExecutionStatus


def marker(name: str = "m") -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_RECORD_MARKER,
        record_marker_command_attributes=RecordMarkerCommandAttributes(
            marker_name=name, details={"d": payloads("x")}
        ),
    )


def fail_workflow() -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION,
        fail_workflow_execution_command_attributes=FailWorkflowExecutionCommandAttributes(
            failure=Failure(message="no")
        ),
    )


def cancel_workflow() -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION,
        cancel_workflow_execution_command_attributes=CancelWorkflowExecutionCommandAttributes(
            details=payloads("why")
        ),
    )


def failed_task(life: WorkedLife) -> tuple[int, str]:
    """Cause and message of the last failed workflow task."""
    attributes = life.last("WORKFLOW_TASK_FAILED").workflow_task_failed_event_attributes
    return attributes.cause, attributes.failure.message


def test_commands_become_events_in_their_order_with_their_metadata() -> None:
    # Given a worker that has the first task, when it gives four commands, one of them with a summary.
    life = WorkedLife()
    timer = start_timer()
    timer.user_metadata.CopyFrom(UserMetadata(summary=Payload(data=b"nap")))
    life.decide(schedule(start_to_close=5), timer, marker(), cancel_timer())

    # Then each is an event that names the completed task, and no task follows.
    assert life.types(5) == [
        "ACTIVITY_TASK_SCHEDULED",
        "TIMER_STARTED",
        "MARKER_RECORDED",
        "TIMER_CANCELED",
    ]
    assert life.events[4].activity_task_scheduled_event_attributes.workflow_task_completed_event_id == 4
    assert life.events[5].user_metadata.summary.data == b"nap"
    assert not life.events[4].HasField("user_metadata")
    assert life.events[7].timer_canceled_event_attributes.identity == "worker"
    assert life.run.workflow_task is None
    assert same_state(life.run, life.rebuilt()) == []


def test_activity_timeouts_are_filled_in_as_recorded() -> None:
    # Given the time-outs of golden/event-based/08e, when the activity is scheduled.
    life = WorkedLife()
    life.decide(schedule(start_to_close=60, schedule_to_close=300))

    # Then its event is as there: schedule-to-start from schedule-to-close, and the default retry policy.
    attributes = life.last("ACTIVITY_TASK_SCHEDULED").activity_task_scheduled_event_attributes
    assert attributes.schedule_to_start_timeout.seconds == 300
    assert attributes.start_to_close_timeout.seconds == 60
    assert attributes.HasField("heartbeat_timeout")
    assert attributes.heartbeat_timeout.seconds == 0
    policy = attributes.retry_policy
    assert (policy.initial_interval.seconds, policy.maximum_interval.seconds) == (1, 100)
    assert (policy.backoff_coefficient, policy.maximum_attempts) == (2.0, 0)


def test_activity_timeouts_never_exceed_the_runs() -> None:
    life = WorkedLife(request=start_request(workflow_run_timeout=seconds(20)))
    life.decide(schedule(start_to_close=60, heartbeat=30))
    attributes = life.last("ACTIVITY_TASK_SCHEDULED").activity_task_scheduled_event_attributes
    assert attributes.schedule_to_close_timeout.seconds == 20
    assert attributes.schedule_to_start_timeout.seconds == 20
    assert attributes.start_to_close_timeout.seconds == 20
    assert attributes.heartbeat_timeout.seconds == 20


def unnamed_queue() -> Command:
    command = schedule(start_to_close=1)
    command.schedule_activity_task_command_attributes.task_queue.name = ""
    return command


def negative_heartbeat() -> Command:
    command = schedule(start_to_close=1)
    command.schedule_activity_task_command_attributes.heartbeat_timeout.seconds = -1
    return command


@pytest.mark.parametrize(
    ("commands", "cause", "message"),
    [
        (
            [schedule()],
            Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES,
            (
                "BadScheduleActivityAttributes: a valid StartToClose or ScheduleToCloseTimeout is not set "
                "on ScheduleActivityTaskCommand. ActivityId=a ActivityType=act"
            ),
        ),
        (
            [schedule("", start_to_close=1)],
            Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES,
            "BadScheduleActivityAttributes: activityId is not set",
        ),
        (
            [unnamed_queue()],
            Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES,
            "BadScheduleActivityAttributes: missing task queue name",
        ),
        (
            [negative_heartbeat()],
            Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES,
            "BadScheduleActivityAttributes: invalid HeartbeatTimeout: negative duration",
        ),
        (
            [schedule("a" * 1001, start_to_close=1)],
            Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES,
            "BadScheduleActivityAttributes: activityId exceeds length limit. Length=1001 Limit=1000",
        ),
        (
            [schedule(start_to_close=1), schedule(start_to_close=1)],
            Cause.WORKFLOW_TASK_FAILED_CAUSE_SCHEDULE_ACTIVITY_DUPLICATE_ID,
            (
                "ScheduleActivityDuplicateId: invalid history builder state for action: "
                "add-activitytask-scheduled-event, ActivityID: a"
            ),
        ),
        (
            [cancel_activity(99)],
            Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_ACTIVITY_ATTRIBUTES,
            (
                "BadRequestCancelActivityAttributes: invalid history builder state for action: "
                "add-activitytask-cancel-requested-event, ScheduledEventID: 99"
            ),
        ),
        (
            [start_timer(), start_timer()],
            Cause.WORKFLOW_TASK_FAILED_CAUSE_START_TIMER_DUPLICATE_ID,
            (
                "StartTimerDuplicateId: invalid history builder state for action: "
                "add-timer-started-event, TimerID: t"
            ),
        ),
        (
            [start_timer("")],
            Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_START_TIMER_ATTRIBUTES,
            "BadStartTimerAttributes: TimerId is not set on StartTimerCommand.",
        ),
        (
            [start_timer(after=-1)],
            Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_START_TIMER_ATTRIBUTES,
            (
                "BadStartTimerAttributes: An invalid StartToFireTimeout is set on StartTimerCommand: "
                "negative duration. TimerId=t"
            ),
        ),
        (
            [cancel_timer()],
            Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_CANCEL_TIMER_ATTRIBUTES,
            (
                "BadCancelTimerAttributes: invalid history builder state for action: "
                "add-timer-canceled-event, TimerID: t"
            ),
        ),
        (
            [marker("")],
            Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_RECORD_MARKER_ATTRIBUTES,
            "BadRecordMarkerAttributes: MarkerName is not set on RecordMarkerCommand.",
        ),
        (
            [Command(command_type=CommandType.COMMAND_TYPE_START_TIMER)],
            Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_START_TIMER_ATTRIBUTES,
            "BadStartTimerAttributes: StartTimerCommandAttributes is not set on StartTimerCommand.",
        ),
    ],
)
def test_a_bad_command_fails_the_task_and_leaves_nothing_of_the_others(
    commands: list[Command], cause: int, message: str
) -> None:
    # Given a worker whose good commands come before a bad one, when it completes its task.
    life = WorkedLife()
    completion = life.decide(start_timer("first"), *commands)

    # Then the task has failed with the server's cause and text, the worker is told, and nothing
    # else happened.
    assert life.types(4) == ["WORKFLOW_TASK_FAILED"]
    assert failed_task(life) == (cause, message)
    assert completion.error is not None
    assert completion.error.message == message
    assert not life.run.timers
    assert not life.run.activities


def test_a_command_that_is_not_built_fails_the_task_by_name_without_an_error() -> None:
    life = WorkedLife()
    completion = life.decide(
        Command(
            command_type=CommandType.COMMAND_TYPE_SCHEDULE_NEXUS_OPERATION,
            schedule_nexus_operation_command_attributes=ScheduleNexusOperationCommandAttributes(),
        )
    )
    assert completion.error is None
    assert failed_task(life) == (
        Cause.WORKFLOW_TASK_FAILED_CAUSE_FEATURE_DISABLED,
        "FeatureDisabled: ScheduleNexusOperation commands are not implemented.",
    )


def test_a_command_after_a_closing_one_is_refused_and_nothing_changes() -> None:
    life = WorkedLife()
    token = life.take_task()
    with pytest.raises(InvalidArgument) as caught:
        life.complete(token, complete_workflow(), start_timer())
    assert caught.value.message == (
        "invalid command sequence: [CompleteWorkflowExecution, StartTimer], "
        "command CompleteWorkflowExecution must be the last command."
    )


def test_pending_activities_are_limited() -> None:
    life = WorkedLife(World(limits=replace(Limits(), pending_activities=2)))
    life.decide(*(schedule(name, start_to_close=1) for name in "abc"))
    assert failed_task(life) == (
        Cause.WORKFLOW_TASK_FAILED_CAUSE_PENDING_ACTIVITIES_LIMIT_EXCEEDED,
        (
            "PendingActivitiesLimitExceeded: the number of pending activities, 2, has reached the "
            "per-workflow limit of 2"
        ),
    )


def test_a_payload_over_the_limit_ends_the_run() -> None:
    life = WorkedLife(World(limits=replace(Limits(), blob_bytes=100, blob_bytes_warning=100)))
    life.decide(complete_workflow("x" * 200))
    assert life.types(4) == ["WORKFLOW_TASK_FAILED", "WORKFLOW_EXECUTION_TERMINATED"]
    terminated = life.last("WORKFLOW_EXECUTION_TERMINATED").workflow_execution_terminated_event_attributes
    assert terminated.identity == "history-service"
    assert terminated.reason.endswith("CompleteWorkflowExecutionCommandAttributes.Result exceeds size limit.")


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (complete_workflow(), Status.WORKFLOW_EXECUTION_STATUS_COMPLETED),
        (fail_workflow(), Status.WORKFLOW_EXECUTION_STATUS_FAILED),
        (cancel_workflow(), Status.WORKFLOW_EXECUTION_STATUS_CANCELED),
    ],
)
def test_closing_commands_close_the_run(command: Command, status: int) -> None:
    life = WorkedLife()
    life.decide(start_timer(), schedule(start_to_close=1))
    life.signal()
    life.decide(command)
    assert life.run.status == status
    assert not life.run.timers
    assert not life.offers
    assert due.next_due(life.run) is None
    assert same_state(life.run, life.rebuilt()) == []


def test_a_failed_workflow_says_that_it_has_no_retry_policy() -> None:
    life = WorkedLife()
    life.decide(fail_workflow())
    attributes = life.last("WORKFLOW_EXECUTION_FAILED").workflow_execution_failed_event_attributes
    assert attributes.failure.message == "no"
    assert attributes.retry_state == RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET


def test_a_run_does_not_close_on_a_decision_made_without_a_signal() -> None:
    # Given a signal that came while the worker was deciding, when it closes the run.
    life = WorkedLife()
    token = life.take_task()
    life.signal()
    life.complete(token, complete_workflow())

    # Then the task fails and the next one brings the signal.
    assert life.types(4) == ["WORKFLOW_TASK_FAILED", "WORKFLOW_EXECUTION_SIGNALED", "WORKFLOW_TASK_SCHEDULED"]
    assert failed_task(life)[0] == Cause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND
    life.decide(complete_workflow())
    assert life.run.status == Status.WORKFLOW_EXECUTION_STATUS_COMPLETED


def test_what_came_while_the_worker_decided_follows_its_commands() -> None:
    life = WorkedLife()
    token = life.take_task()
    life.signal()
    life.complete(token, start_timer())
    assert life.types(4) == [
        "WORKFLOW_TASK_COMPLETED",
        "TIMER_STARTED",
        "WORKFLOW_EXECUTION_SIGNALED",
        "WORKFLOW_TASK_SCHEDULED",
    ]


def test_an_activity_that_nobody_took_is_cancelled_at_once() -> None:
    # Given an offered activity, when the worker cancels it and starts a timer.
    life = WorkedLife()
    life.decide(schedule(start_to_close=5))
    life.signal()
    life.decide(cancel_activity(5), start_timer())

    # Then its end follows the commands' own events, and the worker is told.
    assert life.types(10) == [
        "ACTIVITY_TASK_CANCEL_REQUESTED",
        "TIMER_STARTED",
        "ACTIVITY_TASK_CANCELED",
        "WORKFLOW_TASK_SCHEDULED",
    ]
    attributes = life.last("ACTIVITY_TASK_CANCELED").activity_task_canceled_event_attributes
    assert attributes.scheduled_event_id == 5
    assert attributes.started_event_id == 0
    assert attributes.latest_cancel_requested_event_id == 10
    assert attributes.details.payloads[0].data == b'"ACTIVITY_ID_NOT_STARTED"'
    assert not life.offers
    assert same_state(life.run, life.rebuilt()) == []


def test_an_activity_cancelled_by_the_task_that_closes_the_run_leaves_no_end() -> None:
    life = WorkedLife()
    life.decide(schedule(start_to_close=5))
    life.signal()
    life.decide(cancel_activity(5), complete_workflow())
    assert life.types(10) == ["ACTIVITY_TASK_CANCEL_REQUESTED", "WORKFLOW_EXECUTION_COMPLETED"]
    assert not life.run.record.buffered_events


def test_cancelling_an_activity_that_has_just_ended_is_no_mistake() -> None:
    # Given an activity whose result came while the worker was deciding, when the worker cancels it.
    life = WorkedLife()
    life.decide(schedule(start_to_close=5))
    started = life.take_activity()
    life.signal()
    token = life.take_task()
    change = life.change()
    activity.complete(change, started.token, None, "worker")
    life.commit(change)
    life.complete(token, cancel_activity(5))

    # Then the request is recorded, and the result stands.
    assert life.types(10) == [
        "ACTIVITY_TASK_CANCEL_REQUESTED",
        "ACTIVITY_TASK_STARTED",
        "ACTIVITY_TASK_COMPLETED",
        "WORKFLOW_TASK_SCHEDULED",
    ]
    completed = life.last("ACTIVITY_TASK_COMPLETED").activity_task_completed_event_attributes
    assert completed.started_event_id == 11


def test_a_timer_that_fired_while_the_worker_decided_can_be_cancelled() -> None:
    # Given a timer that fires while a worker has the task, when the worker cancels it and closes the run.
    life = WorkedLife()
    life.decide(start_timer(after=1))
    life.signal()
    token = life.take_task()
    life.pass_time(2 * times.SECOND)
    life.complete(token, cancel_timer(), complete_workflow())

    # Then it never fired, and nothing keeps the run from closing.
    assert life.types(10) == ["TIMER_CANCELED", "WORKFLOW_EXECUTION_COMPLETED"]
    assert life.last("TIMER_CANCELED").timer_canceled_event_attributes.started_event_id == 5


def test_cancelling_the_timer_that_fired_leaves_no_task_behind() -> None:
    life = WorkedLife()
    life.decide(start_timer(after=1))
    life.signal()
    token = life.take_task()
    life.pass_time(2 * times.SECOND)
    life.complete(token, cancel_timer())
    assert life.run.workflow_task is None
    assert same_state(life.run, life.rebuilt()) == []


def test_continue_as_new_starts_the_next_run_with_the_commands_and_the_old_runs_settings() -> None:
    life = WorkedLife(request=start_request(workflow_run_timeout=seconds(60)))
    life.world.advance(2 * times.SECOND)
    life.decide(
        Command(
            command_type=CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION,
            continue_as_new_workflow_execution_command_attributes=(
                ContinueAsNewWorkflowExecutionCommandAttributes(input=payloads("again"))
            ),
        )
    )
    closed = life.last("WORKFLOW_EXECUTION_CONTINUED_AS_NEW")
    attributes = closed.workflow_execution_continued_as_new_event_attributes
    assert attributes.new_execution_run_id == life.run.new_run_id == "run-2"
    assert attributes.workflow_run_timeout.seconds == 60
    successor = life.outcomes[-1].successor
    assert successor is not None
    events = History.FromString(successor.batches[0].data).events
    assert [short(event) for event in events] == ["WORKFLOW_EXECUTION_STARTED", "WORKFLOW_TASK_SCHEDULED"]
    started = events[0].workflow_execution_started_event_attributes
    assert started.continued_execution_run_id == "run-1"
    assert started.input == payloads("again")
    assert (started.workflow_type.name, started.task_queue.name) == ("wf", "tq")


def test_an_activity_asked_for_eagerly_comes_with_the_answer() -> None:
    life = WorkedLife()
    completion = life.decide(schedule("a", start_to_close=5, eager=True), schedule("b", start_to_close=5))
    (started,) = completion.activity_tasks
    assert started.response.activity_id == "a"
    assert started.response.input == payloads("in")
    assert [offer.scheduled_event_id for offer in life.offers] == [6]
    change = life.change()
    activity.complete(change, started.token, payloads("out"), "worker")
    life.commit(change)
    assert "ACTIVITY_TASK_COMPLETED" in life.types()
