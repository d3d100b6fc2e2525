from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.common.v1 import Priority, RetryPolicy
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import (
    PauseActivityRequest,
    ResetActivityRequest,
    UnpauseActivityRequest,
    UpdateActivityOptionsRequest,
)

from mockcloud.api.state.v1.state_pb2 import ActivityRecord
from mockcloud.core import activity, activity_control, due, times
from mockcloud.core.activity_control import ControlRequest
from mockcloud.core.describe import pending_activity
from mockcloud.core.errors import InvalidArgument, NotFound
from tests.core.lives import WorkedLife, complete_workflow, retries, schedule, seconds
from tests.core.makers import START, payloads, same_state
from tests.core.test_activity import complete, fail, heartbeat

NOT_PENDING = "Can't find pending activity with such ID. Invalid activityID or activity already completed"


def waiting(**fields: Any) -> WorkedLife:
    """A run with the activity `a`, scheduled."""
    life = WorkedLife()
    life.decide(schedule(**{"start_to_close": 60, **fields}))
    return life


def control(life: WorkedLife, request: ControlRequest) -> ActivityOptions | None:
    change = life.change()
    options = None
    match request:
        case PauseActivityRequest():
            activity_control.pause(change, request)
        case UnpauseActivityRequest():
            activity_control.unpause(change, request)
        case ResetActivityRequest():
            activity_control.reset(change, request)
        case UpdateActivityOptionsRequest():
            options = activity_control.update_options(change, request)
    life.commit(change)
    assert same_state(life.run, life.rebuilt()) == []
    return options


def pause(life: WorkedLife) -> None:
    control(life, PauseActivityRequest(id="a", identity="op", reason="why"))


def unpause(life: WorkedLife, **fields: Any) -> None:
    control(life, UnpauseActivityRequest(id="a", **fields))


def reset(life: WorkedLife, **fields: Any) -> None:
    control(life, ResetActivityRequest(id="a", **fields))


def update(life: WorkedLife, *paths: str, **options: Any) -> ActivityOptions:
    request = UpdateActivityOptionsRequest(
        id="a", update_mask=FieldMask(paths=paths), activity_options=ActivityOptions(**options)
    )
    result = control(life, request)
    assert result is not None
    return result


def record(life: WorkedLife) -> ActivityRecord:
    return life.run.activities[5].record


def shown(life: WorkedLife) -> PendingActivityInfo:
    return pending_activity(life.run.activities[5], life.world.time)


# Pause


def test_a_paused_activity_is_not_offered_and_its_offers_are_void() -> None:
    life = waiting()
    (offer,) = life.offers
    pause(life)
    assert not life.offers
    assert life.outcomes[-1].activity_states == [5]
    change = life.change()
    assert activity.start_activity(change, offer, "poll", "worker") is None
    info = shown(life)
    assert info.state == PendingActivityState.PENDING_ACTIVITY_STATE_PAUSED
    assert info.paused
    assert times.nanoseconds(info.pause_info.pause_time) == START
    assert (info.pause_info.manual.identity, info.pause_info.manual.reason) == ("op", "why")


def test_pausing_twice_keeps_the_first() -> None:
    life = waiting()
    pause(life)
    control(life, PauseActivityRequest(type="act", identity="other"))
    assert record(life).paused_identity == "op"
    assert not life.outcomes[-1].activity_states


def test_the_time_outs_of_a_paused_activity_stand_still() -> None:
    life = waiting(schedule_to_close=5, schedule_to_start=2)
    pause(life)
    assert due.next_due(life.run) is None
    life.world.advance(60 * times.SECOND)
    unpause(life)
    life.run_due()
    assert not life.run.activities


def test_a_backoff_that_ends_while_paused_offers_nothing() -> None:
    life = waiting()
    fail(life, life.take_activity().token)
    pause(life)
    life.pass_time(10 * times.SECOND)
    assert not life.offers
    unpause(life)
    (offer,) = life.offers
    assert offer.attempt == 2


def test_a_running_activity_is_told_and_goes_on() -> None:
    life = waiting()
    started = life.take_activity()
    pause(life)
    change = life.change()
    reply = activity.heartbeat(change, started.token, payloads("hb"))
    life.commit(change)
    assert (reply.paused, reply.cancel_requested, reply.reset) == (True, False, False)
    assert shown(life).state == PendingActivityState.PENDING_ACTIVITY_STATE_PAUSE_REQUESTED
    complete(life, started.token)
    assert not life.run.activities


