"""Scenarios 46 and 47: Workers of the passive region whose polls are not forwarded; and the setting `selected`."""

from __future__ import annotations

import asyncio
import time

import grpc
import pytest
from google.protobuf.message import Message
from temporalio.api.errordetails.v1 import NamespaceNotActiveFailure
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollNexusTaskQueueRequest,
    PollWorkflowTaskQueueRequest,
    RecordActivityTaskHeartbeatRequest,
    RespondActivityTaskCompletedRequest,
)
from temporalio.service import RPCError, RPCStatusCode

from tests.scenarios.stage import (
    COMPLETE,
    EAST,
    LOCALLY,
    NORMAL_QUEUE,
    WEST,
    detail,
    opened,
    refused,
    schedule_activity,
    signals,
    types,
)
from tests.scenarios.workflows import QUEUE, Echo, Inbox, greeted, worker

STANDING_BY = 90  # seconds; a Worker of the SDK gives up refused polls after about a minute
POLLS = [PollActivityTaskQueueRequest, PollNexusTaskQueueRequest, PollWorkflowTaskQueueRequest]


@pytest.mark.serial
@pytest.mark.timeout(180)
async def test_46_a_standby_worker_stays_alive_and_takes_the_first_task() -> None:
    """It has waited for longer than a Worker bears to be refused; its region turns active, and it works at once."""
    async with opened(passive_polls="hold") as stage:
        west = await stage.client(WEST)
        standby = worker(west)
        running = asyncio.create_task(standby.run())
        try:
            await stage.at(WEST).polled()
            done, _ = await asyncio.wait({running}, timeout=STANDING_BY)
            assert not done, "the Worker has ended"

            await stage.failover(WEST)

            begun = time.perf_counter()
            assert await west.execute_workflow(Echo.run, "1", id="w", task_queue=QUEUE) == "1"
            assert time.perf_counter() - begun < 1
        finally:
            await standby.shutdown()
            await running
        run = await stage.only_run("w")
        assert {event.version for event in run.events} == {2}


@pytest.mark.parametrize("kind", POLLS, ids=lambda kind: kind.DESCRIPTOR.name)
async def test_47_polls_are_refused_with_the_detail(kind: type[Message]) -> None:
    async with opened(passive_polls="error") as stage:
        await stage.at(EAST).start("w")
        await stage.namespace.replicated()

        error = await refused(stage.at(WEST).call(kind(task_queue=NORMAL_QUEUE)))

        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert error.details() == (
            f"Namespace: default is active in cluster: {EAST}, "
            f"while current cluster {WEST} is a standby cluster."
        )
        assert detail(error, NamespaceNotActiveFailure) == NamespaceNotActiveFailure(
            namespace="default", current_cluster=WEST, active_cluster=EAST
        )
        # The active region serves its own, and after the switch it is the other way round.
        await stage.at(EAST).work()
        await stage.failover(WEST)
        await stage.at(WEST).signal("w", "s")
        await stage.at(WEST).work()
        error = await refused(stage.at(EAST).call(kind(task_queue=NORMAL_QUEUE)))
        failure = detail(error, NamespaceNotActiveFailure)
        assert failure is not None
        assert (failure.current_cluster, failure.active_cluster) == (EAST, WEST)
        assert len((await stage.only_run("w")).branches) == 1


async def test_46_a_held_poll_serves_queries_and_nothing_else() -> None:
    """The passive region has the workflow, so its Worker can tell of it; the work is the active region's."""
    async with opened(passive_polls="hold") as stage:
        east = await stage.client(EAST)
        west = await stage.client(WEST, rpc_metadata=LOCALLY)
        async with worker(east):
            handle = await east.start_workflow(Inbox.run, "all", id="w", task_queue=QUEUE)
            await greeted(handle)
        await handle.signal(Inbox.deliver, "waits")
        await stage.namespace.replicated()

        there = west.get_workflow_handle("w")
        with pytest.raises(
            RPCError, match="no poller seen for task queue recently, worker may be down"
        ) as caught:
            await there.query(Inbox.letters)
        assert caught.value.status is RPCStatusCode.FAILED_PRECONDITION
        async with worker(west):
            assert await there.query(Inbox.letters) == ["hello all", "waits"]
            run = await stage.only_run("w")
            assert types(run.events)[-1] == ("WORKFLOW_TASK_SCHEDULED", 1), "nobody has taken it"
            await stage.failover(WEST)
            await there.signal(Inbox.close)
            assert await there.result() == ["hello all", "waits"]


async def test_selected_keeps_completions_heartbeats_and_reads_where_they_arrive() -> None:
    """What starts and changes workflows is forwarded; a completion at the passive region is refused, and so is lost."""
    async with opened(redirection="selected") as stage:
        east, west = stage.at(EAST), stage.at(WEST)
        await west.start("w")
        await east.work(schedule_activity())
        task = await east.poll_activity()
        await stage.namespace.replicated()
        cut = stage.cloud.link(EAST, WEST).partition()
        await east.signal("w", "s")

        assert signals(await west.events("w", metadata={})) == [], "the read is a local one, and stale"
        for request in (
            RecordActivityTaskHeartbeatRequest(task_token=task.task_token),
            RespondActivityTaskCompletedRequest(task_token=task.task_token),
        ):
            error = await refused(west.call(request))
            assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
            assert detail(error, NamespaceNotActiveFailure) == NamespaceNotActiveFailure(
                namespace="default", current_cluster=WEST, active_cluster=EAST
            )
        assert (await refused(west.signal("w", "no way"))).code() is grpc.StatusCode.UNAVAILABLE
        cut.remove()
        await west.signal("w", "forwarded")
        # The worker may tell it where the namespace is active.
        await east.call(RespondActivityTaskCompletedRequest(task_token=task.task_token))
        await east.work(COMPLETE)
        run = await stage.only_run("w")
        assert (run.status, signals(run.events)) == ("COMPLETED", ["s", "forwarded"])
