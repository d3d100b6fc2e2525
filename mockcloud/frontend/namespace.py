"""Namespaces: register, describe, list, update, deprecate. The rules are `core.namespace_rules`.

Always answered by the region that is asked, so that a failover can be issued at either side of a cut link.
Real: service/frontend/namespace_handler.go.
"""

from __future__ import annotations

from typing import Final

from temporalio.api.enums.v1 import ArchivalState, NamespaceState, ReplicationState
from temporalio.api.namespace.v1 import BadBinaries, NamespaceConfig, NamespaceInfo
from temporalio.api.replication.v1 import ClusterReplicationConfig, FailoverStatus, NamespaceReplicationConfig
from temporalio.api.workflowservice.v1 import (
    DeprecateNamespaceRequest,
    DeprecateNamespaceResponse,
    DescribeNamespaceRequest,
    DescribeNamespaceResponse,
    ListNamespacesRequest,
    ListNamespacesResponse,
    RegisterNamespaceRequest,
    RegisterNamespaceResponse,
    UpdateNamespaceRequest,
    UpdateNamespaceResponse,
)

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import capabilities, namespace_rules, search_attributes, times
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.limits import Limits
from mockcloud.frontend.scope import Family, Scope

family: Final = Family()

_DEFAULT_PAGE: Final = 100


@family.serves(RegisterNamespaceRequest)
async def register_namespace(scope: Scope, request: RegisterNamespaceRequest) -> RegisterNamespaceResponse:
    """Make a namespace, active here unless the request names another region."""
    if not request.namespace:
        raise InvalidArgument("Namespace not set on request.")
    await scope.region.namespaces.register(request)
    return RegisterNamespaceResponse()


@family.serves(DescribeNamespaceRequest)
async def describe_namespace(scope: Scope, request: DescribeNamespaceRequest) -> DescribeNamespaceResponse:
    """A namespace by name or id, as this region knows it."""
    registry = scope.region.namespaces
    if request.id and request.namespace:
        raise InvalidArgument("GetNamespace operation failed.  Both ID and Name specified in request.")
    if not request.id and not request.namespace:
        raise InvalidArgument("Namespace not set on request.")
    namespace = registry.by_id(request.id) if request.id else registry.by_name(request.namespace)
    return described(namespace.record, scope.limits)


@family.serves(ListNamespacesRequest)
async def list_namespaces(scope: Scope, request: ListNamespacesRequest) -> ListNamespacesResponse:
    """All namespaces by name, in pages; the page token is the last name of the page before."""
    try:
        after = request.next_page_token.decode()
    except UnicodeDecodeError:
        raise InvalidArgument("Invalid NextPageToken.") from None
    size = request.page_size if request.page_size > 0 else _DEFAULT_PAGE
    too = request.namespace_filter.include_deleted
    records = [namespace.record for namespace in scope.region.namespaces.all() if namespace.name > after]
    rest = [record for record in records if too or not record.deleted_time]
    page = rest[:size]
    return ListNamespacesResponse(
        namespaces=[described(record, scope.limits) for record in page],
        next_page_token=page[-1].name.encode() if len(rest) > size else b"",
    )


@family.serves(UpdateNamespaceRequest)
async def update_namespace(scope: Scope, request: UpdateNamespaceRequest) -> UpdateNamespaceResponse:
    """Change the configuration, or HANDOVER, or fail over."""
    update = await scope.region.namespaces.update(scope.namespace, request)
    response = described(update.record, scope.limits)
    return UpdateNamespaceResponse(
        namespace_info=response.namespace_info,
        config=response.config,
        replication_config=response.replication_config,
        failover_version=response.failover_version,
        is_global_namespace=response.is_global_namespace,
    )


@family.serves(DeprecateNamespaceRequest)
async def deprecate_namespace(
    scope: Scope, _request: DeprecateNamespaceRequest
) -> DeprecateNamespaceResponse:
    """Take no new workflows in a namespace."""
    await scope.region.namespaces.change(scope.namespace, namespace_rules.deprecate)
    return DeprecateNamespaceResponse()


def described(record: NamespaceRecord, limits: Limits) -> DescribeNamespaceResponse:
    """A record as clients see it. Real: namespaceHandler.createResponse."""
    state = NamespaceState.NAMESPACE_STATE_REGISTERED
    if record.deleted_time:
        state = NamespaceState.NAMESPACE_STATE_DELETED
    elif record.deprecated:
        state = NamespaceState.NAMESPACE_STATE_DEPRECATED
    disabled = ArchivalState.ARCHIVAL_STATE_DISABLED
    handover = ReplicationState.REPLICATION_STATE_HANDOVER
    normal = ReplicationState.REPLICATION_STATE_NORMAL
    return DescribeNamespaceResponse(
        namespace_info=NamespaceInfo(
            name=record.name,
            state=state,
            description=record.description,
            owner_email=record.owner_email,
            data=record.data,
            id=record.id,
            capabilities=capabilities.namespace(limits),
            limits=capabilities.namespace_limits(limits),
            supports_schedules=capabilities.SUPPORTS_SCHEDULES,
        ),
        config=NamespaceConfig(
            workflow_execution_retention_ttl=times.duration(record.retention),
            bad_binaries=BadBinaries(),
            history_archival_state=disabled,
            visibility_archival_state=disabled,
            custom_search_attribute_aliases=search_attributes.aliases(record),
        ),
        replication_config=NamespaceReplicationConfig(
            active_cluster_name=record.active_cluster,
            clusters=[ClusterReplicationConfig(cluster_name=name) for name in record.clusters],
            state=handover if record.handover else normal,
        ),
        failover_version=record.failover_version,
        is_global_namespace=bool(getattr(record, "global")),
        failover_history=[
            FailoverStatus(failover_time=times.timestamp(entry.time), failover_version=entry.version)
            for entry in record.failover_history
        ],
    )
