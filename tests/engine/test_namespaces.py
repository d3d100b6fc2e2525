"""Namespaces of a region: what is in force when, who is told, and what is stored."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import ReplicationState

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core.errors import NamespaceAlreadyExists, NamespaceNotFound, Unavailable
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.region import Region
from mockcloud.store import log, namespaces

from .support import A, B, crash, fail_over, open_region, register, running, set_state

HANDOVER = ReplicationState.REPLICATION_STATE_HANDOVER


async def test_a_namespace_is_found_by_name_and_id_and_registered_once(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        registry = region.namespaces
        found = registry.by_name("default")
        assert registry.by_id(found.id) is found
        assert found.active
        assert found.peers == [B]
        with pytest.raises(NamespaceAlreadyExists):
            await register(region)
        with pytest.raises(NamespaceNotFound):
            registry.by_name("nobody")


async def test_records_survive_a_crash(tmp_path: Path) -> None:
    region = await open_region(tmp_path)
    before = await register(region)
    await fail_over(region, B)
    await crash(region)
    region = await open_region(tmp_path)
    after = region.namespaces.by_name("default")
    assert after.record == before.record
    assert not after.active
    await region.close()


async def test_handover_is_in_force_before_it_is_stored_and_undone_if_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as region:
        namespace = region.namespaces.by_name("default")
        seen: list[bool] = []

        def broken(connection: sqlite3.Connection, record: NamespaceRecord) -> None:
            seen.append(namespace.handover)
            raise sqlite3.OperationalError("disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(namespaces, "put_namespace", broken)
            with pytest.raises(Unavailable):
                await set_state(region, HANDOVER)
        assert seen == [True]
        assert namespace.writable


async def test_activation_is_in_force_only_once_it_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as region:
        namespace = region.namespaces.by_name("default")
        await fail_over(region, B)
        seen: list[bool] = []
        real = namespaces.put_namespace

        def looking(connection: sqlite3.Connection, record: NamespaceRecord) -> None:
            seen.append(namespace.active)
            real(connection, record)

        monkeypatch.setattr(namespaces, "put_namespace", looking)
        await fail_over(region, A)
        assert seen == [False]
        assert namespace.active


async def test_listeners_and_waiters_are_told(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        told: list[tuple[str, str]] = []

        def listener(namespace: Namespace, before: NamespaceRecord | None) -> None:
            assert before is not None
            told.append((before.active_cluster, namespace.record.active_cluster))

        region.namespaces.listeners.append(listener)
        namespace = region.namespaces.by_name("default")
        waiting = asyncio.ensure_future(namespace.wait_until(lambda current: not current.active))
        await asyncio.sleep(0)
        await fail_over(region, B)
        await asyncio.wait_for(waiting, 5)
        assert told == [(A, B)]


async def test_own_changes_are_logged_without_handover_and_received_ones_are_not(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as a, running_bare(tmp_path) as b:
        namespace = a.namespaces.by_name("default")
        await set_state(a, HANDOVER)
        rows = await a.store.read(lambda connection: log.read_log(connection, namespace.id, 0))
        records = [row.task.namespace_record for row in rows]
        assert [(record.config_version, record.handover) for record in records] == [(0, False), (1, False)]
        for record in records:
            await b.namespaces.receive(record)
        received = b.namespaces.by_name("default")
        assert received.record.config_version == 1
        assert not received.active
        assert await b.store.read(lambda connection: log.last_position(connection, received.id)) == 0


async def test_a_higher_failover_version_clears_handover(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        namespace = region.namespaces.by_name("default")
        await set_state(region, HANDOVER)
        incoming = NamespaceRecord()
        incoming.CopyFrom(namespace.record)
        incoming.active_cluster, incoming.failover_version = B, 2
        await region.namespaces.receive(incoming)
        assert not namespace.handover
        assert not namespace.active


@asynccontextmanager
async def running_bare(path: Path) -> AsyncIterator[Region]:
    """The other region, without namespaces."""
    region = await open_region(path, B)
    try:
        yield region
    finally:
        await region.close()
