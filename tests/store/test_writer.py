from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mockcloud.core.errors import RegionKilled, Unavailable
from mockcloud.store import writer
from mockcloud.store.database import Store
from mockcloud.store.meta import get, put
from mockcloud.store.writer import InlineLane, ThreadLane, Writer


def writes(key: str) -> Callable[[sqlite3.Connection], str]:
    def fn(connection: sqlite3.Connection) -> str:
        put(connection, key, "there")
        return key

    return fn


def fails_after_writing(key: str) -> Callable[[sqlite3.Connection], str]:
    def fn(connection: sqlite3.Connection) -> str:
        put(connection, key, "half")
        raise KeyError(key)

    return fn


async def keys(store: Store) -> set[str]:
    return await store.read(lambda connection: {key for (key,) in connection.execute("SELECT key FROM meta")})


class CountingLane(InlineLane):
    """Counts commits; fails those it is told to."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.commits = 0
        self.broken = False

    async def commit(self) -> None:
        self.commits += 1
        if self.broken:
            raise sqlite3.OperationalError("disk I/O error")
        await super().commit()


class GatedLane(InlineLane):
    """Holds a commit back until told, as a slow disk does."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.reached = asyncio.Event()
        self.gate = asyncio.Event()

    async def commit(self) -> None:
        self.reached.set()
        await self.gate.wait()
        await super().commit()


async def test_a_result_comes_back_and_is_committed(store: Store) -> None:
    assert await store.transact(writes("a")) == "a"

    assert await keys(store) == {"a"}


@pytest.mark.parametrize("failing", [0, 1, 2, 3])
async def test_a_failing_transaction_rolls_back_only_itself(store: Store, failing: int) -> None:
    fns = [writes(str(number)) for number in range(4)]
    fns[failing] = fails_after_writing(str(failing))

    results = await asyncio.gather(*(store.transact(fn) for fn in fns), return_exceptions=True)

    others = [str(number) for number in range(4) if number != failing]
    assert isinstance(results.pop(failing), KeyError)
    assert results == others
    assert await keys(store) == set(others)


async def test_when_all_of_a_group_fail_the_next_one_works(store: Store) -> None:
    fns = [fails_after_writing(str(number)) for number in range(3)]

    results = await asyncio.gather(*(store.transact(fn) for fn in fns), return_exceptions=True)

    assert all(isinstance(result, KeyError) for result in results)
    assert await store.transact(writes("a")) == "a"
    assert await keys(store) == {"a"}


async def test_transactions_that_wait_together_share_a_commit(connection: sqlite3.Connection) -> None:
    lane = CountingLane(connection)
    writer = Writer(lane)

    await asyncio.gather(*(writer.transact(writes(str(number))) for number in range(50)))

    assert lane.commits == 1
    assert connection.execute("SELECT count(*) FROM meta").fetchone() == (50,)


async def test_transactions_that_come_some_turns_apart_share_a_commit(connection: sqlite3.Connection) -> None:
    lane = CountingLane(connection)
    writer = Writer(lane)
    waiting: list[asyncio.Future[str]] = []

    for number in range(10):
        waiting.append(asyncio.ensure_future(writer.transact(writes(str(number)))))
        for _ in range(4):
            await asyncio.sleep(0)
    await asyncio.gather(*waiting)

    assert lane.commits == 1


async def test_what_is_urgent_takes_along_what_waits_and_waits_for_nothing(
    connection: sqlite3.Connection,
) -> None:
    lane = CountingLane(connection)
    writer = Writer(lane)
    patient = asyncio.ensure_future(writer.transact(writes("patient")))
    await asyncio.sleep(0)
    urgent = asyncio.ensure_future(writer.transact(writes("urgent"), urgent=True))
    for _ in range(5):
        await asyncio.sleep(0)
    assert urgent.done()
    assert patient.done()
    assert lane.commits == 1

    patient = asyncio.ensure_future(writer.transact(writes("patient again")))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not patient.done()
    await patient


async def test_a_fence_while_a_group_gathers_commits_nothing(connection: sqlite3.Connection) -> None:
    lane = CountingLane(connection)
    writer = Writer(lane)
    waiting = asyncio.ensure_future(writer.transact(writes("a")))
    for _ in range(3):
        await asyncio.sleep(0)

    writer.kill()
    await writer.drain()

    with pytest.raises(RegionKilled):
        await waiting
    assert lane.commits == 0


async def test_what_is_queued_during_a_commit_shares_the_next_one(connection: sqlite3.Connection) -> None:
    lane = GatedLane(connection)
    writer = Writer(lane)
    first = asyncio.ensure_future(writer.transact(writes("first")))
    await lane.reached.wait()

    later = [asyncio.ensure_future(writer.transact(writes(str(number)))) for number in range(3)]
    await asyncio.sleep(0)
    before = [task.done() for task in (first, *later)]
    lane.gate.set()

    assert await asyncio.gather(first, *later) == ["first", "0", "1", "2"]
    assert before == [False] * 4, "the answer comes after the commit"


