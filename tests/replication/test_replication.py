"""The stream, what it carries and what becomes of it, over links with faults and through crashes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import (
    Command,
    ContinueAsNewWorkflowExecutionCommandAttributes,
    ScheduleActivityTaskCommandAttributes,
)
from temporalio.api.common.v1 import ActivityType, WorkflowType
from temporalio.api.enums.v1 import CommandType, EventType
from temporalio.api.history.v1 import History, HistoryEvent, WorkflowExecutionSignaledEventAttributes
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import RequestCancelWorkflowExecutionRequest

from mockcloud.api.replication.v1.replication_pb2 import FromSender, ReplicationTask
from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import activity, deletion, reapply, signals, times
from mockcloud.core.change import RunChange
from mockcloud.core.derive import derive
from mockcloud.core.derived import TaskKind
from mockcloud.core.errors import Code, NamespaceNotActive, ServiceError, Unavailable
from mockcloud.core.run import RunKey
from mockcloud.engine.namespaces import Namespace
from mockcloud.replication import names, waiting
from mockcloud.rpc.transport import Stream
from mockcloud.store import log
from mockcloud.store.log import LogWrite
from tests.replication.golden import seen
from tests.replication.regions import FAST, NAMESPACE, Pair, Region, until_async
from tests.replication.test_golden import complete_workflow, started


def schedule_activity(activity_id: str) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
        schedule_activity_task_command_attributes=ScheduleActivityTaskCommandAttributes(
            activity_id=activity_id,
            activity_type=ActivityType(name="charge"),
            task_queue=TaskQueue(name="tq"),
            start_to_close_timeout=Duration(seconds=60),
        ),
    )


def continue_as_new() -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION,
        continue_as_new_workflow_execution_command_attributes=ContinueAsNewWorkflowExecutionCommandAttributes(
            workflow_type=WorkflowType(name="wf"), task_queue=TaskQueue(name="tq")
        ),
    )


async def take_activity(region: Region, workflow_id: str) -> None:
    def rule(change: RunChange) -> None:
        offer = next(o for o in derive(change.run).offers if o.kind is TaskKind.ACTIVITY)
        assert activity.start_activity(change, offer, "poll-1", "worker-A") is not None

    await region.changes.update(region.namespace, workflow_id, "", rule)


async def request_cancel(region: Region, workflow_id: str) -> None:
    request = RequestCancelWorkflowExecutionRequest(namespace=NAMESPACE, identity="someone", request_id="c1")
    await region.changes.update(
        region.namespace, workflow_id, "", lambda change: signals.request_cancel(change, request)
    )


async def next_run(pair: Pair) -> None:
    """The run that continues begins after the least interval between two of them."""
    pair.clock.advance(times.SECOND)
    await pair.a.fire_due("w1")
    await pair.a.work("w1")


async def split_signals(pair: Pair, workflow_id: str, count: int) -> None:
    """A run that both sides went on with, `count` signals each."""
    for number in range(count):
        await pair.a.signal(workflow_id, f"a{number}")
        await pair.a.work(workflow_id)
        await pair.b.signal(workflow_id, f"b{number}")
        await pair.b.work(workflow_id)


async def ended(stream: Stream) -> None:
    """Return when the other end has ended a stream; raises why."""
    while await stream.receive() is not None:
        pass


class TestBadStreams:
    """What no peer of this cloud sends is refused whole, and the true stream goes on."""

    @pytest.mark.parametrize(
        ("namespace_id", "source", "code"),
        [
            ("", "X", Code.INVALID_ARGUMENT),  # a region that nobody knows
            ("", "B", Code.INVALID_ARGUMENT),  # the region itself
            ("no-such-namespace", "A", Code.NOT_FOUND),
        ],
    )
    async def test_of_a_region_or_a_namespace_that_is_not_known(
        self, tmp_path: Path, namespace_id: str, source: str, code: Code
    ) -> None:
        async with Pair(tmp_path) as pair:
            await pair.register()
            metadata = {
                names.NAMESPACE_ID: namespace_id or pair.b.namespace.id,
                names.SOURCE_REGION: source,
            }
            stream = await pair.peers.transport().stream("B", names.REPLICATE, metadata=metadata)
            with pytest.raises(ServiceError) as refused:
                await stream.receive()
            assert refused.value.code == code
            await pair.a.start_workflow("w")
            await pair.same("w")

    async def test_a_message_that_is_cut_short(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await pair.register()
            await pair.a.start_workflow("w")
            await pair.same("w")
            before = await pair.b.applied("A")
            task = ReplicationTask(position=before + 1)
            task.history.workflow_id = "w"
            whole = FromSender(
                previous_position=before, position=before + 1, tasks=[task]
            ).SerializeToString()
            metadata = {names.NAMESPACE_ID: pair.b.namespace.id, names.SOURCE_REGION: "A"}
            stream = await pair.peers.transport().stream("B", names.REPLICATE, metadata=metadata)
            await stream.send(whole[:-1])
            with pytest.raises(ServiceError):
                await ended(stream)
            assert await pair.b.applied("A") == before
            await pair.a.signal("w", "goes on")
            await pair.same("w")
            assert (await pair.b.loaded("w")).signal_count == 1


@asynccontextmanager
async def busy(region: Region, workflow_id: str) -> AsyncIterator[None]:
    """Nothing else is done to a workflow id meanwhile: what arrives for it waits."""
    go_on = asyncio.Event()
    held = asyncio.create_task(region.changes.exclusive(region.namespace, workflow_id, go_on.wait))
    try:
        yield
    finally:
        go_on.set()
        await held


class TestBacklog:
    async def test_a_fresh_change_overtakes_it(self, tmp_path: Path) -> None:
        """A busy run holds back the window; what is committed meanwhile to another run does not wait for it."""
        settings = replace(FAST, page_rows=2, window=8)
        async with Pair(tmp_path, settings=settings) as pair:
            await pair.register()
            for workflow_id in ("w1", "w2"):
                await pair.a.start_workflow(workflow_id)
            await pair.converge()
            async with busy(pair.b, "w1"):
                for number in range(20):
                    await pair.a.signal("w1", f"held {number}")
                for number in range(3):
                    await pair.a.signal("w2", f"fresh {number}")

                async def overtaken() -> bool:
                    return (await pair.b.loaded("w2")).signal_count == 3

                await until_async(overtaken)
                assert (await pair.b.loaded("w1")).signal_count == 0
                assert await pair.b.applied("A") < await pair.a.log_position() - 20
            await pair.same("w1")
            await pair.same("w2")
            assert (await pair.b.loaded("w2")).signal_count == 3

    async def test_what_continues_nothing_that_is_there_waits_for_its_turn(self, tmp_path: Path) -> None:
        settings = replace(FAST, page_rows=2, window=8)
        async with Pair(tmp_path, settings=settings) as pair:
            await pair.register()
            await pair.a.start_workflow("w1")
            await pair.converge()
            async with busy(pair.b, "w1"):
                for number in range(20):
                    await pair.a.signal("w1", f"held {number}")
                await pair.a.start_workflow("w2")
                await pair.a.signal("w2", "of a run that is unknown there")
                await pair.a.signal("w1", "the last")
            await pair.same("w1")
            await pair.same("w2")
            assert [len(await pair.b.events(name)) for name in ("w1", "w2")] == [23, 3]


async def test_what_somebody_waits_for_is_not_held_back_for_company(tmp_path: Path) -> None:
    settings = replace(FAST, pacing=60.0, ack_timeout=60.0)
    async with Pair(tmp_path, settings=settings) as pair:
        await pair.register()
        await pair.a.start_workflow("w1")
        await pair.converge()
        async with busy(pair.b, "w1"):
            await pair.a.signal("w1", "goes at once and is not acknowledged")
            await pair.a.start_workflow("w2")

            position = await pair.a.log_position()
            replicated = pair.a.replication.wait_acked(pair.a.namespace.id, "B", position)
            waiting = asyncio.create_task(replicated)

            async def there() -> bool:
                return bool(await pair.b.current_run_id("w2"))

            await until_async(there)
        await waiting


class TestWhatReplicates:
    async def test_a_namespace_reaches_a_peer_that_does_not_know_it(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await pair.register()
            assert pair.b.namespace.record == pair.a.namespace.record
            assert not pair.b.namespace.active

    async def test_an_update_of_a_namespace(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await pair.register()
            await pair.b.activate("B")
            await pair.converge()
            assert pair.a.namespace.record == pair.b.namespace.record
            assert not pair.a.namespace.active

    async def test_an_activity_that_a_worker_has(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await pair.register()
            await pair.a.start_workflow("w1")
            await pair.a.work("w1", schedule_activity("a1"))
            await take_activity(pair.a, "w1")
            await pair.same("w1")
            (ours,) = (await pair.a.loaded("w1")).activities.values()
            (theirs,) = (await pair.b.loaded("w1")).activities.values()
            assert theirs.started
            assert theirs.record == ours.record

    async def test_a_run_that_continues_as_new(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await pair.register()
            first = await pair.a.start_workflow("w1")
            await pair.a.work("w1", continue_as_new())
            await next_run(pair)
            await pair.same("w1")
            assert len(await pair.b.run_ids("w1")) == 2
            assert await pair.b.current_run_id("w1") != first

    async def test_workflow_ids_are_used_again(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await pair.register()
            for _ in range(3):
                await pair.a.start_workflow("w1")
                await pair.a.work("w1", complete_workflow("done"))
            await pair.same("w1")
            assert len(await pair.b.run_ids("w1")) == 3

    async def test_a_request_id_is_known_after_a_failover(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await pair.register()
            run_id = await pair.a.start_workflow("w1", request_id="start-1")
            await pair.a.signal("w1", "s", request_id="signal-1")
            await pair.converge()
            await pair.b.activate("B")
            await pair.converge()
            assert await pair.b.start_workflow("w1", request_id="start-1") == run_id
            before = await pair.b.types("w1")
            await pair.b.signal("w1", "s", request_id="signal-1")
            assert await pair.b.types("w1") == before

    async def test_nothing_echoes(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await started(pair)
            assert await pair.b.log_position() == 0

    async def test_the_log_is_trimmed_by_what_the_peer_has(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await started(pair)
            await pair.stop("A")
            region = await pair.open("A")
            rows = await region.store.read(lambda c: log.read_log(c, region.namespace.id, 0))
            assert rows == []


class TestFaultyLinks:
    @pytest.mark.parametrize(
        "kinds", [("drop",), ("duplicate",), ("reorder",), ("drop", "duplicate", "reorder")]
    )
    async def test_lost_doubled_and_reordered_messages_give_the_same_result(
        self, tmp_path: Path, kinds: tuple[str, ...]
    ) -> None:
        async with Pair(tmp_path, seed=7) as pair:
            await pair.register()
            for kind in kinds:
                pair.links.add(kind, "A", "B", probability=0.3)
            for number in range(5):
                await pair.a.start_workflow(f"w{number}")
            for round_ in range(4):
                for number in range(5):
                    await pair.a.signal(f"w{number}", f"s{round_}")
                    await pair.a.work(f"w{number}")
            for number in range(5):
                await pair.same(f"w{number}")

    async def test_faults_on_a_healing_split(self, tmp_path: Path) -> None:
        """The same split over a clean link and over a bad one ends in the same pictures."""
        ends = []
        for name, kinds in (("clean", ()), ("bad", ("drop", "duplicate", "reorder"))):
            directory = tmp_path / name
            directory.mkdir()
            async with Pair(directory, seed=3) as pair:
                await started(pair)
                pair.split()
                await pair.b.activate("B")
                await split_signals(pair, "w1", 3)
                for kind in kinds:
                    pair.links.add(kind, "A", "B", probability=0.3)
                pair.mend()
                await pair.same("w1")
                ends.append(await seen(pair.a))
        assert ends[0] == ends[1]

    async def test_what_was_cut_off_comes_when_the_link_heals(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await pair.register()
            pair.split()
            await pair.a.start_workflow("w1")
            report = (await pair.a.replication.lag(pair.a.namespace.id))[0]
            assert report.outstanding > 0
            assert report.age > 0
            pair.mend()
            await pair.same("w1")
            report = (await pair.a.replication.lag(pair.a.namespace.id))[0]
            assert (report.outstanding, report.age) == (0, 0)
            assert report.p99 >= report.p50 > 0


class TestMissingEvents:
    async def test_a_missing_range_is_fetched(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await started(pair)
            await self.lose(pair, "w1", signals_=2)
            await pair.a.signal("w1", "found")
            await pair.same("w1")

    async def test_an_unknown_run_is_fetched_whole(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await pair.register()
            pair.split()
            await pair.a.start_workflow("w1", request_id="start-1")
            await pair.a.work("w1")
            await self.forget_log(pair)
            pair.mend()
            await pair.a.signal("w1", "s")
            await pair.same("w1")
            record = await pair.b.record("w1")
            assert record is not None
            assert record.create_request_id == "start-1"

    async def test_a_run_fetched_whole_brings_the_one_that_continues_it(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await pair.register()
            pair.split()
            await pair.a.start_workflow("w1")
            await self.forget_log(pair)
            await pair.a.work("w1", continue_as_new())
            await next_run(pair)
            pair.mend()
            await pair.same("w1")
            assert len(await pair.b.run_ids("w1")) == 2

    async def test_what_is_trimmed_is_acknowledged_all_the_same(self, tmp_path: Path) -> None:
        """A peer that joined later is filled with it; nobody waits for it to come from the log."""
        async with Pair(tmp_path) as pair:
            await pair.register()
            pair.split()
            await pair.a.start_workflow("w1")
            await self.forget_log(pair)
            pair.mend()
            await pair.converge()
            (report,) = await pair.a.replication.lag(pair.a.namespace.id)
            assert report.outstanding == 0

    async def test_state_brings_a_run_that_has_not_arrived(self, tmp_path: Path) -> None:
        """With three regions it may come from another one than the run, and before it."""
        async with Pair(tmp_path) as pair:
            await pair.register()
            pair.split()
            await pair.a.start_workflow("w1")
            await pair.a.work("w1", schedule_activity("a1"))
            await self.forget_log(pair)
            await take_activity(pair.a, "w1")
            pair.mend()
            await pair.same("w1")
            (ours,) = (await pair.a.loaded("w1")).activities.values()
            (theirs,) = (await pair.b.loaded("w1")).activities.values()
            assert theirs.record == ours.record

    async def test_what_is_told_late_does_not_bring_a_deleted_run_back(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await pair.register()
            run_id = await pair.a.start_workflow("w1")
            await pair.a.work("w1", schedule_activity("a1"))
            await take_activity(pair.a, "w1")
            namespace_id = pair.a.namespace.id
            rows = await pair.a.store.read(lambda c: log.read_log(c, namespace_id, 0))
            told = [row.task for row in rows]
            await pair.a.changes.update(pair.a.namespace, "w1", run_id, deletion.request)
            await pair.converge()
            assert not await pair.b.run_ids("w1")

            of_w1 = [task for task in told if task.WhichOneof("task") in ("history", "activity")]
            assert len(of_w1) > 2
            await pair.b.replication._apply.apply_tasks(namespace_id, "A", "w1", of_w1)

            assert not await pair.b.run_ids("w1")

    async def lose(self, pair: Pair, workflow_id: str, signals_: int) -> None:
        pair.split()
        for number in range(signals_):
            await pair.a.signal(workflow_id, f"lost{number}")
        await self.forget_log(pair)
        pair.mend()

    async def forget_log(self, pair: Pair) -> None:
        """What is in A's log is never sent: as after a dead letter, or a region that joined late."""
        namespace_id = pair.a.namespace.id
        last = await pair.a.log_position()
        await pair.a.store.transact(lambda c: log.trim_log(c, namespace_id, last))


