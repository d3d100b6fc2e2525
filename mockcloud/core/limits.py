"""One limit for each resource, with the real server's default."""

from __future__ import annotations

from dataclasses import dataclass

from mockcloud.core import times


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits and default time-outs of a region. Tests scale them down; durations are nanoseconds."""

    blob_bytes: int = 2 * 1024 * 1024
    memo_bytes: int = 2 * 1024 * 1024
    id_characters: int = 1000
    message_bytes: int = 4 * 1024 * 1024
    history_events: int = 51_200
    history_bytes: int = 50 * 1024 * 1024
    suggest_continue_as_new_events: int = 4_096
    suggest_continue_as_new_bytes: int = 4 * 1024 * 1024
    pending_activities: int = 2_000
    buffered_events: int = 100  # that wait for a workflow task to end
    buffered_bytes: int = 2 * 1024 * 1024
    history_page: int = 256
    list_page: int = 1_000
    default_workflow_task_timeout: int = 10 * times.SECOND
    maximum_workflow_task_timeout: int = 120 * times.SECOND
    default_sticky_timeout: int = 5 * times.SECOND
    sticky_poller_gone: int = 10 * times.SECOND  # a sticky queue without polls for so long is given up
    task_poll: int = 60 * times.SECOND
    history_long_poll: int = 20 * times.SECOND
    query_timeout: int = 10 * times.SECOND
    handover_hold: int = 2 * times.SECOND
    workflow_task_retry_initial: int = 5 * times.SECOND  # added to the time-out of attempts after the third
    workflow_task_retry_maximum: int = 10 * times.MINUTE
    minimum_retention: int = times.DAY
    workflow_task_heartbeat_total: int = 30 * times.MINUTE  # how long heartbeats may stretch a task
    continue_as_new_minimum_interval: int = times.SECOND  # a chain does not spin faster than this


# Signals that one run takes (real: history.maximumSignalsPerExecution).
SIGNALS_PER_RUN = 10_000
