"""OperatorService: search attributes and the end of namespaces, the clusters. Its other methods are not here, by name.

Any region answers: a namespace's configuration may be changed in all of them.

Real: service/frontend/operator_handler.go.
"""

from __future__ import annotations

from typing import Final

from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    AddSearchAttributesResponse,
    ClusterMetadata,
    DeleteNamespaceRequest,
    DeleteNamespaceResponse,
    ListClustersRequest,
    ListClustersResponse,
    ListSearchAttributesRequest,
    ListSearchAttributesResponse,
    RemoveSearchAttributesRequest,
    RemoveSearchAttributesResponse,
)

from mockcloud.core import namespace_rules, search_attribute_registry, search_attributes
from mockcloud.core.errors import FailedPrecondition, InvalidArgument, NamespaceNotFound
from mockcloud.engine.namespaces import Namespace
from mockcloud.frontend.methods import OPERATOR_SERVICE
from mockcloud.frontend.scope import Family, Scope

family: Final = Family(OPERATOR_SERVICE)


@family.serves(AddSearchAttributesRequest)
async def add_search_attributes(
    scope: Scope, request: AddSearchAttributesRequest
) -> AddSearchAttributesResponse:
    """Register custom search attributes with a namespace."""
    wanted = {name: int(value_type) for name, value_type in request.search_attributes.items()}
    if request.namespace:
        _namespace(scope, request.namespace)
    search_attribute_registry.check_added(wanted)
    namespace = _namespace(scope, request.namespace)
    await scope.region.namespaces.change(
        namespace, lambda record: search_attribute_registry.add(record, wanted)
    )
    return AddSearchAttributesResponse()


@family.serves(RemoveSearchAttributesRequest)
async def remove_search_attributes(
    scope: Scope, request: RemoveSearchAttributesRequest
) -> RemoveSearchAttributesResponse:
    """Take custom search attributes from a namespace."""
    if not request.search_attributes:
        raise InvalidArgument("SearchAttributes are not set on request.")
    names = list(request.search_attributes)
    await scope.region.namespaces.change(
        _namespace(scope, request.namespace), lambda record: search_attribute_registry.remove(record, names)
    )
    return RemoveSearchAttributesResponse()


@family.serves(ListSearchAttributesRequest)
async def list_search_attributes(
    scope: Scope, request: ListSearchAttributesRequest
) -> ListSearchAttributesResponse:
    """The custom search attributes of a namespace, and those that all have."""
    record = _namespace(scope, request.namespace).record
    return ListSearchAttributesResponse(
        custom_attributes=search_attributes.custom(record),
        system_attributes={**search_attributes.SYSTEM, **search_attributes.PREDEFINED},
    )


@family.serves(ListClustersRequest)
async def list_clusters(scope: Scope, _request: ListClustersRequest) -> ListClustersResponse:
    """The regions, as clusters that replicate to each other. Their addresses are known to the cloud alone."""
    versions = scope.region.clusters.initial_versions
    return ListClustersResponse(
        clusters=[
            ClusterMetadata(
                cluster_name=name,
                cluster_id=f"00000000-0000-0000-0000-{version:012d}",
                initial_failover_version=version,
                history_shard_count=1,
                is_connection_enabled=True,
                is_replication_enabled=len(versions) > 1,
            )
            for name, version in versions.items()
        ]
    )


@family.serves(DeleteNamespaceRequest)
async def delete_namespace(scope: Scope, request: DeleteNamespaceRequest) -> DeleteNamespaceResponse:
    """Delete a namespace and all of its runs, here and, as its record replicates, in the other regions.

    Real: service/worker/deletenamespace/workflow.go.
    """
    if request.namespace and request.namespace_id:
        raise InvalidArgument("Only one of namespace name or Id should be set on request.")
    if not request.namespace and not request.namespace_id:
        raise InvalidArgument("Namespace not set on request.")
    registry = scope.region.namespaces
    namespace = (
        registry.by_id(request.namespace_id) if request.namespace_id else registry.by_name(request.namespace)
    )
    if namespace.record.deleted_time:
        raise NamespaceNotFound(request.namespace or request.namespace_id)
    region = scope.region.name
    if not namespace.active:
        raise FailedPrecondition(
            f"namespace {namespace.name} is passive in current cluster {region}: remove cluster {region} from "
            "cluster list or make namespace active in this cluster and retry"
        )
    now = scope.region.ports.clock.now()
    update = await registry.change(namespace, lambda record: namespace_rules.delete(record, now))
    return DeleteNamespaceResponse(deleted_namespace=update.record.name)


def _namespace(scope: Scope, name: str) -> Namespace:
    """Raises InvalidArgument without a name, NamespaceNotFound for one of nowhere."""
    if not name:
        raise InvalidArgument("Namespace is not set on request.")
    namespace = scope.region.namespaces.by_name(name)
    if namespace.record.deleted_time:
        raise NamespaceNotFound(name)
    return namespace
