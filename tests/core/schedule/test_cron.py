"""Cron strings of schedules."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.schedule.v1 import CalendarSpec, IntervalSpec

from mockcloud.core.schedule import cron
from mockcloud.core.schedule.errors import SpecError


def calendar(**fields: str) -> CalendarSpec:
    return CalendarSpec(**fields)


READ = [
    ("5,9 */2 * * *", calendar(minute="5,9", hour="*/2"), ""),
    (
        "  5 6 7 8 fri 2030 ",
        calendar(minute="5", hour="6", day_of_month="7", month="8", day_of_week="fri", year="2030"),
        "",
    ),
    (
        "CRON_TZ=US/Pacific 55 55,57 5 2/2 * wed-thurs *  # why so",
        calendar(
            second="55",
            minute="55,57",
            hour="5",
            day_of_month="2/2",
            day_of_week="wed-thurs",
            comment="why so",
        ),
        "US/Pacific",
    ),
    ("TZ=UTC @hourly", calendar(minute="0", hour="*"), "UTC"),
    ("@yearly", calendar(day_of_month="1", month="1"), ""),
    ("@annually", calendar(day_of_month="1", month="1"), ""),
    ("@monthly # payday", calendar(day_of_month="1", comment="payday"), ""),
    ("@weekly", calendar(day_of_week="0"), ""),
    ("@daily", calendar(), ""),
    ("@midnight", calendar(), ""),
]


@pytest.mark.parametrize(("text", "expected", "zone"), READ, ids=[text for text, *_ in READ])
def test_calendars(text: str, expected: CalendarSpec, zone: str) -> None:
    assert cron.parse(text) == (cron.structured(expected), zone)


@pytest.mark.parametrize(
    ("text", "interval", "phase"),
    [
        ("@every 5d", 432_000, None),
        ("@every 5h/45m", 18_000, 2_700),
        ("@every 1h30m # often", 5_400, None),
        ("CRON_TZ=US/Pacific @every 90s", 90, None),  # the zone is without meaning here, and dropped
    ],
)
def test_intervals(text: str, interval: int, phase: int | None) -> None:
    expected = IntervalSpec(interval=Duration(seconds=interval))
    if phase is not None:
        expected.phase.CopyFrom(Duration(seconds=phase))
    assert cron.parse(text) == (expected, "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "CronString does not have 5-7 fields"),
        ("1 2 3 4", "CronString does not have 5-7 fields"),
        ("1 2 3 4 5 6 7 8", "CronString does not have 5-7 fields"),
        ("@never", "CronString does not have 5-7 fields"),
        ("TZ=UTC", "CronString has time zone but missing fields"),
        ("@every", "CronString does not have interval after @every"),
        ("@every soon", 'time: invalid duration "soon"'),
        ("@every 5", 'time: missing unit in duration "5"'),
        ("@every 5 h", 'time: unknown unit " h" in duration "5 h"'),
        ("@every 1h/1x", 'time: unknown unit "x" in duration "1x"'),
        ("60 * * * *", "Minute is not in range [0-59]"),
        ("0 1 2 3 4 1999", "Year is not in range [2000-2100]"),
        (
            "61 25 0 13 8",
            (
                "Minute is not in range [0-59], Hour is not in range [0-23], "
                "DayOfWeek is not in range [0-7], DayOfMonth is not in range [1-31], Month is not in range [1-12]"
            ),
        ),
    ],
)
def test_bad_ones(text: str, reason: str) -> None:
    with pytest.raises(SpecError) as refused:
        cron.parse(text)
    assert refused.value.reason == reason
