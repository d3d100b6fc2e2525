"""What MockCloud and the command line ask for: the same operations, listed with how far they are."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from temporalio.api.cloud.cloudservice.v1 import GetAuditLogsRequest, GetAuditLogsResponse

from mockcloud.api.admin.v1 import cloud_admin_pb2 as admin
from mockcloud.api.admin.v1 import region_admin_pb2 as region_admin
from mockcloud.control.settings import ControlSettings
from mockcloud.core.errors import FailedPrecondition, InvalidArgument, NamespaceNotFound
from tests.control.fakes import EAST, SOUTH, WEST, Gate, World, ask, world


def _change(region: str, **fields: object) -> admin.ChangeRegionRequest:
    return admin.ChangeRegionRequest(namespace="orders", region=region, who="tester", **fields)  # type: ignore[arg-type]


async def _kinds(cloud: World, namespace: str = "") -> list[tuple[str, str, str]]:
    listed = await cloud.plane.tools.operations(admin.ListOperationsRequest(namespace=namespace))
    return [(each.kind, each.region, each.state) for each in listed.operations]


async def test_everything_that_was_done_the_last_first(tmp_path: Path) -> None:
    async with world(tmp_path, ControlSettings(readd_block=0)) as cloud:
        await cloud.plane.tools.create_namespace(admin.CreateNamespaceRequest(name="billing"))
        cloud.regions[SOUTH].put(cloud.east.record())  # as its link would
        await cloud.plane.tools.add_region(_change(SOUTH))
        await cloud.plane.failover(admin.FailoverRequest(namespace="orders", region=WEST))
        cloud.west.put(cloud.east.record())
        await cloud.plane.tools.delete_region(_change(SOUTH))
        await cloud.plane.tools.delete_namespace(admin.DeleteNamespaceRequest(namespace="billing"))

        assert await _kinds(cloud) == [
            ("DeleteNamespace", "", "FULFILLED"),
            ("DeleteNamespaceRegion", SOUTH, "FULFILLED"),
            ("FailoverNamespaceRegion", WEST, "FULFILLED"),
            ("AddNamespaceRegion", SOUTH, "FULFILLED"),
            ("CreateNamespace", EAST, "FULFILLED"),
            ("CreateNamespace", EAST, "FULFILLED"),
        ]
        assert [kind for kind, _, _ in await _kinds(cloud, "orders.local")] == [
            "DeleteNamespaceRegion",
            "FailoverNamespaceRegion",
            "AddNamespaceRegion",
            "CreateNamespace",
        ]
        assert await _kinds(cloud, "billing") == [
            ("DeleteNamespace", "", "FULFILLED"),
            ("CreateNamespace", EAST, "FULFILLED"),
        ], "a deleted one is known by its operations"
        few = await cloud.plane.tools.operations(admin.ListOperationsRequest(limit=1))
        assert len(few.operations) == 1
        with pytest.raises(NamespaceNotFound):
            await _kinds(cloud, "nobody")
        answer = await ask(cloud, GetAuditLogsRequest())
        assert isinstance(answer, GetAuditLogsResponse)
        assert [log.operation for log in answer.logs][-2:] == ["UpdateNamespaceAPI", "DeleteNamespaceAPI"]
        assert answer.logs[-2].principal.name == "tester"


async def test_how_far_a_region_is_filled(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        gate = cloud.east.hooks["caught-up"] = Gate()
        cloud.east.fill = region_admin.FillProgress(peers=[SOUTH], runs_given=3, runs=10)
        accepted = await cloud.plane.tools.add_region(_change(SOUTH, no_wait=True))
        await gate.reached.wait()
        (adding, _) = (await cloud.plane.tools.operations(admin.ListOperationsRequest())).operations
        assert (adding.id, adding.step, adding.source) == (accepted.id, "filling", EAST)
        assert (adding.fill.runs_given, adding.fill.runs) == (3, 10)

        cloud.down(EAST)
        (adding, _) = (await cloud.plane.tools.operations(admin.ListOperationsRequest())).operations
        assert not adding.HasField("fill"), "a region that is down does not tell"


async def test_what_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        tools = cloud.plane.tools
        with pytest.raises(InvalidArgument):
            await tools.add_region(_change(WEST))
        with pytest.raises(FailedPrecondition):
            await tools.delete_region(_change(EAST))
        with pytest.raises(NamespaceNotFound):
            await tools.delete_namespace(admin.DeleteNamespaceRequest(namespace="nobody"))
        assert cloud.journal == []


async def test_a_line_of_the_log_for_each_step(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mockcloud.control.runner")
    async with world(tmp_path) as cloud:
        caplog.clear()
        cloud.down(EAST)
        await cloud.plane.failover(admin.FailoverRequest(namespace="orders", region=WEST))
        cloud.up(EAST)
        await cloud.plane.tools.delete_namespace(admin.DeleteNamespaceRequest(namespace="orders"))
    lines = [record.getMessage() for record in caplog.records]
    failover = f"FailoverNamespaceRegion of orders {WEST}"
    assert lines[0] == f"{failover}: accepted → catching up"
    assert re.fullmatch(rf"{failover}: catching up → forcing \(catching up: .+\)", lines[1])
    assert lines[-1] == "DeleteNamespace of orders: telling → FULFILLED"
