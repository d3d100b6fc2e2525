"""A listening HTTP address whose server is loaded when the first connection comes: starting must not wait for it.

The port is taken at once, and connections wait in the kernel's queue until uvicorn runs, which takes some hundredths of
a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from mockcloud.core.errors import cannot_listen

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from mockcloud.rpc.tls import Tls

_BACKLOG: Final = 128
# How long answers in flight may take to end when the server stops.
_GRACE_SECONDS: Final = 0.2


class HttpServer:
    """One address. Made, bound and started on the running event loop; stopped once.

    Args:
        application: makes the ASGI application, on the first connection.
        tls: without it, it is plain HTTP.
    """

    def __init__(self, application: Callable[[], ASGIApp], tls: Tls | None = None) -> None:
        self._application: Final = application
        self._tls: Final = tls
        self._socket: socket.socket | None = None
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None

    def bind(self, host: str, port: int) -> None:
        """Take the port (0: a free one). StartupError: it is taken, or the address cannot be used."""
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self._socket = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
        except OSError as error:
            raise cannot_listen(host, port, error) from error
        self._socket.setblocking(False)

    @property
    def port(self) -> int:
        """The port that is taken."""
        assert self._socket is not None, "the server is bound"
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Begin to accept connections."""
        assert self._socket is not None, "the server is bound"
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._first_connection)

    def _first_connection(self) -> None:
        assert self._socket is not None, "the server is bound"
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        server = self._server = _server(self._application(), self._tls)
        self._serving = asyncio.create_task(server.serve(sockets=[self._socket]), name="http")

    async def stop(self) -> None:
        """Accept nothing more, let answers in flight end for a moment, and cut what does not, as a stream."""
        if self._socket is None:
            return
        if self._server is None or self._serving is None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
        else:
            self._server.should_exit = True
            await asyncio.wait({self._serving}, timeout=_GRACE_SECONDS)
            for connection in list(self._server.server_state.connections):
                connection.transport.abort()  # what answers it hears that the client has gone
            await self._serving
        self._socket.close()


def _server(application: ASGIApp, tls: Tls | None) -> uvicorn.Server:
    import uvicorn

    class Server(uvicorn.Server):
        """Signals are handled by whoever runs the cloud."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Server(
        uvicorn.Config(
            application,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            **(tls.uvicorn_options() if tls is not None else {}),
        )
    )
