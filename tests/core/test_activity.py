from __future__ import annotations

import pytest
from temporalio.api.common.v1 import RetryPolicy, WorkerVersionStamp
from temporalio.api.enums.v1 import RetryState
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.history.v1 import HistoryEvent

from mockcloud.core import activity, due, times
from mockcloud.core.errors import InvalidArgument, NotFound
from mockcloud.core.tokens import TaskToken
from tests.core.lives import (
    WorkedLife,
    cancel_activity,
    complete_workflow,
    retries,
    schedule,
    seconds,
)
from tests.core.makers import NAMESPACE_ID, START, World, payloads, same_state

STALE = "invalid activityID or activity already timed out or invoking workflow is completed"


def with_activity(
    *, start_to_close: float = 60, retry: RetryPolicy | None = None, **timeouts: float
) -> WorkedLife:
    life = WorkedLife()
    life.decide(schedule(start_to_close=start_to_close, retry=retry, **timeouts))  # type: ignore[arg-type]
    return life


def fail(life: WorkedLife, token: TaskToken, failure: Failure | None = None) -> None:
    change = life.change()
    failure = failure or Failure(message="x", application_failure_info=ApplicationFailureInfo())
    activity.fail(change, token, failure, "worker")
    life.commit(change)


def complete(life: WorkedLife, token: TaskToken, result: str = "out") -> None:
    change = life.change()
    activity.complete(change, token, payloads(result), "worker")
    life.commit(change)


def heartbeat(life: WorkedLife, token: TaskToken, details: str = "hb") -> bool:
    change = life.change()
    reply = activity.heartbeat(change, token, payloads(details))
    life.commit(change)
    return reply.cancel_requested


def started_event(life: WorkedLife) -> HistoryEvent:
    return life.last("ACTIVITY_TASK_STARTED")


def test_a_start_is_in_the_record_and_replicates_but_writes_no_event() -> None:
    # Given an offered activity, when a worker takes it.
    life = with_activity()
    before = life.types()
    started = life.take_activity("poll-7")

    # Then history is as before, the start replicates as state, and the worker knows all that it needs.
    assert life.types() == before
    assert life.outcomes[-1].activity_states == [5]
    assert not life.offers
    response = started.response
    assert TaskToken.load(response.task_token) == started.token
    assert (started.token.version, started.token.start_version, started.token.attempt) == (1, 1, 1)
    assert (response.activity_id, response.activity_type.name, response.attempt) == ("a", "act", 1)
    assert response.workflow_namespace == "orders"
    assert response.workflow_execution.workflow_id == "order-1"
    assert response.input == payloads("in")
    assert response.start_to_close_timeout.seconds == 60
    assert response.retry_policy.initial_interval.seconds == 1
    assert times.nanoseconds(response.scheduled_time) == START
    assert same_state(life.run, life.rebuilt()) == []


def test_the_same_poll_gets_the_same_attempt_and_another_one_nothing() -> None:
    life = with_activity()
    (offer,) = life.offers
    started = life.take_activity("poll-7")
    change = life.change()
    again = activity.start_activity(change, offer, "poll-7", "worker")
    assert again is not None
    assert again.token == started.token
    assert activity.start_activity(change, offer, "poll-8", "other") is None
    assert not change.changed


def test_a_result_writes_started_and_completed_and_a_workflow_task() -> None:
    # Given a started activity, when its result comes later.
    life = with_activity()
    started = life.take_activity("poll-7")
    life.world.advance(3 * times.SECOND)
    complete(life, started.token)

    # Then Started has the time and the poll of the start.
    assert life.types(6) == ["ACTIVITY_TASK_STARTED", "ACTIVITY_TASK_COMPLETED", "WORKFLOW_TASK_SCHEDULED"]
    assert times.nanoseconds(started_event(life).event_time) == START
    attributes = started_event(life).activity_task_started_event_attributes
    assert (attributes.identity, attributes.request_id, attributes.attempt) == ("worker", "poll-7", 1)
    completed = life.last("ACTIVITY_TASK_COMPLETED").activity_task_completed_event_attributes
    assert (completed.scheduled_event_id, completed.started_event_id) == (5, 6)
    assert completed.result == payloads("out")
    assert not life.run.activities
    assert same_state(life.run, life.rebuilt()) == []


