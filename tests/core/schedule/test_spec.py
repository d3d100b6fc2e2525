"""When a schedule is due. Times and jitter are those that the real server computes for the same spec."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from importlib import resources
from zoneinfo import ZoneInfo

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.api.schedule.v1 import (
    CalendarSpec,
    IntervalSpec,
    Range,
    ScheduleSpec,
    StructuredCalendarSpec,
)

from mockcloud.core import times
from mockcloud.core.schedule.calendar import Calendar
from mockcloud.core.schedule.errors import SpecError
from mockcloud.core.schedule.spec import Spec, canonical, clean
from mockcloud.core.schedule.zones import Zone
from mockcloud.core.schedule.zones import load as load_zone

PACIFIC = ZoneInfo("US/Pacific")
LONDON = ZoneInfo("Europe/London")
BERLIN = ZoneInfo("Europe/Berlin")
MINUTE = 60


def at(*moment: int, zone: tzinfo = UTC, fold: int = 0) -> int:
    """A moment in nanoseconds; the eighth number would be microseconds."""
    local = datetime(*moment, tzinfo=zone, fold=fold)  # type: ignore[misc,arg-type]
    whole = local.replace(microsecond=0).timestamp()
    return int(whole) * times.SECOND + local.microsecond * 1_000


def every(seconds: int, phase: int = 0) -> IntervalSpec:
    return IntervalSpec(interval=Duration(seconds=seconds), phase=Duration(seconds=phase))


def actual_times(spec: ScheduleSpec, after: int, count: int, seed: str = "") -> list[int | None]:
    """What the schedule does after `after`; None where it is over."""
    compiled = Spec(spec)
    found: list[int | None] = []
    for _ in range(count):
        following = compiled.next(after, seed)
        if following is None:
            return [*found, None]
        after = following.actual
        found.append(after)
    return found


def test_intervals_count_from_the_epoch() -> None:
    spec = ScheduleSpec(interval=[every(90 * MINUTE, 5 * MINUTE + 44), every(157 * MINUTE, 22 * MINUTE + 11)])
    assert actual_times(spec, at(2022, 3, 23, 12, 53, 2), 5) == [
        at(2022, 3, 23, 13, 35, 44),
        at(2022, 3, 23, 15, 5, 44),
        at(2022, 3, 23, 15, 26, 11),
        at(2022, 3, 23, 16, 35, 44),
        at(2022, 3, 23, 18, 3, 11),
    ]


def test_calendars_cron_strings_and_intervals_together() -> None:
    spec = ScheduleSpec(
        calendar=[CalendarSpec(hour="11,13", minute="55")],
        interval=[every(90 * MINUTE, 7 * MINUTE)],
        cron_string=["20 12 * * *"],
    )
    assert actual_times(spec, at(2022, 3, 23, 10), 5) == [
        at(2022, 3, 23, 10, 37),
        at(2022, 3, 23, 11, 55),
        at(2022, 3, 23, 12, 7),
        at(2022, 3, 23, 12, 20),
        at(2022, 3, 23, 13, 37),
    ]


def test_jitter_is_the_real_one() -> None:
    spec = ScheduleSpec(
        interval=[every(90 * MINUTE)],
        exclude_calendar=[CalendarSpec(hour="12-14", minute="*", second="*")],
        jitter=Duration(seconds=1),
    )
    assert actual_times(spec, at(2022, 3, 23, 8), 4) == [
        at(2022, 3, 23, 9, 0, 0, 235_000),
        at(2022, 3, 23, 10, 30, 0, 139_000),
        at(2022, 3, 23, 15, 0, 0, 89_000),
        at(2022, 3, 23, 16, 30, 0, 687_000),
    ]


@pytest.mark.parametrize(
    ("seed", "expected"),
    [("", (35, 24, 276_000)), ("seed-1", (6, 12, 519_000)), ("seed-2", (39, 16, 922_000))],
)
def test_jitter_depends_on_the_seed(seed: str, expected: tuple[int, int, int]) -> None:
    spec = ScheduleSpec(interval=[every(24 * 60 * MINUTE)], jitter=Duration(seconds=60 * MINUTE))
    assert actual_times(spec, at(2022, 3, 23, 11), 1, seed) == [at(2022, 3, 24, 0, *expected)]


def test_jitter_never_reaches_beyond_the_next_nominal_time() -> None:
    spec = ScheduleSpec(interval=[every(90 * MINUTE)], jitter=Duration(seconds=86_400))
    assert actual_times(spec, at(2022, 3, 23, 11), 3) == [
        at(2022, 3, 23, 12, 14, 36, 524_000),
        at(2022, 3, 23, 14, 22, 54, 562_000),
        at(2022, 3, 23, 15, 8, 3, 724_000),
    ]


def test_the_only_time_of_a_calendar_has_jitter_too() -> None:
    once = CalendarSpec(hour="13", minute="55", day_of_month="7", month="4", year="2022")
    spec = ScheduleSpec(calendar=[once], jitter=Duration(seconds=60 * MINUTE))
    assert actual_times(spec, at(2022, 3, 23, 11), 2) == [at(2022, 4, 7, 13, 57, 26, 927_000), None]


def test_start_and_end() -> None:
    spec = ScheduleSpec(interval=[every(90 * MINUTE)])
    spec.start_time.CopyFrom(times.timestamp(at(2022, 3, 23, 12)))
    spec.end_time.CopyFrom(times.timestamp(at(2022, 3, 23, 13, 30)))
    assert actual_times(spec, at(2022, 3, 23, 8), 3) == [
        at(2022, 3, 23, 12),
        at(2022, 3, 23, 13, 30),
        None,
    ]


def test_a_start_within_a_second() -> None:
    spec = ScheduleSpec(interval=[every(60 * MINUTE)])
    spec.start_time.CopyFrom(times.timestamp(at(2022, 3, 23, 12, 0, 0, 456_000)))
    assert actual_times(spec, at(2022, 3, 23, 12, 0, 0, 123_000), 1) == [at(2022, 3, 23, 13)]


def test_a_time_that_the_clock_leaves_out_does_not_come() -> None:
    spec = ScheduleSpec(cron_string=["CRON_TZ=US/Pacific 33 33 2 * * * *"])
    assert actual_times(spec, at(2022, 3, 11, 20, zone=PACIFIC), 2) == [
        at(2022, 3, 12, 2, 33, 33, zone=PACIFIC),
        at(2022, 3, 14, 2, 33, 33, zone=PACIFIC),
    ]


def test_an_hour_that_comes_twice_counts_twice() -> None:
    spec = ScheduleSpec(cron_string=["CRON_TZ=US/Pacific 33 33,44 1 * * * *"])
    assert actual_times(spec, at(2021, 11, 7, 0, 15, 15, zone=PACIFIC), 5) == [
        at(2021, 11, 7, 1, 33, 33, zone=PACIFIC),
        at(2021, 11, 7, 1, 44, 33, zone=PACIFIC),
        at(2021, 11, 7, 1, 33, 33, zone=PACIFIC, fold=1),
        at(2021, 11, 7, 1, 44, 33, zone=PACIFIC, fold=1),
        at(2021, 11, 8, 1, 33, 33, zone=PACIFIC),
    ]


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        ("30 0 * * *", LONDON, (2021, 10, 30, 12), [(31, 0, 30, 0), (31, 1, 30, 0), (32, 0, 30, 0)]),
        ("30 1,2 * * *", BERLIN, (2021, 10, 30, 12), [(31, 1, 30, 0), (31, 2, 30, 0), (32, 1, 30, 0)]),
        ("30 2 * * *", BERLIN, (2022, 3, 26, 12), [(28, 2, 30, 0), (29, 2, 30, 0), (30, 2, 30, 0)]),
    ],
)
def test_changes_of_the_clock_east_of_greenwich(
    cron: str, zone: ZoneInfo, after: tuple[int, ...], expected: list[tuple[int, int, int, int]]
) -> None:
    """As the real server has it, which is not what one would expect: recorded from its own code."""
    spec = ScheduleSpec(cron_string=[cron], timezone_name=zone.key)
    year, month = after[:2]
    wanted = [
        at(year, month + day // 32, day % 32 + day // 32, hour, minute, zone=zone, fold=fold)
        for day, hour, minute, fold in expected
    ]
    assert actual_times(spec, at(*after), 3) == wanted


def test_jitter_of_a_real_schedule() -> None:
    """Namespace and schedule of a dev server, which started its workflow then."""
    spec = ScheduleSpec(
        cron_string=["0 12 * * MON-FRI"], timezone_name="Europe/Berlin", jitter=Duration(seconds=10)
    )
    seed = "01a21e5b-abd9-75ef-b3ba-971195d22376-cli"
    assert actual_times(spec, at(2026, 1, 5), 1, seed) == [at(2026, 1, 5, 11, 0, 6, 200_000)]


def test_from_within_an_hour_that_comes_twice() -> None:
    spec = ScheduleSpec(cron_string=["CRON_TZ=Europe/London 1 0 2 1 Sun"])
    for after in (at(2004, 1, 1, 0, 0, 5, zone=LONDON), at(2004, 10, 31, 1, 7, 3, zone=LONDON, fold=1)):
        assert actual_times(spec, after, 1) == [at(2005, 1, 2, 0, 1, zone=LONDON)]


def test_a_zone_from_data_is_the_zone_of_that_name() -> None:
    data = resources.files("tzdata").joinpath("zoneinfo", "US", "Pacific").read_bytes()
    spec = ScheduleSpec(timezone_data=data, cron_string=["0 12 * * *"])
    assert actual_times(spec, at(2022, 3, 11), 1) == [at(2022, 3, 11, 12, zone=PACIFIC)]


def test_what_excludes_everything_has_no_time() -> None:
    nothing = CalendarSpec(second="*", minute="*", hour="*")
    halves = [CalendarSpec(second="*", minute="*", hour=hours) for hours in ("0-11", "12-23")]
    for excluded in ([nothing], halves):
        spec = ScheduleSpec(interval=[every(1)], exclude_calendar=excluded)
        assert actual_times(spec, at(2022, 3, 23), 1) == [None]


def test_long_exclusions_are_jumped_over() -> None:
    weekdays = CalendarSpec(second="*", minute="*", hour="*", day_of_week="mon-sat")
    spec = ScheduleSpec(interval=[every(1)], exclude_calendar=[weekdays])
    assert actual_times(spec, at(2022, 3, 23, 1, 2, 3), 1) == [at(2022, 3, 27)]


def test_a_day_that_never_comes() -> None:
    assert actual_times(ScheduleSpec(cron_string=["0 0 30 2 *"]), at(2022, 3, 23), 1) == [None]


# The canonical form


def test_canonical_form() -> None:
    spec = ScheduleSpec(
        calendar=[CalendarSpec(hour="5,7", minute="23")],
        cron_string=["@every 5h/45m", "@every 1.5d"],
        exclude_calendar=[CalendarSpec(day_of_week="7", year="2022")],
    )
    assert canonical(spec) == ScheduleSpec(
        structured_calendar=[
            StructuredCalendarSpec(
                second=[Range()],
                minute=[Range(start=23)],
                hour=[Range(start=5), Range(start=7)],
                day_of_month=[Range(start=1, end=31)],
                month=[Range(start=1, end=12)],
                day_of_week=[Range(end=6)],
            )
        ],
        interval=[every(5 * 60 * MINUTE, 45 * MINUTE), IntervalSpec(interval=Duration(seconds=129_600))],
        exclude_structured_calendar=[
            StructuredCalendarSpec(
                second=[Range()],
                minute=[Range()],
                hour=[Range()],
                day_of_month=[Range(start=1, end=31)],
                month=[Range(start=1, end=12)],
                day_of_week=[Range()],
                year=[Range(start=2022)],
            )
        ],
    )
    assert canonical(canonical(spec)) == canonical(spec)


def test_the_zone_of_a_cron_string_becomes_the_spec_s() -> None:
    cron = "CRON_TZ=Europe/London 23 5,7 * * *"
    assert canonical(ScheduleSpec(cron_string=[cron])).timezone_name == "Europe/London"
    assert canonical(ScheduleSpec(cron_string=["@daily"], timezone_name="Asia/Tokyo")).timezone_name == (
        "Asia/Tokyo"
    )


def test_cleaned_ranges_have_an_end_and_a_step() -> None:
    spec = canonical(ScheduleSpec(cron_string=["5-9 3/4 * * *"]))
    clean(spec)
    (calendar,) = spec.structured_calendar
    assert list(calendar.minute) == [Range(start=5, end=9, step=1)]
    assert list(calendar.hour) == [Range(start=3, end=23, step=4)]
    assert list(calendar.second) == [Range(start=0, end=0, step=1)]


def calendar(**fields: Range) -> ScheduleSpec:
    ranges = {name: [value] for name, value in fields.items()}
    return ScheduleSpec(structured_calendar=[StructuredCalendarSpec(**ranges)])  # type: ignore[arg-type]


BAD = [
    (ScheduleSpec(interval=[every(0)]), "interval is too small"),
    (ScheduleSpec(interval=[every(-3)]), "interval is too small"),
    (ScheduleSpec(interval=[every(3, -1)]), "phase is negative"),
    (ScheduleSpec(interval=[every(3, 3)]), "phase cannot be greater than Interval"),
    (calendar(second=Range(start=60)), "invalid calendar spec: Second Start is not in range [0-59]"),
    (
        calendar(hour=Range(start=16, end=12)),
        "invalid calendar spec: Hour End is before Start or not in range [0-23]",
    ),
    (calendar(minute=Range(step=-1)), "invalid calendar spec: Minute has invalid Step"),
    (calendar(day_of_week=Range(start=7)), "invalid calendar spec: DayOfWeek Start is not in range [0-6]"),
    (calendar(year=Range(start=1999)), "invalid calendar spec: Year Start is not in range [2000-2100]"),
    (
        calendar(month=Range(start=0, end=13)),
        (
            "invalid calendar spec: Month Start is not in range [1-12],"
            " Month End is before Start or not in range [1-12]"
        ),
    ),
    (
        ScheduleSpec(structured_calendar=[StructuredCalendarSpec(comment="x" * 201)]),
        "invalid calendar spec: comment is too long",
    ),
    (
        ScheduleSpec(calendar=[CalendarSpec(second="60", hour="9-5")]),
        "Second is not in range [0-59], Hour End is before Start or not in range [0-23]",
    ),
    (ScheduleSpec(timezone_name="Nowhere/At_All"), "unknown time zone Nowhere/At_All"),
    (ScheduleSpec(timezone_name="../etc"), "time: invalid location name"),
    (ScheduleSpec(timezone_data=b"nonsense"), "malformed time zone information"),
    (
        ScheduleSpec(cron_string=["TZ=Europe/London @daily"], timezone_name="Asia/Tokyo"),
        "conflicting timezone names",
    ),
    (ScheduleSpec(cron_string=["TZ=Europe/London @daily", "@daily"]), "conflicting timezone names"),
]


@pytest.mark.parametrize(("spec", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_bad_specs(spec: ScheduleSpec, reason: str) -> None:
    with pytest.raises(SpecError) as refused:
        Spec(spec)
    assert refused.value.reason == reason


# Laws

# East of Greenwich the real server takes the hour before the one that comes twice for it; see the test of that.
WEST = ["UTC", "US/Pacific", "America/Montreal", "America/Asuncion", "Cuba"]
ZONES = [*WEST, "Asia/Beirut", "Europe/London", "Australia/Lord_Howe"]


def a_range(lowest: int, highest: int) -> st.SearchStrategy[Range]:
    return st.builds(
        lambda start, length, step: Range(start=start, end=min(start + length, highest), step=step),
        st.integers(lowest, highest),
        st.integers(0, 8),
        st.integers(1, 5),
    )


def some_ranges(lowest: int, highest: int) -> st.SearchStrategy[list[Range]]:
    return st.one_of(
        st.just([Range(start=lowest, end=highest)]),
        st.lists(a_range(lowest, highest), min_size=1, max_size=2),
    )


# Minutes are whole ones: a naive enumeration looks at each of them.
CALENDARS = st.builds(
    StructuredCalendarSpec,
    second=st.just([Range()]),
    minute=some_ranges(0, 59),
    hour=some_ranges(0, 23),
    day_of_month=some_ranges(1, 31),
    month=st.just([Range(start=1, end=12)]),
    day_of_week=some_ranges(0, 6),
)
# Around the changes of the clocks, and elsewhere.
MOMENTS = st.one_of(
    st.integers(1_635_000_000, 1_637_000_000),
    st.integers(1_646_000_000, 1_649_000_000),
    st.integers(0, 4e9),  # type: ignore[arg-type]
)


@settings(max_examples=60, deadline=None)
@given(CALENDARS, st.sampled_from(WEST), MOMENTS)
def test_a_calendar_s_next_time_is_the_first_that_matches(
    spec: StructuredCalendarSpec, name: str, after: int
) -> None:
    """None before it matches, and every moment in between leads to the same."""
    calendar = Calendar(spec, load_zone(name, b""))
    found = calendar.next(after)
    horizon = after + 3 * 86_400
    end = horizon if found is None else min(found, horizon)
    naive = next(
        (moment for moment in range(after + 1 + -(after + 1) % 60, end + 1, 60) if calendar.matches(moment)),
        None,
    )
    if found is None or found > horizon:
        assert naive is None
        return
    assert naive == found
    for between in range(after, found, max(1, (found - after) // 20)):
        assert calendar.next(between) == found


@settings(max_examples=60, deadline=None)
@given(
    st.lists(CALENDARS, max_size=2),
    st.lists(st.builds(every, st.integers(3_600, 40_000), st.integers(0, 3_599)), max_size=2),
    st.lists(CALENDARS, max_size=1),
    st.integers(0, 100_000),
    st.sampled_from(WEST),
    MOMENTS,
)
def test_next_time_rises_is_in_the_spec_and_skips_none(
    calendars: list[StructuredCalendarSpec],
    intervals: list[IntervalSpec],
    excluded: list[StructuredCalendarSpec],
    jitter: int,
    zone: str,
    after: int,
) -> None:
    spec = ScheduleSpec(
        structured_calendar=calendars,
        interval=intervals,
        exclude_structured_calendar=excluded,
        timezone_name=zone,
        jitter=Duration(seconds=jitter),
    )
    compiled = Spec(spec)
    tz = load_zone(zone, b"")
    allowed = [Calendar(each, tz) for each in calendars]
    forbidden = [Calendar(each, tz) for each in excluded]

    def wanted(second: int) -> bool:
        if any(each.matches(second) for each in forbidden):
            return False
        return any(each.matches(second) for each in allowed) or any(
            (second - each.phase.seconds) % each.interval.seconds == 0 for each in intervals
        )

    moment = after * times.SECOND
    for _ in range(4):
        following = compiled.next(moment, "seed")
        if following is None:
            break
        assert following.nominal > moment
        assert following.nominal <= following.actual <= following.nominal + jitter * times.SECOND
        assert wanted(following.nominal // times.SECOND)
        between = compiled.raw_next(moment // times.SECOND)
        while between is not None and between < following.nominal // times.SECOND:
            assert not wanted(between)
            between = compiled.raw_next(between)
        moment = following.actual


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ZONES), MOMENTS)
def test_a_zone_s_wall_clock_leads_back_to_its_moment(name: str, moment: int) -> None:
    """Unless the clock shows the same time twice: then to one of both."""
    zone = load_zone(name, b"")
    wall = zone.wall_clock(moment)
    back = zone.moment(*wall[:6])
    assert back == moment or zone.wall_clock(back) == wall


def test_a_time_that_is_left_out_is_taken_for_the_hour_before() -> None:
    zone = load_zone("US/Pacific", b"")
    assert zone.moment(2022, 3, 13, 2, 33, 33) == zone.moment(2022, 3, 13, 1, 33, 33)
    assert Zone(None).moment(1970, 1, 1, 24, 0, 0) == int(timedelta(days=1).total_seconds())
