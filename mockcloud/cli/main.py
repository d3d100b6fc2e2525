"""The commands, by the modules that they are in. Their verbs and fault names are those of the Python API."""

from __future__ import annotations

import click

from mockcloud.cli.lazy import LazyGroup

_COMMANDS = {
    "control": "mockcloud.cli.outages",
    "dlq": "mockcloud.cli.dead_letters",
    "events": "mockcloud.cli.inquiries",
    "failover": "mockcloud.cli.outages",
    "fault": "mockcloud.cli.outages",
    "history": "mockcloud.cli.inquiries",
    "lag": "mockcloud.cli.inquiries",
    "namespace": "mockcloud.cli.namespaces",
    "notifications": "mockcloud.cli.inquiries",
    "operations": "mockcloud.cli.namespaces",
    "region": "mockcloud.cli.outages",
    "report": "mockcloud.cli.inquiries",
    "status": "mockcloud.cli.inquiries",
    "up": "mockcloud.cli.up",
}


@click.group(cls=LazyGroup, modules=_COMMANDS)
@click.version_option(package_name="mockcloud")
def main() -> None:
    """Temporal Cloud with High Availability on a laptop."""


@main.group(cls=LazyGroup, modules={"start-dev": "mockcloud.cli.start_dev"})
def server() -> None:
    """For tools that start a dev server."""


if __name__ == "__main__":
    main()
