"""Answers as people read them: tables on a terminal, the same words when piped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from mockcloud.api.admin.v1.cloud_admin_pb2 import (
    CloudLagResponse,
    Fault,
    NamespaceOverview,
    Notification,
    OperationView,
    StatusResponse,
)
from mockcloud.api.admin.v1.region_admin_pb2 import DeadLetter, NamespaceStatusResponse
from mockcloud.core import times


def console() -> Console:
    """As wide as the terminal; wide enough for every name when the output goes elsewhere."""
    width = None if Console().is_terminal else 200
    return Console(width=width, markup=False, emoji=False)  # what users have named is printed as it is


def print_status(status: StatusResponse) -> None:
    """The cloud at one moment."""
    output = console()
    regions = Table("region", "endpoint", "state", title="regions", title_justify="left")
    for region in status.regions:
        state = ", ".join(["up" if region.up else "down", *region.conditions])
        regions.add_row(region.name, region.address, state)
    output.print(regions)
    state = "up" if status.control_up else "down"
    output.print(f"control plane: {state}, Cloud Ops at {status.cloud_ops}, HTTP at {status.http}")
    for namespace in status.namespaces:
        table = Table(
            *("region", "role", "version", "open", "unreplicated", "parked", "dead letters"),
            title=f"namespace {namespace.name} at {namespace.endpoint}, active in {namespace.active_region}",
            title_justify="left",
        )
        for row in _rows(namespace, [region.name for region in status.regions]):
            table.add_row(*row)
        output.print(table)
        if namespace.HasField("operation"):
            running = namespace.operation
            output.print(f"{namespace.name} is being failed over to {running.region}: {running.step}")
        if namespace.failback_region:
            output.print(
                f"{namespace.name} goes back to {namespace.failback_region} when that is healthy again"
            )
        for entry in namespace.regions:
            for task in entry.parked_tasks:
                run = f"{task.workflow_id}/{task.run_id}"
                output.print(f"parked in {entry.region}: {run}: {task.reason}", soft_wrap=True)
    for fault in status.faults:
        output.print(f"fault {fault_line(fault)}")


def _rows(namespace: NamespaceOverview, regions: Sequence[str]) -> Iterator[list[str]]:
    """Where the namespace is or is to be, in the order of the cloud's regions."""
    views = {entry.region: entry for entry in namespace.regions}
    members = {
        *(replica.region for replica in namespace.replicas),
        *(name for entry in namespace.regions for name in entry.record.clusters),
        *views,
    }
    for region in regions:
        entry = views.get(region)
        if entry is not None:
            numbers = (
                entry.record.failover_version,
                entry.open_workflows,
                sum(peer.tasks for peer in entry.peers),
                entry.parked,
                entry.dead_letters,
            )
            yield [region, _changing(namespace, region) or _role(entry), *map(str, numbers)]
        elif region in members:
            yield [region, _changing(namespace, region) or "down", *"?????"]


def _role(entry: NamespaceStatusResponse) -> str:
    """What the region takes itself for."""
    active = entry.record.active_cluster == entry.region
    return "handover" if entry.record.handover else "active" if active else "passive"


def _changing(namespace: NamespaceOverview, region: str) -> str:
    """What happens to a replica that is not there for good, as far as that is known; empty: nothing."""
    states = {replica.region: replica.state for replica in namespace.replicas}
    state = states.get(region, "")
    if state not in {"adding", "removing", "failed"}:
        return ""
    fills = (entry.fill for entry in namespace.regions if region in entry.fill.peers and entry.fill.runs)
    given = next((f", {fill.runs_given} of {fill.runs}" for fill in fills), "")
    return f"{state}{given}"


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
    console().print(table)


def operation_line(operation: OperationView) -> str:
    """A failover in one line."""
    seconds = max(0, operation.finished_time - operation.started_time) / times.SECOND
    reason = f": {operation.reason}" if operation.reason else ""
    how = operation.mode
    if operation.after_id:
        how = f"by failover {operation.after_id} that ran already"
    elif operation.mode == "none":
        how = "active there already"
    return f"{operation.state} {operation.namespace} to {operation.region}, {how}, {seconds:.3f} s{reason}"


def print_failovers(failovers: Iterable[OperationView]) -> None:
    """Who or what has failed a namespace over, and how that went."""
    table = Table("started", "trigger", "by", "from", "to", "how", "seconds", "unreplicated", "cause")
    for failover in failovers:
        took = max(0, failover.finished_time - failover.started_time) / times.SECOND
        left = failover.unreplicated
        table.add_row(
            times.timestamp(failover.started_time).ToJsonString(),
            failover.trigger,
            failover.who,
            failover.source,
            failover.region,
            "joined another" if failover.after_id else failover.mode or failover.step,
            f"{took:.3f}" if failover.finished_time else "",
            left.problem or f"{left.events} events" if failover.HasField("unreplicated") else "",
            failover.cause or failover.reason,
        )
    console().print(table)


def print_operations(operations: Iterable[OperationView]) -> None:
    """What is done to namespaces, and how far it is."""
    table = Table("operation", "kind", "namespace", "region", "state", "step", "seconds", "by", "reason")
    for operation in operations:
        took = (operation.finished_time - operation.started_time) / times.SECOND
        fill = operation.fill
        given = f" {fill.runs_given} of {fill.runs}" if operation.HasField("fill") else ""
        table.add_row(
            operation.id,
            operation.kind,
            operation.namespace,
            operation.region,
            operation.state,
            f"{operation.step}{given}",
            f"{max(0.0, took):.3f}" if operation.finished_time else "",
            operation.who,
            operation.reason,
        )
    console().print(table)


def fault_line(fault: Fault) -> str:
    """A fault in one line."""
    arrow = "→" if fault.one_way else "↔"
    seconds = f", {fault.seconds:g} s" if fault.seconds else ""
    probability = f", probability {fault.probability:g}" if 0 < fault.probability < 1 else ""
    return f"{fault.name}: {fault.kind} {fault.source} {arrow} {fault.target}{seconds}{probability}"


def notification_line(notification: Notification) -> str:
    """A notification in one line."""
    moment = times.timestamp(notification.time).ToJsonString()
    recipients = f" to {', '.join(notification.recipients)}" if notification.recipients else ""
    problem = f" ({notification.problem})" if notification.problem else ""
    return f"{moment}  {notification.subject}: {notification.delivery}{recipients}{problem}"


def letter_line(letter: DeadLetter) -> str:
    """A dead letter in one line."""
    run = f"{letter.namespace}/{letter.workflow_id}/{letter.run_id}"
    return f"{letter.region} {letter.id}: {run if letter.workflow_id else letter.subject}: {letter.reason}"
