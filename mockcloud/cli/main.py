"""The commands. Their verbs and fault names are those of the Python API."""

from __future__ import annotations

from typing import Any

import click

from mockcloud.cli.connected import talks_to_cloud
from mockcloud.cli.lazy import LazyGroup

KINDS = ("partition", "delay", "drop", "duplicate", "reorder", "pause")


@click.group(
    cls=LazyGroup,
    modules={
        "namespace": "mockcloud.cli.namespaces",
        "operations": "mockcloud.cli.namespaces",
        "up": "mockcloud.cli.up",
    },
)
@click.version_option(package_name="mockcloud")
def main() -> None:
    """Temporal Cloud with High Availability on a laptop."""


@main.group(cls=LazyGroup, modules={"start-dev": "mockcloud.cli.start_dev"})
def server() -> None:
    """For tools that start a dev server."""


@main.command()
@talks_to_cloud
def status(connection: Any) -> None:
    """Regions, namespaces, lag and faults."""
    from mockcloud.api.admin.v1.cloud_admin_pb2 import StatusRequest, StatusResponse
    from mockcloud.cli import text
    from mockcloud.cli.client import plain

    answer = connection.call("Status", StatusRequest(), StatusResponse)
    if connection.json_output:
        connection.print_json(plain(answer))
    else:
        text.print_status(answer)


@main.command()
@click.argument("namespace", default="")
@talks_to_cloud
def lag(connection: Any, namespace: str) -> None:
    """Replication lag of a namespace, or of all: each direction."""
    from mockcloud.api.admin.v1.cloud_admin_pb2 import CloudLagRequest, CloudLagResponse
    from mockcloud.cli import text

    answer = connection.call("CloudLag", CloudLagRequest(namespace=namespace), CloudLagResponse)
    rows = text.lag_rows(answer)
    if connection.json_output:
        connection.print_json(rows)
    else:
        text.print_lag(rows)


@main.command()
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


@main.command("report")
@click.argument("name", metavar="FAILOVER")
@talks_to_cloud
def show_report(connection: Any, name: str) -> None:
    """What a forced failover left unreplicated, by workflow: at the switch, and what became of it.

    FAILOVER is the id of an operation, or a namespace: then it is the last one that was forced.
    """
    from mockcloud.api.admin.v1.cloud_admin_pb2 import FailoverReport, ReportRequest
    from mockcloud.cli import report, text

    answer = connection.call("Report", ReportRequest(name=name), FailoverReport)
    if connection.json_output:
        connection.print_json(report.values(answer))
    else:
        report.show(answer, text.console())


@main.command("history")
@click.argument("namespace")
@click.argument("workflow_id", metavar="WORKFLOW")
@talks_to_cloud
def show_history(connection: Any, namespace: str, workflow_id: str) -> None:
    """Each run and branch of WORKFLOW in each region, side by side, losing branches included."""
    from mockcloud.api.admin.v1.cloud_admin_pb2 import HistoryRequest, HistoryResponse
    from mockcloud.cli import history, text

    request = HistoryRequest(namespace=namespace, workflow_id=workflow_id)
    answer = connection.call("History", request, HistoryResponse)
    if not any(tree.runs for tree in answer.regions):
        raise click.ClickException(f"no region knows a workflow {workflow_id!r}")
    if connection.json_output:
        connection.print_json(history.values(answer))
    else:
        history.show(answer, text.console())


@main.command()
@click.option("--follow", is_flag=True, help="Go on with what happens, until the cloud ends.")
@talks_to_cloud
def events(connection: Any, *, follow: bool) -> None:
    """What has happened, in order: failovers, faults, kills and starts, audit entries."""
    from mockcloud.cli import events

    events.show(connection, follow=follow)


@main.command()
@talks_to_cloud
def notifications(connection: Any) -> None:
    """What administrators were told of, the last first, and whether it was sent by e-mail."""
    from mockcloud.api.admin.v1.cloud_admin_pb2 import ListNotificationsRequest, ListNotificationsResponse
    from mockcloud.cli import text
    from mockcloud.cli.client import plain

    answer = connection.call("ListNotifications", ListNotificationsRequest(), ListNotificationsResponse)
    if connection.json_output:
        connection.print_json([plain(each) for each in answer.notifications])
    else:
        for each in answer.notifications:
            click.echo(text.notification_line(each))


