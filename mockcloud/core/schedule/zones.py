"""Time zones as Go's time package sees them: which offset holds at a moment, which moment a wall clock shows.

A wall clock may show a time twice or never (daylight saving). The algorithms of `calendar` depend on what the real
server's library makes of such a time, so `Zone.moment` does the same, and not what `datetime` would do.
Moments are whole seconds since the Unix epoch.
"""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from typing import NamedTuple

from mockcloud.core.schedule.errors import SpecError

_EPOCH_DAY = date(1970, 1, 1).toordinal()


class WallClock(NamedTuple):
    """What clock and calendar on a wall show."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int
    weekday: int  # from Sunday, 0


class Zone:
    """One time zone."""

    def __init__(self, tz: tzinfo | None) -> None:
        """Make a zone of `tz`; None: UTC."""
        self._tz = tz

    def offset(self, moment: int) -> int:
        """Seconds east of UTC at `moment`."""
        if self._tz is None:
            return 0
        difference = datetime.fromtimestamp(moment, self._tz).utcoffset()
        assert difference is not None, "a zone has an offset at every moment"
        return difference.days * 86_400 + difference.seconds

    def wall_clock(self, moment: int) -> WallClock:
        """What the wall shows at `moment`."""
        local = datetime.fromtimestamp(moment, self._tz or UTC)
        weekday = local.isoweekday() % 7
        return WallClock(local.year, local.month, local.day, local.hour, local.minute, local.second, weekday)

    def moment(self, year: int, month: int, day: int, hour: int, minute: int, second: int) -> int:
        """When the wall shows this; the date must exist, hours may reach into the next day.

        A time that comes twice is one of both; one that is left out is an hour (or what was left out) off.
        Real: Go's time.Date.
        """
        as_utc = (date(year, month, day).toordinal() - _EPOCH_DAY) * 86_400
        as_utc += hour * 3_600 + minute * 60 + second
        guess = self.offset(as_utc)
        if guess == 0:
            return as_utc
        return as_utc - self.offset(as_utc - guess)


def load(name: str, data: bytes) -> Zone:
    """The zone of that name, or the one that `data` (a TZif file) describes.

    Raises:
        SpecError: there is no such zone, or the data is none. Real: time.LoadLocation, LoadLocationFromTZData.
    """
    if data:
        from zoneinfo import ZoneInfo  # few schedules have a zone

        try:
            return Zone(ZoneInfo.from_file(io.BytesIO(data)))
        except Exception as error:
            raise SpecError("malformed time zone information") from error
    return _named(name)


@lru_cache(maxsize=1000)
def _named(name: str) -> Zone:
    if name in ("", "UTC", "Local"):  # the real server's machines live in UTC
        return Zone(None)
    if ".." in name or name.startswith(("/", "\\")):
        raise SpecError("time: invalid location name")
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return Zone(ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SpecError(f"unknown time zone {name}") from error
