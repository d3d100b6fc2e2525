"""How far a peer is behind: what is outstanding now, and how long tasks took over the last minute.

The lag of one task is the time from its commit in the sending region to its acknowledgement by the
peer; of one that is outstanding, until now. A peer is not behind with what is older than its part in
the namespace: that counts from its beginning. Durations are nanoseconds.
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
    p50: int  # of what was acknowledged in the last minute and what is outstanding; 0 when there is neither
    p95: int
    p99: int
    paused: bool
    connected: bool
    last_error: str  # why it is not connected; empty when it is

    @property
    def outstanding(self) -> int:
        """Tasks that the peer has not made durable."""
        return self.last_position - self.acked_position


class LagWindow:
    """The lags of the tasks that were acknowledged within the last minute."""

    def __init__(self) -> None:
        self._joined = 0
        self._samples: deque[tuple[int, int]] = deque(maxlen=_MOST_SAMPLES)  # (acknowledged at, lag)

    def joined(self, now: int) -> None:
        """The peer begins now: what is older has not kept it waiting."""
        self._joined = now

    def add(self, now: int, created: Iterable[int]) -> None:
        """Tasks committed at `created` were acknowledged now."""
        self._samples.extend((now, self._lag(now, moment)) for moment in created)

    def _lag(self, now: int, created: int) -> int:
        return max(0, now - max(created, self._joined))

    def percentiles(self, now: int, *ranks: int, outstanding: Iterable[int] = ()) -> list[int]:
        """The lags at `ranks` per cent (nearest rank) of the window that ends now; 0 when it is empty.

        With those of tasks committed at `outstanding`: while nothing is acknowledged, the lag grows.
        """
        while self._samples and self._samples[0][0] < now - WINDOW:
            self._samples.popleft()
        waiting = (self._lag(now, moment) for moment in outstanding)
        lags = sorted((*(lag for _, lag in self._samples), *waiting))
        if not lags:
            return [0] * len(ranks)
        return [lags[max(0, -(-len(lags) * rank // 100) - 1)] for rank in ranks]
