"""Errands of a replicated namespace: done by the active region, gone on with by the next one, and no parent stuck.

Errands run when a test says so (`Region.errands.start`), so that a failover can fall between their commits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import EventType, ParentClosePolicy
from temporalio.api.workflowservice.v1 import TerminateWorkflowExecutionRequest

from mockcloud.core import children, externals, signals
from mockcloud.core.derive import derive
from mockcloud.core.run import RunKey
from mockcloud.engine import errands
from mockcloud.store import log
from tests.core.others import signal_external, start_child
from tests.replication.regions import Pair, Region, until_async
from tests.scenarios.one_life import COMPLETE

INITIATED = 5


@pytest.fixture
async def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    monkeypatch.setattr(errands, "_GRACE", 0.02)
    async with Pair(tmp_path) as pair:
        await pair.register()
        yield pair


async def initiated(pair: Pair, *commands: Command) -> None:
    """`parent` runs in A, has said these commands, and B knows it. Nobody runs errands."""
    await pair.a.start_workflow("parent")
    await pair.a.work("parent", *commands)
    await pair.arrived("A", "B")


async def child_made(region: Region) -> None:
    """Only the first commit of the errand: the child's first run exists."""
    run = await region.loaded("parent")
    start = children.to_start(run, INITIATED, 1, region.namespace.record)
    assert start is not None
    await region.changes.start(region.namespace, start.request, start.parent)


async def names(region: Region, workflow_id: str) -> list[str]:
    return [f"{name} {version}" for name, version in await region.types(workflow_id)]


async def has(region: Region, workflow_id: str, name: str) -> None:
    """Return once the current run has an event `NAME version`."""

    async def condition() -> bool:
        return name in await names(region, workflow_id)

    await until_async(condition)


async def settled(region: Region) -> None:
    """Return once the region has no errands to do."""

    async def condition() -> bool:
        return not region.errands._under_way and not any(region.errands._standing.values())

    await until_async(condition)


async def work(region: Region, workflow_id: str, *commands: Command) -> None:
    """Complete a workflow task, once there is one to be had."""

    async def offered() -> bool:
        run = await region.loaded(workflow_id)
        return bool(derive(run).offers)

    await until_async(offered)
    await region.work(workflow_id, *commands)


async def ends(pair: Pair, region: Region) -> None:
    """The child ends, and its parent with it; everybody agrees."""
    await work(region, "child", COMPLETE)
    version = region.namespace.record.failover_version
    await has(region, "parent", f"CHILD_WORKFLOW_EXECUTION_COMPLETED {version}")
    await work(region, "parent", COMPLETE)
    await settled(region)
    await agreed(pair)


async def agreed(pair: Pair) -> None:
    """Both regions have the same of both, one child, and one of each event of it."""
    for workflow_id in ("parent", "child"):
        await pair.same(workflow_id)
    found = [name for name, _ in await pair.a.types("parent")]
    for name in ("INITIATED", "STARTED", "COMPLETED"):
        assert sum("CHILD" in each and each.endswith(name) for each in found) == 1
    assert len(await pair.b.run_ids("child")) == 1


async def test_a_failover_before_anything_was_done(pair: Pair) -> None:
    await initiated(pair, start_child(), signal_external("nobody"))
    await pair.b.activate("B")
    pair.b.errands.start()
    await has(pair.b, "parent", "CHILD_WORKFLOW_EXECUTION_STARTED 2")
    await has(pair.b, "parent", "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED 2")
    await ends(pair, pair.b)


async def test_the_child_is_replicated_and_its_parent_does_not_know(pair: Pair) -> None:
    await initiated(pair, start_child())
    await child_made(pair.a)
    await pair.arrived("A", "B")
    pair.split()
    pair.a.errands.start()
    await has(pair.a, "child", "WORKFLOW_TASK_SCHEDULED 1")

    pair.b.errands.start()
    await pair.b.activate("B")
    await has(pair.b, "child", "WORKFLOW_TASK_SCHEDULED 2")
    assert await pair.a.run_ids("child") == await pair.b.run_ids("child")

    pair.mend()
    await ends(pair, pair.b)


