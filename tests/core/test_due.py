from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import RetryState, TimeoutType, WorkflowExecutionStatus
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import ActivityTaskTimedOutEventAttributes
from temporalio.api.taskqueue.v1 import StickyExecutionAttributes, TaskQueue

from mockcloud.core import activity, due, times
from tests.core.lives import WorkedLife, complete_workflow, retries, schedule, seconds, start_timer
from tests.core.makers import START, World, payloads, same_state, start_request

Timeout = TimeoutType


def timed_out(life: WorkedLife) -> ActivityTaskTimedOutEventAttributes:
    return life.last("ACTIVITY_TASK_TIMED_OUT").activity_task_timed_out_event_attributes


def test_a_timer_fires_at_its_moment_and_not_before() -> None:
    # Given a timer of ten seconds, when one nanosecond is missing, then it has not fired.
    life = WorkedLife()
    life.decide(start_timer(after=10))
    assert due.next_due(life.run) == START + 10 * times.SECOND
    life.pass_time(10 * times.SECOND - 1)
    assert life.types(6) == []

    # When its moment has come, then it fires and the worker is told.
    life.pass_time(1)
    assert life.types(6) == ["TIMER_FIRED", "WORKFLOW_TASK_SCHEDULED"]
    assert life.last("TIMER_FIRED").timer_fired_event_attributes.started_event_id == 5
    assert due.next_due(life.run) is None
    assert same_state(life.run, life.rebuilt()) == []


def test_run_due_early_changes_nothing() -> None:
    life = WorkedLife()
    life.decide(start_timer(after=10), schedule(start_to_close=60, schedule_to_start=5))
    change = life.change()
    due.run_due(change)
    assert not change.changed


def test_timers_that_were_slept_through_fire_in_their_order() -> None:
    # Given three timers and a region that was not active when they came due.
    life = WorkedLife()
    life.decide(start_timer("late", 30), start_timer("early", 10), start_timer("middle", 20))
    life.world.advance(times.HOUR)

    # When another region takes over, then they fire in order, at once, under its version.
    life.world.region, life.world.version = "B", 2
    life.run_due()
    fired = [event for event in life.events if event.HasField("timer_fired_event_attributes")]
    assert [event.timer_fired_event_attributes.timer_id for event in fired] == ["early", "middle", "late"]
    assert {event.version for event in fired} == {2}
    assert life.types(8) == ["TIMER_FIRED", "WORKFLOW_TASK_SCHEDULED", "TIMER_FIRED", "TIMER_FIRED"]


def test_start_to_close_ends_the_attempt_and_a_retry_follows() -> None:
    life = WorkedLife()
    life.decide(schedule(start_to_close=5, retry=retries(2)))
    life.pass_time(3 * times.SECOND)
    started = life.take_activity()
    life.pass_time(5 * times.SECOND)

    # The attempt timed out five seconds after its start, and a second one waits a second.
    assert life.types(6) == []
    record = life.run.activities[5].record
    assert (record.attempt, record.scheduled_time) == (2, START + 9 * times.SECOND)
    assert Failure.FromString(record.last_failure).message == "activity StartToClose timeout"
    assert not life.offers
    life.pass_time(times.SECOND)
    life.take_activity()
    life.pass_time(5 * times.SECOND)

    # The last one times the activity out.
    assert life.types(6) == ["ACTIVITY_TASK_STARTED", "ACTIVITY_TASK_TIMED_OUT", "WORKFLOW_TASK_SCHEDULED"]
    attributes = timed_out(life)
    assert attributes.retry_state == RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED
    assert attributes.failure.message == "activity StartToClose timeout"
    assert attributes.failure.source == "Server"
    info = attributes.failure.timeout_failure_info
    assert info.timeout_type == Timeout.TIMEOUT_TYPE_START_TO_CLOSE
    assert attributes.failure.cause.message == "activity StartToClose timeout"
    assert started.token.attempt == 1


