"""A fill writes slice after slice into the log, once each, and goes on after a crash."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from temporalio.api.replication.v1 import ClusterReplicationConfig, NamespaceReplicationConfig
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest

from mockcloud.engine import fills
from mockcloud.engine.region import Region
from mockcloud.store import fills as stored
from mockcloud.store import log
from tests.engine.support import A, B, Driver, crash, open_region, register


async def join(region: Region) -> None:
    clusters = [ClusterReplicationConfig(cluster_name=name) for name in (A, B)]
    await region.namespaces.update(
        region.namespaces.by_name("default"),
        UpdateNamespaceRequest(
            namespace="default", replication_config=NamespaceReplicationConfig(clusters=clusters)
        ),
    )


async def logged(region: Region) -> list[str]:
    """The workflow ids of the batches in the log, in order."""
    namespace = region.namespaces.by_name("default")
    rows = await region.store.read(lambda connection: log.read_log(connection, namespace.id, 0, 1000))
    tasks = [row.task for row in rows]
    assert not any(row.events_gone for row in rows)
    return [task.history.workflow_id for task in tasks if task.HasField("history")]


async def test_the_runs_of_a_namespace_that_was_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once and oldest first, across a crash between two slices; then nobody waits any longer."""
    monkeypatch.setattr(fills, "_RUNS_AT_ONCE", 2)
    region = await open_region(tmp_path, start=False)
    namespace = await register(region, clusters=[A])
    driver = Driver(region)
    ids = [f"w{number}" for number in range(5)]
    for workflow_id in ids:
        await driver.start(workflow_id)
    assert await logged(region) == [], "alone, it keeps no log"
    await join(region)
    await region.fills.wait(namespace.id, A)  # not one of those that are filled
    waiting = asyncio.create_task(region.fills.wait(namespace.id, B))
    assert await region.store.transact(lambda connection: fills._slice(connection, namespace.id, 1))
    assert await logged(region) == ids[:2]
    assert not waiting.done()
    waiting.cancel()
    await crash(region)

    region = await open_region(tmp_path)
    try:
        async with asyncio.timeout(10):
            await region.fills.wait(namespace.id, B)
        assert await logged(region) == ids
        assert await region.store.read(stored.pending) == []
    finally:
        await region.close()


async def test_what_comes_later_is_not_part_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is started after the fill began is logged as all others, and only so."""
    monkeypatch.setattr(fills, "_RUNS_AT_ONCE", 1)
    region = await open_region(tmp_path, start=False)
    try:
        namespace = await register(region, clusters=[A])
        driver = Driver(region)
        await driver.start("old")
        await driver.start("older")
        await join(region)

        def slice_(connection: sqlite3.Connection) -> bool:
            return fills._slice(connection, namespace.id, 1)

        assert await region.store.transact(slice_)
        await driver.start("new")
        while await region.store.transact(slice_):
            pass
        assert sorted(await logged(region)) == ["new", "old", "older"]
    finally:
        await region.close()
