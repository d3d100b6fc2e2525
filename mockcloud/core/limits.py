"""One limit for each resource, with the real server's default and the dynamic-config key that sets it there.

To add one: a line in `Limits`, `name: Annotated[Number, Key("the.realKey")] = default` (a Number, Bytes, Duration,
or bool for a switch), or without a Key where the real server has none. The coverage page and the dynamic
configuration (`core.dynamic_config`) read the fields from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, NamedTuple, TypeAlias

from mockcloud.core import times


class Key(NamedTuple):
    """The dynamic-config key of a limit; case does not matter in it, as in the real server."""

    name: str


class Unit(Enum):
    """What the value of a limit counts, where it is no plain number."""

    BYTES = "bytes"
    NANOSECONDS = "nanoseconds"


Number: TypeAlias = int
Bytes: TypeAlias = Annotated[int, Unit.BYTES]
Duration: TypeAlias = Annotated[int, Unit.NANOSECONDS]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits, default time-outs and switches of a region. Tests scale them down; durations are nanoseconds."""

    blob_bytes: Annotated[Bytes, Key("limit.blobSize.error")] = 2 * 1024 * 1024
    blob_bytes_warning: Annotated[Bytes, Key("limit.blobSize.warn")] = 512 * 1024
    memo_bytes: Annotated[Bytes, Key("limit.memoSize.error")] = 2 * 1024 * 1024
    memo_bytes_warning: Annotated[Bytes, Key("limit.memoSize.warn")] = 2 * 1024
    summary_bytes: Annotated[Bytes, Key("limit.userMetadataSummarySize")] = 400
    details_bytes: Annotated[Bytes, Key("limit.userMetadataDetailsSize")] = 20_000
    id_characters: Annotated[Number, Key("limit.maxIDLength")] = 1000
    # Batch operations that are open in one namespace, and of one the runs that it comes to in a second.
    open_batches: Annotated[Number, Key("frontend.MaxConcurrentBatchOperationPerNamespace")] = 1
    batched_runs_per_second: Annotated[Number, Key("worker.batcherRPS")] = 50
    search_attributes: Annotated[Number, Key("frontend.searchAttributesNumberOfKeysLimit")] = 100
    search_attribute_value_bytes: Annotated[Bytes, Key("frontend.searchAttributesSizeOfValueLimit")] = (
        2 * 1024
    )
    search_attributes_bytes: Annotated[Bytes, Key("frontend.searchAttributesTotalSizeLimit")] = 40 * 1024
    # Failed attempts of workflow tasks in a row from which TemporalReportedProblems is set; 0: never.
    reported_problems_after: Annotated[
        Number, Key("system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute")
    ] = 5
    message_bytes: Bytes = 4 * 1024 * 1024
    history_events: Annotated[Number, Key("limit.historyCount.error")] = 51_200
    history_bytes: Annotated[Bytes, Key("limit.historySize.error")] = 50 * 1024 * 1024
    history_events_warning: Annotated[Number, Key("limit.historyCount.warn")] = 10_240
    history_bytes_warning: Annotated[Bytes, Key("limit.historySize.warn")] = 10 * 1024 * 1024
    # Of what is kept of a run beside its history.
    state_bytes: Annotated[Bytes, Key("limit.mutableStateSize.error")] = 8 * 1024 * 1024
    state_bytes_warning: Annotated[Bytes, Key("limit.mutableStateSize.warn")] = 1024 * 1024
    suggest_continue_as_new_events: Annotated[Number, Key("limit.historyCount.suggestContinueAsNew")] = 4_096
    suggest_continue_as_new_bytes: Annotated[Bytes, Key("limit.historySize.suggestContinueAsNew")] = (
        4 * 1024 * 1024
    )
    pending_activities: Annotated[Number, Key("limit.numPendingActivities.error")] = 2_000
    # Of a failure that is kept between two attempts of an activity.
    activity_failure_bytes: Annotated[Bytes, Key("limit.mutableStateActivityFailureSize.error")] = 4 * 1024
    links_per_request: Annotated[Number, Key("frontend.maxlinksPerRequest")] = 10
    link_bytes: Annotated[Bytes, Key("frontend.linkMaxSize")] = 4_000
    callbacks_per_run: Annotated[Number, Key("system.maxCallbacksPerWorkflow")] = 32
    callback_url_bytes: Annotated[Bytes, Key("frontend.callbackURLMaxLength")] = 1_000
    callback_header_bytes: Annotated[Bytes, Key("frontend.callbackHeaderMaxLength")] = 8 * 1024
    pending_children: Annotated[Number, Key("limit.numPendingChildExecutions.error")] = 2_000
    pending_signals: Annotated[Number, Key("limit.numPendingSignals.error")] = 2_000
    pending_cancel_requests: Annotated[Number, Key("limit.numPendingCancelRequests.error")] = 2_000
    # Whether commands may name another namespace; never one that has more than one region.
    cross_namespace_commands: Annotated[bool, Key("system.enableCrossNamespaceCommands")] = False
    # Whether a parent's close does anything to its children; otherwise all are abandoned.
    parent_close_policies: Annotated[bool, Key("history.enableParentClosePolicy")] = True
    signals_per_run: Annotated[Number, Key("history.maximumSignalsPerExecution")] = 10_000
    # Events that wait for a workflow task to end.
    buffered_events: Annotated[Number, Key("history.maximumBufferedEventsBatch")] = 100
    buffered_bytes: Annotated[Bytes, Key("history.maximumBufferedEventsSizeInBytes")] = 2 * 1024 * 1024
    history_page: Annotated[Number, Key("limit.historyMaxPageSize")] = 256
    list_page: Annotated[Number, Key("frontend.visibilityMaxPageSize")] = 1_000
    default_workflow_task_timeout: Annotated[Duration, Key("history.defaultWorkflowTaskTimeout")] = (
        10 * times.SECOND
    )
    maximum_workflow_task_timeout: Duration = 120 * times.SECOND
    default_sticky_timeout: Duration = 5 * times.SECOND
    sticky_poller_gone: Duration = 10 * times.SECOND  # a sticky queue without polls for so long is given up
    task_poll: Annotated[Duration, Key("matching.longPollExpirationInterval")] = 60 * times.SECOND
    history_long_poll: Annotated[Duration, Key("history.longPollExpirationInterval")] = 20 * times.SECOND
    query_timeout: Duration = 10 * times.SECOND
    handover_hold: Duration = 2 * times.SECOND
    # Added to the time-out of attempts after the third.
    workflow_task_retry_initial: Duration = 5 * times.SECOND
    workflow_task_retry_maximum: Annotated[Duration, Key("history.workflowTaskRetryMaxInterval")] = (
        10 * times.MINUTE
    )
    minimum_retention: Annotated[Duration, Key("system.namespaceMinRetentionGlobal")] = times.DAY
    # How long a speculative workflow task waits on a normal queue.
    speculative_task_schedule_to_start: Duration = 5 * times.SECOND
    # Events up to which a speculative workflow task that shipped them may be dropped.
    discarded_speculative_task_events: Annotated[
        Number, Key("history.discardSpeculativeWorkflowTaskMaximumEventsCount")
    ] = 10
    # Updates of one run that are admitted and not completed, their bytes, and all that it ever had; 0: no limit.
    updates_in_flight: Annotated[Number, Key("history.maxInFlightUpdates")] = 10
    updates_in_flight_bytes: Annotated[Bytes, Key("history.maxInFlightUpdatePayloads")] = 20 * 1024 * 1024
    updates_per_run: Annotated[Number, Key("history.maxTotalUpdates")] = 2_000
    # How long heartbeats may stretch a task.
    workflow_task_heartbeat_total: Annotated[Duration, Key("history.workflowTaskHeartbeatTimeout")] = (
        30 * times.MINUTE
    )
    eager_workflow_start: Annotated[bool, Key("system.enableEagerWorkflowStart")] = True
    # Whether a run must be older than `continue_as_new_minimum_interval` before another start follows it.
    validate_reuse_start_time: Annotated[bool, Key("history.enableWorkflowIdReuseStartTimeValidation")] = (
        False
    )
    # A chain does not spin faster than this.
    continue_as_new_minimum_interval: Annotated[Duration, Key("history.workflowIdReuseMinimalInterval")] = (
        times.SECOND
    )
    updates: Annotated[bool, Key("frontend.enableUpdateWorkflowExecution")] = True
    updates_until_accepted: Annotated[bool, Key("frontend.enableUpdateWorkflowExecutionAsyncAccepted")] = True
    schedules: Annotated[bool, Key("frontend.enableSchedules")] = True
    batches: Annotated[bool, Key("frontend.enableBatcher")] = True
    disallow_queries: Annotated[bool, Key("system.disallowQuery")] = False
    # ShutdownWorker ends the polls of the worker.
    cancel_worker_polls_on_shutdown: Annotated[bool, Key("frontend.enableCancelWorkerPollsOnShutdown")] = True
    eager_activities: Annotated[bool, Key("system.enableActivityEagerExecution")] = True
    # Queries that may wait for the next workflow task of one run.
    buffered_queries: Annotated[Number, Key("history.MaxBufferedQueryCount")] = 1
    worker_heartbeats: Annotated[bool, Key("frontend.WorkerHeartbeatsEnabled")] = True
    workflow_pause: Annotated[bool, Key("frontend.WorkflowPauseEnabled")] = True  # off in the real server
    # Workers that a region remembers, how long after their last heartbeat, and how long at least.
    workers: Annotated[Number, Key("matching.workerRegistryMaxEntries")] = 1_000_000
    worker_silence: Annotated[Duration, Key("matching.workerRegistryEntryTTL")] = 5 * times.MINUTE
    worker_minimum_age: Annotated[Duration, Key("matching.workerRegistryMinEvictAge")] = times.MINUTE
    # Weights of fairness keys that can be said of one task queue, and in one request.
    fairness_weight_overrides: Annotated[Number, Key("matching.maxFairnessKeyWeightOverrides")] = 1_000
    # A poll that waited so long is told that there are too many of its kind,
    poller_scaling_wait: Annotated[Duration, Key("matching.pollerScalingWaitTime")] = times.SECOND
    # one that takes a task where another has waited so long, that there are too few.
    poller_scaling_backlog_age: Annotated[Duration, Key("matching.pollerScalingMinimumBacklog")] = (
        200 * times.MILLISECOND
    )

    @property
    def largest_blob(self) -> int:
        """Bytes that a payload may have: only one that is large enough for a warning is too large.

        Real: common.CheckEventBlobSizeLimit.
        """
        return max(self.blob_bytes, self.blob_bytes_warning)

    @property
    def largest_memo(self) -> int:
        """Bytes that a memo may have, by the same rule."""
        return max(self.memo_bytes, self.memo_bytes_warning)