def test_a_failed_attempt_is_offered_again_only_after_its_backoff() -> None:
    # Given a started activity, when it fails.
    life = with_activity()
    first = life.take_activity()
    fail(life, first.token)

    # Then no event is written; it waits for its first backoff of a second, and is then another offer.
    assert life.types(6) == []
    assert life.outcomes[-1].activity_states == [5]
    assert not life.offers
    assert due.next_due(life.run) == START + times.SECOND
    life.pass_time(times.SECOND - 1)
    assert not life.offers
    life.pass_time(1)
    (offer,) = life.offers
    assert (offer.attempt, offer.ready_time) == (2, START + times.SECOND)
    second = life.take_activity()
    assert second.response.attempt == 2
    assert times.nanoseconds(second.response.scheduled_time) == START
    assert times.nanoseconds(second.response.current_attempt_scheduled_time) == START + times.SECOND
    with pytest.raises(NotFound, match=STALE):
        complete(life, first.token)
    complete(life, second.token)
    attributes = started_event(life).activity_task_started_event_attributes
    assert attributes.attempt == 2
    assert attributes.last_failure.message == "x"
    assert same_state(life.run, life.rebuilt()) == []


def test_the_last_attempt_fails_the_activity() -> None:
    life = with_activity(retry=retries(2))
    fail(life, life.take_activity().token)
    life.pass_time(times.SECOND)
    fail(life, life.take_activity().token, Failure(message="y"))
    assert life.types(6) == ["ACTIVITY_TASK_STARTED", "ACTIVITY_TASK_FAILED", "WORKFLOW_TASK_SCHEDULED"]
    failed = life.last("ACTIVITY_TASK_FAILED").activity_task_failed_event_attributes
    assert failed.failure.message == "y"
    assert failed.retry_state == RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED


@pytest.mark.parametrize(
    ("failure", "state"),
    [
        (
            Failure(application_failure_info=ApplicationFailureInfo(type="Never")),
            RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE,
        ),
        (
            Failure(application_failure_info=ApplicationFailureInfo(non_retryable=True)),
            RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE,
        ),
        (
            Failure(application_failure_info=ApplicationFailureInfo(next_retry_delay=seconds(100))),
            RetryState.RETRY_STATE_TIMEOUT,
        ),
    ],
)
def test_failures_without_a_retry(failure: Failure, state: int) -> None:
    life = with_activity(schedule_to_close=50, retry=retries(types=["Never"]))
    fail(life, life.take_activity().token, failure)
    failed = life.last("ACTIVITY_TASK_FAILED").activity_task_failed_event_attributes
    assert failed.retry_state == state


def test_a_large_failure_is_cut_before_it_is_kept() -> None:
    life = with_activity()
    failure = Failure(message="m" * 100, stack_trace="s" * 10_000)
    fail(life, life.take_activity().token, failure)
    kept = Failure.FromString(life.run.activities[5].record.last_failure)
    assert kept.message == "Failure exceeds size limit."
    assert kept.cause.message == "m" * 100
    assert kept.ByteSize() < 5_000


def test_heartbeat_details_reach_the_next_attempt() -> None:
    life = with_activity()
    started = life.take_activity()
    assert heartbeat(life, started.token, "half") is False
    assert life.outcomes[-1].activity_states == [5]
    fail(life, started.token)
    life.pass_time(times.SECOND)
    assert life.take_activity().response.heartbeat_details == payloads("half")


def test_a_running_activity_learns_of_its_cancellation_from_a_heartbeat() -> None:
    # Given a running activity whose workflow wants it cancelled, when it beats and gives in.
    life = with_activity()
    started = life.take_activity()
    life.signal()
    life.decide(cancel_activity(5))
    assert life.types(10) == ["ACTIVITY_TASK_CANCEL_REQUESTED"]
    assert heartbeat(life, started.token) is True
    change = life.change()
    activity.cancel(change, started.token, payloads("stopped"), "worker")
    life.commit(change)

    # Then it is closed as cancelled.
    canceled = life.last("ACTIVITY_TASK_CANCELED").activity_task_canceled_event_attributes
    assert (canceled.started_event_id, canceled.latest_cancel_requested_event_id) == (11, 10)
    assert canceled.details == payloads("stopped")
    assert same_state(life.run, life.rebuilt()) == []


def test_a_cancelled_activity_is_not_retried() -> None:
    life = with_activity()
    started = life.take_activity()
    life.signal()
    life.decide(cancel_activity(5))
    fail(life, started.token)
    failed = life.last("ACTIVITY_TASK_FAILED").activity_task_failed_event_attributes
    assert failed.retry_state == RetryState.RETRY_STATE_CANCEL_REQUESTED


def test_an_activity_cannot_be_cancelled_that_nobody_asked_to_cancel() -> None:
    life = with_activity()
    started = life.take_activity()
    change = life.change()
    with pytest.raises(InvalidArgument) as caught:
        activity.cancel(change, started.token, None, "worker")
    assert caught.value.message == (
        "unable to mark activity as canceled without activity being request canceled first"
    )
    assert not change.changed


