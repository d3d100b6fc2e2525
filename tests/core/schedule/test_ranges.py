"""Strings of calendars as ranges, as the real server reads them."""

from __future__ import annotations

import pytest
from temporalio.api.schedule.v1 import Range

from mockcloud.core.schedule import ranges
from mockcloud.core.schedule.errors import SpecError
from mockcloud.core.schedule.ranges import Field


def r(start: int, end: int = 0, step: int = 0) -> Range:
    return Range(start=start, end=end, step=step)


READ = [
    ("13", ranges.SECOND, [r(13)]),
    ("13, 18", ranges.SECOND, "Second is not in range [0-59]"),
    ("13,18,44", ranges.SECOND, [r(13), r(18), r(44)]),
    ("13,18,44,", ranges.SECOND, "Second is not in range [0-59]"),
    ("133", ranges.SECOND, "Second is not in range [0-59]"),
    ("007", ranges.SECOND, [r(7)]),
    ("+7", ranges.SECOND, [r(7)]),
    ("1_0", ranges.SECOND, "Second is not in range [0-59]"),
    ("9" * 5_000, ranges.SECOND, "Second is not in range [0-59]"),
    ("13-18", ranges.MINUTE, [r(13, 18)]),
    ("18-13", ranges.MINUTE, "Minute End is before Start or not in range [0-59]"),
    ("99-100", ranges.MINUTE, "Minute Start is not in range [0-59]"),
    ("1-5-7", ranges.MINUTE, "Minute has too many dashes"),
    ("2/3", ranges.HOUR, [r(2, 23, 3)]),
    ("*/3", ranges.HOUR, [r(0, 23, 3)]),
    ("2-6/4,7-8", ranges.HOUR, [r(2, 6, 4), r(7, 8)]),
    ("2/3/5", ranges.HOUR, "Hour has too many slashes"),
    ("5/", ranges.HOUR, "Hour missing step value"),
    ("5/0", ranges.HOUR, "Hour has invalid Step"),
    ("5/x", ranges.HOUR, 'strconv.Atoi: parsing "x": invalid syntax'),
    (
        "5/99999999999999999999",
        ranges.HOUR,
        'strconv.Atoi: parsing "99999999999999999999": value out of range',
    ),
    ("", ranges.HOUR, [r(0)]),
    ("", ranges.DAY_OF_MONTH, [r(1, 31)]),
    ("0", ranges.DAY_OF_MONTH, "DayOfMonth is not in range [1-31]"),
    ("Sept", ranges.MONTH, [r(9)]),
    ("ja", ranges.MONTH, "Month is not in range [1-12]"),
    ("February/5", ranges.MONTH, [r(2, 12, 5)]),
    ("oct-DEC", ranges.MONTH, [r(10, 12)]),
    ("*", ranges.YEAR, []),
    ("1999", ranges.YEAR, "Year is not in range [2000-2100]"),
    ("2020/2", ranges.YEAR, [r(2020, 2100, 2)]),
    ("mon-Friday", ranges.DAY_OF_WEEK, [r(1, 5)]),
    ("Fri-Tues", ranges.DAY_OF_WEEK, "DayOfWeek End is before Start or not in range [0-7]"),
    ("monday-", ranges.DAY_OF_WEEK, "DayOfWeek End is before Start or not in range [0-7]"),
    ("7", ranges.DAY_OF_WEEK, [r(0)]),
    ("*", ranges.DAY_OF_WEEK, [r(0, 6)]),
    ("1-7", ranges.DAY_OF_WEEK, [r(1, 6)]),
    ("3-7", ranges.DAY_OF_WEEK, [r(0), r(3, 6)]),
    ("3-7/3", ranges.DAY_OF_WEEK, [r(3, 6, 3)]),
    ("1-7/2", ranges.DAY_OF_WEEK, [r(0), r(1, 6, 2)]),
]


@pytest.mark.parametrize(("text", "field", "expected"), READ, ids=[f"{f.name} {t[:30]}" for t, f, _ in READ])
def test_reading(text: str, field: Field, expected: list[Range] | str) -> None:
    if isinstance(expected, str):
        with pytest.raises(SpecError) as refused:
            ranges.parse(text, field)
        assert refused.value.reason == expected
    else:
        assert ranges.parse(text, field) == expected
