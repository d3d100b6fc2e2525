"""Workers by their own word: an unmodified SDK worker, and raw calls."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio.api.enums.v1 import WorkerStatus
from temporalio.api.worker.v1 import WorkerHeartbeat
from temporalio.api.workflowservice.v1 import (
    CountWorkersRequest,
    CountWorkersResponse,
    DescribeNamespaceRequest,
    DescribeNamespaceResponse,
    DescribeWorkerRequest,
    DescribeWorkerResponse,
    FetchWorkerConfigRequest,
    ListWorkersRequest,
    ListWorkersResponse,
    RecordWorkerHeartbeatRequest,
    ShutdownWorkerRequest,
    UpdateWorkerConfigRequest,
)
from temporalio.client import Client
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import Worker

from mockcloud.core.errors import Code
from tests.frontend.raw_worker import NS
from tests.frontend.sdk_workflows import ACTIVITIES, WORKFLOWS
from tests.support import Site, grpc_address, refusal


async def listed(site: Site, query: str = "", **fields: object) -> ListWorkersResponse:
    return await site.ask(
        ListWorkersRequest(namespace=NS, query=query, **fields),  # type: ignore[arg-type]
        ListWorkersResponse,
    )


async def record(site: Site, key: str, **fields: object) -> None:
    heartbeat = WorkerHeartbeat(worker_instance_key=key, **fields)  # type: ignore[arg-type]
    await site.call(RecordWorkerHeartbeatRequest(namespace=NS, identity="me", worker_heartbeat=[heartbeat]))


async def test_a_worker_of_an_sdk_is_known_and_says_when_it_goes(site: Site) -> None:
    async with grpc_address(site) as address:
        each_second = Runtime(telemetry=TelemetryConfig(), worker_heartbeat_interval=timedelta(seconds=1))
        client = await Client.connect(address, runtime=each_second)
        async with Worker(
            client, task_queue="queue", workflows=WORKFLOWS, activities=ACTIVITIES, identity="the worker"
        ):
            async with asyncio.timeout(10):
                while not (answer := await listed(site, "TaskQueue = 'queue'")).workers:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            (worker,) = answer.workers
            assert worker.worker_identity == "the worker"
            assert worker.sdk_name == "temporal-python"
            assert worker.status == WorkerStatus.WORKER_STATUS_RUNNING
            assert worker.process_id
            described = await site.ask(
                DescribeWorkerRequest(namespace=NS, worker_instance_key=worker.worker_instance_key),
                DescribeWorkerResponse,
            )
            assert (
                described.worker_info.worker_heartbeat.workflow_task_slots_info.slot_supplier_kind == "Fixed"
            )
        (worker,) = (await listed(site)).workers
        assert worker.status == WorkerStatus.WORKER_STATUS_SHUTTING_DOWN, (
            "ShutdownWorker carries its last word"
        )


async def test_lists_counts_and_pages(site: Site) -> None:
    for key in "cab":
        await record(site, key, task_queue="q" if key != "b" else "other")

    first = await listed(site, page_size=2)
    assert [worker.worker_instance_key for worker in first.workers] == ["a", "b"]
    assert [info.worker_heartbeat.worker_instance_key for info in first.workers_info] == ["a", "b"]
    second = await listed(site, page_size=2, next_page_token=first.next_page_token)
    assert [worker.worker_instance_key for worker in second.workers] == ["c"]
    assert not second.next_page_token
    count = await site.ask(CountWorkersRequest(namespace=NS, query="TaskQueue = 'q'"), CountWorkersResponse)
    assert count.count == 2


async def test_a_shut_down_worker_is_gone(site: Site) -> None:
    await record(site, "a")
    gone = WorkerHeartbeat(worker_instance_key="a", status=WorkerStatus.WORKER_STATUS_SHUTDOWN)
    await site.call(ShutdownWorkerRequest(namespace=NS, worker_heartbeat=gone))
    error = await refusal(site.call(DescribeWorkerRequest(namespace=NS, worker_instance_key="a")))
    assert error is not None
    assert (error.code, error.message) == (Code.NOT_FOUND, "Worker a not found")


async def test_workers_take_no_commands(site: Site) -> None:
    for request, name in (
        (FetchWorkerConfigRequest(namespace=NS), "FetchWorkerConfig"),
        (UpdateWorkerConfigRequest(namespace=NS), "UpdateWorkerConfig"),
    ):
        error = await refusal(site.call(request))
        assert error is not None
        assert (error.code, error.message) == (Code.UNIMPLEMENTED, f"{name} command is not enabled.")


async def test_the_namespace_says_so(site: Site) -> None:
    answer = await site.ask(DescribeNamespaceRequest(namespace=NS), DescribeNamespaceResponse)
    told = answer.namespace_info.capabilities
    assert (told.worker_heartbeats, told.poller_autoscaling) == (True, True)
