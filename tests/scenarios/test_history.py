"""What `mockcloud history` and `Namespace.history` tell of forks: where, and what became of each event that lost."""

from __future__ import annotations

import json

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from mockcloud.cloud.facade import MockCloud
from mockcloud.cloud.views import EventFate, RunView
from mockcloud.core import fates
from tests.scenarios.sides import EAST, NAMESPACE, WEST, Side, agreed, complete_workflow, schedule_activity
from tests.scenarios.stage import until
from tests.scenarios.test_divergence import command, started


def names(run: RunView) -> dict[int, str]:
    """Event id -> type, of the first losing branch."""
    return {
        event.event_id: EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
        for event in run.branches[1].events
    }


def by_type(run: RunView) -> dict[str, EventFate]:
    """The fate of the last event of each type of the first losing branch."""
    types = names(run)
    return {types[fate.event_id]: fate for fate in run.branches[1].fates}


async def split(cloud: MockCloud) -> tuple[Side, Side]:
    """`w1` has forked after event 4: the east has a signal and an activity there, the west a signal."""
    east, west = await started(cloud)
    cloud.link(EAST, WEST).partition()
    await east.signal("w1", "of-the-east")
    await east.work(schedule_activity("a1"))
    await cloud.namespace(NAMESPACE).failover(WEST, forced=True)
    await west.signal("w1", "of-the-west")
    return east, west


class TestOneRun:
    async def test_each_event_of_the_losing_branch_has_its_fate(self, mockcloud: MockCloud) -> None:
        _, west = await split(mockcloud)
        for runs in (await mockcloud.namespace(NAMESPACE).history("w1")).values():
            (run,) = runs
            assert [branch.fates for branch in run.branches] == [()], "nothing has forked yet"
        mockcloud.link(EAST, WEST).heal()
        await mockcloud.namespace(NAMESPACE).replicated()
        await west.work()
        await agreed(mockcloud, "w1")

        for (run,) in (await mockcloud.namespace(NAMESPACE).history("w1")).values():
            winner, loser = run.branches
            assert (winner.forks_after, winner.fates) == (None, ())
            assert loser.forks_after == (4, 1)
            assert [fate.event_id for fate in loser.fates] == list(range(5, len(loser.events) + 1))
            fate = by_type(run)
            signal = fate.pop("WORKFLOW_EXECUTION_SIGNALED")
            assert (signal.fate, signal.run_id) == ("reapplied", run.run_id)
            copy = run.events[signal.to_event_id - 1]
            assert copy.version == 2
            assert copy.workflow_execution_signaled_event_attributes.signal_name == "of-the-east"
            assert {lost.fate for lost in fate.values()} == {"lost"}
            assert set(fate) >= {"WORKFLOW_TASK_COMPLETED", "ACTIVITY_TASK_SCHEDULED"}
            assert [fate.event_id for fate in loser.reapplied] == [signal.event_id]
            assert len(loser.reapplied) + len(loser.lost) == len(loser.fates)

    async def test_the_command_shows_it(self, mockcloud: MockCloud) -> None:
        _, west = await split(mockcloud)
        mockcloud.link(EAST, WEST).heal()
        await mockcloud.namespace(NAMESPACE).replicated()
        await west.work()
        run = (await agreed(mockcloud, "w1"))["w1"]
        (signal,) = run.branches[1].reapplied

        text = await command(mockcloud, "history", NAMESPACE, "w1")
        assert text.count(f"(of-the-east) → event {signal.to_event_id}") == 2, "in both regions"
        assert text.count("v1 activity task scheduled (lost)") == 2
        assert text.count("the branch 9@v1 forks after event 4@v1:") == 2
        assert text.count(f"  reapplied {signal.event_id}\n") == 2
        assert text.count("lost 6-9 [1]\n") == 2
        assert text.count("what a worker decided on a losing branch does not count") == 1
        assert text.splitlines()[-1].startswith("[1] what a worker decided")

        values = json.loads(await command(mockcloud, "history", NAMESPACE, "w1", "-o", "json"))
        for (shown,) in values.values():
            assert shown["branches"][1]["forks_after"] == [4, 1]
            (reapplied,) = (fate for fate in shown["branches"][1]["fates"] if fate["fate"] == "reapplied")
            assert reapplied == {
                "event_id": signal.event_id,
                "fate": "reapplied",
                "reason": "",
                "run_id": run.run_id,
                "to_event_id": signal.to_event_id,
            }

    async def test_a_closed_winner_is_reset(self, mockcloud: MockCloud) -> None:
        """The signal of the loser is on the run that the reset made; both say what they are of each other."""
        _, west = await split(mockcloud)
        await west.work(complete_workflow())
        mockcloud.link(EAST, WEST).heal()
        await mockcloud.namespace(NAMESPACE).replicated()
        for closed, made in (await mockcloud.namespace(NAMESPACE).history("w1")).values():
            assert (closed.status, closed.reset_run_id) == ("COMPLETED", made.run_id)
            assert (made.current, made.base_run_id) == (True, closed.run_id)
            (signal,) = closed.branches[1].reapplied
            assert signal.run_id == made.run_id
            copy = made.events[signal.to_event_id - 1]
            assert copy.workflow_execution_signaled_event_attributes.signal_name == "of-the-east"
        text = await command(mockcloud, "history", NAMESPACE, "w1")
        assert f"reset to run {made.run_id}" in text
        assert f"reset of run {closed.run_id} after event {made.base_event_id}" in text
        assert f"→ event {signal.to_event_id} of run {made.run_id}" in text

    async def test_what_waits_in_the_buffer_is_reapplied_too(self, mockcloud: MockCloud) -> None:
        east, west = await started(mockcloud)
        mockcloud.link(EAST, WEST).partition()
        await east.signal("w1", "of-the-east")
        await mockcloud.namespace(NAMESPACE).failover(WEST, forced=True)
        await west.signal("w1", "of-the-west")
        task = await west.take()
        mockcloud.link(EAST, WEST).heal()
        await mockcloud.namespace(NAMESPACE).replicated()
        (run,) = (await mockcloud.namespace(NAMESPACE).history("w1"))[WEST]
        (signal,) = run.branches[1].reapplied
        assert signal.to_event_id == 0
        await west.complete(task)
        (run,) = (await mockcloud.namespace(NAMESPACE).history("w1"))[WEST]
        assert run.branches[1].reapplied[0].to_event_id == len(run.events) - 1


