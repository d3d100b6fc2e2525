"""The receiving half by its messages alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockcloud.api.replication.v1.replication_pb2 import FromReceiver, FromSender, ReplicationTask
from mockcloud.replication.receiver import Receiver
from mockcloud.replication.settings import Settings
from mockcloud.store import positions
from mockcloud.store.database import Store

from .regions import until


class Wire:
    """The stream as the receiver sees it; the test is the sender."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.answers: asyncio.Queue[FromReceiver] = asyncio.Queue()

    async def send(self, message: bytes) -> None:
        self.answers.put_nowait(FromReceiver.FromString(message))

    async def receive(self) -> bytes | None:
        return await self.incoming.get()

    async def close(self) -> None:
        self.incoming.put_nowait(None)

    def push(self, previous: int, position: int) -> None:
        tasks = [task(number) for number in range(previous + 1, position + 1)]
        message = FromSender(previous_position=previous, position=position, tasks=tasks)
        self.incoming.put_nowait(message.SerializeToString())

    def push_ahead(self, *numbers: int) -> None:
        message = FromSender(ahead=[task(number) for number in numbers])
        self.incoming.put_nowait(message.SerializeToString())


class Applier:
    """Remembers what it was told, in that order; can be held up.

    It leaves every `leaves`th workflow id over.
    """

    def __init__(self, store: Store, leaves: int = 3) -> None:
        self.applied: list[int] = []
        self.calls: list[list[int]] = []  # what was to be applied together
        self.ahead: list[int] = []
        self.misses = False
        self.open = asyncio.Event()
        self.open.set()
        self.store = store
        self.leaves = leaves
        self.asked = 0

    async def apply_together(
        self, namespace_id: str, source: str, tasks: Mapping[str, list[ReplicationTask]], position: int | None
    ) -> set[str]:
        self.calls.append(sorted(each.position for own in tasks.values() for each in own))
        await self.open.wait()
        left = set()
        for workflow_id, own in tasks.items():
            self.asked += 1
            if self.asked % self.leaves == 0:
                left.add(workflow_id)
            else:
                self.applied += [each.position for each in own]
        if position is not None and not left:
            await self.store.transact(lambda c: positions.set_applied(c, namespace_id, source, position))
        return left

    async def apply_ahead(
        self, namespace_id: str, source: str, tasks: Mapping[str, list[ReplicationTask]]
    ) -> set[str]:
        self.ahead += [each.position for own in tasks.values() for each in own]
        return set(tasks) if self.misses else set()

    async def apply_tasks(
        self, namespace_id: str, source: str, workflow_id: str, tasks: list[ReplicationTask]
    ) -> None:
        await self.open.wait()
        self.applied += [each.position for each in tasks]

    async def apply_record(self, namespace_id: str, source: str, task: ReplicationTask) -> None:
        self.applied.append(task.position)


def task(position: int) -> ReplicationTask:
    """Every fifth one is a namespace record, the others belong to three workflows."""
    made = ReplicationTask(position=position)
    if position % 5 == 0:
        made.namespace_record.id = "n"
    else:
        made.history.workflow_id = f"w{position % 3}"
    return made


def receiver(store: Store, applier: Applier, **figures: int) -> Receiver:
    return Receiver("n", "A", store=store, applier=applier, settings=Settings(**figures))


async def test_it_says_at_once_from_where_it_wants_to_be_sent(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "s.db", durable=False)
    await store.transact(lambda c: positions.set_applied(c, "n", "A", 7))
    wire = Wire()
    serving = asyncio.create_task(receiver(store, Applier(store)).serve(wire))
    assert (await wire.answers.get()).applied_position == 7
    await wire.close()
    await serving
    await store.close()


async def test_a_gap_is_refused_once(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "s.db", durable=False)
    wire, applier = Wire(), Applier(store)
    serving = asyncio.create_task(receiver(store, applier).serve(wire))
    await wire.answers.get()
    for previous in (2, 4, 6):
        wire.push(previous, previous + 2)
    answer = await wire.answers.get()
    assert (answer.resend, answer.want_after) == (True, 0)
    wire.push(0, 2)
    answer = await wire.answers.get()
    assert (answer.resend, answer.applied_position) == (False, 2)
    await wire.close()
    await serving
    assert wire.answers.empty()
    assert sorted(applier.applied) == [1, 2]
    await store.close()


