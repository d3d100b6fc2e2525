"""Scenarios 27, 28, 37, 38 and 42: two regions that went on by themselves, or lost sight of each other, agree again."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from datetime import timedelta

import pytest
from click.testing import CliRunner
from google.protobuf.json_format import MessageToDict
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from mockcloud.cli.main import main
from mockcloud.cloud.facade import MockCloud
from mockcloud.cloud.settings import CloudSettings
from mockcloud.cloud.views import RunView
from mockcloud.store import log
from tests.replication.golden import Picture, _event, recorded
from tests.scenarios.sides import (
    EAST,
    LOCAL,
    NAMESPACE,
    WEST,
    Side,
    agreed,
    complete_workflow,
    sides,
    signals_of,
)

SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED


@workflow.defn
class Collect:
    """Collects what it is told, until it is told to end."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.ended = False

    @workflow.signal
    def say(self, word: str) -> None:
        self.words.append(word)

    @workflow.signal
    def end(self) -> None:
        self.ended = True

    @workflow.query
    def said(self) -> list[str]:
        return self.words

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.wait_condition(lambda: self.ended)
        return self.words


def worker(client: Client) -> Worker:
    return Worker(
        client,
        task_queue="collect",
        workflows=[Collect],
        workflow_runner=UnsandboxedWorkflowRunner(),
        # Without a sticky queue, a worker that ends leaves no task waiting for it.
        max_cached_workflows=0,
    )


async def said(client: Client, workflow_id: str) -> list[str]:
    """What the workflow has taken in, asked where the client is connected."""
    handle = client.get_workflow_handle(workflow_id)
    words: list[str] = await handle.query(Collect.said, rpc_metadata=LOCAL)
    return words


async def started(cloud: MockCloud) -> tuple[Side, Side]:
    """A run `w1` of four events, the same in both regions."""
    east, west = await sides(cloud)
    await east.start("w1")
    await east.work()
    await cloud.namespace(NAMESPACE).replicated()
    return east, west


async def command(cloud: MockCloud, *arguments: str) -> str:
    """What `mockcloud …` prints."""
    result = await asyncio.to_thread(CliRunner().invoke, main, [*arguments, "--cloud", cloud.cloud_ops])
    assert result.exit_code == 0, result.output
    return result.output


class TestScenario27:
    """Forced with N unreplicated events: the old region's tail is a losing branch, readable on both sides."""

    async def test_27_the_tail_is_readable_by_the_handle_and_by_the_command(
        self, mockcloud: MockCloud
    ) -> None:
        orders = mockcloud.namespace(NAMESPACE)
        east, west = await started(mockcloud)
        link = mockcloud.link(EAST, WEST).partition()
        tail = ["lost-1", "lost-2", "lost-3"]
        for name in tail:
            await east.signal("w1", name)
        await east.work()
        operation = await orders.failover(WEST, forced=True)
        assert (operation.state, operation.mode) == ("FULFILLED", "forced")

        # The new region goes on from what it has.
        assert len((await west.history("w1")).history.events) == 4
        await west.signal("w1", "kept")
        await west.work()
        link.remove()
        run = (await agreed(mockcloud, "w1"))["w1"]

        for region, (view,) in (await orders.history("w1")).items():
            winner, loser = view.branches
            assert (winner.current, loser.current) == (True, False), region
            assert loser.items == ((10, 1),)
            assert winner.items[0] == (4, 1)
            assert winner.items[1][1] == 2
            assert [event.version for event in loser.events] == [1] * 10
            assert [
                event.workflow_execution_signaled_event_attributes.signal_name
                for event in loser.events
                if event.event_type == SIGNALED
            ] == tail
            assert loser.events[:4] == winner.events[:4]
        assert signals_of(run) == ["kept", *tail]

        values = json.loads(await command(mockcloud, "history", NAMESPACE, "w1", "-o", "json"))
        assert set(values) == {EAST, WEST}
        for (shown,) in values.values():
            assert shown["run_id"] == run.run_id
            winner, loser = shown["branches"]
            assert winner["items"][0] == [4, 1]
            assert loser["items"] == [[10, 1]]
            assert winner["events"] == [MessageToDict(event) for event in run.events]
            assert loser["events"] == [MessageToDict(event) for event in run.branches[1].events]

        table = await command(mockcloud, "history", NAMESPACE, "w1")
        for words in (EAST, WEST, "lost 10@v1", "v2 workflow execution", "v1 workflow task"):
            assert words in table
        assert table.count("(lost-1)") == 4, "on both branches, in both regions"

    async def test_27_without_a_write_of_the_new_region_the_tail_stands(self, mockcloud: MockCloud) -> None:
        """The other half of the rule: nothing forks where the winner has written nothing for the run."""
        east, west = await started(mockcloud)
        link = mockcloud.link(EAST, WEST).partition()
        await east.signal("w1", "tail")
        await east.work(complete_workflow("of the east"))
        await mockcloud.namespace(NAMESPACE).failover(WEST, forced=True)
        link.remove()
        run = (await agreed(mockcloud, "w1"))["w1"]
        assert (run.status, len(run.branches)) == ("COMPLETED", 1)
        assert {event.version for event in run.events} == {1}
        assert (await west.describe("w1")).workflow_execution_info.history_length == len(run.events)


