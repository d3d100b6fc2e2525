"""The control plane's file: transactions that are whole or not there, and files that are refused."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import aiosqlite
import pytest

from mockcloud.control.database import SCHEMA_VERSION, Closed, Database
from mockcloud.core.errors import StartupError


async def _owe(connection: aiosqlite.Connection, region: str) -> None:
    await connection.execute("INSERT INTO owed_releases (namespace_id, region) VALUES ('n', ?)", (region,))


async def _owed(database: Database) -> list[str]:
    async def work(connection: aiosqlite.Connection) -> list[str]:
        async with connection.execute("SELECT region FROM owed_releases ORDER BY region") as cursor:
            return [row[0] for row in await cursor.fetchall()]

    return await database.transact(work)


async def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "c.sqlite", durable=True)

    async def fails(connection: aiosqlite.Connection) -> None:
        await _owe(connection, "lost")
        raise KeyError("a rule")

    with pytest.raises(KeyError):
        await database.transact(fails)
    await database.transact(lambda connection: _owe(connection, "kept"))

    assert await _owed(database) == ["kept"]
    await database.close()


async def test_a_cancelled_caller_leaves_no_transaction_open(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "c.sqlite", durable=False)
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def slow(connection: aiosqlite.Connection) -> None:
        await _owe(connection, "first")
        inside.set()
        await go_on.wait()

    caller = asyncio.create_task(database.transact(slow))
    await inside.wait()
    caller.cancel()
    go_on.set()
    await database.transact(lambda connection: _owe(connection, "second"))

    assert await _owed(database) == ["first", "second"]
    await database.close()


async def test_behind_the_fence_nothing_begins(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "c.sqlite", durable=False)
    database.fence()

    with pytest.raises(Closed):
        await _owed(database)
    await database.close()


async def test_files_that_are_refused(tmp_path: Path) -> None:
    newer = tmp_path / "newer.sqlite"
    with sqlite3.connect(newer) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    (tmp_path / "file").write_text("not a directory")
    (tmp_path / "text.sqlite").write_text("no database at all, but long enough to be read as a header" * 20)

    for path in (newer, tmp_path / "file" / "c.sqlite", tmp_path / "text.sqlite"):
        with pytest.raises(StartupError) as caught:
            await Database.open(path, durable=False)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
