"""Regions that join a namespace and leave it: what is shown meanwhile, what is refused, and what survives a kill."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from google.protobuf.message import Message
from temporalio.api.cloud.cloudservice.v1 import (
    AddNamespaceRegionRequest,
    DeleteNamespaceRegionRequest,
    FailoverNamespaceRegionRequest,
    UpdateNamespaceRequest,
)
from temporalio.api.cloud.namespace.v1 import (
    Namespace,
    NamespaceRegionStatus,
    NamespaceSpec,
    Replica,
    ReplicaSpec,
)
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.api.cloud.resource.v1 import ResourceState

from mockcloud.control.settings import ControlSettings
from mockcloud.core import times
from mockcloud.core.errors import (
    Code,
    FailedPrecondition,
    InvalidArgument,
    NamespaceAlreadyExists,
    ServiceError,
)
from tests.control.fakes import EAST, SOUTH, WEST, Gate, World, ended, raising, say, shown, world

_STATES = NamespaceRegionStatus.State


async def _add(cloud: World, region: str = SOUTH, **fields: str) -> AsyncOperation:
    version = (await shown(cloud, "orders")).resource_version
    return await say(
        cloud,
        AddNamespaceRegionRequest(namespace="orders", region=region, resource_version=version, **fields),
    )


async def _delete(cloud: World, region: str, **fields: str) -> AsyncOperation:
    version = (await shown(cloud, "orders")).resource_version
    return await say(
        cloud,
        DeleteNamespaceRegionRequest(namespace="orders", region=region, resource_version=version, **fields),
    )


def _statuses(namespace: Namespace) -> dict[str, NamespaceRegionStatus.State.ValueType]:
    return {region: status.state for region, status in namespace.region_status.items()}


async def test_a_region_is_added_when_it_has_everything(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        gate = cloud.east.hooks["caught-up"] = Gate()
        accepted = await _add(cloud)
        await gate.reached.wait()
        cloud.regions[SOUTH].put(cloud.east.record())  # as its link would
        during = await shown(cloud, "orders")

        assert accepted.operation_type == "AddNamespaceRegion"
        assert during.state == ResourceState.RESOURCE_STATE_UPDATING
        assert during.async_operation_id == accepted.id
        assert _statuses(during) == {
            EAST: _STATES.STATE_ACTIVE,
            WEST: _STATES.STATE_PASSIVE,
            SOUTH: _STATES.STATE_ADDING,
        }
        assert during.region_status[SOUTH].async_operation_id == accepted.id
        assert [replica.state for replica in during.replicas if replica.region == SOUTH] == [
            Replica.REPLICA_STATE_ADDING
        ]
        with pytest.raises(ServiceError, match=r"not ready to be failed over to") as caught:
            await say(cloud, FailoverNamespaceRegionRequest(namespace="orders", region=SOUTH))
        assert caught.value.code == Code.FAILED_PRECONDITION
        # To another one it can be, meanwhile.
        failover = await say(cloud, FailoverNamespaceRegionRequest(namespace="orders", region=WEST))
        del cloud.east.hooks["caught-up"]
        gate.open()
        assert (await ended(cloud, failover)).state == AsyncOperation.STATE_FULFILLED
        assert (await ended(cloud, accepted)).state == AsyncOperation.STATE_FULFILLED

        after = await shown(cloud, "orders")
        assert after.state == ResourceState.RESOURCE_STATE_ACTIVE
        assert _statuses(after) == {
            EAST: _STATES.STATE_PASSIVE,
            WEST: _STATES.STATE_ACTIVE,
            SOUTH: _STATES.STATE_PASSIVE,
        }
        assert [(replica.region, replica.is_primary) for replica in after.replicas] == [
            (EAST, False),
            (WEST, True),
            (SOUTH, False),
        ]
        failover = await say(cloud, FailoverNamespaceRegionRequest(namespace="orders", region=SOUTH))
        assert (await ended(cloud, failover)).state == AsyncOperation.STATE_FULFILLED


async def test_a_region_is_deleted_and_blocked_for_a_time(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        gate = cloud.west.hooks["forget"] = Gate()
        accepted = await _delete(cloud, WEST)
        await gate.reached.wait()
        assert set(cloud.endpoints.left) == {("orders", WEST)}
        during = await shown(cloud, "orders")
        assert _statuses(during) == {EAST: _STATES.STATE_ACTIVE, WEST: _STATES.STATE_REMOVING}
        gate.open()
        assert (await ended(cloud, accepted)).state == AsyncOperation.STATE_FULFILLED

        assert list((await shown(cloud, "orders")).region_status) == [EAST]
        assert list(cloud.east.record().clusters) == [EAST]
        assert "orders" not in cloud.west.records
        with pytest.raises(ServiceError, match="can be added again from") as caught:
            await _add(cloud, WEST)
        assert caught.value.code == Code.FAILED_PRECONDITION
        await cloud.restart()
        with pytest.raises(ServiceError, match="can be added again from"):
            await _add(cloud, WEST)
        cloud.clock.skip(7 * times.DAY)
        cloud.west.put(cloud.east.record())  # as its link would
        assert (await ended(cloud, await _add(cloud, WEST))).state == AsyncOperation.STATE_FULFILLED


async def test_a_region_that_is_down_forgets_when_it_comes_back(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        cloud.down(WEST)
        assert (await ended(cloud, await _delete(cloud, WEST))).state == AsyncOperation.STATE_FULFILLED
        assert "orders" in cloud.west.records
        await cloud.restart()  # what is owed is on disk
        gate = cloud.west.hooks["forget"] = Gate()
        gate.open()
        cloud.up(WEST)
        await gate.reached.wait()
        while "orders" in cloud.west.records:
            await cloud.west.answered()


async def test_deleting_a_region_that_is_being_added_cancels_that(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        gate = cloud.east.hooks["caught-up"] = Gate()
        adding = await _add(cloud)
        await gate.reached.wait()
        deleting = await _delete(cloud, SOUTH)

        assert (await ended(cloud, deleting)).state == AsyncOperation.STATE_FULFILLED
        cancelled = await ended(cloud, adding)
        assert (cancelled.state, cancelled.failure_reason) == (
            AsyncOperation.STATE_CANCELLED,
            "the region is being deleted",
        )
        assert set((await shown(cloud, "orders")).region_status) == {EAST, WEST}


async def test_an_adding_that_fails_is_shown(tmp_path: Path) -> None:
    async with world(tmp_path, ControlSettings(readd_block=0)) as cloud:
        cloud.east.hooks["join"] = raising(NamespaceAlreadyExists())
        operation = await ended(cloud, await _add(cloud))
        assert operation.state == AsyncOperation.STATE_FAILED

        for _ in range(2):
            namespace = await shown(cloud, "orders")
            assert _statuses(namespace)[SOUTH] == _STATES.STATE_FAILED
            assert namespace.region_status[SOUTH].async_operation_id == operation.id
            await cloud.restart()
        del cloud.east.hooks["join"]
        cloud.regions[SOUTH].put(cloud.east.record())
        assert (await ended(cloud, await _add(cloud))).state == AsyncOperation.STATE_FULFILLED
        assert _statuses(await shown(cloud, "orders"))[SOUTH] == _STATES.STATE_PASSIVE


async def test_a_replica_that_could_not_be_filled_is_not_failed_over_to(tmp_path: Path) -> None:
    async with world(tmp_path, ControlSettings(readd_block=0)) as cloud:
        cloud.east.hooks["caught-up"] = raising(FailedPrecondition("never"))
        operation = await ended(cloud, await _add(cloud))
        assert (operation.state, operation.failure_reason) == (AsyncOperation.STATE_FAILED, "never")
        cloud.regions[SOUTH].put(cloud.east.record())
        with pytest.raises(ServiceError, match="has failed: never") as caught:
            await say(cloud, FailoverNamespaceRegionRequest(namespace="orders", region=SOUTH))
        assert caught.value.code == Code.FAILED_PRECONDITION

        del cloud.east.hooks["caught-up"]
        await ended(cloud, await _delete(cloud, SOUTH))
        adding = await _add(cloud)
        cloud.regions[SOUTH].put(cloud.east.record())
        assert (await ended(cloud, adding)).state == AsyncOperation.STATE_FULFILLED
        assert _statuses(await shown(cloud, "orders"))[SOUTH] == _STATES.STATE_PASSIVE


async def test_a_region_that_is_just_starting_is_asked_again(tmp_path: Path) -> None:
    """It serves before it replicates, and then says that it does not replicate there."""
    async with world(tmp_path) as cloud:
        asked = asyncio.Event()

        async def starting() -> None:
            asked.set()
            raise InvalidArgument("the namespace does not replicate there")

        cloud.east.hooks["caught-up"] = starting
        adding = await _add(cloud)
        await asked.wait()
        cloud.regions[SOUTH].put(cloud.east.record())
        del cloud.east.hooks["caught-up"]
        assert (await ended(cloud, adding)).state == AsyncOperation.STATE_FULFILLED


@pytest.mark.parametrize("word", ["join", "caught-up", "get", "leave", "forget"])
async def test_control_plane_killed_at_each_step(tmp_path: Path, word: str) -> None:
    async with world(tmp_path) as cloud:
        adding = word in {"join", "caught-up", "get"}
        place = {"get": cloud.regions[SOUTH], "forget": cloud.west}.get(word, cloud.east)
        if adding:
            cloud.regions[SOUTH].put(cloud.east.record())
        gate = place.hooks[word] = Gate()
        accepted = await (_add(cloud) if adding else _delete(cloud, WEST))
        await gate.reached.wait()
        await cloud.plane.kill()
        del place.hooks[word]
        await cloud.restart()

        assert (await ended(cloud, accepted)).state == AsyncOperation.STATE_FULFILLED
        namespace = await shown(cloud, "orders")
        assert set(namespace.region_status) == ({EAST, WEST, SOUTH} if adding else {EAST})
        assert namespace.state == ResourceState.RESOURCE_STATE_ACTIVE


async def test_what_is_refused_changes_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        before = await shown(cloud, "orders")
        version = before.resource_version
        add, delete = AddNamespaceRegionRequest, DeleteNamespaceRegionRequest
        refused: list[tuple[Message, Code]] = [
            (add(namespace="orders", region=WEST, resource_version=version), Code.INVALID_ARGUMENT),
            (add(namespace="orders", region="mars-1", resource_version=version), Code.INVALID_ARGUMENT),
            (add(namespace="orders", resource_version=version), Code.INVALID_ARGUMENT),
            (add(region=SOUTH, resource_version=version), Code.INVALID_ARGUMENT),
            (add(namespace="orders", region=SOUTH), Code.INVALID_ARGUMENT),
            (add(namespace="orders", region=SOUTH, resource_version="0"), Code.FAILED_PRECONDITION),
            (add(namespace="nobody", region=SOUTH, resource_version=version), Code.NOT_FOUND),
            (delete(namespace="orders", region=EAST, resource_version=version), Code.FAILED_PRECONDITION),
            (delete(namespace="orders", region=SOUTH, resource_version=version), Code.INVALID_ARGUMENT),
            (delete(namespace="orders", region=WEST), Code.INVALID_ARGUMENT),
            (delete(namespace="orders", region=WEST, resource_version="0"), Code.FAILED_PRECONDITION),
            (delete(namespace="nobody", region=WEST, resource_version=version), Code.NOT_FOUND),
        ]
        for request, code in refused:
            with pytest.raises(ServiceError) as caught:
                await say(cloud, request)
            assert caught.value.code == code, request
        assert cloud.journal == []
        assert await shown(cloud, "orders") == before


async def test_one_thing_at_a_time(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        gate = cloud.east.hooks["caught-up"] = Gate()
        adding = await _add(cloud)
        await gate.reached.wait()
        with pytest.raises(ServiceError, match=adding.id) as caught:
            await _delete(cloud, WEST)
        assert caught.value.code == Code.FAILED_PRECONDITION


async def _replicas(cloud: World, *regions: str, **fields: int) -> AsyncOperation:
    """UpdateNamespace with these replicas, as the newer versions of the API have it."""
    version = {"temporal-cloud-api-version": "v0.19.0"}
    namespace = await shown(cloud, "orders", version)
    namespace.spec.ClearField("replicas")
    namespace.spec.MergeFrom(
        NamespaceSpec(replicas=[ReplicaSpec(region=region) for region in regions], **fields)  # type: ignore[arg-type]
    )
    request = UpdateNamespaceRequest(
        namespace="orders", spec=namespace.spec, resource_version=namespace.resource_version
    )
    return await say(cloud, request, version)


async def test_an_update_adds_a_replica_and_deletes_it(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        gate = cloud.east.hooks["caught-up"] = Gate()
        adding = await _replicas(cloud, EAST, WEST, SOUTH, retention_days=20)
        await gate.reached.wait()
        cloud.regions[SOUTH].put(cloud.east.record())  # as its link would
        during = await shown(cloud, "orders")
        assert adding.operation_type == "UpdateNamespace"
        assert _statuses(during)[SOUTH] == _STATES.STATE_ADDING
        with pytest.raises(ServiceError, match="not ready to be failed over to"):
            await say(cloud, FailoverNamespaceRegionRequest(namespace="orders", region=SOUTH))
        await cloud.plane.kill()
        del cloud.east.hooks["caught-up"]
        await cloud.restart()
        assert (await ended(cloud, adding)).state == AsyncOperation.STATE_FULFILLED
        after = await shown(cloud, "orders")
        assert after.spec.retention_days == 20
        assert _statuses(after)[SOUTH] == _STATES.STATE_PASSIVE

        deleting = await ended(cloud, await _replicas(cloud, EAST, SOUTH))
        assert deleting.state == AsyncOperation.STATE_FULFILLED
        assert set((await shown(cloud, "orders")).region_status) == {EAST, SOUTH}
        assert "orders" not in cloud.west.records
        with pytest.raises(ServiceError, match="can be added again from"):
            await _replicas(cloud, EAST, SOUTH, WEST)
        with pytest.raises(ServiceError, match="nothing to change"):
            await _replicas(cloud, SOUTH, EAST)
