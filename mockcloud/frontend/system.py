"""What the cloud is: GetSystemInfo, GetClusterInfo."""

from __future__ import annotations

from typing import Final

from temporalio.api.workflowservice.v1 import (
    GetClusterInfoRequest,
    GetClusterInfoResponse,
    GetSystemInfoRequest,
    GetSystemInfoResponse,
)

from mockcloud.core import capabilities
from mockcloud.frontend.scope import Family, Scope

family: Final = Family()

# The versions of clients that the real server names (real: headers.SupportedClients).
_SUPPORTED_CLIENTS: Final = {
    "Nexus-go-sdk": "<2.0.0",
    "temporal-cli": "<2.0.0",
    "temporal-go": "<2.0.0",
    "temporal-java": "<2.0.0",
    "temporal-php": "<2.0.0",
    "temporal-server": "<2.0.0",
    "temporal-typescript": "<2.0.0",
    "temporal-ui": "<3.0.0",
}


@family.serves(GetSystemInfoRequest)
async def get_system_info(_scope: Scope, _request: GetSystemInfoRequest) -> GetSystemInfoResponse:
    """The server's version and what it can do."""
    return GetSystemInfoResponse(server_version=capabilities.SERVER_VERSION, capabilities=capabilities.SYSTEM)


@family.serves(GetClusterInfoRequest)
async def get_cluster_info(scope: Scope, _request: GetClusterInfoRequest) -> GetClusterInfoResponse:
    """The region as a cluster of the real server describes itself [10a]."""
    clusters = scope.region.clusters
    initial = clusters.initial_versions[scope.region.name]
    return GetClusterInfoResponse(
        supported_clients=_SUPPORTED_CLIENTS,
        server_version=capabilities.SERVER_VERSION,
        cluster_id=f"00000000-0000-0000-0000-{initial:012d}",
        cluster_name=scope.region.name,
        history_shard_count=1,
        persistence_store="sqlite",
        visibility_store="sqlite",
        initial_failover_version=initial,
        failover_version_increment=clusters.increment,
    )
