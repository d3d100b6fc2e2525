from __future__ import annotations

import pytest
from temporalio.api.command.v1 import (
    Command,
    CompleteWorkflowExecutionCommandAttributes,
    ScheduleNexusOperationCommandAttributes,
    StartTimerCommandAttributes,
)
from temporalio.api.common.v1 import WorkerVersionStamp
from temporalio.api.enums.v1 import CommandType, TaskQueueKind, TimeoutType, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure
from temporalio.api.sdk.v1 import WorkflowTaskCompletedMetadata
from temporalio.api.taskqueue.v1 import StickyExecutionAttributes, TaskQueue
from temporalio.api.workflowservice.v1 import (
    RespondWorkflowTaskCompletedRequest,
    RespondWorkflowTaskFailedRequest,
    SignalWorkflowExecutionRequest,
)

from mockcloud.core import signals, times, workflow_task
from mockcloud.core.derive import derive
from mockcloud.core.derived import Offer
from mockcloud.core.errors import InvalidArgument, NotFound
from mockcloud.core.limits import Limits
from mockcloud.core.tokens import TaskToken
from mockcloud.core.workflow_task import Completion, StartedTask
from tests.core.makers import Life, World, payloads, same_state

Cause = WorkflowTaskFailedCause
COMPLETE = Command(
    command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
    complete_workflow_execution_command_attributes=CompleteWorkflowExecutionCommandAttributes(
        result=payloads("done")
    ),
)
UNBUILT = Command(
    command_type=CommandType.COMMAND_TYPE_SCHEDULE_NEXUS_OPERATION,
    schedule_nexus_operation_command_attributes=ScheduleNexusOperationCommandAttributes(),
)
BAD_TIMER = Command(
    command_type=CommandType.COMMAND_TYPE_START_TIMER,
    start_timer_command_attributes=StartTimerCommandAttributes(timer_id=""),
)
STICKY = StickyExecutionAttributes(
    worker_task_queue=TaskQueue(name="sticky-1", kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY),
    schedule_to_start_timeout=times.duration(5 * times.SECOND),
)


def offer(life: Life) -> Offer:
    (only,) = derive(life.run).offers
    return only


def take(life: Life, *, sticky: bool | None = None) -> StartedTask:
    change = life.change()
    started = workflow_task.start_workflow_task(change, offer(life), "poll-1", "worker", sticky=sticky)
    assert started is not None
    life.commit(change)
    return started


def complete(
    life: Life,
    token: TaskToken,
    *commands: Command,
    sticky: bool = False,
    force: bool = False,
    inline: bool = False,
) -> Completion:
    request = RespondWorkflowTaskCompletedRequest(
        identity="worker",
        commands=commands,
        force_create_new_workflow_task=force,
        return_new_workflow_task=inline,
        sticky_attributes=STICKY if sticky else None,
    )
    change = life.change()
    completion = workflow_task.complete_workflow_task(change, token, request, lambda: "run-2")
    if change.changed:
        life.commit(change)
    return completion


def fail(
    life: Life,
    token: TaskToken,
    cause: Cause.ValueType = Cause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE,
) -> None:
    change = life.change()
    workflow_task.fail_workflow_task(
        change,
        token,
        RespondWorkflowTaskFailedRequest(
            cause=cause,
            failure=Failure(message="boom"),
            identity="worker",
        ),
    )
    life.commit(change)


def send_signal(life: Life, name: str = "s") -> None:
    change = life.change()
    request_id = f"signal-{name}-{len(life.outcomes)}"
    signals.signal(change, SignalWorkflowExecutionRequest(signal_name=name, request_id=request_id))
    life.commit(change)


