"""Scenarios 30 to 36 and 41: both regions were active at once; what the losing side did, and what becomes of it."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from temporalio.api.command.v1 import Command, ContinueAsNewWorkflowExecutionCommandAttributes
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import CommandType
from temporalio.api.namespace.v1 import UpdateNamespaceInfo
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceResponse,
    PollActivityTaskQueueResponse,
    RequestCancelWorkflowExecutionRequest,
    RespondActivityTaskCompletedRequest,
    TerminateWorkflowExecutionRequest,
    UpdateNamespaceRequest,
)

from mockcloud.cloud.fault_handles import AppliedFault
from mockcloud.cloud.views import Branch, RunView
from mockcloud.core import fates
from tests.scenarios.stage import (
    COMPLETE,
    EAST,
    NORMAL_QUEUE,
    WEST,
    Caller,
    Stage,
    of_type,
    refused,
    schedule_activity,
    short,
    signals,
    types,
    until,
)

BY_CONFLICT = "Terminate Workflow Due To Version Conflict."
CONTINUE_AS_NEW = Command(
    command_type=CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION,
    continue_as_new_workflow_execution_command_attributes=ContinueAsNewWorkflowExecutionCommandAttributes(
        workflow_type=WorkflowType(name="raw"), task_queue=NORMAL_QUEUE
    ),
)


async def split(stage: Stage) -> AppliedFault:
    """Part the regions and make both active; the cut, to be removed."""
    await stage.namespace.replicated()
    cut = stage.cloud.link(EAST, WEST).partition()
    await stage.failover(WEST, forced=True)
    return cut


async def started(stage: Stage, workflow_id: str = "w") -> tuple[Caller, Caller]:
    """A run of four events, the same in both regions: its first workflow task is done."""
    east, west = stage.at(EAST), stage.at(WEST)
    await east.start(workflow_id)
    await east.work()
    await stage.namespace.replicated()
    return east, west


def loser(run: RunView) -> Branch:
    """The one losing branch."""
    (found,) = (branch for branch in run.branches if not branch.current)
    return found


def fates_of(branch: Branch, name: str) -> list[tuple[str, str]]:
    """Fate and reason of the events of a type on a losing branch."""
    return [
        (fate.fate, fate.reason) for fate in branch.fates if short(branch.events[fate.event_id - 1]) == name
    ]


# 30


def a_cancel(workflow_id: str) -> Message:
    run = WorkflowExecution(workflow_id=workflow_id)
    return RequestCancelWorkflowExecutionRequest(workflow_execution=run, identity="canceler", reason="why")


def a_termination(workflow_id: str) -> Message:
    run = WorkflowExecution(workflow_id=workflow_id)
    return TerminateWorkflowExecutionRequest(workflow_execution=run, identity="terminator", reason="enough")


async def test_30_cancel_and_terminate_while_the_winner_is_open(stage: Stage) -> None:
    """They are applied again under the new version, as they were asked for."""
    east, west = await started(stage, "cancel")
    await started(stage, "terminate")
    cut = await split(stage)
    await east.call(a_cancel("cancel"))
    await east.call(a_termination("terminate"))
    for workflow_id in ("cancel", "terminate"):
        await west.signal(workflow_id, "of the west")
        await west.work()

    cut.remove()

    run = await stage.only_run("cancel")
    (again,) = of_type(run.events, "WORKFLOW_EXECUTION_CANCEL_REQUESTED")
    asked = again.workflow_execution_cancel_requested_event_attributes
    assert (again.version, asked.identity, asked.cause) == (2, "canceler", "why")
    assert (run.status, types(run.events)[-1]) == ("RUNNING", ("WORKFLOW_TASK_SCHEDULED", 2))
    assert fates_of(loser(run), "WORKFLOW_EXECUTION_CANCEL_REQUESTED") == [("reapplied", "")]
    run = await stage.only_run("terminate")
    (again,) = of_type(run.events, "WORKFLOW_EXECUTION_TERMINATED")
    ended = again.workflow_execution_terminated_event_attributes
    assert (again.version, ended.identity, ended.reason) == (2, "terminator", "enough")
    assert (run.status, run.events[-1]) == ("TERMINATED", again)
    assert fates_of(loser(run), "WORKFLOW_EXECUTION_TERMINATED") == [("reapplied", "")]


@pytest.mark.parametrize("asked", [a_cancel, a_termination], ids=["cancel", "terminate"])
async def test_30_cancel_and_terminate_while_the_winner_is_closed(stage: Stage, asked: object) -> None:
    """[04c] The workflow is reset, and open again with nothing new."""
    assert callable(asked)
    east, west = await started(stage)
    cut = await split(stage)
    await east.call(asked("w"))
    await west.signal("w", "of the west")
    await west.work(COMPLETE)

    cut.remove()

    again, closed = await stage.settled("w")
    assert (closed.status, closed.events[-1].version) == ("COMPLETED", 2)
    assert (again.status, again.current) == ("RUNNING", True)
    (failed,) = of_type(again.events, "WORKFLOW_TASK_FAILED")
    reset = failed.workflow_task_failed_event_attributes
    assert (reset.base_run_id, reset.failure.message) == (closed.run_id, "events-reapplication")
    for name in ("WORKFLOW_EXECUTION_CANCEL_REQUESTED", "WORKFLOW_EXECUTION_TERMINATED"):
        assert not of_type(again.events, name)
        assert not of_type(closed.events, name)
        assert set(fates_of(loser(closed), name)) <= {("lost", fates.REOPENED)}
    task = await west.poll()
    assert task.workflow_execution.run_id == again.run_id
    await west.complete(task, COMPLETE)
    assert (await stage.settled("w"))[0].status == "COMPLETED"


# 31


@pytest.mark.parametrize("again_in", ["the split", "the healed cloud"])
async def test_31_activity_result_on_the_losing_side(stage: Stage, again_in: str) -> None:
    """It ran to its end in the east; the west knows nothing of that and has it run again: at least once.

    Where nobody in the west took it during the split, it learns that the east's worker has it, and of nothing more:
    that attempt times out.
    """
    east, west = stage.at(EAST), stage.at(WEST)
    await east.start("w")
    await east.work(schedule_activity(start_to_close_timeout=Duration(nanos=500_000_000)))
    cut = await split(stage)
    await completed(east, await east.poll_activity())
    await west.signal("w", "of the west")
    if again_in == "the split":
        await completed(west, await west.poll_activity())

    cut.remove()
    await stage.namespace.replicated()
    if again_in == "the healed cloud":
        again = await west.poll_activity()
        assert (again.activity_id, again.attempt) == ("a", 2)
        await completed(west, again)
    await west.work(COMPLETE)

    run = await stage.only_run("w")
    assert run.status == "COMPLETED"
    assert [event.version for event in of_type(run.events, "ACTIVITY_TASK_COMPLETED")] == [2]
    assert [fate for fate, _ in fates_of(loser(run), "ACTIVITY_TASK_COMPLETED")] == ["lost"]


async def completed(caller: Caller, task: PollActivityTaskQueueResponse) -> None:
    await caller.call(RespondActivityTaskCompletedRequest(task_token=task.task_token))


# 32


async def test_32_completed_on_the_losing_side_and_open_on_the_winner(stage: Stage) -> None:
    """The winner's run goes on, in both regions; the close is only on the losing branch."""
    east, west = await started(stage)
    cut = await split(stage)
    await west.signal("w", "of the west")
    await east.signal("w", "of the east")
    await east.work(COMPLETE)
    assert (await east.closed("w")).version == 1

    cut.remove()

    run = await stage.only_run("w")
    assert (run.status, run.current) == ("RUNNING", True)
    assert not of_type(run.events, "WORKFLOW_EXECUTION_COMPLETED")
    assert signals(run.events) == ["of the west", "of the east"]
    assert types(list(loser(run).events))[-1] == ("WORKFLOW_EXECUTION_COMPLETED", 1)
    assert [fate for fate, _ in fates_of(loser(run), "WORKFLOW_EXECUTION_COMPLETED")] == ["lost"]
    await west.work(COMPLETE)
    run = await stage.only_run("w")
    assert (run.status, run.events[-1].version) == ("COMPLETED", 2)


