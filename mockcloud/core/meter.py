"""Counting what goes on: how often, how long, how often in vain. Sums that only rise, so that two of them give a mean.

What has begun counts at once, with the time that it has taken so far: what hangs is seen while it hangs.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sums:
    """Since the meter was made. Times are nanoseconds."""

    count: int = 0
    failed: int = 0
    time: int = 0
    pending: int = 0  # that have begun and not ended; the one figure that falls again


class Meter:
    """One kind of work. `now` is any clock in nanoseconds that never goes back, the same one in all calls."""

    def __init__(self) -> None:
        self._begun = self._failed = self._time = 0
        self._pending = self._pending_since = 0  # how many, and the sum of the moments at which they began

    def begin(self, now: int) -> None:
        """Something begins; it ends with `end`, which is told this `now` again."""
        self._begun += 1
        self._pending += 1
        self._pending_since += now

    def end(self, began: int, now: int, *, failed: bool) -> None:
        """What began at `began` is over."""
        self._pending -= 1
        self._pending_since -= began
        self._time += now - began
        self._failed += failed

    def sums(self, now: int) -> Sums:
        """Everything so far."""
        return Sums(
            self._begun, self._failed, self._time + self._pending * now - self._pending_since, self._pending
        )
