from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from mockcloud.core.errors import RegionKilled, StartupError
from mockcloud.store import meta
from mockcloud.store.database import Store
from mockcloud.store.schema import MIGRATIONS


async def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "deep" / "down" / "region.db", durable=True)
    await store.transact(lambda connection: meta.put(connection, "region", "aws-us-east-1"))
    await store.close()

    store = await Store.open(tmp_path / "deep" / "down" / "region.db", durable=False)

    assert await store.read(lambda connection: meta.get(connection, "region")) == "aws-us-east-1"
    await store.close()


async def test_a_read_sees_everything_committed_and_one_snapshot(store: Store) -> None:
    await store.transact(lambda connection: meta.put(connection, "a", "1"))

    def both(connection: sqlite3.Connection) -> tuple[str | None, str | None]:
        before = meta.get(connection, "a")
        other = sqlite3.connect(store.path)
        meta.put(other, "a", "2")
        other.commit()
        other.close()
        return before, meta.get(connection, "a")

    assert await store.read(both) == ("1", "1")
    assert await store.read(lambda connection: meta.get(connection, "a")) == "2"


async def test_a_read_cannot_write(store: Store) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await store.read(lambda connection: meta.put(connection, "a", "1"))

    assert await store.read(lambda connection: meta.get(connection, "a")) is None


async def test_close_commits_what_is_queued_and_refuses_what_comes(store: Store) -> None:
    queued = asyncio.ensure_future(store.transact(lambda connection: meta.put(connection, "a", "1")))
    await asyncio.sleep(0)

    await store.close()
    await queued

    with pytest.raises(RegionKilled):
        await store.transact(lambda connection: None)
    with pytest.raises(RegionKilled):
        await store.read(lambda connection: None)
    again = await Store.open(store.path, durable=False)
    assert await again.read(lambda connection: meta.get(connection, "a")) == "1"
    await again.close()


async def test_a_killed_store_refuses_everything_and_gives_its_file_free(store: Store) -> None:
    await store.transact(lambda connection: meta.put(connection, "answered", "1"))
    queued = asyncio.ensure_future(store.transact(lambda connection: meta.put(connection, "queued", "1")))
    await asyncio.sleep(0)

    store.kill()

    with pytest.raises(RegionKilled):
        await store.transact(lambda connection: None)
    with pytest.raises(RegionKilled):
        await store.read(lambda connection: None)
    with pytest.raises(RegionKilled):
        await queued
    await store.wait_closed()
    again = await Store.open(store.path, durable=False)
    assert await again.read(lambda connection: meta.get(connection, "answered")) == "1"
    await again.close()


async def test_a_file_in_use_is_refused_in_one_clear_line(store: Store) -> None:
    with pytest.raises(StartupError) as caught:
        await Store.open(store.path, durable=False)

    assert str(caught.value) == f"{store.path} is in use by another process"


async def test_the_lock_of_another_process_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "region.db"
    holder = subprocess.Popen(  # noqa: ASYNC220 it is killed within the test
        [sys.executable, "-c", _HOLD, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"

    with pytest.raises(StartupError, match="is in use by another process"):
        await Store.open(path, durable=False)
    holder.kill()
    holder.wait()
    holder.stdout.close()

    store = await Store.open(path, durable=False)
    await store.close()


_HOLD = """
import asyncio, sys
from pathlib import Path
from mockcloud.store.database import Store

async def main():
    store = await Store.open(Path(sys.argv[1]), durable=False)
    print("open", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "region.db"
    await (await Store.open(path, durable=False)).close()
    newer = len(MIGRATIONS) + 1
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {newer}")
    connection.close()

    with pytest.raises(StartupError, match=f"newer mockcloud: it has schema {newer}"):
        await Store.open(path, durable=False)

    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (newer,)
    connection.close()


async def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    text = tmp_path / "text.db"
    text.write_text("not a database at all, but long enough to look at" * 100)

    for file, message in ((path, "is not a mockcloud database"), (text, "cannot be read")):
        for durable in (True, False):
            with pytest.raises(StartupError, match=message):
                await Store.open(file, durable=durable)


async def test_a_path_below_a_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "region.db"

    with pytest.raises(StartupError) as caught:
        await Store.open(path, durable=True)

    assert str(caught.value) == f"{path} cannot be written: Not a directory"


async def test_a_database_that_is_a_directory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "region.db"
    path.mkdir()

    for durable in (True, False):
        with pytest.raises(StartupError, match=r"region\.db cannot be opened: unable to open database file"):
            await Store.open(path, durable=durable)


@pytest.mark.parametrize(("durable", "synchronous"), [(True, 2), (False, 0)])
async def test_durability_is_wal_with_the_right_synchronous(
    tmp_path: Path, durable: bool, synchronous: int
) -> None:
    store = await Store.open(tmp_path / "region.db", durable=durable)

    found = await store.transact(
        lambda connection: (
            connection.execute("PRAGMA journal_mode").fetchone()[0],
            connection.execute("PRAGMA synchronous").fetchone()[0],
        )
    )

    assert found == ("wal", synchronous)
    await store.close()


async def test_each_life_gets_a_range_of_task_ids_of_its_own(tmp_path: Path) -> None:
    ranges = []
    for _ in range(3):
        store = await Store.open(tmp_path / "region.db", durable=False)
        ranges.append(await store.transact(meta.next_range))
        await store.close()

    assert ranges == [1 << 32, 2 << 32, 3 << 32]
