"""The Cloud Ops API: `temporal.api.cloud.cloudservice.v1.CloudService`, as far as namespaces need it.

What is not here answers UNIMPLEMENTED with its name. It translates between messages and the control plane's values, and
decides nothing.
"""

from __future__ import annotations

from typing import Final

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
from temporalio.api.cloud.namespace.v1 import Namespace
from temporalio.api.cloud.operation.v1 import AsyncOperation

from mockcloud.control import api_versions, identity_ops
from mockcloud.control.access import Identity
from mockcloud.control.audit import AuditLog
from mockcloud.control.context import Caller, Context
from mockcloud.control.failover import Failovers
from mockcloud.control.identities import ANYBODY
from mockcloud.control.identity_ops import IdentityOps
from mockcloud.control.namespace_changes import Changes
from mockcloud.control.namespace_creation import Creations
from mockcloud.control.namespace_deletion import Deletions
from mockcloud.control.namespace_replicas import Replicas
from mockcloud.control.namespaces import KnownNamespace
from mockcloud.control.operations import Operation, operation_not_found
from mockcloud.control.pages import page_of
from mockcloud.control.served import CLOUD_SERVICE, Handler, serves
from mockcloud.control.shown import namespace_message, region_message
from mockcloud.core.errors import InvalidArgument, NotFound, Unimplemented
from mockcloud.rpc.methods import Call

_WHO: Final = "Cloud Ops API"

__all__ = ["CLOUD_SERVICE", "SERVED", "CloudOps"]

