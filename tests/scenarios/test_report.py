"""What a forced failover left unreplicated: at the switch, and what became of it when the regions agree again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from temporalio.api.namespace.v1 import UpdateNamespaceInfo
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    RecordActivityTaskHeartbeatRequest,
    UpdateNamespaceRequest,
)

from mockcloud.api.replication.v1.replication_pb2 import ReplicationTask
from mockcloud.cloud.facade import MockCloud
from mockcloud.cloud.failover_views import FailoverReport, Operation
from mockcloud.core import fates
from mockcloud.core.errors import NotFound, Unavailable
from mockcloud.frontend import tail
from mockcloud.replication.plan import TaskPlan
from tests.scenarios.invariants import check_branch
from tests.scenarios.sides import (
    EAST,
    NAMESPACE,
    QUEUE,
    WEST,
    Side,
    agreed,
    complete_workflow,
    schedule_activity,
    sides,
)
from tests.scenarios.stage import until
from tests.scenarios.test_divergence import command, started


async def left_behind(cloud: MockCloud) -> tuple[Side, Side]:
    """The east alone has signals and a workflow task of `w1`, and all of `new`."""
    east, west = await started(cloud)
    cloud.link(EAST, WEST).partition()
    await east.signal("w1", "one")
    await east.signal("w1", "two")
    await east.work()
    await east.start("new")
    return east, west


async def settled(cloud: MockCloud) -> FailoverReport:
    """The report, once it says for good what became of everything."""
    orders = cloud.namespace(NAMESPACE)
    found = await orders.report()

    async def done() -> bool:
        nonlocal found
        found = await orders.report()
        assert found.operation.unreplicated is not None
        return found.operation.unreplicated.settled

    await until(done)
    return found


def outcomes(report: FailoverReport, workflow_id: str) -> dict[int, str]:
    """Event id -> what became of it."""
    (run,) = (run for run in report.runs if run.workflow_id == workflow_id)
    return {event.event_id: event.outcome for event in run.events}


def assert_left(operation: Operation) -> None:
    left = operation.unreplicated
    assert left is not None
    assert (left.problem, left.settled, left.events, left.workflows) == ("", False, 7, 2)
    assert dict(left.kinds) == {"starts": 1, "signals": 2, "workflow tasks": 4}


class TestAtTheSwitch:
    async def test_it_counts_by_kind_and_by_workflow(self, mockcloud: MockCloud) -> None:
        await left_behind(mockcloud)
        operation = await mockcloud.namespace(NAMESPACE).failover(WEST, forced=True)
        assert_left(operation)
        assert operation.unreplicated is not None
        assert not operation.unreplicated.from_file
        report = await mockcloud.namespace(NAMESPACE).report(operation)
        assert {run.workflow_id: len(run.events) for run in report.runs} == {"new": 2, "w1": 5}
        assert [event.kind for event in report.runs[1].events[:2]] == ["signals", "workflow tasks"]
        assert [event.name for event in report.runs[1].events[:3]] == ["one", "", "two"]
        assert report.runs[0].events[0].name == "wf"
        assert {event.outcome for run in report.runs for event in run.events} == {"waiting"}

    async def test_of_a_region_that_is_down_its_file_tells(self, mockcloud: MockCloud) -> None:
        await left_behind(mockcloud)
        await mockcloud.region(EAST).kill()
        operation = await mockcloud.namespace(NAMESPACE).failover(WEST, forced=True)
        assert_left(operation)
        assert operation.unreplicated is not None
        assert operation.unreplicated.from_file
        text = await command(mockcloud, "report", NAMESPACE)
        assert f"region {EAST} was down: read from its database file" in text
        assert (
            f"not settled: region {EAST} has not returned; what only it has is lost, unless it does" in text
        )

        # It comes back behind its own data, and the report settles.
        mockcloud.link(EAST, WEST).heal()
        await mockcloud.region(EAST).start()
        report = await settled(mockcloud)
        assert set(outcomes(report, "w1").values()) == {"recovered"}
        assert set(outcomes(report, "new").values()) == {"recovered"}

    async def test_40_the_region_never_returns(self, mockcloud: MockCloud) -> None:
        """The other one serves; what the lost one alone had is reported as lost, by name and count."""
        _, west = await left_behind(mockcloud)
        await mockcloud.region(EAST).kill()
        orders = mockcloud.namespace(NAMESPACE)
        assert_left(await orders.failover(WEST, forced=True))

        await west.signal("w1", "of the west")
        await west.work(complete_workflow())
        again = await west.start("new")
        ((run,),) = (await orders.history("w1")).values()
        check_branch(run.branches[0], regions=2)
        assert (run.status, run.events[-1].version) == ("COMPLETED", 2)
        ((run,),) = (await orders.history("new")).values()
        assert run.run_id == again

        report = await orders.report()
        assert report.not_returned
        lost = report.outcomes("lost")
        assert len(lost) == 7
        assert {event.reason for event in lost} == {f"only region {EAST} has it, which has not returned"}
        assert [event.name for event in lost if event.kind in ("signals", "starts")] == ["wf", "one", "two"]
        text = await command(mockcloud, "report", NAMESPACE)
        assert "unreplicated: 7 events of 2 workflows (1 start, 2 signals, 4 workflow tasks)" in text
        assert (
            f"not settled: region {EAST} has not returned; what only it has is lost, unless it does" in text
        )
        assert "(2 signals, 3 workflow tasks: one, two) [1]\n" in text
        assert text.endswith(f"\n[1] only region {EAST} has it, which has not returned\n")

    async def test_a_file_that_is_gone(self, mockcloud: MockCloud) -> None:
        """The failover is done; what it left is said to be not known, and why."""
        await left_behind(mockcloud)
        await mockcloud.region(EAST).kill()
        assert mockcloud.cloud.database(EAST).exists()
        mockcloud.cloud.database(EAST).unlink()
        operation = await mockcloud.namespace(NAMESPACE).failover(WEST, forced=True)
        assert operation.state == "FULFILLED"
        assert operation.unreplicated is not None
        problem = f"region {EAST} is down, and its database cannot be read: "
        assert operation.unreplicated.problem.startswith(problem)
        assert f"unreplicated: not known: {problem}" in await command(mockcloud, "report", NAMESPACE)

    async def test_page_by_page(self, mockcloud: MockCloud, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tail, "_ROWS", 1)
        monkeypatch.setattr(tail, "_NODES", 1)
        east, _ = await left_behind(mockcloud)
        operation = await mockcloud.namespace(NAMESPACE).failover(WEST, forced=True)
        assert_left(operation)
        await east.signal("w1", "late")
        report = await mockcloud.namespace(NAMESPACE).report()
        (w1,) = (run for run in report.runs if run.workflow_id == "w1")
        assert [event.event_id for event in w1.events] == list(range(5, 12))
        assert [event.event_id for event in w1.events if event.after_switch] == [10, 11]

    async def test_a_graceful_failover_leaves_nothing(self, mockcloud: MockCloud) -> None:
        await started(mockcloud)
        operation = await mockcloud.namespace(NAMESPACE).failover(WEST)
        assert (operation.mode, operation.unreplicated) == ("graceful", None)
        report = await mockcloud.namespace(NAMESPACE).report(operation)
        assert report.runs == ()
        with pytest.raises(NotFound, match="no failover of this namespace was forced"):
            await mockcloud.namespace(NAMESPACE).report()

    async def test_a_forced_one_of_replicated_regions_neither(self, mockcloud: MockCloud) -> None:
        await started(mockcloud)
        operation = await mockcloud.namespace(NAMESPACE).failover(WEST, forced=True)
        assert operation.unreplicated is not None
        assert (operation.unreplicated.events, operation.unreplicated.problem) == (0, "")
        assert "unreplicated: nothing" in await command(mockcloud, "report", operation.id)


async def test_changes_without_events_are_told_by_kind(mockcloud: MockCloud) -> None:
    """A heartbeat and a description of the namespace: no event tells of them."""
    orders = mockcloud.namespace(NAMESPACE)
    east, _ = await sides(mockcloud)
    await east.start("w1")
    await east.work(schedule_activity("a"))
    service = east.client.workflow_service
    task = await service.poll_activity_task_queue(
        PollActivityTaskQueueRequest(namespace=NAMESPACE, task_queue=QUEUE)
    )
    await orders.replicated()
    mockcloud.link(EAST, WEST).partition()
    await service.record_activity_task_heartbeat(
        RecordActivityTaskHeartbeatRequest(namespace=NAMESPACE, task_token=task.task_token)
    )
    info = UpdateNamespaceInfo(description="changed")
    await service.update_namespace(UpdateNamespaceRequest(namespace=NAMESPACE, update_info=info))

    operation = await orders.failover(WEST, forced=True)

    assert operation.unreplicated is not None
    assert operation.unreplicated.other_kinds == {"activity states": 1, "namespace settings": 1}
    text = await command(mockcloud, "report", NAMESPACE)
    assert "unreplicated: 2 changes without events (1 activity state, 1 namespace setting)" in text


@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
async def test_what_was_applied_out_of_order_was_not_left(
    mockcloud: MockCloud, monkeypatch: pytest.MonkeyPatch, *, down: bool
) -> None:
    """The west cannot apply one run yet, and acknowledges nothing from there on; it has what came of others."""
    add, stuck = TaskPlan.add, True

    async def fails(plan: TaskPlan, task: ReplicationTask, **how: Any) -> None:
        if stuck and task.history.workflow_id == "stuck":
            raise Unavailable("not yet")
        await add(plan, task, **how)

    monkeypatch.setattr(TaskPlan, "add", fails)
    east, west = await started(mockcloud)
    await east.start("stuck")
    await east.signal("w1", "came")
    await east.start("came")

    async def there() -> bool:
        w1, came = [await mockcloud.namespace(NAMESPACE).history(run) for run in ("w1", "came")]
        return len(w1[WEST][0].events) == 6 and len(came[WEST]) == 1

    await until(there)
    mockcloud.link(EAST, WEST).partition()
    await east.signal("w1", "lost")
    await east.start("lost")
    if down:
        await mockcloud.region(EAST).kill()

    operation = await mockcloud.namespace(NAMESPACE).failover(WEST, forced=True)

    left = operation.unreplicated
    assert left is not None
    assert (left.problem, left.from_file) == ("", down)
    report = await mockcloud.namespace(NAMESPACE).report()
    assert {run.workflow_id: [event.event_id for event in run.events] for run in report.runs} == {
        "lost": [1, 2],
        "stuck": [1, 2],
        "w1": [7],
    }
    assert dict(left.kinds) == {"starts": 2, "signals": 1, "workflow tasks": 2}
    assert (left.events, left.workflows) == (5, 3)

    await west.signal("w1", "of the west")
    stuck = False
    mockcloud.link(EAST, WEST).heal()
    if down:
        await mockcloud.region(EAST).start()
    report = await settled(mockcloud)
    assert set(outcomes(report, "stuck").values()) == {"recovered"}
    assert set(outcomes(report, "lost").values()) == {"recovered"}
    assert outcomes(report, "w1") == {7: "reapplied"}
    assert report.operation.unreplicated is not None
    assert report.operation.unreplicated.events == 5


class TestAfterHealing:
    async def test_a_tail_that_is_appended_is_recovered(self, mockcloud: MockCloud) -> None:
        """The winner has written nothing for these runs: nothing forks."""
        await left_behind(mockcloud)
        await mockcloud.namespace(NAMESPACE).failover(WEST, forced=True)
        mockcloud.link(EAST, WEST).heal()
        report = await settled(mockcloud)
        assert set(outcomes(report, "w1").values()) == {"recovered"}
        assert len(report.outcomes("recovered")) == 7

    async def test_reapplied_and_lost_with_what_was_written_after_the_switch(
        self, mockcloud: MockCloud
    ) -> None:
        east, west = await left_behind(mockcloud)
        await mockcloud.namespace(NAMESPACE).failover(WEST, forced=True)
        await east.signal("w1", "late")
        await west.signal("w1", "of-the-west")
        mockcloud.link(EAST, WEST).heal()
        report = await settled(mockcloud)
        run = (await agreed(mockcloud, "w1"))["w1"]

        (w1,) = (each for each in report.runs if each.workflow_id == "w1")
        by_outcome: dict[str, list[str]] = {}
        for event in w1.events:
            by_outcome.setdefault(event.outcome, []).append(event.kind)
        assert by_outcome == {"reapplied": ["signals"] * 3, "lost": ["workflow tasks"] * 4}
        assert [event.kind for event in w1.events if event.after_switch] == ["signals", "workflow tasks"]
        for event in w1.events:
            if event.outcome == "reapplied":
                assert event.run_id == run.run_id
                assert run.events[event.to_event_id - 1].version == 2
            else:
                assert event.reason
        assert set(outcomes(report, "new").values()) == {"recovered"}

        text = await command(mockcloud, "report", NAMESPACE)
        assert "unreplicated: 7 events of 2 workflows (1 start, 2 signals, 4 workflow tasks)" in text
        assert "settled: both regions have agreed since" in text
        assert "reapplied: event 5, 7 (2 signals: one, two) as event 7-8" in text
        assert "reapplied: event 10 (1 signal: late, written after the switch) as event 9" in text
        assert "lost: event 6, 8-9 (3 workflow tasks) [1]\n" in text
        assert text.splitlines()[-1].startswith("[1] what a worker decided")
        shown = json.loads(await command(mockcloud, "report", report.operation.id, "-o", "json"))
        (values,) = (each for each in shown["runs"] if each["workflow_id"] == "w1")
        assert values["at_switch"] == {"signals": 2, "workflow tasks": 3}
        assert values["after_switch"] == {"signals": 1, "workflow tasks": 1}
        assert [event["outcome"] for event in values["events"]] == [event.outcome for event in w1.events]

    async def test_a_losing_start(self, mockcloud: MockCloud) -> None:
        _, west = await left_behind(mockcloud)
        await mockcloud.namespace(NAMESPACE).failover(WEST, forced=True)
        await west.start("new")
        mockcloud.link(EAST, WEST).heal()
        report = await settled(mockcloud)
        (new,) = (run for run in report.runs if run.workflow_id == "new")
        assert (new.events[0].outcome, new.events[0].reason) == ("lost", fates.LOSING_START)

    async def test_a_closed_winner_is_reset(self, mockcloud: MockCloud) -> None:
        _, west = await left_behind(mockcloud)
        await mockcloud.namespace(NAMESPACE).failover(WEST, forced=True)
        await west.signal("w1", "of-the-west")
        await west.work(complete_workflow())
        mockcloud.link(EAST, WEST).heal()
        report = await settled(mockcloud)
        _, made = (await mockcloud.namespace(NAMESPACE).history("w1"))[WEST]
        assert {event.run_id for event in report.outcomes("reapplied")} == {made.run_id}
        assert len(report.outcomes("reapplied")) == 2
        assert [run.workflow_id for run in report.runs] == ["new", "w1"], (
            "the reset run has no events of its own"
        )

    async def test_it_survives_the_control_plane(self, mockcloud: MockCloud) -> None:
        """Killed before it settles, it settles after the restart; killed after, it is still there."""
        await left_behind(mockcloud)
        operation = await mockcloud.namespace(NAMESPACE).failover(WEST, forced=True)
        await mockcloud.control.kill()
        mockcloud.link(EAST, WEST).heal()
        await mockcloud.control.start()
        report = await settled(mockcloud)
        assert report.operation.id == operation.id
        await mockcloud.control.kill()
        await mockcloud.region(EAST).kill()
        await mockcloud.region(WEST).kill()
        await mockcloud.control.start()
        assert await mockcloud.namespace(NAMESPACE).report() == report


async def test_the_command_says_what_was_left(mockcloud: MockCloud) -> None:
    await left_behind(mockcloud)
    text = await command(mockcloud, "failover", NAMESPACE, WEST, "--forced")
    first, second, third = text.splitlines()
    assert first.startswith(f"FULFILLED {NAMESPACE} to {WEST}, forced")
    assert second == "unreplicated: 7 events of 2 workflows (1 start, 2 signals, 4 workflow tasks)"
    assert third.startswith("see `mockcloud report ")
