"""The Terraform provider: its requests for a namespace, as its sources make them, over gRPC.

It speaks v0.17.1 of the API (temporalio/cloud-sdk v0.14.1), polls each operation until it has ended, and reads the
namespace again. Terraform itself is not run here.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping

import pytest
from temporalio.api.cloud.cloudservice.v1 import (
    CreateNamespaceRequest,
    DeleteNamespaceRequest,
    GetAsyncOperationRequest,
    GetNamespaceRequest,
    GetRegionsRequest,
    UpdateNamespaceRequest,
    UpdateNamespaceTagsRequest,
)
from temporalio.api.cloud.namespace.v1 import (
    ApiKeyAuthSpec,
    CodecServerSpec,
    LifecycleSpec,
    Namespace,
    NamespaceSpec,
)
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.client import CloudOperationsClient
from temporalio.service import CloudService, RPCError, RPCStatusCode

from mockcloud import MockCloud
from tests.scenarios.stage import until

_VERSION: Mapping[str, str] = {"temporal-cloud-api-version": "v0.17.1"}
_REGIONS = ["aws-us-east-1", "aws-us-west-2"]


class Provider:
    """The provider's resources, as far as a namespace goes."""

    def __init__(self, service: CloudService) -> None:
        self.service = service

    async def read(self, namespace_id: str) -> Namespace:
        request = GetNamespaceRequest(namespace=namespace_id)
        return (await self.service.get_namespace(request, metadata=_VERSION)).namespace

    async def wait(self, operation: AsyncOperation) -> None:
        """AwaitAsyncOperation."""

        async def ended() -> bool:
            request = GetAsyncOperationRequest(async_operation_id=operation.id)
            found = await self.service.get_async_operation(request, metadata=_VERSION)
            assert found.async_operation.state in {1, 2, 5}, found.async_operation.failure_reason
            return found.async_operation.state == AsyncOperation.STATE_FULFILLED

        await until(ended)

    async def create(self, spec: NamespaceSpec) -> str:
        request = CreateNamespaceRequest(spec=spec, async_operation_id=str(uuid.uuid4()))
        answer = await self.service.create_namespace(request, metadata=_VERSION)
        await self.wait(answer.async_operation)
        return answer.namespace

    async def update(self, namespace_id: str, spec: NamespaceSpec) -> None:
        current = await self.read(namespace_id)
        for name, number in current.spec.search_attributes.items():
            spec.search_attributes[name] = number
        await self.replace(current, spec)

    async def replace(self, current: Namespace, spec: NamespaceSpec) -> None:
        request = UpdateNamespaceRequest(
            namespace=current.namespace,
            spec=spec,
            resource_version=current.resource_version,
            async_operation_id=str(uuid.uuid4()),
        )
        answer = await self.service.update_namespace(request, metadata=_VERSION)
        await self.wait(answer.async_operation)

    async def delete(self, namespace_id: str) -> None:
        current = await self.read(namespace_id)
        request = DeleteNamespaceRequest(
            namespace=namespace_id,
            resource_version=current.resource_version,
            async_operation_id=str(uuid.uuid4()),
        )
        answer = await self.service.delete_namespace(request, metadata=_VERSION)
        await self.wait(answer.async_operation)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with MockCloud(namespaces=["default"]) as cloud:
        client = await CloudOperationsClient.connect(target_host=cloud.cloud_ops, tls=False)
        yield Provider(client.cloud_service)


def _planned(**fields: object) -> NamespaceSpec:
    spec = NamespaceSpec(
        name="billing",
        regions=_REGIONS,
        retention_days=14,
        api_key_auth=ApiKeyAuthSpec(enabled=True),
    )
    spec.MergeFrom(NamespaceSpec(**fields))  # type: ignore[arg-type]
    return spec


async def test_a_namespace_from_plan_to_destroy(provider: Provider) -> None:
    regions = await provider.service.get_regions(GetRegionsRequest(), metadata=_VERSION)
    assert {region.id for region in regions.regions} >= set(_REGIONS)

    namespace_id = await provider.create(
        _planned(
            lifecycle=LifecycleSpec(enable_delete_protection=True),
            codec_server=CodecServerSpec(endpoint="https://codec.example"),
        )
    )
    created = await provider.read(namespace_id)
    assert namespace_id == created.namespace == "billing.local"
    assert (created.spec.name, created.spec.retention_days) == ("billing", 14)
    assert created.spec.api_key_auth.enabled
    assert created.spec.lifecycle.enable_delete_protection
    assert created.spec.codec_server.endpoint == "https://codec.example"
    assert created.endpoints.grpc_address
    assert [replica.region for replica in created.spec.replicas] == _REGIONS
    # The provider reads `regions`, which end at v0.15.0: with this version it finds none.
    assert not created.spec.regions

    # temporalcloud_namespace_search_attribute: the spec that was read, with one attribute more.
    created.spec.search_attributes["Customer"] = NamespaceSpec.SEARCH_ATTRIBUTE_TYPE_KEYWORD
    await provider.replace(created, created.spec)

    # temporalcloud_namespace: a block that is taken away is not sent.
    await provider.update(namespace_id, _planned(retention_days=30))
    updated = await provider.read(namespace_id)
    assert updated.spec.retention_days == 30
    assert not updated.spec.lifecycle.enable_delete_protection
    assert updated.spec.codec_server.endpoint == ""
    assert dict(updated.spec.search_attributes) == {"Customer": 2}

    # temporalcloud_namespace_tags sends no operation id.
    tags = UpdateNamespaceTagsRequest(namespace=namespace_id, tags_to_upsert={"team": "payments"})
    await provider.wait(
        (await provider.service.update_namespace_tags(tags, metadata=_VERSION)).async_operation
    )
    assert dict((await provider.read(namespace_id)).tags) == {"team": "payments"}

    await provider.delete(namespace_id)
    with pytest.raises(RPCError) as caught:
        await provider.read(namespace_id)
    assert caught.value.status is RPCStatusCode.NOT_FOUND
