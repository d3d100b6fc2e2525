from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import grpc
import pytest

from mockcloud.rpc.methods import GenericHandler
from mockcloud.rpc.server import PEER, Server, ServerOptions

Serve = Callable[..., Awaitable[Server]]
Connect = Callable[..., grpc.aio.Channel]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts servers on free ports; killed at the end."""
    servers: list[Server] = []

    async def start(
        handlers: Sequence[GenericHandler], options: ServerOptions = PEER, port: int = 0
    ) -> Server:
        server = Server(handlers, options)
        server.bind(port=port)
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.kill()


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Opens channels; closed at the end."""
    channels: list[grpc.aio.Channel] = []

    def open_channel(address: str, **options: int) -> grpc.aio.Channel:
        arguments = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
        arguments += [(name.replace("__", "."), value) for name, value in options.items()]
        channel = grpc.aio.insecure_channel(address, options=arguments)
        channels.append(channel)
        return channel

    yield open_channel
    for channel in channels:
        await channel.close(None)
