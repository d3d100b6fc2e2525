"""A limit of so many tasks a second, as a moment: the one from which the next task may go.

The generic cell rate algorithm: each task moves that moment on by the interval that lies between tasks at the
wanted rate; one that lies in the past is never further back than the burst. So an idle queue lets a burst through
and then keeps to the rate. Moments and durations are nanoseconds. Real: simpleLimiter of matcher_data.go.
"""

from __future__ import annotations

from typing import NamedTuple

from mockcloud.core import times

NEVER = 7 << 60  # a moment after the end of all things: the year 2225
_LEAST_RATE = 1e-9  # below it, nothing goes


class Rate(NamedTuple):
    """A rate: `interval` between two tasks (0: no limit, below: nothing goes), and what may go at once."""

    interval: int
    burst: int

    @classmethod
    def per_second(cls, tasks: float) -> Rate:
        """So many tasks a second, a second's worth of them at once."""
        if not tasks > _LEAST_RATE:  # nor when it is no number
            return cls(-1, 0)
        return cls(int(times.SECOND / tasks), times.SECOND)

    @property
    def limited(self) -> bool:
        """Whether tasks go, but not as many as there are."""
        return self.interval > 0

    def consume(self, ready: int, now: int, tokens: float = 1) -> int:
        """`ready` after so many tasks went; a negative number gives back what went in vain."""
        if self.interval < 0:
            return NEVER
        return max(now, ready + self.burst) - self.burst + int(tokens * self.interval)

    def clip(self, ready: int, now: int) -> int:
        """`ready` of another rate, as this one would have it at most."""
        if self.interval < 0:
            return NEVER
        return min(ready, now + self.interval + self.burst)


UNLIMITED = Rate(0, 0)
