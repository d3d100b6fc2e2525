"""The Transport port over gRPC: one lazily opened channel per peer, and the serving side of `Handlers`.

A peer's address is asked for at each call, since a restarted region may listen elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, NoReturn, TypeAlias

import grpc

from mockcloud.core.errors import ServiceError, Unavailable
from mockcloud.rpc.errors import from_rpc_error
from mockcloud.rpc.methods import Context, MethodHandler, NamedMethods, guarded, metadata_of
from mockcloud.rpc.transport import (
    CLOSE_GRACE,
    NO_METADATA,
    Handlers,
    Stream,
    StreamHandler,
    UnaryHandler,
)

_CHANNEL_OPTIONS: Final = (
    # A region that comes back is found within a quarter of a second.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 250),
    ("grpc.use_local_subchannel_pool", 1),  # one region's backoff is not another's
    ("grpc.enable_http_proxy", 0),  # peers are on this machine, whatever the environment says
    ("grpc.enable_retries", 0),  # who calls decides what is tried again
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 16 * 1024 * 1024),
    ("grpc.absolute_max_metadata_size", 16 * 1024 * 1024),
)

_OWN_METADATA: Final = frozenset({"user-agent", "content-type", "te", "host"})  # gRPC writes these itself

_UnaryCallable: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"
_StreamCall: TypeAlias = "grpc.aio.StreamStreamCall[bytes, bytes]"


class GrpcTransport:
    """Calls peers at the addresses ("host:port") that `address` gives; None: that region is down."""

    def __init__(self, address: Callable[[str], str | None]) -> None:
        self._address: Final = address
        self._peers: Final[dict[str, _Peer]] = {}
        self._closing: Final[set[asyncio.Task[None]]] = set()
        self._closed = False

    async def unary(
        self,
        peer: str,
        method: str,
        request: bytes,
        *,
        metadata: Mapping[str, str] = NO_METADATA,
        timeout: float | None = None,
    ) -> bytes:
        call = self._peer(peer).unary(method)
        try:
            return await call(request, timeout=timeout, metadata=_sendable(metadata))
        except asyncio.CancelledError:
            _unless_ours(peer)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        except grpc.aio.UsageError:
            raise _lost(peer) from None

    async def stream(self, peer: str, method: str, *, metadata: Mapping[str, str] = NO_METADATA) -> Stream:
        channel = self._peer(peer).channel
        call = channel.stream_stream(method, None, None)(None, metadata=_sendable(metadata))
        return _CallerEnd(peer, call)

    async def close(self) -> None:
        """Closes all channels; what is in flight fails with Unavailable."""
        self._closed = True
        for peer in self._peers.values():
            self._retire(peer)
        self._peers.clear()
        await asyncio.gather(*self._closing)

    def _peer(self, name: str) -> _Peer:
        address = None if self._closed else self._address(name)
        if address is None:
            raise _lost(name)
        peer = self._peers.get(name)
        if peer is not None and peer.address == address:
            return peer
        if peer is not None:
            self._retire(peer)
        peer = self._peers[name] = _Peer(address)
        return peer

    def _retire(self, peer: _Peer) -> None:
        task = asyncio.get_running_loop().create_task(peer.channel.close(None))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


class _Peer:
    """One channel and the callables made on it."""

    def __init__(self, address: str) -> None:
        self.address: Final = address
        self.channel: Final = grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)
        self._unary: Final[dict[str, _UnaryCallable]] = {}

    def unary(self, method: str) -> _UnaryCallable:
        call = self._unary.get(method)
        if call is None:
            call = self._unary[method] = self.channel.unary_unary(method, None, None)
        return call


class _CallerEnd:
    """The caller's end of a stream."""

    def __init__(self, peer: str, call: _StreamCall) -> None:
        self._peer: Final = peer
        self._call: Final = call
        self._sending: Final = asyncio.Lock()  # the library takes one message at a time
        self._closed = False

    async def send(self, message: bytes) -> None:
        async with self._sending:
            if self._closed:
                raise _lost(self._peer)
            try:
                await self._call.write(message)
            except asyncio.CancelledError:
                _unless_ours(self._peer)
            except grpc.aio.AioRpcError as error:
                raise from_rpc_error(error) from None
            except (asyncio.InvalidStateError, grpc.aio.BaseError):
                raise _lost(self._peer) from None

    async def receive(self) -> bytes | None:
        try:
            message = await self._call.read()
        except asyncio.CancelledError:
            if self._closed and not _cancelling():
                return None
            _unless_ours(self._peer)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        except grpc.aio.BaseError:
            raise _lost(self._peer) from None
        return message if isinstance(message, bytes) else None

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._call.done():
            return
        async with self._sending:
            try:
                await self._call.done_writing()
            except (grpc.RpcError, asyncio.InvalidStateError, grpc.aio.BaseError):
                return  # it has ended meanwhile, which is all that was wanted
        timer = asyncio.get_running_loop().call_later(CLOSE_GRACE, self._call.cancel)
        self._call.add_done_callback(lambda _: timer.cancel())


class _HandlerEnd:
    """The serving end of a stream."""

    def __init__(self, context: Context) -> None:
        self._context: Final = context
        self._sending: Final = asyncio.Lock()
        self._closed = False

    async def send(self, message: bytes) -> None:
        async with self._sending:
            if self._closed:
                raise _lost("the caller")
            try:
                await self._context.write(message)
            except (asyncio.InvalidStateError, grpc.aio.BaseError):
                raise _lost("the caller") from None

    async def receive(self) -> bytes | None:
        if self._closed:
            return None
        try:
            message = await self._context.read()
        except (asyncio.InvalidStateError, grpc.aio.BaseError):
            raise _lost("the caller") from None
        return message if isinstance(message, bytes) else None

    async def close(self) -> None:
        self._closed = True


def serve_handlers(handlers: Handlers) -> NamedMethods:
    """Serves over gRPC what is registered in `handlers`, of the services that it has so far."""

    def find(name: str) -> MethodHandler | None:
        if (stream := handlers.stream_of(name)) is not None:
            return _stream_method(name, stream)
        if (unary := handlers.unary_of(name)) is not None:
            return _unary_method(name, unary)
        return None

    return NamedMethods(handlers.service_names, find)


def _unary_method(name: str, handler: UnaryHandler) -> MethodHandler:
    async def serve(request: bytes, context: Context) -> bytes:
        answer = handler(request, metadata_of(context), context.time_remaining())
        return await guarded(name, context, answer)

    return grpc.unary_unary_rpc_method_handler(serve)


def _stream_method(name: str, handler: StreamHandler) -> MethodHandler:
    async def serve(_requests: object, context: Context) -> None:
        await guarded(name, context, handler(_HandlerEnd(context), metadata_of(context)))

    return grpc.stream_stream_rpc_method_handler(serve)


def _sendable(metadata: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Metadata without what belongs to one connection, so that that of a received call can be passed on."""
    return tuple(
        (key, value)
        for key, value in metadata.items()
        if key not in _OWN_METADATA and not key.startswith(("grpc-", ":"))
    )


def _cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _unless_ours(peer: str) -> NoReturn:
    """A cancelled call: of our own task, or because its channel was closed under it."""
    if _cancelling():
        raise asyncio.CancelledError
    raise _lost(peer) from None


def _lost(peer: str) -> ServiceError:
    return Unavailable(f'connection error: desc = "transport: no connection to {peer}"')