class TestScenario28:
    """Signals on both sides of a split: all on the winner, each once; then both are equal byte for byte."""

    async def test_28_it_goes_as_a_real_pair_recorded_it(self, mockcloud: MockCloud) -> None:
        east, west = await started(mockcloud)
        link = mockcloud.link(EAST, WEST).partition()
        await mockcloud.namespace(NAMESPACE).failover(WEST, forced=True)
        for name in ("sA1", "sA2"):
            await east.signal("w1", name)
            await east.work()
        await west.signal("w1", "sB1")
        await west.work()
        await as_recorded(mockcloud, "02", "before_heal")

        link.remove()
        await agreed(mockcloud, "w1")
        await as_recorded(mockcloud, "02", "after_heal_before_wft")

        await west.work()
        run = (await agreed(mockcloud, "w1"))["w1"]
        await as_recorded(mockcloud, "02", "final")
        assert signals_of(run) == ["sB1", "sA1", "sA2"]

    async def test_28_real_workers_take_in_every_signal_once(self, mockcloud: MockCloud) -> None:
        orders = mockcloud.namespace(NAMESPACE)
        east, west = await orders.client(EAST), await orders.client(WEST)
        for number in range(3):
            await east.start_workflow(Collect.run, id=f"c{number}", task_queue="collect")
        await orders.replicated()
        link = mockcloud.link(EAST, WEST).partition()
        await orders.failover(WEST, forced=True)

        async with worker(east), worker(west):
            for number in range(3):
                for client, side in ((east, "east"), (west, "west")):
                    handle = client.get_workflow_handle(f"c{number}")
                    for word in range(3):
                        await handle.signal(Collect.say, f"{side}-{word}")
                    # A query sees what came before it: this side's worker has been there.
                    assert await said(client, f"c{number}") == [f"{side}-{word}" for word in range(3)]
            link.remove()
            await orders.replicated()
            ids = [f"c{number}" for number in range(3)]
            everything = sorted(f"{side}-{word}" for side in ("east", "west") for word in range(3))
            for workflow_id in ids:
                handle = west.get_workflow_handle(workflow_id)
                await handle.signal(Collect.end)
                words = await handle.result()
                assert sorted(words) == everything
                for side in ("east", "west"):
                    assert [word for word in words if word.startswith(side)] == sorted(
                        word for word in words if word.startswith(side)
                    ), "the order within a side stays"
        for run in (await agreed(mockcloud, *ids)).values():
            assert run.status == "COMPLETED"
            assert len(run.branches) == 2


