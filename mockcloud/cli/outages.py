"""What makes an outage, and ends it: failovers, faults, kills and starts."""

from __future__ import annotations

from typing import Any

import click

from mockcloud.cli.connected import talks_to_cloud

KINDS = ("partition", "delay", "drop", "duplicate", "reorder", "pause")


@click.command()
@click.argument("namespace")
@click.argument("region")
@click.option("--forced", is_flag=True, help="At once, without the graceful attempt.")
@click.option(
    "--by",
    type=click.Choice(["user", "temporal"]),
    default="user",
    show_default=True,
    help="temporal: as Temporal's engineers would.",
)
@talks_to_cloud
def failover(connection: Any, namespace: str, region: str, *, forced: bool, by: str) -> None:
    """Fail NAMESPACE over to REGION; ends when the operation has ended."""
    from mockcloud.api.admin.v1.cloud_admin_pb2 import FailoverRequest, FailoverResponse
    from mockcloud.cli import report, text
    from mockcloud.cli.client import plain

    request = FailoverRequest(
        namespace=namespace,
        region=region,
        forced=forced,
        who="mockcloud failover",
        by_temporal=by == "temporal",
    )
    operation = connection.call("Failover", request, FailoverResponse).operation
    if connection.json_output:
        connection.print_json(plain(operation))
    else:
        click.echo(text.operation_line(operation))
        if operation.HasField("unreplicated"):
            click.echo(report.summary_line(operation.unreplicated))
            if operation.unreplicated.events:
                click.echo(f"see `mockcloud report {operation.id}`")
    if operation.state != "FULFILLED":
        raise SystemExit(1)


@click.group()
def fault() -> None:
    """Faults of the links between regions, and of the ways to them."""


@fault.command("add")
@click.argument("kind", metavar="KIND", type=click.Choice(KINDS))
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--one-way", is_flag=True, help="Only messages from FROM to TO.")
@click.option("--name", default="", help="To remove it by. [default: made from the kind]")
@click.option("--seconds", default=0.0, help="Of a delay.")
@click.option("--probability", default=1.0, show_default=True, help="Of drop, duplicate and reorder.")
@talks_to_cloud
def fault_add(
    connection: Any,
    kind: str,
    source: str,
    target: str,
    *,
    one_way: bool,
    name: str,
    seconds: float,
    probability: float,
) -> None:
    """Put a fault between two regions, or on the way to one; prints its name.

    KIND is partition, delay, drop, duplicate, reorder or pause. FROM and TO are regions. The control plane's way to a
    region is that from `control`; the way of clients to the endpoint of a region or namespace is that from `clients`,
    where partition, delay and pause can be.
    """
    from mockcloud.api.admin.v1.cloud_admin_pb2 import AddFaultRequest, AddFaultResponse, Fault
    from mockcloud.cli.client import plain

    wanted = Fault(
        name=name,
        kind=kind,
        source=source,
        target=target,
        one_way=one_way,
        seconds=seconds,
        probability=probability,
    )
    answer = connection.call("AddFault", AddFaultRequest(fault=wanted), AddFaultResponse)
    if connection.json_output:
        connection.print_json(plain(answer.fault))
    else:
        click.echo(answer.fault.name)


@fault.command("list")
@talks_to_cloud
def fault_list(connection: Any) -> None:
    """The faults in force."""
    from mockcloud.api.admin.v1.cloud_admin_pb2 import ListFaultsRequest, ListFaultsResponse
    from mockcloud.cli import text
    from mockcloud.cli.client import plain

    answer = connection.call("ListFaults", ListFaultsRequest(), ListFaultsResponse)
    if connection.json_output:
        connection.print_json([plain(entry) for entry in answer.faults])
    else:
        for entry in answer.faults:
            click.echo(text.fault_line(entry))


@fault.command("remove")
@click.argument("name")
@talks_to_cloud
def fault_remove(connection: Any, name: str) -> None:
    """Remove a fault."""
    from mockcloud.api.admin.v1.cloud_admin_pb2 import RemoveFaultRequest, RemoveFaultResponse

    connection.call("RemoveFault", RemoveFaultRequest(name=name), RemoveFaultResponse)
    if connection.json_output:
        connection.print_json({"removed": [name]})


@fault.command("reset")
@talks_to_cloud
def fault_reset(connection: Any) -> None:
    """Remove all faults."""
    from mockcloud.api.admin.v1.cloud_admin_pb2 import ResetFaultsRequest, ResetFaultsResponse

    answer = connection.call("ResetFaults", ResetFaultsRequest(), ResetFaultsResponse)
    if connection.json_output:
        connection.print_json({"removed": [entry.name for entry in answer.removed]})


@click.group()
def region() -> None:
    """Kill and start regions."""


@region.command("kill")
@click.argument("name", metavar="REGION")
@talks_to_cloud
def region_kill(connection: Any, name: str) -> None:
    """Drop a region's servers, tasks and memory at once; its files stay."""
    from mockcloud.api.admin.v1.cloud_admin_pb2 import KillRegionRequest, KillRegionResponse

    connection.call("KillRegion", KillRegionRequest(region=name), KillRegionResponse)
    if connection.json_output:
        connection.print_json({"region": name, "up": False})


@region.command("start")
@click.argument("name", metavar="REGION")
@talks_to_cloud
def region_start(connection: Any, name: str) -> None:
    """Bring a region back from its database."""
    from mockcloud.api.admin.v1.cloud_admin_pb2 import StartRegionRequest, StartRegionResponse

    connection.call("StartRegion", StartRegionRequest(region=name), StartRegionResponse)
    if connection.json_output:
        connection.print_json({"region": name, "up": True})


@click.group()
def control() -> None:
    """Kill and start the control plane."""


@control.command("kill")
@talks_to_cloud
def control_kill(connection: Any) -> None:
    """Drop the control plane in the middle of whatever it does."""
    from mockcloud.api.admin.v1.cloud_admin_pb2 import KillControlRequest, KillControlResponse

    connection.call("KillControl", KillControlRequest(), KillControlResponse)
    if connection.json_output:
        connection.print_json({"control": "down"})


@control.command("start")
@talks_to_cloud
def control_start(connection: Any) -> None:
    """Bring the control plane back; operations in flight go on."""
    from mockcloud.api.admin.v1.cloud_admin_pb2 import StartControlRequest, StartControlResponse

    connection.call("StartControl", StartControlRequest(), StartControlResponse)
    if connection.json_output:
        connection.print_json({"control": "up"})
