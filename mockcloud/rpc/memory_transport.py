"""The Transport port without a network: calls the peers' `Handlers` directly, with the same rules.

For tests, and for the simulation of a cloud under a seeded scheduler.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Final

from mockcloud.core.errors import ServiceError, Unavailable
from mockcloud.rpc.errors import deadline_exceeded, service_error
from mockcloud.rpc.transport import CLOSE_GRACE, NO_METADATA, Handlers, Stream

_BUFFERED: Final = 256  # messages of one direction on their way, before its sender has to wait


class MemoryPeers:
    """The regions that can be reached, and what each of them has in flight."""

    def __init__(self) -> None:
        self._handlers: Final[dict[str, Handlers]] = {}
        self._running: Final[dict[str, set[asyncio.Task[bytes]]]] = {}
        self._sessions: Final[dict[str, set[_Session]]] = {}

    def serve(self, peer: str, handlers: Handlers) -> None:
        """From now on `peer` answers."""
        if peer in self._handlers:
            raise ValueError(f"{peer} is served already")
        self._handlers[peer] = handlers
        self._running[peer] = set()
        self._sessions[peer] = set()

    def kill(self, peer: str) -> None:
        """Cuts off everything that `peer` is serving; it cannot be reached until it is served again."""
        self._handlers.pop(peer, None)
        for task in self._running.pop(peer, ()):
            task.cancel()
        for session in tuple(self._sessions.pop(peer, ())):
            session.cut(_lost(peer))

    def transport(self) -> MemoryTransport:
        """A way to these peers."""
        return MemoryTransport(self)

    def find(self, peer: str) -> Handlers:
        """What `peer` serves; Unavailable when it is down."""
        handlers = self._handlers.get(peer)
        if handlers is None:
            raise _lost(peer)
        return handlers

    def track(self, peer: str, task: asyncio.Task[bytes]) -> None:
        running = self._running[peer]
        running.add(task)
        task.add_done_callback(running.discard)

    def track_session(self, peer: str, session: _Session) -> None:
        sessions = self._sessions[peer]
        sessions.add(session)
        session.task.add_done_callback(lambda _: sessions.discard(session))


class MemoryTransport:
    """One region's way to its peers within the process."""

    def __init__(self, peers: MemoryPeers) -> None:
        self._peers: Final = peers
        self._running: Final[set[asyncio.Task[bytes]]] = set()
        self._sessions: Final[set[_Session]] = set()

    async def unary(
        self,
        peer: str,
        method: str,
        request: bytes,
        *,
        metadata: Mapping[str, str] = NO_METADATA,
        timeout: float | None = None,
    ) -> bytes:
        handler = self._peers.find(peer).find_unary(method)

        async def serve() -> bytes:
            return await handler(request, dict(metadata), timeout)

        task = asyncio.get_running_loop().create_task(serve())
        self._peers.track(peer, task)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                return await task
        except asyncio.CancelledError:
            own = asyncio.current_task()
            if own is not None and own.cancelling():
                raise
            raise _lost(peer) from None
        except TimeoutError as error:
            raise (deadline_exceeded() if limit.expired() else service_error(error, method)) from None
        except Exception as error:  # noqa: BLE001 - the border: whatever it is, it gets a status
            raise service_error(error, method) from None

    async def stream(self, peer: str, method: str, *, metadata: Mapping[str, str] = NO_METADATA) -> Stream:
        handler = self._peers.find(peer).find_stream(method)
        session = _Session(peer, method)

        async def serve() -> None:
            await handler(session.serving, dict(metadata))

        session.start(asyncio.get_running_loop().create_task(serve()))
        self._peers.track_session(peer, session)
        self._sessions.add(session)
        session.task.add_done_callback(lambda _: self._sessions.discard(session))
        return session.calling

    async def close(self) -> None:
        """Cuts off what went this way, at both ends."""
        for task in tuple(self._running):
            task.cancel()
        for session in tuple(self._sessions):
            session.cut(Unavailable('connection error: desc = "transport: closed"'))


class _Session:
    """One stream: two directions, two ends, and the task that serves it."""

    task: asyncio.Task[None]

    def __init__(self, peer: str, method: str) -> None:
        self._peer: Final = peer
        self._method: Final = method
        self._requests: Final = _Direction()
        self._answers: Final = _Direction()
        self.calling: Final = _CallerEnd(self, self._requests, self._answers)
        self.serving: Final = _HandlerEnd(self._answers, self._requests)

    def start(self, task: asyncio.Task[None]) -> None:
        self.task = task
        task.add_done_callback(self._served)

    def cut(self, error: ServiceError) -> None:
        """Ends the stream in the middle: what is on its way is lost."""
        self._requests.cut(error)
        self._answers.cut(error)
        self.task.cancel()

    def give_up(self) -> None:
        """Cancels a handler that should have returned by now."""
        timer = asyncio.get_running_loop().call_later(CLOSE_GRACE, self.task.cancel)
        self.task.add_done_callback(lambda _: timer.cancel())

    def _served(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        self._requests.cut(_lost(self._peer))
        self._answers.end(None if error is None else service_error(error, self._method))


class _Direction:
    """Messages on their way from one end to the other."""

    def __init__(self) -> None:
        self._messages: Final[deque[bytes]] = deque()
        self._ended = False
        self._error: ServiceError | None = None
        self._readable: Final = asyncio.Event()
        self._writable: Final = asyncio.Event()

    async def put(self, message: bytes) -> None:
        while len(self._messages) >= _BUFFERED and not self._ended:
            self._writable.clear()
            await self._writable.wait()
        if self._ended:
            raise self._error or Unavailable("the stream has ended")
        self._messages.append(message)
        self._readable.set()

    async def get(self) -> bytes | None:
        while not self._messages and not self._ended:
            self._readable.clear()
            await self._readable.wait()
        if self._messages:
            self._writable.set()
            return self._messages.popleft()
        if self._error is not None:
            raise self._error
        return None

    def end(self, error: ServiceError | None = None) -> None:
        """Nothing more comes; what is on its way still arrives."""
        if not self._ended:
            self._ended = True
            self._error = error
        self._readable.set()
        self._writable.set()

    def cut(self, error: ServiceError) -> None:
        """Nothing more arrives."""
        self._messages.clear()
        self.end(error)


class _CallerEnd:
    """The caller's end of a stream."""

    def __init__(self, session: _Session, outgoing: _Direction, incoming: _Direction) -> None:
        self._session: Final = session
        self._outgoing: Final = outgoing
        self._incoming: Final = incoming
        self._closed = False

    async def send(self, message: bytes) -> None:
        await self._outgoing.put(message)

    async def receive(self) -> bytes | None:
        return await self._incoming.get()

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._outgoing.end()
            self._session.give_up()


class _HandlerEnd:
    """The serving end of a stream."""

    def __init__(self, outgoing: _Direction, incoming: _Direction) -> None:
        self._outgoing: Final = outgoing
        self._incoming: Final = incoming

    async def send(self, message: bytes) -> None:
        await self._outgoing.put(message)

    async def receive(self) -> bytes | None:
        return await self._incoming.get()

    async def close(self) -> None:
        self._outgoing.end()
        self._incoming.end()


def _lost(peer: str) -> ServiceError:
    return Unavailable(f'connection error: desc = "transport: no connection to {peer}"')
