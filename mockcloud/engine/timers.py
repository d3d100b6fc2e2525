"""What falls due by itself: user timers, time-outs, retries and backoffs of all runs.

When a run is due follows from its state alone (`Derived.due`), so this only keeps the moments in order and
wakes up for the earliest. A passive region keeps them too, but fires nothing: a run that comes due there is
only touched, which fails a workflow task that this region had begun when it was active (§7). On activation
everything fires from its original moment. In HANDOVER, timers wait.

Real: timer_queue_active_task_executor.go, timer_queue_standby_task_executor.go.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import due, times
from mockcloud.core.errors import InvalidArgument, NamespaceNotActive, NotFound, Unavailable
from mockcloud.core.ports import Ports
from mockcloud.core.run import RunKey
from mockcloud.engine.alarm import Alarm
from mockcloud.engine.changes import Changes
from mockcloud.engine.commit import Committed
from mockcloud.engine.namespaces import Namespace, NamespaceRegistry
from mockcloud.engine.tasks import Tasks

_log = logging.getLogger(__name__)

_AT_ONCE = 64  # changes by timers that run at the same moment
_RETRY = times.SECOND  # after a commit that failed


@dataclass(slots=True)
class _Clockwork:
    """The moments of one namespace.

    The heap may hold moments that are no longer true; `due` says which are.
    """

    namespace: Namespace
    due: dict[RunKey, int] = field(default_factory=dict)
    heap: list[tuple[int, str, str]] = field(default_factory=list)

    def set(self, key: RunKey, moment: int | None) -> None:
        if moment is None:
            self.due.pop(key, None)
            return
        self.due[key] = moment
        heapq.heappush(self.heap, (moment, key.workflow_id, key.run_id))
        if len(self.heap) > 64 and len(self.heap) > 4 * len(self.due):
            self.refill()

    def refill(self) -> None:
        """The heap made anew of what is true."""
        self.heap = [(moment, key.workflow_id, key.run_id) for key, moment in self.due.items()]
        heapq.heapify(self.heap)

    def next(self) -> tuple[int, RunKey] | None:
        """The earliest moment and its run, left in the heap."""
        while self.heap:
            moment, workflow_id, run_id = self.heap[0]
            key = RunKey(self.namespace.id, workflow_id, run_id)
            if self.due.get(key) == moment:
                return moment, key
            heapq.heappop(self.heap)
        return None


class Timers:
    """The timers of a region."""

    def __init__(self, changes: Changes, namespaces: NamespaceRegistry, ports: Ports, tasks: Tasks) -> None:
        self._changes = changes
        self._ports = ports
        self._tasks = tasks
        self._clockworks: dict[str, _Clockwork] = {}
        self._alarm = Alarm(ports.clock, self._ring)
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._running = False
        changes.listeners.append(self._committed)
        namespaces.listeners.append(self._namespace_changed)

    def load(self, namespace: Namespace, rows: Iterable[tuple[int, str, str]]) -> None:
        """Take over what is stored, as (due, workflow id, run id); once, when the region opens."""
        clockwork = self._clockwork(namespace)
        for moment, workflow_id, run_id in rows:
            clockwork.set(RunKey(namespace.id, workflow_id, run_id), moment)

    def start(self) -> None:
        """Fire from now on."""
        self._running = True
        for clockwork in self._clockworks.values():
            self._arm(clockwork)

    def stop(self) -> None:
        """Fire no more."""
        self._running = False
        self._alarm.clear()

    def set(self, namespace: Namespace, key: RunKey, due: int | None) -> None:
        """Say when a run is due; None: never."""
        self._clockwork(namespace).set(key, due)
        if due is not None and self._running and not namespace.handover:
            self._alarm.set(due)

    def _committed(self, namespace: Namespace, committed: Committed) -> None:
        if committed.due_changed:
            self.set(namespace, committed.run.key, committed.due)

    def _namespace_changed(self, namespace: Namespace, before: NamespaceRecord | None) -> None:
        clockwork = self._clockwork(namespace)
        was_active = before is not None and before.active_cluster == namespace.region
        if namespace.active and not was_active:
            clockwork.refill()  # what came due while passive was taken out of the heap
        self._arm(clockwork)

    def _clockwork(self, namespace: Namespace) -> _Clockwork:
        found = self._clockworks.get(namespace.id)
        if found is None:
            found = self._clockworks[namespace.id] = _Clockwork(namespace)
        return found

    def _arm(self, clockwork: _Clockwork) -> None:
        if self._running and not clockwork.namespace.handover:
            earliest = clockwork.next()
            if earliest is not None:
                self._alarm.set(earliest[0])

    def _ring(self) -> None:
        now = self._ports.clock.now()
        for clockwork in self._clockworks.values():
            if clockwork.namespace.handover:
                continue  # its change of state arms anew
            while (earliest := clockwork.next()) is not None and earliest[0] <= now:
                heapq.heappop(clockwork.heap)
                self._tasks.background(self._fire(clockwork, *earliest), "timer")
            self._arm(clockwork)

    async def _fire(self, clockwork: _Clockwork, moment: int, key: RunKey) -> None:
        namespace = clockwork.namespace
        async with self._at_once:
            if clockwork.due.get(key) != moment:
                return
            try:
                if namespace.active:
                    await self._changes.update(namespace, key.workflow_id, key.run_id, due.run_due)
                elif namespace.was_active:
                    await self._changes.touch(namespace, key.workflow_id, key.run_id)
                    return
                else:
                    return
            except NotFound:
                clockwork.due.pop(key, None)
                return
            except (NamespaceNotActive, Unavailable):
                pass  # a switch came between, or the commit failed
            except InvalidArgument as error:
                _log.warning("%s: %s", key, error.message)  # the history is too long: the run was terminated
        if clockwork.due.get(key) == moment:
            # Not done: the commit failed, or the namespace is in HANDOVER.
            heapq.heappush(clockwork.heap, (moment, key.workflow_id, key.run_id))
            if self._running and namespace.writable:
                self._alarm.set(self._ports.clock.now() + _RETRY)