async def test_the_parent_knows_and_the_child_has_not_begun(pair: Pair) -> None:
    await initiated(pair, start_child())
    await child_made(pair.a)
    (run_id,) = await pair.a.run_ids("child")
    await pair.a.changes.update(
        pair.a.namespace,
        "parent",
        "",
        lambda change: children.record_started(change, INITIATED, 1, run_id),
    )
    await pair.arrived("A", "B")
    pair.split()

    pair.b.errands.start()
    await pair.b.activate("B")
    await has(pair.b, "child", "WORKFLOW_TASK_SCHEDULED 2")

    pair.mend()
    await ends(pair, pair.b)


async def test_a_child_that_comes_late_begins(pair: Pair) -> None:
    """What a partition kept back arrives when the failover is long over: it asks its parent, and begins."""
    await initiated(pair, start_child())
    pair.split()
    await child_made(pair.a)
    await pair.b.activate("B")
    (run_id,) = await pair.a.run_ids("child")
    await pair.b.changes.update(  # as if this had found its way
        pair.b.namespace,
        "parent",
        "",
        lambda change: children.record_started(change, INITIATED, 1, run_id),
    )
    pair.b.errands.start()
    pair.mend()
    await has(pair.b, "child", "WORKFLOW_TASK_SCHEDULED 2")
    await ends(pair, pair.b)


async def test_the_child_has_ended_and_its_parent_has_not_heard(pair: Pair) -> None:
    await initiated(pair, start_child())
    pair.a.errands.start()
    await has(pair.a, "child", "WORKFLOW_TASK_SCHEDULED 1")
    await settled(pair.a)
    pair.a.errands.stop()
    await pair.a.work("child", COMPLETE)
    await pair.arrived("A", "B")
    assert not (await pair.b.loaded("child")).open

    await pair.b.activate("B")
    pair.b.errands.start()
    await has(pair.b, "parent", "CHILD_WORKFLOW_EXECUTION_COMPLETED 2")
    await work(pair.b, "parent", COMPLETE)
    await settled(pair.b)
    await agreed(pair)


async def test_the_end_is_heard_on_a_branch_that_loses(pair: Pair) -> None:
    """Both the reapplied event and the child itself tell the winner: it hears it once."""
    await initiated(pair, start_child())
    pair.a.errands.start()
    await has(pair.a, "child", "WORKFLOW_TASK_SCHEDULED 1")
    await settled(pair.a)
    await pair.arrived("A", "B")
    pair.split()
    await pair.a.work("child", COMPLETE)
    await has(pair.a, "parent", "CHILD_WORKFLOW_EXECUTION_COMPLETED 1")
    await settled(pair.a)

    await pair.b.activate("B")
    pair.b.errands.start()
    await pair.b.signal("parent", "written-by-the-winner")
    pair.mend()
    await has(pair.b, "parent", "CHILD_WORKFLOW_EXECUTION_COMPLETED 2")
    await work(pair.b, "parent", COMPLETE)
    await settled(pair.b)
    await agreed(pair)
    assert await names(pair.b, "parent") == await names(pair.a, "parent")
    assert len((await pair.b.branches("parent"))[0]) == 2


async def test_a_winner_takes_over_what_the_loser_has_heard(pair: Pair) -> None:
    await initiated(pair, start_child())
    pair.a.errands.start()
    await has(pair.a, "child", "WORKFLOW_TASK_SCHEDULED 1")
    await settled(pair.a)
    await pair.arrived("A", "B")
    pair.split()
    await pair.a.work("child", COMPLETE)
    await has(pair.a, "parent", "CHILD_WORKFLOW_EXECUTION_COMPLETED 1")

    await pair.b.activate("B")
    await pair.b.signal("parent", "written-by-the-winner")
    pair.mend()
    # B runs no errands: the child itself tells nobody.
    await has(pair.b, "parent", "CHILD_WORKFLOW_EXECUTION_COMPLETED 2")


