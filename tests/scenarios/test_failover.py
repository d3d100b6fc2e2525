"""Scenarios of a failover between healthy regions, by number. Those with `journey` run there, and there and back."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import Payload, Payloads, RetryPolicy, WorkflowExecution
from temporalio.api.enums.v1 import (
    ReplicationState,
    TaskQueueKind,
    TimeoutType,
    WorkflowIdConflictPolicy,
    WorkflowIdReusePolicy,
    WorkflowTaskFailedCause,
)
from temporalio.api.errordetails.v1 import WorkflowExecutionAlreadyStartedFailure
from temporalio.api.taskqueue.v1 import StickyExecutionAttributes, TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    RecordActivityTaskHeartbeatRequest,
    RespondActivityTaskCompletedRequest,
    RespondWorkflowTaskCompletedRequest,
    RespondWorkflowTaskFailedRequest,
    TerminateWorkflowExecutionRequest,
)
from temporalio.client import WorkflowHandle

from mockcloud.core import times
from mockcloud.core.limits import Limits
from tests.scenarios.stage import (
    COMPLETE,
    EAST,
    WEST,
    Caller,
    Stage,
    detail,
    of_type,
    opened,
    refused,
    schedule_activity,
    types,
)
from tests.scenarios.workflows import QUEUE, Echo, Inbox, Relay, Sleeper, greeted, worker

GONE = "invalid activityID or activity already timed out or invoking workflow is completed"


async def test_01_namespace_failover(journey: Stage) -> None:
    await journey.switch()

    for region in (EAST, WEST):
        shown = await journey.at(region).describe_namespace()
        assert shown.is_global_namespace
        assert shown.failover_version == journey.versions[-1]
        assert shown.replication_config.active_cluster_name == journey.new
        assert shown.replication_config.state == ReplicationState.REPLICATION_STATE_NORMAL
        # As a switch that is issued at the target leaves it (recording 11c).
        assert [entry.failover_version for entry in shown.failover_history] == journey.versions[1:]
    client = await journey.client()
    async with worker(client):
        handle = await client.start_workflow(Echo.run, "there", id="w", task_queue=QUEUE)
        assert await handle.result() == "there"
    run = await journey.only_run("w")
    assert {event.version for event in run.events} == {journey.versions[-1]}


async def test_02_simple_workflow(journey: Stage) -> None:
    client = await journey.client()
    clients = {region: await journey.client(region) for region in (EAST, WEST)}
    async with worker(client):
        handle = await client.start_workflow(Inbox.run, "all", id="w", task_queue=QUEUE)
        await greeted(handle)
        await handle.signal(Inbox.deliver, "first")
        assert await handle.query(Inbox.letters) == ["hello all", "first"]
        written = len((await journey.only_run("w")).events)

        await journey.switch()

        await handle.signal(Inbox.deliver, "second")
        for at_region in clients.values():
            there = at_region.get_workflow_handle("w")
            assert await there.query(Inbox.letters) == ["hello all", "first", "second"]
        await handle.signal(Inbox.close)
        assert await handle.result() == ["hello all", "first", "second"]
        for at_region in clients.values():
            there = at_region.get_workflow_handle("w")
            assert await there.query(Inbox.letters) == ["hello all", "first", "second"]
    run = await journey.only_run("w")
    assert run.status == "COMPLETED"
    assert len(run.branches) == 1
    versions = [event.version for event in run.events]
    assert versions == [1] * written + [journey.versions[-1]] * (len(versions) - written)


async def test_03_sticky_workflow_task(stage: Stage) -> None:
    """1 → 2 → 11; in each the task leaves the sticky queue once, and then sticks again."""
    client = await stage.client()
    async with worker(client):
        handle = await client.start_workflow(Inbox.run, "all", id="w", task_queue=QUEUE)
        await greeted(handle)
        for region in (EAST, WEST, EAST):
            await stage.failover(region)
            for _ in range(2):
                await handle.signal(Inbox.deliver, region)
                await handle.query(Inbox.letters)  # it is answered when the signal's task has completed
        await handle.signal(Inbox.close)
        result = await handle.result()
    assert result == ["hello all", EAST, EAST, WEST, WEST, EAST, EAST]
    run = await stage.only_run("w")
    kinds = [
        (event.version, event.workflow_task_scheduled_event_attributes.task_queue.kind)
        for event in of_type(run.events, "WORKFLOW_TASK_SCHEDULED")
    ]
    sticky, normal = TaskQueueKind.TASK_QUEUE_KIND_STICKY, TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    assert kinds == [
        *[(1, normal), (1, sticky), (1, sticky), (1, sticky)],  # start, activity, two signals
        *[(2, normal), (2, sticky)],
        *[(11, normal), (11, sticky), (11, sticky)],
    ]
    assert len(of_type(run.events, "WORKFLOW_TASK_COMPLETED")) == len(kinds)


async def test_03_sticky_workflow_task_not_started_at_the_switch(journey: Stage) -> None:
    """It keeps its event, and is dispatched on the normal queue with the whole history."""
    old = journey.at(EAST)
    await old.start("w")
    sticky = TaskQueue(name="sticky", kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY, normal_name=QUEUE)
    attributes = StickyExecutionAttributes(
        worker_task_queue=sticky, schedule_to_start_timeout=Duration(seconds=60)
    )
    task = await old.poll()
    await old.call(
        RespondWorkflowTaskCompletedRequest(task_token=task.task_token, sticky_attributes=attributes)
    )
    await old.signal("w", "s")

    await journey.switch()

    moved = await journey.at(journey.new).poll()
    assert moved.attempt == 1
    assert [event.event_id for event in moved.history.events] == list(range(1, 8))
    await journey.at(journey.new).complete(moved, COMPLETE)
    run = await journey.only_run("w")
    assert types(run.events)[4:] == [
        ("WORKFLOW_EXECUTION_SIGNALED", 1),
        ("WORKFLOW_TASK_SCHEDULED", 1),
        ("WORKFLOW_TASK_STARTED", journey.versions[-1]),
        ("WORKFLOW_TASK_COMPLETED", journey.versions[-1]),
        ("WORKFLOW_EXECUTION_COMPLETED", journey.versions[-1]),
    ]
    assert run.events[5].workflow_task_scheduled_event_attributes.task_queue.name == "sticky"


async def test_04_id_reuse_policy(journey: Stage) -> None:
    before = journey.at(EAST)
    completed = await before.start("completed")
    await before.work(COMPLETE)
    terminated = await before.start("terminated")
    await before.call(
        TerminateWorkflowExecutionRequest(workflow_execution=WorkflowExecution(workflow_id="terminated"))
    )
    running = await before.start("running")

    await journey.switch()

    after = journey.at()
    allow, failed_only, reject = (
        WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
        WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY,
        WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
    )
    for workflow_id, run_id, policy in (
        ("completed", completed, reject),
        ("completed", completed, failed_only),
        ("terminated", terminated, reject),
        ("running", running, allow),
    ):
        error = await refused(after.start(workflow_id, workflow_id_reuse_policy=policy, request_id="other"))
        assert error.code() is grpc.StatusCode.ALREADY_EXISTS
        failure = detail(error, WorkflowExecutionAlreadyStartedFailure)
        assert failure is not None
        assert failure.run_id == run_id
    using = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
    assert await after.start("running", workflow_id_conflict_policy=using, request_id="x") == running
    again = await after.start("completed", workflow_id_reuse_policy=allow)
    once_more = await after.start("terminated", workflow_id_reuse_policy=failed_only)
    terminating = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
    newest = await after.start("running", workflow_id_conflict_policy=terminating, request_id="y")

    for workflow_id, old, new in (
        ("completed", completed, again),
        ("terminated", terminated, once_more),
        ("running", running, newest),
    ):
        runs = await journey.settled(workflow_id)
        assert (runs[0].run_id, runs[0].status) == (new, "RUNNING")
        assert [run.run_id for run in runs][1:] == [old]
    runs = await journey.settled("running")
    assert types(runs[1].events)[-1] == ("WORKFLOW_EXECUTION_TERMINATED", journey.versions[-1])


async def test_05_terminate(journey: Stage) -> None:
    await journey.at(EAST).start("w")
    await journey.switch()

    await journey.at().call(
        TerminateWorkflowExecutionRequest(
            workflow_execution=WorkflowExecution(workflow_id="w"), reason="enough", identity="tester"
        )
    )

    run = await journey.only_run("w")
    assert run.status == "TERMINATED"
    assert types(run.events) == [
        ("WORKFLOW_EXECUTION_STARTED", 1),
        ("WORKFLOW_TASK_SCHEDULED", 1),
        ("WORKFLOW_EXECUTION_TERMINATED", journey.versions[-1]),
    ]
    replicated = (await journey.at(journey.old).events("w"))[-1]
    assert replicated.workflow_execution_terminated_event_attributes.reason == "enough"
    assert replicated.workflow_execution_terminated_event_attributes.identity == "tester"


@pytest.fixture(params=[(WEST,), (WEST, EAST)], ids=["1_2", "19_failback_1_2_11"])
async def brisk(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """A cloud whose chains may continue as new as fast as they like."""
    limits = Limits(continue_as_new_minimum_interval=times.MILLISECOND)
    async with opened(route=request.param, limits=limits) as stage:
        yield stage


async def test_07_continue_as_new(brisk: Stage) -> None:
    legs = 2 * len(brisk.versions)
    client = await brisk.client()
    async with worker(client):
        handle = await client.start_workflow(Relay.run, args=[1, legs], id="w", task_queue=QUEUE)
        leg = 1
        for region in (EAST, *brisk.route):
            await brisk.failover(region)
            for _ in range(2):
                if leg < legs:
                    await hand_over_baton(client.get_workflow_handle("w"))
                    leg += 1
        assert await handle.result() == legs

    runs = await brisk.settled("w")
    by_first = {run.run_id: run for run in runs}
    chain = [next(run for run in runs if run.run_id == handle.first_execution_run_id)]
    while chain[-1].status == "CONTINUED_AS_NEW":
        attributes = chain[-1].events[-1].workflow_execution_continued_as_new_event_attributes
        chain.append(by_first[attributes.new_execution_run_id])
    assert len(chain) == len(runs) == legs
    assert chain[-1].status == "COMPLETED"
    assert chain[-1].current
    started = [run.events[0].version for run in chain]
    assert started == sorted(started)
    assert set(started) == set(brisk.versions)
    closed = [run.events[-1].version for run in chain]
    assert closed == sorted(closed)
    for earlier, later in itertools.pairwise(chain):
        start = later.events[0].workflow_execution_started_event_attributes
        assert start.continued_execution_run_id == earlier.run_id
        assert start.first_execution_run_id == chain[0].run_id


async def hand_over_baton(handle: WorkflowHandle[object, object]) -> None:
    """Signal the present run and wait until it has continued as new."""
    run_id = (await handle.describe()).run_id
    present = handle._client.get_workflow_handle("w", run_id=run_id)
    await present.signal(Relay.baton)
    async for _ in present.fetch_history_events(wait_new_event=True, event_filter_type=2):  # type: ignore[arg-type]
        pass


async def test_08_signals_before_during_and_after(journey: Stage) -> None:
    client = await journey.client()
    async with worker(client):
        handle = await client.start_workflow(Inbox.run, "all", id="w", task_queue=QUEUE)
        sent: list[str] = []
        enough, some = asyncio.Event(), asyncio.Semaphore(0)

        async def send() -> None:
            while not enough.is_set():
                await handle.signal(Inbox.deliver, str(len(sent)))
                sent.append(str(len(sent)))
                some.release()

        sending = asyncio.create_task(send())
        for _ in range(5):
            await some.acquire()
        await journey.switch()
        after = len(sent) + 5
        while len(sent) < after:
            await some.acquire()
        enough.set()
        await sending
        # What waited in the old region's buffer at the switch comes after what followed it, reapplied.
        await journey.namespace.replicated()
        await handle.signal(Inbox.close)
        assert sorted(await handle.result()) == sorted(["hello all", *sent])
    run = await journey.only_run("w")
    written = of_type(run.events, "WORKFLOW_EXECUTION_SIGNALED")
    assert len(written) == len(sent) + 1
    assert {written[0].version, written[-1].version} == {1, journey.versions[-1]}


@pytest.mark.serial
async def test_09_user_timer(journey: Stage) -> None:
    client = await journey.client()
    async with worker(client):
        handle = await client.start_workflow(Sleeper.run, 0.8, id="w", task_queue=QUEUE)
        assert await handle.query(Sleeper.asleep)
        await journey.switch()
        assert await handle.result() == "awake"
    run = await journey.only_run("w")
    (started,), (fired,) = of_type(run.events, "TIMER_STARTED"), of_type(run.events, "TIMER_FIRED")
    assert (started.version, fired.version) == (1, journey.versions[-1])
    late = fired.event_time.ToNanoseconds() - started.event_time.ToNanoseconds() - 800 * times.MILLISECOND
    assert 0 <= late < times.SECOND


@pytest.mark.parametrize("given", ["scheduled", "started"])
async def test_10_transient_workflow_task(journey: Stage, given: str) -> None:
    """It has failed; its second attempt waits, or is with a worker, at the switch."""
    old = journey.at(EAST)
    await old.start("w")
    task = await old.poll()
    cause = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE
    await old.call(RespondWorkflowTaskFailedRequest(task_token=task.task_token, cause=cause))
    if given == "started":
        task = await old.poll()
        assert task.attempt == 2

    await journey.switch()

    new = journey.at(journey.new)
    if given == "started":
        error = await refused(new.call(RespondWorkflowTaskCompletedRequest(task_token=task.task_token)))
        assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "Workflow task not found.")
    task = await new.poll()
    assert task.attempt == 1
    assert types(list(task.history.events))[-1] == ("WORKFLOW_TASK_STARTED", journey.versions[-1])
    await new.complete(task, COMPLETE)
    run = await journey.only_run("w")
    assert run.status == "COMPLETED"
    assert types(run.events)[3:] == [
        ("WORKFLOW_TASK_FAILED", 1),
        # A region that is active again ends its own started task under the version that it last wrote.
        (
            "WORKFLOW_TASK_SCHEDULED",
            1 if given == "started" and journey.new == EAST else journey.versions[-1],
        ),
        ("WORKFLOW_TASK_STARTED", journey.versions[-1]),
        ("WORKFLOW_TASK_COMPLETED", journey.versions[-1]),
        ("WORKFLOW_EXECUTION_COMPLETED", journey.versions[-1]),
    ]


def said(text: str) -> Payloads:
    return Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=f'"{text}"'.encode())])


async def heartbeaten(stage: Stage, attempts: int = 0) -> Caller:
    """An activity with a short heartbeat time-out has heartbeat `half way` before the switch."""
    old = stage.at(EAST)
    await old.start("w")
    quick = Duration(nanos=500 * times.MILLISECOND)
    policy = RetryPolicy(maximum_attempts=attempts)
    await old.work(schedule_activity(heartbeat_timeout=quick, retry_policy=policy))
    task = await old.poll_activity()
    await old.call(RecordActivityTaskHeartbeatRequest(task_token=task.task_token, details=said("half way")))
    await stage.switch()
    new = stage.at(stage.new)
    request = DescribeWorkflowExecutionRequest(execution=WorkflowExecution(workflow_id="w"))
    (pending,) = (await new.ask(request, DescribeWorkflowExecutionResponse)).pending_activities
    assert pending.heartbeat_details == said("half way")
    assert pending.attempt == 1
    return new


async def test_12_activity_heartbeat(journey: Stage) -> None:
    """The worker is gone; attempt 2, in the new region, gets what attempt 1 has said in the old one."""
    new = await heartbeaten(journey)

    task = await new.poll_activity()

    assert task.attempt == 2
    assert task.heartbeat_details == said("half way")
    await new.call(RespondActivityTaskCompletedRequest(task_token=task.task_token, result=said("whole")))
    await new.work(COMPLETE)
    run = await journey.only_run("w")
    (started,) = of_type(run.events, "ACTIVITY_TASK_STARTED")
    attributes = started.activity_task_started_event_attributes
    assert (started.version, attributes.attempt) == (journey.versions[-1], 2)
    assert attributes.last_failure.timeout_failure_info.timeout_type == TimeoutType.TIMEOUT_TYPE_HEARTBEAT


async def test_12_activity_heartbeat_at_the_last_attempt(journey: Stage) -> None:
    """The time-out of the new region tells what the worker has said in the old one."""
    new = await heartbeaten(journey, attempts=1)

    await new.work(COMPLETE)

    run = await journey.only_run("w")
    (event,) = of_type(run.events, "ACTIVITY_TASK_TIMED_OUT")
    assert event.version == journey.versions[-1]
    info = event.activity_task_timed_out_event_attributes.failure.timeout_failure_info
    assert info.timeout_type == TimeoutType.TIMEOUT_TYPE_HEARTBEAT
    assert info.last_heartbeat_details == said("half way")


async def test_13_activity_completed_through_the_old_region(journey: Stage) -> None:
    """Its start has replicated: the completion is accepted, and Started is the old worker's."""
    old = journey.at(EAST)
    await old.start("w")
    await old.work(schedule_activity())
    task = await old.poll_activity()

    await journey.switch()

    await journey.at(journey.old).call(
        RespondActivityTaskCompletedRequest(task_token=task.task_token, result=said("done"))
    )
    await journey.at(journey.new).work(COMPLETE)
    run = await journey.only_run("w")
    (started,) = of_type(run.events, "ACTIVITY_TASK_STARTED")
    assert started.version == journey.versions[-1]
    assert started.activity_task_started_event_attributes.identity == "raw worker"
    (completed,) = of_type(run.events, "ACTIVITY_TASK_COMPLETED")
    assert completed.activity_task_completed_event_attributes.result == said("done")


