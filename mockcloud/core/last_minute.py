"""What happened in the last minute, by key: how often, how often in vain, how long it took.

The minute is a row of short slots, each with the keys that something happened to in it; a slot that is older is dropped
as a whole. So memory is bounded by what happened in a minute, and counting costs the same however much that was.
Durations are kept in classes, by their first five bits: a percentile is right to 4 per cent.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from mockcloud.core import times

K = TypeVar("K", bound=Hashable)

SLOT: Final = 2 * times.SECOND
_BITS: Final = 5
_LEAST: Final = 1 << _BITS  # nanoseconds, added to a duration so that it has these bits


class Tally:
    """Of one key. `count` is for the caller to add to."""

    __slots__ = ("_durations", "count", "failed")

    def __init__(self) -> None:
        self.count = 0
        self.failed = 0
        self._durations: defaultdict[int, int] = defaultdict(int)  # how many, by class

    def ended(self, nanoseconds: int, *, failed: bool = False) -> None:
        """One of them is over; it took so long."""
        self.failed += failed
        nanoseconds += _LEAST
        shift = nanoseconds.bit_length() - _BITS
        self._durations[shift << _BITS | nanoseconds >> shift] += 1

    def add(self, other: Tally) -> None:
        """Take what another one has into this one."""
        self.count += other.count
        self.failed += other.failed
        for number, count in other._durations.items():
            self._durations[number] += count

    def percentile(self, rank: int) -> int:
        """The duration at `rank` per cent (nearest rank), in nanoseconds; 0: there is none."""
        left = -(-sum(self._durations.values()) * rank // 100)
        for number in sorted(self._durations):
            left -= self._durations[number]
            if left <= 0:
                return _middle(number)
        return 0


def _middle(number: int) -> int:
    """The duration in the middle of a class. Their numbers rise with the durations."""
    shift, first_bits = number >> _BITS, number & _LEAST - 1
    return ((2 * first_bits + 1) << shift >> 1) - _LEAST


class LastMinute(Generic[K]):
    """Of many keys. `now` is any clock in nanoseconds, the same one in all calls.

    What has happened counts for a minute, and at most for `SLOT` longer; where the clock is set back, for as much
    longer as that.
    """

    def __init__(self) -> None:
        self._slots: deque[tuple[int, dict[K, Tally]]] = deque()  # each with the moment at which it is over
        self._current: dict[K, Tally] = {}
        self._until = 0

    def tally(self, now: int, key: K) -> Tally:
        """Where to count what happens now; not to be kept."""
        if now >= self._until:
            self._turn(now)
        tally = self._current.get(key)
        if tally is None:
            tally = self._current[key] = Tally()
        return tally

    def totals(self, now: int) -> dict[K, Tally]:
        """Everything in the minute that ends now, by key in the order of the first time."""
        self._forget(now)
        totals: dict[K, Tally] = {}
        for _, slot in self._slots:
            for key, tally in slot.items():
                totals.setdefault(key, Tally()).add(tally)
        return totals

    def _turn(self, now: int) -> None:
        self._forget(now)
        self._current = {}
        self._until = now - now % SLOT + SLOT
        self._slots.append((self._until, self._current))

    def _forget(self, now: int) -> None:
        while self._slots and self._slots[0][0] <= now - times.MINUTE:
            self._slots.popleft()
