"""The order in which the tasks of a queue are wanted: priority first, then fairness between keys.

A task has the priority of its workflow; an activity may say otherwise, field by field. A lower key goes first. Real:
common/priorities, service/matching/config.go, fairness_util.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from typing import NamedTuple

from temporalio.api.common.v1 import Priority

from mockcloud.core.run import Activity, Run

LEVELS = 5  # real: matching.priorityLevels; higher keys count as this one
DEFAULT_LEVEL = 3
_LEAST_WEIGHT = 0.001


class TaskPriority(NamedTuple):
    """Where a task belongs in its queue."""

    level: int = DEFAULT_LEVEL  # 1 goes first, LEVELS last
    fairness_key: str = ""
    fairness_weight: float = 0.0  # 0: not set


DEFAULT = TaskPriority()


def merged(base: Priority, override: Priority) -> Priority:
    """`override`, where it says something, over `base`. Real: priorities.Merge."""
    return Priority(
        priority_key=override.priority_key or base.priority_key,
        fairness_key=override.fairness_key or base.fairness_key,
        fairness_weight=override.fairness_weight or base.fairness_weight,
    )


def of_activity(run: Run, activity: Activity) -> Priority | None:
    """The activity's own priority over its workflow's; None: neither says anything."""
    base, options = run.priority, activity.options
    if not options.HasField("priority"):
        return base
    return options.priority if base is None else merged(base, options.priority)


def in_queue(priority: Priority | None) -> TaskPriority:
    """Where a task of that priority belongs."""
    if priority is None:
        return DEFAULT
    level = min(priority.priority_key, LEVELS) if priority.priority_key > 0 else DEFAULT_LEVEL
    own = 0.0 if isnan(priority.fairness_weight) else priority.fairness_weight
    return TaskPriority(level, priority.fairness_key, own)


def weight(priority: TaskPriority, overrides: Mapping[str, float]) -> float:
    """How much of the queue the task's fairness key gets, against others. Real: getEffectiveWeight."""
    found = overrides.get(priority.fairness_key, priority.fairness_weight)
    return max(found, _LEAST_WEIGHT) if found > 0 else 1.0
