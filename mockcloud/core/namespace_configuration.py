"""Changes of a namespace's configuration that the control plane asks for: several at once, as one change.

What is so already is no change, so that asking again is harmless. Real: the handlers behind the Cloud Ops API are not
public; what a region does with each part is `namespace_rules` and `search_attribute_registry`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import search_attribute_registry
from mockcloud.core.cluster import Clusters
from mockcloud.core.errors import FailedPrecondition, InvalidArgument
from mockcloud.core.limits import Limits
from mockcloud.core.namespace_rules import Update
from mockcloud.core.search_attributes import CLOUD_PER_TYPE


class Configuration(NamedTuple):
    """What shall be so. None and nothing: as it is."""

    retention: int | None = None  # nanoseconds
    search_attributes: Mapping[str, int] = MappingProxyType({})  # to be there, IndexedValueType by name
    renamed_search_attributes: Mapping[str, str] = MappingProxyType({})  # new names by present ones
    disable_passive_poller_forwarding: bool | None = None
    add_clusters: Sequence[str] = ()
    remove_clusters: Sequence[str] = ()


def configure(record: NamespaceRecord, wanted: Configuration, clusters: Clusters, limits: Limits) -> Update:
    """The record with that configuration.

    Raises:
        InvalidArgument: a value that no namespace can have.
        FailedPrecondition: the active region shall go.
    """
    after = NamespaceRecord()
    after.CopyFrom(record)
    if wanted.retention is not None:
        if wanted.retention < limits.minimum_retention:
            raise InvalidArgument("A valid retention period is not set on request.")
        after.retention = wanted.retention
    if wanted.search_attributes:
        search_attribute_registry.check_added(wanted.search_attributes)
        after = search_attribute_registry.add(after, wanted.search_attributes, CLOUD_PER_TYPE).record
    for name, new_name in wanted.renamed_search_attributes.items():
        after = search_attribute_registry.rename(after, name, new_name).record
    if wanted.disable_passive_poller_forwarding is not None:
        after.disable_passive_poller_forwarding = wanted.disable_passive_poller_forwarding
    for name in wanted.add_clusters:
        if name not in clusters.initial_versions:
            raise InvalidArgument(f"Invalid cluster name: {name}")
        if name not in after.clusters:
            after.clusters.append(name)
    for name in wanted.remove_clusters:
        if name == record.active_cluster:
            raise FailedPrecondition(f"namespace {record.name} is active in region {name}")
        if name in after.clusters:
            after.clusters.remove(name)
    after.config_version = record.config_version
    changed = after != record
    if changed:
        after.config_version += 1
    return Update(after, changed=changed, failed_over=False)
