"""The task queues of a region by namespace, kind and name: made when they are first named, forgotten when unused."""

from __future__ import annotations

from collections.abc import Iterator

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueueConfig

from mockcloud.core import times
from mockcloud.core.derived import TaskKind
from mockcloud.core.ports import Clock
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.queue_view import QueueView, view
from mockcloud.engine.task_queue import TaskQueue
from mockcloud.engine.task_queue_configs import TaskQueueConfigs

# The kinds of queues as the API names them.
TASK_QUEUE_TYPES = {
    TaskKind.WORKFLOW: TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    TaskKind.ACTIVITY: TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
}
_KINDS = {task_queue_type: kind for kind, task_queue_type in TASK_QUEUE_TYPES.items()}

_UNUSED = 5 * times.MINUTE  # without a poll; real: matching.maxTaskQueueIdleTime
_FEW = 1024  # so many are no reason to look for unused ones


class TaskQueues:
    """All task queues of a region, each with what the API says of it in force."""

    def __init__(self, configs: TaskQueueConfigs, clock: Clock) -> None:
        self._configs = configs
        self._clock = clock
        self._queues: dict[tuple[str, TaskKind, str], TaskQueue] = {}
        self._prune_at = _FEW
        configs.listeners.append(self._configured)

    def get(self, namespace: Namespace, kind: TaskKind, name: str) -> TaskQueue:
        """The queue of that name, made if it is new."""
        key = (namespace.id, kind, name)
        found = self._queues.get(key)
        if found is None:
            if len(self._queues) >= self._prune_at:
                self._prune()
            found = self._queues[key] = TaskQueue(namespace, kind, name, self._clock)
            config = self._configs.config(namespace.id, name, TASK_QUEUE_TYPES[kind])
            if config is not None:
                found.rates.configure(config, self._clock.now())
        return found

    def find(self, namespace: Namespace, kind: TaskKind, name: str) -> TaskQueue | None:
        """The queue of that name, if there is one."""
        return self._queues.get((namespace.id, kind, name))

    def remove(self, queue: TaskQueue) -> None:
        """Forget a queue; its polls and tasks are the caller's to deal with."""
        queue.stop()
        del self._queues[queue.namespace.id, queue.kind, queue.name]

    def all(self) -> tuple[TaskQueue, ...]:
        """The queues of all namespaces."""
        return tuple(self._queues.values())

    def of(self, namespace: Namespace) -> Iterator[TaskQueue]:
        """The queues of a namespace."""
        return (queue for queue in self.all() if queue.namespace is namespace)

    def describe(
        self, namespace: Namespace, name: str, task_queue_type: TaskQueueType.ValueType
    ) -> QueueView:
        """A queue as it is now. Of a type that is not built it is one that nobody uses."""
        now = self._clock.now()
        kind = _KINDS.get(task_queue_type)
        if kind is not None:
            return view(self.get(namespace, kind, name), now)
        unused = TaskQueue(namespace, TaskKind.WORKFLOW, name, self._clock)
        config = self._configs.config(namespace.id, name, task_queue_type)
        unused.rates.configure(config or TaskQueueConfig(), now)
        return view(unused, now)

    def stop(self) -> None:
        """No queue wakes up by itself any more."""
        for queue in self._queues.values():
            queue.stop()

    def _configured(self, namespace_id: str, name: str) -> None:
        now = self._clock.now()
        for kind in TaskKind:
            queue = self._queues.get((namespace_id, kind, name))
            if queue is not None:
                config = self._configs.config(namespace_id, name, TASK_QUEUE_TYPES[kind])
                queue.rates.configure(config or TaskQueueConfig(), now)
                queue.match()

    def _prune(self) -> None:
        """Each worker brings a sticky queue with a name of its own: forget those that nobody uses."""
        now = self._clock.now()
        for queue in self.all():
            if not queue.backlog and not queue.queries and not queue.has_poller(now, _UNUSED):
                self.remove(queue)
        self._prune_at = max(_FEW, 2 * len(self._queues))
