"""Small clouds for tests: one region with its frontend, called in process or over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest

from mockcloud.core.cluster import Clusters
from mockcloud.core.errors import ServiceError
from mockcloud.core.limits import Limits
from mockcloud.core.ports import Ports
from mockcloud.engine.region import Region
from mockcloud.frontend.methods import METHODS, SERVICES, WORKFLOW_SERVICE
from mockcloud.frontend.service import Frontend
from mockcloud.frontend.settings import FrontendSettings
from mockcloud.rpc.health import Health
from mockcloud.rpc.memory_transport import MemoryPeers
from mockcloud.rpc.methods import Call, serve_services
from mockcloud.rpc.server import Server
from mockcloud.rpc.transport import NO_METADATA, Handlers
from mockcloud.store.database import Store

M = TypeVar("M", bound=Message)

DAY = Duration(seconds=86_400)


@dataclass(frozen=True, slots=True)
class Site:
    """A region and its frontend, called in process."""

    region: Region
    frontend: Frontend

    async def ask(
        self,
        request: Message,
        kind: type[M],
        *,
        timeout: float | None = 10.0,
        metadata: Mapping[str, str] = NO_METADATA,
    ) -> M:
        """`call`, with the type of the answer."""
        response = await self.call(request, timeout=timeout, metadata=metadata)
        assert isinstance(response, kind)
        return response

    async def call(
        self, request: Message, *, timeout: float | None = 10.0, metadata: Mapping[str, str] = NO_METADATA
    ) -> Message:
        """The answer of the method whose request this is; raises its ServiceError."""
        name = type(request).DESCRIPTOR.name.removesuffix("Request")
        method = METHODS[f"/{WORKFLOW_SERVICE.full_name}/{name}"]
        call = Call(
            WORKFLOW_SERVICE.full_name,
            name,
            method.full_name,
            request.SerializeToString(),
            metadata,
            timeout,
        )
        return method.response_type.FromString(await self.frontend.dispatch(call))

    async def register(self, namespace: str) -> None:
        """Make a namespace, active here."""
        await self.call(
            RegisterNamespaceRequest(namespace=namespace, workflow_execution_retention_period=DAY)
        )


async def refusal(answer: Awaitable[object]) -> ServiceError | None:
    """The error that a call was answered with; None: it was served."""
    try:
        await answer
    except ServiceError as error:
        return error
    return None


async def parked(site: Site, count: int = 1) -> None:
    """Return once `count` polls wait in this region."""
    await _turns(lambda: _polls(site) >= count)


async def unparked(site: Site) -> None:
    """Return once no poll waits in this region."""
    await _turns(lambda: _polls(site) == 0)


def _polls(site: Site) -> int:
    return sum(map(len, site.region.matching._polls.values()))


async def _turns(condition: Callable[[], bool]) -> None:
    """Let the event loop turn until `condition` holds: there is nothing to be woken by."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


class Sites(dict[str, Site]):
    """Regions that reach each other in memory."""

    def __init__(self, peers: MemoryPeers) -> None:
        super().__init__()
        self._peers = peers

    def cut(self, region: str) -> None:
        """From now on nobody reaches `region`."""
        self._peers.kill(region)


@asynccontextmanager
async def open_sites(
    directory: Path,
    regions: tuple[str, ...] = ("A",),
    *,
    limits: Limits | None = None,
    settings: FrontendSettings | None = None,
) -> AsyncIterator[Sites]:
    """Regions that reach each other in memory. Nothing replicates between them."""
    peers = MemoryPeers()
    clusters = Clusters.of(regions)
    sites = Sites(peers)
    try:
        for name in regions:
            store = await Store.open(directory / f"{name}.sqlite", durable=False)
            region = await Region.open(name, clusters, store, Ports(), limits)
            frontend = Frontend(region, peers.transport(), settings)
            handlers = Handlers()
            handlers.services(SERVICES, frontend.dispatch)
            peers.serve(name, handlers)
            sites[name] = Site(region, frontend)
            await region.start()
        yield sites
    finally:
        for name, site in sites.items():
            peers.kill(name)
            await site.region.close()


@asynccontextmanager
async def grpc_address(site: Site) -> AsyncIterator[str]:
    """The region's public services on a port of their own."""
    server = Server(
        [
            serve_services(SERVICES, site.frontend.dispatch, message_bytes=site.region.limits.message_bytes),
            Health(service.full_name for service in SERVICES).methods(),
        ]
    )
    server.bind()
    await server.start()
    try:
        yield server.address
    finally:
        await server.kill()
