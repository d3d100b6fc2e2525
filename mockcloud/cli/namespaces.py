"""Commands about namespaces and what is done to them."""

from __future__ import annotations

from typing import Any

import click

from mockcloud.cli.connected import talks_to_cloud

_WHO = "mockcloud"


@click.group()
def namespace() -> None:
    """Make and delete namespaces, and say in which regions they are."""


@namespace.command("create")
@click.argument("name")
@click.option("--region", "regions", multiple=True, help="The first is active. [default: all of the cloud]")
@click.option(
    "--retention-days", type=click.IntRange(1, 36_500), help="Of closed workflows. [default: the cloud's]"
)
@talks_to_cloud
def create(connection: Any, name: str, *, regions: tuple[str, ...], retention_days: int | None) -> None:
    """Make a namespace; prints its endpoint.

    Every name and retention that a region takes will do; the Cloud Ops API is as strict as the Cloud.
    """
    from mockcloud.api.admin.v1.cloud_admin_pb2 import CreateNamespaceRequest, CreateNamespaceResponse
    from mockcloud.cli.client import plain

    request = CreateNamespaceRequest(name=name, regions=regions, retention_days=retention_days, who=_WHO)
    answer = connection.call("CreateNamespace", request, CreateNamespaceResponse)
    if connection.json_output:
        connection.print_json(plain(answer))
    else:
        click.echo(answer.endpoint)


@namespace.command("delete")
@click.argument("name", metavar="NAMESPACE")
@talks_to_cloud
def delete(connection: Any, name: str) -> None:
    """Delete a namespace with all that is in it."""
    from mockcloud.api.admin.v1.cloud_admin_pb2 import DeleteNamespaceRequest

    _ended(connection, "DeleteNamespace", DeleteNamespaceRequest(namespace=name, who=_WHO))


@namespace.command("add-region")
@click.argument("name", metavar="NAMESPACE")
@click.argument("region")
@click.option("--no-wait", is_flag=True, help="Do not wait until the region has everything.")
@talks_to_cloud
def add_region(connection: Any, name: str, region: str, *, no_wait: bool) -> None:
    """Add a region to a namespace, with work in it; ends when it can be failed over to."""
    from mockcloud.api.admin.v1.cloud_admin_pb2 import ChangeRegionRequest

    request = ChangeRegionRequest(namespace=name, region=region, who=_WHO, no_wait=no_wait)
    _ended(connection, "AddRegion", request)


@namespace.command("delete-region")
@click.argument("name", metavar="NAMESPACE")
@click.argument("region")
@talks_to_cloud
def delete_region(connection: Any, name: str, region: str) -> None:
    """Delete a region from a namespace, which is not active there."""
    from mockcloud.api.admin.v1.cloud_admin_pb2 import ChangeRegionRequest

    _ended(connection, "DeleteRegion", ChangeRegionRequest(namespace=name, region=region, who=_WHO))


@namespace.command("failovers")
@click.argument("name", metavar="NAMESPACE")
@talks_to_cloud
def failovers(connection: Any, name: str) -> None:
    """The latest failovers of NAMESPACE, the last one first: by whom or what, how, what was unreplicated."""
    from mockcloud.api.admin.v1.cloud_admin_pb2 import FailoversRequest, FailoversResponse
    from mockcloud.cli import text
    from mockcloud.cli.client import plain

    answer = connection.call("Failovers", FailoversRequest(namespace=name), FailoversResponse)
    if connection.json_output:
        connection.print_json([plain(each) for each in answer.failovers])
    else:
        text.print_failovers(answer.failovers)


@click.command()
@click.argument("name", default="", metavar="[NAMESPACE]")
@click.option("--limit", type=click.IntRange(1, 2**31 - 1), default=20, show_default=True, help="How many.")
@talks_to_cloud
def operations(connection: Any, name: str, *, limit: int) -> None:
    """The latest asynchronous operations of a namespace, also a deleted one, or of all; how far they are."""
    from mockcloud.api.admin.v1.cloud_admin_pb2 import ListOperationsRequest, ListOperationsResponse
    from mockcloud.cli import text
    from mockcloud.cli.client import plain

    request = ListOperationsRequest(namespace=name, limit=limit)
    answer = connection.call("ListOperations", request, ListOperationsResponse)
    if connection.json_output:
        connection.print_json([plain(each) for each in answer.operations])
    else:
        text.print_operations(answer.operations)


def _ended(connection: Any, method: str, request: Any) -> None:
    from mockcloud.api.admin.v1.cloud_admin_pb2 import OperationView
    from mockcloud.cli import text
    from mockcloud.cli.client import plain

    operation = connection.call(method, request, OperationView)
    if connection.json_output:
        connection.print_json(plain(operation))
    else:
        text.print_operations([operation])
    if operation.state in {"FAILED", "CANCELLED"}:
        raise SystemExit(1)