@main.group()
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


@main.group()
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


@main.group()
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


@main.group()
def dlq() -> None:
    """Dead letters: replicated tasks that could not be applied."""


@dlq.command("list")
@click.argument("namespace", default="")
@talks_to_cloud
def dlq_list(connection: Any, namespace: str) -> None:
    """The dead letters of NAMESPACE, or of all, in every region that is up."""
    from mockcloud.api.admin.v1.cloud_admin_pb2 import (
        ListCloudDeadLettersRequest,
        ListCloudDeadLettersResponse,
    )
    from mockcloud.cli import text
    from mockcloud.cli.client import plain

    answer = connection.call(
        "ListCloudDeadLetters", ListCloudDeadLettersRequest(namespace=namespace), ListCloudDeadLettersResponse
    )
    if connection.json_output:
        connection.print_json([plain(letter) for letter in answer.letters])
    else:
        for letter in answer.letters:
            click.echo(text.letter_line(letter))


@dlq.command("show")
@click.argument("region")
@click.argument("number", type=click.IntRange(1, 2**63 - 1), metavar="ID")
@talks_to_cloud
def dlq_show(connection: Any, region: str, number: int) -> None:
    """One dead letter with its task."""
    from mockcloud.api.admin.v1.cloud_admin_pb2 import ShowCloudDeadLetterRequest, ShowCloudDeadLetterResponse
    from mockcloud.api.replication.v1.replication_pb2 import ReplicationTask
    from mockcloud.cli import text
    from mockcloud.cli.client import plain

    request = ShowCloudDeadLetterRequest(region=region, id=number)
    letter = connection.call("ShowCloudDeadLetter", request, ShowCloudDeadLetterResponse).letter
    task = ReplicationTask.FromString(letter.task)
    if connection.json_output:
        connection.print_json(plain(letter) | {"task": plain(task)})
    else:
        click.echo(text.letter_line(letter))
        click.echo(str(task))


@dlq.command("replay")
@click.argument("region")
@click.argument("numbers", nargs=-1, type=click.IntRange(1, 2**63 - 1), metavar="[ID]...")
@talks_to_cloud
def dlq_replay(connection: Any, region: str, numbers: tuple[int, ...]) -> None:
    """Apply dead letters once more, all of REGION by default; exit code 1 if one still fails."""
    from mockcloud.api.admin.v1.cloud_admin_pb2 import CloudDeadLettersRequest
    from mockcloud.api.admin.v1.region_admin_pb2 import ReplayDeadLettersResponse
    from mockcloud.cli import text
    from mockcloud.cli.client import plain

    request = CloudDeadLettersRequest(region=region, ids=numbers)
    answer = connection.call("ReplayCloudDeadLetters", request, ReplayDeadLettersResponse)
    if connection.json_output:
        connection.print_json(
            {"applied": list(answer.applied), "failed": [plain(letter) for letter in answer.failed]}
        )
    else:
        click.echo(f"{len(answer.applied)} applied, {len(answer.failed)} failed")
        for letter in answer.failed:
            click.echo(text.letter_line(letter))
    if answer.failed:
        raise SystemExit(1)


@dlq.command("purge")
@click.argument("region")
@click.argument("numbers", nargs=-1, type=click.IntRange(1, 2**63 - 1), metavar="[ID]...")
@talks_to_cloud
def dlq_purge(connection: Any, region: str, numbers: tuple[int, ...]) -> None:
    """Give dead letters up, all of REGION by default: what is in them is lost there."""
    from mockcloud.api.admin.v1.cloud_admin_pb2 import CloudDeadLettersRequest
    from mockcloud.api.admin.v1.region_admin_pb2 import PurgeDeadLettersResponse

    request = CloudDeadLettersRequest(region=region, ids=numbers)
    answer = connection.call("PurgeCloudDeadLetters", request, PurgeDeadLettersResponse)
    if connection.json_output:
        connection.print_json({"purged": list(answer.purged)})
    else:
        click.echo(f"{len(answer.purged)} purged")


if __name__ == "__main__":
    main()
