from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import RetryPolicy
from temporalio.api.enums.v1 import RetryState, TimeoutType
from temporalio.api.failure.v1 import (
    ApplicationFailureInfo,
    CanceledFailureInfo,
    Failure,
    ServerFailureInfo,
    TerminatedFailureInfo,
)

from mockcloud.core import retry, times
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.failures import timeout_failure
from mockcloud.core.retry import GiveUp, RetryAfter

intervals = st.integers(min_value=1, max_value=100 * 365 * times.DAY)
coefficients = st.floats(min_value=1, max_value=1e6, allow_nan=False)
attempts = st.integers(min_value=1, max_value=2**31 - 1)


def policy(initial: int, coefficient: float, maximum: int, attempts: int = 0) -> RetryPolicy:
    return RetryPolicy(
        initial_interval=times.duration(initial),
        backoff_coefficient=coefficient,
        maximum_interval=times.duration(maximum),
        maximum_attempts=attempts,
    )


def application(type_: str = "T", *, delay: int | None = None, final: bool = False) -> Failure:
    info = ApplicationFailureInfo(type=type_, non_retryable=final)
    if delay is not None:
        info.next_retry_delay.CopyFrom(times.duration(delay))
    return Failure(message="x", application_failure_info=info)


@given(intervals, coefficients, attempts)
def test_backoff_never_falls_and_stays_in_64_bits(initial: int, coefficient: float, attempt: int) -> None:
    this = retry.exponential(initial, coefficient, attempt)
    following = retry.exponential(initial, coefficient, attempt + 1)
    assert 0 <= this <= following < 2**63
    assert retry.exponential(initial, coefficient, 1) == int(float(initial))


@given(intervals, coefficients, intervals, attempts)
def test_a_wait_is_never_longer_than_the_maximum_interval(
    initial: int, coefficient: float, maximum: int, attempt: int
) -> None:
    decision = retry.decide(policy(initial, coefficient, maximum), None, attempt=attempt, now=0)
    assert isinstance(decision, RetryAfter)
    assert 0 < decision.delay <= maximum


@given(intervals, coefficients, intervals, attempts, st.integers(min_value=1, max_value=2**62))
def test_no_attempt_begins_after_the_expiration(
    initial: int, coefficient: float, maximum: int, attempt: int, expires_at: int
) -> None:
    decision = retry.decide(
        policy(initial, coefficient, maximum), None, attempt=attempt, now=1, expires_at=expires_at
    )
    if isinstance(decision, RetryAfter):
        assert 1 + decision.delay <= expires_at
    else:
        assert decision.state == RetryState.RETRY_STATE_TIMEOUT


@given(st.integers(min_value=1, max_value=1000), st.integers(min_value=1, max_value=1000))
def test_the_maximum_of_attempts_counts_the_first_one(maximum: int, attempt: int) -> None:
    decision = retry.decide(policy(1, 2, 10, attempts=maximum), None, attempt=attempt, now=0)
    if attempt < maximum:
        assert isinstance(decision, RetryAfter)
    else:
        assert decision == GiveUp(RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED)


def test_waits_double_by_default_and_are_capped_at_a_hundred_times_the_first() -> None:
    filled = retry.with_defaults(RetryPolicy())
    waits = [retry.decide(filled, None, attempt=attempt, now=0) for attempt in (1, 2, 3, 8)]
    assert waits == [RetryAfter(times.SECOND * factor) for factor in (1, 2, 4, 100)]


def test_without_a_policy_there_is_no_retry() -> None:
    assert retry.decide(None, application(), attempt=1, now=0) == GiveUp(
        RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET
    )


def test_the_delay_that_a_failure_asks_for_lifts_the_maximum_of_activities_only() -> None:
    failure = application(delay=times.HOUR)
    settings = policy(times.SECOND, 2, times.MINUTE)
    whole = retry.decide(settings, failure, attempt=1, now=0)
    attempt = retry.decide(settings, failure, attempt=1, now=0, delay_lifts_maximum=True)
    assert whole == RetryAfter(times.MINUTE)
    assert attempt == RetryAfter(times.HOUR)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (None, True),
        (Failure(message="unknown kind"), True),
        (application("T"), True),
        (application("T", final=True), False),
        (application("Never"), False),
        (Failure(canceled_failure_info=CanceledFailureInfo()), False),
        (Failure(terminated_failure_info=TerminatedFailureInfo()), False),
        (Failure(server_failure_info=ServerFailureInfo(non_retryable=True)), False),
        (Failure(server_failure_info=ServerFailureInfo()), True),
        (timeout_failure("", TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE), True),
        (timeout_failure("", TimeoutType.TIMEOUT_TYPE_HEARTBEAT), False),
        (timeout_failure("", TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START), False),
        (timeout_failure("", TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE), False),
    ],
)
def test_which_failures_may_be_retried(failure: Failure | None, expected: bool) -> None:
    assert retry.retryable(failure, ["Never", "TemporalTimeout:Heartbeat"]) is expected


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            RetryPolicy(initial_interval=Duration(seconds=-1)),
            "invalid InitialInterval set on retry policy: negative duration",
        ),
        (
            RetryPolicy(backoff_coefficient=0.5),
            "BackoffCoefficient cannot be less than 1 on retry policy.",
        ),
        (
            RetryPolicy(initial_interval=Duration(seconds=2), maximum_interval=Duration(seconds=1)),
            "MaximumInterval cannot be less than InitialInterval on retry policy.",
        ),
        (RetryPolicy(maximum_attempts=-1), "MaximumAttempts cannot be negative on retry policy."),
        (
            RetryPolicy(non_retryable_error_types=["TemporalTimeout:Nonsense"]),
            "Invalid timeout type value: Nonsense.",
        ),
    ],
)
def test_a_bad_policy_is_refused_in_the_servers_words(bad: RetryPolicy, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        retry.checked(bad)
    assert caught.value.message == message


def test_with_a_single_attempt_the_rest_of_a_policy_is_not_looked_at() -> None:
    assert retry.checked(RetryPolicy(maximum_attempts=1, backoff_coefficient=0.1)).maximum_attempts == 1
