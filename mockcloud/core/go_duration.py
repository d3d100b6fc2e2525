"""Durations as Go writes them ("1h30m"), with the errors of its parser and, as the server has it, days.

Real: time.ParseDuration, common/primitives/timestamp/parse_duration.go.
"""

from __future__ import annotations

import re

from mockcloud.core import times

_UNITS = {
    "ns": 1,
    "us": times.MICROSECOND,
    "µs": times.MICROSECOND,
    "μs": times.MICROSECOND,
    "ms": times.MILLISECOND,
    "s": times.SECOND,
    "m": times.MINUTE,
    "h": times.HOUR,
}
_LARGEST = (1 << 63) - 1
_NUMBER = re.compile(r"([0-9]*)(?:(\.)([0-9]*))?")
_UNIT = re.compile(r"[^.0-9]*")
_BARE_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)\Z")
_DAYS = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)d")


def parse(text: str) -> int:
    """A duration in nanoseconds. Raises ValueError with Go's message."""
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(_invalid(text))
    total = 0
    while rest:
        match = _NUMBER.match(rest)
        assert match is not None, "it matches the empty string"
        whole, _, fraction = match.groups()
        if not whole and not fraction:
            raise ValueError(_invalid(text))
        rest = rest[match.end() :]
        unit_match = _UNIT.match(rest)
        unit = unit_match.group() if unit_match else ""
        if not unit:
            raise ValueError(f"time: missing unit in duration {_quoted(text)}")
        scale = _UNITS.get(unit)
        if scale is None:
            raise ValueError(f"time: unknown unit {_quoted(unit)} in duration {_quoted(text)}")
        rest = rest[len(unit) :]
        if len(whole) > 19:
            raise ValueError(_invalid(text))
        total += int(whole or 0) * scale
        if fraction:
            total += int(fraction[:18]) * scale // 10 ** len(fraction[:18])
        if total > _LARGEST:
            raise ValueError(_invalid(text))
    return sign * total


def parse_with_days(text: str) -> int:
    """The same, with the unit "d" of 24 hours."""
    return parse(_DAYS.sub(lambda match: f"{24 * float(match.group(1)):f}h", text))


def parse_with_seconds(text: str) -> int:
    """The same as with days, and a number without a unit is seconds."""
    return parse_with_days(f"{text}s" if _BARE_NUMBER.match(text) else text)


def _invalid(text: str) -> str:
    return f"time: invalid duration {_quoted(text)}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
