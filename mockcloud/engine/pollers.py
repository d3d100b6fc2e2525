"""Who polled a task queue lately. Real: service/matching/poller_history.go."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from temporalio.api.common.v1 import WorkerVersionCapabilities
from temporalio.api.deployment.v1 import WorkerDeploymentOptions
from temporalio.api.taskqueue.v1 import PollerInfo

from mockcloud.core import times

_KEPT = 5 * times.MINUTE
_MOST = 1000
# What the real server reports for a worker that sets no limit (matching's default rate per queue).
_DEFAULT_RATE = 100_000.0


@dataclass(slots=True)
class _Seen:
    moment: int
    rate: float
    capabilities: WorkerVersionCapabilities | None
    options: WorkerDeploymentOptions | None


@dataclass(slots=True)
class Pollers:
    """By identity, the one that was seen longest ago first."""

    last_poll: int = -(1 << 62)  # nanoseconds since the epoch; long ago: never
    _seen: OrderedDict[str, _Seen] = field(default_factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._seen)

    def saw(
        self,
        identity: str,
        now: int,
        rate: float | None = None,
        capabilities: WorkerVersionCapabilities | None = None,
        options: WorkerDeploymentOptions | None = None,
    ) -> None:
        """A poll began or ended. `rate`: the tasks a second that it asks for, None: it says nothing."""
        self.last_poll = now
        if not identity:
            return
        self._seen[identity] = _Seen(now, _DEFAULT_RATE if rate is None else rate, capabilities, options)
        self._seen.move_to_end(identity)
        if len(self._seen) > _MOST:
            self._seen.popitem(last=False)

    def forget(self, identity: str) -> None:
        """The worker has shut down."""
        self._seen.pop(identity, None)

    def infos(self, now: int) -> Iterator[PollerInfo]:
        """Those of the last five minutes."""
        for identity, seen in self._seen.items():
            if seen.moment + _KEPT > now:
                yield PollerInfo(
                    last_access_time=times.timestamp(seen.moment),
                    identity=identity,
                    rate_per_second=seen.rate,
                    worker_version_capabilities=seen.capabilities,
                    deployment_options=seen.options,
                )