def test_a_result_that_comes_while_a_worker_decides_waits_for_it() -> None:
    life = with_activity()
    started = life.take_activity()
    life.signal()
    token = life.take_task()
    complete(life, started.token)
    life.signal("later")
    assert same_state(life.run, life.rebuilt()) == []
    life.complete(token)

    # Signals come before results, whichever came first.
    assert life.types(9) == [
        "WORKFLOW_TASK_COMPLETED",
        "ACTIVITY_TASK_STARTED",
        "WORKFLOW_EXECUTION_SIGNALED",
        "ACTIVITY_TASK_COMPLETED",
        "WORKFLOW_TASK_SCHEDULED",
    ]
    completed = life.last("ACTIVITY_TASK_COMPLETED").activity_task_completed_event_attributes
    assert completed.started_event_id == 10


def by_id(activity_id: str) -> TaskToken:
    return TaskToken(NAMESPACE_ID, "order-1", "run-1", 0, 1, 0, activity_id=activity_id)


def test_by_id_an_activity_is_completed_even_before_a_worker_took_it() -> None:
    life = with_activity()
    complete(life, by_id("a"))
    assert life.types(6) == ["ACTIVITY_TASK_STARTED", "ACTIVITY_TASK_COMPLETED", "WORKFLOW_TASK_SCHEDULED"]
    assert started_event(life).activity_task_started_event_attributes.request_id == ""


def test_by_id_only_a_running_activity_fails() -> None:
    life = with_activity()
    with pytest.raises(NotFound, match=STALE):
        fail(life, by_id("a"))
    life.take_activity()
    fail(life, activity.token_by_id(life.run, "a"))
    assert life.run.activities[5].record.attempt == 2


@pytest.mark.parametrize(
    ("activity_id", "error", "message"),
    [
        (
            "b",
            NotFound,
            (
                "cannot find pending activity with ActivityID b, "
                "check workflow execution history for more details"
            ),
        ),
        ("", InvalidArgument, "activityID cannot be empty"),
    ],
)
def test_an_unknown_activity_id(activity_id: str, error: type[Exception], message: str) -> None:
    life = with_activity()
    with pytest.raises(error, match=message):
        complete(life, by_id(activity_id))


def test_nothing_is_accepted_once_the_run_is_closed() -> None:
    life = with_activity()
    started = life.take_activity()
    life.signal()
    life.decide(complete_workflow())
    with pytest.raises(NotFound, match="workflow execution already completed"):
        complete(life, started.token)


def test_after_a_failover_an_attempt_whose_start_replicated_goes_on() -> None:
    # Given an activity that started and beat in A, as in golden/event-based/08e (a1), when B becomes active.
    life = with_activity()
    started = life.take_activity("poll-7")
    heartbeat(life, started.token, "hb1")
    fail_over(life.world)

    # Then A's token beats and completes there; Started is written under B's version with A's worker.
    heartbeat(life, started.token, "hb2")
    complete(life, started.token)
    assert [event.version for event in life.events[5:]] == [2, 2, 2]
    attributes = started_event(life).activity_task_started_event_attributes
    assert (attributes.identity, attributes.request_id) == ("worker", "poll-7")


def test_after_a_failover_an_attempt_whose_start_did_not_replicate_is_offered_again() -> None:
    # Given an activity that only A knows to have started (a2 of 08e), when B becomes active.
    life = with_activity()
    on_a = TaskToken(NAMESPACE_ID, "order-1", "run-1", 5, 1, 1, start_version=1, activity_id="a")
    fail_over(life.world)

    # Then A's token is refused, before and after B starts the same first attempt itself.
    with pytest.raises(NotFound, match=STALE):
        complete(life, on_a)
    started = life.take_activity()
    assert (started.token.attempt, started.token.start_version) == (1, 2)
    for call in (complete, heartbeat, fail):
        with pytest.raises(NotFound, match=STALE):
            call(life, on_a)
    complete(life, started.token)


def test_a_backoff_that_replicated_ends_at_its_moment_after_a_failover() -> None:
    life = with_activity()
    fail(life, life.take_activity().token)
    fail_over(life.world)
    life.pass_time(times.SECOND)
    assert [offer.attempt for offer in life.offers] == [2]


def fail_over(world: World) -> None:
    world.region = "B"
    world.version = 2


def test_started_tells_the_build_of_the_worker_that_ended_the_attempt() -> None:
    life = with_activity()
    started = life.take_activity()
    change = life.change()
    stamp = WorkerVersionStamp(build_id="b1")
    activity.complete(change, started.token, None, "worker", stamp)
    life.commit(change)
    assert started_event(life).activity_task_started_event_attributes.worker_version == stamp
