"""`mockcloud server start-dev`: the flags of `temporal server start-dev`, for tools that start a dev server.

There is always the namespace `default`, and there are always two regions. Only the ports that flags name are bound;
all others are free ones. Real: the Temporal CLI's commands.yaml and commands.server.go.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.core import ParameterSource

from mockcloud.cli import foreground, logs
from mockcloud.cli.dynamic_config import dynamic_config_option, parsed

if TYPE_CHECKING:
    from mockcloud.cloud.composition import Cloud
    from mockcloud.cloud.settings import CloudSettings

F = TypeVar("F", bound=Callable[..., Any])

_LOG = logging.getLogger(__name__)

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "never": logs.NEVER,
}
_FORMATS: Final[dict[str, type[logging.Formatter]]] = {
    "text": logs.TextFormatter,
    "pretty": logs.TextFormatter,
    "json": logs.JsonFormatter,
}
# The dev server's namespaces live in one region only, where less retention is allowed.
_RETENTION_DAYS: Final = 1
_MINIMUM_RETENTION: Final = 3_600 * 10**9  # nanoseconds

# Flags of the dev server and global ones of the Temporal CLI that mean nothing here.
_STRINGS_WITHOUT_MEANING: Final = (
    "--client-connect-timeout",
    "--config-file",
    "--env",
    "--env-file",
    "--profile",
    "--ui-asset-path",
    "--ui-codec-endpoint",
    "--ui-ip",
    "--ui-public-path",
)
_PORTS_WITHOUT_MEANING: Final = ("--http-port", "--metrics-port", "--ui-port")
_SWITCHES_WITHOUT_MEANING: Final = (
    "--disable-config-env",
    "--disable-config-file",
    "--headless",
    "--no-json-shorthand-payloads",
    "--ui-disable-news-fetch",
)
_CHOICES_WITHOUT_MEANING: Final = {
    "--color": ("always", "never", "auto"),
    "--time-format": ("relative", "iso", "raw"),
}
_WITHOUT_MEANING: Final = frozenset(
    (
        *_STRINGS_WITHOUT_MEANING,
        *_PORTS_WITHOUT_MEANING,
        *_SWITCHES_WITHOUT_MEANING,
        *_CHOICES_WITHOUT_MEANING,
        "--sqlite-pragma",
    )
)


class _Refused(click.UsageError):
    exit_code = 1


class _Command(click.Command):
    """A command that refuses what it does not know with exit code 1, as the Temporal CLI does."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            raise _Refused(error.format_message(), error.ctx) from None


def _switch(name: str, text: str, parameter: str | None = None) -> Callable[[F], F]:
    """A switch as the Temporal CLI's flags have it: `--name`, `--name=true`, `--name=false`."""
    names = [name] if parameter is None else [name, parameter]
    return click.option(*names, type=click.BOOL, is_flag=False, flag_value=True, default=False, help=text)


def _without_meaning(function: F) -> F:
    text = "Accepted; means nothing here."
    for name in _STRINGS_WITHOUT_MEANING:
        function = click.option(name, help=text)(function)
    for name in _PORTS_WITHOUT_MEANING:
        function = click.option(name, type=click.IntRange(0, 65535), help=text)(function)
    for name in _SWITCHES_WITHOUT_MEANING:
        function = _switch(name, text)(function)
    for name, choices in _CHOICES_WITHOUT_MEANING.items():
        function = click.option(name, type=click.Choice(choices), help=text)(function)
    return function


