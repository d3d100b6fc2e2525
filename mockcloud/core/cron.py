"""Cron schedules of workflows: the specs that the real server takes, and the waits that follow from them.

A spec has five fields (minute, hour, day of month, month, day of week), or is a descriptor (`@daily`,
`@every 90s`), after an optional `CRON_TZ=Zone ` or `TZ=Zone `. Without a zone it is in UTC. The dialect is that
of robfig/cron: names of months and days, lists, ranges, steps, `?` as `*`; where both days are restricted,
either may match; no Sunday 7.

Moments and waits are nanoseconds. Real: common/backoff/cron.go, github.com/robfig/cron/v3 (parser.go, spec.go).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple

from mockcloud.core import go_duration, times
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.validation import MAXIMUM_DURATION

# A schedule that has no moment within so many years never has one.
_YEARS_AHEAD = 5

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_WEEKDAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}

# What stands for a whole spec; those of schedules are the same.
DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EVERY = "@every "

_INTEGER = re.compile(r"[+-]?[0-9]+\Z")


class MalformedSpec(ValueError):
    """A spec that is no cron schedule."""


class Every(NamedTuple):
    """A moment each `delay` nanoseconds, which are whole seconds, after the one before.

    No longer than other durations may be, a hundred years, so that a moment is a number that can be stored.
    """

    delay: int

    def next(self, after: int) -> int | None:
        """The moment that follows `after`, on a full second."""
        return after + self.delay - after % times.SECOND

    def first_not_before(self, now: int, after: int) -> int | None:
        """The first of the moments that follow `after` which is not before `now`."""
        first = after + self.delay - after % times.SECOND
        behind = max(0, now - first)
        return first + -(-behind // self.delay) * self.delay


class Field(NamedTuple):
    """What one field of a spec allows. `any_value`: it is a plain `*`."""

    values: frozenset[int]
    any_value: bool


class Calendar(NamedTuple):
    """The moments whose local minute, hour, day and month match."""

    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field  # 0: Sunday
    zone: tzinfo

    def next(self, after: int) -> int | None:
        """The first matching moment after `after`; None: there is none within five years.

        Real: SpecSchedule.Next. Where local time jumps, it is followed step by step, so that the same moments
        come out.
        """
        if not (self.minute.values and self.hour.values and self.month.values):
            return None
        moment = _Local(after // times.SECOND + 1, self.zone)
        last_year = moment.wall.year + _YEARS_AHEAD
        stepped = False  # then all smaller units are at their beginning
        while moment.wall.year <= last_year:
            for unit in _UNITS_OF_TIME:
                while not unit.matches(self, moment.wall):
                    moment = unit.step(moment if stepped else unit.floor(moment))
                    stepped = True
                    if unit.is_first(moment.wall):
                        break  # the greater units must be looked at again
                else:
                    continue
                break
            else:
                return moment.seconds * times.SECOND
        return None

    def first_not_before(self, now: int, after: int) -> int | None:
        """The first matching moment that is after `after` and not before `now`."""
        return self.next(max(after, now - 1))

    def day_matches(self, wall: datetime) -> bool:
        day = wall.day in self.day.values
        weekday = wall.isoweekday() % 7 in self.weekday.values
        if self.day.any_value or self.weekday.any_value:
            return day and weekday
        return day or weekday


Schedule = Every | Calendar


def parse(spec: str) -> Schedule:
    """The schedule that `spec` describes. Raises MalformedSpec."""
    zone: tzinfo = UTC
    if spec.startswith(("TZ=", "CRON_TZ=")):
        head, blank, rest = spec.partition(" ")
        if not blank:
            raise MalformedSpec(f"no schedule after the time zone: {spec}")
        zone = _zone(head.partition("=")[2])
        spec = rest.strip()
    if spec.startswith(_EVERY):
        try:
            delay = min(max(go_duration.parse(spec.removeprefix(_EVERY)), times.SECOND), MAXIMUM_DURATION)
        except ValueError as error:
            raise MalformedSpec(f"failed to parse duration: {error}") from None
        return Every(delay - delay % times.SECOND)
    if spec.startswith("@"):
        if spec not in DESCRIPTORS:
            raise MalformedSpec(f"unrecognized descriptor: {spec}")
        spec = DESCRIPTORS[spec]
    fields = spec.split()
    if len(fields) != 5:
        raise MalformedSpec(f"expected exactly 5 fields, found {len(fields)}: {fields}")
    minute, hour, day, month, weekday = fields
    return Calendar(
        _field(minute, 0, 59),
        _field(hour, 0, 23),
        _field(day, 1, 31),
        _field(month, 1, 12, _MONTHS),
        _field(weekday, 0, 6, _WEEKDAYS),
        zone,
    )


def validate(spec: str, now: int) -> None:
    """Raises InvalidArgument for a spec that is malformed or that no moment satisfies; an empty one is fine."""
    if not spec:
        return
    try:
        schedule = parse(spec)
    except MalformedSpec:
        raise InvalidArgument("invalid CronSchedule.") from None
    if schedule.next(now) is None:
        raise InvalidArgument("invalid CronSchedule, no time can be found to satisfy the schedule")


def wait(spec: str, scheduled: int, now: int) -> int | None:
    """How long the run after the one `scheduled` waits from `now`, in whole seconds; None: there is none.

    Moments that passed while the last run was busy are left out. Real: backoff.GetBackoffForNextSchedule.
    """
    if not spec:
        return None
    try:
        schedule = parse(spec)
    except MalformedSpec:
        return None
    moment = scheduled if now < scheduled else schedule.first_not_before(now, scheduled)
    return None if moment is None else -(-(moment - now) // times.SECOND) * times.SECOND


def first_wait(spec: str, now: int) -> int:
    """How long the first run of a chain waits. Real: backoff.GetBackoffForNextScheduleNonNegative."""
    return max(0, wait(spec, now, now) or 0)


class _Local:
    """A moment in whole seconds, and what clocks of its zone show."""

    __slots__ = ("seconds", "wall", "zone")

    def __init__(self, seconds: int, zone: tzinfo) -> None:
        self.seconds = seconds
        self.zone = zone
        self.wall = (
            (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))
            .astimezone(zone)
            .replace(tzinfo=None, fold=0)
        )

    def plus(self, seconds: int) -> _Local:
        return _Local(self.seconds + seconds, self.zone)

    def at(self, wall: datetime) -> _Local:
        """The moment at which clocks show `wall`, chosen as Go's time.Date does where that is not unique."""
        seconds = (wall - datetime(1970, 1, 1)) // timedelta(seconds=1)  # noqa: DTZ001 a wall clock
        offset = self._offset(seconds)
        if offset:
            offset = self._offset(seconds - offset)
        return _Local(seconds - offset, self.zone)

    def _offset(self, seconds: int) -> int:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
        return (moment.astimezone(self.zone).utcoffset() or timedelta()) // timedelta(seconds=1)


