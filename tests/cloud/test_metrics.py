"""Metrics over HTTP, parsed as Prometheus parses them."""

from __future__ import annotations

import httpx
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from temporalio import workflow
from temporalio.common import Priority
from temporalio.worker import Worker

from mockcloud import MockCloud
from tests.cloud.scraping import Metrics, once, scraped
from tests.control.fakes import EAST, WEST


@workflow.defn(name="any", sandboxed=False)
class Nothing:
    @workflow.run
    async def run(self) -> None:
        await workflow.sleep(0.01)


async def test_a_namespace_with_an_open_workflow(mockcloud: MockCloud) -> None:
    orders = mockcloud.namespace("default")
    client = await orders.client()
    await client.start_workflow("any", id="w", task_queue="nobody")
    await orders.replicated()
    metrics = await scraped(mockcloud)

    account = mockcloud.cloud.settings.account
    for region in (EAST, WEST):
        cloud = {"temporal_namespace": "default", "temporal_account": account, "region": region}
        assert metrics("temporal_cloud_v1_namespace_open_workflows", **cloud) == 1
        assert metrics("mockcloud_region_up", region=region) == 1
        assert metrics("mockcloud_namespace_active", namespace="default", region=region) == (region == EAST)
        assert metrics("mockcloud_namespace_failover_version", namespace="default", region=region) == 1
    of_east = {"temporal_namespace": "default", "temporal_account": account, "region": EAST}
    lags = [metrics(f"temporal_cloud_v1_replication_lag_p{rank}", **of_east) for rank in (50, 95, 99)]
    assert 0 < lags[0] <= lags[1] <= lags[2] < 60
    (told,) = [lag for lag in await orders.lag() if lag.source == EAST]
    assert lags == [told.p50, told.p95, told.p99]
    link = {"namespace": "default", "region": EAST, "peer": WEST}
    assert metrics("mockcloud_replication_lag_seconds", quantile="0.99", **link) == told.p99
    assert metrics("mockcloud_replication_connected", **link) == 1
    assert metrics("mockcloud_replication_outstanding_tasks", **link) == 0
    assert metrics("mockcloud_control_plane_up") == 1
    calls = metrics("mockcloud_calls_total", region=EAST)
    assert calls > 0
    assert metrics("mockcloud_calls_failed_total", region=EAST) == 0
    assert metrics("mockcloud_calls_seconds_total", region=EAST) > 0
    assert metrics("mockcloud_transactions_total", region=WEST) > 0
    await client.get_workflow_handle("w").describe()
    again = await scraped(mockcloud, "/v1/metrics")
    assert again("mockcloud_calls_total", region=EAST) == calls + 1
    assert again.names() == metrics.names()


async def test_tasks_that_wait_for_workers_and_workers_that_wait_for_tasks(mockcloud: MockCloud) -> None:
    backlog, pollers = (
        "temporal_cloud_v1_approximate_backlog_count",
        "temporal_cloud_v1_service_pending_requests",
    )
    base = {
        "temporal_namespace": "default",
        "temporal_account": mockcloud.cloud.settings.account,
        "region": EAST,
    }
    queue = base | {"temporal_task_queue": "orders", "task_type": "workflow"}
    polling = base | {"operation": "PollWorkflowTaskQueue"}
    client = await mockcloud.namespace("default").client()
    for number in range(3):
        urgent = Priority(priority_key=1 if number == 2 else 3)
        await client.start_workflow("any", id=f"w-{number}", task_queue="orders", priority=urgent)

    def waiting(metrics: Metrics, priority: int) -> float:
        return metrics(backlog, **queue, task_priority=str(priority))

    metrics = await scraped(mockcloud)
    assert (waiting(metrics, 1), waiting(metrics, 3)) == (1, 2)

    async with Worker(client, task_queue="orders", workflows=[Nothing]):
        for number in range(3):
            await client.get_workflow_handle(f"w-{number}").result()
        metrics = await once(mockcloud, lambda metrics: metrics(pollers, **polling) > 0)
    assert (waiting(metrics, 1), waiting(metrics, 3)) == (0, 0)
    names = {dict(labels)["temporal_task_queue"] for name, labels in metrics.values if name == backlog}
    assert names == {"orders"}, "sticky queues are not told"


async def until_connected(cloud: MockCloud, value: float, link: dict[str, str]) -> None:
    await once(cloud, lambda metrics: metrics("mockcloud_replication_connected", **link) == value)


async def test_a_cut_link_and_a_dead_region(mockcloud: MockCloud) -> None:
    client = await mockcloud.namespace("default").client()
    await mockcloud.namespace("default").replicated()
    mockcloud.link(EAST, WEST).partition(name="storm")
    await client.start_workflow("any", id="w", task_queue="nobody")
    cut = await scraped(mockcloud)
    link = {"namespace": "default", "region": EAST, "peer": WEST}
    assert cut("mockcloud_replication_outstanding_tasks", **link) > 0
    assert cut("mockcloud_replication_oldest_task_age_seconds", **link) > 0
    assert cut("mockcloud_fault", name="storm", fault="partition", source=EAST, target=WEST) == 1
    await until_connected(mockcloud, 0, link)
    cut = await scraped(mockcloud)
    age = cut("mockcloud_replication_oldest_task_age_seconds", **link)
    assert cut("mockcloud_replication_lag_seconds", quantile="0.99", **link) >= age
    of_east = {"temporal_account": mockcloud.cloud.settings.account, "region": EAST}
    assert cut("temporal_cloud_v1_replication_lag_p99", temporal_namespace="default", **of_east) >= age
    mockcloud.cloud.links.faults[0].remove()
    await until_connected(mockcloud, 1, link)

    await mockcloud.region(WEST).kill()
    await mockcloud.control.kill()
    dead = await scraped(mockcloud)
    assert dead("mockcloud_region_up", region=WEST) == 0
    assert dead("mockcloud_region_up", region=EAST) == 1
    assert dead("mockcloud_control_plane_up") == 0
    assert ("mockcloud_namespace_active", frozenset({("namespace", "default"), ("region", WEST)})) not in (
        dead.values
    )


async def test_who_reads_openmetrics_gets_that(mockcloud: MockCloud) -> None:
    orders = await mockcloud.namespace("default").client()
    await orders.start_workflow("any", id="w", task_queue="nobody")
    async with httpx.AsyncClient() as client:
        answer = await client.get(
            f"{mockcloud.http}/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
        )
        wrong = await client.post(f"{mockcloud.http}/metrics")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = {family.name: family for family in openmetrics(answer.text)}  # type: ignore[no-untyped-call]
    assert families["temporal_cloud_v1_replication_lag_p99"].type == "gauge"
    (calls,) = families["temporal_cloud_v1_service_request_count"].samples
    assert (calls.labels["operation"], calls.value) == ("StartWorkflowExecution", 1 / 60)
    assert all(family.documentation for family in families.values())
    assert (wrong.status_code, wrong.json()["code"]) == (404, 5)
