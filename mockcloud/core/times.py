"""Moments and durations as integers of nanoseconds, and as the protobuf messages that carry them."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_LARGEST = 2**63 - 1


def timestamp(nanoseconds: int) -> Timestamp:
    """A moment as protobuf carries it."""
    return Timestamp(seconds=nanoseconds // SECOND, nanos=nanoseconds % SECOND)


def put(moment: Timestamp, nanoseconds: int) -> None:
    """Set a moment in place, which costs less than to make one and have it copied."""
    moment.seconds, moment.nanos = divmod(nanoseconds, SECOND)


def duration(nanoseconds: int) -> Duration:
    """A duration as protobuf carries it; negative ones have both parts negative, as protobuf demands."""
    sign = -1 if nanoseconds < 0 else 1
    seconds, nanos = divmod(abs(nanoseconds), SECOND)
    return Duration(seconds=sign * seconds, nanos=sign * nanos)


def nanoseconds(value: Timestamp | Duration) -> int:
    """A protobuf moment or duration in nanoseconds; an unset one is 0, and one out of range the nearest, as in Go."""
    exact = value.seconds * SECOND + value.nanos
    if -_LARGEST <= exact <= _LARGEST:
        return exact
    return _LARGEST if exact > 0 else -_LARGEST - 1