async def test_a_failing_commit_fails_all_of_its_group_and_no_other(connection: sqlite3.Connection) -> None:
    lane = CountingLane(connection)
    writer = Writer(lane)
    lane.broken = True

    fns = [writes("0"), fails_after_writing("1"), writes("2")]
    results = await asyncio.gather(*(writer.transact(fn) for fn in fns), return_exceptions=True)

    assert [type(result) for result in results] == [Unavailable, KeyError, Unavailable]
    assert str(results[0]) == (
        "transact operation failed. Failed to commit transaction. Error: disk I/O error"
    )
    lane.broken = False
    await writer.transact(writes("after"))
    assert connection.execute("SELECT key FROM meta").fetchall() == [("after",)]


async def test_a_lost_transaction_takes_its_whole_group_along(connection: sqlite3.Connection) -> None:
    """SQLite rolls everything back by itself when the disk is full: none of the group may be acknowledged."""

    def loses_everything(connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")  # what SQLite does
        raise sqlite3.OperationalError("database or disk is full")

    writer = Writer(InlineLane(connection))

    results = await asyncio.gather(
        writer.transact(writes("before")),
        writer.transact(loses_everything),
        writer.transact(writes("after")),
        return_exceptions=True,
    )

    assert [type(result) for result in results] == [Unavailable] * 3
    assert connection.execute("SELECT count(*) FROM meta").fetchone() == (0,)


async def test_when_a_transaction_cannot_begin_its_callers_hear_of_it(tmp_path: Path) -> None:
    path = tmp_path / "region.db"
    store = await Store.open(path, durable=False)
    await store.transact(lambda connection: connection.execute("PRAGMA busy_timeout = 0"))
    intruder = sqlite3.connect(path, isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")

    with pytest.raises(Unavailable, match="database is locked"):
        await store.transact(writes("a"))

    intruder.execute("ROLLBACK")
    intruder.close()
    assert await store.transact(writes("a")) == "a"
    await store.close()


async def test_a_cancelled_caller_leaves_its_transaction_in_the_queue(store: Store) -> None:
    caller = asyncio.ensure_future(store.transact(writes("orphan")))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])

    await store.transact(writes("next"))

    assert caller.cancelled()
    assert await keys(store) == {"orphan", "next"}


async def test_a_killed_writer_drops_what_waits_and_loses_the_answer_of_what_runs(
    connection: sqlite3.Connection,
) -> None:
    lane = GatedLane(connection)
    writer = Writer(lane)
    running = asyncio.ensure_future(writer.transact(writes("running")))
    await lane.reached.wait()
    waiting = asyncio.ensure_future(writer.transact(writes("waiting")))
    await asyncio.sleep(0)

    writer.kill()
    answers = await asyncio.gather(running, waiting, return_exceptions=True)
    lane.gate.set()
    await writer.drain()

    assert [type(answer) for answer in answers] == [RegionKilled, RegionKilled]
    with pytest.raises(RegionKilled):
        await writer.transact(writes("later"))
    assert connection.execute("SELECT key FROM meta").fetchall() == [("running",)]


async def test_no_caller_waits_for_ever_when_the_loop_goes_down(connection: sqlite3.Connection) -> None:
    lane = GatedLane(connection)
    writer = Writer(lane)
    caller = asyncio.ensure_future(writer.transact(writes("a")))
    await lane.reached.wait()

    (drainer,) = (task for task in asyncio.all_tasks() if task.get_name() == "store-writer")
    drainer.cancel()

    with pytest.raises(RegionKilled):
        await caller


async def test_after_a_slow_commit_others_run_on_a_thread_that_does_not_hold_up_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_QUICK", 0.0)  # no disk is that quick
    threads: list[threading.Thread] = []
    connection = sqlite3.connect(tmp_path / "x.db", isolation_level=None, check_same_thread=False)
    connection.execute("CREATE TABLE meta (key, value)")
    connection.set_trace_callback(lambda _: threads.append(threading.current_thread()))
    lane = await ThreadLane.open(connection)

    lane.connection.execute("BEGIN")
    await lane.commit()
    assert {*threads} == {threading.current_thread()}
    lane.connection.execute("BEGIN")
    put(lane.connection, "a", "b")
    await lane.commit()

    assert threads[0] is threading.current_thread()
    assert threads[-1] is not threading.current_thread()
    assert threads[-1].daemon
    assert not lane.connection.in_transaction
    assert get(lane.connection, "a") == "b"
    await lane.close()


async def test_a_commit_gets_through_beside_a_loop_that_never_idles(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "region.db", durable=True)
    turns = 0
    committing = asyncio.ensure_future(store.transact(writes("a")))

    while not committing.done():
        sum(range(5000))  # holds the interpreter lock
        await asyncio.sleep(0)
        turns += 1

    assert committing.result() == "a"
    assert turns < 5000
    await store.close()
