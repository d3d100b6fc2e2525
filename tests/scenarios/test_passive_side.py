"""Scenarios of the passive side, by number."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.errordetails.v1 import NamespaceNotActiveFailure
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    ListWorkflowExecutionsRequest,
    ListWorkflowExecutionsResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
)
from temporalio.client import WorkflowExecutionStatus

from tests.scenarios.stage import (
    COMPLETE,
    EAST,
    LOCALLY,
    NORMAL_QUEUE,
    SERVICE,
    WEST,
    Caller,
    Stage,
    detail,
    of_type,
    opened,
    refused,
    schedule_activity,
    signals,
    start_timer,
    types,
    until,
)
from tests.scenarios.workflows import QUEUE, Echo, Inbox, Sleeper, greeted, worker

# Semantics §6, by name; every other method of the service is forwarded by default.
LOCAL = {
    "DeprecateNamespace",
    "DescribeNamespace",
    "GetClusterInfo",
    "GetSearchAttributes",
    "GetSystemInfo",
    "ListNamespaces",
    "RegisterNamespace",
    "UpdateNamespace",
}
SELECTED = {
    # workflow executions
    "DeleteWorkflowExecution",
    "ExecuteMultiOperation",
    "PauseWorkflowExecution",
    "QueryWorkflow",
    "RequestCancelWorkflowExecution",
    "ResetWorkflowExecution",
    "SignalWithStartWorkflowExecution",
    "SignalWorkflowExecution",
    "StartWorkflowExecution",
    "TerminateWorkflowExecution",
    "UnpauseWorkflowExecution",
    "UpdateWorkflowExecution",
    # standalone activities
    "DeleteActivityExecution",
    "PauseActivityExecution",
    "RequestCancelActivityExecution",
    "ResetActivityExecution",
    "StartActivityExecution",
    "TerminateActivityExecution",
    "UnpauseActivityExecution",
    "UpdateActivityExecutionOptions",
    # standalone Nexus operations
    "DeleteNexusOperationExecution",
    "RequestCancelNexusOperationExecution",
    "StartNexusOperationExecution",
    "TerminateNexusOperationExecution",
}
ALL = {method.name for method in SERVICE.methods}
POLLS = {"PollActivityTaskQueue", "PollNexusTaskQueue", "PollWorkflowTaskQueue"}
FORWARDED = {"xdc-redirection-api": "true"}
Answer = tuple[grpc.StatusCode, str | None, Message | None]


def request_of(name: str, token: bytes) -> Message:
    """Hardly more than the namespace; a task token where one is asked for."""
    method = SERVICE.methods_by_name[name]
    fields = {"namespace": "default", "task_token": token}
    known = {key: value for key, value in fields.items() if key in method.input_type.fields_by_name}
    return GetMessageClass(method.input_type)(**known)


async def answer_of(call: Awaitable[Message]) -> Answer:
    try:
        return grpc.StatusCode.OK, None, await call
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details(), None


async def each(
    caller: Caller, token: bytes, names: set[str], metadata: dict[str, str] | None = None
) -> dict[str, Answer]:
    """The answers to a call of each method, made one beside the other."""
    ordered = sorted(names)
    calls = (
        answer_of(caller.by_name(name, request_of(name, token), timeout=10, metadata=metadata or {}))
        for name in ordered
    )
    return dict(zip(ordered, await asyncio.gather(*calls), strict=True))


async def a_token(stage: Stage) -> bytes:
    """A task token of the namespace; its task is done."""
    east = stage.at(EAST)
    await east.start("w")
    return (await east.work()).task_token


@pytest.fixture(params=["all", "selected"])
async def policy(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Stage, set[str]]]:
    """A cloud with each redirection policy, and what the passive region forwards under it."""
    async with opened(redirection=request.param) as stage:
        yield stage, SELECTED if request.param == "selected" else ALL - LOCAL


async def test_43_what_is_forwarded(policy: tuple[Stage, set[str]]) -> None:
    """Over a cut link, what is forwarded is unavailable at once; the rest does not notice."""
    stage, expected = policy
    token = await a_token(stage)
    await stage.namespace.replicated()
    west = stage.at(WEST)
    stage.cloud.link(EAST, WEST).partition()
    # A poll that stays here would wait; its answer is looked at below.
    asked = ALL - (POLLS - expected)

    answers = await each(west, token, asked)

    unavailable = {name for name, (code, *_) in answers.items() if code is grpc.StatusCode.UNAVAILABLE}
    assert unavailable == expected & asked


async def test_43_local_calls_are_answered(stage: Stage) -> None:
    token = await a_token(stage)
    stage.cloud.link(EAST, WEST).partition()
    answers = await each(stage.at(WEST), token, LOCAL - {"DeprecateNamespace"})
    failed = {name for name, (code, *_) in answers.items() if code is not grpc.StatusCode.OK}
    assert failed == {"RegisterNamespace"}, "it says that its fields are missing"


async def test_43_what_is_forwarded_is_answered_as_by_the_active_region(stage: Stage) -> None:
    """Each method but the polls, which are looked at as 45 and 48."""
    token = await a_token(stage)
    await stage.namespace.replicated()
    names = ALL - LOCAL - POLLS
    here = await each(stage.at(EAST), token, names)
    there = await each(stage.at(WEST), token, names)
    differ = {name: (here[name], there[name]) for name in names if here[name] != there[name]}
    assert not differ


async def test_43_no_forwarding_loop(policy: tuple[Stage, set[str]]) -> None:
    """A call that was forwarded here, where the namespace is not active, is refused with what is known."""
    stage, _ = policy
    token = await a_token(stage)
    await stage.namespace.replicated()
    west = stage.at(WEST)

    answers = await each(west, token, ALL - LOCAL, FORWARDED)

    message = (
        f"Namespace: default is active in cluster: {EAST}, while current cluster {WEST} is a standby cluster."
    )
    expected = (grpc.StatusCode.FAILED_PRECONDITION, message, None)
    assert answers == dict.fromkeys(sorted(ALL - LOCAL), expected)
    error = await refused(west.signal("w", "s", metadata=FORWARDED))
    assert detail(error, NamespaceNotActiveFailure) == NamespaceNotActiveFailure(
        namespace="default", current_cluster=WEST, active_cluster=EAST
    )


async def test_43_one_more_send_where_the_switch_is_news() -> None:
    """C believes in EAST, which has just turned passive and names WEST."""
    south = "aws-sa-east-1"
    async with opened(regions=(EAST, WEST, south)) as stage:
        await stage.at(EAST).start("w")
        await stage.namespace.replicated()
        cuts = [stage.cloud.link(region, south).partition(one_way=True) for region in (EAST, WEST)]
        await stage.failover(WEST)
        assert (await stage.at(south).describe_namespace()).failover_version == 1
        for cut in cuts:
            cut.remove()
        await stage.at(south).signal("w", "s")
        await stage.namespace.replicated()
        assert signals(await stage.at(south).events("w")) == ["s"]


async def test_44_a_local_read_may_be_stale(stage: Stage) -> None:
    east, west = stage.at(EAST), stage.at(WEST)
    describe = DescribeWorkflowExecutionRequest(execution=WorkflowExecution(workflow_id="w"))

    async def length(caller: Caller, metadata: dict[str, str]) -> int:
        answer = await caller.ask(describe, DescribeWorkflowExecutionResponse, metadata=metadata)
        return answer.workflow_execution_info.history_length

    await east.start("w")
    await stage.namespace.replicated()
    cut = stage.cloud.link(EAST, WEST).partition()
    await east.signal("w", "s")
    await east.start("unknown in the west")

    assert (await length(east, {}), await length(west, LOCALLY)) == (3, 2)
    assert len(await west.events("w")) == 2
    everything = ListWorkflowExecutionsRequest()
    listed = await west.ask(everything, ListWorkflowExecutionsResponse, metadata=LOCALLY)
    assert [run.execution.workflow_id for run in listed.executions] == ["w"]
    error = await refused(west.events("unknown in the west"))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert (await refused(length(west, {}))).code() is grpc.StatusCode.UNAVAILABLE
    cut.remove()
    assert await length(west, {}) == 3
    await stage.namespace.replicated()
    assert await length(west, LOCALLY) == 3


async def test_44_writes_stay_refused(stage: Stage) -> None:
    error = await refused(stage.at(WEST).signal("w", "s", metadata=LOCALLY))
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert detail(error, NamespaceNotActiveFailure) == NamespaceNotActiveFailure(
        namespace="default", current_cluster=WEST, active_cluster=EAST
    )


async def test_44_by_a_client_of_the_sdk(stage: Stage) -> None:
    """The header as an application sets it."""
    client = await stage.client()
    local = await stage.client(WEST, rpc_metadata=LOCALLY)
    async with worker(client):
        handle = await client.start_workflow(Inbox.run, "all", id="w", task_queue=QUEUE)
        await greeted(handle)
        await stage.namespace.replicated()
        cut = stage.cloud.link(EAST, WEST).partition()
        await handle.signal(Inbox.close)
        await handle.result()
        described = await local.get_workflow_handle("w").describe()
        assert described.status is WorkflowExecutionStatus.RUNNING
        cut.remove()
        await stage.namespace.replicated()
        described = await local.get_workflow_handle("w").describe()
        assert described.status is WorkflowExecutionStatus.COMPLETED


async def test_45_worker_only_in_the_passive_region(stage: Stage) -> None:
    """It does all the work of the active region, before and after failovers, and answers queries."""
    east, west = await stage.client(EAST), await stage.client(WEST)
    async with worker(west):
        handle = await east.start_workflow(Inbox.run, "all", id="w", task_queue=QUEUE)
        await greeted(handle)
        assert await handle.query(Inbox.letters) == ["hello all"]
        run = await stage.only_run("w")
        assert {event.version for event in run.events} == {1}
        for region in (WEST, EAST):
            await stage.failover(region)
            await handle.signal(Inbox.deliver, region)
        assert await handle.query(Inbox.letters) == ["hello all", WEST, EAST]
        await handle.signal(Inbox.close)
        assert await handle.result() == ["hello all", WEST, EAST]
    run = await stage.only_run("w")
    assert run.events[-1].version == 11


async def test_45_workers_in_both_regions(stage: Stage) -> None:
    """Active/active: each gets some of the work, and nothing is done twice."""
    clients = [await stage.client(region) for region in (EAST, WEST)]
    async with worker(clients[0], identity="east"), worker(clients[1], identity="west"):
        await stage.at(EAST).polled(2)
        count = 40
        texts = [str(number) for number in range(count)]
        results = await asyncio.gather(
            *(
                clients[number % 2].execute_workflow(Echo.run, text, id=text, task_queue=QUEUE)
                for number, text in enumerate(texts)
            )
        )
    assert results == texts
    workers = set()
    for text in texts:
        (completed,) = of_type((await stage.only_run(text)).events, "WORKFLOW_TASK_COMPLETED")
        workers.add(completed.workflow_task_completed_event_attributes.identity)
    assert workers == {"east", "west"}


@pytest.mark.parametrize("first", [EAST, WEST], ids=["told by the control plane", "told by the link"])
async def test_48_parked_polls_when_a_region_turns_passive(stage: Stage, first: str) -> None:
    """They end empty, with those forwarded to it; a poll that waits locally at the other side goes on."""
    east, west = stage.at(EAST), stage.at(WEST)
    ending = [
        asyncio.create_task(poll)
        for number, place in enumerate((east, west))
        for poll in (
            place.poll(timeout=60, identity=f"{number}"),
            place.poll_activity(timeout=60),
        )
    ]
    await east.polled(2)
    poll = PollWorkflowTaskQueueRequest(task_queue=NORMAL_QUEUE, identity="stays")
    staying = asyncio.create_task(west.ask(poll, PollWorkflowTaskQueueResponse, timeout=60, metadata=LOCALLY))
    await west.polled()

    if first == EAST:
        await stage.failover(WEST)
    else:
        await stage.failover(WEST, forced=True)

    for answer in await asyncio.wait_for(asyncio.gather(*ending), 5):
        assert not answer.ByteSize()
    assert not staying.done()
    await west.start("w")
    assert (await asyncio.wait_for(staying, 5)).task_token


async def test_49_standby_timers_never_fire_before_the_switch(stage: Stage) -> None:
    """Cut off, the passive region holds a timer that is long due; at the switch it fires."""
    east, west = stage.at(EAST), stage.at(WEST)
    await east.start("w")
    await east.work(start_timer(200))
    await stage.namespace.replicated()
    cut = stage.cloud.link(EAST, WEST).partition()
    await east.work()  # by now it has fired in the active region
    assert [name for name, _ in types(await east.events("w"))][5] == "TIMER_FIRED"
    standing_by = await west.events("w")
    assert types(standing_by)[-1] == ("TIMER_STARTED", 1)

    await stage.failover(WEST, forced=True)

    task = await west.poll()
    fired = of_type(list(task.history.events), "TIMER_FIRED")
    assert [event.version for event in fired] == [2]
    await west.complete(task, COMPLETE)
    cut.remove()
    run = await stage.only_run("w")
    assert run.status == "COMPLETED"
    assert len(run.branches) == 2
    assert [event.version for event in of_type(run.events, "TIMER_FIRED")] == [2]


async def test_49_standby_timers_verify(stage: Stage) -> None:
    """What the active region has done is not done again after the switch."""
    client = await stage.client()
    async with worker(client):
        assert await client.execute_workflow(Sleeper.run, 0.05, id="timer", task_queue=QUEUE) == "awake"
    east = stage.at(EAST)
    await east.start("run timeout", workflow_run_timeout=Duration(nanos=100_000_000))
    await east.closed("run timeout")
    await east.start("activity")
    await east.work(schedule_activity(schedule_to_close_timeout=Duration(nanos=100_000_000)))
    await east.work(COMPLETE)

    await stage.failover(WEST)

    for workflow_id, timer in (
        ("timer", "TIMER_FIRED"),
        ("run timeout", "WORKFLOW_EXECUTION_TIMED_OUT"),
        ("activity", "ACTIVITY_TASK_TIMED_OUT"),
    ):
        run = await stage.only_run(workflow_id)
        assert [event.version for event in of_type(run.events, timer)] == [1]
        assert {event.version for event in run.events} == {1}


async def test_49_all_kinds_of_timers_wait_for_the_switch(stage: Stage) -> None:
    """Run time-out, activity time-out, workflow task time-out: due in the east, held in the west."""
    brief = Duration(nanos=200_000_000)
    east, west = stage.at(EAST), stage.at(WEST)
    await east.start("activity")
    await east.work(schedule_activity(schedule_to_close_timeout=brief))
    await east.start("run", workflow_run_timeout=brief)
    await stage.namespace.replicated()
    stage.cloud.link(EAST, WEST).partition()
    await east.closed("run")

    async def timed_out() -> bool:
        return bool(of_type(await east.events("activity"), "ACTIVITY_TASK_TIMED_OUT"))

    await until(timed_out)
    assert len(await west.events("run")) == 2
    assert types(await west.events("activity"))[-1] == ("ACTIVITY_TASK_SCHEDULED", 1)

    await stage.failover(WEST, forced=True)

    closed = await west.closed("run")
    assert types([closed]) == [("WORKFLOW_EXECUTION_TIMED_OUT", 2)]
    task = await west.poll()
    assert [event.version for event in of_type(list(task.history.events), "ACTIVITY_TASK_TIMED_OUT")] == [2]
    await west.complete(task, COMPLETE)
