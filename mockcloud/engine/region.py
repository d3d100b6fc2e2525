"""One region at work: its parts put together, its recovery from disk, its end.

    Region.open   what is stored becomes what is in memory: namespaces, task queues, timers, errands
    start         timers begin to fire, errands to be run
    kill          the fence: nothing of this life reaches the disk any more; all tasks end at once
    close         polls are answered empty, what is queued is committed, the file is closed

Nothing here knows of gRPC or of other regions: those who do subscribe to `namespaces.listeners`,
`changes.listeners` and `log_signal`.
"""

from __future__ import annotations

import itertools
import sqlite3
from typing import NamedTuple

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord, TaskQueueUserData
from mockcloud.core.cluster import Clusters
from mockcloud.core.derived import Offer
from mockcloud.core.limits import Limits
from mockcloud.core.ports import Ports
from mockcloud.engine.answers import Answers
from mockcloud.engine.batches import Batches
from mockcloud.engine.cache import Entry, RunCache
from mockcloud.engine.changes import Changes
from mockcloud.engine.errands import Errands
from mockcloud.engine.fills import Fills
from mockcloud.engine.history_reader import HistoryReader
from mockcloud.engine.matching import Matching
from mockcloud.engine.namespace_removal import NamespaceRemoval
from mockcloud.engine.namespaces import NamespaceRegistry
from mockcloud.engine.queries import Queries
from mockcloud.engine.resets import Resets
from mockcloud.engine.retention import Retention
from mockcloud.engine.schedules import Schedules
from mockcloud.engine.size_warnings import SizeWarnings
from mockcloud.engine.tallies import Tallies
from mockcloud.engine.task_queue_configs import TaskQueueConfigs
from mockcloud.engine.task_queues import TaskQueues
from mockcloud.engine.tasks import Tasks
from mockcloud.engine.timers import Timers
from mockcloud.engine.update_with_start import UpdateWithStart
from mockcloud.engine.updates import Updates
from mockcloud.engine.wakeups import Signal
from mockcloud.engine.watch import Watch
from mockcloud.engine.workers import Workers
from mockcloud.engine.workflow_tasks import WorkflowTasks
from mockcloud.store import meta, namespaces, offers, runs, task_queues
from mockcloud.store.database import Store


class _Stored(NamedTuple):
    """What of a namespace is pending, as stored."""

    record: NamespaceRecord
    user_data: list[TaskQueueUserData]
    offers: list[tuple[str, str, Offer]]
    due: list[tuple[int, str, str]]
    errands: list[tuple[str, str]]


