"""Group commit: transactions that wait while a commit runs share the next one.

What it promises:

- A transaction is one function. All of it is committed, or none.
- A failing one rolls back only itself and raises in its caller; the others of its group are committed. For that they
  may run again: a function changes nothing but the database, or the same thing each time.
- A failing commit fails all of its group: nothing of it is there.
- The answer comes after the commit. A caller that is cancelled leaves its transaction in the queue: it
  commits.
- After `kill` nothing more begins, what waits gets RegionKilled, and so does what runs: it is committed or
  not, as if the machine had stopped at that instant.

Where things run. The functions run in the event loop's thread: each statement of sqlite3 gives the
interpreter lock away, and a second thread does not get it back while the loop is busy (measured: with a loop
that never idles, a transaction of five statements on a thread of its own takes seconds; in the loop's thread,
half a millisecond). Only what waits for a slow disk, the commit of a durable database, runs on aiosqlite's
thread; where the disk is quick, the way there and back costs more than the disk. `Lane` is the port for that;
its inline form does everything in the caller's thread, for databases that need not wait and for the
simulation.

This module is the one place that touches aiosqlite's internals: it has no public call for "run this function
on the connection's thread".
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import aiosqlite

from mockcloud.core.errors import RegionKilled, Unavailable

T = TypeVar("T")

# So many transactions share a commit at most: it bounds for how long the event loop is held.
GROUP_LIMIT = 128

# A group is closed when so many turns of the event loop have brought nothing new, or it is worth a commit. A
# busy loop brings those who wait for it one by one, some turns apart; an idle one is through with its turns at
# once (some 30 µs). Counted, not timed, so that a seed repeats it.
_TURNS = 16
_GROUP_WANTED = 24

# Seconds for which a commit on its thread may be kept from the interpreter lock by a busy event loop.
_PATIENCE = 0.001

# Seconds for which a commit may hold up the event loop. After a slower one so many commits go to the thread.
_QUICK = 0.002
_COMMITS_BY_THREAD = 20


class Lane(Protocol):
    """A connection, and a way to commit on it."""

    @property
    def connection(self) -> sqlite3.Connection: ...

    async def commit(self) -> None:
        """Commit the open transaction; nobody uses the connection meanwhile. Raises sqlite3.Error."""
        ...

    async def close(self) -> None:
        """Close the connection, after a commit that runs."""
        ...


class InlineLane:
    """Commits in the caller's thread, without a turn of the event loop."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    async def commit(self) -> None:
        self.connection.execute("COMMIT")

    async def close(self) -> None:
        self.connection.close()


class ThreadLane:
    """Commits on aiosqlite's thread while the disk is slow, so that the event loop goes on meanwhile.

    While it is quick (an SSD syncs in half a millisecond), commits stay in the loop's thread: a hop to the other
    and back costs as much again in switches of the interpreter lock, and the loop gets nothing done meanwhile.
    The thread never keeps the process alive.
    """

    def __init__(self, connection: sqlite3.Connection, owner: aiosqlite.Connection) -> None:
        self.connection = connection
        self._owner = owner
        self._by_thread = 0  # so many of the next commits

    @classmethod
    async def open(cls, connection: sqlite3.Connection) -> ThreadLane:
        """Give `connection` a thread; it must allow use from several (`check_same_thread=False`)."""
        owner = aiosqlite.Connection(lambda: connection, 64)
        thread: Any = getattr(owner, "_thread", owner)  # before aiosqlite 0.22 the connection is the thread
        thread.daemon = True
        return cls(connection, await owner)

    async def commit(self) -> None:
        if not self._by_thread:
            begin = time.perf_counter()
            self.connection.execute("COMMIT")
            if time.perf_counter() - begin > _QUICK:
                self._by_thread = _COMMITS_BY_THREAD
            return
        self._by_thread -= 1
        done = threading.Event()
        # A thread that wants the interpreter lock can wait for ever beside a loop that never idles: then let
        # the loop stand still until the commit is through.
        guard = asyncio.get_running_loop().call_later(_PATIENCE, done.wait)
        try:
            await self._owner._execute(self._commit, done)  # type: ignore[no-untyped-call]  # noqa: SLF001
        finally:
            guard.cancel()

    def _commit(self, done: threading.Event) -> None:
        try:
            self.connection.execute("COMMIT")
        finally:
            done.set()

    async def close(self) -> None:
        await self._owner.close()


