"""A TCP proxy: one fixed address in front of a target that may change.

The namespace endpoint is one whose target is the active region. It follows a failover as DNS does: new
connections go to the new target, existing ones stay where they are, until that target is left. A regional endpoint
is one whose target is a region, which has a new port after a restart. It must never look into what passes, so that
TLS stays between client and region, and never keep more of it than is on its way.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from mockcloud.core.addresses import joined
from mockcloud.core.errors import cannot_listen
from mockcloud.endpoints.connection import Address, Client
from mockcloud.endpoints.path import OPEN, Path

__all__ = ["Address", "Endpoint"]

_LOG = logging.getLogger(__name__)

_CLOSE_GRACE: Final = 1.0  # seconds for a client to take what is on its way when the endpoint closes
DEFAULT_LIMIT: Final = 1000


class Endpoint:
    """Listens on `host`:`port` (0: a free one) and connects each client to what `target` says at that moment.

    `target` gives None while there is nobody to connect to: the client's connection is then closed at once,
    as it is when the target refuses, when `path` is cut, and when there are `limit` connections.
    """

    def __init__(
        self,
        target: Callable[[], Address | None],
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        path: Path = OPEN,
        limit: int = DEFAULT_LIMIT,
    ) -> None:
        self._target: Final = target
        self._host: Final = host
        self._port = port
        self._path: Final = path
        self._limit: Final = limit
        self._full = False
        self._server: asyncio.Server | None = None
        self._unwatch: list[Callable[[], None]] = []
        self._connections: Final[set[Client]] = set()
        self._gone: asyncio.Future[None] | None = None

    @property
    def host(self) -> str:
        return self._host

    @property
    def port(self) -> int:
        """The port that clients dial, known after `start`."""
        return self._port

    @property
    def address(self) -> str:
        return joined(self._host, self._port)

    @property
    def connections(self) -> int:
        """How many clients are connected, or on their way out."""
        return len(self._connections)

    async def start(self) -> int:
        """Begins to listen and returns the port. StartupError when it is taken."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: Client(self._path, self._target, self._admit, self._left),
                self._host,
                self._port,
                backlog=512,
            )
        except OSError as error:
            raise cannot_listen(self._host, self._port, error) from error
        self._port = self._server.sockets[0].getsockname()[1]
        self._unwatch = [way.watch(self._path_changed) for way in (self._path.there, self._path.back)]
        return self._port

    def leave(self, address: Address) -> None:
        """Closes the connections that lead to `address`, after what has been received is passed on.

        Their clients connect anew, to the target of that moment.
        """
        for client in tuple(self._connections):
            if client.address == address:
                client.end()

    async def close(self) -> None:
        """Stops listening and closes all connections, after what has been received is passed on.

        A client that does not take it within a second is reset.
        """
        self._stop_listening()
        if not self._connections:
            return
        self._gone = asyncio.get_running_loop().create_future()
        for client in tuple(self._connections):
            client.end()
        try:
            async with asyncio.timeout(_CLOSE_GRACE):
                await self._gone
        except TimeoutError:
            self.kill()

    def kill(self) -> None:
        """Stops listening and resets all connections."""
        self._stop_listening()
        self._reset()

    def _admit(self, client: Client) -> bool:
        full = len(self._connections) >= self._limit
        if full and not self._full:
            _LOG.warning(
                "%s has %d connections: more are closed at once", self.address, len(self._connections)
            )
        self._full = full
        if full or self._path.cut:
            return False
        self._connections.add(client)
        return True

    def _left(self, client: Client) -> None:
        self._connections.discard(client)
        if self._gone is not None and not self._connections and not self._gone.done():
            self._gone.set_result(None)

    def _path_changed(self) -> None:
        if self._path.cut:
            self._reset()
            return
        for client in tuple(self._connections):
            client.changed()

    def _reset(self) -> None:
        for client in tuple(self._connections):
            client.reset()

    def _stop_listening(self) -> None:
        for unwatch in self._unwatch:
            unwatch()
        self._unwatch.clear()
        if self._server is not None:
            self._server.close()
            self._server = None
