"""A grpc.aio server with the options that every server of the cloud needs; the one place that knows them.

The public server of a region lets connections live for a while and then asks them to come again, as the real
frontend does (common/dynamicconfig: frontend.keepAlive…): 5 minutes ± 10 %, then 70 s for calls in flight.
Between regions nothing ages. Both permit keepalive pings without calls, so that an idle client keeps its
connection.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import grpc

from mockcloud.core import times
from mockcloud.core.addresses import joined
from mockcloud.core.errors import StartupError, cannot_listen
from mockcloud.rpc.methods import GenericHandler, NothingElse
from mockcloud.rpc.tls import Tls

_INTERNET: Final = (socket.AF_INET, socket.AF_INET6)
_METADATA_BYTES: Final = 16 * 1024 * 1024  # grpc-go's limit for headers and trailers


class ServerOptions(NamedTuple):
    """How a server treats its connections. Durations are nanoseconds; tests scale them down."""

    ping_interval: int = 10 * times.SECOND  # a client may ping so often, also without calls
    connection_age: int | None = 5 * times.MINUTE  # ± 10 % by the library; None: connections do not age
    connection_age_grace: int = 70 * times.SECOND  # for the calls in flight of an aged connection

    def channel_arguments(self) -> list[tuple[str, int]]:
        """What the library calls these."""
        arguments = [
            ("grpc.so_reuseport", 0),  # otherwise a taken port would be bound silently
            ("grpc.max_receive_message_length", -1),  # `methods` has the real limit, and the real words
            ("grpc.max_send_message_length", -1),
            ("grpc.max_metadata_size", _METADATA_BYTES),
            ("grpc.absolute_max_metadata_size", _METADATA_BYTES),
            ("grpc.keepalive_permit_without_calls", 1),
            # A tenth less than promised: jitter must not make a client early whose timer is exact.
            (
                "grpc.http2.min_ping_interval_without_data_ms",
                _milliseconds(self.ping_interval) * 9 // 10,
            ),
            ("grpc.http2.max_ping_strikes", 2),
        ]
        if self.connection_age is not None:
            arguments.append(("grpc.max_connection_age_ms", _milliseconds(self.connection_age)))
            arguments.append(("grpc.max_connection_age_grace_ms", _milliseconds(self.connection_age_grace)))
        return arguments


PUBLIC: Final = ServerOptions()
PEER: Final = ServerOptions(connection_age=None)


class Server:
    """One listening address. Made, bound and started on the running event loop; stopped or killed once."""

    def __init__(self, handlers: Sequence[GenericHandler], options: ServerOptions = PUBLIC) -> None:
        self._server: Final = grpc.aio.server(
            handlers=[*handlers, NothingElse()], options=options.channel_arguments()
        )
        self._address: tuple[str, int] | None = None

    @property
    def host(self) -> str:
        return self._bound[0]

    @property
    def port(self) -> int:
        return self._bound[1]

    @property
    def address(self) -> str:
        return joined(self.host, self.port)

    @property
    def _bound(self) -> tuple[str, int]:
        if self._address is None:
            raise RuntimeError("the server is not bound yet")
        return self._address

    def bind(self, host: str = "127.0.0.1", port: int = 0, tls: Tls | None = None) -> int:
        """Takes the port (0: a free one) and returns it; connections are accepted from `start` on.

        Raises StartupError where the port is taken or the address cannot be used.
        """
        if port:
            _try_to_bind(host, port)
        try:
            if tls is None:
                bound = self._server.add_insecure_port(joined(host, port))
            else:
                bound = self._server.add_secure_port(joined(host, port), tls.credentials())
        except RuntimeError as error:
            raise StartupError(f"cannot listen on {joined(host, port)}") from error
        self._address = (host, bound)
        return bound

    async def start(self) -> None:
        """Begins to accept connections."""
        await self._server.start()

    async def stop(self, grace: float) -> None:
        """Accepts nothing more, lets calls in flight finish for `grace` seconds, then ends them."""
        await self._server.stop(grace)

    async def kill(self) -> None:
        """Ends everything at once: calls in flight fail with UNAVAILABLE, as when the process died."""
        # The library would reset each call with CANCEL, which SDKs take for the client's own wish and do not repeat.
        _cut_connections(self.port)
        await self._server.stop(None)


def _cut_connections(port: int) -> None:
    """Shuts down the server's ends of all connections to `port`, as the kernel does for a process that died."""
    for path in list(Path("/dev/fd").iterdir()):  # the library does not hand out its sockets
        descriptor = -1
        try:
            descriptor = os.dup(int(path.name))
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            with socket.socket(fileno=os.dup(descriptor)) as connection:
                if connection.family in _INTERNET and connection.getsockname()[1] == port:
                    connection.getpeername()  # the socket that listens has none
                    connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue  # closed meanwhile, or not connected
        finally:
            if descriptor >= 0:
                os.close(descriptor)


def _try_to_bind(host: str, port: int) -> None:
    """Says why a port cannot be bound: the library does not, and writes lines of its own to stderr."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise cannot_listen(host, port, error) from error


def _milliseconds(nanoseconds: int) -> int:
    return nanoseconds // times.MILLISECOND
