"""Advice for workers that scale their pollers: one more, or one less. Real: makePollerScalingDecisionImpl."""

from __future__ import annotations

from temporalio.api.taskqueue.v1 import PollerScalingDecision

from mockcloud.core.limits import Limits
from mockcloud.core.rate_limit import Rate
from mockcloud.engine.task_queue import QueryTask, Task, TaskQueue

_DECISIONS_PER_SECOND = 10.0  # of each poller; real: matching.pollerScalingDecisionsPerSecond
_ADDED_FASTER = 1.2  # than dispatched: more pollers


def decide(
    queue: TaskQueue, given: Task | QueryTask, polled_at: int, now: int, limits: Limits, *, sticky: bool
) -> PollerScalingDecision | None:
    """What a poll is told that began at `polled_at` and has just been `given` something; None: nothing."""
    if now - polled_at >= limits.poller_scaling_wait:
        return PollerScalingDecision(poll_request_delta_suggestion=-1)
    if queue.scaling_ready > now:
        return None
    decisions = Rate.per_second(_DECISIONS_PER_SECOND * max(1, len(queue.pollers)))
    queue.scaling_ready = decisions.consume(queue.scaling_ready, now)
    # What is given waited until this very moment.
    oldest = given.offer.ready_time if isinstance(given, Task) else now
    if len(queue.backlog):
        oldest = min(oldest, queue.backlog.oldest_of_all())
    if now - oldest > limits.poller_scaling_backlog_age:
        return PollerScalingDecision(poll_request_delta_suggestion=1)
    if sticky:
        return None
    added, dispatched = queue.flow.all_rates(now)
    if added > _ADDED_FASTER * dispatched:
        return PollerScalingDecision(poll_request_delta_suggestion=1)
    return None
