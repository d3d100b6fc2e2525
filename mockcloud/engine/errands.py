"""Which errands stand (`core.errands`), and a task for each that is under way. `engine.errand_hands` does them.

Which errands stand follows from a run's state alone (`Derived.errands`); kept here is which runs have some.
Only the active region runs errands; a passive one knows them, and on activation all that stand begin. In
HANDOVER they wait. An errand that fails in passing is tried again, later and later; one that fails otherwise
is logged, and tried again all the same, as the real server does.

Real: the queues of service/history; standby regions verify instead (transfer_queue_standby_task_executor.go).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from operator import attrgetter

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core.derived import NO_ERRANDS, Errand, ErrandKind
from mockcloud.core.errands import errands_of
from mockcloud.core.errors import (
    NamespaceNotActive,
    NotFound,
    RegionKilled,
    ResourceExhausted,
    Unavailable,
)
from mockcloud.core.run import RunKey
from mockcloud.engine.changes import Changes
from mockcloud.engine.close_hands import NotYetError
from mockcloud.engine.commit import Committed
from mockcloud.engine.errand_hands import ErrandHands
from mockcloud.engine.locks import KeyedLocks
from mockcloud.engine.namespaces import Namespace, NamespaceRegistry
from mockcloud.engine.tasks import Tasks

_log = logging.getLogger(__name__)

_AT_ONCE = 64  # errands under way at the same moment
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0  # seconds, between two tries
_GRACE = 1.0  # seconds in which whoever starts a child gives it leave to begin
_PASSING = (NotYetError, Unavailable, NamespaceNotActive, ResourceExhausted)

# What is known of a run when the region starts: that it has errands, not which.
_UNKNOWN = frozenset((Errand(ErrandKind.LOOK, 0, 0),))


class Errands:
    """The errands of a region."""

    def __init__(self, changes: Changes, namespaces: NamespaceRegistry, tasks: Tasks) -> None:
        self._changes = changes
        self._namespaces = namespaces
        self._tasks = tasks
        self._hands = ErrandHands(changes, namespaces)
        self._standing: dict[str, dict[RunKey, frozenset[Errand]]] = {}  # by namespace id
        self._under_way: set[tuple[RunKey, Errand]] = set()
        # What a run does to one other is done in the order of its events: a child is started, then signalled.
        self._lanes = KeyedLocks()
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._running = False
        self._stopped = asyncio.Event()
        changes.listeners.append(self._committed)
        namespaces.listeners.append(self._namespace_changed)

    def load(self, namespace: Namespace, rows: Iterable[tuple[str, str]]) -> None:
        """Take over what is stored, as (workflow id, run id); once, when the region opens."""
        standing = self._standing.setdefault(namespace.id, {})
        for workflow_id, run_id in rows:
            standing[RunKey(namespace.id, workflow_id, run_id)] = _UNKNOWN

    def start(self) -> None:
        """Run errands from now on."""
        self._running = True
        self._stopped.clear()
        for namespace_id in self._standing:
            self._begin_all(self._namespaces.by_id(namespace_id))

    def stop(self) -> None:
        """Run no more; what waits for another try ends."""
        self._running = False
        self._stopped.set()

    def _committed(self, namespace: Namespace, committed: Committed) -> None:
        standing = self._standing.get(namespace.id)
        if not committed.errands:
            if standing:
                standing.pop(committed.run.key, None)
            return
        if standing is None:
            standing = self._standing[namespace.id] = {}
        key = committed.run.key
        added = committed.errands if standing.get(key) is _UNKNOWN else committed.errands_added
        standing[key] = committed.errands
        if not (added and self._running and namespace.writable):
            return
        for errand in _in_order(added):
            # Whoever starts a child here gives it leave to begin, too, and only may fail to.
            begins = errand.kind is ErrandKind.FIRST_TASK and committed.created and committed.made_here
            self._begin(namespace, key, errand, _GRACE if begins else 0)

    def _namespace_changed(self, namespace: Namespace, before: NamespaceRecord | None) -> None:
        self._begin_all(namespace)

    def _begin_all(self, namespace: Namespace) -> None:
        if self._running and namespace.writable:
            for key, standing in self._standing.get(namespace.id, {}).items():
                for errand in _in_order(standing):
                    self._begin(namespace, key, errand)

    def _begin(self, namespace: Namespace, key: RunKey, errand: Errand, wait: float = 0) -> None:
        if (key, errand) not in self._under_way:
            self._under_way.add((key, errand))
            self._tasks.background(self._run(namespace, key, errand, wait), "errand")

    async def _run(self, namespace: Namespace, key: RunKey, errand: Errand, wait: float) -> None:
        """Do an errand, in as many tries as it takes, while it stands and this region is the one to do it."""
        pause = _FIRST_PAUSE
        if wait:
            await self._wait(wait)
        lane = (key, errand.target)
        await self._lanes.acquire(lane)
        try:
            while self._running and namespace.writable and self._stands(key, errand):
                async with self._at_once:
                    if await self._try(namespace, key, errand):
                        return
                await self._wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
        finally:
            self._lanes.release(lane)
            self._under_way.discard((key, errand))

    async def _wait(self, seconds: float) -> None:
        """Return after so long, or when errands are stopped."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)

    def _stands(self, key: RunKey, errand: Errand) -> bool:
        return errand in self._standing.get(key.namespace_id, {}).get(key, NO_ERRANDS)

    async def _try(self, namespace: Namespace, key: RunKey, errand: Errand) -> bool:
        """One try; whether there is nothing more to try."""
        try:
            if errand.kind is ErrandKind.LOOK:
                await self._look(namespace, key)
            else:
                await self._hands.perform(namespace, key, errand)
        except RegionKilled:
            raise
        except NotFound:  # the run that it is of is deleted
            self._standing.get(key.namespace_id, {}).pop(key, None)
        except _PASSING as error:
            _log.debug("an errand of %s waits: %s: %s", key, errand, error)
            return False
        except Exception:  # noqa: BLE001 - whatever it is, one errand must not end all others
            _log.exception("an errand of %s failed: %s", key, errand)
            return False
        return True

    async def _look(self, namespace: Namespace, key: RunKey) -> None:
        """Find out which errands a run has that nobody has looked at since the region started."""
        found = await self._changes.read(namespace, key.workflow_id, key.run_id, errands_of)
        standing = self._standing[namespace.id]
        if standing.get(key) is _UNKNOWN:
            standing[key] = found
            for errand in _in_order(found):
                self._begin(namespace, key, errand)


def _in_order(errands: Iterable[Errand]) -> list[Errand]:
    """By their events."""
    return sorted(errands, key=attrgetter("event_id"))
