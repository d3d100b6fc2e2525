"""The control plane killed at each step of each kind of operation: after a restart it ends, and nothing is stuck."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from google.protobuf.message import Message
from temporalio.api.cloud.cloudservice.v1 import (
    AddNamespaceRegionRequest,
    CreateNamespaceRequest,
    DeleteNamespaceRegionRequest,
    DeleteNamespaceRequest,
    FailoverNamespaceRegionRequest,
    RenameCustomSearchAttributeRequest,
    UpdateNamespaceRequest,
    UpdateNamespaceTagsRequest,
)
from temporalio.api.cloud.namespace.v1 import NamespaceSpec
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.api.cloud.resource.v1 import ResourceState

from mockcloud.control.operations import Kind, Operation
from mockcloud.core import times
from tests.control.fakes import EAST, PATIENCE, SOUTH, WEST, World, ended, say, shown, world

# The others end when they are accepted.
_WITH_STEPS = (
    Kind.CREATE,
    Kind.UPDATE,
    Kind.RENAME_SEARCH_ATTRIBUTE,
    Kind.TAGS,
    Kind.DELETE,
    Kind.ADD_REGION,
    Kind.DELETE_REGION,
    Kind.FAILOVER,
)
_ACTIVE = ResourceState.RESOURCE_STATE_ACTIVE


async def _request(cloud: World, kind: Kind) -> Message:
    version = (await shown(cloud, "orders")).resource_version
    spec = NamespaceSpec(
        retention_days=30, search_attributes={"Customer": NamespaceSpec.SEARCH_ATTRIBUTE_TYPE_KEYWORD}
    )
    requests: dict[Kind, Message] = {
        Kind.CREATE: CreateNamespaceRequest(
            spec=NamespaceSpec(name="billing", regions=[WEST, EAST], retention_days=1), tags={"a": "b"}
        ),
        Kind.UPDATE: UpdateNamespaceRequest(namespace="orders", spec=spec, resource_version=version),
        Kind.RENAME_SEARCH_ATTRIBUTE: RenameCustomSearchAttributeRequest(
            namespace="orders",
            existing_custom_search_attribute_name="Customer",
            new_custom_search_attribute_name="Client",
            resource_version=version,
        ),
        Kind.TAGS: UpdateNamespaceTagsRequest(namespace="orders", tags_to_upsert={"a": "b"}),
        Kind.DELETE: DeleteNamespaceRequest(namespace="orders", resource_version=version),
        Kind.ADD_REGION: AddNamespaceRegionRequest(
            namespace="orders", region=SOUTH, resource_version=version
        ),
        Kind.DELETE_REGION: DeleteNamespaceRegionRequest(
            namespace="orders", region=WEST, resource_version=version
        ),
        Kind.FAILOVER: FailoverNamespaceRegionRequest(namespace="orders", region=WEST),
    }
    return requests[kind]


async def _done(cloud: World, kind: Kind) -> None:
    """What the operation was to do is done, once."""
    name = "billing" if kind is Kind.CREATE else "orders"
    if kind is Kind.DELETE:
        assert cloud.plane.find("orders") is None
        assert all(record.deleted_time for record in cloud.east.records.values())
        return
    namespace = await shown(cloud, name)
    assert (namespace.state, namespace.async_operation_id) == (_ACTIVE, "")
    match kind:
        case Kind.CREATE:
            assert cloud.west.record("billing").id == cloud.east.record("billing").id
            assert namespace.tags == {"a": "b"}
            assert namespace.endpoints.grpc_address
        case Kind.UPDATE:
            assert cloud.east.record().retention == 30 * times.DAY
            assert cloud.east.record().config_version == 1
            assert namespace.spec.retention_days == 30
        case Kind.RENAME_SEARCH_ATTRIBUTE:
            assert dict(namespace.spec.search_attributes) == {"Client": 2}
        case Kind.TAGS:
            assert namespace.tags == {"a": "b"}
        case Kind.ADD_REGION:
            assert set(namespace.region_status) == {EAST, WEST, SOUTH}
        case Kind.DELETE_REGION:
            assert set(namespace.region_status) == {EAST}
            assert "orders" not in cloud.west.records
        case Kind.FAILOVER:
            assert namespace.active_region == WEST
            for region in (cloud.east, cloud.west):
                assert (region.record().active_cluster, region.record().failover_version) == (WEST, 2)
                assert not region.record().handover


def _stop_at(cloud: World, step: int, *, stored: bool) -> asyncio.Event:
    """Let the control plane stand still at a step, just before it is stored or just after; told by the event."""
    operations = cloud.plane._running.operations
    save: Callable[[Operation], Awaitable[None]] = operations.save
    taken = 0
    reached = asyncio.Event()

    async def stop(operation: Operation) -> None:
        nonlocal taken
        taken += 1
        if taken == step and not stored:
            reached.set()
            await asyncio.Event().wait()
        await save(operation)
        if taken == step:
            reached.set()
            await asyncio.Event().wait()

    operations.save = stop  # type: ignore[method-assign]
    return reached


@pytest.mark.parametrize("stored", [False, True], ids=["before it is stored", "after"])
@pytest.mark.parametrize("kind", _WITH_STEPS)
async def test_killed_at_each_step(tmp_path: Path, kind: Kind, stored: bool) -> None:
    for step in range(1, 20):
        directory = tmp_path / str(step)
        directory.mkdir()
        async with world(directory) as cloud:
            if kind is Kind.RENAME_SEARCH_ATTRIBUTE:  # of the attribute that an update adds
                await ended(cloud, await say(cloud, await _request(cloud, Kind.UPDATE)))
            if kind is Kind.ADD_REGION:
                cloud.regions[SOUTH].put(cloud.east.record())  # as its link would
            request = await _request(cloud, kind)
            reached = _stop_at(cloud, step, stored=stored)
            accepted = await say(cloud, request)
            end = asyncio.ensure_future(ended(cloud, accepted))
            stop = asyncio.ensure_future(reached.wait())
            await asyncio.wait({end, stop}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
            if not reached.is_set():
                assert step > 1, "there are steps"
                return
            end.cancel()
            await cloud.restart()
            operation = await ended(cloud, accepted)
            assert operation.state == AsyncOperation.STATE_FULFILLED, (step, operation)
            await _done(cloud, kind)
    raise AssertionError("an operation has fewer steps")
