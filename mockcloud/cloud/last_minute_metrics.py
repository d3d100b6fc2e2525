"""What regions counted in the last minute, under Temporal Cloud's names: rates per second, percentiles in seconds.

An operation, a task queue or a workflow type that had nothing to do for a minute is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from temporalio.api.enums.v1 import WorkflowExecutionStatus as Status

from mockcloud.api.admin.v1.region_admin_pb2 import (
    GetLastMinuteResponse,
    Latency,
    RecentCalls,
    RecentCloses,
    RecentPolls,
    RunTimes,
)
from mockcloud.cloud.gauges import CLOUD, gauge
from mockcloud.core import times

POLLS: Final = {"workflow": "PollWorkflowTaskQueue", "activity": "PollActivityTaskQueue"}
"""The operation of polls by their kind of task."""

_MINUTE: Final = times.MINUTE / times.SECOND
_CLOSES: Final = {
    "success": (Status.WORKFLOW_EXECUTION_STATUS_COMPLETED, "completed"),
    "failed": (Status.WORKFLOW_EXECUTION_STATUS_FAILED, "failed"),
    "timeout": (Status.WORKFLOW_EXECUTION_STATUS_TIMED_OUT, "timed out"),
    "cancel": (Status.WORKFLOW_EXECUTION_STATUS_CANCELED, "were cancelled"),
    "terminate": (Status.WORKFLOW_EXECUTION_STATUS_TERMINATED, "were terminated"),
    "continued_as_new": (Status.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW, "continued as new"),
}
_POLL_OUTCOMES: Final = {
    "success": "got a task",
    "success_sync": "got a task that had not waited for them",
    "timeout": "ended without a task",
}

_Labels = tuple[str, ...]


def families(regions: Mapping[str, GetLastMinuteResponse], account: str) -> Iterator[GaugeMetricFamily]:
    """The metrics of regions by their names."""
    calls: list[tuple[_Labels, RecentCalls]] = []
    polls: list[tuple[_Labels, RecentPolls]] = []
    closes: list[tuple[_Labels, RecentCloses]] = []
    runs: list[tuple[_Labels, RunTimes]] = []
    for region, recent in regions.items():
        calls += [((row.namespace, account, region, row.operation), row) for row in recent.calls]
        polls += [
            ((row.namespace, account, region, POLLS[row.kind], row.kind, row.task_queue), row)
            for row in recent.polls
        ]
        closes += [
            ((row.namespace, account, region, row.task_queue, row.workflow_type), row)
            for row in recent.closes
        ]
        runs += [((row.namespace, account, region, row.workflow_type), row) for row in recent.run_times]
    yield from _of_calls(calls)
    yield from _of_polls(polls)
    yield from _of_closes(closes)
    yield from _latencies(
        "workflow_schedule_to_close_latency",
        "workflow executions from start to close",
        "temporal_workflow_type",
        [(labels, row.latency) for labels, row in runs],
    )


def _of_calls(calls: list[tuple[_Labels, RecentCalls]]) -> Iterator[GaugeMetricFamily]:
    yield gauge(
        "temporal_cloud_v1_service_request_count",
        "Requests of clients, per second.",
        (*CLOUD, "operation"),
        ((labels, row.count / _MINUTE) for labels, row in calls),
    )
    yield gauge(
        "temporal_cloud_v1_service_error_count",
        "Requests of clients that were answered with an error, per second.",
        (*CLOUD, "operation"),
        ((labels, row.errors / _MINUTE) for labels, row in calls),
    )
    yield from _latencies(
        "service_latency",
        "requests of clients",
        "operation",
        [(labels, row.latency) for labels, row in calls],
    )


def _of_polls(polls: list[tuple[_Labels, RecentPolls]]) -> Iterator[GaugeMetricFamily]:
    for outcome, text in _POLL_OUTCOMES.items():
        yield gauge(
            f"temporal_cloud_v1_poll_{outcome}_count",
            f"Polls that {text}, per second.",
            (*CLOUD, "operation", "task_type", "temporal_task_queue"),
            ((labels, getattr(row, outcome) / _MINUTE) for labels, row in polls),
        )


def _of_closes(closes: list[tuple[_Labels, RecentCloses]]) -> Iterator[GaugeMetricFamily]:
    for name, (status, text) in _CLOSES.items():
        yield gauge(
            f"temporal_cloud_v1_workflow_{name}_count",
            f"Workflow executions that {text}, per second.",
            (*CLOUD, "temporal_task_queue", "temporal_workflow_type"),
            ((labels, row.counts.get(status, 0) / _MINUTE) for labels, row in closes),
        )


def _latencies(
    name: str, of: str, label: str, latencies: list[tuple[_Labels, Latency]]
) -> Iterator[GaugeMetricFamily]:
    for rank in (50, 95, 99):
        yield gauge(
            f"temporal_cloud_v1_{name}_p{rank}",
            f"The {rank}th percentile latency of {of} in seconds.",
            (*CLOUD, label),
            (
                (labels, getattr(latency, f"p{rank}") / times.SECOND)
                for labels, latency in latencies
                if latency.p50
            ),
        )
