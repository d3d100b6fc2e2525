"""One region's database: opening it, group commit, reading beside it, and the fence.

Two connections: the writer's, and a read-only one, so that a read never waits for a commit nor sees half of a
group (WAL). Durable: synchronous=FULL, an answered write survives loss of power, and commits wait for the
disk on a thread. Otherwise synchronous=OFF: an answered write survives the process, and nothing waits.

Functions run in the event loop's thread (`writer` says why): a few milliseconds at most, longer ones in
slices.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

from mockcloud.core.errors import RegionKilled, StartupError, Unavailable
from mockcloud.core.meter import Meter
from mockcloud.store import schema
from mockcloud.store.faulty_lane import Disk, FaultyLane
from mockcloud.store.lock import FileLock
from mockcloud.store.writer import InlineLane, Lane, ThreadLane, Writer

T = TypeVar("T")

_CACHED_STATEMENTS = 256
_WRITER_CACHE_KB = 8192
_READER_CACHE_KB = 65_536  # as much as is read: a scan of 100,000 listed runs takes some 45 MB
# Pages of 4 KB in the WAL before they are copied into the file.
_CHECKPOINT_PAGES = 4000


class Store:
    """One region's SQLite file. Belongs to one event loop."""

    def __init__(self, path: Path, lock: FileLock, lane: Lane, reader: sqlite3.Connection) -> None:
        self.path = path
        self._lock = lock
        self.meter = Meter()  # of transactions; one that SQLite could not commit has failed
        self._lane = lane
        self._reader = reader
        self._writer = Writer(lane)
        self._fenced = False
        self._ending: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        durable: bool,
        writer: Literal["thread", "inline"] = "thread",
        disk: Disk | None = None,
    ) -> Store:
        """Open or create the file `path`, brought to the current schema.

        `writer="inline"` keeps the commits of a durable database in the caller's thread too (for the
        simulation). `disk` is what commits meet first (`faulty_lane`). Raises StartupError when it cannot be
        written, is in use by another process, is no region's database, or has a newer schema. A killed store's
        file can be opened once its `wait_closed` has returned.
        """
        lock = FileLock(path)
        opened: list[sqlite3.Connection] = []
        try:
            opened.append(_connect_writer(path, durable=durable))
            opened.append(connect_reader(path))
            threaded = durable and writer == "thread"
            lane: Lane = await ThreadLane.open(opened[0]) if threaded else InlineLane(opened[0])
            if disk is not None:
                lane = FaultyLane(lane, disk)
        except BaseException as error:
            for connection in opened:
                connection.close()
            lock.release()
            if isinstance(error, sqlite3.Error):
                raise StartupError(f"{path} cannot be opened: {error}") from error
            raise
        return cls(path, lock, lane, opened[1])

    async def transact(self, fn: Callable[[sqlite3.Connection], T], *, urgent: bool = False) -> T:
        """Run `fn` in one transaction; its result, once that is committed.

        See `writer` for what is promised, and what is `urgent`.
        `fn` must not begin or end transactions, must not count on running before another function, and may run again.
        Raises what `fn` raised, Unavailable when SQLite cannot write, RegionKilled behind the fence.
        """
        if self._fenced:
            raise RegionKilled
        began, failed = time.perf_counter_ns(), False
        self.meter.begin(began)
        try:
            return await self._writer.transact(fn, urgent=urgent)
        except Unavailable:
            failed = True
            raise
        finally:
            self.meter.end(began, time.perf_counter_ns(), failed=failed)

    async def read(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Run `fn` on the read-only connection: one snapshot, with all that is committed.

        It runs at once, without a turn of the event loop. Raises RegionKilled behind the fence.
        """
        if self._fenced:
            raise RegionKilled
        self._reader.execute("BEGIN")
        try:
            return fn(self._reader)
        finally:
            self._reader.execute("COMMIT")

    async def read_one(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """`read` of a function with a single statement, which is a snapshot by itself: it needs no transaction."""
        if self._fenced:
            raise RegionKilled
        return fn(self._reader)

    def kill(self) -> None:
        """The fence, at once: what is queued is dropped, what runs commits or not, answers are RegionKilled.

        The file is given free when what runs has ended: see `wait_closed`.
        """
        if self._fenced:
            self._writer.kill()  # also one that is closing
            return
        self._fenced = True
        self._writer.kill()
        if isinstance(self._lane, FaultyLane):
            self._lane.abandon()
        self._ending = asyncio.get_running_loop().create_task(self._end(), name="store-end")

    async def wait_closed(self) -> None:
        """After `kill`: return when the file is free to be opened again."""
        if self._ending is not None:
            await asyncio.shield(self._ending)

    async def close(self) -> None:
        """Commit what is queued, refuse what comes, close the file. A second call waits for the first."""
        if not self._fenced:
            self._fenced = True
            self._ending = asyncio.get_running_loop().create_task(self._end(), name="store-end")
        await self.wait_closed()

    async def _end(self) -> None:
        try:
            await self._writer.drain()
            self._reader.close()
            await self._lane.close()  # last, so that it moves the WAL into the file
        finally:
            self._lock.release()


def _connect_writer(path: Path, *, durable: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, isolation_level=None, cached_statements=_CACHED_STATEMENTS, check_same_thread=False
    )
    try:
        schema.check(connection, str(path))
        # fullfsync is for macOS, where fsync alone does not reach the disk.
        sync = "FULL" if durable else "OFF"
        for pragma in (
            "busy_timeout = 1000",
            f"synchronous = {sync}",
            f"fullfsync = {int(durable)}",
            "journal_mode = WAL",
            f"checkpoint_fullfsync = {int(durable)}",
            f"cache_size = -{_WRITER_CACHE_KB}",
            f"wal_autocheckpoint = {_CHECKPOINT_PAGES}",
            "temp_store = MEMORY",
            "mmap_size = 0",
        ):
            connection.execute(f"PRAGMA {pragma}")
        schema.migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that can only read, beside whoever else has the file open. sqlite3.Error: it cannot be read."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        isolation_level=None,
        cached_statements=_CACHED_STATEMENTS,
        check_same_thread=False,
    )
    for pragma in (
        "busy_timeout = 1000",
        f"cache_size = -{_READER_CACHE_KB}",
        "temp_store = MEMORY",
        "mmap_size = 0",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection
