"""What regions and the control plane tell, as plain values: from messages of the admin services to `cloud.views`."""

from __future__ import annotations

from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.history.v1 import History

from mockcloud.api.admin.v1 import cloud_admin_pb2 as admin
from mockcloud.api.admin.v1 import region_admin_pb2 as region_admin
from mockcloud.cloud.views import (
    Branch,
    EventFate,
    Lag,
    NamespaceStatus,
    NamespaceView,
    ParkedRun,
    RegionStatus,
    RunView,
    Status,
)
from mockcloud.core import times


def status(message: admin.StatusResponse) -> Status:
    """The whole cloud."""
    return Status(
        regions=tuple(
            RegionStatus(entry.name, entry.address, entry.up, tuple(entry.conditions))
            for entry in message.regions
        ),
        control_up=message.control_up,
        cloud_ops=message.cloud_ops,
        namespaces=tuple(namespace_status(entry) for entry in message.namespaces),
        faults=tuple(entry.name for entry in message.faults),
    )


def lag(namespace: str, source: str, peer: region_admin.PeerLag) -> Lag:
    """The lag of one direction, in seconds."""
    return Lag(
        namespace=namespace,
        source=source,
        target=peer.peer,
        tasks=peer.tasks,
        age=peer.age / times.SECOND,
        p50=peer.p50 / times.SECOND,
        p95=peer.p95 / times.SECOND,
        p99=peer.p99 / times.SECOND,
    )


def namespace_status(entry: admin.NamespaceOverview) -> NamespaceStatus:
    """A namespace in all regions that are up."""
    return NamespaceStatus(
        name=entry.name,
        endpoint=entry.endpoint,
        active_region=entry.active_region,
        failback_region=entry.failback_region,
        regions=tuple(
            NamespaceView(
                region=view.region,
                active_region=view.record.active_cluster,
                failover_version=view.record.failover_version,
                handover=view.record.handover,
                open_workflows=view.open_workflows,
                parked=view.parked,
                parked_runs=tuple(
                    ParkedRun(task.workflow_id, task.run_id, task.reason) for task in view.parked_tasks
                ),
                dead_letters=view.dead_letters,
            )
            for view in entry.regions
        ),
        lag=tuple(lag(entry.name, view.region, peer) for view in entry.regions for peer in view.peers),
    )


def run(message: region_admin.RunTree) -> RunView:
    """A run with its branches, the current one first."""
    name = WorkflowExecutionStatus.Name(WorkflowExecutionStatus.ValueType(message.status))
    return RunView(
        run_id=message.run_id,
        status=name.removeprefix("WORKFLOW_EXECUTION_STATUS_"),
        current=message.current,
        zombie=message.zombie,
        superseded=message.superseded,
        base_run_id=message.base_run_id,
        base_event_id=message.base_event_id,
        reset_run_id=message.reset_run_id,
        parked=message.parked_reason,
        dead_letter=message.dead_letter_reason,
        branches=tuple(branch(each) for each in message.branches),
    )


def branch(message: region_admin.BranchView) -> Branch:
    """A branch, and what became of its events where it lost."""
    events = tuple(History.FromString(message.events).events)
    shared = message.last_shared_event_id
    return Branch(
        current=message.current,
        items=tuple((item.event_id, item.version) for item in message.items),
        events=events,
        forks_after=(shared, events[shared - 1].version) if shared else None,
        fates=tuple(
            EventFate(
                event_id=fate.event_id,
                fate=fate.fate,
                reason=fate.reason,
                run_id=fate.run_id,
                to_event_id=fate.to_event_id,
            )
            for fate in message.fates
        ),
    )
