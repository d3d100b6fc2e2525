"""Durations as Go writes them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockcloud.core import go_duration, times


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1h30m", 90 * times.MINUTE),
        ("-1.5s", -1_500 * times.MILLISECOND),
        ("+.5h", 30 * times.MINUTE),
        ("1h2m3s4ms5us6ns", 3_723_004_005_006),
        ("1µs", 1_000),
        ("2562047h47m16.854775807s", (1 << 63) - 1),
    ],
)
def test_reading(text: str, expected: int) -> None:
    assert go_duration.parse(text) == expected


def test_days() -> None:
    assert go_duration.parse_with_days("1.5d12h") == 48 * times.HOUR
    with pytest.raises(ValueError, match='time: unknown unit "d" in duration "1d"'):
        go_duration.parse("1d")


def test_seconds() -> None:
    assert go_duration.parse_with_seconds("1.5") == 1_500 * times.MILLISECOND
    assert go_duration.parse_with_seconds("1m") == times.MINUTE
    assert go_duration.parse_with_seconds("2d") == 2 * times.DAY


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(go_duration.parse_with_seconds(text), int)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'time: invalid duration ""'),
        ("-", 'time: invalid duration "-"'),
        ("x", 'time: invalid duration "x"'),
        (".s", 'time: invalid duration ".s"'),
        ("3", 'time: missing unit in duration "3"'),
        ("3y", 'time: unknown unit "y" in duration "3y"'),
        ("9999999h", 'time: invalid duration "9999999h"'),
        ("99999999999999999999s", 'time: invalid duration "99999999999999999999s"'),
    ],
)
def test_bad_ones(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="time: ") as refused:
        go_duration.parse(text)
    assert str(refused.value) == message
