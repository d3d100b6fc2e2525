"""Targets, an endpoint in front of them, and clients of it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

from mockcloud.endpoints.path import Path
from mockcloud.endpoints.proxy import Address, Endpoint
from mockcloud.rpc.faults import Links

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Net:
    """Targets, an endpoint in front of them, and its clients."""

    def __init__(self, limit: int = 1000) -> None:
        self.target: Address | None = None
        self.links = Links(random.Random(1))
        path = Path(self.links.direction("clients", "here"), self.links.direction("here", "clients"))
        self.endpoint = Endpoint(lambda: self.target, path=path, limit=limit)
        self.servers: list[asyncio.Server] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def listen(self, serve: Serve) -> Address:
        async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.writers.append(writer)
            with contextlib.suppress(ConnectionError):
                await serve(reader, writer)

        server = await asyncio.start_server(keep, "127.0.0.1", 0)
        self.servers.append(server)
        address: Address = server.sockets[0].getsockname()
        return address

    async def connect(self) -> Streams:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.endpoint.port)
        self.writers.append(writer)
        return reader, writer

    async def end(self) -> None:
        for writer in self.writers:
            writer.transport.abort()
        for server in self.servers:
            server.close()
        await self.endpoint.close()


def naming(name: bytes) -> Serve:
    """Answers each line with the server's name."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(name + b" " + line)

    return serve


async def ask(streams: Streams) -> bytes:
    streams[1].write(b"hello\n")
    return await streams[0].readline()


async def gone(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read(1) == b""
    except ConnectionError:
        return True