# 33


async def test_33_closed_on_the_winner_with_a_late_signal_of_the_loser(stage: Stage) -> None:
    """A new run by reset, with the signal in it; the old one stays closed and names it."""
    east, west = await started(stage)
    cut = await split(stage)
    await west.signal("w", "of the west")
    await west.work(COMPLETE)
    await east.signal("w", "late")

    cut.remove()

    again, closed = await stage.settled("w")
    assert (again.status, again.current, closed.status) == ("RUNNING", True, "COMPLETED")
    assert "late" not in signals(closed.events)
    assert signals(again.events) == ["of the west", "late"]
    assert types(again.events)[-3:] == [
        ("WORKFLOW_TASK_FAILED", 2),
        ("WORKFLOW_EXECUTION_SIGNALED", 2),
        ("WORKFLOW_TASK_SCHEDULED", 2),
    ]
    (fate,) = (fate for fate in loser(closed).fates if fate.fate == "reapplied")
    assert (fate.run_id, again.events[fate.to_event_id - 1]) == (again.run_id, again.events[-2])
    await west.work(COMPLETE)
    assert [run.status for run in await stage.settled("w")] == ["COMPLETED", "COMPLETED"]


# 34


async def test_34_same_workflow_id_started_on_both_sides(stage: Stage) -> None:
    """One stays open; the other ends under its own version: a zombie in the west until the east has said so."""
    east, west = stage.at(EAST), stage.at(WEST)
    cut = await split(stage)
    lost, won = await east.start("w"), await west.start("w")
    back = stage.cloud.link(WEST, EAST).partition(one_way=True)
    cut.remove()

    async def arrived() -> bool:
        return len((await stage.namespace.history("w"))[WEST]) == 2

    # The east has not heard of the west's run: its own is open there, and a zombie in the west.
    await until(arrived)
    there = {run.run_id: run for run in (await stage.namespace.history("w"))[WEST]}
    assert (there[lost].zombie, there[lost].current, there[lost].status) == (True, False, "RUNNING")
    assert (there[won].zombie, there[won].current, there[won].status) == (False, True, "RUNNING")

    back.remove()

    winner, ended = await stage.settled("w")
    assert (winner.run_id, winner.status, winner.events[-1].version) == (won, "RUNNING", 2)
    assert (ended.run_id, ended.status, ended.zombie) == (lost, "TERMINATED", False)
    close = ended.events[-1].workflow_execution_terminated_event_attributes
    assert (ended.events[-1].version, close.reason, close.identity) == (1, BY_CONFLICT, "history-service")
    assert close.details.payloads[0].data == b'"terminated by version: 2"'


