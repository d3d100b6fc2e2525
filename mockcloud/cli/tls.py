"""TLS of the commands: the files that they are given, and what a cloud that no call reaches wants of them."""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    import grpc

_SECONDS: Final = 2.0  # of patience with a connection that only looks


@dataclass(frozen=True, slots=True)
class ClientTls:
    """Files in PEM: the CA that is trusted, certificate and key to show. Without a CA there is no TLS."""

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None

    def credentials(self) -> grpc.ChannelCredentials | None:
        """As a gRPC channel takes them; None: without TLS.

        Raises:
            ClickException: they cannot be used; the library would end the process over some of that.
        """
        import grpc

        if (self.certificate is None) != (self.key is None):
            raise click.ClickException("a certificate is shown with its key: --tls-cert and --tls-key")
        if self.ca is None:
            if self.certificate is not None:
                raise click.ClickException("a certificate is shown over TLS: with --tls-ca")
            return None
        try:
            ca, certificate, key = (
                Path(name).read_bytes() if name else None for name in (self.ca, self.certificate, self.key)
            )
        except OSError as error:
            raise click.ClickException(f"{error.filename} cannot be read: {error.strerror}") from None
        self._context()
        return grpc.ssl_channel_credentials(ca, key, certificate)

    def why_unreached(self, address: str) -> str | None:
        """What keeps calls from a cloud at HOST:PORT, seen by a connection that only looks; None: it cannot be told."""
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        try:
            connection = socket.create_connection((host, int(port)), _SECONDS)
        except (OSError, ValueError):
            return None
        with connection:
            try:
                with self._context().wrap_socket(connection, server_hostname=host) as secure:
                    return self._wanted(address, served=_is_greeted(secure))
            except ssl.SSLCertVerificationError as error:
                return (
                    f"the certificate of the cloud at {address} is not to be trusted: {error.verify_message}"
                )
            except ssl.SSLError:
                return f"the cloud at {address} speaks no TLS: leave out --tls-ca" if self.ca else None
            except OSError:
                return None

    def _wanted(self, address: str, *, served: bool) -> str | None:
        certificate = "" if served else "a certificate, by --tls-cert and --tls-key"
        if self.ca is None:
            return f"the cloud at {address} speaks TLS: name its CA with --tls-ca" + (
                f", and show {certificate}" if certificate else ""
            )
        if served:
            return None
        if self.certificate is None:
            return f"the cloud at {address} wants to be shown {certificate}"
        return f"the cloud at {address} does not take the certificate in {self.certificate}"

    def _context(self) -> ssl.SSLContext:
        """What these files come to; without a CA, one that trusts anybody, to look only."""
        if self.ca is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        else:
            try:
                context = ssl.create_default_context(cafile=self.ca)
            except ssl.SSLError:
                raise click.ClickException(f"{self.ca} is no certificate") from None
            if self.certificate is not None:
                try:
                    context.load_cert_chain(self.certificate, self.key)
                except ssl.SSLError:
                    raise click.ClickException(
                        f"{self.certificate} and {self.key} are no certificate and its key"
                    ) from None
        context.set_alpn_protocols(["h2"])
        return context


def _is_greeted(connection: ssl.SSLSocket) -> bool:
    """Whether the server goes on after the handshake: it begins, unless it misses the client's certificate."""
    with contextlib.suppress(OSError):
        return connection.recv(1) != b""
    return False
