"""A task queue as DescribeTaskQueue shows it. Real: BacklogStatsByPriority, GetStatsByPriority, MergeStats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from temporalio.api.enums.v1 import RateLimitSource
from temporalio.api.taskqueue.v1 import PollerInfo, TaskIdBlock, TaskQueueStats, TaskQueueStatus

from mockcloud.core import priorities, times
from mockcloud.engine.task_queue import TaskQueue

_RANGE = 100_000  # task ids of a block; real: RangeSize of matching's config


@dataclass(frozen=True, slots=True)
class QueueView:
    """What can be said of a queue."""

    pollers: list[PollerInfo]
    stats_by_priority: Mapping[int, TaskQueueStats]
    rate: float  # tasks a second
    rate_source: RateLimitSource.ValueType
    status: TaskQueueStatus

    @property
    def stats(self) -> TaskQueueStats:
        """Of all priorities together."""
        total = TaskQueueStats()
        age = 0
        for stats in self.stats_by_priority.values():
            total.approximate_backlog_count += stats.approximate_backlog_count
            total.tasks_add_rate += stats.tasks_add_rate
            total.tasks_dispatch_rate += stats.tasks_dispatch_rate
            age = max(age, times.nanoseconds(stats.approximate_backlog_age))
        total.approximate_backlog_age.CopyFrom(times.duration(age))
        return total


def view(queue: TaskQueue, now: int) -> QueueView:
    """The queue at this moment."""
    rate, source = queue.rates.effective()
    backlog = queue.backlog
    acknowledged = backlog.acknowledged_id()
    block = max(backlog.last_id - 1, 0) // _RANGE
    return QueueView(
        pollers=list(queue.pollers.infos(now)),
        stats_by_priority=_stats(queue, now),
        rate=rate,
        rate_source=source,
        status=TaskQueueStatus(
            backlog_count_hint=len(backlog),
            read_level=backlog.last_id,
            ack_level=acknowledged,
            rate_per_second=rate,
            task_id_block=TaskIdBlock(start_id=block * _RANGE + 1, end_id=(block + 1) * _RANGE),
        ),
    )


def _stats(queue: TaskQueue, now: int) -> dict[int, TaskQueueStats]:
    sizes = queue.backlog.sizes()
    found: dict[int, TaskQueueStats] = {}
    for level in sorted({priorities.DEFAULT_LEVEL, *sizes, *queue.flow.levels()}):
        oldest = queue.backlog.oldest(level)
        added, dispatched = queue.flow.rates(level, now)
        found[level] = TaskQueueStats(
            approximate_backlog_count=sizes.get(level, 0),
            approximate_backlog_age=times.duration(0 if oldest is None else max(now - oldest, 0)),
            tasks_add_rate=added,
            tasks_dispatch_rate=dispatched,
        )
    return found