def test_a_heartbeat_postpones_its_timeout_and_its_details_are_in_the_failure() -> None:
    life = WorkedLife()
    life.decide(schedule(start_to_close=60, heartbeat=4, retry=retries(1)))
    started = life.take_activity()
    life.pass_time(3 * times.SECOND)
    change = life.change()
    activity.heartbeat(change, started.token, payloads("half"))
    life.commit(change)
    assert due.next_due(life.run) == START + 7 * times.SECOND
    life.pass_time(4 * times.SECOND)
    failure = timed_out(life).failure
    assert failure.message == "activity Heartbeat timeout"
    assert failure.timeout_failure_info.timeout_type == Timeout.TIMEOUT_TYPE_HEARTBEAT
    assert failure.timeout_failure_info.last_heartbeat_details == payloads("half")


def test_schedule_to_start_closes_the_activity_without_a_retry() -> None:
    life = WorkedLife()
    life.decide(schedule(start_to_close=60, schedule_to_start=5))
    life.pass_time(5 * times.SECOND)
    assert life.types(6) == ["ACTIVITY_TASK_TIMED_OUT", "WORKFLOW_TASK_SCHEDULED"]
    attributes = timed_out(life)
    assert attributes.started_event_id == 0
    assert attributes.retry_state == RetryState.RETRY_STATE_TIMEOUT
    assert attributes.failure.message == "activity ScheduleToStart timeout"
    info = attributes.failure.timeout_failure_info
    assert info.timeout_type == Timeout.TIMEOUT_TYPE_SCHEDULE_TO_START


def test_schedule_to_close_closes_a_running_activity() -> None:
    life = WorkedLife()
    life.decide(schedule(start_to_close=60, schedule_to_close=7))
    life.take_activity()
    life.pass_time(7 * times.SECOND)
    attributes = timed_out(life)
    assert attributes.retry_state == RetryState.RETRY_STATE_TIMEOUT
    assert attributes.failure.timeout_failure_info.timeout_type == Timeout.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE
    assert attributes.started_event_id == 6


def test_an_attempt_that_leaves_no_time_for_another_one_times_the_activity_out() -> None:
    # Given five seconds for all, of which the first attempt takes four, and a wait of two before the next.
    life = WorkedLife()
    life.decide(schedule(start_to_close=4, schedule_to_close=5, retry=retries(initial=2)))
    life.take_activity()
    life.pass_time(4 * times.SECOND)

    # Then it is given up at once, as a time-out of the whole.
    attributes = timed_out(life)
    assert attributes.failure.message == (
        "Not enough time to schedule next retry before activity ScheduleToClose timeout, giving up retrying"
    )
    info = attributes.failure.timeout_failure_info
    assert info.timeout_type == Timeout.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE
    assert attributes.retry_state == RetryState.RETRY_STATE_TIMEOUT


def test_a_timeout_while_a_worker_decides_waits_in_the_buffer() -> None:
    life = WorkedLife()
    life.decide(schedule(start_to_close=5, retry=retries(1)))
    life.take_activity()
    life.signal()
    token = life.take_task()
    life.pass_time(5 * times.SECOND)
    assert due.next_due(life.run) == START + 10 * times.SECOND  # the workflow task's own
    life.complete(token)
    assert life.types(10) == ["ACTIVITY_TASK_STARTED", "ACTIVITY_TASK_TIMED_OUT", "WORKFLOW_TASK_SCHEDULED"]


def test_a_workflow_task_times_out() -> None:
    life = WorkedLife()
    life.take_task()
    assert due.next_due(life.run) == START + 10 * times.SECOND
    life.pass_time(10 * times.SECOND)
    assert life.types(4) == ["WORKFLOW_TASK_TIMED_OUT"]
    task = life.run.workflow_task
    assert task is not None
    assert task.attempt == 2


