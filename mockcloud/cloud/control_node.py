"""The control plane's place: the Cloud Ops server, and the life of the control plane behind it.

The server outlives a killed control plane, because the service that starts it again is served there too.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NoReturn

from google.protobuf.message import Message

from mockcloud.cloud.admin import CloudAdmin
from mockcloud.cloud.fault_ends import CONTROL
from mockcloud.cloud.namespace_endpoints import NamespaceEndpoints
from mockcloud.cloud.settings import CloudSettings
from mockcloud.control import access, audit
from mockcloud.control.cloud_ops import CLOUD_SERVICE
from mockcloud.control.events import Tell
from mockcloud.control.identities import Identities
from mockcloud.control.mail import Mailer
from mockcloud.control.plane import ControlPlane
from mockcloud.control.reports import RegionFiles
from mockcloud.control.settings import ControlSettings
from mockcloud.control.tcld import SERVICES as TCLD_SERVICES
from mockcloud.control.tcld import Tcld
from mockcloud.core import times
from mockcloud.core.errors import ServiceError, Unavailable
from mockcloud.core.ports import Ports
from mockcloud.rpc.faults import Links
from mockcloud.rpc.faulty_transport import FaultyTransport
from mockcloud.rpc.grpc_transport import serve_handlers
from mockcloud.rpc.health import Health
from mockcloud.rpc.methods import Call, serve_services
from mockcloud.rpc.reflection import reflection
from mockcloud.rpc.server import Server, ServerOptions
from mockcloud.rpc.transport import Handlers


class ControlNode:
    """One control plane after the other, over the same file and behind the same address."""

    def __init__(
        self,
        path: Path,
        port: int,
        *,
        settings: CloudSettings,
        transport: FaultyTransport,
        links: Links,
        endpoints: NamespaceEndpoints,
        files: RegionFiles,
        admin: CloudAdmin,
        rng: random.Random,
        tell: Tell,
    ) -> None:
        self._path: Final = path
        self._settings: Final = settings
        self._transport: Final = transport
        self._endpoints: Final = endpoints
        self._files: Final = files
        self._rng: Final = rng
        self._tell: Final = tell
        self._plane: ControlPlane | None = None
        self._identities: Identities | None = None
        self._unlisten: Final = links.listen(self._link_changed)
        handlers = Handlers()
        admin.register(handlers, self._admitted if settings.api_key else None)
        self._server: Final = Server(
            [
                serve_services((CLOUD_SERVICE,), self.dispatch, message_bytes=settings.limits.message_bytes),
                serve_services(
                    TCLD_SERVICES,
                    Tcld(self.dispatch).dispatch,
                    message_bytes=settings.limits.message_bytes,
                ),
                serve_handlers(handlers),
                Health([CLOUD_SERVICE.full_name]).methods(),
                reflection((CLOUD_SERVICE,)),
            ],
            ServerOptions(
                connection_age=int(settings.connection_age * times.SECOND),
                connection_age_grace=int(settings.connection_grace * times.SECOND),
            ),
        )
        self._port: Final = port

    @property
    def up(self) -> bool:
        return self._plane is not None

    @property
    def address(self) -> str:
        """HOST:PORT of the Cloud Ops API."""
        return self._server.address

    @property
    def plane(self) -> ControlPlane:
        """The control plane that is up. Raises Unavailable."""
        if self._plane is None:
            raise Unavailable("the control plane is down")
        return self._plane

    @property
    def identities(self) -> Identities:
        """Who may call, as it was last known. Raises Unavailable before it is."""
        if self._identities is None:
            raise Unavailable("the control plane has not started yet")
        return self._identities

    async def start(self) -> None:
        """Serve, and start the control plane. Raises StartupError."""
        self._server.bind(self._settings.host, self._port, self._settings.tls)
        await self.restart()
        await self._server.start()

    async def restart(self) -> None:
        """Bring the control plane back from its database; operations in flight go on."""
        plane = ControlPlane(
            self._path,
            regions=self._settings.regions,
            transport=self._transport,
            endpoints=self._endpoints,
            files=self._files,
            ports=Ports(rng=self._rng),
            settings=ControlSettings(
                managed=self._settings.managed_failover,
                graceful=int(self._settings.failover_timeout * times.SECOND),
                retention=self._settings.retention_days * times.DAY,
                owner_key=self._settings.api_key,
                audit_file=self._settings.audit_file,
                account=self._settings.account,
                readd_block=int(self._settings.readd_days * times.DAY),
                mailer=Mailer(*self._settings.smtp) if self._settings.smtp else None,
                notify=self._settings.notify,
            ),
            tell=self._tell,
            durable=self._settings.durable,
        )
        await plane.start()
        self._plane = plane
        self._identities = plane.identities

    def region_started(self, region: str) -> None:
        """A region serves again."""
        if self._plane is not None:
            self._plane.region_started(region)

    def _link_changed(self, source: str, target: str) -> None:
        if CONTROL in {source, target} and self._plane is not None:
            self._plane.link_changed(target if source == CONTROL else source)

    async def kill(self) -> None:
        """Drop the control plane in the middle of whatever it does."""
        plane, self._plane = self._plane, None
        if plane is not None:
            await plane.kill()

    async def close(self) -> None:
        """End in good order."""
        self._unlisten()
        await self._server.stop(0.1)
        plane, self._plane = self._plane, None
        if plane is not None:
            await plane.close()
        await self._transport.close()

    @asynccontextmanager
    async def _admitted(
        self, method: str, request: Message, metadata: Mapping[str, str]
    ) -> AsyncIterator[None]:
        """Around a call of the admin service: whose key it shows, and whether they may. Refusals are audited."""
        principal = audit.UNKNOWN
        try:
            identity = self.identities.of(metadata)
            principal = identity.principal
            access.check_admin(identity)
        except ServiceError as error:
            if self._plane is not None:
                await self._plane.refused(method, principal, request, error)
            raise
        with audit.on_behalf_of(principal):
            yield

    async def dispatch(self, call: Call) -> bytes:
        """Answer one call of CloudService, however it came. Raises ServiceError."""
        return await self.plane.dispatch(call)

    async def refuse(self, call: Call, error: ServiceError) -> NoReturn:
        """Answer one call of CloudService whose request cannot be read: raises the error, or one that comes first."""
        await self.plane.refuse(call, error)