async def test_what_is_done_is_not_done_again_by_the_next_region(pair: Pair) -> None:
    await initiated(pair, start_child())
    pair.a.errands.start()
    await has(pair.a, "child", "WORKFLOW_TASK_SCHEDULED 1")
    await pair.a.work("child", COMPLETE)
    await has(pair.a, "parent", "CHILD_WORKFLOW_EXECUTION_COMPLETED 1")
    await settled(pair.a)
    await pair.converge()

    assert not any(pair.b.errands._standing.values())
    position = await pair.b.log_position()
    pair.b.errands.start()
    await pair.b.activate("B")
    await pair.converge()
    assert await pair.b.log_position() == position + 1  # the namespace record alone


async def test_a_policy_is_applied_by_whoever_is_active(pair: Pair) -> None:
    await initiated(pair, start_child())
    pair.a.errands.start()
    await has(pair.a, "child", "WORKFLOW_TASK_SCHEDULED 1")
    await settled(pair.a)
    pair.a.errands.stop()
    request = TerminateWorkflowExecutionRequest()
    await pair.a.changes.update(
        pair.a.namespace, "parent", "", lambda change: signals.terminate(change, request)
    )
    await pair.arrived("A", "B")
    assert (await pair.b.loaded("child")).open

    await pair.b.activate("B")
    pair.b.errands.start()
    await has(pair.b, "child", "WORKFLOW_EXECUTION_TERMINATED 2")
    await settled(pair.b)
    await pair.same("child")
    assert (await pair.a.loaded("parent")).record.close_errands.version == 2


async def test_a_note_that_rests_on_the_parents_end_brings_that_too(pair: Pair) -> None:
    """The parent had ended where its child did; a region where it goes on would believe that it was told."""
    abandoned = start_child(parent_close_policy=ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON)
    await initiated(pair, abandoned)
    pair.a.errands.start()
    await has(pair.a, "child", "WORKFLOW_TASK_SCHEDULED 1")
    await settled(pair.a)
    await pair.arrived("A", "B")
    pair.split()
    request = TerminateWorkflowExecutionRequest()
    await pair.a.changes.update(
        pair.a.namespace, "parent", "", lambda change: signals.terminate(change, request)
    )
    # As if a third region had ended the parent, which has yet to tell B of it.
    namespace_id, told = pair.a.namespace.id, await pair.a.log_position()
    await pair.a.store.transact(lambda c: log.trim_log(c, namespace_id, told))
    await pair.a.work("child", COMPLETE)
    await settled(pair.a)
    assert (await pair.b.loaded("parent")).open
    pair.mend()
    await pair.converge()

    assert not (await pair.b.loaded("parent")).open
    assert not any(pair.b.errands._standing.values())


async def test_what_the_loser_has_noted_as_done_is_done_again(pair: Pair) -> None:
    """The old region tells the parent on a branch that loses; its note does not keep the new one from doing so."""
    await initiated(pair, start_child())
    pair.a.errands.start()
    await has(pair.a, "child", "WORKFLOW_TASK_SCHEDULED 1")
    await settled(pair.a)
    await pair.arrived("A", "B")
    pair.split()
    await pair.a.work("child", COMPLETE)
    await settled(pair.a)
    key = RunKey(pair.a.namespace.id, "child", (await pair.a.run_ids("child"))[0])
    await pair.b.activate("B")
    await pair.b.signal("parent", "written-by-the-winner")
    pair.mend()
    await pair.converge()

    entry = await pair.b.changes.loader.entry(key)
    assert entry is not None
    assert entry.run.closed is not None
    assert entry.run.closed.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
    assert entry.derived.errands  # they stand, and are run as soon as the region runs errands at all
    pair.b.errands.start()
    await settled(pair.b)
    assert entry.run.record.close_errands.version == 2


