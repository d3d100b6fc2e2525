"""How far a peer is behind: what is outstanding now, and how long tasks took over the last minute.

The lag of one task is the time from its commit in the sending region to its acknowledgement by the
peer. Durations are nanoseconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from mockcloud.core import times

WINDOW = 60 * times.SECOND
_MOST_SAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class LagReport:
    """The lag of one namespace towards one peer."""

    namespace_id: str
    peer: str
    last_position: int  # of this region's log
    acked_position: int  # what the peer has made durable
    age: int  # of the oldest outstanding task; 0: none is outstanding
    p50: int  # over the last minute; 0 when nothing was acknowledged in it
    p95: int
    p99: int
    paused: bool
    connected: bool
    last_error: str  # why the last session ended; empty when the present one works

    @property
    def outstanding(self) -> int:
        """Tasks that the peer has not made durable."""
        return self.last_position - self.acked_position


class LagWindow:
    """The lags of the tasks that were acknowledged within the last minute."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, int]] = deque(maxlen=_MOST_SAMPLES)  # (acknowledged at, lag)

    def add(self, now: int, created: Iterable[int]) -> None:
        """Tasks committed at `created` were acknowledged now."""
        self._samples.extend((now, max(0, now - moment)) for moment in created)

    def percentiles(self, now: int, *ranks: int) -> list[int]:
        """The lags at `ranks` per cent (nearest rank) of the window that ends now; 0 when it is empty."""
        while self._samples and self._samples[0][0] < now - WINDOW:
            self._samples.popleft()
        lags = sorted(lag for _, lag in self._samples)
        if not lags:
            return [0] * len(ranks)
        return [lags[max(0, -(-len(lags) * rank // 100) - 1)] for rank in ranks]
