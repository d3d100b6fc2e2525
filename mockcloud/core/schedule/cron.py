"""Cron strings of schedules, which are read as calendars and intervals.

Five fields (minute, hour, day of month, month, day of week), six (and year) or seven (second first), with a time zone
before and a comment after them; `@hourly` and its like; `@every 1h/15m`. This is not the cron of workflows.

Real: service/worker/scheduler/calendar.go, parseCronString.
"""

from __future__ import annotations

from typing import NamedTuple

from temporalio.api.schedule.v1 import CalendarSpec, IntervalSpec, Range, StructuredCalendarSpec

from mockcloud.core import go_duration, times
from mockcloud.core.cron import DESCRIPTORS
from mockcloud.core.schedule import ranges
from mockcloud.core.schedule.errors import SpecError

_FIELDS = ("minute", "hour", "day_of_month", "month", "day_of_week")
_BY_COUNT = {
    5: _FIELDS,
    6: (*_FIELDS, "year"),
    7: ("second", *_FIELDS, "year"),
}


class Cron(NamedTuple):
    """What a cron string says: a calendar or an interval, and the name of its time zone (empty: none)."""

    meaning: StructuredCalendarSpec | IntervalSpec
    timezone: str


def parse(text: str) -> Cron:
    """Read one cron string. Raises SpecError."""
    text = text.strip()
    timezone = ""
    if text.startswith(("TZ=", "CRON_TZ=")):
        zone, space, text = text.partition(" ")
        if not space:
            raise SpecError("CronString has time zone but missing fields")
        timezone = zone.partition("=")[2]
    text, _, comment = text.partition("#")
    text = text.strip()
    if text.startswith("@every"):
        return Cron(_interval(text), "")
    tokens = DESCRIPTORS.get(text, text).split()
    names = _BY_COUNT.get(len(tokens))
    if names is None:
        raise SpecError("CronString does not have 5-7 fields")
    fields = dict(zip(names, tokens, strict=True))
    return Cron(structured(CalendarSpec(comment=comment.strip(), **fields)), timezone)


def structured(calendar: CalendarSpec) -> StructuredCalendarSpec:
    """A calendar whose fields are strings as one whose fields are ranges. Raises SpecError with all that is wrong."""
    errors: list[str] = []

    def parsed(text: str, field: ranges.Field) -> list[Range]:
        try:
            return ranges.parse(text, field)
        except SpecError as error:
            errors.append(error.reason)
            return []

    made = StructuredCalendarSpec(
        second=parsed(calendar.second, ranges.SECOND),
        minute=parsed(calendar.minute, ranges.MINUTE),
        hour=parsed(calendar.hour, ranges.HOUR),
        day_of_week=parsed(calendar.day_of_week, ranges.DAY_OF_WEEK),
        day_of_month=parsed(calendar.day_of_month, ranges.DAY_OF_MONTH),
        month=parsed(calendar.month, ranges.MONTH),
        year=parsed(calendar.year, ranges.YEAR),
        comment=calendar.comment,
    )
    if errors:
        raise SpecError(", ".join(errors))
    return made


def _interval(text: str) -> IntervalSpec:
    _, space, interval = text.partition(" ")
    if not space:
        raise SpecError("CronString does not have interval after @every")
    interval, _, phase = interval.partition("/")
    made = IntervalSpec()
    try:
        made.interval.CopyFrom(times.duration(go_duration.parse_with_days(interval)))
        if phase:
            made.phase.CopyFrom(times.duration(go_duration.parse_with_days(phase)))
    except ValueError as error:
        raise SpecError(str(error)) from error
    return made
