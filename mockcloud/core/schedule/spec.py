"""When a schedule is due: the canonical form of its spec, and the next time after a moment.

A *nominal* time is one that the spec names; the *actual* one is later by the jitter, but never later than the next
nominal time. Nanoseconds since the Unix epoch.

Real: service/worker/scheduler/spec.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from temporalio.api.schedule.v1 import IntervalSpec, Range, ScheduleSpec, StructuredCalendarSpec

from mockcloud.core import times
from mockcloud.core.schedule import cron, ranges, zones
from mockcloud.core.schedule.calendar import Calendar
from mockcloud.core.schedule.errors import SpecError
from mockcloud.core.schedule.jitter import jitter

_ZONES_CONFLICT = "conflicting timezone names"
_COMMENT_BYTES = 200
_FIRST_MOMENT = -62_135_000_000  # seconds; before it there is no calendar to compute with
_END = 4_133_980_800  # 2101-01-01, in seconds
# So many excluded stretches in a row are looked at before a spec counts as one that excludes all. The real server
# goes on until the year 2100, which can take it minutes.
_EXCLUDED_IN_A_ROW = 5_000


class Time(NamedTuple):
    """One time of a schedule."""

    nominal: int
    actual: int


def canonical(spec: ScheduleSpec) -> ScheduleSpec:
    """The same with all calendars structured, and cron strings as calendars and intervals.

    Idempotent. Raises SpecError: no schedule can have it. Its time zone is not looked at here.
    """
    made = ScheduleSpec()
    made.CopyFrom(spec)
    made.ClearField("calendar")
    made.ClearField("exclude_calendar")
    made.ClearField("cron_string")
    made.structured_calendar.extend(cron.structured(calendar) for calendar in spec.calendar)
    made.exclude_structured_calendar.extend(cron.structured(calendar) for calendar in spec.exclude_calendar)
    timezone: str | None = None
    for text in spec.cron_string:
        parsed = cron.parse(text)
        if timezone is not None and parsed.timezone != timezone:
            raise SpecError(_ZONES_CONFLICT)
        timezone = parsed.timezone
        if isinstance(parsed.meaning, IntervalSpec):
            made.interval.append(parsed.meaning)
        else:
            made.structured_calendar.append(parsed.meaning)
    if timezone:
        if spec.timezone_name not in ("", timezone) or spec.timezone_data:
            raise SpecError(_ZONES_CONFLICT)
        made.timezone_name = timezone
    for structured in made.structured_calendar:
        _check_calendar(structured)
    for interval in made.interval:
        _check_interval(interval)
    return made


def clean(spec: ScheduleSpec) -> None:
    """Fill in, in place, what ranges leave out: an end that is the start, a step of one."""
    for calendar in (*spec.structured_calendar, *spec.exclude_structured_calendar):
        for values in _ranges_of(calendar):
            for each in values[1]:
                each.end = max(each.end, each.start)
                each.step = each.step or 1


class Spec:
    """The compiled form of a spec."""

    def __init__(self, spec: ScheduleSpec) -> None:
        """Compile `spec`. Raises SpecError."""
        self.canonical = canonical(spec)
        zone = zones.load(self.canonical.timezone_name, self.canonical.timezone_data)
        self._calendars = [Calendar(each, zone) for each in self.canonical.structured_calendar]
        self._excluded = [Calendar(each, zone) for each in self.canonical.exclude_structured_calendar]
        self._intervals = [
            (times.nanoseconds(each.interval) // times.SECOND, times.nanoseconds(each.phase) // times.SECOND)
            for each in self.canonical.interval
        ]
        # Right before the start, so that the first second itself may match; without one, from 1970 on.
        self._after = times.nanoseconds(self.canonical.start_time) - times.SECOND
        self._until = (
            times.nanoseconds(self.canonical.end_time) if self.canonical.HasField("end_time") else None
        )
        self._jitter = times.nanoseconds(self.canonical.jitter)

    def next(self, after: int, seed: str) -> Time | None:
        """The earliest time whose nominal part is after `after`; None: the schedule is over."""
        moment = max(after, self._after) // times.SECOND
        for _ in range(_EXCLUDED_IN_A_ROW):
            found = self.raw_next(moment)
            if found is None or found >= _END:
                return None
            if self._until is not None and found * times.SECOND > self._until:
                return None
            excluding = next((each for each in self._excluded if each.matches(found)), None)
            if excluding is None:
                return self._with_jitter(found, seed)
            moment = excluding.end_of_match(found)
        return None

    def raw_next(self, after: int) -> int | None:
        """The next nominal time, exclusions left out of account; in seconds, as `after`."""
        if after >= _END:
            return None
        after = max(after, _FIRST_MOMENT)
        candidates = [found for each in self._calendars if (found := each.next(after)) is not None]
        candidates += [_next_of_interval(*each, after) for each in self._intervals]
        return min(candidates, default=None)

    def _with_jitter(self, nominal: int, seed: str) -> Time:
        longest = self._jitter
        if longest:
            following = self.raw_next(nominal)
            if following is not None:
                longest = min(longest, (following - nominal) * times.SECOND)
        nominal *= times.SECOND
        return Time(nominal, nominal + jitter(nominal, longest, seed) if longest > 0 else nominal)


@lru_cache(maxsize=1_000)
def compiled(spec: bytes) -> Spec:
    """The compiled form of a serialised ScheduleSpec. Raises SpecError."""
    return Spec(ScheduleSpec.FromString(spec))


def _next_of_interval(interval: int, phase: int, after: int) -> int:
    behind = after - phase
    # Go divides towards zero, which makes a difference before the epoch.
    count = behind // interval if behind >= 0 else -(-behind // interval)
    return (count + 1) * interval + phase


def _check_interval(spec: IntervalSpec) -> None:
    interval, phase = times.nanoseconds(spec.interval), times.nanoseconds(spec.phase)
    if interval < times.SECOND:
        raise SpecError("interval is too small")
    if phase < 0:
        raise SpecError("phase is negative")
    if phase >= interval:
        raise SpecError("phase cannot be greater than Interval")


def _ranges_of(calendar: StructuredCalendarSpec) -> list[tuple[ranges.Field, Iterable[Range]]]:
    return [
        (ranges.SECOND, calendar.second),
        (ranges.MINUTE, calendar.minute),
        (ranges.HOUR, calendar.hour),
        (ranges.DAY_OF_MONTH, calendar.day_of_month),
        (ranges.MONTH, calendar.month),
        (ranges.YEAR, calendar.year),
        (ranges.DAY_OF_WEEK, calendar.day_of_week),
    ]


def _check_calendar(calendar: StructuredCalendarSpec) -> None:
    errors: list[str] = []
    for field, values in _ranges_of(calendar):
        name, lowest = field.name, field.lowest
        highest = 6 if field.sunday_is_seven else field.highest
        for each in values:
            if not lowest <= each.start <= highest:
                errors.append(f"{name} Start is not in range [{lowest}-{highest}]")
            if each.end != 0 and not each.start <= each.end <= highest:
                errors.append(f"{name} End is before Start or not in range [{lowest}-{highest}]")
            if each.step < 0:
                errors.append(f"{name} has invalid Step")
    if len(calendar.comment.encode()) > _COMMENT_BYTES:
        errors.append("comment is too long")
    if errors:
        raise SpecError("invalid calendar spec: " + ", ".join(errors))
