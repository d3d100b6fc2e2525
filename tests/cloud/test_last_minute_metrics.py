"""What clients, Workers and runs did in the last minute, as Prometheus reads it under Temporal Cloud's names."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.worker import Worker

from mockcloud import MockCloud
from tests.cloud.scraping import Metrics, once, scraped
from tests.control.fakes import EAST, WEST

CALLS = "temporal_cloud_v1_service_request_count"
ERRORS = "temporal_cloud_v1_service_error_count"


@activity.defn(name="pack")
async def pack() -> None:
    pass


@workflow.defn(name="order", sandboxed=False)
class Order:
    @workflow.run
    async def run(self, end: str) -> None:
        if end == "again":
            workflow.continue_as_new("fine")
        if end == "fail":
            raise ApplicationError("no stock")
        if end == "child":
            await workflow.execute_child_workflow("order", "fine")
        if end == "wait":
            await asyncio.Event().wait()
        await workflow.execute_activity(pack, start_to_close_timeout=timedelta(seconds=10))


class Region:
    """The metrics of the namespace `default` in one region; counts are for the minute."""

    def __init__(self, cloud: MockCloud, metrics: Metrics, region: str = EAST) -> None:
        account = cloud.cloud.settings.account
        self.base = {"temporal_namespace": "default", "temporal_account": account, "region": region}
        self.metrics = metrics

    def count(self, name: str, **labels: str) -> int | None:
        """None: it is not there."""
        try:
            rate = self.metrics(name, **self.base, **labels)
        except KeyError:
            return None
        assert rate * 60 == pytest.approx(round(rate * 60))
        return round(rate * 60)

    def seconds(self, name: str, **labels: str) -> list[float]:
        return [self.metrics(f"{name}_p{rank}", **self.base, **labels) for rank in (50, 95, 99)]


async def test_calls_errors_and_latencies_of_a_client(mockcloud: MockCloud) -> None:
    client = await mockcloud.namespace("default").client()
    began = time.perf_counter()
    for number in range(3):
        await client.start_workflow("order", "fine", id=f"w-{number}", task_queue="nobody")
    took = time.perf_counter() - began
    for unknown in ("a", "b"):
        with pytest.raises(RPCError):
            await client.get_workflow_handle(unknown).describe()
    await client.get_workflow_handle("w-0").describe()

    region = Region(mockcloud, await scraped(mockcloud))
    assert region.count(CALLS, operation="StartWorkflowExecution") == 3
    assert region.count(ERRORS, operation="StartWorkflowExecution") == 0
    assert region.count(CALLS, operation="DescribeWorkflowExecution") == 3
    assert region.count(ERRORS, operation="DescribeWorkflowExecution") == 2
    latencies = region.seconds("temporal_cloud_v1_service_latency", operation="StartWorkflowExecution")
    assert 0 < latencies[0] <= latencies[1] <= latencies[2] < took * 1.05
    assert region.count(CALLS, operation="SignalWorkflowExecution") is None, "nobody called it"


async def test_a_forwarded_call_counts_once_where_the_client_called(mockcloud: MockCloud) -> None:
    client = await mockcloud.namespace("default").client(region=WEST)
    await client.start_workflow("order", "fine", id="w", task_queue="nobody")
    with pytest.raises(RPCError):
        await client.get_workflow_handle("unknown").signal("hello")

    metrics = await scraped(mockcloud)
    west, east = Region(mockcloud, metrics, WEST), Region(mockcloud, metrics, EAST)
    for operation, errors in (("StartWorkflowExecution", 0), ("SignalWorkflowExecution", 1)):
        assert west.count(CALLS, operation=operation) == 1
        assert west.count(ERRORS, operation=operation) == errors
        assert east.count(CALLS, operation=operation) is None


async def test_a_call_of_an_unknown_namespace_is_nobodys(mockcloud: MockCloud) -> None:
    client = await Client.connect(mockcloud.region(EAST).address, namespace="nowhere")
    with pytest.raises(RPCError):
        await client.start_workflow("order", "fine", id="w", task_queue="nobody")
    metrics = await scraped(mockcloud)
    assert not [labels for name, labels in metrics.values if ("temporal_namespace", "nowhere") in labels]


async def test_how_runs_end_and_how_long_they_take(mockcloud: MockCloud) -> None:
    client = await mockcloud.namespace("default").client()
    async with Worker(client, task_queue="orders", workflows=[Order], activities=[pack]):
        await client.execute_workflow("order", "again", id="again", task_queue="orders")
        await client.execute_workflow("order", "child", id="child", task_queue="orders")
        with pytest.raises(WorkflowFailureError):
            await client.execute_workflow("order", "fail", id="fail", task_queue="orders")
        for end in ("cancel", "terminate"):
            handle = await client.start_workflow("order", "wait", id=end, task_queue="orders")
            await (handle.cancel() if end == "cancel" else handle.terminate())
            with pytest.raises(WorkflowFailureError):
                await handle.result()
    with pytest.raises(WorkflowFailureError):
        await client.execute_workflow(
            "order", "wait", id="late", task_queue="orders", run_timeout=timedelta(milliseconds=50)
        )
    await mockcloud.namespace("default").replicated()

    metrics = await scraped(mockcloud)
    region = Region(mockcloud, metrics)
    for end in ("success", "failed", "cancel", "terminate", "timeout", "continued_as_new"):
        name = f"temporal_cloud_v1_workflow_{end}_count"
        labels = {"temporal_task_queue": "orders", "temporal_workflow_type": "order"}
        assert region.count(name, **labels) == (3 if end == "success" else 1), end
        assert Region(mockcloud, metrics, WEST).count(name, **labels) is None, (
            "it was closed in the other region"
        )
    latencies = region.seconds(
        "temporal_cloud_v1_workflow_schedule_to_close_latency", temporal_workflow_type="order"
    )
    assert latencies[2] >= 0.05 * 0.95, "the slowest one had timed out"
    assert latencies == sorted(latencies)
    waits = region.count(CALLS, operation="PollWorkflowExecutionHistory")
    assert waits, "results are waited for"
    assert region.count(CALLS, operation="GetWorkflowExecutionHistory") is None


@pytest.mark.mockcloud(dynamic_config={"matching.longPollExpirationInterval": "200ms"})
async def test_polls_of_a_worker_that_get_a_task_and_that_wait_in_vain(mockcloud: MockCloud) -> None:
    client = await mockcloud.namespace("default").client()
    workflows = {"operation": "PollWorkflowTaskQueue", "task_type": "workflow"}
    activities = {"operation": "PollActivityTaskQueue", "task_type": "activity"}

    def polls(metrics: Metrics, end: str, queue: str, labels: dict[str, str]) -> int:
        name = f"temporal_cloud_v1_poll_{end}_count"
        return Region(mockcloud, metrics).count(name, temporal_task_queue=queue, **labels) or 0

    async with Worker(
        client,
        task_queue="orders",
        workflows=[Order],
        activities=[pack],
        disable_eager_activity_execution=True,
    ):
        await client.execute_workflow("order", "fine", id="w", task_queue="orders")
        found = await scraped(mockcloud)
        await once(mockcloud, lambda metrics: polls(metrics, "timeout", "orders", workflows) > 0)
    assert polls(found, "success", "orders", workflows) == 1
    assert polls(found, "success", "__sticky__", workflows) == 1
    assert polls(found, "success", "orders", activities) == 1
    assert polls(found, "success_sync", "orders", activities) <= 1
