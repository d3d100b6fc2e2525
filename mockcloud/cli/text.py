"""Answers as people read them: tables on a terminal, the same words when piped."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import MessageToDict
from rich.console import Console
from rich.table import Table
from temporalio.api.enums.v1 import EventType, WorkflowExecutionStatus
from temporalio.api.history.v1 import History, HistoryEvent

from mockcloud.api.admin.v1.cloud_admin_pb2 import (
    CloudLagResponse,
    Fault,
    HistoryResponse,
    OperationView,
    StatusResponse,
)
from mockcloud.api.admin.v1.region_admin_pb2 import DeadLetter, RunTree
from mockcloud.core import times


def _console() -> Console:
    """As wide as the terminal; wide enough for every name when the output goes elsewhere."""
    console = Console()
    return console if console.is_terminal else Console(width=200)


def print_status(status: StatusResponse) -> None:
    """The cloud at one moment."""
    console = _console()
    regions = Table("region", "endpoint", "state", title="regions", title_justify="left")
    for region in status.regions:
        regions.add_row(region.name, region.address, "up" if region.up else "down")
    console.print(regions)
    console.print(f"control plane: {'up' if status.control_up else 'down'}, Cloud Ops at {status.cloud_ops}")
    for namespace in status.namespaces:
        table = Table(
            *("region", "role", "version", "open", "unreplicated", "parked", "dead letters"),
            title=f"namespace {namespace.name} at {namespace.endpoint}, active in {namespace.active_region}",
            title_justify="left",
        )
        for entry in namespace.regions:
            active = entry.record.active_cluster == entry.region
            role = "handover" if entry.record.handover else "active" if active else "passive"
            unreplicated = sum(peer.tasks for peer in entry.peers)
            numbers = (
                entry.record.failover_version,
                entry.open_workflows,
                unreplicated,
                entry.parked,
                entry.dead_letters,
            )
            table.add_row(entry.region, role, *map(str, numbers))
        members = {name for entry in namespace.regions for name in entry.record.clusters}
        for name in sorted(members - {entry.region for entry in namespace.regions}):
            table.add_row(name, "down", *"?????")
        console.print(table)
        for entry in namespace.regions:
            for task in entry.parked_tasks:
                run = f"{task.workflow_id}/{task.run_id}"
                console.print(f"parked in {entry.region}: {run}: {task.reason}", soft_wrap=True)
    for fault in status.faults:
        console.print(f"fault {fault_line(fault)}")


def lag_rows(answer: CloudLagResponse) -> list[dict[str, Any]]:
    """Each direction of each namespace; ages in seconds."""
    return [
        {
            "namespace": entry.namespace,
            "source": entry.region,
            "target": peer.peer,
            "tasks": peer.tasks,
            **{name: getattr(peer, name) / times.SECOND for name in ("age", "p50", "p95", "p99")},
        }
        for entry in answer.lags
        for peer in entry.peers
    ]


def print_lag(rows: list[dict[str, Any]]) -> None:
    """Each direction of each namespace."""
    table = Table("namespace", "from", "to", "tasks", "age", "p50", "p95", "p99")
    for row in rows:
        ages = (f"{row[name] * 1000:.1f} ms" for name in ("age", "p50", "p95", "p99"))
        table.add_row(row["namespace"], row["source"], row["target"], str(row["tasks"]), *ages)
    _console().print(table)


def operation_line(operation: OperationView) -> str:
    """A failover in one line."""
    seconds = max(0, operation.finished_time - operation.started_time) / times.SECOND
    reason = f": {operation.reason}" if operation.reason else ""
    return f"{operation.state} {operation.namespace} to {operation.region}, {operation.mode}, {seconds:.3f} s{reason}"


def fault_line(fault: Fault) -> str:
    """A fault in one line."""
    arrow = "→" if fault.one_way else "↔"
    seconds = f", {fault.seconds:g} s" if fault.seconds else ""
    probability = f", probability {fault.probability:g}" if 0 < fault.probability < 1 else ""
    return f"{fault.name}: {fault.kind} {fault.source} {arrow} {fault.target}{seconds}{probability}"


def letter_line(letter: DeadLetter) -> str:
    """A dead letter in one line."""
    return f"{letter.region} {letter.id}: {letter.namespace}/{letter.workflow_id}/{letter.run_id}: {letter.reason}"


def history_values(answer: HistoryResponse) -> dict[str, Any]:
    """Runs, branches and events per region, as JSON."""
    return {
        tree.region: [
            {
                "run_id": run.run_id,
                "status": _status(run),
                "current": run.current,
                "zombie": run.zombie,
                "parked": run.parked_reason,
                "branches": [
                    {
                        "current": branch.current,
                        "items": [[item.event_id, item.version] for item in branch.items],
                        "events": MessageToDict(History.FromString(branch.events)).get("events", []),
                    }
                    for branch in run.branches
                ],
            }
            for run in tree.runs
        ]
        for tree in answer.regions
    }


def print_history(answer: HistoryResponse) -> None:
    """Each run with a column for each branch in each region."""
    console = _console()
    for tree in answer.regions:
        for run in tree.runs:
            marks = [_status(run)] if run.status else []  # else nothing of it is here yet
            marks += ["current"] if run.current else []
            marks += ["zombie"] if run.zombie else []
            marks += [f"parked: {run.parked_reason}"] if run.parked_reason else []
            # Not the table's title: that would be broken to the table's width.
            console.print(f"{tree.region}: run {run.run_id} ({', '.join(marks)})", soft_wrap=True)
            if not run.status:
                continue
            table = Table()
            table.add_column("id", justify="right")
            columns = []
            for branch in run.branches:
                items = " ".join(f"{item.event_id}@v{item.version}" for item in branch.items)
                table.add_column(f"{'current' if branch.current else 'lost'} {items}")
                columns.append(list(History.FromString(branch.events).events))
            for index in range(max((len(events) for events in columns), default=0)):
                cells = (_event(events[index]) if index < len(events) else "" for events in columns)
                table.add_row(str(index + 1), *cells)
            console.print(table)
    if not any(tree.runs for tree in answer.regions):
        console.print("no region knows a workflow of that id")


def _event(event: HistoryEvent) -> str:
    name = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").replace("_", " ").lower()
    if event.HasField("workflow_execution_signaled_event_attributes"):
        name += f" ({event.workflow_execution_signaled_event_attributes.signal_name})"
    return f"v{event.version} {name}"


def _status(run: RunTree) -> str:
    name = WorkflowExecutionStatus.Name(WorkflowExecutionStatus.ValueType(run.status))
    return name.removeprefix("WORKFLOW_EXECUTION_STATUS_").lower()
