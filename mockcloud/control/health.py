"""Whether a region is healthy, judged from what it tells of itself and whether it can be reached. Pure: times come in.

A reading is a region's sums (`RegionAdmin.GetHealth`), or that it did not answer. Means are taken over a sliding window
of readings; a condition lasts from the first reading at which it is met for as long as it is met at each one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from mockcloud.api.admin.v1 import region_admin_pb2 as admin
from mockcloud.core import times
from mockcloud.core.errors import StartupError


class Condition(StrEnum):
    """What is wrong with a region."""

    UNREACHABLE = "unreachable"
    CALL_LATENCY = "slow calls"
    CALL_ERRORS = "failing calls"
    DATABASE_LATENCY = "slow database"
    DATABASE_ERRORS = "failing database"


class ManagedFailover(NamedTuple):
    """When a region counts as unhealthy, and what follows. Durations are seconds, errors shares of all."""

    interval: float = 0.5  # between two looks at a region
    patience: float = 0.4  # after which a region that does not answer is unreachable
    window: float = 5.0  # over which means are taken
    failover_after: float = 10.0  # for which a condition lasts before namespaces leave the region
    failback_after: float = 30.0  # for which a region is healthy before they come back
    call_latency: float = 2.0  # mean of calls, without long polls; a laptop under full load stays below
    call_errors: float = 0.2
    database_latency: float = 1.0  # mean of transactions
    database_errors: float = 0.2
    fewest: int = 3  # calls or transactions in a window that say anything

    def check(self) -> None:
        """Raises StartupError when nothing can be found out so."""
        if min(self.interval, self.patience, self.window) <= 0 or self.fewest < 1:
            raise StartupError("managed failover looks at regions at intervals, with patience, over a window")
        if not all(0 <= seconds < math.inf for seconds in (self.failover_after, self.failback_after)):
            raise StartupError(
                "managed failover moves namespaces after a time that is finite and not negative"
            )
        if self.window < max(self.call_latency, self.database_latency):
            raise StartupError("what hangs is seen within a window that is longer than what counts as slow")


class RegionHealth:
    """What is known of one region."""

    def __init__(self, settings: ManagedFailover) -> None:
        self._settings: Final = settings
        self._readings: Final[deque[tuple[int, admin.GetHealthResponse]]] = deque()
        self._since: dict[Condition, int] = {}
        self._healthy_since: int | None = None

    def observe(self, now: int, answer: admin.GetHealthResponse | None) -> None:
        """A look at the region at that time; None: it did not answer."""
        if answer is None:
            self._readings.clear()
            conditions = {Condition.UNREACHABLE}
        else:
            self._read(now, answer)
            conditions = set(self._judged())
        self._since = {condition: self._since.get(condition, now) for condition in conditions}
        if conditions:
            self._healthy_since = None
        elif self._healthy_since is None:
            self._healthy_since = now

    @property
    def conditions(self) -> list[Condition]:
        """What is wrong now."""
        return sorted(self._since)

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong now; False while nothing is known."""
        return self._healthy_since is not None

    def lasting(self, now: int) -> list[Condition]:
        """What has been wrong for so long that namespaces leave."""
        limit = now - _nanoseconds(self._settings.failover_after)
        return sorted(condition for condition, since in self._since.items() if since <= limit)

    def recovered(self, now: int) -> bool:
        """Whether nothing has been wrong for so long that namespaces come back."""
        limit = now - _nanoseconds(self._settings.failback_after)
        return self._healthy_since is not None and self._healthy_since <= limit

    def _read(self, now: int, answer: admin.GetHealthResponse) -> None:
        readings = self._readings
        if readings and readings[-1][1].life != answer.life:
            readings.clear()
        readings.append((now, answer))
        begin = now - _nanoseconds(self._settings.window)
        while len(readings) > 1 and readings[1][0] <= begin:
            readings.popleft()

    def _judged(self) -> Iterator[Condition]:
        settings = self._settings
        first, last = self._readings[0][1], self._readings[-1][1]
        for before, after, latency, errors, slow, failing in (
            (
                first.calls,
                last.calls,
                settings.call_latency,
                settings.call_errors,
                Condition.CALL_LATENCY,
                Condition.CALL_ERRORS,
            ),
            (
                first.transactions,
                last.transactions,
                settings.database_latency,
                settings.database_errors,
                Condition.DATABASE_LATENCY,
                Condition.DATABASE_ERRORS,
            ),
        ):
            count = after.count - before.count
            if count < settings.fewest:
                count = after.pending  # where all of it hangs, nothing begins any more
            if count < settings.fewest:
                continue
            if after.time - before.time > count * latency * times.SECOND:
                yield slow
            if after.failed - before.failed > count * errors:
                yield failing


def _nanoseconds(seconds: float) -> int:
    return int(seconds * times.SECOND)