async def test_13_activity_whose_start_has_not_replicated(stage: Stage) -> None:
    """It is dispatched again as attempt 1; the old worker's completion finds nothing."""
    old, new = stage.at(EAST), stage.at(WEST)
    await old.start("w")
    await old.work(schedule_activity())
    await stage.namespace.replicated()
    cut = stage.cloud.link(EAST, WEST).partition()
    lost = await old.poll_activity()

    await stage.failover(WEST, forced=True)

    again = await new.poll_activity()
    assert (again.activity_id, again.attempt) == ("a", 1)
    cut.remove()
    await stage.namespace.replicated()
    error = await refused(old.call(RespondActivityTaskCompletedRequest(task_token=lost.task_token)))
    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, GONE)
    await new.call(RespondActivityTaskCompletedRequest(task_token=again.task_token, result=said("again")))
    await new.work(COMPLETE)
    run = await stage.only_run("w")
    (completed,) = of_type(run.events, "ACTIVITY_TASK_COMPLETED")
    assert completed.version == 2
    assert completed.activity_task_completed_event_attributes.result == said("again")


@pytest.mark.parametrize("forced", [False, True], ids=["graceful", "forced"])
async def test_18_start_retried(journey: Stage, forced: bool) -> None:
    run_id = await journey.at(EAST).start("w", request_id="the same")
    await journey.namespace.replicated()
    for region in journey.route:
        await journey.failover(region, forced=forced)

    for place in (None, EAST, WEST):
        assert await journey.at(place).start("w", request_id="the same") == run_id

    run = await journey.only_run("w")
    assert run.run_id == run_id
    assert len(run.events) == 2


async def test_19_failover_to_the_active_region_changes_nothing(stage: Stage) -> None:
    client = await stage.client()
    async with worker(client):
        handle = await client.start_workflow(Inbox.run, "all", id="w", task_queue=QUEUE)
        await handle.query(Inbox.letters)
        for region, version in ((EAST, 1), (WEST, 2), (EAST, 11)):
            await stage.failover(region)
            before = (await stage.only_run("w")).events
            described = await stage.at(region).describe_namespace()

            for forced in (False, True):
                operation = await stage.failover(region, forced=forced)
                assert operation.mode == "none"

            assert (await stage.only_run("w")).events == before
            assert await stage.at(region).describe_namespace() == described
            assert described.failover_version == version
        await handle.signal(Inbox.close)
        await handle.result()
    assert (await stage.only_run("w")).events[-1].version == 11
