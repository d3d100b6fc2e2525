"""Namespaces: registering, updating, failing over, and receiving a peer's record.

Pure functions on NamespaceRecord.

Two independent counters order changes between regions. A change of configuration raises
`config_version`; a change of the active region takes the next failover version of that region, and ends
HANDOVER. Entering and leaving HANDOVER raise `config_version` too, but the state itself is local to the
active region and never crosses the wire.

Every function returns a new record and leaves its arguments alone. Storing, and telling others, is the
engine's part.

Real: service/frontend/namespace_handler.go, common/namespace/nsmanager, common/namespace/nsreplication.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import NamespaceState, ReplicationState
from temporalio.api.replication.v1 import NamespaceReplicationConfig
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest, UpdateNamespaceRequest

from mockcloud.api.state.v1.state_pb2 import FailoverStatus, NamespaceRecord
from mockcloud.core import search_attributes, times
from mockcloud.core.cluster import Clusters
from mockcloud.core.errors import InvalidArgument, NamespaceAlreadyExists
from mockcloud.core.limits import Limits
from mockcloud.core.validation import duration_problem

FAILOVER_HISTORY_SIZE = 10  # real: maxReplicationHistorySize

_DELETED_ID_CHARACTERS = 5  # of its id, in the name of a deleted namespace

# Single fields of the configuration, the counter of it included.
_CONFIGURATION = (
    "description",
    "owner_email",
    "retention",
    "deprecated",
    "disable_passive_poller_forwarding",
    "config_version",
)

_HANDOVER = ReplicationState.REPLICATION_STATE_HANDOVER
_NORMAL = ReplicationState.REPLICATION_STATE_NORMAL
_REGISTERED = NamespaceState.NAMESPACE_STATE_REGISTERED
_DEPRECATED = NamespaceState.NAMESPACE_STATE_DEPRECATED


class Update(NamedTuple):
    """What an update makes of a namespace."""

    record: NamespaceRecord
    changed: bool  # whether there is anything to store
    failed_over: bool  # whether the failover version rose


def register(
    request: RegisterNamespaceRequest,
    *,
    region: str,
    clusters: Clusters,
    limits: Limits,
    now: int,
    namespace_id: str,
    existing: NamespaceRecord | None,
) -> NamespaceRecord:
    """The record of a new namespace.

    In all regions unless the request names some, active here unless it says where.

    `existing` is the namespace that has this name already. Raises InvalidArgument and
    NamespaceAlreadyExists.
    """
    _require_name(request.namespace, limits)
    retention = _retention(request.workflow_execution_retention_period, limits)
    if existing is not None:
        raise NamespaceAlreadyExists(f'Namespace "{request.namespace}" already exists')
    named = [cluster.cluster_name for cluster in request.clusters]
    record = NamespaceRecord(
        id=namespace_id,
        name=request.namespace,
        description=request.description,
        owner_email=request.owner_email,
        retention=retention,
        data=request.data,
        active_cluster=request.active_cluster_name or region,
        clusters=named or list(clusters.initial_versions),
        created_time=now,
    )
    setattr(record, "global", True)
    _require_clusters(record, clusters)
    record.failover_version = clusters.next_version(record.active_cluster, 0)
    return record


def update(
    record: NamespaceRecord,
    request: UpdateNamespaceRequest,
    *,
    clusters: Clusters,
    limits: Limits,
    now: int,
) -> Update:
    """The record after `request`: a change of configuration, of the HANDOVER state, or of the active region.

    Raises InvalidArgument, also when one request does both.
    """
    after = _copy(record)
    configured = _update_info(after, request)
    configured |= _update_config(after, request, limits)
    switched = False
    if request.HasField("replication_config"):
        config = request.replication_config
        if config.clusters:
            after.clusters[:] = [cluster.cluster_name for cluster in config.clusters]
            configured = True
        configured |= _update_state(after, record, config)
        if config.active_cluster_name:
            after.active_cluster = config.active_cluster_name
            after.handover = False
            switched = True
    _require_clusters(after, clusters)
    if configured and switched:
        raise InvalidArgument("Cannot set active cluster to current cluster when other parameters are set.")
    if switched:
        after.failover_version = clusters.next_version(after.active_cluster, record.failover_version)
    if configured:
        after.config_version += 1
    if (configured or switched) and request.HasField("replication_config"):
        _note_failover(after, now)
    return Update(
        after,
        changed=configured or switched,
        failed_over=after.failover_version > record.failover_version,
    )


def deprecate(record: NamespaceRecord) -> Update:
    """The record of a namespace that takes no new workflows."""
    if record.deprecated:
        raise InvalidArgument("Invalid namespace state update.")
    after = _copy(record)
    after.deprecated = True
    after.config_version += 1
    return Update(after, changed=True, failed_over=False)


def delete(record: NamespaceRecord, now: int) -> Update:
    """The record of a namespace that is deleted: its name is free for another one, and its runs go.

    The record stays, so that every region hears of it, and what still comes of it finds that it is gone.
    """
    after = _copy(record)
    after.name = f"{record.name}-deleted-{record.id[:_DELETED_ID_CHARACTERS]}"
    after.deleted_time = now
    after.config_version += 1
    return Update(after, changed=True, failed_over=False)


def receive(record: NamespaceRecord | None, incoming: NamespaceRecord) -> Update:
    """The record after a peer's record has come in; unknown before: None.

    A higher config version takes the configuration; a higher failover version takes active region,
    state and failover history, which clears HANDOVER; the peer's own HANDOVER is ignored. Anything else
    is no change.

    Raises NamespaceAlreadyExists: the name belongs to another namespace here.
    """
    if record is None:
        created = _copy(incoming)
        created.handover = False
        return Update(created, changed=True, failed_over=False)
    renamed = record.deleted_time or incoming.deleted_time
    if record.id != incoming.id or (record.name != incoming.name and not renamed):
        raise NamespaceAlreadyExists("namespace replication encountered name / UUID collision")
    after = _copy(record)
    if incoming.deleted_time and not record.deleted_time:  # for good, whatever else is said
        after.name, after.deleted_time = incoming.name, incoming.deleted_time
    if incoming.config_version > record.config_version:
        for field in _CONFIGURATION:
            setattr(after, field, getattr(incoming, field))
        after.data.clear()
        after.data.update(incoming.data)
        after.custom_search_attributes.clear()
        after.custom_search_attributes.update(incoming.custom_search_attributes)
        after.stored_search_attributes.clear()
        after.stored_search_attributes.update(incoming.stored_search_attributes)
        after.clusters[:] = incoming.clusters
    if incoming.failover_version > record.failover_version:
        after.active_cluster = incoming.active_cluster
        after.failover_version = incoming.failover_version
        after.handover = False
        del after.failover_history[:]
        after.failover_history.extend(incoming.failover_history)
    return Update(
        after, changed=after != record, failed_over=after.failover_version > record.failover_version
    )


def for_wire(record: NamespaceRecord) -> NamespaceRecord:
    """The record as a peer may see it: HANDOVER is local to the active region."""
    sent = _copy(record)
    sent.handover = False
    return sent


def _copy(record: NamespaceRecord) -> NamespaceRecord:
    copy = NamespaceRecord()
    copy.CopyFrom(record)
    return copy


def _require_name(name: str, limits: Limits) -> None:
    if not name:
        raise InvalidArgument("Namespace is not set on request.")
    if len(name.encode()) > limits.id_characters:
        raise InvalidArgument("Namespace length exceeds limit.")


def _retention(period: Duration, limits: Limits) -> int:
    """The nanoseconds of a retention period; an absurdly long one is cut."""
    if duration_problem(period) is not None or times.nanoseconds(period) < limits.minimum_retention:
        raise InvalidArgument("A valid retention period is not set on request.")
    return times.nanoseconds(period)


def _require_clusters(record: NamespaceRecord, clusters: Clusters) -> None:
    for name in (record.active_cluster, *record.clusters):
        if name not in clusters.initial_versions:
            raise InvalidArgument(f"Invalid cluster name: {name}")
    if record.active_cluster not in record.clusters:
        raise InvalidArgument("Active cluster is not contained in all clusters.")


def _update_info(after: NamespaceRecord, request: UpdateNamespaceRequest) -> bool:
    if not request.HasField("update_info"):
        return False
    info = request.update_info
    changed = False
    if info.description:
        after.description = info.description
        changed = True
    if info.owner_email:
        after.owner_email = info.owner_email
        changed = True
    if info.data:
        _merge(after.data, info.data)
        changed = True
    state = _DEPRECATED if after.deprecated else _REGISTERED
    if info.state not in (NamespaceState.NAMESPACE_STATE_UNSPECIFIED, state):
        if after.handover:
            raise InvalidArgument(
                "cannot update namespace state while its replication state in REPLICATION_STATE_HANDOVER"
            )
        # Deletion is the operator service's; going back is not possible.
        if state != _REGISTERED or info.state != _DEPRECATED:
            raise InvalidArgument("Invalid namespace state update.")
        after.deprecated = True
        changed = True
    return changed


def _update_config(after: NamespaceRecord, request: UpdateNamespaceRequest, limits: Limits) -> bool:
    if request.delete_bad_binary:
        raise InvalidArgument(f"Bad binary checksum {request.delete_bad_binary} doesn't exists.")
    if not request.HasField("config"):
        return False
    configured = _update_search_attributes(after, request.config.custom_search_attribute_aliases)
    if request.config.HasField("workflow_execution_retention_ttl"):
        after.retention = _retention(request.config.workflow_execution_retention_ttl, limits)
        configured = True
    return configured


def _update_search_attributes(after: NamespaceRecord, aliases: Mapping[str, str]) -> bool:
    """Custom attributes by the column that a description shows for each; no name removes the column's attribute.

    Real: upsertCustomSearchAttributesAliases; unlike there, the name and the column must be possible ones.
    """
    before = search_attributes.aliases(after)
    custom = after.custom_search_attributes
    changed = False
    for column, name in aliases.items():
        if column not in search_attributes.COLUMNS:
            raise InvalidArgument(f"Unknown search attribute field: {column}.")
        if not name:
            if column in before:
                search_attributes.unregister(after, before[column])
                changed = True
        elif name not in custom:
            if column in before:
                raise InvalidArgument("Custom search attribute field name already allocated.")
            if search_attributes.is_reserved(name):
                raise InvalidArgument(f"Search attribute {name} is reserved by system.")
            search_attributes.register(after, name, search_attributes.COLUMNS[column])
            changed = True
    return changed


def _update_state(
    after: NamespaceRecord, before: NamespaceRecord, config: NamespaceReplicationConfig
) -> bool:
    """HANDOVER in and out. Real: validateReplicationStateUpdate."""
    current = _HANDOVER if before.handover else _NORMAL
    if config.state in (ReplicationState.REPLICATION_STATE_UNSPECIFIED, current):
        return False
    if before.deprecated:
        raise InvalidArgument(
            "update ReplicationState is only supported when namespace is in Registered state, "
            "current state: Deprecated"
        )
    if config.state == _HANDOVER and len(config.clusters or before.clusters) < 2:
        raise InvalidArgument("Handover require more than one replication clusters")
    after.handover = config.state == _HANDOVER
    return True


def _note_failover(after: NamespaceRecord, now: int) -> None:
    """Real: maybeUpdateFailoverHistory.

    Any update with a replication configuration, if the version is a new one.
    """
    history = after.failover_history
    if not history or history[-1].version != after.failover_version:
        history.append(FailoverStatus(time=now, version=after.failover_version))
    del history[:-FAILOVER_HISTORY_SIZE]


def _merge(data: Iterable[str] | Mapping[str, str], new: Mapping[str, str]) -> None:
    assert hasattr(data, "update")
    data.update(new)
