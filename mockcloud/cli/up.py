"""`mockcloud up`: a cloud in the foreground, until SIGINT or SIGTERM.

Standard output carries only the ready line, or the live line on a terminal. Logs go to standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mockcloud.cli import foreground, logs
from mockcloud.cli.addresses import host_and_port
from mockcloud.cli.dynamic_config import dynamic_config_option, parsed

if TYPE_CHECKING:
    from mockcloud.cloud.composition import Cloud
    from mockcloud.cloud.settings import CloudSettings
    from mockcloud.rpc.tls import Tls

DEFAULT_PORT = 7233
CLOUD_DNS_TTL = 15.0  # seconds, of the record of a namespace endpoint


def _directory(context: click.Context, parameter: click.Parameter, value: str | None) -> Path | None:
    return _path("directory", context, parameter, value)


def _file(context: click.Context, parameter: click.Parameter, value: str | None) -> Path | None:
    return _path("file", context, parameter, value)


def _path(kind: str, context: click.Context, parameter: click.Parameter, value: str | None) -> Path | None:
    if value is not None and not value.strip():
        # An unset variable in a script must not mean the current directory.
        raise click.BadParameter(f"the name of a {kind} is empty", context, parameter)
    return Path(value) if value is not None else None


def _seconds(context: click.Context, parameter: click.Parameter, value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter(f"not a number of seconds: {value}", context, parameter)
    return value


def _tls(
    certificate: Path | None, key: Path | None, client_ca: Path | None, development_ca: Path | None
) -> Tls | None:
    """Raises StartupError for files that do not belong together."""
    from mockcloud.core.errors import StartupError
    from mockcloud.rpc.tls import Tls

    if development_ca is not None:
        if certificate is not None or key is not None:
            raise StartupError("a development CA makes its own certificate and key")
        return Tls(development_ca / "server.pem", development_ca / "server.key", client_ca)
    if (certificate is None) != (key is None):
        raise StartupError("TLS needs both a certificate and its key")
    if certificate is None or key is None:
        if client_ca is not None:
            raise StartupError(
                "certificates of clients need TLS: a certificate and its key, or a development CA"
            )
        return None
    return Tls(certificate, key, client_ca)


@click.command()
@click.option(
    "--port",
    default=DEFAULT_PORT,
    show_default=True,
    help="Namespace endpoint; the others follow. 0: free ports.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="That everything listens on.")
@click.option(
    "--namespace", "namespaces", multiple=True, default=("default",), show_default=True, help="Repeatable."
)
@click.option(
    "--region", "regions", multiple=True, help="Repeatable; the first is active. [default: two of AWS]"
)
@click.option(
    "--data-dir", callback=_directory, metavar="DIR", help="Keep everything there. [default: temporary files]"
)
@click.option(
    "--api-key",
    envvar="MOCKCLOUD_API_KEY",
    default="",
    metavar="KEY",
    help="Of the account's owner; with it, every call needs a key.",
)
@click.option("--tls-cert", callback=_file, metavar="FILE", help="Certificate of every endpoint, in PEM.")
@click.option("--tls-key", callback=_file, metavar="FILE", help="Its key.")
@click.option(
    "--tls-client-ca", callback=_file, metavar="FILE", help="Clients must show a certificate of this CA."
)
@click.option(
    "--tls-dev-ca",
    callback=_directory,
    metavar="DIR",
    help="Instead of certificate and key: make a CA for development there, and use it.",
)
@click.option(
    "--audit-log", callback=_file, metavar="FILE", help="Append the audit log there, a line of JSON each."
)
@click.option(
    "--dns-lag",
    "dns_ttl",
    is_flag=False,
    flag_value=CLOUD_DNS_TTL,
    default=0.0,
    type=click.FloatRange(min=0),
    callback=_seconds,
    metavar="[SECONDS]",
    help="New connections may go to the old region for so long after a failover. "
    f"[{CLOUD_DNS_TTL:g}, as in the Cloud, if only the flag is given; default: not at all]",
)
@click.option(
    "--smtp", callback=host_and_port, metavar="HOST:PORT", help="Send notifications to this mail server."
)
@click.option("--notify", multiple=True, metavar="ADDRESS", help="Who gets notifications. Repeatable.")
@click.option(
    "--managed-failover/--no-managed-failover",
    default=True,
    show_default=True,
    help="Leave a region that is not healthy, and come back, without being asked.",
)
@click.option(
    "--failover-after",
    default=10.0,
    show_default=True,
    type=click.FloatRange(min=0),
    callback=_seconds,
    help="Seconds for which a region is not healthy before namespaces leave it.",
)
@click.option(
    "--failback-after",
    default=30.0,
    show_default=True,
    type=click.FloatRange(min=0),
    callback=_seconds,
    help="Seconds for which it is healthy again before they come back.",
)
@dynamic_config_option
@click.option("--output", "-o", type=click.Choice(["text", "json"]), default="text", show_default=True)
def up(
    port: int,
    host: str,
    namespaces: tuple[str, ...],
    regions: tuple[str, ...],
    data_dir: Path | None,
    api_key: str,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_client_ca: Path | None,
    tls_dev_ca: Path | None,
    audit_log: Path | None,
    dns_ttl: float,
    smtp: tuple[str, int] | None,
    notify: tuple[str, ...],
    managed_failover: bool,
    failover_after: float,
    failback_after: float,
    dynamic_config_values: tuple[str, ...],
    output: str,
) -> None:
    """Start replicated regions, the control plane and the endpoints."""

    def settings() -> CloudSettings:
        from mockcloud.cloud.settings import DEFAULT_REGIONS, CloudSettings
        from mockcloud.control.health import ManagedFailover

        logs.to_stderr(_level())
        return CloudSettings(
            regions=regions or DEFAULT_REGIONS,
            namespaces=namespaces,
            data_dir=data_dir,
            api_key=api_key,
            tls=_tls(tls_cert, tls_key, tls_client_ca, tls_dev_ca),
            development_ca=tls_dev_ca,
            audit_file=audit_log,
            smtp=smtp,
            notify=notify,
            port=port,
            host=host,
            dns_ttl=dns_ttl,
            managed_failover=ManagedFailover(failover_after=failover_after, failback_after=failback_after)
            if managed_failover
            else None,
            dynamic_config=parsed(dynamic_config_values),
        )

    async def serving(cloud: Cloud, stop: asyncio.Event) -> None:
        ready = cloud.addresses()
        click.echo(json.dumps(ready) if output == "json" else _ready_line(ready))
        sys.stdout.flush()
        if sys.stdout.isatty() and output != "json":
            await _live(cloud, stop)
        else:
            await stop.wait()

    foreground.run(settings, serving)


def _level() -> int:
    from mockcloud.core.errors import StartupError

    name = os.environ.get("MOCKCLOUD_LOG", "INFO").upper()
    level = logging.getLevelNamesMapping().get(name)
    if level is None:
        raise StartupError(f"MOCKCLOUD_LOG is no level of logging: {name}")
    return level


def _ready_line(ready: dict[str, Any]) -> str:
    namespaces = ", ".join(f"{name} at {entry['endpoint']}" for name, entry in ready["namespaces"].items())
    regions = ", ".join(f"{name} at {address}" for name, address in ready["regions"].items())
    others = f"Cloud Ops at {ready['cloud_ops']}; HTTP at {ready['http']}"
    return f"ready: namespaces {namespaces}; regions {regions}; {others}"


async def _live(cloud: Cloud, stop: asyncio.Event) -> None:
    """One line that always tells the state: regions, active ones, lag, open workflows."""
    from rich.live import Live
    from rich.text import Text

    with Live(Text(""), auto_refresh=False, transient=True) as live:
        while not stop.is_set():
            line = Text(describe(await cloud.status()), no_wrap=True, overflow="ellipsis")
            live.update(line, refresh=True)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.5)


def describe(status: Any) -> str:
    """The state of a cloud in one line."""
    regions = "  ".join(
        ", ".join([f"{region.name} {'up' if region.up else 'DOWN'}", *region.conditions])
        for region in status.regions
    )
    namespaces = "  ".join(
        f"{entry.name}: active {entry.active_region}, "
        f"lag {max((lag.age for lag in entry.lag), default=0.0) * 1000:.0f} ms, "
        f"{max((view.open_workflows for view in entry.regions), default=0)} open"
        for entry in status.namespaces
    )
    faults = f"  faults: {', '.join(status.faults)}" if status.faults else ""
    return f"{regions}  |  {namespaces}{faults}"