@click.command("start-dev", cls=_Command)
@click.option(
    "--port", "-p", default=7233, show_default=True, help="Endpoint of all namespaces. 0: a free port."
)
@click.option("--ip", default="localhost", show_default=True, help="That the endpoint listens on.")
@click.option("--namespace", "-n", "namespaces", multiple=True, help="Besides `default`. Repeatable.")
@click.option(
    "--db-filename",
    "-f",
    default="",
    metavar="FILE",
    help="Keep everything in files beside this one. [default: temporary files]",
)
@click.option(
    "--search-attribute",
    "search_attributes",
    multiple=True,
    metavar="KEY=TYPE",
    help="Text, Keyword, Int, Double, Bool, Datetime or KeywordList. Repeatable.",
)
@dynamic_config_option
@click.option("--sqlite-pragma", multiple=True, metavar="PRAGMA=VALUE", help="Accepted; means nothing here.")
@_switch("--log-config", "Print the settings to standard error.")
@click.option(
    "--log-level", type=click.Choice([*_LEVELS], case_sensitive=False), default="warn", show_default=True
)
@click.option(
    "--log-format", type=click.Choice([*_FORMATS], case_sensitive=False), default="text", show_default=True
)
@click.option("--command-timeout", default="0", metavar="DURATION", help="End after so long.")
@click.option(
    "--output", "-o", type=click.Choice(["text", "json", "jsonl", "none"]), default="text", show_default=True
)
@_without_meaning
@click.pass_context
def start_dev(
    context: click.Context,
    /,
    port: int,
    ip: str,
    namespaces: tuple[str, ...],
    db_filename: str,
    search_attributes: tuple[str, ...],
    dynamic_config_values: tuple[str, ...],
    sqlite_pragma: tuple[str, ...],
    *,
    log_config: bool,
    log_level: str,
    log_format: str,
    command_timeout: str,
    output: str,
    **_ignored: object,
) -> None:
    """Start two regions as a drop-in for `temporal server start-dev`."""
    ignored = _ignored_flags(context)

    def settings() -> CloudSettings:
        from mockcloud.cloud.settings import CloudSettings
        from mockcloud.core.limits import Limits

        logs.to_stderr(_LEVELS[log_level.lower()], _FORMATS[log_format.lower()]())
        if ignored:
            _LOG.debug("these flags mean nothing here: %s", ", ".join(ignored))
        _pairs(sqlite_pragma, "invalid pragma")
        made = CloudSettings(
            namespaces=tuple(dict.fromkeys(("default", *namespaces))),
            database_file=Path(db_filename) if db_filename else None,
            port=port,
            port_layout=False,
            endpoint_host="127.0.0.1" if ip == "localhost" else ip,
            retention_days=_RETENTION_DAYS,
            search_attributes=_search_attributes(search_attributes),
            limits=Limits(minimum_retention=_MINIMUM_RETENTION),
            dynamic_config=parsed(dynamic_config_values),
        )
        if log_config:
            click.echo(json.dumps(dataclasses.asdict(made), default=str, indent=2), err=True)
        return made

    async def serving(cloud: Cloud, stop: asyncio.Event) -> None:
        if output == "text":
            click.echo(_banner(cloud))
        elif output != "none":
            click.echo(json.dumps(cloud.addresses()))
        sys.stdout.flush()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds or None)

    seconds = _seconds(command_timeout)
    foreground.run(settings, serving)


def _ignored_flags(context: click.Context) -> list[str]:
    """The flags without meaning that were given."""
    return [
        option.opts[0]
        for option in context.command.params
        if option.opts[0] in _WITHOUT_MEANING
        and context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
    ]


def _seconds(duration: str) -> float:
    from mockcloud.core import go_duration, times

    try:
        return go_duration.parse(duration) / times.SECOND
    except ValueError as error:
        raise click.ClickException(
            f'invalid argument "{duration}" for "--command-timeout" flag: {error}'
        ) from None


def _pairs(items: Iterable[str], problem: str) -> dict[str, str]:
    """`KEY=VALUE` pairs. Raises StartupError in the Temporal CLI's words."""
    from mockcloud.core.errors import StartupError

    pairs = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals:
            raise StartupError(f"{problem}: missing expected '=' in {json.dumps(item)}")
        pairs[key] = value
    return pairs


def _search_attributes(items: Iterable[str]) -> dict[str, str]:
    """Types by name; case does not matter in types. Raises StartupError."""
    from mockcloud.cloud.settings import SEARCH_ATTRIBUTE_TYPES
    from mockcloud.core.errors import StartupError

    known = {kind.lower(): kind for kind in SEARCH_ATTRIBUTE_TYPES}
    types = {}
    for name, kind in _pairs(items, "invalid search attributes").items():
        if kind.lower() not in known:
            raise StartupError(f"invalid search attribute value type {json.dumps(kind)}")
        types[name] = known[kind.lower()]
    return types


def _banner(cloud: Cloud) -> str:
    """What the Temporal CLI prints, as far as it is true here, and the addresses that it does not have."""
    from importlib.metadata import version

    from mockcloud.core.capabilities import SERVER_VERSION

    addresses = cloud.addresses()
    file = cloud.settings.database_file
    rows = {
        "Temporal Server": _friendly(addresses["namespaces"]["default"]["endpoint"]),
        "Temporal Persistence": "temporary files" if file is None else str(file),
        "Cloud Ops API": _friendly(addresses["cloud_ops"]),
    }
    rows |= {f"Region {name}": _friendly(address) for name, address in addresses["regions"].items()}
    lines = [f"{name + ':':<21} {value}" for name, value in rows.items()]
    return "\n".join([f"mockcloud {version('mockcloud')} (Server {SERVER_VERSION})", "", *lines])


def _friendly(address: str) -> str:
    host, _, port = address.rpartition(":")
    if host in {"127.0.0.1", "::1"}:
        return f"localhost:{port}"
    return f"[{host}]:{port}" if ":" in host else address