class _Transaction:
    """One function on its way to the disk, and what came of it."""

    __slots__ = ("error", "fn", "future", "result")

    def __init__(self, fn: Callable[[sqlite3.Connection], Any], future: asyncio.Future[Any]) -> None:
        self.fn = fn
        self.future = future
        self.result: Any = None
        self.error: Exception | None = None

    def settle(self) -> None:
        if self.future.done():
            return  # killed meanwhile, or its caller is gone
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)

    def drop(self) -> None:
        if not self.future.done():
            self.future.set_exception(RegionKilled())
            self.future.exception()  # its caller may be gone as well: then it is no news


class Writer:
    """Group commit over a lane. All methods belong to one event loop's thread."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._queue: deque[_Transaction] = deque()
        self._group: list[_Transaction] = []  # what runs or is being committed
        self._urgent = False  # something that is queued must not wait for company
        self._drainer: asyncio.Task[None] | None = None
        self._killed = False

    async def transact(self, fn: Callable[[sqlite3.Connection], T], *, urgent: bool = False) -> T:
        """Run `fn` in a transaction; its result, once that is committed.

        `urgent`: it is worth a commit of its own, because it is large or because much waits for it. What was queued
        before it shares that.

        Raises what `fn` raised, RegionKilled behind the fence, and Unavailable when SQLite cannot write or
        commit.
        """
        if self._killed:
            raise RegionKilled
        loop = asyncio.get_running_loop()
        transaction = _Transaction(fn, loop.create_future())
        self._queue.append(transaction)
        self._urgent = self._urgent or urgent
        if self._drainer is None:
            # A task of its own: what else is queued in this turn of the loop shares the commit, and no
            # caller's cancellation ends it.
            self._drainer = loop.create_task(self._drain(), name="store-writer")
        result: T = await transaction.future
        return result

    def kill(self) -> None:
        """The fence: drop what waits, lose the answer of what runs, refuse what comes."""
        self._killed = True
        for transaction in (*self._group, *self._queue):
            transaction.drop()
        self._queue.clear()

    async def drain(self) -> None:
        """Wait until everything that was queued is settled."""
        while self._drainer is not None:
            await asyncio.wait([self._drainer])

    async def _drain(self) -> None:
        try:
            while self._queue:
                await self._gather()
                if self._killed:
                    break
                self._group = [self._queue.popleft() for _ in range(min(len(self._queue), GROUP_LIMIT))]
                if not self._queue:
                    self._urgent = False
                try:
                    self._run()
                    await self._lane.commit()
                except sqlite3.Error as error:
                    self._lost(error)
                for transaction in self._group:
                    transaction.settle()
                self._group = []
        except BaseException:
            self.kill()  # the loop is going down: no caller may wait for ever
            raise
        finally:
            self._drainer = None

    async def _gather(self) -> None:
        """Wait for company while there is some to come: a commit costs more than a transaction."""
        seen = turns = 0
        while turns < _TURNS and len(self._queue) < _GROUP_WANTED and not self._urgent:
            turns = 0 if len(self._queue) > seen else turns + 1
            seen = len(self._queue)
            await asyncio.sleep(0)

    def _run(self) -> None:
        """Run the functions of the group in an open transaction, each safe from the failure of the others.

        What fails is left out, and the others begin anew: a savepoint for each would cost them all two statements, for
        what hardly ever happens.
        """
        connection = self._lane.connection
        connection.execute("BEGIN IMMEDIATE")
        while not self._run_all(connection):
            connection.execute("ROLLBACK")
            connection.execute("BEGIN IMMEDIATE")

    def _run_all(self, connection: sqlite3.Connection) -> bool:
        """Run what has not failed of the group; False when one does."""
        for transaction in self._group:
            if transaction.error is not None:
                continue
            try:
                transaction.result = transaction.fn(connection)
            except Exception as error:  # it belongs to the caller, whatever it is
                transaction.error = (
                    _unavailable(error) if isinstance(error, sqlite3.OperationalError) else error
                )
                if not connection.in_transaction:
                    # SQLite itself gave up everything (full disk, I/O error): the group is lost.
                    raise sqlite3.OperationalError(str(error)) from error
                return False
        return True

    def _lost(self, error: sqlite3.Error) -> None:
        if self._lane.connection.in_transaction:
            self._lane.connection.execute("ROLLBACK")
        for transaction in self._group:
            if transaction.error is None:
                transaction.error = _unavailable(error)


def _unavailable(error: Exception) -> Unavailable:
    """Real: persistence/sql answers a failing transaction so, and clients try again."""
    return Unavailable(f"transact operation failed. Failed to commit transaction. Error: {error}")
