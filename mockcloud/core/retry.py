"""Retry policies: their defaults, their checks, and when the next attempt comes. Arithmetic only.

Real: common/retrypolicy, common/backoff, service/history/workflow/retry.go.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from temporalio.api.common.v1 import RetryPolicy
from temporalio.api.enums.v1 import RetryState, TimeoutType
from temporalio.api.failure.v1 import Failure

from mockcloud.core import times, validation
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.failures import timeout_name

_LONGEST = 2**63 - 1  # the real server's int64 of nanoseconds

_TIMEOUT_PREFIX = "TemporalTimeout:"
_DEFAULT_INITIAL_INTERVAL = times.SECOND
_DEFAULT_COEFFICIENT = 2.0
_DEFAULT_MAXIMUM_INTERVAL_FACTOR = 100

# Time-outs of an attempt; the other two are deadlines of the whole activity.
_ATTEMPT_TIMEOUTS = (TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE, TimeoutType.TIMEOUT_TYPE_HEARTBEAT)


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """There is a next attempt, `delay` nanoseconds from now."""

    delay: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """There is none, for this reason."""

    state: RetryState.ValueType


RetryDecision = RetryAfter | GiveUp


def decide(
    policy: RetryPolicy | None,
    failure: Failure | None,
    *,
    attempt: int,
    now: int,
    expires_at: int = 0,
    delay_lifts_maximum: bool = False,
) -> RetryDecision:
    """Whether and when the attempt after `attempt` (from 1) comes.

    `expires_at` is the moment after which no attempt may begin; 0 means never. A delay that the failure
    asks for takes the place of the policy's; with `delay_lifts_maximum` (activities) also where it is
    above the maximum interval.
    """
    if policy is None:
        return GiveUp(RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET)
    if not retryable(failure, policy.non_retryable_error_types):
        return GiveUp(RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE)
    attempt = max(attempt, 1)
    if 0 < policy.maximum_attempts <= attempt:
        return GiveUp(RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED)
    maximum = times.nanoseconds(policy.maximum_interval)
    asked = requested_delay(failure)
    if asked is None:
        delay = exponential(times.nanoseconds(policy.initial_interval), policy.backoff_coefficient, attempt)
    else:
        delay = asked
        if delay_lifts_maximum:
            maximum = asked
    if maximum == 0 and delay <= 0:
        return GiveUp(RetryState.RETRY_STATE_TIMEOUT)
    if maximum != 0 and not 0 < delay <= maximum:
        delay = maximum
    if expires_at and now + delay > expires_at:
        return GiveUp(RetryState.RETRY_STATE_TIMEOUT)
    return RetryAfter(delay)


def exponential(initial: int, coefficient: float, attempt: int) -> int:
    """The wait after `attempt`: initial · coefficient^(attempt-1) nanoseconds, within [0, 2^63)."""
    try:
        delay = float(initial) * math.pow(coefficient, attempt - 1)
    except OverflowError:
        delay = math.inf
    if math.isnan(delay):
        return 0
    return _LONGEST if delay >= _LONGEST else max(0, int(delay))


def retryable(failure: Failure | None, non_retryable_types: Iterable[str]) -> bool:
    """Whether a failure permits a further attempt at all. Unknown kinds do."""
    if failure is None:
        return True
    kind = failure.WhichOneof("failure_info")
    if kind in ("terminated_failure_info", "canceled_failure_info"):
        return False
    if kind == "timeout_failure_info":
        timeout = failure.timeout_failure_info.timeout_type
        return (
            timeout in _ATTEMPT_TIMEOUTS
            and _TIMEOUT_PREFIX + timeout_name(timeout) not in non_retryable_types
        )
    if kind == "server_failure_info":
        return not failure.server_failure_info.non_retryable
    if kind == "application_failure_info":
        info = failure.application_failure_info
        return not info.non_retryable and info.type not in non_retryable_types
    return True


def requested_delay(failure: Failure | None) -> int | None:
    """The wait in nanoseconds that an application failure asks for."""
    if failure is None or failure.WhichOneof("failure_info") != "application_failure_info":
        return None
    info = failure.application_failure_info
    return times.nanoseconds(info.next_retry_delay) if info.HasField("next_retry_delay") else None


def with_defaults(policy: RetryPolicy) -> RetryPolicy:
    """A copy of `policy` with what it leaves open filled in."""
    filled = RetryPolicy()
    filled.CopyFrom(policy)
    if times.nanoseconds(filled.initial_interval) == 0:
        filled.initial_interval.CopyFrom(times.duration(_DEFAULT_INITIAL_INTERVAL))
    if times.nanoseconds(filled.maximum_interval) == 0:
        initial = times.nanoseconds(filled.initial_interval)
        filled.maximum_interval.CopyFrom(times.duration(initial * _DEFAULT_MAXIMUM_INTERVAL_FACTOR))
    if filled.backoff_coefficient == 0:
        filled.backoff_coefficient = _DEFAULT_COEFFICIENT
    return filled


def checked(policy: RetryPolicy) -> RetryPolicy:
    """A copy of `policy` with defaults filled in and over-long intervals cut.

    Raises:
        InvalidArgument: it cannot be right.
    """
    policy = with_defaults(policy)
    if policy.maximum_attempts == 1:
        return policy  # no retries: the rest does not matter
    initial = _interval(policy, "initial_interval", "InitialInterval")
    if policy.backoff_coefficient < 1:
        raise InvalidArgument("BackoffCoefficient cannot be less than 1 on retry policy.")
    maximum = _interval(policy, "maximum_interval", "MaximumInterval")
    if 0 < maximum < initial:
        raise InvalidArgument("MaximumInterval cannot be less than InitialInterval on retry policy.")
    if policy.maximum_attempts < 0:
        raise InvalidArgument("MaximumAttempts cannot be negative on retry policy.")
    for error_type in policy.non_retryable_error_types:
        timeout = error_type.removeprefix(_TIMEOUT_PREFIX)
        if timeout != error_type and timeout not in _TIMEOUT_NAMES:
            raise InvalidArgument(f"Invalid timeout type value: {timeout}.")
    return policy


_TIMEOUT_NAMES = frozenset(
    name for full_name, value in TimeoutType.items() if value for name in (full_name, timeout_name(value))
)


def _interval(policy: RetryPolicy, field: str, name: str) -> int:
    value = getattr(policy, field)
    problem = validation.duration_problem(value)
    if problem is not None:
        raise InvalidArgument(f"invalid {name} set on retry policy: {problem}")
    return times.nanoseconds(value)
