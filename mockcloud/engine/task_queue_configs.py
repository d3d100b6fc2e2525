"""What the API says of the task queues of a region's namespaces; stored, replicated, and told to matching.

It is no part of any run: it has a table and a kind of replication task of its own. A region that is not the active
one may write it too, as in the real server; the newest word counts everywhere.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable

from temporalio.api.taskqueue.v1 import TaskQueueConfig
from temporalio.api.workflowservice.v1 import UpdateTaskQueueConfigRequest

from mockcloud.api.replication.v1.replication_pb2 import ReplicationTask
from mockcloud.api.state.v1.state_pb2 import TaskQueueUserData
from mockcloud.core import task_queue_config
from mockcloud.core.cluster import Clusters
from mockcloud.core.limits import Limits
from mockcloud.core.ports import Ports
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.tasks import Tasks
from mockcloud.engine.wakeups import Signal
from mockcloud.store import log, task_queues
from mockcloud.store.database import Store

# Told of every change once it is stored: namespace id and name of the queue.
Listener = Callable[[str, str], None]


class TaskQueueConfigs:
    """By namespace and name of the queue."""

    def __init__(
        self, region: str, clusters: Clusters, store: Store, ports: Ports, tasks: Tasks, log_signal: Signal
    ) -> None:
        self._region_number = clusters.initial_versions[region]
        self._store = store
        self._ports = ports
        self._tasks = tasks
        self._log_signal = log_signal
        self._data: dict[tuple[str, str], TaskQueueUserData] = {}
        self.listeners: list[Listener] = []

    def load(self, namespace: Namespace, stored: Iterable[TaskQueueUserData]) -> None:
        """Take over what is stored; once, when the region opens."""
        for data in stored:
            self._data[namespace.id, data.task_queue] = data

    def config(self, namespace_id: str, name: str, task_queue_type: int) -> TaskQueueConfig | None:
        """What is said of a queue; None: nothing ever was."""
        data = self._data.get((namespace_id, name))
        return None if data is None else task_queue_config.config_of(data, task_queue_type)

    async def update(
        self, namespace: Namespace, request: UpdateTaskQueueConfigRequest, limits: Limits
    ) -> TaskQueueConfig:
        """Do what the request says; what is said of the queue then.

        Raises InvalidArgument (`task_queue_config.update`).
        """
        data = task_queue_config.update(
            self._data.get((namespace.id, request.task_queue)),
            request,
            now=self._ports.clock.now(),
            region_number=self._region_number,
            limits=limits,
        )
        await self._tasks.shielded(self._put(namespace, data, replicate=namespace.replicated))
        return task_queue_config.config_of(data, request.task_queue_type) or TaskQueueConfig()

    async def receive(self, namespace: Namespace, incoming: TaskQueueUserData) -> None:
        """Apply a peer's word."""
        data = task_queue_config.receive(self._data.get((namespace.id, incoming.task_queue)), incoming)
        if data is not None:
            await self._tasks.shielded(self._put(namespace, data, replicate=False))

    async def _put(self, namespace: Namespace, data: TaskQueueUserData, *, replicate: bool) -> None:
        task = ReplicationTask(created_at=self._ports.clock.now(), task_queue=data)

        def transaction(connection: sqlite3.Connection) -> None:
            task_queues.put_user_data(connection, namespace.id, data)
            if replicate:
                log.append_log(connection, namespace.id, log.LogWrite(task.SerializeToString()))

        key = (namespace.id, data.task_queue)
        before = self._data.get(key)
        self._data[key] = data  # at once, so that the next word comes after this one
        try:
            await self._store.transact(transaction)
        except BaseException:
            if before is None:
                self._data.pop(key, None)
            else:
                self._data[key] = before
            raise
        for listener in self.listeners:
            listener(namespace.id, data.task_queue)
        if replicate:
            self._log_signal.notify(namespace.id)