# 35


async def test_35_continue_as_new_on_the_losing_side(stage: Stage) -> None:
    """The run that it went on as ends; the winner's stays the current one, and goes on."""
    east, west = await started(stage)
    cut = await split(stage)
    await east.signal("w", "of the east")
    await east.work(CONTINUE_AS_NEW)
    await west.signal("w", "of the west")
    await west.work()

    cut.remove()

    winner, ended = await stage.settled("w")
    assert (winner.status, winner.current) == ("RUNNING", True)
    close = loser(winner).events[-1]
    assert types([close]) == [("WORKFLOW_EXECUTION_CONTINUED_AS_NEW", 1)]
    next_run = close.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    assert (ended.run_id, ended.status) == (next_run, "TERMINATED")
    reason = ended.events[-1].workflow_execution_terminated_event_attributes.reason
    assert (ended.events[-1].version, reason) == (1, BY_CONFLICT)
    assert signals(winner.events) == ["of the west", "of the east"]
    await west.work(COMPLETE)
    assert [run.status for run in await stage.settled("w")] == ["COMPLETED", "TERMINATED"]


# 36


async def test_36_three_switches_with_partial_replication_between(stage: Stage) -> None:
    """[09b] Three branches, the highest version wins, all stay readable.

    The east hears of v2 before it takes over again, and the west gets what the east alone had written under v1 only
    then. It leads until it hears of v11, so it applies that again under v2; of that copy the east makes one of its own.
    """
    east, west = await started(stage)
    link = stage.cloud.link(EAST, WEST)
    cut = await split(stage)
    await east.signal("w", "v1 of the east")
    await west.signal("w", "v2, seen")
    to_west = link.partition(one_way=True)
    cut.remove()
    await until(lambda: versions(east, {1, 2}))
    cut = link.partition()
    to_west.remove()
    await west.signal("w", "v2, not seen")
    await stage.failover(EAST, forced=True)
    await east.signal("w", "v11 of the east")

    cut.remove()

    run = await stage.only_run("w")
    assert (run.status, run.current) == ("RUNNING", True)
    winner, *losers = sorted(run.branches, key=lambda branch: -branch.items[-1][1])
    assert (winner.current, winner.items[-1][1]) == (True, 11)
    assert [branch.items[-1][1] for branch in losers] == [2, 1]
    assert signals(losers[1].events) == ["v1 of the east"]
    assert signals(losers[0].events) == ["v2, seen", "v2, not seen", "v1 of the east"]
    assert signals(run.events) == ["v2, seen", "v11 of the east", "v2, not seen", "v1 of the east"]
    await east.work(COMPLETE)
    run = await stage.only_run("w")
    assert (run.status, run.events[-1].version) == ("COMPLETED", 11)


