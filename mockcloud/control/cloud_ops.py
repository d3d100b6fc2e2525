"""The Cloud Ops API: `temporal.api.cloud.cloudservice.v1.CloudService`, as far as namespaces need it.

What is not here answers UNIMPLEMENTED with its name. It translates between messages and the control plane's values, and
decides nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, TypeVar

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from temporalio.api.cloud.cloudservice.v1 import (
    AddNamespaceRegionRequest,
    AddNamespaceRegionResponse,
    CreateNamespaceRequest,
    CreateNamespaceResponse,
    DeleteNamespaceRegionRequest,
    DeleteNamespaceRegionResponse,
    DeleteNamespaceRequest,
    DeleteNamespaceResponse,
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
    RenameCustomSearchAttributeRequest,
    RenameCustomSearchAttributeResponse,
    UpdateNamespaceRequest,
    UpdateNamespaceResponse,
    UpdateNamespaceTagsRequest,
    UpdateNamespaceTagsResponse,
)
from temporalio.api.cloud.cloudservice.v1 import service_pb2 as cloud_service
from temporalio.api.cloud.namespace.v1 import Namespace
from temporalio.api.cloud.operation.v1 import AsyncOperation

from mockcloud.control import api_versions
from mockcloud.control.audit import AuditLog
from mockcloud.control.context import Caller, Context
from mockcloud.control.failover import Failovers
from mockcloud.control.namespace_changes import Changes
from mockcloud.control.namespace_creation import Creations
from mockcloud.control.namespace_deletion import Deletions
from mockcloud.control.namespace_replicas import Replicas
from mockcloud.control.namespaces import KnownNamespace
from mockcloud.control.operations import Operation
from mockcloud.control.shown import namespace_message, region_message
from mockcloud.core.errors import InvalidArgument, NotFound, Unimplemented
from mockcloud.rpc.methods import Call, parse

R = TypeVar("R", bound=Message)
Answer: TypeAlias = "Callable[[CloudOps, R, Caller], Awaitable[Message]]"
Handler: TypeAlias = "Callable[[CloudOps, bytes, Caller], Awaitable[Message]]"

CLOUD_SERVICE: Final[ServiceDescriptor] = cloud_service.DESCRIPTOR.services_by_name["CloudService"]

_WHO: Final = "Cloud Ops API"
_DEFAULT_PAGE: Final = 100
_LARGEST_PAGE: Final = 1000

SERVED: Final[dict[str, Handler]] = {}
"""Handlers of the methods that are built, by name."""


def _serves(kind: type[R]) -> Callable[[Answer[R]], Answer[R]]:
    """Let a method of CloudOps answer the RPC whose request is `kind`."""

    def register(answer: Answer[R]) -> Answer[R]:
        async def handle(service: CloudOps, raw: bytes, caller: Caller) -> Message:
            return await answer(service, parse(kind, raw), caller)

        name = kind.DESCRIPTOR.name.removesuffix("Request")
        assert name in CLOUD_SERVICE.methods_by_name, f"{name} is a method"
        SERVED[name] = handle
        return answer

    return register


class CloudOps:
    """The handlers of the service, over the parts of one control plane."""

    def __init__(
        self,
        context: Context,
        *,
        creations: Creations,
        changes: Changes,
        replicas: Replicas,
        deletions: Deletions,
        failovers: Failovers,
        audit: AuditLog,
    ) -> None:
        self._context: Final = context
        self._creations: Final = creations
        self._changes: Final = changes
        self._replicas: Final = replicas
        self._deletions: Final = deletions
        self._failovers: Final = failovers
        self._audit: Final = audit

    async def dispatch(self, call: Call) -> bytes:
        """Answer one call of the service, in the version of the API that its caller speaks. Raises ServiceError."""
        handler = SERVED.get(call.method)
        if handler is None:
            raise Unimplemented(f"method {call.method} not implemented")
        caller = Caller(_WHO, api_versions.version_of(call.metadata))
        response = await handler(self, call.request, caller)
        api_versions.show(response, caller.version)
        return response.SerializeToString()

    @_serves(GetNamespacesRequest)
    async def _get_namespaces(self, request: GetNamespacesRequest, _caller: Caller) -> Message:
        """Pages by name; the page token is the last name of the page before."""
        size = request.page_size or _DEFAULT_PAGE
        if not 0 < size <= _LARGEST_PAGE:
            raise InvalidArgument(f"page size must be between 1 and {_LARGEST_PAGE}")
        directory = self._context.directory
        name = directory.plain_name(request.name)
        wanted = [known for known in directory.all() if name in {"", known.name}]
        if request.page_token and not any(known.name == request.page_token for known in wanted):
            raise InvalidArgument("invalid page token")
        rest = [known for known in wanted if known.name > request.page_token]
        page = rest[:size]
        return GetNamespacesResponse(
            namespaces=[self._namespace(known) for known in page],
            next_page_token=page[-1].name if len(rest) > size else "",
        )

    @_serves(GetNamespaceRequest)
    async def _get_namespace(self, request: GetNamespaceRequest, _caller: Caller) -> Message:
        _require("namespace", request.namespace)
        known = self._context.directory.by_name(request.namespace)
        return GetNamespaceResponse(namespace=self._namespace(known))

    @_serves(CreateNamespaceRequest)
    async def _create_namespace(self, request: CreateNamespaceRequest, caller: Caller) -> Message:
        operation = await self._creations.request(request, caller)
        return CreateNamespaceResponse(
            namespace=self._context.directory.full_name(operation.namespace),
            async_operation=self._operation(operation),
        )

    @_serves(UpdateNamespaceRequest)
    async def _update_namespace(self, request: UpdateNamespaceRequest, caller: Caller) -> Message:
        _require("namespace", request.namespace)
        operation = await self._changes.update(request, caller)
        return UpdateNamespaceResponse(async_operation=self._operation(operation))

    @_serves(RenameCustomSearchAttributeRequest)
    async def _rename(self, request: RenameCustomSearchAttributeRequest, caller: Caller) -> Message:
        _require("namespace", request.namespace)
        operation = await self._changes.rename(request, caller)
        return RenameCustomSearchAttributeResponse(async_operation=self._operation(operation))

    @_serves(UpdateNamespaceTagsRequest)
    async def _update_tags(self, request: UpdateNamespaceTagsRequest, caller: Caller) -> Message:
        _require("namespace", request.namespace)
        operation = await self._changes.update_tags(request, caller)
        return UpdateNamespaceTagsResponse(async_operation=self._operation(operation))

    @_serves(DeleteNamespaceRequest)
    async def _delete_namespace(self, request: DeleteNamespaceRequest, caller: Caller) -> Message:
        _require("namespace", request.namespace)
        operation = await self._deletions.request(request, caller)
        return DeleteNamespaceResponse(async_operation=self._operation(operation))

    @_serves(AddNamespaceRegionRequest)
    async def _add_region(self, request: AddNamespaceRegionRequest, caller: Caller) -> Message:
        _require("namespace", request.namespace)
        _require("region", request.region)
        operation = await self._replicas.add(request, caller)
        return AddNamespaceRegionResponse(async_operation=self._operation(operation))

    @_serves(DeleteNamespaceRegionRequest)
    async def _delete_region(self, request: DeleteNamespaceRegionRequest, caller: Caller) -> Message:
        _require("namespace", request.namespace)
        _require("region", request.region)
        operation = await self._replicas.delete(request, caller)
        return DeleteNamespaceRegionResponse(async_operation=self._operation(operation))

    @_serves(FailoverNamespaceRegionRequest)
    async def _failover(self, request: FailoverNamespaceRegionRequest, caller: Caller) -> Message:
        _require("namespace", request.namespace)
        _require("region", request.region)
        operation = await self._failovers.request(request, caller.who)
        return FailoverNamespaceRegionResponse(async_operation=self._operation(operation))

    @_serves(GetAsyncOperationRequest)
    async def _get_async_operation(self, request: GetAsyncOperationRequest, _caller: Caller) -> Message:
        _require("async_operation_id", request.async_operation_id)
        operation = await self._context.operations.get(request.async_operation_id)
        return GetAsyncOperationResponse(async_operation=self._operation(operation))

    @_serves(GetAuditLogsRequest)
    async def _get_audit_logs(self, request: GetAuditLogsRequest, _caller: Caller) -> Message:
        return await self._audit.page(request)

    @_serves(GetRegionsRequest)
    async def _get_regions(self, _request: GetRegionsRequest, _caller: Caller) -> Message:
        return GetRegionsResponse(regions=[region_message(region) for region in self._context.regions])

    @_serves(GetRegionRequest)
    async def _get_region(self, request: GetRegionRequest, _caller: Caller) -> Message:
        _require("region", request.region)
        if request.region not in self._context.regions:
            raise NotFound(f"region {request.region!r} not found")
        return GetRegionResponse(region=region_message(request.region))

    def _namespace(self, known: KnownNamespace) -> Namespace:
        operations = self._context.operations
        return namespace_message(
            known,
            self._context.directory.full_name(known.name),
            operations.running(known.id),
            operations.failed_regions(known.id),
        )

    def _operation(self, operation: Operation) -> AsyncOperation:
        return operation.message(self._context.settings.check_after)


def _require(field: str, value: str) -> None:
    if not value:
        raise InvalidArgument(f"{field} is required")