SERVED: Final[dict[str, Handler[CloudOps]]] = {}
"""Handlers of the methods that are built, by name."""


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
        identities: IdentityOps,
    ) -> None:
        self._context: Final = context
        self._creations: Final = creations
        self._changes: Final = changes
        self._replicas: Final = replicas
        self._deletions: Final = deletions
        self._failovers: Final = failovers
        self._audit: Final = audit
        self.identities: Final = identities

    async def dispatch(self, call: Call, identity: Identity = ANYBODY) -> bytes:
        """Answer one call of the service, in the version of the API that its caller speaks. Raises ServiceError."""
        handler = SERVED.get(call.method)
        if handler is None:
            raise Unimplemented(f"method {call.method} not implemented")
        who = identity.name if identity.api_key_id else _WHO
        caller = Caller(who, api_versions.version_of(call.metadata), identity)
        response = await handler(self, call.request, caller)
        api_versions.show(response, caller.version)
        return response.SerializeToString()

    @serves(SERVED, GetNamespacesRequest)
    async def _get_namespaces(self, request: GetNamespacesRequest, caller: Caller) -> Message:
        """Pages by name."""
        directory = self._context.directory
        name = directory.plain_name(request.name)
        wanted = [
            known
            for known in directory.all()
            if name in {"", known.name} and caller.identity.sees(directory.full_name(known.name))
        ]
        page, token = page_of(wanted, lambda known: known.name, request.page_size, request.page_token)
        return GetNamespacesResponse(
            namespaces=[self._namespace(known) for known in page], next_page_token=token
        )

    @serves(SERVED, GetNamespaceRequest)
    async def _get_namespace(self, request: GetNamespaceRequest, _caller: Caller) -> Message:
        _require("namespace", request.namespace)
        known = self._context.directory.by_name(request.namespace)
        return GetNamespaceResponse(namespace=self._namespace(known))

    @serves(SERVED, CreateNamespaceRequest)
    async def _create_namespace(self, request: CreateNamespaceRequest, caller: Caller) -> Message:
        if caller.identity.is_admin:
            operation = await self._creations.request(request, caller)
        else:  # who makes a namespace administers it
            namespace = self._context.directory.full_name(request.spec.name)
            async with self.identities.granting(caller.identity, namespace) as grant:
                operation = await self._creations.request(request, caller, also=grant)
        return CreateNamespaceResponse(
            namespace=self._context.directory.full_name(operation.namespace),
            async_operation=self._operation(operation),
        )

    @serves(SERVED, UpdateNamespaceRequest)
    async def _update_namespace(self, request: UpdateNamespaceRequest, caller: Caller) -> Message:
        _require("namespace", request.namespace)
        operation = await self._changes.update(request, caller)
        return UpdateNamespaceResponse(async_operation=self._operation(operation))

    @serves(SERVED, RenameCustomSearchAttributeRequest)
    async def _rename(self, request: RenameCustomSearchAttributeRequest, caller: Caller) -> Message:
        _require("namespace", request.namespace)
        operation = await self._changes.rename(request, caller)
        return RenameCustomSearchAttributeResponse(async_operation=self._operation(operation))

    @serves(SERVED, UpdateNamespaceTagsRequest)
    async def _update_tags(self, request: UpdateNamespaceTagsRequest, caller: Caller) -> Message:
        _require("namespace", request.namespace)
        operation = await self._changes.update_tags(request, caller)
        return UpdateNamespaceTagsResponse(async_operation=self._operation(operation))

    @serves(SERVED, DeleteNamespaceRequest)
    async def _delete_namespace(self, request: DeleteNamespaceRequest, caller: Caller) -> Message:
        _require("namespace", request.namespace)
        operation = await self._deletions.request(request, caller)
        return DeleteNamespaceResponse(async_operation=self._operation(operation))

    @serves(SERVED, AddNamespaceRegionRequest)
    async def _add_region(self, request: AddNamespaceRegionRequest, caller: Caller) -> Message:
        _require("namespace", request.namespace)
        _require("region", request.region)
        operation = await self._replicas.add(request, caller)
        return AddNamespaceRegionResponse(async_operation=self._operation(operation))

    @serves(SERVED, DeleteNamespaceRegionRequest)
    async def _delete_region(self, request: DeleteNamespaceRegionRequest, caller: Caller) -> Message:
        _require("namespace", request.namespace)
        _require("region", request.region)
        operation = await self._replicas.delete(request, caller)
        return DeleteNamespaceRegionResponse(async_operation=self._operation(operation))

    @serves(SERVED, FailoverNamespaceRegionRequest)
    async def _failover(self, request: FailoverNamespaceRegionRequest, caller: Caller) -> Message:
        _require("namespace", request.namespace)
        _require("region", request.region)
        operation = await self._failovers.request(request, caller.who)
        return FailoverNamespaceRegionResponse(async_operation=self._operation(operation))

    @serves(SERVED, GetAsyncOperationRequest)
    async def _get_async_operation(self, request: GetAsyncOperationRequest, caller: Caller) -> Message:
        _require("async_operation_id", request.async_operation_id)
        operation = await self._context.operations.get(request.async_operation_id)
        namespace = operation.namespace
        # Who deletes a namespace sees how that ends, though not the namespace any more.
        seen = operation.who == caller.who or not namespace
        if not seen and not caller.identity.sees(self._context.directory.full_name(namespace)):
            raise operation_not_found(operation.id)
        return GetAsyncOperationResponse(async_operation=self._operation(operation))

    @serves(SERVED, GetAuditLogsRequest)
    async def _get_audit_logs(self, request: GetAuditLogsRequest, _caller: Caller) -> Message:
        return await self._audit.page(request)

    @serves(SERVED, GetRegionsRequest)
    async def _get_regions(self, _request: GetRegionsRequest, _caller: Caller) -> Message:
        return GetRegionsResponse(regions=[region_message(region) for region in self._context.regions])

    @serves(SERVED, GetRegionRequest)
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


def _of_identities(method: str, handler: Handler[IdentityOps]) -> None:
    async def handle(service: CloudOps, raw: bytes, caller: Caller) -> Message:
        return await handler(service.identities, raw, caller)

    SERVED[method] = handle


for _method, _handler in identity_ops.SERVED.items():
    _of_identities(_method, _handler)
