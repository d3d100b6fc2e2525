from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from mockcloud.core import times


@given(st.integers(-(2**63), 2**63 - 1))
def test_durations_and_moments_come_back(nanoseconds: int) -> None:
    assert times.nanoseconds(times.duration(nanoseconds)) == nanoseconds
    assert times.nanoseconds(times.timestamp(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    ("value", "nanoseconds"),
    [
        (Duration(seconds=315_576_000_000), 2**63 - 1),
        (Duration(seconds=-315_576_000_000, nanos=-1), -(2**63)),
        (Timestamp(seconds=2**63 - 1), 2**63 - 1),
        (Duration(), 0),
    ],
)
def test_what_is_out_of_range_is_the_nearest(value: Duration | Timestamp, nanoseconds: int) -> None:
    assert times.nanoseconds(value) == nanoseconds