def test_the_failure_of_a_paused_activity_is_kept_until_it_is_unpaused() -> None:
    # Given a running activity with one attempt left, paused, when it fails.
    life = waiting(retry=retries(1))
    started = life.take_activity()
    pause(life)
    fail(life, started.token)

    # Then the attempt is counted, but no other follows; unpaused it has one more.
    assert record(life).attempt == 2
    assert shown(life).last_failure.message == "x"
    assert not life.offers
    unpause(life)
    assert life.take_activity().response.attempt == 2


def test_a_failure_that_is_not_retried_closes_even_a_paused_activity() -> None:
    life = waiting()
    started = life.take_activity()
    pause(life)
    fail(life, started.token, Failure(application_failure_info=ApplicationFailureInfo(non_retryable=True)))
    assert not life.run.activities


# Unpause


def test_unpause_gives_back_attempts_and_forgets_heartbeats_on_request() -> None:
    life = waiting()
    started = life.take_activity()
    heartbeat(life, started.token)
    fail(life, started.token)
    pause(life)
    unpause(life, reset_attempts=True, reset_heartbeat=True)
    response = life.take_activity().response
    assert response.attempt == 1
    assert not response.HasField("heartbeat_details")
    assert not shown(life).HasField("pause_info")


def test_jitter_spreads_the_next_attempt() -> None:
    life = waiting()
    pause(life)
    unpause(life, jitter=seconds(100))
    moment = record(life).scheduled_time
    assert START < moment < START + 100 * times.SECOND
    assert not life.offers
    life.pass_time(moment - START)
    assert len(life.offers) == 1


def test_unpausing_what_is_not_paused_changes_nothing() -> None:
    life = waiting()
    before = life.offers
    unpause(life)
    assert life.offers == before
    assert not life.outcomes[-1].activity_states


# Reset


def test_reset_begins_a_waiting_activity_anew_at_once() -> None:
    life = waiting()
    started = life.take_activity()
    heartbeat(life, started.token)
    fail(life, started.token)
    reset(life, reset_heartbeat=True)
    response = life.take_activity().response
    assert response.attempt == 1
    assert not response.HasField("heartbeat_details")
    assert not shown(life).HasField("last_failure")


def test_reset_unpauses_unless_asked_not_to() -> None:
    life = waiting()
    pause(life)
    reset(life, keep_paused=True)
    assert not life.offers
    reset(life)
    assert len(life.offers) == 1


def test_reset_of_a_running_activity_is_told_with_its_heartbeat() -> None:
    life = waiting()
    started = life.take_activity()
    reset(life, reset_heartbeat=True)
    change = life.change()
    assert activity.heartbeat(change, started.token, payloads("hb")).reset
    life.commit(change)
    fail(life, started.token)
    life.pass_time(times.SECOND)
    assert not life.take_activity().response.HasField("heartbeat_details")
    assert not record(life).reset_requested


def test_a_later_attempt_that_runs_is_void_after_a_reset() -> None:
    life = waiting()
    fail(life, life.take_activity().token)
    life.pass_time(times.SECOND)
    started = life.take_activity()
    reset(life)
    with pytest.raises(NotFound):
        heartbeat(life, started.token)


def test_reset_restores_the_options_but_not_the_priority() -> None:
    life = waiting()
    update(
        life,
        "heartbeat_timeout",
        "priority",
        heartbeat_timeout=seconds(5),
        priority=Priority(priority_key=2),
    )
    reset(life, restore_original_options=True)
    options = shown(life).activity_options
    assert times.nanoseconds(options.heartbeat_timeout) == 0
    assert options.priority.priority_key == 2


# Options


def test_a_mask_changes_only_what_it_names() -> None:
    life = waiting(heartbeat=20)
    options = update(
        life,
        "start_to_close_timeout",
        "task_queue.name",
        "priority.fairnessKey",
        start_to_close_timeout=seconds(7),
        heartbeat_timeout=seconds(1),
        task_queue=TaskQueue(name="others"),
        priority=Priority(priority_key=4, fairness_key="f"),
    )
    assert options.start_to_close_timeout.seconds == 7
    assert options.heartbeat_timeout.seconds == 7  # never longer than the attempt
    assert options.priority == Priority(fairness_key="f")
    (offer,) = life.offers
    assert (offer.task_queue, offer.ready_time) == ("others", START)
    life.take_activity()
    assert due.next_due(life.run) == START + 7 * times.SECOND