@pytest.mark.parametrize("field", ["workflow_run_timeout", "workflow_execution_timeout"])
def test_a_run_ends_when_its_time_is_over(field: str) -> None:
    # Given a run with a time-out whose worker has its task, when the time is over.
    life = WorkedLife(request=start_request(**{field: seconds(5)}, workflow_task_timeout=seconds(60)))
    life.take_task()
    life.pass_time(5 * times.SECOND)

    # Then the task is failed and the run closed.
    assert life.types(4) == ["WORKFLOW_TASK_FAILED", "WORKFLOW_EXECUTION_TIMED_OUT"]
    assert life.run.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT
    attributes = life.last("WORKFLOW_EXECUTION_TIMED_OUT").workflow_execution_timed_out_event_attributes
    expected = {
        "workflow_run_timeout": RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET,
        "workflow_execution_timeout": RetryState.RETRY_STATE_TIMEOUT,
    }
    assert attributes.retry_state == expected[field]
    assert due.next_due(life.run) is None


def test_the_first_task_waits_for_its_delay_and_the_run_timeout_with_it() -> None:
    life = WorkedLife(
        request=start_request(workflow_start_delay=seconds(30), workflow_run_timeout=seconds(100))
    )
    assert life.types() == ["WORKFLOW_EXECUTION_STARTED"]
    assert due.next_due(life.run) == START + 30 * times.SECOND
    life.pass_time(30 * times.SECOND)
    assert life.types(2) == ["WORKFLOW_TASK_SCHEDULED"]
    assert due.next_due(life.run) == START + 130 * times.SECOND


def test_what_was_due_before_the_end_of_a_sleeping_run_happens_before_it() -> None:
    life = WorkedLife(request=start_request(workflow_run_timeout=seconds(100)))
    life.decide(start_timer(after=10), start_timer("never", 200))
    life.world.advance(times.HOUR)
    life.run_due()
    assert life.types(7) == ["TIMER_FIRED", "WORKFLOW_TASK_SCHEDULED", "WORKFLOW_EXECUTION_TIMED_OUT"]


def test_a_sticky_task_that_nobody_takes_goes_to_the_normal_queue() -> None:
    # Given a run that is sticky for five seconds and gets a signal, when its worker is silent.
    life = WorkedLife()
    token = life.take_task()
    sticky = StickyExecutionAttributes(
        worker_task_queue=TaskQueue(name="sticky"), schedule_to_start_timeout=seconds(5)
    )
    life.complete(token, start_timer(after=60), sticky_attributes=sticky)
    life.signal()
    assert due.next_due(life.run) == START + 5 * times.SECOND
    life.pass_time(5 * times.SECOND)

    # Then the task is scheduled anew, on the normal queue.
    assert life.types(7) == ["WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_TIMED_OUT", "WORKFLOW_TASK_SCHEDULED"]
    task = life.run.workflow_task
    assert task is not None
    assert (task.task_queue, task.attempt) == ("tq", 1)


def test_a_task_whose_sticky_queue_was_forgotten_does_not_time_out() -> None:
    life = WorkedLife()
    token = life.take_task()
    sticky = StickyExecutionAttributes(
        worker_task_queue=TaskQueue(name="sticky"), schedule_to_start_timeout=seconds(5)
    )
    life.complete(token, sticky_attributes=sticky)
    life.signal()
    life.run.record.ClearField("sticky")  # as every replicated apply does
    assert due.next_due(life.run) is None


def test_zombies_and_closed_runs_have_nothing_due() -> None:
    life = WorkedLife()
    life.decide(start_timer())
    life.run.record.zombie = True
    assert due.next_due(life.run) is None
    closed = WorkedLife(World())
    closed.decide(complete_workflow())
    assert due.next_due(closed.run) is None


def test_run_due_leaves_nothing_due_that_was_due_before() -> None:
    life = WorkedLife()
    life.decide(
        *(schedule(name, start_to_close=2, heartbeat=1, schedule_to_start=1) for name in "abc"),
        *(start_timer(name, 1) for name in "def"),
    )
    life.world.advance(times.MINUTE)
    life.run_due()
    assert due.next_due(life.run) is None
    assert same_state(life.run, life.rebuilt()) == []
