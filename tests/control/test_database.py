"""The control plane's file: transactions that are whole or not there, and files that are refused."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from mockcloud.control.database import SCHEMA_VERSION, Closed, Database
from mockcloud.core.errors import StartupError


def _owe(connection: sqlite3.Connection, region: str) -> None:
    connection.execute("INSERT INTO owed_releases (namespace_id, region) VALUES ('n', ?)", (region,))


async def _owed(database: Database) -> list[str]:
    return [region for (region,) in await database.rows("SELECT region FROM owed_releases ORDER BY region")]


async def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "c.sqlite", durable=True)

    def fails(connection: sqlite3.Connection) -> None:
        _owe(connection, "lost")
        raise KeyError("a rule")

    with pytest.raises(KeyError):
        await database.transact(fails)
    await database.transact(lambda connection: _owe(connection, "kept"))

    assert await _owed(database) == ["kept"]
    await database.close()


async def test_a_cancelled_caller_does_not_take_its_transaction_back(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "c.sqlite", durable=False)

    caller = asyncio.create_task(database.transact(lambda connection: _owe(connection, "first")))
    await asyncio.sleep(0)  # it has asked
    caller.cancel()
    await database.transact(lambda connection: _owe(connection, "second"))

    assert await _owed(database) == ["first", "second"]
    assert caller.cancelled()
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
