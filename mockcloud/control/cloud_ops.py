"""The Cloud Ops API: `temporal.api.cloud.cloudservice.v1.CloudService`, as far as failovers need it.

What is not here answers UNIMPLEMENTED with its name. It translates between messages and the control plane's values, and
decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeAlias, TypeVar

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from temporalio.api.cloud.cloudservice.v1 import (
    FailoverNamespaceRegionRequest,
    FailoverNamespaceRegionResponse,
    GetAsyncOperationRequest,
    GetAsyncOperationResponse,
    GetAuditLogsRequest,
    GetNamespaceRequest,
    GetNamespaceResponse,
    GetNamespacesRequest,
    GetNamespacesResponse,
    GetRegionRequest,
    GetRegionResponse,
    GetRegionsRequest,
    GetRegionsResponse,
)
from temporalio.api.cloud.cloudservice.v1 import service_pb2 as cloud_service
from temporalio.api.cloud.namespace.v1 import (
    Endpoints,
    HighAvailabilitySpec,
    Namespace,
    NamespaceRegionStatus,
    NamespaceSpec,
    Replica,
    ReplicaSpec,
)
from temporalio.api.cloud.region.v1 import Region
from temporalio.api.cloud.resource.v1 import ResourceState

from mockcloud.control.audit import AuditLog
from mockcloud.control.failover import Failovers
from mockcloud.control.namespaces import Directory, KnownNamespace
from mockcloud.control.operations import Operations
from mockcloud.control.settings import ControlSettings
from mockcloud.core import times
from mockcloud.core.errors import InvalidArgument, NotFound, Unimplemented
from mockcloud.rpc.methods import Call, parse

R = TypeVar("R", bound=Message)
Handler: TypeAlias = "Callable[[CloudOps, bytes], Awaitable[Message]]"

CLOUD_SERVICE: Final[ServiceDescriptor] = cloud_service.DESCRIPTOR.services_by_name["CloudService"]

_DEFAULT_PAGE: Final = 100
_LARGEST_PAGE: Final = 1000

_PROVIDERS: Final[Mapping[str, Region.CloudProvider.ValueType]] = {
    "aws": Region.CLOUD_PROVIDER_AWS,
    "gcp": Region.CLOUD_PROVIDER_GCP,
}
# Where the Cloud's regions are; one that it does not have is shown by its id.
_LOCATIONS: Final[Mapping[str, str]] = {
    "aws-ap-northeast-1": "Asia Pacific (Tokyo)",
    "aws-ap-northeast-2": "Asia Pacific (Seoul)",
    "aws-ap-south-1": "Asia Pacific (Mumbai)",
    "aws-ap-south-2": "Asia Pacific (Hyderabad)",
    "aws-ap-southeast-1": "Asia Pacific (Singapore)",
    "aws-ap-southeast-2": "Asia Pacific (Sydney)",
    "aws-ca-central-1": "Canada (Central)",
    "aws-eu-central-1": "Europe (Frankfurt)",
    "aws-eu-west-1": "Europe (Ireland)",
    "aws-eu-west-2": "Europe (London)",
    "aws-sa-east-1": "South America (São Paulo)",
    "aws-us-east-1": "US East (N. Virginia)",
    "aws-us-east-2": "US East (Ohio)",
    "aws-us-west-2": "US West (Oregon)",
    "gcp-asia-south1": "Mumbai, India",
    "gcp-europe-west3": "Frankfurt, Germany",
    "gcp-us-central1": "Iowa, US",
    "gcp-us-east4": "Northern Virginia, US",
    "gcp-us-west1": "Oregon, US",
}


SERVED: Final[dict[str, Handler]] = {}
"""Handlers of the methods that are built, by name."""


def _serves(
    kind: type[R],
) -> Callable[[Callable[[CloudOps, R], Awaitable[Message]]], Callable[[CloudOps, R], Awaitable[Message]]]:
    """Let a method of CloudOps answer the RPC whose request is `kind`."""

    def register(
        answer: Callable[[CloudOps, R], Awaitable[Message]],
    ) -> Callable[[CloudOps, R], Awaitable[Message]]:
        async def handle(service: CloudOps, raw: bytes) -> Message:
            return await answer(service, parse(kind, raw))

        name = kind.DESCRIPTOR.name.removesuffix("Request")
        assert name in CLOUD_SERVICE.methods_by_name, f"{name} is a method"
        SERVED[name] = handle
        return answer

    return register


class CloudOps:
    """The handlers of the service, over the parts of one control plane."""

    def __init__(
        self,
        *,
        regions: Sequence[str],
        directory: Directory,
        operations: Operations,
        failovers: Failovers,
        audit: AuditLog,
        settings: ControlSettings,
    ) -> None:
        self._regions: Final = tuple(regions)
        self._directory: Final = directory
        self._operations: Final = operations
        self._failovers: Final = failovers
        self._audit: Final = audit
        self._settings: Final = settings

    async def dispatch(self, call: Call) -> bytes:
        """Answer one call of the service. Raises ServiceError."""
        handler = SERVED.get(call.method)
        if handler is None:
            raise Unimplemented(f"method {call.method} not implemented")
        return (await handler(self, call.request)).SerializeToString()

    @_serves(GetNamespacesRequest)
    async def _get_namespaces(self, request: GetNamespacesRequest) -> Message:
        """Pages by name; the page token is the last name of the page before."""
        size = request.page_size or _DEFAULT_PAGE
        if not 0 < size <= _LARGEST_PAGE:
            raise InvalidArgument(f"page size must be between 1 and {_LARGEST_PAGE}")
        wanted = [known for known in self._directory.all() if request.name in {"", known.name}]
        if request.page_token and not any(known.name == request.page_token for known in wanted):
            raise InvalidArgument("invalid page token")
        rest = [known for known in wanted if known.name > request.page_token]
        page = rest[:size]
        return GetNamespacesResponse(
            namespaces=[self._namespace(known) for known in page],
            next_page_token=page[-1].name if len(rest) > size else "",
        )

    @_serves(GetNamespaceRequest)
    async def _get_namespace(self, request: GetNamespaceRequest) -> Message:
        _require("namespace", request.namespace)
        return GetNamespaceResponse(namespace=self._namespace(self._directory.by_name(request.namespace)))

    @_serves(FailoverNamespaceRegionRequest)
    async def _failover(self, request: FailoverNamespaceRegionRequest) -> Message:
        _require("namespace", request.namespace)
        _require("region", request.region)
        operation = await self._failovers.request(
            request.namespace,
            request.region,
            who="Cloud Ops API",
            operation_id=request.async_operation_id,
        )
        return FailoverNamespaceRegionResponse(async_operation=operation.message(self._settings.check_after))

    @_serves(GetAsyncOperationRequest)
    async def _get_async_operation(self, request: GetAsyncOperationRequest) -> Message:
        _require("async_operation_id", request.async_operation_id)
        operation = await self._operations.get(request.async_operation_id)
        return GetAsyncOperationResponse(async_operation=operation.message(self._settings.check_after))

    @_serves(GetAuditLogsRequest)
    async def _get_audit_logs(self, request: GetAuditLogsRequest) -> Message:
        return await self._audit.page(request)

    @_serves(GetRegionsRequest)
    async def _get_regions(self, _request: GetRegionsRequest) -> Message:
        return GetRegionsResponse(regions=[region_message(region) for region in self._regions])

    @_serves(GetRegionRequest)
    async def _get_region(self, request: GetRegionRequest) -> Message:
        _require("region", request.region)
        if request.region not in self._regions:
            raise NotFound(f"region {request.region!r} not found")
        return GetRegionResponse(region=region_message(request.region))

    def _namespace(self, known: KnownNamespace) -> Namespace:
        running = self._operations.running_failover(known.id)
        return namespace_message(known, running.id if running else "")


def namespace_message(known: KnownNamespace, operation_id: str) -> Namespace:
    """A namespace as the Cloud shows it; its id is its name, since there are no accounts here."""
    record, active = known.record, known.active_region
    states = NamespaceRegionStatus.State
    message = Namespace(
        namespace=known.name,
        resource_version=known.resource_version,
        spec=NamespaceSpec(
            name=known.name,
            regions=record.clusters,
            retention_days=-(-record.retention // times.DAY),
            high_availability=HighAvailabilitySpec(disable_managed_failover=True),
            replicas=[ReplicaSpec(region=region) for region in record.clusters],
        ),
        state=ResourceState.RESOURCE_STATE_ACTIVE,
        state_deprecated="active",
        async_operation_id=operation_id,
        endpoints=Endpoints(grpc_address=known.endpoint),
        active_region=active,
        created_time=times.timestamp(record.created_time),
        region_status={
            region: NamespaceRegionStatus(
                state=states.STATE_ACTIVE if region == active else states.STATE_PASSIVE,
                state_deprecated="active" if region == active else "passive",
            )
            for region in record.clusters
        },
        replicas=[
            Replica(
                id=f"{known.name}.{region}",
                is_primary=region == active,
                state=Replica.REPLICA_STATE_ACTIVE,
                region=region,
            )
            for region in record.clusters
        ],
    )
    if known.modified:
        message.last_modified_time.CopyFrom(times.timestamp(known.modified))
    return message


def region_message(region: str) -> Region:
    """A region as the Cloud shows it: `aws-us-east-1` is AWS's `us-east-1`; a cell of it is written `…#2`."""
    name = re.sub(r"#\d+$", "", region)
    prefix, _, rest = name.partition("-")
    provider = _PROVIDERS.get(prefix, Region.CLOUD_PROVIDER_UNSPECIFIED)
    known = provider != Region.CLOUD_PROVIDER_UNSPECIFIED
    return Region(
        id=region,
        cloud_provider=provider,
        cloud_provider_deprecated=prefix if known else "",
        cloud_provider_region=rest if known else name,
        location=_LOCATIONS.get(name, name),
    )


def _require(field: str, value: str) -> None:
    if not value:
        raise InvalidArgument(f"{field} is required")