class Region:
    """One life of one region.

    After `kill` or `close` it is of no use; a new one is opened from its store's file.
    """

    def __init__(
        self, name: str, clusters: Clusters, store: Store, ports: Ports, limits: Limits, first_task_id: int
    ) -> None:
        assert name in clusters.initial_versions, f"{name} is a region of the cloud"
        self.name = name
        self.clusters = clusters
        self.store = store
        self.ports = ports
        self.limits = limits
        self.tasks = Tasks()
        # Notified with a namespace's id when its replication log has grown.
        self.log_signal = Signal()
        self.runs = RunCache()
        self.namespaces = NamespaceRegistry(name, clusters, store, ports, limits, self.tasks, self.log_signal)
        next_task_id = itertools.count(first_task_id).__next__
        self.changes = Changes(
            name,
            clusters,
            store,
            ports,
            limits,
            self.tasks,
            self.runs,
            self.log_signal,
            next_task_id,
            self.namespaces.find,
        )
        self.watch = Watch()
        self.changes.listeners.append(self.watch.committed)
        self.history = HistoryReader(self.changes, self.runs, store, self.watch, limits)
        self.answers = Answers(self.changes, self.runs, limits)
        self.task_queue_configs = TaskQueueConfigs(name, clusters, store, ports, self.tasks, self.log_signal)
        self.task_queues = TaskQueues(self.task_queue_configs, ports.clock)
        self.tallies = Tallies(self.changes, ports.clock)
        self.matching = Matching(
            self.changes, self.namespaces, self.answers, self.task_queues, self.tallies, ports, limits
        )
        self.workers = Workers(ports.clock, limits)
        self.queries = Queries(self.changes, self.matching, self.namespaces, ports, limits)
        self.changes.listeners.append(self.queries.committed)
        self.answers.attached_queries = self.queries.attached
        self.updates = Updates(self.changes, self.answers, self.runs, self.namespaces, limits)
        self.changes.listeners.append(self.updates.committed)
        self.update_with_start = UpdateWithStart(self.changes, self.updates, limits)
        self.runs.on_loss = self._memory_lost
        self.workflow_tasks = WorkflowTasks(self.changes, self.queries, self.answers, ports)
        SizeWarnings(self.changes, limits)
        self.timers = Timers(self.changes, self.namespaces, ports, self.tasks)
        self.resets = Resets(self.changes)
        self.errands = Errands(self.changes, self.namespaces, self.tasks)
        self.schedules = Schedules(
            self.changes,
            self.history,
            self.namespaces,
            store,
            clusters,
            ports,
            limits,
            self.tasks,
            self.log_signal,
            next_task_id,
        )
        self.fills = Fills(self.namespaces, store, ports, self.tasks, self.log_signal)
        self.removal = NamespaceRemoval(self.changes, self.namespaces, store, self.tasks)
        self.batches = Batches(self.changes, self.namespaces, store, limits, self.tasks)
        self.retention = Retention(self.changes, self.namespaces, self.runs, store, ports, self.tasks)

    @classmethod
    async def open(
        cls, name: str, clusters: Clusters, store: Store, ports: Ports, limits: Limits | None = None
    ) -> Region:
        """Recover the region from its open store.

        What was pending there is pending again, and nothing has begun.
        """
        first_task_id = await store.transact(meta.next_range)
        region = cls(name, clusters, store, ports, limits or Limits(), first_task_id)

        def read(connection: sqlite3.Connection) -> list[_Stored]:
            return [
                _Stored(
                    record,
                    task_queues.all_user_data(connection, record.id),
                    offers.load_offers(connection, record.id),
                    runs.due_runs(connection, record.id),
                    runs.runs_with_errands(connection, record.id),
                )
                for record in namespaces.all_namespaces(connection)
            ]

        stored = await store.read(read)
        region.namespaces.load(pending.record for pending in stored)
        for pending in stored:
            namespace = region.namespaces.by_id(pending.record.id)
            region.task_queue_configs.load(namespace, pending.user_data)
            region.matching.load(namespace, pending.offers)
            region.timers.load(namespace, pending.due)
            region.errands.load(namespace, pending.errands)
        return region

    def _memory_lost(self, entry: Entry) -> None:
        """A run left the cache with something in memory only: tasks, timers and callers are to know."""
        key = entry.run.key
        if entry.live is not entry.derived:
            self.matching.withdraw(key, entry.live.offers - entry.derived.offers)
            namespace = self.namespaces.find_id(key.namespace_id)
            if namespace is not None:
                self.timers.set(namespace, key, entry.derived.due)
            entry.live = entry.derived
        self.updates.lost(key)

    async def start(self) -> None:
        """Begin to fire timers and schedules, to run errands and to delete what is over. Calls come from `open` on."""
        self.timers.start()
        self.errands.start()
        self.retention.start()
        self.batches.start()
        self.removal.start()
        await self.fills.start()
        await self.schedules.start()

    def kill(self) -> None:
        """End at once, in the middle of whatever it does.

        As if the machine had stopped. Its file is what was committed.
        """
        self.store.kill()
        self.timers.stop()
        self.errands.stop()
        self.retention.stop()
        self.batches.stop()
        self.removal.stop()
        self.fills.stop()
        self.task_queues.stop()
        self.schedules.stop()
        self.tasks.end()

    async def close(self) -> None:
        """End in good order: answer polls empty, finish what has begun, commit it, close the file."""
        self.timers.stop()
        self.errands.stop()
        self.retention.stop()
        self.batches.stop()
        self.removal.stop()
        self.fills.stop()
        self.schedules.stop()
        self.matching.end_polls()
        self.task_queues.stop()
        self.updates.end()
        await self.tasks.wait()
        await self.store.close()
        self.tasks.end()
