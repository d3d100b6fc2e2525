"""Queries as an unmodified SDK client and worker see them; the words are the real server's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import QueryWorkflowRequest
from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.common import QueryRejectCondition
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from mockcloud.core.errors import Code
from mockcloud.core.limits import Limits
from mockcloud.core.run import RunKey
from tests.support import Site, grpc_address, open_sites, refusal

QUEUE = "queue"
SOON = timedelta(seconds=10)
HOLD = threading.Event()  # a workflow task that is held up by its code


@workflow.defn
class Counter:
    """Counts signals until told to end."""

    def __init__(self) -> None:
        self._count = 0
        self._closed = False

    @workflow.run
    async def run(self, mode: str) -> int:
        if mode == "again":
            workflow.continue_as_new("wait")
        if mode == "broken":
            raise RuntimeError("a bug")
        await workflow.wait_condition(lambda: self._closed)
        return self._count

    @workflow.signal
    def add(self) -> None:
        self._count += 1

    @workflow.signal
    def hold(self) -> None:
        HOLD.wait(1.9)  # a worker takes longer for a deadlock
        self._count += 1

    @workflow.signal
    def close(self) -> None:
        self._closed = True

    @workflow.query
    def count(self) -> int:
        return self._count

    @workflow.query
    def broken(self) -> int:
        raise ValueError("oops")


@pytest.fixture
async def client(site: Site) -> AsyncIterator[Client]:
    async with grpc_address(site) as address:
        yield await Client.connect(address)


def worker(client: Client, **options: Any) -> Worker:
    return Worker(
        client,
        task_queue=QUEUE,
        workflows=[Counter],
        workflow_runner=UnsandboxedWorkflowRunner(),
        **options,
    )


async def start(client: Client, mode: str = "wait", **options: Any) -> WorkflowHandle[Any, int]:
    return await client.start_workflow(Counter.run, mode, id="w", task_queue=QUEUE, **options)


async def refused(handle: WorkflowHandle[Any, Any], **options: Any) -> tuple[RPCStatusCode, str]:
    with pytest.raises(RPCError) as caught:
        await handle.query(Counter.count, rpc_timeout=SOON, **options)
    return caught.value.status, caught.value.message


async def happened(handle: WorkflowHandle[Any, Any], name: str) -> None:
    async for event in handle.fetch_history_events(wait_new_event=True):
        if event.event_type == EventType.Value(f"EVENT_TYPE_{name}"):
            return


async def test_what_is_not_there(client: Client) -> None:
    assert await refused(client.get_workflow_handle("w")) == (
        RPCStatusCode.NOT_FOUND,
        "workflow not found for ID: w",
    )
    run_id = "01a21e5d-357b-71c1-885b-2c56133ea571"
    assert await refused(client.get_workflow_handle("w", run_id=run_id)) == (
        RPCStatusCode.NOT_FOUND,
        f'workflow execution not found for workflow ID "w" and run ID "{run_id}"',
    )


async def test_what_can_have_no_answer(client: Client) -> None:
    handle = await start(client, start_delay=timedelta(minutes=1))
    assert await refused(handle) == (RPCStatusCode.FAILED_PRECONDITION, "Workflow task is not scheduled yet.")
    await handle.terminate()
    assert await refused(handle) == (
        RPCStatusCode.FAILED_PRECONDITION,
        "Workflow execution closed before WorkflowTaskStarted event",
    )


async def test_a_failing_workflow_task_fails_queries(client: Client) -> None:
    async with worker(client):
        handle = await start(client, "broken", task_timeout=timedelta(milliseconds=300))
        async with asyncio.timeout(10):
            while (await handle.describe()).raw_description.pending_workflow_task.attempt < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await refused(handle) == (
            RPCStatusCode.FAILED_PRECONDITION,
            "Unable to query workflow due to Workflow Task in failed state.",
        )


async def test_a_query_sees_every_signal_before_it(client: Client) -> None:
    async with worker(client):
        handle = await start(client)
        for number in range(1, 11):
            await handle.signal(Counter.add)
            assert await handle.query(Counter.count) == number


@pytest.mark.parametrize("cached", [0, 10])
async def test_what_a_worker_answers(client: Client, cached: int) -> None:
    async with worker(client, max_cached_workflows=cached):
        handle = await start(client)
        assert await handle.query(Counter.count) == 0
        with pytest.raises(WorkflowQueryFailedError, match="oops"):
            await handle.query(Counter.broken)
        with pytest.raises(
            WorkflowQueryFailedError, match="Query handler for 'nothing' expected but not found"
        ):
            await handle.query("nothing")


async def test_closed_runs_and_what_rejects_them(client: Client) -> None:
    not_open, not_cleanly = QueryRejectCondition.NOT_OPEN, QueryRejectCondition.NOT_COMPLETED_CLEANLY
    async with worker(client):
        done = await start(client)
        await done.signal(Counter.close)
        await done.result()
        assert await done.query(Counter.count) == 0
        assert await done.query(Counter.count, reject_condition=not_cleanly) == 0
        with pytest.raises(WorkflowQueryRejectedError):
            await done.query(Counter.count, reject_condition=not_open)

        ended = await start(client)
        assert await ended.query(Counter.count, reject_condition=not_open) == 0
        await ended.terminate()
        assert await ended.query(Counter.count) == 0
        with pytest.raises(WorkflowQueryRejectedError):
            await ended.query(Counter.count, reject_condition=not_cleanly)


async def test_after_continue_as_new_each_run_answers(client: Client) -> None:
    async with worker(client):
        first = await start(client, "again")
        current = client.get_workflow_handle("w")
        async with asyncio.timeout(10):
            while (await current.describe()).run_id == first.first_execution_run_id:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await current.signal(Counter.add)
        assert await current.query(Counter.count) == 1
        old = client.get_workflow_handle("w", run_id=first.first_execution_run_id)
        assert await old.query(Counter.count) == 0


async def test_several_at_once_of_an_idle_run(client: Client) -> None:
    async with worker(client):
        handle = await start(client)
        await handle.signal(Counter.add)
        assert await handle.query(Counter.count) == 1
        assert await asyncio.gather(*(handle.query(Counter.count) for _ in range(20))) == [1] * 20


async def test_several_at_once_on_one_workflow_task(tmp_path: Path) -> None:
    """While a task is under way queries wait for it, and see what it did."""
    limits = replace(Limits(), buffered_queries=3)
    HOLD.clear()
    async with open_sites(tmp_path, limits=limits) as sites:
        site = sites["A"]
        await site.register("default")
        async with grpc_address(site) as address:
            client = await Client.connect(address)
            async with worker(client):
                handle = await start(client)
                assert await handle.query(Counter.count) == 0
                await handle.signal(Counter.hold)
                await happened(handle, "WORKFLOW_EXECUTION_SIGNALED")
                asked = [asyncio.ensure_future(handle.query(Counter.count)) for _ in range(3)]
                async with asyncio.timeout(10):
                    while len(site.region.queries.attached(_key(site, handle))) < 3:  # noqa: ASYNC110
                        await asyncio.sleep(0.005)
                one_more = QueryWorkflowRequest(
                    namespace="default",
                    execution=WorkflowExecution(workflow_id="w"),
                    query=WorkflowQuery(query_type="count"),
                )
                error = await refusal(site.call(one_more))
                assert error is not None
                assert (error.code, error.message) == (
                    Code.RESOURCE_EXHAUSTED,
                    (
                        "consistent query buffer is full, this may be caused by too many queries and workflow not "
                        "able to process query fast enough"
                    ),
                )
                HOLD.set()
                assert await asyncio.gather(*asked) == [1, 1, 1]


def _key(site: Site, handle: WorkflowHandle[Any, Any]) -> RunKey:
    namespace = site.region.namespaces.by_name("default")
    return RunKey(namespace.id, handle.id, handle.first_execution_run_id or "")
