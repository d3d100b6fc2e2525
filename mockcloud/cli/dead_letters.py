"""Commands about replicated tasks that could not be applied."""

from __future__ import annotations

from typing import Any

import click

from mockcloud.cli.connected import talks_to_cloud


@click.group()
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
