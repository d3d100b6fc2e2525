"""What the commands that talk to a running cloud have in common."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from mockcloud.cli.addresses import address

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_CLOUD = "127.0.0.1:7243"


def _api_key(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"[!-~]*", value):
        raise click.BadParameter(
            "an API key has no blanks and no characters beyond ASCII", context, parameter
        )
    return value


def talks_to_cloud(function: F) -> F:
    """Give a command `--cloud` and `-o`, and hand it a Connection as its first argument."""

    @click.option(
        "--cloud",
        envvar="MOCKCLOUD",
        default=DEFAULT_CLOUD,
        show_default=True,
        callback=address,
        metavar="HOST:PORT",
        help="Cloud Ops address.",
    )
    @click.option(
        "--api-key",
        envvar="MOCKCLOUD_API_KEY",
        default="",
        callback=_api_key,
        metavar="KEY",
        help="Where the cloud asks for one.",
    )
    @click.option("--tls-ca", envvar="MOCKCLOUD_TLS_CA", metavar="FILE", help="Use TLS, and trust this CA.")
    @click.option("--tls-cert", envvar="MOCKCLOUD_TLS_CERT", metavar="FILE", help="Where it asks for one.")
    @click.option("--tls-key", envvar="MOCKCLOUD_TLS_KEY", metavar="FILE", help="Of the certificate.")
    @click.option("--output", "-o", type=click.Choice(["text", "json"]), default="text", show_default=True)
    @functools.wraps(function)
    def command(
        cloud: str,
        api_key: str,
        tls_ca: str | None,
        tls_cert: str | None,
        tls_key: str | None,
        output: str,
        **arguments: Any,
    ) -> None:
        from mockcloud.cli.client import Connection
        from mockcloud.cli.tls import ClientTls

        tls = ClientTls(tls_ca, tls_cert, tls_key)
        function(Connection(cloud, api_key, tls, json_output=output == "json"), **arguments)

    return command  # type: ignore[return-value]  # click replaces it by a Command
