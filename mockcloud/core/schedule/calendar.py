"""One calendar of a schedule: whether a moment matches it, and which is the next that does.

Real: service/worker/scheduler/calendar.go, compiledCalendar. Moments are whole seconds since the Unix epoch.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable

from temporalio.api.schedule.v1 import Range, StructuredCalendarSpec

from mockcloud.core.schedule.zones import Zone

LAST_YEAR = 2100  # nothing of a calendar matches after it
_HOUR = 3_600
_EVERY_DAY_OF_MONTH = frozenset(range(1, 32))
_EVERY_MONTH = frozenset(range(1, 13))


class Calendar:
    """The compiled form of a structured calendar in a time zone."""

    def __init__(self, spec: StructuredCalendarSpec, zone: Zone) -> None:
        self._zone = zone
        self._seconds = _values(spec.second)
        self._minutes = _values(spec.minute)
        self._hours = _values(spec.hour)
        self._next_second = _next_values(self._seconds, 60)
        self._next_minute = _next_values(self._minutes, 60)
        self._next_hour = _next_values(self._hours, 24)
        self._days = _values(spec.day_of_month)
        self._months = _values(spec.month)
        self._weekdays = _values(spec.day_of_week)
        # Of the year alone, no range means every one; of the others, none.
        self._years = _values(spec.year) if spec.year else None

    def matches(self, moment: int) -> bool:
        """Whether the calendar has `moment`."""
        wall = self._zone.wall_clock(moment)
        return (
            (self._years is None or wall.year in self._years)
            and wall.month in self._months
            and wall.day in self._days
            and wall.weekday in self._weekdays
            and wall.hour in self._hours
            and wall.minute in self._minutes
            and wall.second in self._seconds
        )

    def end_of_match(self, moment: int) -> int:
        """A moment up to which the calendar has every one from `moment`, which it has; at least `moment` itself.

        It looks at whole minutes, hours, days and years: so what excludes them need not be asked second by second.
        """
        wall = self._zone.wall_clock(moment)
        end = moment
        if len(self._seconds) == 60:
            end = moment + 59 - wall.second
            if len(self._minutes) == 60:
                end = self._if_matches(end + 60 * (59 - wall.minute), end)
                if len(self._hours) == 24:
                    midnight = self._zone.moment(wall.year, wall.month, wall.day, 24, 0, 0)
                    end = self._if_matches(midnight - 1, end)
                    if self._has_every_day:
                        end = max(end, self._zone.moment(wall.year, 12, 31, 24, 0, 0) - 1)
        return end

    @property
    def _has_every_day(self) -> bool:
        return (
            self._days >= _EVERY_DAY_OF_MONTH
            and self._months >= _EVERY_MONTH
            and self._weekdays >= frozenset(range(7))
        )

    def _if_matches(self, end: int, otherwise: int) -> int:
        return end if end > otherwise and self.matches(end) else otherwise

    def next(self, after: int) -> int | None:  # noqa: C901 - one walk from year to second, as the real one
        """The earliest moment after `after` that the calendar has; None: there is none until the last year ends.

        Where clocks go back, the hour that comes twice counts twice; one that is left out does not count.
        """
        zone = self._zone
        wall = zone.wall_clock(after)
        year, month, day, hour, minute, second, _ = wall
        # Whether we are in the second copy of an hour that comes twice.
        repeated = _HOUR if zone.wall_clock(after - _HOUR).hour == hour else 0
        second += 1
        while True:
            if second >= 60:
                minute, second = minute + 1, 0
            if minute >= 60:
                before = zone.moment(year, month, day, hour, 0, 0)
                hour, minute = hour + 1, 0
                # Two hours to the next one: an hour comes twice, so take it again.
                if repeated == 0 and zone.moment(year, month, day, hour, 0, 0) - before > _HOUR:
                    hour -= 1
                    repeated = _HOUR
                else:
                    repeated = 0
            if hour >= 24:
                day, hour = day + 1, 0
            if month <= 12 and day > monthrange(year, month)[1]:
                month, day = month + 1, 1
            if month > 12:
                year, month = year + 1, 1
            if year > LAST_YEAR:
                return None
            if self._years is not None and year not in self._years:
                year, month, day, hour, minute, second, repeated = year + 1, 1, 1, 0, 0, 0, 0
                continue
            if month not in self._months:
                month, day, hour, minute, second, repeated = month + 1, 1, 0, 0, 0, 0
                continue
            if day not in self._days or not self._has_weekday(year, month, day, hour, minute, second):
                day, hour, minute, second, repeated = day + 1, 0, 0, 0, 0
                continue
            if hour not in self._hours:
                hour, minute, second, repeated = self._next_hour[hour], 0, 0, 0
                continue
            if minute not in self._minutes:
                minute, second = self._next_minute[minute], 0
                continue
            if second not in self._seconds:
                second = self._next_second[second]
                continue
            found = zone.moment(year, month, day, hour, minute, second)
            if zone.wall_clock(found).hour != hour:  # the clocks leave this time out
                hour, minute, second = hour + 1, 0, 0
                continue
            return found + repeated

    def _has_weekday(self, *wall: int) -> bool:
        if len(self._weekdays) >= 7:
            return True
        return self._zone.wall_clock(self._zone.moment(*wall)).weekday in self._weekdays


def _values(ranges: Iterable[Range]) -> frozenset[int]:
    """The values of all ranges, as far as any field can have them: exclusions are not checked."""
    values: set[int] = set()
    for each in ranges:
        step = max(each.step, 1)
        start = each.start if each.start >= 0 else each.start % step
        values.update(range(start, min(max(each.start, each.end), LAST_YEAR) + 1, step))
    return frozenset(values)


def _next_values(values: frozenset[int], end: int) -> list[int]:
    """For each value below `end`, the least one of `values` that is not less; `end`: none."""
    following = [end] * (end + 1)
    for value in reversed(range(end)):
        following[value] = value if value in values else following[value + 1]
    return following
