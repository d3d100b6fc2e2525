from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import Header, Link, Memo, Payload, Priority, RetryPolicy, SearchAttributes
from temporalio.api.enums.v1 import ContinueAsNewInitiator, RetryState, WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import RequestCancelWorkflowExecutionRequest

from mockcloud.core import signals, start_checks, times
from mockcloud.core.run import RUNNING
from mockcloud.core.search_attribute_values import KEYWORD, encode
from tests.core.lives import (
    WorkedLife,
    cancel_workflow,
    complete_workflow,
    continue_as_new,
    fail_workflow,
    retries,
    seconds,
)
from tests.core.makers import START, World, payloads, same_state, start_request

Initiator = ContinueAsNewInitiator
Status = WorkflowExecutionStatus


def life(**fields: Any) -> WorkedLife:
    world, request = World(), start_request(**fields)
    start_checks.start_request(
        request, world.context().namespace, world.limits, lambda: "start-1", world.now()
    )
    return WorkedLife(world, request)


def backoff(run: WorkedLife) -> float:
    """Seconds that a run waits for its first workflow task."""
    return times.nanoseconds(run.run.start.first_workflow_task_backoff) / times.SECOND


# Cron


def test_the_first_run_of_a_cron_schedule_waits_for_its_moment() -> None:
    # Given a clock at 13:20 past the hour, when a run is started each full hour.
    first = life(cron_schedule="0 * * * *")

    # Then it is of the schedule's making, and waits.
    started = first.run.start
    assert (START // times.SECOND) % 3600 == 0
    assert started.cron_schedule == "0 * * * *"
    assert started.initiator == Initiator.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE
    assert backoff(first) == 3600
    assert first.types() == ["WORKFLOW_EXECUTION_STARTED"]
    assert first.run.execution_time == START + times.HOUR
    first.pass_time(times.HOUR)
    assert first.types(2) == ["WORKFLOW_TASK_SCHEDULED"]


def test_a_completed_cron_run_is_followed_by_the_next() -> None:
    first = life(
        cron_schedule="0 * * * *",
        memo=Memo(fields={"m": Payload(data=b"1")}),
        priority=Priority(priority_key=3),
        workflow_run_timeout=seconds(600),
    )
    first.pass_time(times.HOUR + 5 * times.MINUTE)
    first.decide(complete_workflow("result"))

    # Then the end names the next run, which begins as the first did.
    completed = first.last("WORKFLOW_EXECUTION_COMPLETED").workflow_execution_completed_event_attributes
    second = first.next_run()
    assert completed.new_execution_run_id == second.run.key.run_id == first.run.new_run_id
    assert first.run.status == Status.WORKFLOW_EXECUTION_STATUS_COMPLETED
    started = second.run.start
    assert started.initiator == Initiator.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE
    assert started.last_completion_result == payloads("result")
    assert started.continued_execution_run_id == started.first_execution_run_id == "run-1"
    assert started.attempt == 1
    assert backoff(second) == 55 * 60
    for field in ("cron_schedule", "memo", "priority", "input", "workflow_run_timeout", "workflow_type"):
        assert getattr(started, field) == getattr(first.run.start, field)
    assert second.types() == ["WORKFLOW_EXECUTION_STARTED"]
    assert same_state(first.run, first.rebuilt()) == []
    assert same_state(second.run, second.rebuilt()) == []


def test_moments_that_pass_while_a_cron_run_is_busy_are_left_out() -> None:
    first = life(cron_schedule="*/10 * * * *")
    first.pass_time(10 * times.MINUTE + 25 * times.MINUTE)
    first.decide(complete_workflow())
    assert backoff(first.next_run()) == 5 * 60  # from 35 to 40 past


def test_a_failed_cron_run_is_followed_by_the_next_with_its_failure_and_the_last_result() -> None:
    # Given a cron run that completed, and its successor.
    first = life(cron_schedule="@every 10s")
    first.pass_time(10 * times.SECOND)
    first.decide(complete_workflow("good"))
    second = first.next_run()
    second.pass_time(10 * times.SECOND)

    # When that fails.
    second.decide(fail_workflow())

    # Then the schedule goes on, and the third run gets both.
    failed = second.last("WORKFLOW_EXECUTION_FAILED").workflow_execution_failed_event_attributes
    third = second.next_run()
    assert failed.retry_state == RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET
    assert failed.new_execution_run_id == third.run.key.run_id
    started = third.run.start
    assert started.continued_failure.message == "it failed"
    assert started.last_completion_result == payloads("good")
    assert started.first_execution_run_id == "run-1"


def test_a_cron_run_that_times_out_is_followed_by_the_next() -> None:
    first = life(cron_schedule="@every 60s", workflow_run_timeout=seconds(5))
    first.pass_time(65 * times.SECOND)
    timed_out = first.last("WORKFLOW_EXECUTION_TIMED_OUT").workflow_execution_timed_out_event_attributes
    second = first.next_run()
    assert timed_out.retry_state == RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET
    assert timed_out.new_execution_run_id == second.run.key.run_id
    assert second.run.start.continued_failure.message == "workflow timeout"
    assert backoff(second) == 55


def test_retries_come_before_the_schedule_and_it_goes_on_with_a_first_attempt() -> None:
    first = life(cron_schedule="@every 60s", retry_policy=retries(2))
    first.pass_time(60 * times.SECOND)
    first.decide(fail_workflow())
    second = first.next_run()
    assert second.run.start.initiator == Initiator.CONTINUE_AS_NEW_INITIATOR_RETRY
    assert (second.run.start.attempt, backoff(second)) == (2, 1)
    assert second.run.start.cron_schedule == "@every 60s"

    second.pass_time(times.SECOND)
    second.decide(fail_workflow())
    failed = second.last("WORKFLOW_EXECUTION_FAILED").workflow_execution_failed_event_attributes
    third = second.next_run()
    assert failed.retry_state == RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED
    assert third.run.start.initiator == Initiator.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE
    assert (third.run.start.attempt, backoff(third)) == (1, 60)


def test_a_cancelled_or_terminated_cron_run_ends_the_chain() -> None:
    for end in ("cancel", "terminate"):
        first = life(cron_schedule="@every 60s")
        first.pass_time(60 * times.SECOND)
        if end == "cancel":
            first.decide(cancel_workflow())
        else:
            change = first.change()
            signals.terminate_run(change, reason="enough")
            first.commit(change)
        assert not first.run.open
        assert first.outcomes[-1].successor is None
        assert first.run.new_run_id == ""


def test_a_cron_chain_ends_with_its_execution_time_out() -> None:
    first = life(cron_schedule="@every 60s", workflow_execution_timeout=seconds(90))
    first.pass_time(60 * times.SECOND)
    first.decide(complete_workflow())
    second = first.next_run()

    # The second run waits longer than the chain may live.
    assert second.run.execution_expires_at == START + 90 * times.SECOND
    second.pass_time(30 * times.SECOND)
    timed_out = second.last("WORKFLOW_EXECUTION_TIMED_OUT").workflow_execution_timed_out_event_attributes
    assert timed_out.retry_state == RetryState.RETRY_STATE_TIMEOUT
    assert timed_out.new_execution_run_id == ""
    assert second.outcomes[-1].successor is None


# Retry


def test_a_failed_run_is_tried_again() -> None:
    first = life(
        retry_policy=retries(3, initial=4),
        header=Header(fields={"h": Payload(data=b"1")}),
        search_attributes=SearchAttributes(indexed_fields={"BatcherUser": encode("me", KEYWORD)}),
        links=[Link(batch_job=Link.BatchJob(job_id="j"))],
    )
    first.decide(fail_workflow())

    failed = first.last("WORKFLOW_EXECUTION_FAILED").workflow_execution_failed_event_attributes
    second = first.next_run()
    assert failed.retry_state == RetryState.RETRY_STATE_IN_PROGRESS
    assert failed.new_execution_run_id == second.run.key.run_id
    started = second.run.start
    assert started.initiator == Initiator.CONTINUE_AS_NEW_INITIATOR_RETRY
    assert (started.attempt, backoff(second)) == (2, 4)
    assert started.continued_failure.message == "it failed"
    assert started.continued_execution_run_id == started.first_execution_run_id == "run-1"
    assert started.original_execution_run_id == second.run.key.run_id
    for field in ("retry_policy", "header", "search_attributes", "input", "task_queue"):
        assert getattr(started, field) == getattr(first.run.start, field)
    assert [link.batch_job.job_id for link in second.events[0].links] == ["j"]

    # The next wait is longer.
    second.pass_time(4 * times.SECOND)
    assert second.types(2) == ["WORKFLOW_TASK_SCHEDULED"]
    second.decide(fail_workflow())
    third = second.next_run()
    assert (third.run.start.attempt, backoff(third)) == (3, 8)
    assert third.run.start.continued_execution_run_id == second.run.key.run_id
    assert third.run.start.first_execution_run_id == "run-1"


@pytest.mark.parametrize(
    ("policy", "command", "state"),
    [
        (retries(1), fail_workflow(), RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED),
        (retries(types=["Oops"]), fail_workflow(), RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE),
        (retries(), fail_workflow(non_retryable=True), RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE),
        (None, fail_workflow(), RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET),
        (retries(initial=61), fail_workflow(), RetryState.RETRY_STATE_TIMEOUT),
    ],
)
def test_why_a_failed_run_is_not_tried_again(
    policy: RetryPolicy | None, command: Any, state: RetryState.ValueType
) -> None:
    request: dict[str, Message] = {"workflow_execution_timeout": seconds(60)}
    if policy is not None:
        request["retry_policy"] = policy
    first = life(**request)
    first.decide(command)
    failed = first.last("WORKFLOW_EXECUTION_FAILED").workflow_execution_failed_event_attributes
    assert (failed.retry_state, failed.new_execution_run_id) == (state, "")
    assert first.outcomes[-1].successor is None


def test_a_failure_may_name_the_delay() -> None:
    first = life(
        retry_policy=RetryPolicy(
            initial_interval=seconds(1), maximum_interval=seconds(100), backoff_coefficient=2
        )
    )
    first.decide(fail_workflow(next_delay=50))
    assert backoff(first.next_run()) == 50


def test_a_run_that_times_out_is_tried_again_until_the_chain_is_out_of_time() -> None:
    first = life(
        retry_policy=retries(initial=3),
        workflow_run_timeout=seconds(10),
        workflow_execution_timeout=seconds(20),
    )
    token = first.take_task()
    assert token.attempt == 1
    first.pass_time(10 * times.SECOND)
    # The worker's task is failed first.
    assert first.types(4)[-2:] == ["WORKFLOW_TASK_FAILED", "WORKFLOW_EXECUTION_TIMED_OUT"]
    timed_out = first.last("WORKFLOW_EXECUTION_TIMED_OUT").workflow_execution_timed_out_event_attributes
    assert timed_out.retry_state == RetryState.RETRY_STATE_IN_PROGRESS
    second = first.next_run()
    assert timed_out.new_execution_run_id == second.run.key.run_id
    assert second.run.start.continued_failure.timeout_failure_info.timeout_type == 1
    assert (second.run.start.attempt, backoff(second)) == (2, 3)
    assert second.run.run_expires_at == START + 20 * times.SECOND  # and not 23

    second.pass_time(10 * times.SECOND)
    last = second.last("WORKFLOW_EXECUTION_TIMED_OUT").workflow_execution_timed_out_event_attributes
    assert (last.retry_state, last.new_execution_run_id) == (RetryState.RETRY_STATE_TIMEOUT, "")


def test_a_signal_does_not_end_a_backoff_and_a_cancel_request_does() -> None:
    first = life(retry_policy=retries(initial=30))
    first.decide(fail_workflow())
    second = first.next_run()
    second.signal()
    assert second.types(2) == ["WORKFLOW_EXECUTION_SIGNALED"]
    change = second.change()
    signals.request_cancel(change, RequestCancelWorkflowExecutionRequest())
    second.commit(change)
    assert second.types(3) == ["WORKFLOW_EXECUTION_CANCEL_REQUESTED", "WORKFLOW_TASK_SCHEDULED"]
    assert second.run.record.first_task_backoff_until == 0


# Continue-as-new


def test_a_command_may_set_policy_and_schedule_and_drops_those_that_it_does_not_set() -> None:
    first = life(
        cron_schedule="@every 60s", retry_policy=retries(5), memo=Memo(fields={"m": Payload(data=b"1")})
    )
    first.pass_time(60 * times.SECOND)
    first.decide(continue_as_new(input=payloads("x")))
    started = first.next_run().run.start
    assert started.initiator == Initiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW
    assert (started.cron_schedule, started.HasField("retry_policy"), started.HasField("memo")) == (
        "",
        False,
        False,
    )

    other = life()
    other.decide(
        continue_as_new(
            cron_schedule="@every 60s",
            retry_policy=RetryPolicy(maximum_attempts=7),
            memo=Memo(fields={"n": Payload(data=b"2")}),
            backoff_start_interval=seconds(9),
        )
    )
    started = other.next_run().run.start
    assert (started.cron_schedule, started.retry_policy.maximum_attempts) == ("@every 60s", 7)
    assert started.retry_policy.initial_interval.seconds == 1  # defaults are filled in
    assert list(started.memo.fields) == ["n"]
    assert started.first_workflow_task_backoff.seconds == 9


def test_a_worker_may_retry_by_its_own_command() -> None:
    first = life()
    first.decide(continue_as_new(initiator=Initiator.CONTINUE_AS_NEW_INITIATOR_RETRY))
    assert first.next_run().run.start.attempt == 2


def test_a_chain_of_failures_is_slowed_down_as_well() -> None:
    first = life(retry_policy=RetryPolicy(initial_interval=seconds(0.1), backoff_coefficient=1))
    first.decide(fail_workflow())
    assert backoff(first.next_run()) == 1


def test_bad_commands_after_the_fact_leave_no_successor() -> None:
    first = life(retry_policy=retries())
    first.signal()
    token = first.take_task()
    first.signal()
    completion = first.complete(token, fail_workflow())
    assert completion.error is not None  # UnhandledCommand
    assert first.run.status == RUNNING
    assert all(outcome.successor is None for outcome in first.outcomes)
