"""The ports through which time, ids and randomness reach the rules. The composition root chooses what stands behind.

All moments are nanoseconds since the Unix epoch, all durations nanoseconds.
"""

from __future__ import annotations

import random
import time
import uuid
from dataclasses import dataclass, field
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time of one region."""

    def now(self) -> int:
        """Nanoseconds since the Unix epoch."""
        ...


class Ids(Protocol):
    """Names that must be unique in the whole cloud."""

    def run_id(self) -> str:
        """A new run id: a UUIDv7, as the real server makes them."""
        ...

    def uuid(self) -> str:
        """A new UUIDv4, for request ids and namespace ids."""
        ...


class SystemClock:
    """The machine's clock, never running backwards within one process."""

    def __init__(self) -> None:
        self._last = 0

    def now(self) -> int:
        now = time.time_ns()
        if now > self._last:
            self._last = now
        return self._last


class SeededIds:
    """Ids from a clock and a random generator, so that a seed repeats them."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self._clock = clock
        self._rng = rng

    def run_id(self) -> str:
        # RFC 9562 §5.7: 48 bits of milliseconds, version 7, 12 random bits, variant 2, 62 random bits.
        milliseconds = self._clock.now() // 1_000_000
        bits = (milliseconds & (1 << 48) - 1) << 80 | 7 << 76 | self._rng.getrandbits(12) << 64
        return str(uuid.UUID(int=bits | 2 << 62 | self._rng.getrandbits(62)))

    def uuid(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))


@dataclass(slots=True)
class Ports:
    """What a region needs from outside besides its store and its transport."""

    clock: Clock = field(default_factory=SystemClock)
    rng: random.Random = field(default_factory=random.SystemRandom)
    ids: Ids = field(init=False)

    def __post_init__(self) -> None:
        self.ids = SeededIds(self.clock, self.rng)
