"""Calls of the command line to a running cloud, by full method name, with errors as one line and exit code 1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

if TYPE_CHECKING:
    import grpc

M = TypeVar("M", bound=Message)

# A failover takes its graceful ten seconds at the most; killing and starting a region a moment.
TIMEOUT_SECONDS = 60.0


class NoCloud(click.ClickException):
    """Nothing answers at the address, or no longer."""


class Connection:
    """A running cloud by its Cloud Ops address, and how answers are printed.

    `tls` are files in PEM: the CA that is trusted, certificate and key to show; without the first one there is no TLS.
    """

    def __init__(
        self,
        address: str,
        api_key: str = "",
        tls: tuple[str | None, str | None, str | None] = (None, None, None),
        *,
        json_output: bool,
    ) -> None:
        self._address = address
        self._tls = tls
        self._metadata = (("authorization", f"Bearer {api_key}"),) if api_key else ()
        self.json_output = json_output

    def call(self, method: str, request: Message, answer: type[M]) -> M:
        """Call a method of CloudAdmin.

        Raises:
            ClickException: the cloud cannot be reached or refused; the text says why.
        """
        import grpc

        # Histories and reports are as long as they are.
        unlimited = [("grpc.max_receive_message_length", -1)]
        with self._channel(unlimited) as channel:
            call = channel.unary_unary(f"/mockcloud.admin.v1.CloudAdmin/{method}", None, None)
            try:
                return answer.FromString(
                    call(request.SerializeToString(), timeout=TIMEOUT_SECONDS, metadata=self._metadata)
                )
            except grpc.RpcError as error:
                code, details = error.code(), error.details() or ""
                if code is grpc.StatusCode.UNAVAILABLE and "failed to connect" in details:
                    raise NoCloud(
                        f"no cloud answers at {self._address}: start one with `mockcloud up`, or name it with --cloud"
                    ) from None
                if code is grpc.StatusCode.CANCELLED:
                    raise NoCloud(f"the cloud at {self._address} has ended") from None
                raise click.ClickException(details) from None

    def _channel(self, options: list[tuple[str, int]]) -> grpc.Channel:
        import grpc

        try:
            ca, certificate, key = (Path(name).read_bytes() if name else None for name in self._tls)
        except OSError as error:
            raise click.ClickException(f"{error.filename} cannot be read: {error.strerror}") from None
        if ca is None:
            return grpc.insecure_channel(self._address, options=options)
        credentials = grpc.ssl_channel_credentials(ca, key, certificate)
        return grpc.secure_channel(self._address, credentials, options=options)

    def print_json(self, value: object) -> None:
        """One line of JSON on standard output."""
        click.echo(json.dumps(value))


def plain(message: Message) -> dict[str, object]:
    """A message as JSON has it, with all fields and snake-case names."""
    return dict(
        MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    )