class TestTwoRuns:
    async def test_the_losing_start(self, mockcloud: MockCloud) -> None:
        """Both sides start the same workflow id: the loser's run is superseded, its signal goes to the winner."""
        east, west = await started(mockcloud)
        cut = mockcloud.link(EAST, WEST).partition()
        lost = await east.start("both")
        await east.signal("both", "of-the-east")
        await mockcloud.namespace(NAMESPACE).failover(WEST, forced=True)
        won = await west.start("both")
        cut.remove()
        await agreed(mockcloud, "both")
        for runs in (await mockcloud.namespace(NAMESPACE).history("both")).values():
            loser, winner = sorted(runs, key=lambda run: run.current)
            assert (loser.run_id, winner.run_id) == (lost, won)
            assert (loser.superseded, winner.superseded) == (True, False)
            start, signal = loser.branches[0].fates[0], loser.branches[0].reapplied[0]
            assert (start.fate, start.reason) == ("lost", fates.LOSING_START)
            assert (signal.run_id, winner.events[signal.to_event_id - 1].version) == (won, 2)
            assert loser.branches[0].fates[-1].reason == fates.BY_THE_SERVER
        text = await command(mockcloud, "history", NAMESPACE, "both")
        assert "superseded by another run" in text
        assert "lost 1 [1]\n" in text
        assert f"[1] {fates.LOSING_START}\n" in text

    async def test_a_reset_that_a_user_asked_for_is_no_conflict(self, mockcloud: MockCloud) -> None:
        east, _ = await started(mockcloud)
        client = east.client

        answer = await client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=NAMESPACE,
                workflow_execution=WorkflowExecution(workflow_id="w1"),
                workflow_task_finish_event_id=4,
                request_id="reset-1",
            )
        )
        await mockcloud.namespace(NAMESPACE).replicated()
        for base, made in (await mockcloud.namespace(NAMESPACE).history("w1")).values():
            assert (base.superseded, base.branches[0].fates) == (False, ())
            assert (made.run_id, made.base_run_id, made.base_event_id) == (answer.run_id, base.run_id, 3)

    async def test_a_zombie(self, mockcloud: MockCloud) -> None:
        """The west has the east's run, which is still open there: the east has not heard that it lost."""
        orders = mockcloud.namespace(NAMESPACE)
        east, west = await started(mockcloud)
        cut = mockcloud.link(EAST, WEST).partition()
        lost = await east.start("both")
        await east.signal("both", "of-the-east")
        await orders.failover(WEST, forced=True)
        await west.start("both")
        back = mockcloud.link(WEST, EAST).partition(one_way=True)
        cut.remove()

        async def arrived() -> bool:
            return len((await orders.history("both"))[WEST]) == 2

        await until(arrived)
        (zombie,) = (run for run in (await orders.history("both"))[WEST] if run.run_id == lost)
        assert (zombie.zombie, zombie.superseded, zombie.status) == (True, True, "RUNNING")
        assert zombie.branches[0].fates[0].reason == fates.LOSING_START
        assert f"run {lost} (running, zombie, superseded by another run)" in await command(
            mockcloud, "history", NAMESPACE, "both"
        )
        back.remove()
        await agreed(mockcloud, "both")
        for runs in (await orders.history("both")).values():
            (loser,) = (run for run in runs if run.run_id == lost)
            assert (loser.zombie, loser.superseded, loser.status) == (False, True, "TERMINATED")