def test_the_wait_for_a_further_attempt_is_counted_anew() -> None:
    life = waiting(retry=retries(initial=100, types=["Never"]))
    fail(life, life.take_activity().token)
    assert due.next_due(life.run) == START + 100 * times.SECOND
    policy = RetryPolicy(initial_interval=seconds(3), maximum_attempts=4, non_retryable_error_types=["Other"])
    update(life, "retry_policy.initial_interval", "retry_policy.maximum_attempts", retry_policy=policy)
    # As in the real server the attempt to come counts as one that has been: twice the interval.
    assert due.next_due(life.run) == START + 6 * times.SECOND
    info = shown(life)
    assert info.maximum_attempts == 4
    assert not info.HasField("last_failure")
    life.pass_time(6 * times.SECOND)
    started = life.take_activity()
    assert list(started.response.retry_policy.non_retryable_error_types) == ["Never"]
    fail(life, started.token, Failure(application_failure_info=ApplicationFailureInfo(type="Never")))
    assert not life.run.activities


def test_the_original_options_come_back() -> None:
    life = waiting(retry=retries(3, types=["Never"]))
    update(life, "retry_policy", retry_policy=RetryPolicy(maximum_attempts=9))
    options = control(life, UpdateActivityOptionsRequest(match_all=True, restore_original=True))
    assert options is not None
    assert list(options.retry_policy.non_retryable_error_types) == ["Never"]
    assert shown(life).maximum_attempts == 3
    assert not record(life).options


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (UpdateActivityOptionsRequest(id="a"), "ActivityOptions are not provided"),
        (
            UpdateActivityOptionsRequest(id="a", activity_options=ActivityOptions()),
            "UpdateMask is not provided",
        ),
        (
            UpdateActivityOptionsRequest(
                id="a", restore_original=True, update_mask=FieldMask(paths=["priority"])
            ),
            "Both UpdateMask and RestoreOriginal are provided",
        ),
        *(
            (
                UpdateActivityOptionsRequest(
                    id="a", activity_options=ActivityOptions(), update_mask=FieldMask(paths=[path])
                ),
                f"{name} is not provided",
            )
            for path, name in (
                ("task_queue.name", "TaskQueue"),
                ("priority.priority_key", "Priority"),
                ("retry_policy.maximum_attempts", "RetryPolicy"),
                ("retry_policy", "RetryPolicy"),
            )
        ),
        (
            UpdateActivityOptionsRequest(
                id="a",
                activity_options=ActivityOptions(start_to_close_timeout=seconds(-1)),
                update_mask=FieldMask(paths=["start_to_close_timeout"]),
            ),
            "invalid StartToCloseTimeout: negative duration",
        ),
    ],
)
def test_options_that_are_refused(request_: UpdateActivityOptionsRequest, message: str) -> None:
    life = waiting()
    change = life.change()
    with pytest.raises(InvalidArgument) as caught:
        activity_control.update_options(change, request_)
    assert caught.value.message == message
    assert not change.changed


# What is named


@pytest.mark.parametrize("kind", [PauseActivityRequest, UnpauseActivityRequest, ResetActivityRequest])
@pytest.mark.parametrize("named", [{"id": "b"}, {"type": "b"}])
def test_activities_that_are_not_pending(kind: Any, named: dict[str, str]) -> None:
    with pytest.raises(NotFound) as caught:
        control(waiting(), kind(**named))
    assert caught.value.message == NOT_PENDING


def test_a_closed_run() -> None:
    life = waiting()
    life.signal()
    life.decide(complete_workflow())
    completed = "workflow execution already completed"
    for request, message in (
        (PauseActivityRequest(id="a"), completed),
        (PauseActivityRequest(type="act"), NOT_PENDING),
        (ResetActivityRequest(match_all=True), NOT_PENDING),
        (UnpauseActivityRequest(type="act"), completed),
        (UpdateActivityOptionsRequest(id="a"), completed),
        (UpdateActivityOptionsRequest(id="a", restore_original=True), NOT_PENDING),
    ):
        with pytest.raises(NotFound) as caught:
            control(life, request)
        assert caught.value.message == message


def test_all_of_a_type_and_all() -> None:
    life = WorkedLife()
    life.decide(schedule("a", start_to_close=60), schedule("b", start_to_close=60))
    control(life, PauseActivityRequest(type="act"))
    assert life.outcomes[-1].activity_states == [5, 6]
    control(life, UnpauseActivityRequest(unpause_all=True))
    assert [offer.scheduled_event_id for offer in life.offers] == [5, 6]


def test_nothing_waits_for_longer_than_a_hundred_years() -> None:
    life = waiting()
    century = 100 * 365 * times.DAY
    pause(life)
    unpause(life, jitter=Duration(seconds=2**62))
    assert record(life).scheduled_time <= START + century
    asked = Failure(application_failure_info=ApplicationFailureInfo(next_retry_delay=Duration(seconds=2**62)))
    reset(life)
    fail(life, life.take_activity().token, asked)
    assert record(life).scheduled_time == START + century
