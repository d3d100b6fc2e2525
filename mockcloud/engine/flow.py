"""How many tasks came to a queue and left it lately, by priority. Real: service/matching/task_tracker.go."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from mockcloud.core import times

_BUCKET = 5 * times.SECOND
_WINDOW = 30 * times.SECOND
_BUCKETS = _WINDOW // _BUCKET + 1


class Rate:
    """Counts events in buckets of five seconds, the last seven of them."""

    def __init__(self, now: int) -> None:
        self._started = now
        self._bucket_started = now
        self._counts: deque[int] = deque([0], maxlen=_BUCKETS)

    def count(self, now: int) -> None:
        """One more."""
        self._advance(now)
        self._counts[-1] += 1

    def per_second(self, now: int) -> float:
        """The rate over the last half minute, or since the first event."""
        self._advance(now)
        elapsed = min(now - self._bucket_started + _WINDOW, now - self._started)
        return sum(self._counts) * times.SECOND / elapsed if elapsed > 0 else 0.0

    def _advance(self, now: int) -> None:
        buckets = (now - self._bucket_started) // _BUCKET
        if buckets > 0:
            self._counts.extend([0] * min(buckets, _BUCKETS))
            self._bucket_started += buckets * _BUCKET


@dataclass(slots=True)
class Flow:
    """Tasks that came and tasks that workers took, by level of priority."""

    # (added, dispatched) of each level, made together, so that their windows are the same.
    _levels: dict[int, tuple[Rate, Rate]] = field(default_factory=dict)

    def added(self, level: int, now: int) -> None:
        """A task came."""
        (self._levels.get(level) or self._open(level, now))[0].count(now)

    def dispatched(self, level: int, now: int) -> None:
        """A worker took one."""
        (self._levels.get(level) or self._open(level, now))[1].count(now)

    def rates(self, level: int, now: int) -> tuple[float, float]:
        """(added, dispatched) a second."""
        if level not in self._levels:
            return 0.0, 0.0
        added, dispatched = self._levels[level]
        return added.per_second(now), dispatched.per_second(now)

    def all_rates(self, now: int) -> tuple[float, float]:
        """(added, dispatched) a second, of all levels together."""
        of_levels = [self.rates(level, now) for level in self._levels]
        return sum(added for added, _ in of_levels), sum(dispatched for _, dispatched in of_levels)

    def levels(self) -> set[int]:
        """Those that tasks came for."""
        return set(self._levels)

    def _open(self, level: int, now: int) -> tuple[Rate, Rate]:
        self._levels[level] = rates = Rate(now), Rate(now)
        return rates
