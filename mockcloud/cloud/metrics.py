"""The state of a cloud as Prometheus scrapes it: what it has counted anyway, read when it is asked for.

Names of Temporal Cloud are those of its documentation (cloud/metrics/openmetrics/metrics-reference), where percentiles
are of the last minute and in seconds; the others begin with `mockcloud_`. Loaded when the first connection comes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from mockcloud.api.admin.v1.cloud_admin_pb2 import NamespaceOverview, StatusResponse
from mockcloud.api.admin.v1.region_admin_pb2 import (
    GetHealthResponse,
    GetLastMinuteResponse,
    NamespaceStatusResponse,
    PeerLag,
    TaskQueueSize,
)
from mockcloud.cloud import last_minute_metrics
from mockcloud.cloud.gauges import CLOUD, gauge
from mockcloud.cloud.last_minute_metrics import POLLS
from mockcloud.core import times

_NAMESPACE: Final = ("namespace", "region")
_LINK: Final = ("namespace", "region", "peer")


def exposition(
    status: StatusResponse,
    health: Mapping[str, GetHealthResponse],
    queues: Mapping[str, Sequence[TaskQueueSize]],
    last_minute: Mapping[str, GetLastMinuteResponse],
    account: str,
    accept: str,
) -> tuple[bytes, str]:
    """The metrics of a moment, and their content type: text, or OpenMetrics for who accepts it.

    `health` is what regions that are up have counted since their start, `queues` what waits in theirs,
    `last_minute` what they counted in it.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(status, health, queues, last_minute, account))
    encoder, content_type = choose_encoder(accept)
    return encoder(registry), content_type


