"""One wake-up at the earliest of many moments, on the region's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mockcloud.core import times
from mockcloud.core.ports import Clock

# Longer waits are cut, so that a change of the wall clock is noticed.
_LONGEST = times.HOUR


class Alarm:
    """Calls `ring` once at or after the moment that was set.

    Setting a later one than is set changes nothing.
    """

    def __init__(self, clock: Clock, ring: Callable[[], object]) -> None:
        self._clock = clock
        self._ring = ring
        self._moment: int | None = None
        self._handle: asyncio.TimerHandle | None = None

    def set(self, moment: int) -> None:
        """Ring at `moment` (nanoseconds since the epoch), or before if an earlier one is set."""
        if self._moment is not None and self._moment <= moment:
            return
        self._moment = moment
        self._arm()

    def clear(self) -> None:
        """Ring no more."""
        self._moment = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self) -> None:
        assert self._moment is not None, "an alarm is armed for a moment"
        if self._handle is not None:
            self._handle.cancel()
        wait = min(max(self._moment - self._clock.now(), 0), _LONGEST)
        self._handle = asyncio.get_running_loop().call_later(wait / times.SECOND, self._check)

    def _check(self) -> None:
        self._handle = None
        if self._moment is None:
            return
        if self._clock.now() < self._moment:
            self._arm()
            return
        self._moment = None
        self._ring()
