"""The failures that the server itself writes, and the cutting of failures that are too large to keep.

Real: common/failure.
"""

from __future__ import annotations

from temporalio.api.enums.v1 import TimeoutType
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure, ServerFailureInfo, TimeoutFailureInfo

_DEEPEST_CAUSE = 20


def timeout_name(timeout: TimeoutType.ValueType) -> str:
    """`StartToClose` and so on, as failures and retry policies spell them."""
    return camel_case(TimeoutType.Name(timeout), "TIMEOUT_TYPE_")


def camel_case(name: str, prefix: str) -> str:
    """An enum value's name as the real server prints it: `COMMAND_TYPE_START_TIMER` is `StartTimer`."""
    return "".join(word.capitalize() for word in name.removeprefix(prefix).split("_"))


def timeout_failure(message: str, timeout: TimeoutType.ValueType) -> Failure:
    """A time-out that the server found."""
    return Failure(
        message=message, source="Server", timeout_failure_info=TimeoutFailureInfo(timeout_type=timeout)
    )


def server_failure(message: str, *, non_retryable: bool) -> Failure:
    """A failure that the server found in what a worker sent."""
    return Failure(message=message, server_failure_info=ServerFailureInfo(non_retryable=non_retryable))


def truncated(failure: Failure, limit: int, depth: int = _DEEPEST_CAUSE) -> Failure:
    """`failure` cut to about `limit` bytes: type first, then source, message, stack trace and cause."""
    left = limit

    def cut(text: str) -> str:
        nonlocal left
        data = text.encode()
        if len(data) > left:
            data = data[: max(left, 0)]
            text = data.decode(errors="ignore")
            data = text.encode()
        left -= len(data) + (4 if data else 0)  # 4: protobuf's own bytes
        return text

    result = Failure()
    if failure.HasField("application_failure_info"):
        info = failure.application_failure_info
        result.application_failure_info.CopyFrom(
            ApplicationFailureInfo(type=cut(info.type), non_retryable=info.non_retryable)
        )
        left -= 8
    elif failure.HasField("server_failure_info"):
        result.server_failure_info.non_retryable = failure.server_failure_info.non_retryable
        left -= 4
    result.source = cut(failure.source)
    result.message = cut(failure.message)
    result.stack_trace = cut(failure.stack_trace)
    if failure.HasField("cause") and left > 4 and depth > 0:
        result.cause.CopyFrom(truncated(failure.cause, left - 4, depth - 1))
    return result
