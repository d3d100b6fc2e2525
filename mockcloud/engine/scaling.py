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
    waits_since = [
        since for level in queue.backlog.sizes() if (since := queue.backlog.oldest(level)) is not None
    ]
    if isinstance(given, Task):
        waits_since.append(given.offer.ready_time)  # it waited until this very moment
    if waits_since and now - min(waits_since) > limits.poller_scaling_backlog_age:
        return PollerScalingDecision(poll_request_delta_suggestion=1)
    if sticky:
        return None
    rates = [queue.flow.rates(level, now) for level in queue.flow.levels()]
    added, dispatched = sum(rate[0] for rate in rates), sum(rate[1] for rate in rates)
    if added > _ADDED_FASTER * dispatched:
        return PollerScalingDecision(poll_request_delta_suggestion=1)
    return None
