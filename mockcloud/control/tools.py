"""What the tools of this cloud ask of the control plane: MockCloud and the command line, by the admin service.

They ask as anybody does, for the same operations, but for names that the Cloud would not take and without resource
versions: the present state is meant. They wait until what they asked for has ended.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.message import Message
from temporalio.api.cloud.auditlog.v1 import Principal
from temporalio.api.cloud.cloudservice.v1 import (
    AddNamespaceRegionRequest,
    CreateNamespaceRequest,
    DeleteNamespaceRegionRequest,
    DeleteNamespaceRequest,
)
from temporalio.api.cloud.namespace.v1 import NamespaceSpec

from mockcloud.api.admin.v1 import cloud_admin_pb2 as admin
from mockcloud.control import audit
from mockcloud.control.audit import AuditLog
from mockcloud.control.cloud_ops import CLOUD_SERVICE
from mockcloud.control.context import Caller, Context
from mockcloud.control.namespace_creation import Creations
from mockcloud.control.namespace_deletion import Deletions
from mockcloud.control.namespace_replicas import Replicas
from mockcloud.control.namespace_replicas import Step as ReplicaStep
from mockcloud.control.operations import Kind, Operation, State
from mockcloud.core import times
from mockcloud.core.errors import FailedPrecondition, ServiceError

_WHO: Final = "mockcloud"
_MOST: Final = 100  # operations in a list that does not say how many


class Tools:
    """Over the parts of one control plane."""

    def __init__(
        self,
        context: Context,
        audit_log: AuditLog,
        creations: Creations,
        replicas: Replicas,
        deletions: Deletions,
    ) -> None:
        self._context: Final = context
        self._audit: Final = audit_log
        self._creations: Final = creations
        self._replicas: Final = replicas
        self._deletions: Final = deletions

    async def create_namespace(self, request: admin.CreateNamespaceRequest) -> admin.CreateNamespaceResponse:
        """Make a namespace; returns when it has its endpoint and all its regions that can be reached know it.

        Raises:
            ServiceError: as `Creations.request`; FailedPrecondition where it could not be made after all.
        """
        context = self._context
        spec = NamespaceSpec(
            name=request.name,
            regions=request.regions or list(context.regions),
            retention_days=request.retention_days or -(-context.settings.retention // times.DAY),
        )
        creation = CreateNamespaceRequest(spec=spec, async_operation_id=request.operation_id)
        async with self._audit.attempt(*_audited(creation, request.who)):
            operation = await self._creations.request(creation, _caller(request.who), as_regions_do=True)
        operation = await context.operations.end_of(operation.id)
        if operation.state is not State.FULFILLED:
            raise FailedPrecondition(operation.reason)
        known = context.known(operation)
        return admin.CreateNamespaceResponse(endpoint=known.endpoint, namespace_id=known.id)

    async def delete_namespace(self, request: admin.DeleteNamespaceRequest) -> admin.OperationView:
        """Delete a namespace. Raises as `Deletions.request`."""
        deletion = DeleteNamespaceRequest(
            namespace=request.namespace, resource_version=self._version(request.namespace)
        )
        async with self._audit.attempt(*_audited(deletion, request.who)):
            operation = await self._deletions.request(deletion, _caller(request.who))
        return await self._end(operation)

    async def add_region(self, request: admin.ChangeRegionRequest) -> admin.OperationView:
        """Add a region to a namespace. Raises as `Replicas.add`."""
        adding = AddNamespaceRegionRequest(
            namespace=request.namespace,
            region=request.region,
            resource_version=self._version(request.namespace),
        )
        async with self._audit.attempt(*_audited(adding, request.who)):
            operation = await self._replicas.add(adding, _caller(request.who))
        return await self.view(operation) if request.no_wait else await self._end(operation)

    async def delete_region(self, request: admin.ChangeRegionRequest) -> admin.OperationView:
        """Delete a region from a namespace. Raises as `Replicas.delete`."""
        deleting = DeleteNamespaceRegionRequest(
            namespace=request.namespace,
            region=request.region,
            resource_version=self._version(request.namespace),
        )
        async with self._audit.attempt(*_audited(deleting, request.who)):
            operation = await self._replicas.delete(deleting, _caller(request.who))
        return await self.view(operation) if request.no_wait else await self._end(operation)

    async def operations(self, request: admin.ListOperationsRequest) -> admin.ListOperationsResponse:
        """The latest operations of a namespace, or of all, the last one first.

        Raises NamespaceNotFound where there has never been one of that name: a deleted one is known by its operations.
        """
        context, name = self._context, request.namespace
        found = await context.operations.latest(context.directory.plain_name(name), request.limit or _MOST)
        if name and not found:
            context.directory.by_name(name)
        return admin.ListOperationsResponse(operations=[await self.view(each) for each in found])

    async def view(self, operation: Operation) -> admin.OperationView:
        """An operation as the admin service shows it; of one that fills a region, how far that is."""
        view = operation_view(operation)
        if operation.step == ReplicaStep.FILLING:
            source = self._context.regions[operation.source]
            try:
                status = await source.status(operation.namespace, self._context.settings.call_timeout)
            except ServiceError:
                return view  # a region that is down does not tell
            if status.HasField("fill") and operation.region in status.fill.peers:
                view.fill.CopyFrom(status.fill)
        return view

    async def _end(self, operation: Operation) -> admin.OperationView:
        return await self.view(await self._context.operations.end_of(operation.id))

    def _version(self, namespace: str) -> str:
        return self._context.directory.by_name(namespace).resource_version


def operation_view(operation: Operation) -> admin.OperationView:
    """An operation as CloudAdmin shows it."""
    return admin.OperationView(
        id=operation.id,
        kind=operation.kind,
        namespace=operation.namespace,
        region=operation.region,
        source=operation.source,
        state=operation.state,
        step=operation.step,
        mode=operation.mode,
        reason=operation.reason,
        who=operation.who,
        started_time=operation.started,
        finished_time=operation.finished,
        version=operation.version,
        trigger=operation.trigger if operation.kind is Kind.FAILOVER else "",
        cause=operation.cause,
        failback_region=operation.failback,
        after_id=operation.after_id,
    )


def _caller(who: str) -> Caller:
    return Caller(who or _WHO)


def _audited(request: Message, who: str) -> tuple[str, Principal, Message]:
    rpc = CLOUD_SERVICE.methods_by_name[request.DESCRIPTOR.name.removesuffix("Request")]
    return audit.operation_name(rpc), audit.tool(who), request
