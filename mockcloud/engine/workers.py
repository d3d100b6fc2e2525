"""Workers by their own word: the last heartbeat of each, for a while.

In memory of one region, as in the real server: heartbeats go to the active region, so after a failover the new one
knows a worker from its next heartbeat on, and a restarted one likewise. Who is silent for too long is forgotten;
who says that it has shut down, at once.

Real: service/matching/workers/registry_impl.go; expired entries go when they would be seen, not by a timer.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from temporalio.api.enums.v1 import WorkerStatus
from temporalio.api.worker.v1 import WorkerHeartbeat

from mockcloud.core.errors import InvalidArgument, NotFound
from mockcloud.core.limits import Limits
from mockcloud.core.ports import Clock


@dataclass(frozen=True, slots=True)
class _Entry:
    heartbeat: WorkerHeartbeat
    seen: int


class Workers:
    """The workers of a region's namespaces, by instance key; the one that was silent longest first."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()

    def record(self, namespace_id: str, heartbeats: Iterable[WorkerHeartbeat]) -> None:
        """Take in heartbeats."""
        now = self._clock.now()
        for heartbeat in heartbeats:
            key = (namespace_id, heartbeat.worker_instance_key)
            if heartbeat.status == WorkerStatus.WORKER_STATUS_SHUTDOWN:
                self._entries.pop(key, None)
                continue
            self._entries[key] = _Entry(heartbeat, now)
            self._entries.move_to_end(key)
        self._expire(now)

    def all(self, namespace_id: str, wanted: Callable[[WorkerHeartbeat], bool]) -> list[WorkerHeartbeat]:
        """The last heartbeats of a namespace's workers that are `wanted`."""
        self._expire(self._clock.now())
        return [
            entry.heartbeat
            for (owner, _), entry in self._entries.items()
            if owner == namespace_id and wanted(entry.heartbeat)
        ]

    def one(self, namespace_id: str, instance_key: str) -> WorkerHeartbeat:
        """The last heartbeat of a worker. Raises NotFound."""
        self._expire(self._clock.now())
        entry = self._entries.get((namespace_id, instance_key))
        if entry is None:
            raise NotFound(f"Worker {instance_key} not found")
        return entry.heartbeat

    def _expire(self, now: int) -> None:
        limits = self._limits
        while self._entries:
            seen = next(iter(self._entries.values())).seen
            crowded = len(self._entries) > limits.workers and seen + limits.worker_minimum_age < now
            if not crowded and seen + limits.worker_silence >= now:
                return
            self._entries.popitem(last=False)


def page(
    workers: Sequence[WorkerHeartbeat], size: int, token: bytes
) -> tuple[Sequence[WorkerHeartbeat], bytes]:
    """A page of `workers` and the token of the next; without size and token all of them. Real: paginateWorkers.

    Raises InvalidArgument: the token is none.
    """
    if not workers or (size == 0 and not token):
        return workers, b""
    after = ""
    if token:
        try:
            decoded = json.loads(token)
            after = str(decoded.get("l", ""))
        except (ValueError, AttributeError):
            raise InvalidArgument("invalid next_page_token") from None
    ordered = sorted(workers, key=lambda worker: worker.worker_instance_key)
    rest = [worker for worker in ordered if not after or worker.worker_instance_key > after]
    if size <= 0 or len(rest) <= size:
        return rest, b""
    given = rest[:size]
    return given, json.dumps({"l": given[-1].worker_instance_key}, separators=(",", ":")).encode()
