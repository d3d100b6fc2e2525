"""A TCP proxy: one fixed address in front of a target that may change.

The namespace endpoint is one whose target is the active region. It follows a failover as DNS does: new
connections go to the new target, existing ones stay where they are. A regional endpoint is one whose target
is a region, which has a new port after a restart. It must never look into what passes, and never keep more of
it than is on its way: a slow reader slows the writer at the other end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeAlias, cast

from mockcloud.core.errors import cannot_listen

Address: TypeAlias = tuple[str, int]

_CLOSE_GRACE: Final = 1.0  # seconds for a client to take what is on its way when the endpoint closes


class NamespaceEndpoint:
    """Listens on `host`:`port` (0: a free one) and connects each client to what `target` says at that moment.

    `target` gives None while there is nobody to connect to: the client's connection is then closed at once,
    as it is when the target refuses.
    """

    def __init__(self, target: Callable[[], Address | None], host: str = "127.0.0.1", port: int = 0) -> None:
        self._target: Final = target
        self._host: Final = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._connections: Final[set[_Client]] = set()
        self._gone: asyncio.Future[None] | None = None

    @property
    def port(self) -> int:
        """The port that clients dial, known after `start`."""
        return self._port

    @property
    def address(self) -> str:
        return f"{self._host}:{self._port}"

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def start(self) -> int:
        """Begins to listen and returns the port. StartupError when it is taken."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: _Client(self._target, self._connections, self._left),
                self._host,
                self._port,
                backlog=512,
            )
        except OSError as error:
            raise cannot_listen(self._host, self._port, error) from error
        self._port = self._server.sockets[0].getsockname()[1]
        return self._port

    async def close(self) -> None:
        """Stops listening and closes all connections, after what has been received is passed on.

        A client that does not take it within a second is reset.
        """
        self._stop_listening()
        if not self._connections:
            return
        self._gone = asyncio.get_running_loop().create_future()
        for client in tuple(self._connections):
            client.close()
        try:
            async with asyncio.timeout(_CLOSE_GRACE):
                await self._gone
        except TimeoutError:
            self.kill()

    def kill(self) -> None:
        """Stops listening and resets all connections."""
        self._stop_listening()
        for client in tuple(self._connections):
            client.abort()

    def _left(self, client: _Client) -> None:
        self._connections.discard(client)
        if self._gone is not None and not self._connections and not self._gone.done():
            self._gone.set_result(None)

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None


class _Side(asyncio.Protocol):
    """One of the two connections of a pair. What it receives goes to `other`."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None
        self.ended = False  # it has said that it sends nothing more

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        # What comes after the other side's end has nowhere to go.
        other = self.other.transport if self.other is not None else None
        if other is not None and not other.is_closing():
            other.write(data)

    def eof_received(self) -> bool:
        """Half-close: the other direction stays open until its own end."""
        self.ended = True
        if self.other is None or self.other.ended:
            return False  # both directions are over: close, and with that the other side
        other = self.other.transport
        if other is None or other.is_closing():
            return False
        other.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None:
            if exc is None:
                self.other.close()
            else:
                self.other.abort()

    def pause_writing(self) -> None:
        other = self.other.transport if self.other is not None else None
        if other is not None and not other.is_closing():
            other.pause_reading()

    def resume_writing(self) -> None:
        other = self.other.transport if self.other is not None else None
        if other is not None and not other.is_closing():
            other.resume_reading()

    def close(self) -> None:
        """Closes after everything is written."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class _Client(_Side):
    """A client's connection; it finds its target and connects the other side of the pair."""

    def __init__(
        self, target: Callable[[], Address | None], connections: set[_Client], left: Callable[[_Client], None]
    ) -> None:
        super().__init__()
        self._target: Final = target
        self._connections: Final = connections
        self._left: Final = left
        self._connecting: asyncio.Task[None] | None = None
        self._early: Final[list[bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connections.add(self)
        address = self._target()
        if address is None:
            self.abort()
            return
        self._connecting = asyncio.get_running_loop().create_task(self._connect(address))

    def connection_lost(self, exc: Exception | None) -> None:
        self._left(self)
        if self._connecting is not None:
            self._connecting.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            super().data_received(data)
            return
        # One piece is kept here and the rest by the kernel. Pausing earlier, when the connection is made, would
        # not do: uvloop begins to read after that, whatever was asked for.
        self._early.append(data)
        if self.transport is not None:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        if self.other is not None:
            return super().eof_received()
        self.ended = True
        return True

    async def _connect(self, address: Address) -> None:
        upstream = _Side()
        upstream.other = self
        try:
            await asyncio.get_running_loop().create_connection(lambda: upstream, *address)
        except OSError:
            self.abort()
            return
        transport = self.transport
        if transport is None or transport.is_closing():
            upstream.abort()
            return
        self.other = upstream
        if not self.ended:
            transport.resume_reading()  # before the rest, which may pause it again
        for data in self._early:
            super().data_received(data)
        self._early.clear()
        if self.ended and not super().eof_received():
            self.close()
