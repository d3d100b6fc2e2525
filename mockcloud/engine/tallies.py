"""What a region counts of its polls and of the runs that it closes, over the last minute. It decides nothing.

A match counts where the task is handed out, though its start may find it void. Runs count where they are closed by
the active region, once: what happens to a closed run later has no events.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

from mockcloud.core.derived import TaskKind
from mockcloud.core.last_minute import LastMinute, Tally
from mockcloud.core.ports import Clock
from mockcloud.engine.changes import Changes
from mockcloud.engine.commit import Committed
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.task_queue import QueryTask, Task, TaskQueue

STICKY: Final = "__sticky__"  # all sticky queues of a namespace: one each would be one for each worker

Outcome: TypeAlias = Literal["success", "success_sync", "timeout"]
"""How a poll ended; a task that had not waited is counted as both kinds of success."""


PollOf: TypeAlias = tuple[str, str, TaskKind, Outcome]
"""A poll's end: of which namespace and task queue, and how. A plain tuple, since one is made for each task."""


class CloseOf(NamedTuple):
    """A run's end; its status is a `temporal.api.enums.v1.WorkflowExecutionStatus`."""

    namespace: str
    task_queue: str
    workflow_type: str
    status: int


class Tallies:
    """Of one life of a region."""

    def __init__(self, changes: Changes, clock: Clock) -> None:
        self._clock: Final = clock
        self._polls: Final = LastMinute[PollOf]()
        self._closes: Final = LastMinute[CloseOf]()
        changes.close_listeners.append(self._closed)

    def polls(self) -> dict[PollOf, Tally]:
        """How polls ended."""
        return self._polls.totals(self._clock.now())

    def closes(self) -> dict[CloseOf, Tally]:
        """How runs ended, and how long they had been open."""
        return self._closes.totals(self._clock.now())

    def matched(self, queue: TaskQueue, item: Task | QueryTask, now: int, *, sticky: bool) -> None:
        """A poll has got something. A query is always matched as it comes. Real: priTaskMatcher.poll."""
        self._polled(queue, "success", now, sticky=sticky)
        if isinstance(item, QueryTask) or not item.waited:
            self._polled(queue, "success_sync", now, sticky=sticky)

    def timed_out(self, queue: TaskQueue, now: int, *, sticky: bool) -> None:
        """A poll has waited in vain."""
        self._polled(queue, "timeout", now, sticky=sticky)

    def _polled(self, queue: TaskQueue, outcome: Outcome, now: int, *, sticky: bool) -> None:
        name = STICKY if sticky else queue.name
        self._polls.tally(now, (queue.namespace.name, name, queue.kind, outcome)).count += 1

    def _closed(self, namespace: Namespace, committed: Committed) -> None:
        if not committed.made_here or not committed.batches:
            return
        run = committed.run
        start, close_time = run.start, run.record.close_time
        key = CloseOf(namespace.name, start.task_queue.name, start.workflow_type.name, run.status)
        tally = self._closes.tally(close_time, key)
        tally.count += 1
        tally.ended(max(0, close_time - run.start_time))