class _Unit(NamedTuple):
    """One unit of time in the search for the next moment."""

    matches: Callable[[Calendar, datetime], bool]
    floor: Callable[[_Local], _Local]  # back to the unit's beginning
    step: Callable[[_Local], _Local]  # to the next one's beginning
    is_first: Callable[[datetime], bool]  # of its greater unit


def _next_month(moment: _Local) -> _Local:
    wall = moment.wall  # the first of its month
    return moment.at(wall.replace(year=wall.year + wall.month // 12, month=wall.month % 12 + 1))


def _next_day(moment: _Local) -> _Local:
    moment = moment.at(moment.wall + timedelta(days=1))
    # Midnight does not exist on some days on which summer time begins.
    hour = moment.wall.hour
    return moment.plus(((24 - hour) if hour > 12 else -hour) * 3600) if hour else moment


_UNITS_OF_TIME = (
    _Unit(
        lambda calendar, wall: wall.month in calendar.month.values,
        lambda moment: moment.at(moment.wall.replace(day=1, hour=0, minute=0, second=0)),
        _next_month,
        lambda wall: wall.month == 1,
    ),
    _Unit(
        lambda calendar, wall: calendar.day_matches(wall),
        lambda moment: moment.at(moment.wall.replace(hour=0, minute=0, second=0)),
        _next_day,
        lambda wall: wall.day == 1,
    ),
    _Unit(
        lambda calendar, wall: wall.hour in calendar.hour.values,
        lambda moment: moment.at(moment.wall.replace(minute=0, second=0)),
        lambda moment: moment.plus(3600),
        lambda wall: wall.hour == 0,
    ),
    _Unit(
        lambda calendar, wall: wall.minute in calendar.minute.values,
        lambda moment: moment.plus(-(moment.seconds % 60)),
        lambda moment: moment.plus(60),
        lambda wall: wall.minute == 0,
    ),
    _Unit(
        lambda calendar, wall: wall.second == 0,
        lambda moment: moment,
        lambda moment: moment.plus(60 - moment.wall.second),
        lambda wall: True,
    ),
)


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    if name in ("", "UTC", "Local"):
        return UTC
    from zoneinfo import ZoneInfo  # few specs name a zone

    try:
        return ZoneInfo(name)
    except (OSError, ValueError):  # unknown, a directory, or no name at all
        raise MalformedSpec(f"provided bad location {name}") from None
    except KeyError:  # ZoneInfoNotFoundError
        raise MalformedSpec(f"provided bad location {name}: unknown time zone {name}") from None


def _field(text: str, low: int, high: int, names: Mapping[str, int] | None = None) -> Field:
    values: set[int] = set()
    any_value = False
    for part in text.split(","):
        if part:
            found, star = _range(part, low, high, names or {})
            values |= found
            any_value = any_value or star
    return Field(frozenset(values), any_value)


def _range(text: str, low: int, high: int, names: Mapping[str, int]) -> tuple[set[int], bool]:
    """`*`, `N`, `N-M`, each perhaps with `/step`. Real: getRange."""
    bounds, *steps = text.split("/")
    ends = bounds.split("-")
    star = ends[0] in ("*", "?")
    if star:
        begin, end = low, high
    else:
        if len(ends) > 2:
            raise MalformedSpec(f"too many hyphens: {text}")
        begin = _number(ends[0], names)
        end = _number(ends[-1], names)
    if len(steps) > 1:
        raise MalformedSpec(f"too many slashes: {text}")
    step = _number(steps[0], {}) if steps else 1
    if steps and len(ends) == 1:
        end = high  # "N/step" means "N-max/step"
    if begin < low:
        raise MalformedSpec(f"beginning of range ({begin}) below minimum ({low}): {text}")
    if end > high:
        raise MalformedSpec(f"end of range ({end}) above maximum ({high}): {text}")
    if begin > end:
        raise MalformedSpec(f"beginning of range ({begin}) beyond end of range ({end}): {text}")
    if step == 0:
        raise MalformedSpec(f"step of range should be a positive number: {text}")
    return set(range(begin, end + 1, step)), star and step == 1


def _number(text: str, names: Mapping[str, int]) -> int:
    named = names.get(text.lower())
    if named is not None:
        return named
    if not _INTEGER.match(text) or len(text) > 19:
        raise MalformedSpec(f"failed to parse int from {text}")
    number = int(text)
    if number < 0:
        raise MalformedSpec(f"negative number ({number}) not allowed: {text}")
    return number
