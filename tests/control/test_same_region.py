"""A namespace with both replicas in one region: it fails over by itself, and not on request."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from temporalio.api.cloud.cloudservice.v1 import (
    CreateNamespaceRequest,
    FailoverNamespaceRegionRequest,
    GetNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.api.cloud.namespace.v1 import HighAvailabilitySpec, Namespace, NamespaceSpec
from temporalio.api.cloud.resource.v1 import ResourceState
from temporalio.client import CloudOperationsClient
from temporalio.service import RPCError, RPCStatusCode

from mockcloud import MockCloud
from mockcloud.control import specs
from mockcloud.control.specs import same_region
from mockcloud.core.errors import FailedPrecondition
from tests.scenarios.stage import until

ONE, TWO, WEST = "aws-us-east-1", "aws-us-east-1#2", "aws-us-west-2"


@pytest.fixture
async def cloud() -> AsyncIterator[MockCloud]:
    async with MockCloud([ONE, TWO, WEST]) as started:
        await started.create_namespace("orders", [ONE, TWO])
        yield started


def test_which_namespaces_are_so() -> None:
    assert same_region([ONE, TWO])
    assert not same_region([ONE])
    assert not same_region([ONE, WEST])
    assert not same_region([ONE, TWO, WEST])


def test_a_region_that_is_named_twice_means_its_cells() -> None:
    cloud = [ONE, TWO, WEST]
    assert specs.cells([ONE, WEST], cloud) == [ONE, WEST]
    assert specs.cells([ONE, ONE], cloud) == [ONE, TWO]
    assert specs.cells([ONE], cloud, taken=[ONE]) == [TWO]
    assert specs.cells([WEST, WEST], cloud) == [WEST, WEST], "which is refused: there is no cell left"
    assert specs.cells([TWO, ONE], cloud) == [TWO, ONE]


async def test_same_region_replication_as_the_cloud_is_asked_for_it(cloud: MockCloud) -> None:
    service = (await CloudOperationsClient.connect(target_host=cloud.cloud_ops, tls=False)).cloud_service
    spec = NamespaceSpec(name="billing", regions=[ONE, ONE], retention_days=3)
    await service.create_namespace(CreateNamespaceRequest(spec=spec, async_operation_id="made"))

    async def shown() -> Namespace:
        return (await service.get_namespace(GetNamespaceRequest(namespace="billing"))).namespace

    async def active() -> bool:
        return (await shown()).state == ResourceState.RESOURCE_STATE_ACTIVE

    await until(active)
    assert list((await shown()).spec.regions) == [ONE, TWO]
    spec.retention_days = 4
    version = (await shown()).resource_version
    await service.update_namespace(
        UpdateNamespaceRequest(namespace="billing", spec=spec, resource_version=version)
    )
    await until(active)
    await cloud.create_namespace("single", [ONE])
    added = await cloud.namespace("single").add_region(ONE)
    assert (added.region, added.state) == (TWO, "FULFILLED")


async def test_a_user_cannot_fail_it_over_and_temporal_can(cloud: MockCloud) -> None:
    client = await CloudOperationsClient.connect(target_host=cloud.cloud_ops, tls=False)
    orders = cloud.namespace("orders")
    request = FailoverNamespaceRegionRequest(namespace="orders", region=TWO)
    with pytest.raises(RPCError) as caught:
        await client.cloud_service.failover_namespace_region(request)
    assert caught.value.status is RPCStatusCode.FAILED_PRECONDITION
    with pytest.raises(FailedPrecondition, match="same-region replication"):
        await orders.failover(TWO)

    operation = await orders.failover(TWO, by="temporal")

    assert (operation.state, operation.mode) == ("FULFILLED", "graceful")
    got = await client.cloud_service.get_namespace(GetNamespaceRequest(namespace="orders"))
    assert got.namespace.active_region == TWO


async def test_managed_failover_cannot_be_disabled(cloud: MockCloud) -> None:
    service = (await CloudOperationsClient.connect(target_host=cloud.cloud_ops, tls=False)).cloud_service
    disabled = HighAvailabilitySpec(disable_managed_failover=True)
    spec = NamespaceSpec(name="billing", regions=[ONE, TWO], retention_days=3, high_availability=disabled)
    namespace = (await service.get_namespace(GetNamespaceRequest(namespace="orders"))).namespace
    changed = NamespaceSpec()
    changed.CopyFrom(namespace.spec)
    changed.high_availability.CopyFrom(disabled)
    update = UpdateNamespaceRequest(
        namespace="orders", spec=changed, resource_version=namespace.resource_version
    )
    for asking in (
        service.create_namespace(CreateNamespaceRequest(spec=spec)),
        service.update_namespace(update),
    ):
        with pytest.raises(RPCError, match="managed failover cannot be disabled") as caught:
            await asking
        assert caught.value.status is RPCStatusCode.INVALID_ARGUMENT
    assert (await service.get_namespace(GetNamespaceRequest(namespace="orders"))).namespace == namespace


async def test_a_region_more_makes_it_one_that_is_failed_over_on_request(cloud: MockCloud) -> None:
    orders = cloud.namespace("orders")
    await orders.add_region(WEST)
    assert (await orders.failover(WEST)).state == "FULFILLED"
    # And back it does not go: without that region, both replicas are in one again.
    await orders.failover(ONE)
    await orders.delete_region(WEST)
    with pytest.raises(FailedPrecondition, match="same-region replication"):
        await orders.failover(TWO)