class _Snapshot(Collector):
    """One answer of the cloud."""

    def __init__(
        self,
        status: StatusResponse,
        health: Mapping[str, GetHealthResponse],
        queues: Mapping[str, Sequence[TaskQueueSize]],
        last_minute: Mapping[str, GetLastMinuteResponse],
        account: str,
    ) -> None:
        self.status: Final = status
        self.health: Final = health
        self.queues: Final = queues
        self.last_minute: Final = last_minute
        self.account: Final = account

    def collect(self) -> Iterator[Metric]:
        yield from self._of_temporal_cloud()
        yield from self._of_task_queues()
        yield from last_minute_metrics.families(self.last_minute, self.account)
        yield from self._of_the_cloud()
        yield from self._of_namespaces()
        yield from self._of_replication()
        yield from self._of_work("calls", "Calls, without long polls and what waits for workers", "calls")
        yield from self._of_work("transactions", "Transactions of the database", "transactions")

    def _of_temporal_cloud(self) -> Iterator[GaugeMetricFamily]:
        for rank in (50, 95, 99):
            yield gauge(
                f"temporal_cloud_v1_replication_lag_p{rank}",
                f"The {rank}th percentile cross-region replication lag in seconds.",
                CLOUD,
                (
                    (
                        (name.name, self.account, view.region),
                        _seconds(_percentile(view.peers, rank)),
                    )
                    for name, view in self._views()
                    if view.peers
                ),
            )
        yield gauge(
            "temporal_cloud_v1_namespace_open_workflows",
            "The current number of open workflows in a namespace.",
            CLOUD,
            (((name.name, self.account, view.region), view.open_workflows) for name, view in self._views()),
        )

    def _of_task_queues(self) -> Iterator[GaugeMetricFamily]:
        polls: Counter[tuple[str, ...]] = Counter()
        backlog: dict[tuple[str, ...], int] = {}
        for region, queues in self.queues.items():
            for queue in queues:
                labels = (queue.namespace, self.account, region)
                polls[*labels, POLLS[queue.kind]] += queue.polls
                for priority, count in sorted(queue.backlog.items()):
                    backlog[*labels, queue.name, queue.kind, str(priority)] = count
        yield gauge(
            "temporal_cloud_v1_service_pending_requests",
            "The number of pollers that are waiting for a task.",
            (*CLOUD, "operation"),
            polls.items(),
        )
        yield gauge(
            "temporal_cloud_v1_approximate_backlog_count",
            "The number of tasks that wait in a task queue.",
            (*CLOUD, "temporal_task_queue", "task_type", "task_priority"),
            backlog.items(),
        )

    def _of_the_cloud(self) -> Iterator[GaugeMetricFamily]:
        yield gauge(
            "mockcloud_region_up",
            "Whether a region runs.",
            ("region",),
            (((region.name,), region.up) for region in self.status.regions),
        )
        yield gauge(
            "mockcloud_control_plane_up",
            "Whether the control plane runs.",
            (),
            [((), self.status.control_up)],
        )
        yield gauge(
            "mockcloud_fault",
            "A fault that is in force.",
            ("name", "fault", "source", "target"),
            (((each.name, each.kind, each.source, each.target), 1) for each in self.status.faults),
        )
        yield gauge(
            "mockcloud_failover_running",
            "Whether a namespace is being failed over.",
            ("namespace",),
            (((name.name,), name.HasField("operation")) for name in self.status.namespaces),
        )

    def _of_namespaces(self) -> Iterator[GaugeMetricFamily]:
        def each(name: str, text: str, values: Iterable[float]) -> GaugeMetricFamily:
            keys = ((overview.name, view.region) for overview, view in self._views())
            return gauge(f"mockcloud_namespace_{name}", text, _NAMESPACE, zip(keys, values, strict=True))

        views = [view for _, view in self._views()]
        yield each(
            "active",
            "Whether a region takes itself for the active one.",
            (view.record.active_cluster == view.region for view in views),
        )
        yield each(
            "handover", "Whether a region holds calls for a switch.", (view.record.handover for view in views)
        )
        yield each(
            "failover_version",
            "The failover version that a region knows.",
            (view.record.failover_version for view in views),
        )
        yield each("parked_runs", "Runs whose replication waits.", (view.parked for view in views))
        yield each(
            "dead_letters",
            "Replicated tasks that could not be applied.",
            (view.dead_letters for view in views),
        )

    def _of_replication(self) -> Iterator[GaugeMetricFamily]:
        links = [
            ((overview.name, view.region, peer.peer), peer)
            for overview, view in self._views()
            for peer in view.peers
        ]
        yield gauge(
            "mockcloud_replication_lag_seconds",
            "From a task's commit to its acknowledgement by the peer, over the last minute; or until now.",
            (*_LINK, "quantile"),
            (
                ((*key, str(rank / 100)), _seconds(_percentile([peer], rank)))
                for key, peer in links
                for rank in (50, 95, 99)
            ),
        )
        yield gauge(
            "mockcloud_replication_outstanding_tasks",
            "Tasks that the peer has not acknowledged.",
            _LINK,
            ((key, peer.tasks) for key, peer in links),
        )
        yield gauge(
            "mockcloud_replication_oldest_task_age_seconds",
            "The age of the oldest task that the peer has not acknowledged; 0: there is none.",
            _LINK,
            ((key, _seconds(peer.age)) for key, peer in links),
        )
        yield gauge(
            "mockcloud_replication_connected",
            "Whether the stream to the peer stands, and the peer answers.",
            _LINK,
            ((key, peer.connected) for key, peer in links),
        )

    def _of_work(self, field: str, text: str, name: str) -> Iterator[Metric]:
        """What health is measured by: counted by regions from their start."""
        work = [((region,), getattr(health, field)) for region, health in sorted(self.health.items())]
        for part, what, values in (
            ("", "", [each.count for _, each in work]),
            ("_failed", " that failed by the region's own fault", [each.failed for _, each in work]),
            ("_seconds", ", the time of all of them", [_seconds(each.time) for _, each in work]),
        ):
            family = CounterMetricFamily(f"mockcloud_{name}{part}", f"{text}{what}.", labels=("region",))
            for (labels, _), value in zip(work, values, strict=True):
                family.add_metric(labels, value)
            yield family

    def _views(self) -> Iterator[tuple[NamespaceOverview, NamespaceStatusResponse]]:
        for overview in self.status.namespaces:
            for view in overview.regions:
                yield overview, view


def _percentile(peers: Iterable[PeerLag], rank: int) -> int:
    """Of the peer that is furthest behind, in nanoseconds."""
    return max({50: peer.p50, 95: peer.p95, 99: peer.p99}[rank] for peer in peers)


def _seconds(nanoseconds: int) -> float:
    return nanoseconds / times.SECOND
