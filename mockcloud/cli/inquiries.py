"""What a running cloud tells."""

from __future__ import annotations

from typing import Any

import click

from mockcloud.cli.connected import talks_to_cloud


@click.command()
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


@click.command()
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


@click.command()
@click.argument("name", metavar="FAILOVER")
@talks_to_cloud
def report(connection: Any, name: str) -> None:
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


@click.command()
@click.argument("namespace")
@click.argument("workflow_id", metavar="WORKFLOW")
@talks_to_cloud
def history(connection: Any, namespace: str, workflow_id: str) -> None:
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


@click.command()
@click.option("--follow", is_flag=True, help="Go on with what happens, until the cloud ends.")
@talks_to_cloud
def events(connection: Any, *, follow: bool) -> None:
    """What has happened, in order: failovers, faults, kills and starts, audit entries."""
    from mockcloud.cli import events

    events.show(connection, follow=follow)


@click.command()
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