def test_a_task_is_taken_and_completed() -> None:
    # Given a started run, when a worker takes its task.
    life = Life(World())
    size = life.run.record.history_size
    started = take(life)

    # Then it sees the whole history, and the size of it before its own Started.
    assert (started.first_event_id, started.next_event_id, started.attempt) == (1, 4, 1)
    assert life.events[2].workflow_task_started_event_attributes.history_size_bytes == size
    assert derive(life.run).offers == frozenset()

    # When it completes the run, then that is what the history says.
    complete(life, started.token, COMPLETE)
    assert life.types(3) == [
        "WORKFLOW_TASK_STARTED",
        "WORKFLOW_TASK_COMPLETED",
        "WORKFLOW_EXECUTION_COMPLETED",
    ]
    assert not life.run.open
    assert derive(life.run).due is None


def test_a_completion_keeps_what_sdks_want_back() -> None:
    life = Life(World())
    started = take(life)
    request = RespondWorkflowTaskCompletedRequest(
        identity="worker",
        binary_checksum="sum",
        worker_version_stamp=WorkerVersionStamp(build_id="b1"),
        sdk_metadata=WorkflowTaskCompletedMetadata(sdk_name="temporal-python", lang_used_flags=[1]),
    )
    change = life.change()
    workflow_task.complete_workflow_task(change, started.token, request, lambda: "run-2")
    life.commit(change)
    attributes = life.events[-1].workflow_task_completed_event_attributes
    assert attributes.sdk_metadata.sdk_name == "temporal-python"
    assert (attributes.binary_checksum, attributes.worker_version.build_id) == ("sum", "b1")


def test_a_stale_offer_gives_nothing() -> None:
    life = Life(World())
    stale = offer(life)
    take(life)
    change = life.change()
    assert workflow_task.start_workflow_task(change, stale, "poll-2", "worker") is None
    assert not change.changed


def test_a_stale_token_is_not_found() -> None:
    life = Life(World())
    started = take(life)
    complete(life, started.token)
    with pytest.raises(NotFound, match=r"^Workflow task not found\.$"):
        complete(life, started.token)


def test_signals_wait_while_a_worker_decides_and_bring_the_next_task() -> None:
    life = Life(World())
    started = take(life)
    send_signal(life)
    assert life.types(4) == []
    complete(life, started.token)
    assert life.types(4) == [
        "WORKFLOW_TASK_COMPLETED",
        "WORKFLOW_EXECUTION_SIGNALED",
        "WORKFLOW_TASK_SCHEDULED",
    ]


def test_a_run_cannot_close_on_what_it_has_not_seen() -> None:
    # Given a signal that came while the worker decided to complete.
    life = Life(World())
    started = take(life)
    send_signal(life)

    # When it completes, then the task fails and a real first attempt follows with the signal.
    completion = complete(life, started.token, COMPLETE)
    assert isinstance(completion.error, InvalidArgument)
    assert completion.error.message == "UnhandledCommand"
    assert life.types(4) == ["WORKFLOW_TASK_FAILED", "WORKFLOW_EXECUTION_SIGNALED", "WORKFLOW_TASK_SCHEDULED"]
    cause = life.events[3].workflow_task_failed_event_attributes.cause
    assert cause == Cause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND
    assert offer(life).attempt == 1
    assert same_state(life.run, life.rebuilt()) == []


def test_bad_commands_fail_the_task_and_tell_the_worker() -> None:
    life = Life(World())
    started = take(life)
    completion = complete(life, started.token, BAD_TIMER, COMPLETE, sticky=True)
    assert isinstance(completion.error, InvalidArgument)
    assert life.types(4) == ["WORKFLOW_TASK_FAILED"]
    assert life.run.open
    # Nothing of the completion is left: not the sticky queue, not the timer.
    assert (offer(life).attempt, offer(life).task_queue) == (2, "tq")
    assert not life.run.timers
    assert same_state(life.run, life.rebuilt()) == []


def test_a_command_that_is_not_built_fails_the_task_without_an_error() -> None:
    life = Life(World())
    completion = complete(life, take(life).token, UNBUILT)
    assert completion.error is None
    failure = life.events[-1].workflow_task_failed_event_attributes.failure
    assert "ScheduleNexusOperation" in failure.message
    # A further attempt with the same command is left to its time-out, which grows.
    again = take(life)
    assert complete(life, again.token, UNBUILT).error is None
    assert life.run.started_workflow_task is not None


