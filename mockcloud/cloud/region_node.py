"""One region put together: database, engine, replication, frontend, and its two servers.

The public server is what endpoints lead to. The peer server is for the other regions and the control plane:
replication, the region's admin service and forwarded calls. The ports of both are free ones each time.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from temporalio.api.operatorservice.v1 import service_pb2 as operator_service
from temporalio.api.workflowservice.v1 import service_pb2 as workflow_service

from mockcloud.cloud.fault_ends import DATABASE, FRONTEND
from mockcloud.cloud.guards import Guards
from mockcloud.cloud.settings import CloudSettings
from mockcloud.core import times
from mockcloud.core.cluster import Clusters
from mockcloud.core.ports import Ports
from mockcloud.endpoints.proxy import Address
from mockcloud.engine.region import Region
from mockcloud.frontend.admin import RegionAdmin
from mockcloud.frontend.calls import CallMeter
from mockcloud.frontend.service import Frontend
from mockcloud.frontend.settings import FrontendSettings, HandoverPolicy, PassivePolls, RedirectionPolicy
from mockcloud.replication.service import Replication
from mockcloud.rpc.faults import Links, LinkState
from mockcloud.rpc.faulty_transport import FaultyTransport
from mockcloud.rpc.grpc_transport import GrpcTransport, serve_handlers
from mockcloud.rpc.health import Health
from mockcloud.rpc.methods import Dispatch, serve_services
from mockcloud.rpc.reflection import reflection
from mockcloud.rpc.server import PEER, Server, ServerOptions
from mockcloud.rpc.transport import Handlers
from mockcloud.store.database import Store

SERVICES = (
    workflow_service.DESCRIPTOR.services_by_name["WorkflowService"],
    operator_service.DESCRIPTOR.services_by_name["OperatorService"],
)

# How long calls in flight may take to end when a region closes in good order.
CLOSE_GRACE_SECONDS = 0.1


class RegionNode:
    """A running region. Made by `start`; ends by `close` or, as a crash would end it, by `kill`."""

    def __init__(
        self,
        name: str,
        region: Region,
        store: Store,
        transport: FaultyTransport,
        replication: Replication,
        servers: tuple[Server, Server],
    ) -> None:
        self.name = name
        self.region = region
        self.replication = replication
        self._store = store
        self._transport = transport
        self._public, self._peer = servers

    @property
    def address(self) -> Address:
        """Of the public server, which is another one after each start; endpoints lead to it."""
        return self._public.host, self._public.port

    @property
    def peer_address(self) -> str:
        """HOST:PORT of the peer server."""
        return self._peer.address

    @classmethod
    async def start(
        cls,
        name: str,
        path: Path,
        *,
        settings: CloudSettings,
        clusters: Clusters,
        links: Links,
        peer_address: Callable[[str], str | None],
        rng: random.Random,
        guards: Guards | None = None,
    ) -> RegionNode:
        """Open the database, recover what is in it, and serve.

        Raises:
            StartupError: the database cannot be used.
        """
        disk = partial(commit_faults, links.direction(DATABASE, name), links.rng)
        store = await Store.open(path, durable=settings.durable, disk=disk)
        try:
            region = await Region.open(name, clusters, store, Ports(rng=rng), settings.limits)
            region.namespaces.account = settings.account
            transport = FaultyTransport(GrpcTransport(peer_address), name, links)
            replication = Replication(region, transport, links=links)
            calls = CallMeter(links.direction(FRONTEND, name), links.rng)
            frontend = Frontend(
                region,
                transport,
                FrontendSettings(
                    handover=HandoverPolicy(settings.handover),
                    redirection=RedirectionPolicy(settings.redirection),
                    passive_polls=PassivePolls(settings.passive_polls),
                    unforwarded_polls=PassivePolls(settings.unforwarded_polls),
                ),
                calls,
            )
            handlers = Handlers()
            replication.register(handlers)
            RegionAdmin(region, replication, calls).register(handlers)
            handlers.services(SERVICES, frontend.dispatch)
            dispatch: Dispatch = frontend.dispatch
            if guards is not None:
                dispatch = guards.region(region.namespaces, dispatch)
            public = Server(
                [
                    serve_services(SERVICES, dispatch, message_bytes=settings.limits.message_bytes),
                    Health([service.full_name for service in SERVICES]).methods(),
                    reflection(SERVICES),
                ],
                ServerOptions(
                    connection_age=int(settings.connection_age * times.SECOND),
                    connection_age_grace=int(settings.connection_grace * times.SECOND),
                ),
            )
            peer = Server([serve_handlers(handlers)], PEER)
            public.bind(settings.host, 0, settings.tls)
            peer.bind()  # on the loopback address only: it asks nobody for a key
        except BaseException:
            await store.close()
            raise
        node = cls(name, region, store, transport, replication, (public, peer))
        await region.start()
        await peer.start()
        await public.start()
        # A peer that is not up yet is tried again, soon.
        await replication.start()
        return node

    async def close(self) -> None:
        """End in good order: everything that was answered is stored, and so are the replication positions."""
        await asyncio.gather(self._public.stop(CLOSE_GRACE_SECONDS), self._peer.stop(CLOSE_GRACE_SECONDS))
        await self.replication.stop()
        await self.region.close()
        await self._transport.close()
        await self._store.close()

    async def kill(self) -> None:
        """End as a crash would: the fence first, then servers without grace, then tasks.

        Returns when the database file and the port are free again.
        """
        self._store.kill()
        self.region.kill()
        self.replication.kill()
        await asyncio.gather(self._public.kill(), self._peer.kill())
        await self._transport.close()
        await self._store.wait_closed()


def commit_faults(way: LinkState, rng: random.Random) -> Coroutine[Any, Any, None] | None:
    """What is wrong with a region's disk at a commit, if anything is."""
    return None if way.clear else _commit_fault(way, rng)


async def _commit_fault(way: LinkState, rng: random.Random) -> None:
    if way.cut or rng.random() < way.drop:
        raise sqlite3.OperationalError("disk I/O error")
    changed = asyncio.Event()
    unwatch = way.watch(changed.set)
    try:
        async with asyncio.timeout(way.delay):
            await changed.wait()  # a disk that is well again lets go of what waits
    except TimeoutError:
        pass
    finally:
        unwatch()
