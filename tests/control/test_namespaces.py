"""What the control plane learns of namespaces, and what it tells endpoints."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mockcloud.api.admin.v1 import cloud_admin_pb2 as admin
from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core.errors import InvalidArgument, NamespaceAlreadyExists
from tests.control.fakes import EAST, PATIENCE, SOUTH, WEST, FakeEndpoints, World, world


def _record(name: str, active: str, version: int, namespace_id: str = "") -> NamespaceRecord:
    return NamespaceRecord(
        id=namespace_id or f"id of {name}",
        name=name,
        active_cluster=active,
        failover_version=version,
        clusters=[EAST, WEST],
    )


async def _endpoint(cloud: World, name: str) -> str:
    """The endpoint of a namespace that is registered at some region."""
    async with asyncio.timeout(PATIENCE):
        while True:
            known = cloud.plane.find(name)
            if known is not None and known.endpoint:
                return known.endpoint
            await cloud.endpoints.changed()


async def test_a_new_namespace_is_in_all_its_regions(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        answer = await cloud.plane.tools.create_namespace(admin.CreateNamespaceRequest(name="wide"))

        assert answer.endpoint == f"127.0.0.1:{cloud.endpoints.ports['wide']}"
        for region in cloud.regions.values():
            record = region.record("wide")
            assert (record.id, record.active_cluster, record.failover_version) == (
                answer.namespace_id,
                EAST,
                1,
            )
        assert ("wide", EAST) in cloud.endpoints.followed


async def test_bad_namespaces(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        with pytest.raises(NamespaceAlreadyExists):
            await cloud.plane.tools.create_namespace(admin.CreateNamespaceRequest(name="orders"))
        with pytest.raises(InvalidArgument, match="does not exist"):
            await cloud.plane.tools.create_namespace(
                admin.CreateNamespaceRequest(name="n", regions=["mars-1"])
            )
        with pytest.raises(InvalidArgument):
            await cloud.plane.tools.create_namespace(admin.CreateNamespaceRequest(name=""))


async def test_a_namespace_registered_at_a_region_gets_an_endpoint(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        cloud.west.put(_record("billing", WEST, 2))

        endpoint = await _endpoint(cloud, "billing")

        assert endpoint == f"127.0.0.1:{cloud.endpoints.ports['billing']}"
        assert cloud.endpoints.followed[-1] == ("billing", WEST)


async def test_a_region_that_comes_back_is_watched_again(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        cloud.down(WEST)
        cloud.west.put(_record("billing", WEST, 2))
        cloud.up(WEST)

        await _endpoint(cloud, "billing")


async def test_the_highest_failover_version_seen_names_the_active_region(tmp_path: Path) -> None:
    """A region that is cut off may believe what it likes."""
    async with world(tmp_path) as cloud:
        known = cloud.plane.find("orders")
        assert known is not None
        cloud.west.put(_record("orders", WEST, 2, known.id))
        while known.active_region != WEST:
            await cloud.endpoints.changed()

        late = _record("orders", EAST, 1, known.id)
        late.config_version = 5
        late.description = "news of configuration"
        cloud.east.put(late)
        # Watched in order: once this is known, so is what came before it.
        cloud.east.put(_record("billing", EAST, 1))
        await _endpoint(cloud, "billing")

        assert known.active_region == WEST
        assert known.record.description == "news of configuration"
        assert [entry for entry in cloud.endpoints.followed if entry[0] == "orders"] == [
            ("orders", EAST),
            ("orders", WEST),
        ]


async def test_nobody_is_led_to_a_region_that_a_namespace_has_left(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        known = cloud.plane.find("orders")
        assert known is not None
        record = _record("orders", WEST, 2, known.id)
        record.config_version = 5
        record.clusters[:] = [WEST]

        cloud.west.put(record)
        while not cloud.endpoints.left:
            await cloud.endpoints.changed()

        assert cloud.endpoints.left == [("orders", EAST)]
        assert cloud.endpoints.followed[-1] == ("orders", WEST), "who connects anew is led there"


async def test_namespaces_and_ports_survive_a_restart_52(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        await cloud.plane.tools.create_namespace(
            admin.CreateNamespaceRequest(name="billing", regions=[WEST, EAST])
        )
        await cloud.plane.failover(admin.FailoverRequest(namespace="orders", region=WEST, operation_id="op"))
        ports = dict(cloud.endpoints.ports)
        for region in (EAST, WEST, SOUTH):
            cloud.down(region)
        cloud.endpoints = FakeEndpoints()  # as after a restart of the whole cloud

        await cloud.plane.close()
        await cloud.restart()

        assert cloud.endpoints.ports == ports
        assert sorted(cloud.endpoints.followed) == [("billing", WEST), ("orders", WEST)]
        assert [known.name for known in cloud.plane.namespaces()] == ["billing", "orders"]
        assert (await cloud.plane.operation("op")).state == "FULFILLED"