def test_a_further_attempt_has_events_only_once_it_completes() -> None:
    # Given a failed task.
    life = Life(World())
    fail(life, take(life).token)
    assert life.types(4) == ["WORKFLOW_TASK_FAILED"]

    # When its second attempt is taken, then the worker sees events that are in no history.
    second = take(life)
    assert second.attempt == 2
    assert [event.event_id for event in second.transient_events] == [5, 6]
    assert life.types(5) == []
    assert same_state(life.run, life.rebuilt()) == []

    # And when it fails as well, that leaves nothing either.
    fail(life, second.token)
    third = take(life)
    assert life.types(5) == []
    life.world.advance(times.SECOND)
    complete(life, third.token)
    assert life.types(5) == ["WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED", "WORKFLOW_TASK_COMPLETED"]
    assert life.events[4].workflow_task_scheduled_event_attributes.attempt == 3
    assert life.events[5].event_time.ToNanoseconds() == third.started_time
    assert same_state(life.run, life.rebuilt()) == []


def test_news_makes_a_further_attempt_a_first_one() -> None:
    life = Life(World())
    fail(life, take(life).token)
    send_signal(life)
    started = take(life)
    assert started.attempt == 1
    assert life.types(5) == [
        "WORKFLOW_EXECUTION_SIGNALED",
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_TASK_STARTED",
    ]
    complete(life, started.token)
    assert same_state(life.run, life.rebuilt()) == []


def test_attempts_after_the_third_get_more_and_more_time() -> None:
    life = Life(World())
    timeouts = []
    for _ in range(6):
        started = take(life)
        task = life.run.started_workflow_task
        assert task is not None
        timeouts.append(task.start_to_close_timeout / times.SECOND)
        change = life.change()
        workflow_task.workflow_task_timed_out(change)
        life.commit(change)
    assert started.attempt == 6
    assert timeouts[:3] == [10, 10, 10]
    assert 14 <= timeouts[3] <= 15
    assert 18 <= timeouts[4] <= 20
    assert 26 <= timeouts[5] <= 30
    assert life.types(4) == ["WORKFLOW_TASK_TIMED_OUT"]


def test_a_sticky_run_is_offered_on_its_sticky_queue_and_gets_new_events_only() -> None:
    life = Life(World())
    complete(life, take(life).token, sticky=True)
    send_signal(life)
    assert (offer(life).task_queue, offer(life).normal_queue, offer(life).sticky) == ("sticky-1", "tq", True)
    started = take(life)
    assert (started.first_event_id, started.sticky) == (4, True)


def test_a_sticky_task_taken_on_the_normal_queue_gets_everything() -> None:
    life = Life(World())
    complete(life, take(life).token, sticky=True)
    send_signal(life)
    started = take(life, sticky=False)
    assert (started.first_event_id, started.sticky) == (1, False)
    assert not life.run.record.sticky.task_queue


def test_a_sticky_worker_that_does_not_come_loses_the_run_to_the_normal_queue() -> None:
    life = Life(World())
    complete(life, take(life).token, sticky=True)
    send_signal(life)
    task = life.run.workflow_task
    assert task is not None
    assert derive(life.run).due == task.scheduled_time + 5 * times.SECOND
    change = life.change()
    workflow_task.sticky_timed_out(change)
    life.commit(change)
    timed_out = life.events[-2].workflow_task_timed_out_event_attributes
    assert timed_out.timeout_type == TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START
    assert (offer(life).task_queue, offer(life).attempt) == ("tq", 1)
    assert same_state(life.run, life.rebuilt()) == []


def test_a_sticky_run_gives_up_its_queue_before_attempts_count() -> None:
    life = Life(World())
    complete(life, take(life).token, sticky=True)
    send_signal(life)
    fail(life, take(life).token)
    assert life.types(8)[-1] == "WORKFLOW_TASK_SCHEDULED"
    assert (offer(life).attempt, offer(life).task_queue) == (1, "tq")
    assert same_state(life.run, life.rebuilt()) == []


