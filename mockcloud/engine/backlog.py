"""The tasks of one queue that wait for a worker, in the order in which they are wanted. No I/O, no clock.

Levels of priority go one after the other. Within a level each task has a *pass*: that of its fairness key's last
task, plus a stride that is the shorter the more weight the key has; never below the pass that the level has
reached. So keys take turns by weight, and tasks of one key, or of none, keep the order in which they came. A key
owes nothing for what it had before its level was empty.

Real: pri_backlog_manager.go, fair_task_writer.go (pickPasses), counter/map.go.
"""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mockcloud.core import priorities

if TYPE_CHECKING:
    from mockcloud.engine.task_queue import Task

_STRIDE = 1000  # of weight 1; real: strideFactor
_STALE_ENTRIES = 64  # of a heap, beyond as many as there are tasks


@dataclass(slots=True)
class _Level:
    """The tasks of one priority."""

    waiting: OrderedDict[Task, None] = field(default_factory=OrderedDict)  # the longest-waiting first
    heap: list[tuple[int, int, int, Task]] = field(default_factory=list)  # stale entries are passed over
    passes: dict[str, int] = field(default_factory=dict)  # of each fairness key's last task
    reached: int = 0  # pass of the last task that was taken


class Backlog:
    """Tasks by level, pass and arrival."""

    def __init__(self) -> None:
        self._levels: dict[int, _Level] = {}
        self._next_id = itertools.count(1)
        self._tie = itertools.count()
        self._size = 0
        self.last_id = 0  # of the task that came last

    def __len__(self) -> int:
        return self._size

    def __contains__(self, task: Task) -> bool:
        level = self._levels.get(task.offer.priority.level)
        return level is not None and task in level.waiting

    def __iter__(self) -> Iterator[Task]:
        """All tasks, by level, the longest-waiting first."""
        for number in sorted(self._levels):
            yield from tuple(self._levels[number].waiting)

    def add(self, task: Task, weights: Mapping[str, float], *, first: bool = False) -> None:
        """Add a task. `first`: it comes back to the place that it had. `weights` override those of keys."""
        priority = task.offer.priority
        level = self._levels.get(priority.level)
        if level is None:
            level = self._levels[priority.level] = _Level()
        if not first or task.place is None:
            stride = max(1, int(_STRIDE / priorities.weight(priority, weights)))
            turn = max(level.reached, level.passes.get(priority.fairness_key, 0) + stride)
            level.passes[priority.fairness_key] = turn
            self.last_id = next(self._next_id)
            task.place = (turn, self.last_id)
        if task in level.waiting:
            return
        level.waiting[task] = None
        if first:
            level.waiting.move_to_end(task, last=False)
        self._size += 1
        heapq.heappush(level.heap, (*task.place, next(self._tie), task))

    def first(self) -> Task | None:
        """The task that is wanted first."""
        for number in sorted(self._levels):
            level = self._levels[number]
            while level.heap:
                task = level.heap[0][-1]
                if task in level.waiting:
                    return task
                heapq.heappop(level.heap)
        return None

    def take(self, task: Task) -> None:
        """Remove a task that goes to a worker: its level has reached its pass."""
        if self.remove(task) and task.place is not None:
            level = self._levels[task.offer.priority.level]
            level.reached = max(level.reached, task.place[0]) if level.waiting else 0

    def remove(self, task: Task) -> bool:
        """Remove a task; whether it was there."""
        level = self._levels.get(task.offer.priority.level)
        if level is None or task not in level.waiting:
            return False
        del level.waiting[task]
        self._size -= 1
        if not level.waiting:
            level.heap.clear()
            level.passes.clear()
            level.reached = 0
        elif len(level.heap) > 2 * len(level.waiting) + _STALE_ENTRIES:
            level.heap = [entry for entry in level.heap if entry[-1] in level.waiting]
            heapq.heapify(level.heap)
        return True

    # Looking

    def sizes(self) -> dict[int, int]:
        """How many wait, by level; levels that had some are there with 0."""
        return {number: len(level.waiting) for number, level in self._levels.items()}

    def oldest(self, number: int) -> int | None:
        """Since when the longest-waiting task of a level waits; None: none does."""
        level = self._levels.get(number)
        if level is None or not level.waiting:
            return None
        return next(iter(level.waiting)).offer.ready_time

    def oldest_of_all(self) -> int:
        """Since when the longest-waiting task of all waits; one must."""
        return min(
            next(iter(level.waiting)).offer.ready_time for level in self._levels.values() if level.waiting
        )

    def acknowledged_id(self) -> int:
        """The highest id up to which no task waits any more."""
        return min((task.place[1] for task in self if task.place is not None), default=self.last_id + 1) - 1