class TestCrashes:
    async def test_the_receiver_is_killed(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await started(pair)
            for number in range(10):
                await pair.a.signal("w1", f"s{number}")
            await pair.kill("B")
            for number in range(10, 20):
                await pair.a.signal("w1", f"s{number}")
            await pair.open("B")
            await pair.same("w1")
            assert (await pair.b.loaded("w1")).signal_count == 20

    async def test_the_sender_is_killed(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await started(pair)
            pair.split()
            for number in range(10):
                await pair.a.signal("w1", f"s{number}")
            await pair.kill("A")
            pair.mend()
            await pair.open("A")
            await pair.same("w1")
            assert (await pair.b.loaded("w1")).signal_count == 10

    async def test_the_winner_is_killed_while_it_reconciles(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await started(pair)
            pair.split()
            await pair.b.activate("B")
            await split_signals(pair, "w1", 4)
            pair.heal("A", "B")
            await pair.kill("B")
            await pair.open("B")
            pair.mend()
            await pair.same("w1")
            run = await pair.b.loaded("w1")
            assert run.signal_count == 8


class TestReconciliation:
    async def test_a_losing_signal_waits_for_the_winners_workflow_task(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await started(pair)
            pair.split()
            await pair.b.activate("B")
            await pair.a.signal("w1", "lost")
            await pair.b.signal("w1", "b")
            token = await pair.b.poll("w1")
            pair.mend()
            await pair.converge()
            run = await pair.b.loaded("w1")
            assert (run.signal_count, len(run.record.buffered_events)) == (2, 1)
            await pair.b.complete(token)
            await pair.same("w1")
            assert [name for name, _ in await pair.a.types("w1")][-3:] == [
                "WORKFLOW_TASK_COMPLETED",
                "WORKFLOW_EXECUTION_SIGNALED",
                "WORKFLOW_TASK_SCHEDULED",
            ]

    async def test_buffered_events_of_the_loser_are_flushed_under_its_version(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await started(pair)
            pair.split()
            await pair.a.signal("w1", "a1")
            await pair.a.poll("w1")
            await pair.a.signal("w1", "buffered")
            await pair.b.activate("B")
            await pair.b.signal("w1", "b1")
            pair.mend()
            await pair.same("w1")
            assert (await pair.b.loaded("w1")).signal_count == 3
            loser = await pair.a.events("w1", branch=0)
            assert {event.version for event in loser} == {1}
            assert loser[-1].event_id == 10  # failed, the buffered signal, scheduled

    async def test_a_failed_over_batch_makes_the_receiver_ask_who_is_active(self, tmp_path: Path) -> None:
        """[14b]: here the record itself never comes, because it is not in the log any more."""
        async with Pair(tmp_path) as pair:
            await started(pair)
            pair.split()
            await pair.b.activate("B")
            last = await pair.b.log_position()
            await pair.b.store.transact(lambda c: log.trim_log(c, pair.b.namespace.id, last))
            await pair.b.signal("w1", "b1")
            pair.mend()
            await pair.same("w1")
            assert pair.a.namespace.record.failover_version == 2
            assert not pair.a.namespace.active

    async def test_a_regions_own_lost_signals_are_ignored(self, tmp_path: Path) -> None:
        """1→2→11, and B hears of v11 before A's tail of v1 reaches it."""
        async with Pair(tmp_path) as pair:
            await started(pair)
            pair.split()
            await pair.a.signal("w1", "own")
            await pair.b.activate("B")
            await pair.b.signal("w1", "b1")
            await pair.b.work("w1")
            pair.heal("B", "A")
            await pair.arrived("B", "A")
            await pair.a.activate("A")
            await pair.b.namespaces.receive(pair.a.namespace.record)
            pair.mend()
            await pair.same("w1")
            assert (await pair.a.loaded("w1")).signal_count == 1
            assert len((await pair.b.branches("w1"))[0]) == 2

    async def test_signals_are_reapplied_once(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await started(pair)
            pair.split()
            await pair.b.activate("B")
            await split_signals(pair, "w1", 2)
            pair.mend()
            await pair.same("w1")
            record = await pair.a.record("w1")
            assert record is not None
            assert len(record.reapplied) == 2
            # The same events are asked to be reapplied again, from elsewhere.
            lost = [e for e in await pair.b.events("w1", branch=1) if e.event_type == reapply.SIGNALED]
            before = await pair.b.types("w1")
            key = (await pair.b.loaded("w1")).key
            await pair.a.replication._peers.reapply_events("B", key, lost)
            assert await pair.b.types("w1") == before

    async def test_signals_of_several_losing_batches_are_reapplied_in_one(self, tmp_path: Path) -> None:
        """As long as they come together, and with the events that they would have one by one."""
        async with Pair(tmp_path) as pair:
            await started(pair)
            pair.split()
            await pair.b.activate("B")
            await pair.b.signal("w1", "b")
            await pair.b.work("w1")
            for number in range(3):
                await pair.a.signal("w1", f"a{number}")
            before = await pair.b.log_position()
            pair.mend()
            await pair.same("w1")
            assert [name for name, version in await pair.b.types("w1")][-4:] == [
                "WORKFLOW_EXECUTION_SIGNALED",
                "WORKFLOW_TASK_SCHEDULED",
                "WORKFLOW_EXECUTION_SIGNALED",
                "WORKFLOW_EXECUTION_SIGNALED",
            ]
            assert await pair.b.log_position() == before + 2  # a batch, and what is known to be reapplied

    async def test_events_sent_for_reapply_are_applied_where_the_namespace_is_active(
        self, tmp_path: Path
    ) -> None:
        async with Pair(tmp_path) as pair:
            await started(pair)
            await pair.b.activate("B")
            await pair.converge()
            key = (await pair.b.loaded("w1")).key
            attributes = WorkflowExecutionSignaledEventAttributes(signal_name="late", identity="me")
            event = HistoryEvent(event_id=5, version=1, event_type=reapply.SIGNALED)
            event.workflow_execution_signaled_event_attributes.CopyFrom(attributes)
            with pytest.raises(NamespaceNotActive):
                await pair.b.replication._peers.reapply_events("A", key, [event])
            for _ in range(2):
                await pair.a.replication._peers.reapply_events("B", key, [event])
            await pair.same("w1")
            assert (await pair.a.types("w1"))[4:] == [
                ("WORKFLOW_EXECUTION_SIGNALED", 2),
                ("WORKFLOW_TASK_SCHEDULED", 2),
            ]
            record = await pair.a.record("w1")
            assert record is not None
            assert len(record.reapplied) == 1


async def test_of_a_batch_that_is_partly_there_only_the_rest_is_stored(tmp_path: Path) -> None:
    async with Pair(tmp_path) as pair:
        await started(pair)
        await pair.converge()
        known = await pair.b.events("w1")
        new = HistoryEvent(event_id=known[-1].event_id + 1, version=1, event_type=reapply.SIGNALED)
        new.workflow_execution_signaled_event_attributes.signal_name = "new"
        task = ReplicationTask(created_at=pair.a.ports.clock.now())
        batch = task.history
        batch.workflow_id, batch.run_id = "w1", (await pair.b.loaded("w1")).key.run_id
        batch.items.add(event_id=new.event_id, version=1)
        batch.events = History(events=[known[-1], new]).SerializeToString()
        await pair.a.store.transact(
            lambda c: log.append_log(c, pair.a.namespace.id, LogWrite(task.SerializeToString()))
        )
        await pair.a.start_workflow("w2")  # which has the log looked at
        await pair.converge()
        assert await pair.b.events("w1") == [*known, new]


async def not_built(region: Region, workflow_id: str) -> None:
    """A batch with an event whose meaning is not built, in a region's log."""
    run = await region.loaded(workflow_id)
    event = HistoryEvent(
        event_id=run.next_event_id, version=1, event_type=EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED
    )
    task = ReplicationTask(created_at=region.ports.clock.now())
    task.history.workflow_id = workflow_id
    task.history.run_id = run.key.run_id
    task.history.items.add(event_id=event.event_id, version=1)
    task.history.events = History(events=[event]).SerializeToString()
    await region.store.transact(
        lambda c: log.append_log(c, region.namespace.id, LogWrite(task.SerializeToString()))
    )


class TestTwoRunsAndClosedRuns:
    async def test_a_cancel_request_on_a_losing_branch_is_made_again(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await started(pair)
            pair.split()
            await pair.b.activate("B")
            await request_cancel(pair.a, "w1")
            await pair.b.signal("w1", "b")
            pair.mend()
            await pair.same("w1")
            assert (await pair.a.types("w1"))[-1] == ("WORKFLOW_EXECUTION_CANCEL_REQUESTED", 2)
            assert (await pair.b.loaded("w1")).cancel_requested

    async def test_a_late_signal_opens_a_closed_workflow_again(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await started(pair)
            pair.split()
            await pair.b.activate("B")
            await pair.a.signal("w1", "late")
            await pair.b.signal("w1", "b")
            await pair.b.work("w1", complete_workflow("done"))
            closed = await pair.b.current_run_id("w1")
            pair.mend()
            await pair.same("w1")
            current = await pair.b.loaded("w1")
            assert current.open
            assert current.key.run_id != closed
            # What the run had after its last completed task comes again, then what was late.
            assert [
                event.workflow_execution_signaled_event_attributes.signal_name
                for event in await pair.b.events("w1")
                if event.event_type == reapply.SIGNALED
            ] == ["b", "late"]
            assert (await pair.a.record("w1", closed)) is not None

    async def test_the_late_signal_comes_once_however_often_it_is_sent(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await started(pair)
            key = RunKey(pair.a.namespace.id, "w1", await pair.a.current_run_id("w1"))
            pair.split()
            await pair.b.activate("B")
            await pair.b.signal("w1", "b")
            await pair.b.work("w1", complete_workflow("done"))
            pair.mend()
            await pair.converge()
            event = HistoryEvent(event_id=5, version=1, event_type=reapply.SIGNALED)
            event.workflow_execution_signaled_event_attributes.signal_name = "late"
            for _ in range(2):
                await pair.a.replication._peers.reapply_events("B", key, [event])
            await pair.same("w1")
            assert len(await pair.b.run_ids("w1")) == 2
            assert (await pair.b.loaded("w1")).signal_count == 2  # the run's own, and the late one

    async def test_of_two_runs_the_older_ends_as_a_zombie(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await pair.register()
            pair.split()
            await pair.b.activate("B")
            ours, theirs = await pair.a.start_workflow("w1"), await pair.b.start_workflow("w1")
            await pair.a.signal("w1", "mine")
            pair.heal("A", "B")
            await pair.arrived("A", "B")
            record = await pair.b.record("w1", ours)
            assert record is not None
            assert record.zombie
            assert (await pair.b.loaded("w1")).signal_count == 1
            pair.mend()
            await pair.same("w1")
            assert await pair.a.current_run_id("w1") == theirs
            assert (await pair.a.types("w1", ours))[-1] == ("WORKFLOW_EXECUTION_TERMINATED", 1)

    async def test_a_zombie_is_revived_when_its_region_wins(self, tmp_path: Path) -> None:
        """A becomes active again while the split lasts, so its run is the newer one after all."""
        async with Pair(tmp_path) as pair:
            await pair.register()
            pair.split()
            await pair.b.activate("B")
            ours, theirs = await pair.a.start_workflow("w1"), await pair.b.start_workflow("w1")
            pair.heal("A", "B")
            await pair.arrived("A", "B")
            await pair.a.namespaces.receive(
                pair.b.namespace.record
            )  # A learns of version 2 and of nothing else
            await pair.a.activate("A")
            await pair.a.signal("w1", "again")
            pair.mend()
            await pair.same("w1")
            assert await pair.b.current_run_id("w1") == ours
            assert (await pair.b.loaded("w1")).open
            assert (await pair.a.types("w1", theirs))[-1] == ("WORKFLOW_EXECUTION_TERMINATED", 2)

    async def test_the_run_that_a_losing_branch_continues_as_ends(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await started(pair)
            first = await pair.a.current_run_id("w1")
            pair.split()
            await pair.b.activate("B")
            await pair.a.signal("w1", "a")
            await pair.a.work("w1", continue_as_new())
            onward = await pair.a.current_run_id("w1")
            await pair.b.signal("w1", "b")
            await pair.b.work("w1")
            pair.mend()
            await pair.same("w1")
            assert await pair.a.current_run_id("w1") == first
            assert (await pair.b.loaded("w1")).signal_count == 2
            assert (await pair.b.types("w1", onward))[-1] == ("WORKFLOW_EXECUTION_TERMINATED", 1)


class TestWhatWaits:
    async def test_an_event_that_is_not_built_parks_its_run_alone(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await started(pair)
            await pair.a.start_workflow("w2")
            await pair.converge()
            await not_built(pair.a, "w1")
            await pair.a.signal("w1", "behind")
            await pair.a.signal("w2", "a")
            await pair.converge()

            parked = await waiting.list_parked(pair.b.store, pair.b.namespace.id)
            assert [task.reason for task in parked] == [
                "events of type EVENT_TYPE_NEXUS_OPERATION_SCHEDULED are not built",
                "an earlier task of the run is parked",
            ]
            assert {task.workflow_id for task in parked} == {"w1"}
            await pair.same("w2")

            # It is still there, and still waits, after a restart.
            await pair.kill("B")
            await pair.open("B")
            again = await waiting.list_parked(pair.b.store, pair.b.namespace.id)
            assert [task.parked_id for task in again] == [task.parked_id for task in parked]
            assert (await waiting.counts(pair.b.store, pair.b.namespace.id)).parked_runs == 1

    async def test_a_poisoned_task_becomes_a_dead_letter_and_blocks_nobody(self, tmp_path: Path) -> None:
        async with Pair(tmp_path) as pair:
            await started(pair)
            task = await self.poison(pair)
            await pair.a.signal("w1", "after")
            await pair.same("w1")
            (letter,) = await waiting.list_dead_letters(pair.b.store, pair.b.namespace.id)
            assert letter.reason == "a batch ends where its version history ends"
            assert letter.attempts == pair.settings.attempts
            assert (await waiting.dead_letter(pair.b.store, letter.message_id)) == letter
            assert ReplicationTask.FromString(letter.task).history.run_id == task.history.run_id

    @pytest.mark.parametrize(("patience", "buried"), [(FAST.patience, 0), (0.0, 1)])
    async def test_a_record_that_cannot_be_stored_is_tried_again_with_patience(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        patience: float,
        buried: int,
    ) -> None:
        async with Pair(tmp_path, settings=replace(FAST, patience=patience, retry_first=0.001)) as pair:
            await started(pair)
            registry = pair.b.namespaces
            receive, failures = registry.receive, 0

            async def fails(record: NamespaceRecord) -> Namespace:
                nonlocal failures
                if failures < 10:
                    failures += 1
                    raise Unavailable("transact operation failed")
                return await receive(record)

            monkeypatch.setattr(registry, "receive", fails)
            await pair.a.activate("B")
            await pair.converge()
            letters = await waiting.list_dead_letters(pair.b.store, pair.b.namespace.id)
            assert len(letters) == buried
            assert pair.b.namespace.record.active_cluster == ("A" if buried else "B")
            for letter in letters:
                assert letter.reason == "transact operation failed"
                told = f"namespace record of {NAMESPACE}"
                assert waiting.subject(ReplicationTask.FromString(letter.task)) == told
                assert f"dead letter for {told}: transact operation failed" in caplog.messages

    async def poison(self, pair: Pair) -> ReplicationTask:
        """A task in A's log whose events and version history disagree."""
        events = await pair.a.events("w1")
        task = ReplicationTask(created_at=pair.clock.now())
        task.history.workflow_id = "w9"
        task.history.run_id = "poisoned"
        task.history.items.add(event_id=9, version=1)
        task.history.events = History(events=events[:2]).SerializeToString()
        write = LogWrite(task.SerializeToString())
        await pair.a.store.transact(lambda c: log.append_log(c, pair.a.namespace.id, write))
        return task