async def test_a_full_receiver_pauses_its_sender(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "s.db", durable=False)
    wire, applier = Wire(), Applier(store)
    applier.open.clear()
    serving = asyncio.create_task(receiver(store, applier, high_water=3, low_water=2).serve(wire))
    await wire.answers.get()
    wire.push(0, 4)
    assert (await wire.answers.get()).pause
    applier.open.set()
    while (answer := await wire.answers.get()).pause or answer.applied_position < 4:
        pass
    await wire.close()
    await serving
    await store.close()


async def test_what_arrives_meanwhile_is_applied_together(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "s.db", durable=False)
    wire, applier = Wire(), Applier(store, leaves=100)
    applier.open.clear()
    serving = asyncio.create_task(receiver(store, applier).serve(wire))
    await wire.answers.get()
    wire.push(0, 1)
    await until(lambda: bool(applier.calls))
    wire.push(1, 2)
    wire.push(2, 4)
    wire.push(0, 4)  # which is answered
    assert (await wire.answers.get()).received_position == 4
    applier.open.set()
    while (await wire.answers.get()).applied_position < 4:
        pass
    await wire.close()
    await serving
    assert applier.calls == [[1], [2, 3, 4]]
    await store.close()


async def test_what_was_applied_ahead_of_its_turn_is_not_applied_again(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "s.db", durable=False)
    wire, applier = Wire(), Applier(store, leaves=100)
    serving = asyncio.create_task(receiver(store, applier).serve(wire))
    await wire.answers.get()
    wire.push_ahead(3, 4)
    await until(lambda: applier.ahead == [3, 4])
    wire.push(0, 2)
    wire.push(2, 4)
    while (await wire.answers.get()).applied_position < 4:
        pass
    await wire.close()
    await serving
    assert sorted(applier.applied) == [1, 2]
    await store.close()


async def test_what_misses_something_ahead_of_its_turn_is_tried_again(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "s.db", durable=False)
    wire, applier = Wire(), Applier(store, leaves=100)
    applier.misses = True
    serving = asyncio.create_task(receiver(store, applier).serve(wire))
    await wire.answers.get()
    wire.push_ahead(4)
    await until(lambda: applier.ahead == [4])
    applier.misses = False
    wire.push_ahead(7)  # of the same workflow id, so it waits
    wire.push(0, 1)
    await until(lambda: applier.ahead == [4, 4, 7])
    wire.push(1, 7)
    while (await wire.answers.get()).applied_position < 7:
        pass
    await wire.close()
    await serving
    assert sorted(applier.applied) == [1, 2, 3, 5, 6]
    await store.close()


async def test_many_tasks_are_told_to_have_arrived_before_they_are_applied(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "s.db", durable=False)
    wire, applier = Wire(), Applier(store, leaves=100)
    applier.open.clear()
    serving = asyncio.create_task(receiver(store, applier).serve(wire))
    await wire.answers.get()
    wire.push(0, 40)
    answer = await wire.answers.get()
    assert (answer.received_position, answer.applied_position) == (40, 0)
    applier.open.set()
    await wire.close()
    await serving
    assert sorted(applier.applied) == list(range(1, 41))
    await store.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(slices=st.lists(st.tuples(st.integers(0, 20), st.integers(1, 6)), max_size=30), cut=st.integers(0, 30))
def test_any_messages_apply_every_task_once_and_in_order(
    tmp_path_factory: object, slices: list[tuple[int, int]], cut: int
) -> None:
    """Whatever is lost, doubled or reordered, and wherever the stream breaks."""

    async def run() -> None:
        directory: Path = tmp_path_factory.mktemp("r")  # type: ignore[attr-defined]
        store = await Store.open(directory / "s.db", durable=False)
        applier = Applier(store)
        one = receiver(store, applier)
        for part in (slices[:cut], slices[cut:], [(0, 26)]):
            wire = Wire()
            serving = asyncio.create_task(one.serve(wire))
            for previous, length in part:
                wire.push(previous, previous + length)
            if part == [(0, 26)]:
                while (await wire.answers.get()).applied_position < 26:
                    pass
            await wire.close()
            await serving
        seen = list(dict.fromkeys(applier.applied))
        assert sorted(seen) == list(range(1, 27))
        for lane in range(3):
            mine = [number for number in seen if number % 5 and number % 3 == lane]
            assert mine == sorted(mine)
        for record in (5, 10, 15, 20, 25):
            assert seen.index(record) == record - 1
        await store.close()

    asyncio.run(run())
