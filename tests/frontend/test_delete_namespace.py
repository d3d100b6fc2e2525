"""Deleting a namespace with OperatorService."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from temporalio.api.enums.v1 import NamespaceState
from temporalio.api.namespace.v1 import NamespaceFilter
from temporalio.api.operatorservice.v1 import DeleteNamespaceRequest
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    ListNamespacesRequest,
    RegisterNamespaceRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from mockcloud.store import runs
from tests.support import DAY, Site, grpc_address


@pytest.fixture
async def client(site: Site) -> AsyncIterator[Client]:
    async with grpc_address(site) as address:
        yield await Client.connect(address)


async def test_a_deleted_namespace_and_its_runs_are_gone(client: Client, site: Site) -> None:
    # Given a namespace with a workflow, when it is deleted.
    await client.start_workflow("T", id="w", task_queue="q")
    record = site.region.namespaces.by_name("default").record
    answer = await client.operator_service.delete_namespace(DeleteNamespaceRequest(namespace="default"))
    assert answer.deleted_namespace == f"default-deleted-{record.id[:5]}"

    # Then nobody finds it, nor under its new name, and only those who ask for it see that it was.
    service = client.workflow_service
    for name in ("default", answer.deleted_namespace):
        with pytest.raises(RPCError) as caught:
            await client.count_workflows("")
        assert caught.value.status == RPCStatusCode.NOT_FOUND
        with pytest.raises(RPCError):
            await client.operator_service.delete_namespace(DeleteNamespaceRequest(namespace=name))
    listed = await service.list_namespaces(ListNamespacesRequest())
    assert [each.namespace_info.name for each in listed.namespaces] == []
    whole = await service.list_namespaces(
        ListNamespacesRequest(namespace_filter=NamespaceFilter(include_deleted=True))
    )
    assert [each.namespace_info.state for each in whole.namespaces] == [
        NamespaceState.NAMESPACE_STATE_DELETED
    ]
    by_id = await service.describe_namespace(DescribeNamespaceRequest(id=record.id))
    assert by_id.namespace_info.name == answer.deleted_namespace

    # And its runs go, and its name is free for another namespace.
    async with asyncio.timeout(10):
        while await site.region.store.read(lambda connection: runs.some_runs(connection, record.id, 1)):  # noqa: ASYNC110
            await asyncio.sleep(0)
    await service.register_namespace(
        RegisterNamespaceRequest(namespace="default", workflow_execution_retention_period=DAY)
    )
    assert (await client.count_workflows("")).count == 0
    await client.start_workflow("T", id="w", task_queue="q")
    assert (await client.count_workflows("")).count == 1


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        (
            DeleteNamespaceRequest(),
            RPCStatusCode.INVALID_ARGUMENT,
            "Namespace not set on request.",
        ),
        (
            DeleteNamespaceRequest(namespace="a", namespace_id="b"),
            RPCStatusCode.INVALID_ARGUMENT,
            "Only one of namespace name or Id should be set on request.",
        ),
        (
            DeleteNamespaceRequest(namespace="nowhere"),
            RPCStatusCode.NOT_FOUND,
            "Namespace nowhere is not found.",
        ),
    ],
)
async def test_what_cannot_be_deleted(
    client: Client, request_: DeleteNamespaceRequest, status: RPCStatusCode, message: str
) -> None:
    with pytest.raises(RPCError) as caught:
        await client.operator_service.delete_namespace(request_)
    assert (caught.value.status, caught.value.message) == (status, message)