@pytest.mark.parametrize("late", [False, True], ids=["reapplied_last", "reapplied_first"])
async def test_a_signal_that_waits_in_the_old_regions_buffer_comes_once(pair: Pair, *, late: bool) -> None:
    """The old region has buffered it, and its sender does not know; the next one sends it again."""
    await initiated(pair, signal_external("other"))
    await pair.a.start_workflow("other")
    await pair.arrived("A", "B")
    token = await pair.a.poll("other")
    await pair.arrived("A", "B")
    signal = externals.pending_signal(await pair.a.loaded("parent"), INITIATED, 1)
    assert signal is not None
    await pair.a.changes.update(
        pair.a.namespace,
        "other",
        "",
        lambda change: signals.signal(change, signal.request, source=signal.source),
    )
    assert (await pair.a.loaded("other")).record.buffered_events
    await pair.b.activate("B")
    await pair.b.signal("other", "written-by-the-winner")
    if late:
        await pair.converge()  # the old region's buffer has been flushed, and reapplied
        assert not (await pair.a.loaded("other")).record.buffered_events
    pair.b.errands.start()
    await has(pair.b, "parent", "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED 2")
    await pair.converge()
    await pair.same("other")
    named = [
        event.workflow_execution_signaled_event_attributes.signal_name
        for event in await pair.b.events("other")
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]
    assert sorted(named) == ["hello", "written-by-the-winner"]
    assert token.run_id


async def test_a_parent_whose_buffer_is_lost_hears_it_from_the_next_region(pair: Pair) -> None:
    """What waits in a buffer is not done: the region that has it may never come back."""
    await initiated(pair, start_child())
    pair.a.errands.start()
    await has(pair.a, "child", "WORKFLOW_TASK_SCHEDULED 1")
    await pair.a.poll("parent")
    await pair.a.work("child", COMPLETE)

    async def buffered() -> bool:
        return bool((await pair.a.loaded("parent")).record.buffered_events)

    await until_async(buffered)
    await pair.arrived("A", "B")
    await pair.kill("A")

    pair.b.errands.start()
    await pair.b.activate("B")
    await has(pair.b, "parent", "CHILD_WORKFLOW_EXECUTION_COMPLETED 2")


async def test_a_close_is_noted_when_the_buffer_is_written(pair: Pair) -> None:
    await initiated(pair, start_child())
    pair.a.errands.start()
    await has(pair.a, "child", "WORKFLOW_TASK_SCHEDULED 1")
    token = await pair.a.poll("parent")
    await pair.a.work("child", COMPLETE)

    async def buffered() -> bool:
        return bool((await pair.a.loaded("parent")).record.buffered_events)

    await until_async(buffered)
    assert not (await pair.a.loaded("child")).record.HasField("close_errands")
    await pair.a.complete(token)
    await settled(pair.a)
    assert (await pair.a.loaded("child")).record.HasField("close_errands")
    assert (await names(pair.a, "parent")).count("CHILD_WORKFLOW_EXECUTION_COMPLETED 1") == 1


async def test_a_cancel_request_whose_buffer_is_lost_is_made_again(pair: Pair) -> None:
    policy = ParentClosePolicy.PARENT_CLOSE_POLICY_REQUEST_CANCEL
    await initiated(pair, start_child(parent_close_policy=policy))
    pair.a.errands.start()
    await has(pair.a, "child", "WORKFLOW_TASK_SCHEDULED 1")
    await pair.a.poll("child")
    request = TerminateWorkflowExecutionRequest()
    await pair.a.changes.update(
        pair.a.namespace, "parent", "", lambda change: signals.terminate(change, request)
    )

    async def buffered() -> bool:
        return bool((await pair.a.loaded("child")).record.buffered_events)

    await until_async(buffered)
    await pair.arrived("A", "B")
    await pair.kill("A")

    pair.b.errands.start()
    await pair.b.activate("B")
    await has(pair.b, "child", "WORKFLOW_EXECUTION_CANCEL_REQUESTED 2")
