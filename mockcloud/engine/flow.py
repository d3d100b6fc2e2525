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

    _added: dict[int, Rate] = field(default_factory=dict)
    _dispatched: dict[int, Rate] = field(default_factory=dict)

    def added(self, level: int, now: int) -> None:
        """A task came."""
        self._both(level, now)
        self._added[level].count(now)

    def dispatched(self, level: int, now: int) -> None:
        """A worker took one."""
        self._both(level, now)
        self._dispatched[level].count(now)

    def rates(self, level: int, now: int) -> tuple[float, float]:
        """(added, dispatched) a second."""
        if level not in self._added:
            return 0.0, 0.0
        return self._added[level].per_second(now), self._dispatched[level].per_second(now)

    def all_rates(self, now: int) -> tuple[float, float]:
        """(added, dispatched) a second, of all levels together."""
        added = dispatched = 0.0
        for level, rate in self._added.items():
            added += rate.per_second(now)
            dispatched += self._dispatched[level].per_second(now)
        return added, dispatched

    def levels(self) -> set[int]:
        """Those that tasks came for."""
        return set(self._added)

    def _both(self, level: int, now: int) -> None:
        if level not in self._added:  # made together, so that their windows are the same
            self._added[level] = Rate(now)
            self._dispatched[level] = Rate(now)
