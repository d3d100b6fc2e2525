"""How fast tasks may leave one queue: by the API's word, else by the last poll's, else by the system's.

Beside the limit of the whole queue there may be one for each fairness key, scaled by the key's weight. The limits
are in force from the first moment in which something says so; what was consumed before stays consumed. In memory
only: after a restart or a failover an idle queue's burst is there again.

Real: service/matching/ratelimit_manager.go; a queue has one partition here, so nothing is divided.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from temporalio.api.enums.v1 import RateLimitSource
from temporalio.api.taskqueue.v1 import TaskQueueConfig

from mockcloud.core import priorities
from mockcloud.core.priorities import TaskPriority
from mockcloud.core.rate_limit import NEVER, UNLIMITED, Rate

SYSTEM_RATE = 4000.0  # what the real server allows a queue of four partitions
_KEYS = 2000  # real: matching.fairnessKeyRateLimitCacheSize

__all__ = ["NEVER", "SYSTEM_RATE", "RateLimits"]


class RateLimits:
    """The limits of one queue and what was consumed of them."""

    def __init__(self) -> None:
        self.weights: Mapping[str, float] = {}  # of fairness keys, instead of the tasks' own
        self._worker: float | None = None
        self._api: float | None = None
        self._queue = UNLIMITED
        self._queue_ready = 0
        self._key = UNLIMITED
        self._key_ready: OrderedDict[str, int] = OrderedDict()

    def effective(self) -> tuple[float, RateLimitSource.ValueType]:
        """Tasks a second, and who says so. Real: computeEffectiveRPSAndSource."""
        rate, source = SYSTEM_RATE, RateLimitSource.RATE_LIMIT_SOURCE_SYSTEM
        if self._api is not None:
            if self._api < SYSTEM_RATE:
                rate, source = self._api, RateLimitSource.RATE_LIMIT_SOURCE_API
        elif self._worker is not None and self._worker < SYSTEM_RATE:
            rate, source = self._worker, RateLimitSource.RATE_LIMIT_SOURCE_WORKER
        return rate, source

    def polled(self, rate: float | None, now: int) -> None:
        """What the newest poll asks for; None: it says nothing, which unsets what another said."""
        if rate != self._worker:
            before = self.effective()[0]
            self._worker = rate
            self._apply(before, now)

    def configure(self, config: TaskQueueConfig, now: int) -> None:
        """What the API says. Limits that are not in `config` are unset."""
        before = self.effective()[0]
        limit = config.queue_rate_limit
        self._api = limit.rate_limit.requests_per_second if limit.HasField("rate_limit") else None
        self.weights = dict(config.fairness_weight_overrides)
        self._apply(before, now)
        of_key = config.fairness_keys_rate_limit_default
        if not of_key.HasField("rate_limit"):
            self._key = UNLIMITED
            self._key_ready.clear()
            return
        self._key = Rate.per_second(of_key.rate_limit.requests_per_second)
        for key, ready in self._key_ready.items():
            self._key_ready[key] = self._key.clip(ready, now)

    def ready(self, priority: TaskPriority) -> int:
        """The moment from which the task may go; NEVER: not as long as the limits are these."""
        ready = self._queue_ready
        if self._key.limited:
            ready = max(ready, self._key_ready.get(priority.fairness_key, 0))
        return ready

    def consume(self, priority: TaskPriority, now: int, tokens: int = 1) -> None:
        """The task goes; -1: it went in vain."""
        self._queue_ready = self._queue.consume(self._queue_ready, now, tokens)
        if self._key.limited:
            key = priority.fairness_key
            weight = priorities.weight(priority, self.weights)
            ready = self._key_ready.pop(key, 0)
            self._key_ready[key] = self._key.consume(ready, now, tokens / weight)
            if len(self._key_ready) > _KEYS:
                self._key_ready.popitem(last=False)

    def _apply(self, before: float, now: int) -> None:
        rate = self.effective()[0]
        if rate != before:
            self._queue = Rate.per_second(rate)
            self._queue_ready = self._queue.clip(self._queue_ready, now)