def test_a_forced_new_task_comes_with_the_answer() -> None:
    life = Life(World())
    completion = complete(life, take(life).token, sticky=True, force=True, inline=True)
    assert completion.new_task is not None
    assert completion.new_task.first_event_id == 4
    assert life.types(4) == ["WORKFLOW_TASK_COMPLETED", "WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED"]


def test_heartbeats_may_go_on_for_half_an_hour() -> None:
    life = Life(World())
    token = take(life).token
    original = life.run.record.workflow_task.original_scheduled_time
    life.world.advance(20 * times.MINUTE)
    completion = complete(life, token, sticky=True, force=True, inline=True)
    assert life.run.record.workflow_task.original_scheduled_time == original
    life.world.advance(11 * times.MINUTE)
    assert completion.new_task is not None
    late = complete(life, completion.new_task.token, sticky=True, force=True, inline=True)
    assert isinstance(late.error, NotFound)
    assert late.error.message == "workflow task heartbeat timeout"
    # What follows was wanted in the answer, which is an error: nobody has it, and it times out in its turn.
    assert life.types()[-3:] == [
        "WORKFLOW_TASK_TIMED_OUT",
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_TASK_STARTED",
    ]
    queue = life.events[-2].workflow_task_scheduled_event_attributes.task_queue
    assert queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY
    change = life.change()
    workflow_task.workflow_task_timed_out(change)
    life.commit(change)
    assert (offer(life).task_queue, offer(life).sticky, offer(life).attempt) == ("tq", False, 1)
    assert same_state(life.run, life.rebuilt()) == []


def test_a_long_history_asks_for_a_new_run() -> None:
    life = Life(World(limits=Limits(suggest_continue_as_new_events=3)))
    take(life)
    attributes = life.events[-1].workflow_task_started_event_attributes
    assert attributes.suggest_continue_as_new
    assert len(attributes.suggest_continue_as_new_reasons) == 1


def test_a_further_attempt_says_why_it_suggests_a_new_run() -> None:
    life = Life(World(limits=Limits(suggest_continue_as_new_events=3)))
    fail(life, take(life).token)
    again = take(life)
    told = again.transient_events[-1].workflow_task_started_event_attributes
    assert len(told.suggest_continue_as_new_reasons) == 1
    complete(life, again.token)
    written = [event for event in life.events if event.HasField("workflow_task_started_event_attributes")][-1]
    assert written.workflow_task_started_event_attributes.suggest_continue_as_new_reasons == (
        told.suggest_continue_as_new_reasons
    )


def test_only_a_failure_that_is_written_counts_as_the_last_one() -> None:
    life = Life(World())
    fail(life, take(life).token, Cause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR)
    first = life.run.record.last_workflow_task_failure
    fail(life, take(life).token, Cause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE)
    assert life.run.record.last_workflow_task_failure == first
    assert life.types().count("WORKFLOW_TASK_FAILED") == 1


def test_a_history_over_its_limit_ends_the_run() -> None:
    life = Life(World(limits=Limits(history_events=6)))
    started = take(life)
    send_signal(life, "a")
    send_signal(life, "b")
    completion = complete(life, started.token)
    assert isinstance(completion.error, InvalidArgument)
    assert completion.error.message == "Workflow history count exceeds limit."
    assert life.types()[-1] == "WORKFLOW_EXECUTION_TERMINATED"
    assert life.events[-1].workflow_execution_terminated_event_attributes.reason == completion.error.message
    assert not life.run.open


def test_reset_sticky_moves_the_waiting_task() -> None:
    life = Life(World())
    complete(life, take(life).token, sticky=True)
    send_signal(life)
    change = life.change()
    workflow_task.reset_sticky(change)
    life.commit(change)
    assert (offer(life).task_queue, offer(life).sticky) == ("tq", False)
