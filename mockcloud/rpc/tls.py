"""TLS of the public servers: certificate and key, and whose certificates clients must show."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from mockcloud.core.errors import StartupError

if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM."""

    certificate: Path  # the server's, with what is between it and its CA
    key: Path
    client_ca: Path | None = None  # clients must show a certificate of this CA; None: they need not

    def check(self) -> None:
        """Raises StartupError, one line, when they cannot be used."""
        # Each by itself: the library does not say which file it means.
        for path in (self.certificate, self.key, *((self.client_ca,) if self.client_ca else ())):
            try:
                path.read_bytes()
            except OSError as error:
                raise StartupError(f"{path} cannot be read: {error.strerror}") from error
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.certificate, self.key)
        except ssl.SSLError as error:
            raise StartupError(f"{self.certificate} and {self.key} are no certificate and its key") from error
        if self.client_ca is not None:
            try:
                context.load_verify_locations(self.client_ca)
            except ssl.SSLError as error:
                raise StartupError(f"{self.client_ca} is no certificate") from error

    def credentials(self) -> grpc.ServerCredentials:
        """As a gRPC server takes them."""
        return grpc.ssl_server_credentials(
            [(self.key.read_bytes(), self.certificate.read_bytes())],
            root_certificates=self.client_ca.read_bytes() if self.client_ca else None,
            require_client_auth=self.client_ca is not None,
        )

    def uvicorn_options(self) -> dict[str, Any]:
        """As uvicorn's configuration takes them."""
        return {
            "ssl_certfile": self.certificate,
            "ssl_keyfile": self.key,
            "ssl_ca_certs": str(self.client_ca) if self.client_ca else None,
            "ssl_cert_reqs": ssl.CERT_REQUIRED if self.client_ca else ssl.CERT_NONE,
        }