async def test_36_own_signals_of_a_region_that_is_active_again(stage: Stage) -> None:
    """The west learns of v11 before the v1 signal reaches it: nobody applies that again, and it is reported as lost."""
    east, west = await started(stage)
    link = stage.cloud.link(EAST, WEST)
    cut = await split(stage)
    await east.signal("w", "v1 of the east")
    await west.signal("w", "v2")
    to_west = link.partition(one_way=True)
    cut.remove()
    await until(lambda: versions(east, {1, 2}))
    await stage.failover(EAST, forced=True)
    await stage.cloud.run(told(stage))

    to_west.remove()

    run = await stage.only_run("w")
    assert signals(run.events) == ["v2"]
    (lost,) = (branch for branch in run.branches if branch.items[-1][1] == 1)
    assert fates_of(lost, "WORKFLOW_EXECUTION_SIGNALED") == [("lost", fates.OWN_VERSION)]


async def told(stage: Stage) -> None:
    """The west is told who is active, as the control plane does it in a graceful failover, beside the link."""
    regions = [stage.cloud.cloud.node(name).region for name in (EAST, WEST)]
    await regions[1].namespaces.receive(regions[0].namespaces.by_name(stage.namespace.name).record)


async def versions(caller: Caller, expected: set[int]) -> bool:
    """Whether the run's current branch in that region has events of just these versions."""
    return {event.version for event in await caller.events("w")} == expected


# 41


async def test_41_namespace_changed_on_one_side_while_failing_over_on_the_other(stage: Stage) -> None:
    """[12a] Both changes stand, in both regions."""
    east, west = await started(stage)
    cut = stage.cloud.link(EAST, WEST).partition()
    await stage.failover(WEST, forced=True)
    info = UpdateNamespaceInfo(description="changed in the east")
    await east.call(UpdateNamespaceRequest(update_info=info))
    assert description(await west.describe_namespace()) == ""
    assert (await east.describe_namespace()).failover_version == 1

    cut.remove()

    async def agreed() -> bool:
        here, there = await east.describe_namespace(), await west.describe_namespace()
        return here == there and here.failover_version == 2 and bool(description(here))

    await until(agreed)
    for caller in (east, west):
        shown = await caller.describe_namespace()
        assert description(shown) == "changed in the east"
        assert shown.replication_config.active_cluster_name == WEST
    error = await refused(east.signal("w", "s", metadata={"xdc-redirection": "false"}))
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION, "the east has turned passive"
    await west.signal("w", "s")
    assert signals((await stage.only_run("w")).events) == ["s"]


def description(shown: DescribeNamespaceResponse) -> str:
    return shown.namespace_info.description
