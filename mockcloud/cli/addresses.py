"""Options that name an address."""

from __future__ import annotations

import re

import click


def host_and_port(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, int] | None:
    """The parts of HOST:PORT. BadParameter: it is something else."""
    if value is None:
        return None
    host, _, port = value.rpartition(":")
    if not re.fullmatch(r"[^\s/]+", host) or not port.isdecimal() or not 0 < int(port) <= 65535:
        raise click.BadParameter(f"not HOST:PORT: {value!r}", context, parameter)
    return host, int(port)


def address(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """HOST:PORT as it was given. BadParameter: it is something else."""
    host_and_port(context, parameter, value)
    return value
