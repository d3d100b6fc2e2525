"""The Transport port: one region's way to its peers, by region name and full method name, in bytes.

Everything that crosses between regions goes through it; link faults live in a wrapper of it
(`faulty_transport`), so that the in-memory form meets them as well as the gRPC one. It must never know what
the bytes mean.

Rules that both forms keep:
- Errors are `ServiceError`s; a peer that is down or cannot be reached is `Unavailable`.
- `unary` that is cancelled cancels the handler at the peer, too.
- Messages of a stream arrive in order, once each, with back-pressure. One task sends and one task receives at
  a time. A cancelled `send` or `receive` may end the stream.
- The caller's `close` says that it sends nothing more: the handler's `receive` gives None, the handler
  returns, and with that the caller's `receive` gives None. A handler that does not return within a second is
  cancelled.
- A handler ends the stream by returning; its `close` says that it neither sends nor receives any more.
- When the peer is killed, the caller's `receive` gives None or raises `Unavailable`, and `send` raises it.
  When the caller is gone, the handler is cancelled or its `receive` gives None.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

from google.protobuf.descriptor import ServiceDescriptor

from mockcloud.core.errors import Unimplemented
from mockcloud.rpc.methods import Call, Dispatch, split

NO_METADATA: Final[Mapping[str, str]] = MappingProxyType({})
CLOSE_GRACE: Final = 1.0  # seconds that a handler has to return after its caller's close


class Stream(Protocol):
    """One bidirectional stream, seen from one of its ends."""

    async def send(self, message: bytes) -> None:
        """Hands a message over; waits while the other end is too slow. Unavailable when it has ended."""
        ...

    async def receive(self) -> bytes | None:
        """The next message; None when the stream has ended, Unavailable when it was cut off."""
        ...

    async def close(self) -> None:
        """Sends nothing more; see the module's rules. A second close does nothing."""
        ...


class Transport(Protocol):
    """One region's way to its peers."""

    async def unary(
        self,
        peer: str,
        method: str,
        request: bytes,
        *,
        metadata: Mapping[str, str] = NO_METADATA,
        timeout: float | None = None,
    ) -> bytes:
        """Calls `method` ("/package.Service/Method") at region `peer`; `timeout` in seconds.

        Raises the ServiceError that the peer answered, detail included; Unavailable when it cannot be
        reached; DeadlineExceeded after `timeout`.
        """
        ...

    async def stream(self, peer: str, method: str, *, metadata: Mapping[str, str] = NO_METADATA) -> Stream:
        """Opens a stream to `method` at region `peer`. Unavailable when that is known not to be possible.

        That the peer cannot be reached, or does not serve the method, may as well come from the first
        `receive`.
        """
        ...

    async def close(self) -> None:
        """Ends all calls and streams that went this way."""
        ...


UnaryHandler: TypeAlias = Callable[[bytes, Mapping[str, str], float | None], Awaitable[bytes]]
"""(request, metadata, seconds that the caller waits or None) -> response; raises ServiceError."""

StreamHandler: TypeAlias = Callable[[Stream, Mapping[str, str]], Awaitable[None]]
"""Serves one stream and returns when it is over; a ServiceError ends it with that error at the caller."""


class Handlers:
    """What a region serves to its peers, by full method name, whatever the transport."""

    def __init__(self) -> None:
        self._unary: Final[dict[str, UnaryHandler]] = {}
        self._streams: Final[dict[str, StreamHandler]] = {}
        self._whole: Final[dict[str, tuple[ServiceDescriptor, Dispatch]]] = {}  # services, by full name

    def unary(self, method: str, handler: UnaryHandler) -> None:
        """Serves a unary method."""
        self._unary[self._free(method)] = handler

    def stream(self, method: str, handler: StreamHandler) -> None:
        """Serves a bidirectional stream."""
        self._streams[self._free(method)] = handler

    def services(self, services: Iterable[ServiceDescriptor], dispatch: Dispatch) -> None:
        """Serves every method of `services` by `dispatch`, as `methods.serve_services` does for clients."""
        for service in services:
            if service.full_name in self.service_names:
                raise ValueError(f"{service.full_name} is served already")
            self._whole[service.full_name] = service, dispatch

    @property
    def service_names(self) -> set[str]:
        """The full names of services that have a method here."""
        return {split(method)[0] for method in (*self._unary, *self._streams)} | self._whole.keys()

    def find_unary(self, method: str) -> UnaryHandler:
        """The handler of a unary method, else Unimplemented in grpc-go's words."""
        handler = self.unary_of(method)
        if handler is None:
            raise self._unknown(method)
        return handler

    def unary_of(self, method: str) -> UnaryHandler | None:
        """The handler of a unary method, if there is one."""
        handler = self._unary.get(method)
        if handler is None and (whole := self._whole.get(split(method)[0])) is not None:
            service, dispatch = whole
            if split(method)[1] in service.methods_by_name:
                handler = self._unary[method] = _dispatched(method, dispatch)
        return handler

    def find_stream(self, method: str) -> StreamHandler:
        """The handler of a stream, else Unimplemented in grpc-go's words."""
        handler = self.stream_of(method)
        if handler is None:
            raise self._unknown(method)
        return handler

    def stream_of(self, method: str) -> StreamHandler | None:
        """The handler of a stream, if there is one."""
        return self._streams.get(method)

    def _free(self, method: str) -> str:
        if method.count("/") != 2 or not method.startswith("/"):
            raise ValueError(f"not a full method name: {method!r}")
        if method in self._unary or method in self._streams or split(method)[0] in self._whole:
            raise ValueError(f"{method} is served already")
        return method

    def _unknown(self, method: str) -> Unimplemented:
        service, name = split(method)
        if service in self.service_names:
            return Unimplemented(f"unknown method {name} for service {service}")
        return Unimplemented(f"unknown service {service}")


def _dispatched(name: str, dispatch: Dispatch) -> UnaryHandler:
    service, method = split(name)

    async def serve(request: bytes, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        return await dispatch(Call(service, method, name, request, metadata, timeout, "peer"))

    return serve
