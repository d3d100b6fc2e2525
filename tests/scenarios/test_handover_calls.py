"""Scenario 23: each call of the service in HANDOVER, answered or held."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.replication.v1 import NamespaceReplicationConfig
from temporalio.api.workflowservice.v1 import (
    QueryWorkflowRequest,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)

from mockcloud.core import times
from mockcloud.core.limits import Limits
from tests.scenarios.stage import (
    COMPLETE,
    EAST,
    HANDOVER,
    HELD_TOO_LONG,
    NORMAL,
    SERVICE,
    WEST,
    Stage,
    of_type,
    opened,
    refused,
    schedule_activity,
    signals,
    start_timer,
    types,
)

# What HANDOVER does not touch, by name (semantics §5); everything else of the service is held.
ANSWERED = {
    "CountWorkflowExecutions",
    "DeprecateNamespace",
    "DescribeNamespace",
    "GetClusterInfo",
    "GetSearchAttributes",
    "GetSystemInfo",
    "ListArchivedWorkflowExecutions",
    "ListBatchOperations",
    "ListClosedWorkflowExecutions",
    "ListNamespaces",
    "ListOpenWorkflowExecutions",
    "ListSchedules",
    "ListTaskQueuePartitions",
    "ListWorkflowExecutions",
    "RegisterNamespace",
    "ScanWorkflowExecutions",
    "ShutdownWorker",
    "UpdateNamespace",
}
# Those of them that are served, and so have an answer and not UNIMPLEMENTED.
MUST_SUCCEED = {
    "CountWorkflowExecutions",
    "DescribeNamespace",
    "GetClusterInfo",
    "GetSystemInfo",
    "ListNamespaces",
    "ListWorkflowExecutions",
    "ShutdownWorker",
    "UpdateNamespace",
}


async def requests(stage: Stage) -> dict[str, Message]:
    """A request of each method, in the namespace; those that take a task token have a real one."""
    east = stage.at(EAST)
    await east.start("w")
    await east.work(schedule_activity())
    activity = await east.poll_activity()
    await east.signal("w", "s")
    task = await east.poll()
    await east.complete(task)
    query = asyncio.ensure_future(
        east.call(
            QueryWorkflowRequest(
                execution=WorkflowExecution(workflow_id="w"), query=WorkflowQuery(query_type="q")
            )
        )
    )
    asked = await east.poll()
    query.cancel()
    made = {}
    for method in SERVICE.methods:
        kind = GetMessageClass(method.input_type)
        fields: dict[str, object] = {}
        if "namespace" in method.input_type.fields_by_name:
            fields["namespace"] = "default"
        if "task_token" in method.input_type.fields_by_name:
            token = asked if "Query" in method.name else activity if "Activity" in method.name else task
            fields["task_token"] = token.task_token
        made[method.name] = kind(**fields)
    made["UpdateNamespace"] = UpdateNamespaceRequest(namespace="default")
    # Refused in HANDOVER or out of it; deprecating would end what follows.
    made["RegisterNamespace"] = RegisterNamespaceRequest(namespace="default")
    del made["DeprecateNamespace"]
    return made


async def outcome(answer: Awaitable[object]) -> tuple[grpc.StatusCode, str | None]:
    try:
        await answer
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, None


@pytest.fixture
async def quick() -> AsyncIterator[Stage]:
    """Long polls end soon, and so do calls without a deadline that are held in HANDOVER."""
    limits = Limits(task_poll=times.SECOND, history_long_poll=times.SECOND, handover_hold=times.SECOND)
    async with opened(limits=limits) as stage:
        yield stage


async def test_23_what_is_answered_in_handover() -> None:
    """The allowed methods wait for nothing, however long others are held."""
    limits = Limits(task_poll=times.SECOND, history_long_poll=times.SECOND, handover_hold=3600 * times.SECOND)
    async with opened(limits=limits) as stage:
        made = await requests(stage)
        east = stage.at(EAST)
        await east.set_state(HANDOVER)
        others = {
            name: asyncio.create_task(outcome(east.by_name(name, request, timeout=None)))
            for name, request in made.items()
            if name not in ANSWERED
        }

        for name in made.keys() & ANSWERED:
            result = await outcome(east.by_name(name, made[name], timeout=None))
            assert result != HELD_TOO_LONG, name
            assert name not in MUST_SUCCEED or result[0] is grpc.StatusCode.OK, f"{name}: {result}"

        assert not [name for name, call in others.items() if call.done()]
        await east.set_state(NORMAL)
        await asyncio.gather(*others.values())


async def test_23_what_is_held_in_handover(quick: Stage) -> None:
    """All other methods are refused in the end, and nothing that was refused has been done."""
    made = await requests(quick)
    east = quick.at(EAST)
    await east.set_state(HANDOVER)
    names = [name for name in made if name not in ANSWERED]

    results = await asyncio.gather(*(outcome(east.by_name(name, made[name], timeout=None)) for name in names))

    assert dict(zip(names, results, strict=True)) == dict.fromkeys(names, HELD_TOO_LONG)
    await east.set_state(NORMAL)
    assert signals(await east.events("w")) == ["s"]


async def test_23_deprecate_namespace_in_handover(quick: Stage) -> None:
    east = quick.at(EAST)
    await east.set_state(HANDOVER)
    result = await outcome(
        east.by_name("DeprecateNamespace", b"\n\x07default")  # the request's first field is the namespace
    )
    assert result[0] is grpc.StatusCode.OK


@pytest.mark.serial
async def test_23_a_held_call_ends_before_its_deadline(quick: Stage) -> None:
    """Also after the time for which a call without one is held, and where it came by way of the passive region."""
    callers = [quick.at(EAST), quick.at(WEST)]
    await callers[0].start("w")
    await callers[0].set_state(HANDOVER)
    begun = time.perf_counter()
    for error in await asyncio.gather(*(refused(caller.signal("w", "s", timeout=1.5)) for caller in callers)):
        assert (error.code(), error.details()) == HELD_TOO_LONG
    assert 1.3 < time.perf_counter() - begun < 1.5


@pytest.mark.parametrize("end", ["switch", "release"])
async def test_23_each_held_method_goes_on_at_the_switch(quick: Stage, end: str) -> None:
    """It is answered as if there had been no HANDOVER, by whichever region is then active."""
    made = {name: request for name, request in (await requests(quick)).items() if name not in ANSWERED}
    await quick.namespace.replicated()
    east, west = quick.at(EAST), quick.at(WEST)
    await east.set_state(HANDOVER)
    calls = {
        name: asyncio.create_task(outcome(east.by_name(name, request, timeout=15)))
        for name, request in made.items()
    }
    # A call that came later has been refused: the others have arrived, and are held.
    error = await refused(east.signal("w", "late", timeout=None))
    assert (error.code(), error.details()) == HELD_TOO_LONG
    assert not [name for name, call in calls.items() if call.done()]

    if end == "switch":
        await quick.failover(WEST)
    else:
        await east.set_state(NORMAL)

    results = dict(zip(calls, await asyncio.gather(*calls.values()), strict=True))
    for name, result in results.items():
        assert result[0] not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED), (
            f"{name}: {result}"
        )
        assert result[0] is not grpc.StatusCode.FAILED_PRECONDITION, f"{name}: {result}"
    active = west if end == "switch" else east
    assert (await active.describe_namespace()).replication_config.active_cluster_name == (
        WEST if end == "switch" else EAST
    )


async def test_23_a_held_call_is_sent_on_before_the_switch_has_arrived_there(quick: Stage) -> None:
    """Where the old region switches by itself, the new one hears of it later than the calls that were held."""
    east = quick.at(EAST)
    await east.start("w")
    await quick.namespace.replicated()
    await east.set_state(HANDOVER)
    held = asyncio.ensure_future(east.signal("w", "s"))
    await asyncio.sleep(0)

    await east.call(
        UpdateNamespaceRequest(replication_config=NamespaceReplicationConfig(active_cluster_name=WEST))
    )

    await held
    (signal,) = of_type((await quick.only_run("w")).events, "WORKFLOW_EXECUTION_SIGNALED")
    assert signal.version == 2


async def test_23_the_setting_reject() -> None:
    """Refused at once, however long the deadline."""
    async with opened(handover="reject") as stage:
        made = await requests(stage)
        east = stage.at(EAST)
        await east.set_state(HANDOVER)
        held = [name for name in made if name not in ANSWERED]

        results = await asyncio.wait_for(
            asyncio.gather(*(outcome(east.by_name(name, made[name], timeout=60)) for name in held)), 10
        )

        assert dict(zip(held, results, strict=True)) == dict.fromkeys(held, HELD_TOO_LONG)


async def test_23_nothing_moves_in_handover(quick: Stage) -> None:
    """No task is given out, and a timer that is due waits; both go on afterwards."""
    east = quick.at(EAST)
    await east.start("w")
    await east.work(start_timer(100))
    await east.start("waiting")
    await east.set_state(HANDOVER)

    assert await outcome(east.poll(timeout=None)) == HELD_TOO_LONG  # which took longer than the timer

    for workflow_id, last in (("w", "TIMER_STARTED"), ("waiting", "WORKFLOW_TASK_SCHEDULED")):
        (run,) = (await quick.namespace.history(workflow_id))[EAST]
        assert types(run.events)[-1] == (last, 1)
    await east.set_state(NORMAL)
    given = [await east.work(COMPLETE), await east.work(COMPLETE)]
    assert sorted(task.workflow_execution.workflow_id for task in given) == ["w", "waiting"]
    (fired,) = of_type((await quick.only_run("w")).events, "TIMER_FIRED")
    assert fired.version == 1
