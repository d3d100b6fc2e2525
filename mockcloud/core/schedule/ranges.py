"""Strings such as `1-5/2,8` or `mon-fri` as ranges of a structured calendar.

    *        always                        x-z/y    x to z by y
    x        x                             x/y      x to the largest by y
    x-z      x to z                        j,k,l    any of these

Real: service/worker/scheduler/calendar.go, makeRange and parseValue.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from temporalio.api.schedule.v1 import Range

from mockcloud.core.schedule.errors import SpecError

MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")

_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_INT64 = 1 << 63


class Field(NamedTuple):
    """One field of a calendar: what its values are, and what it is when nothing is said."""

    name: str
    default: str
    lowest: int
    highest: int
    words: tuple[str, ...] = ()  # names of the values
    shortest: int = 0  # letters of a name that suffice
    every_is_empty: bool = False  # `*` is no range at all
    sunday_is_seven: bool = False


SECOND = Field("Second", "0", 0, 59)
MINUTE = Field("Minute", "0", 0, 59)
HOUR = Field("Hour", "0", 0, 23)
DAY_OF_MONTH = Field("DayOfMonth", "*", 1, 31)
MONTH = Field("Month", "*", 1, 12, MONTHS, 3)
YEAR = Field("Year", "*", 2000, 2100, every_is_empty=True)
DAY_OF_WEEK = Field("DayOfWeek", "*", 0, 7, WEEKDAYS, 2, sunday_is_seven=True)


def parse(text: str, field: Field) -> list[Range]:
    """The ranges that `text` means. Raises SpecError."""
    text = text.strip() or field.default
    if text == "*" and field.every_is_empty:
        return []
    ranges: list[Range] = []
    for part in text.split(","):
        ranges += _part(part, field)
    return ranges


def _part(part: str, field: Field) -> list[Range]:
    name, lowest, highest = field.name, field.lowest, field.highest
    part, step = _step(part, name)
    start, end = lowest, highest
    if "-" in part:
        if part.count("-") > 1:
            raise SpecError(f"{name} has too many dashes")
        first, last = part.split("-")
        start = _value(first, field, lowest, f"{name} Start is not in range [{lowest}-{highest}]")
        end = _value(last, field, start, f"{name} End is before Start or not in range [{lowest}-{highest}]")
    elif part != "*":
        start = _value(part, field, lowest, f"{name} is not in range [{lowest}-{highest}]")
        if step is None:
            end = start
    return _ranges(start, end, step or 1, field)


def _step(part: str, name: str) -> tuple[str, int | None]:
    """The part before the slash, and the step after it."""
    value, *steps = part.split("/")
    if len(steps) > 1:
        raise SpecError(f"{name} has too many slashes")
    if not steps:
        return value, None
    if not steps[0]:
        raise SpecError(f"{name} missing step value")
    step = _atoi(steps[0])
    if step < 1:
        raise SpecError(f"{name} has invalid Step")
    return value, step


def _ranges(start: int, end: int, step: int, field: Field) -> list[Range]:
    """The range, with the values that are defaults left out; a Sunday that is 7 becomes 0."""
    ranges: list[Range] = []
    if field.sunday_is_seven and end == 7:
        # From 0 or 1 in single steps, the days up to 6 already are all that is meant, or nearly: 1-7 is every day.
        if (7 - start) % step == 0 and (step > 1 or start > 1):
            ranges.append(Range(start=0))
            if start == 7:
                return ranges
        end = 6
    ranges.append(Range(start=start, end=0 if start == end else end, step=0 if step == 1 else _int32(step)))
    return ranges


def _value(text: str, field: Field, lowest: int, error: str) -> int:
    """A number or a name. Raises SpecError with `error`."""
    number: int | None = None
    if field.words and len(text.encode()) >= field.shortest:
        word = text.lower()
        for index, full in enumerate(field.words):
            if full.startswith(word):
                number = index + (field.lowest if field.words is MONTHS else 0)
                break
    if number is None:
        number = _integer(text)
    if number is None or not lowest <= number <= field.highest:
        raise SpecError(error)
    return number


def _integer(text: str) -> int | None:
    """The number that `text` is, if it is one; what has absurdly many digits is just too large."""
    if not _INTEGER.match(text):
        return None
    return int(text) if len(text) < 1_000 else _INT64


def _atoi(text: str) -> int:
    """Go's strconv.Atoi, with its errors."""
    number = _integer(text)
    if number is None:
        raise SpecError(f'strconv.Atoi: parsing "{text}": invalid syntax')
    if not -_INT64 <= number < _INT64:
        raise SpecError(f'strconv.Atoi: parsing "{text}": value out of range')
    return number


def _int32(number: int) -> int:
    """Go's conversion, which wraps."""
    return (number + (1 << 31)) % (1 << 32) - (1 << 31)