async def as_recorded(cloud: MockCloud, name: str, snapshot: str) -> None:
    """Both regions have of `w1` what the real pair had."""
    history = await cloud.namespace(NAMESPACE).history("w1")
    for region, letter in ((EAST, "A"), (WEST, "B")):
        assert [picture(run) for run in history[region]] == recorded(name, snapshot, letter), region


def picture(run: RunView) -> Picture:
    current, *losers = run.branches
    return Picture(
        current=run.current,
        status=f"WORKFLOW_EXECUTION_STATUS_{run.status}",
        history=[_event(MessageToDict(event)) for event in current.events],
        items=[list(item) for item in current.items],
        losers=sorted(
            (
                (
                    [list(item) for item in loser.items],
                    [_event(MessageToDict(event)) for event in loser.events],
                )
                for loser in losers
            ),
            key=lambda loser: loser[0],
        ),
    )


FAULTS: Sequence[tuple[str, ...]] = (
    ("duplicate",),
    ("reorder",),
    ("drop",),
    ("duplicate", "reorder", "drop"),
)


class TestScenario37:
    """Batches duplicated, reordered, dropped on the link: the same result."""

    @pytest.mark.parametrize("kinds", FAULTS, ids="+".join)
    @pytest.mark.mockcloud(settings=CloudSettings(seed=37))
    async def test_37_a_busy_namespace_arrives_whole(
        self, mockcloud: MockCloud, kinds: tuple[str, ...]
    ) -> None:
        east, west = await sides(mockcloud)
        link = mockcloud.link(EAST, WEST)
        for kind in kinds:
            getattr(link, kind)(0.2)
        ids = [f"w{number}" for number in range(5)]
        for workflow_id in ids:
            await east.start(workflow_id)
        for round_ in range(6):
            for workflow_id in ids:
                await east.signal(workflow_id, f"s{round_}")
            for _ in ids:
                await east.work()
        # The faults are still on: what was lost comes again, what came twice or early counts once.
        for run in (await agreed(mockcloud, *ids)).values():
            assert signals_of(run) == [f"s{round_}" for round_ in range(6)]
            assert len(run.branches) == 1
        assert not (await west.describe("w0")).HasField("pending_workflow_task")

    @pytest.mark.mockcloud(settings=CloudSettings(seed=38))
    async def test_37_a_split_heals_over_a_bad_link(self, mockcloud: MockCloud) -> None:
        east, west = await started(mockcloud)
        link = mockcloud.link(EAST, WEST)
        cut = link.partition()
        await mockcloud.namespace(NAMESPACE).failover(WEST, forced=True)
        for number in range(3):
            await east.signal("w1", f"east-{number}")
            await east.work()
            await west.signal("w1", f"west-{number}")
            await west.work()
        for kind in FAULTS[-1]:
            getattr(link, kind)(0.2)
        cut.remove()
        run = (await agreed(mockcloud, "w1"))["w1"]
        assert signals_of(run) == [f"{side}-{number}" for side in ("west", "east") for number in range(3)]
        assert sorted(branch.items for branch in run.branches) == [
            ((4, 1), (len(run.events), 2)),
            ((16, 1),),
        ]


