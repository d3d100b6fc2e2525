"""Namespaces and regions as the Cloud Ops API shows them: from what is known to its messages, old fields and new."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from temporalio.api.cloud.namespace.v1 import (
    Capacity,
    CapacitySpec,
    Endpoints,
    Namespace,
    NamespaceRegionStatus,
    Replica,
)
from temporalio.api.cloud.region.v1 import Region
from temporalio.api.cloud.resource.v1 import ResourceState

from mockcloud.control import specs
from mockcloud.control.namespaces import KnownNamespace
from mockcloud.control.operations import Kind, Operation
from mockcloud.core import times

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
_STATES: Final = NamespaceRegionStatus.State
# What a namespace is while something is done to it; by anything else it is being updated.
_WHILE: Final[Mapping[Kind, ResourceState.ValueType]] = {
    Kind.CREATE: ResourceState.RESOURCE_STATE_ACTIVATING,
    Kind.DELETE: ResourceState.RESOURCE_STATE_DELETING,
}
_REPLICA_STATES: Final[Mapping[NamespaceRegionStatus.State.ValueType, Replica.ReplicaState.ValueType]] = {
    _STATES.STATE_ADDING: Replica.REPLICA_STATE_ADDING,
    _STATES.STATE_ACTIVE: Replica.REPLICA_STATE_ACTIVE,
    _STATES.STATE_PASSIVE: Replica.REPLICA_STATE_ACTIVE,
    _STATES.STATE_REMOVING: Replica.REPLICA_STATE_REMOVING,
    _STATES.STATE_FAILED: Replica.REPLICA_STATE_FAILED,
}


def namespace_message(
    known: KnownNamespace, full_name: str, running: Sequence[Operation], failed: Mapping[str, Operation]
) -> Namespace:
    """A namespace.

    Args:
        known: the namespace.
        full_name: its id, with its account.
        running: the operations at work on it.
        failed: the operations that failed to add or delete a region, by region.
    """
    record = known.record
    change = next((each for each in running if each.kind is not Kind.FAILOVER), None)
    at_work = change or next(iter(running), None)
    state = ResourceState.RESOURCE_STATE_ACTIVE
    if change is not None:
        state = _WHILE.get(change.kind, ResourceState.RESOURCE_STATE_UPDATING)
    statuses = region_statuses(known, change, failed)
    spec = specs.with_old_fields(specs.shown(known.spec, record))
    message = Namespace(
        namespace=full_name,
        resource_version=known.resource_version,
        spec=spec,
        state=state,
        state_deprecated=ResourceState.Name(state).removeprefix("RESOURCE_STATE_").lower(),
        async_operation_id=at_work.id if at_work is not None else "",
        endpoints=Endpoints(
            grpc_address=known.endpoint,
            mtls_grpc_address=known.endpoint if spec.mtls_auth.enabled else "",
        ),
        active_region=known.active_region,
        created_time=times.timestamp(record.created_time),
        region_status=statuses,
        replicas=[
            Replica(
                id=f"{full_name}.{region}",
                is_primary=region == known.active_region,
                state=_REPLICA_STATES[status.state],
                region=region,
            )
            for region, status in statuses.items()
        ],
        tags=known.tags,
    )
    if spec.HasField("capacity_spec"):
        message.capacity.CopyFrom(_capacity(spec.capacity_spec))
    if known.modified:
        message.last_modified_time.CopyFrom(times.timestamp(known.modified))
    return message


def _capacity(spec: CapacitySpec) -> Capacity:
    """What a namespace has of the capacity that is asked for: all of it, at once. Nothing is limited by it here."""
    if spec.HasField("provisioned"):
        return Capacity(provisioned=Capacity.Provisioned(current_value=spec.provisioned.value))
    return Capacity(on_demand=Capacity.OnDemand())


def region_statuses(
    known: KnownNamespace, change: Operation | None, failed: Mapping[str, Operation]
) -> dict[str, NamespaceRegionStatus]:
    """By region, the replicas of the record first.

    Args:
        known: the namespace.
        change: what is done to it now, other than failing it over.
        failed: the operations that failed to add or delete a region, by region.
    """
    found: dict[str, tuple[NamespaceRegionStatus.State.ValueType, str]] = {
        region: (_STATES.STATE_ACTIVE if region == known.active_region else _STATES.STATE_PASSIVE, "")
        for region in known.regions
    }
    for region, operation in failed.items():
        found[region] = (_STATES.STATE_FAILED, operation.id)
    if change is not None and change.adds_region:
        found[change.region] = (_STATES.STATE_ADDING, change.id)
    if change is not None and change.deletes_region:
        found[change.region] = (_STATES.STATE_REMOVING, change.id)
    return {
        region: NamespaceRegionStatus(
            state=state,
            state_deprecated=_STATES.Name(state).removeprefix("STATE_").lower(),
            async_operation_id=operation_id,
        )
        for region, (state, operation_id) in found.items()
    }


def region_message(region: str) -> Region:
    """A region: `aws-us-east-1` is AWS's `us-east-1`; a cell of it is written `…#2`."""
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
