"""A process that is killed at any instant has lost nothing that it answered, and left nothing half done."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mockcloud.store import history, runs
from mockcloud.store.database import Store
from tests.store.builders import NAMESPACE

_WRITE = """
import asyncio, itertools, os, sys
from pathlib import Path
from mockcloud.store.database import Store
from mockcloud.store.log import NodeRef, LogWrite
from mockcloud.store.runs import write_run
from tests.store.builders import new_run

async def main():
    store = await Store.open(Path(sys.argv[1]), durable=sys.argv[2] == "durable")
    keys = itertools.count(int(sys.argv[3]))
    async def client():
        for key in keys:
            write = new_run(key, f"order-{key}", log=[LogWrite(b"", NodeRef(100 * key, 1))])
            await store.transact(lambda connection: write_run(connection, write))
            os.write(1, b"%d\\n" % key)
    await asyncio.gather(*(client() for _ in range(20)))

asyncio.run(main())
"""


@pytest.mark.parametrize("mode", ["durable", "temporary"])
async def test_every_answered_write_is_there_after_kill_9(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "region.db"
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    answered: set[int] = set()
    for life in range(3):
        process = subprocess.Popen(  # noqa: ASYNC220 it is killed within the test
            [sys.executable, "-c", _WRITE, str(path), mode, str(life * 1_000_000 + 1)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        for _ in range(rng.randint(1, 400)):
            answered.add(int(process.stdout.readline()))
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
        answered.update(int(line) for line in rest.split(b"\n")[:-1])

    store = await Store.open(path, durable=False)

    def rows(sql: str) -> set[int]:
        return {int(key) for (key,) in store._reader.execute(sql)}

    stored = rows("SELECT run_key FROM runs")
    assert answered <= stored
    for sql in (
        "SELECT branch_id / 100 FROM branches",
        "SELECT branch_id / 100 FROM nodes",
        "SELECT run_key FROM offers",
        "SELECT run_key FROM visibility",
        "SELECT branch_id / 100 FROM replication_log",
        "SELECT CAST(substr(workflow_id, 7) AS INTEGER) FROM current_runs",
    ):
        assert rows(sql) == stored, "a change is there whole or not at all"
    key = max(answered)
    assert (
        await store.read(
            lambda connection: runs.load_run(connection, NAMESPACE, f"order-{key}", f"run-{key}")
        )
        is not None
    )
    (found,) = await store.read(lambda connection: history.read_branch(connection, 100 * key))
    assert found.last_event_id == 2
    await store.close()