class TestScenario38:
    """A missing range is sent again; of a run that is not known, everything."""

    async def forget_log(self, cloud: MockCloud) -> None:
        """What is in the east's log is never sent: as after a dead letter, or for a region that joined late."""

        async def forget() -> None:
            region = cloud.cloud.node(EAST).region
            namespace_id = region.namespaces.by_name(NAMESPACE).id

            def trim(connection: sqlite3.Connection) -> None:
                log.trim_log(connection, namespace_id, log.last_position(connection, namespace_id))

            await region.store.transact(trim)

        await cloud.run(forget())

    async def test_38_a_missing_range_is_sent_again(self, mockcloud: MockCloud) -> None:
        east, west = await started(mockcloud)
        link = mockcloud.link(EAST, WEST).partition()
        for number in range(3):
            await east.signal("w1", f"missed-{number}")
            await east.work()
        await self.forget_log(mockcloud)
        assert len((await west.history("w1")).history.events) == 4
        link.remove()
        await east.signal("w1", "found")
        run = (await agreed(mockcloud, "w1"))["w1"]
        assert signals_of(run) == ["missed-0", "missed-1", "missed-2", "found"]
        assert len((await west.history("w1")).history.events) == len(run.events)

    async def test_38_a_run_that_is_not_known_is_fetched_whole(self, mockcloud: MockCloud) -> None:
        east, west = await sides(mockcloud)
        await mockcloud.namespace(NAMESPACE).replicated()
        link = mockcloud.link(EAST, WEST).partition()
        run_id = await east.start("unknown", request_id="start-1")
        await east.work()
        await self.forget_log(mockcloud)
        link.remove()
        await east.signal("unknown", "found")
        run = (await agreed(mockcloud, "unknown"))["unknown"]
        assert (run.run_id, signals_of(run)) == (run_id, ["found"])

        # It is whole: the new active region goes on with it, and knows who started it.
        await mockcloud.namespace(NAMESPACE).failover(WEST)
        assert await west.start("unknown", request_id="start-1") == run_id
        await west.work(complete_workflow())
        run = (await agreed(mockcloud, "unknown"))["unknown"]
        assert run.status == "COMPLETED"


class TestScenario42:
    """Who awaits a result while the branch under it is switched gets the winner's."""

    async def test_42_a_client_of_the_losing_region_gets_the_winners_result(
        self, mockcloud: MockCloud
    ) -> None:
        orders = mockcloud.namespace(NAMESPACE)
        east, west = await orders.client(EAST), await orders.client(WEST)
        handle = await east.start_workflow(
            Collect.run, id="awaited", task_queue="collect", execution_timeout=timedelta(minutes=5)
        )
        await orders.replicated()
        link = mockcloud.link(EAST, WEST).partition()
        async with worker(east), worker(west):
            await handle.signal(Collect.say, "east")
            assert await said(east, "awaited") == ["east"]
            await orders.failover(WEST, forced=True)
            result = asyncio.create_task(handle.result())
            elsewhere = west.get_workflow_handle("awaited")
            await elsewhere.signal(Collect.say, "west")
            assert await said(west, "awaited") == ["west"]
            assert not result.done()

            link.remove()
            await orders.replicated()
            assert await said(west, "awaited") == ["west", "east"]
            await elsewhere.signal(Collect.end)
            async with asyncio.timeout(10):
                assert await result == ["west", "east"]
        run = (await agreed(mockcloud, "awaited"))["awaited"]
        assert len(run.branches) == 2

    async def test_42_the_winner_has_closed_before_the_switch(self, mockcloud: MockCloud) -> None:
        """The close event comes with the switch itself, and no signal of the loser is in the way."""
        orders = mockcloud.namespace(NAMESPACE)
        east, west = await orders.client(EAST), await orders.client(WEST)
        handle = await east.start_workflow(Collect.run, id="closed", task_queue="collect")
        await orders.replicated()
        link = mockcloud.link(EAST, WEST).partition()
        async with worker(east):
            # The workflow task that the east's worker completes is the loser's tail.
            assert await said(east, "closed") == []
        await orders.failover(WEST, forced=True)
        result = asyncio.create_task(handle.result())
        async with worker(west):
            elsewhere = west.get_workflow_handle("closed")
            await elsewhere.signal(Collect.say, "west")
            await elsewhere.signal(Collect.end)
            assert await elsewhere.result() == ["west"]
        assert not result.done()
        link.remove()
        async with asyncio.timeout(10):
            assert await result == ["west"]
        run = (await agreed(mockcloud, "closed"))["closed"]
        assert (run.status, len(run.branches)) == ("COMPLETED", 2)
