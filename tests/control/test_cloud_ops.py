"""The Cloud Ops API as an unmodified client meets it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.api.cloud.cloudservice.v1 import (
    FailoverNamespaceRegionRequest,
    GetAsyncOperationRequest,
    GetNamespaceRequest,
    GetNamespacesRequest,
    GetRegionRequest,
    GetRegionsRequest,
    GetUserGroupsRequest,
)
from temporalio.api.cloud.namespace.v1 import NamespaceRegionStatus
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.api.cloud.region.v1 import Region
from temporalio.api.cloud.resource.v1 import ResourceState
from temporalio.client import CloudOperationsClient
from temporalio.service import CloudService, RPCError, RPCStatusCode

from mockcloud.api.admin.v1 import cloud_admin_pb2 as admin
from mockcloud.control.cloud_ops import CLOUD_SERVICE
from mockcloud.control.shown import region_message
from mockcloud.core.errors import Internal
from mockcloud.rpc.methods import Call, serve_services
from mockcloud.rpc.server import Server
from tests.control.fakes import EAST, SOUTH, WEST, World, world


@asynccontextmanager
async def served(directory: Path) -> AsyncIterator[tuple[World, CloudService]]:
    """The world, and a client of its Cloud Ops API."""
    async with world(directory) as cloud:
        server = Server([serve_services([CLOUD_SERVICE], cloud.plane.dispatch)])
        server.bind()
        await server.start()
        try:
            client = await CloudOperationsClient.connect(target_host=server.address, tls=False)
            yield cloud, client.cloud_service
        finally:
            await server.stop(0)


async def test_a_client_fails_over_and_polls_its_operation(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, service):
        request = FailoverNamespaceRegionRequest(namespace="orders", region=WEST, async_operation_id="op-1")
        accepted = (await service.failover_namespace_region(request)).async_operation
        operation = accepted
        while not operation.HasField("finished_time"):
            asked = GetAsyncOperationRequest(async_operation_id="op-1")
            operation = (await service.get_async_operation(asked)).async_operation

        assert accepted.id == operation.id == "op-1"
        assert accepted.state in {AsyncOperation.STATE_PENDING, AsyncOperation.STATE_IN_PROGRESS}
        assert operation.state == AsyncOperation.STATE_FULFILLED
        assert operation.operation_type == "FailoverNamespaceRegion"
        assert accepted.check_duration.ToNanoseconds() > 0
        assert operation.finished_time.ToNanoseconds() >= operation.started_time.ToNanoseconds() > 0
        unpacked = FailoverNamespaceRegionRequest()
        assert operation.operation_input.Unpack(unpacked)
        assert unpacked == request


async def test_a_namespace_is_shown_whole(tmp_path: Path) -> None:
    async with served(tmp_path) as (cloud, service):
        namespace = (await service.get_namespace(GetNamespaceRequest(namespace="orders"))).namespace

        assert (namespace.namespace, namespace.spec.name) == ("orders.local", "orders")
        assert namespace.state == ResourceState.RESOURCE_STATE_ACTIVE
        assert list(namespace.spec.regions) == [EAST, WEST]
        assert namespace.spec.retention_days == 3
        assert namespace.active_region == EAST
        assert namespace.endpoints.grpc_address == f"127.0.0.1:{cloud.endpoints.ports['orders']}"
        assert {name: status.state for name, status in namespace.region_status.items()} == {
            EAST: NamespaceRegionStatus.STATE_ACTIVE,
            WEST: NamespaceRegionStatus.STATE_PASSIVE,
        }
        assert [(replica.region, replica.is_primary) for replica in namespace.replicas] == [
            (EAST, True),
            (WEST, False),
        ]

        await cloud.plane.failover(admin.FailoverRequest(namespace="orders", region=WEST))
        after = (await service.get_namespace(GetNamespaceRequest(namespace="orders"))).namespace

        assert after.active_region == WEST
        assert after.resource_version != namespace.resource_version
        assert after.HasField("last_modified_time")


async def test_namespaces_come_in_pages(tmp_path: Path) -> None:
    async with served(tmp_path) as (cloud, service):
        for name in ("billing", "shipping"):
            await cloud.plane.tools.create_namespace(admin.CreateNamespaceRequest(name=name))

        first = await service.get_namespaces(GetNamespacesRequest(page_size=2))
        token = first.next_page_token
        second = await service.get_namespaces(GetNamespacesRequest(page_size=2, page_token=token))
        named = await service.get_namespaces(GetNamespacesRequest(name="orders"))

        assert [entry.spec.name for entry in first.namespaces] == ["billing", "orders"]
        assert [entry.spec.name for entry in second.namespaces] == ["shipping"]
        assert second.next_page_token == ""
        assert [entry.spec.name for entry in named.namespaces] == ["orders"]
        await cloud.plane.tools.delete_namespace(admin.DeleteNamespaceRequest(namespace="orders"))
        again = await service.get_namespaces(GetNamespacesRequest(page_size=2, page_token=token))
        assert again == second, "what ended the page before may be gone"
        for bad in ("from elsewhere", "orders", token[:-3], "ü"):
            with pytest.raises(RPCError, match="invalid page token") as caught:
                await service.get_namespaces(GetNamespacesRequest(page_token=bad))
            assert caught.value.status is RPCStatusCode.INVALID_ARGUMENT


async def test_regions(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, service):
        regions = (await service.get_regions(GetRegionsRequest())).regions
        one = (await service.get_region(GetRegionRequest(region=SOUTH))).region

        assert [region.id for region in regions] == [EAST, WEST, SOUTH]
        assert (one.cloud_provider, one.cloud_provider_region) == (Region.CLOUD_PROVIDER_GCP, "us-central1")
        with pytest.raises(RPCError) as caught:
            await service.get_region(GetRegionRequest(region="mars-1"))
        assert caught.value.status is RPCStatusCode.NOT_FOUND


def test_a_second_cell_and_an_invented_region() -> None:
    cell, invented = region_message("aws-us-east-1#2"), region_message("north")

    assert (cell.id, cell.cloud_provider_region, cell.location) == (
        "aws-us-east-1#2",
        "us-east-1",
        "US East (N. Virginia)",
    )
    assert (invented.cloud_provider, invented.cloud_provider_region, invented.location) == (
        0,
        "north",
        "north",
    )


@pytest.mark.parametrize(
    ("request_message", "status"),
    [
        (FailoverNamespaceRegionRequest(namespace="nobody", region=WEST), RPCStatusCode.NOT_FOUND),
        (FailoverNamespaceRegionRequest(namespace="orders", region="mars-1"), RPCStatusCode.INVALID_ARGUMENT),
        (FailoverNamespaceRegionRequest(namespace="orders", region=SOUTH), RPCStatusCode.INVALID_ARGUMENT),
        (FailoverNamespaceRegionRequest(namespace="orders"), RPCStatusCode.INVALID_ARGUMENT),
        (FailoverNamespaceRegionRequest(region=WEST), RPCStatusCode.INVALID_ARGUMENT),
    ],
)
async def test_bad_failovers(
    tmp_path: Path, request_message: FailoverNamespaceRegionRequest, status: RPCStatusCode
) -> None:
    async with served(tmp_path) as (cloud, service):
        with pytest.raises(RPCError) as caught:
            await service.failover_namespace_region(request_message)

        assert caught.value.status is status
        assert cloud.journal == []


async def test_unknown_operation_unserved_method_and_garbage(tmp_path: Path) -> None:
    async with served(tmp_path) as (cloud, service):
        with pytest.raises(RPCError) as unknown:
            await service.get_async_operation(GetAsyncOperationRequest(async_operation_id="nothing"))
        with pytest.raises(RPCError) as unserved:
            await service.get_user_groups(GetUserGroupsRequest())
        name = f"/{CLOUD_SERVICE.full_name}/GetNamespace"
        garbage = Call(CLOUD_SERVICE.full_name, "GetNamespace", name, b"\xff\xff", {})
        with pytest.raises(Internal, match="cannot parse invalid wire-format data"):
            await cloud.plane.dispatch(garbage)

        assert unknown.value.status is RPCStatusCode.NOT_FOUND
        assert unserved.value.status is RPCStatusCode.UNIMPLEMENTED
        assert "GetUserGroups" in unserved.value.message
