"""What the cloud serves beyond the basics, as clients ask for it: one table, true for exactly what is built.

GetSystemInfo and DescribeNamespace answer from here, and nothing else says what is supported. Whoever builds
one of these things turns its entry to true in the same change.
"""

from __future__ import annotations

from typing import Final

from temporalio.api.namespace.v1 import NamespaceInfo
from temporalio.api.workflowservice.v1 import GetSystemInfoResponse

from mockcloud.core.limits import Limits

# The version of the real server whose behaviour is reproduced; clients compare it.
SERVER_VERSION: Final = "1.31.2"

SYSTEM: Final = GetSystemInfoResponse.Capabilities(
    signal_and_query_header=True,
    internal_error_differentiation=True,
    activity_failure_include_heartbeat=True,
    supports_schedules=True,
    encoded_failure_attributes=True,
    build_id_based_versioning=True,
    upsert_memo=True,
    eager_workflow_start=True,
    sdk_metadata=True,
    count_group_by_execution_status=True,
    nexus=False,
    server_scaled_deployments=False,
)

NAMESPACE: Final = NamespaceInfo.Capabilities(
    eager_workflow_start=True,
    sync_update=True,
    async_update=True,
    worker_heartbeats=True,
    reported_problems_search_attribute=True,
    workflow_pause=True,
    standalone_activities=False,
    worker_poll_complete_on_shutdown=True,
    poller_autoscaling=True,
)

SUPPORTS_SCHEDULES: Final = True


def namespace(limits: Limits) -> NamespaceInfo.Capabilities:
    """What a namespace tells its clients: the table above, less what is switched off."""
    told = NamespaceInfo.Capabilities()
    told.CopyFrom(NAMESPACE)
    told.eager_workflow_start &= limits.eager_workflow_start
    told.sync_update &= limits.updates
    told.async_update &= limits.updates_until_accepted
    told.worker_heartbeats &= limits.worker_heartbeats
    told.workflow_pause &= limits.workflow_pause
    told.worker_poll_complete_on_shutdown &= limits.cancel_worker_polls_on_shutdown
    return told


def namespace_limits(limits: Limits) -> NamespaceInfo.Limits:
    """The limits that a namespace tells its clients, in bytes."""
    return NamespaceInfo.Limits(
        blob_size_limit_error=limits.blob_bytes, memo_size_limit_error=limits.memo_bytes
    )
