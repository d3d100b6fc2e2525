"""The composition root: regions, links, control plane and endpoints of one cloud, on one event loop.

It chooses implementations, files and ports, and it kills and starts parts. It decides nothing about workflows or
failovers: those belong to the regions and to the control plane. What makes plain values of messages is loaded when the
first ones are asked for: the command line asks for none.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mockcloud.api.admin.v1 import cloud_admin_pb2 as admin
from mockcloud.cloud import fault_ends, search_attributes
from mockcloud.cloud.admin import CloudAdmin, fault_message
from mockcloud.cloud.control_node import ControlNode
from mockcloud.cloud.fault_ends import CLIENTS, CONTROL, DATABASE
from mockcloud.cloud.files import Files
from mockcloud.cloud.guards import Guards
from mockcloud.cloud.inquiries import Inquiries
from mockcloud.cloud.left_behind import DatabaseFiles
from mockcloud.cloud.namespace_endpoints import NamespaceEndpoints
from mockcloud.cloud.region_node import RegionNode
from mockcloud.cloud.settings import CLOUD_OPS_OFFSET, HTTP_OFFSET, CloudSettings
from mockcloud.cloud.timeline import Timeline
from mockcloud.core import enums
from mockcloud.core.addresses import joined
from mockcloud.core.cluster import Clusters
from mockcloud.core.errors import (
    FailedPrecondition,
    InvalidArgument,
    NamespaceAlreadyExists,
    Unavailable,
)
from mockcloud.core.ports import Ports
from mockcloud.endpoints.path import Path as EndpointPath
from mockcloud.endpoints.proxy import Address, Endpoint
from mockcloud.rpc.faults import Fault, Links
from mockcloud.rpc.faulty_transport import FaultyTransport
from mockcloud.rpc.grpc_transport import GrpcTransport
from mockcloud.rpc.http_server import HttpServer

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from mockcloud.cloud.failover_views import FailoverReport, Operation
    from mockcloud.cloud.operation_views import AsyncOperation
    from mockcloud.cloud.views import Status

_LOG = logging.getLogger(__name__)

_REGION_ADMIN: Final = "/mockcloud.admin.v1.RegionAdmin/"
_CALL_SECONDS: Final = 10.0
_WHO: Final = "MockCloud"


class Cloud:
    """One cloud. Made, started and closed on one event loop."""

    def __init__(self, settings: CloudSettings) -> None:
        settings = settings.with_certificates()
        settings.check()
        configured, without_effect = settings.configured()
        self.settings: Final = configured
        for key in without_effect:
            _LOG.info("dynamic config key %s is accepted and changes nothing here", key)
        # Ids are asked for with every poll: they must not cost a system call each.
        seed = settings.seed if settings.seed is not None else random.SystemRandom().getrandbits(128)
        rng = random.Random(seed)  # noqa: S311
        self._rng: Final = rng
        ports = Ports(rng=rng)
        self.timeline: Final = Timeline(ports.clock, ports.ids)
        self.links: Final = Links(rng, self._tell_fault)
        self._clusters: Final = Clusters.of(settings.regions)
        self._nodes: Final[dict[str, RegionNode]] = {}
        self._regional: Final = {
            name: self._endpoint_of(
                name, partial(self._public_address, name), self._port_after(1 + index), settings.host
            )
            for index, name in enumerate(settings.regions)
        }
        first = settings.namespaces[0] if settings.namespaces else ""
        self.endpoints: Final = NamespaceEndpoints(
            partial(self._endpoint_of, host=settings.endpoint_host or settings.host),
            {first: settings.port} if settings.port else {},
            self._public_address,
            settings.dns_ttl,
        )
        self._files: Files | None = None
        # No link, so no faults of links.
        self._transport: Final = GrpcTransport(self._peer_address)
        self.inquiries: Final = Inquiries(self._nodes, self.node, self._transport)
        self._control: ControlNode | None = None
        self.guards: Final = (
            Guards(lambda: self.control.identities, configured.account) if configured.api_key else None
        )
        self._http: Final = HttpServer(self._http_application, configured.tls)
        self._changing: Final = asyncio.Lock()

    # Life

    async def start(self) -> None:
        """Start everything, and make the namespaces of the settings that are not there yet.

        Raises:
            StartupError: a port is taken, or the data directory cannot be used or misses a database.
        """
        self._warn_of_strangers()
        enums.settle_values()
        try:
            self._files = Files.of(self.settings)
            if self.settings.port and self.settings.namespaces:
                # The one endpoint whose port was asked for: taken, it is known before anything is made.
                await self.endpoints.open(self.settings.namespaces[0], None)
            self._http.bind(self.settings.host, self._port_after(HTTP_OFFSET))
            for endpoint in self._regional.values():
                await endpoint.start()
            await self._start_nodes()
            control = ControlNode(
                self._files.database("control"),
                self._port_after(CLOUD_OPS_OFFSET),
                settings=self.settings,
                transport=FaultyTransport(GrpcTransport(self._peer_address), CONTROL, self.links),
                links=self.links,
                endpoints=self.endpoints,
                files=DatabaseFiles(self.database),
                admin=CloudAdmin(self),
                rng=self._rng,
                tell=self.timeline.tell,
            )
            self._control = control
            await control.start()
            self._files.made(self.settings.regions)
            await self._provide_namespaces()
            self.endpoints.serve()
            self._http.start()
        except BaseException:
            await self.close()
            raise

    def _warn_of_strangers(self) -> None:
        settings = self.settings
        hosts = {settings.host, settings.endpoint_host} - {""}
        strange = ", ".join(sorted(host for host in hosts if not _is_loopback(host)))
        if not strange:
            return
        if not settings.api_key and (settings.tls is None or settings.tls.client_ca is None):
            _LOG.warning(
                "listening on %s without API keys or certificates of clients: "
                "whoever reaches this machine can use the cloud",
                strange,
            )
        elif settings.tls is None:
            _LOG.warning("listening on %s without TLS: API keys can be read on their way", strange)

    async def _provide_namespaces(self) -> None:
        """All of them have been made, or have failed, when this returns: what is up can be closed."""
        provided = await asyncio.gather(
            *(self._provide_namespace(name) for name in self.settings.namespaces), return_exceptions=True
        )
        for failure in provided:
            if failure is not None:
                raise failure

    async def _provide_namespace(self, name: str) -> None:
        if self.control.plane.find(name) is None:
            with contextlib.suppress(NamespaceAlreadyExists):
                await self.create_namespace(name)
        if self.settings.search_attributes:
            region = self.endpoints.followed(name) or self.settings.regions[0]
            await search_attributes.ensure(self._transport, region, name, self.settings.search_attributes)

    async def close(self) -> None:
        """Stop everything in good order; temporary files are removed."""
        for fault in self.links.faults:
            if DATABASE in {fault.source, fault.target}:
                fault.remove()  # what is queued is to be committed
        self.timeline.close()
        await self._http.stop()
        await self.endpoints.close_all()
        await asyncio.gather(*(endpoint.close() for endpoint in self._regional.values()))
        if self._control is not None:
            await self._control.close()
        await asyncio.gather(*(node.close() for node in self._nodes.values()))
        self._nodes.clear()
        await self._transport.close()
        if self._files is not None:
            self._files.remove()

    def _port_after(self, offset: int) -> int:
        """The port at that place of the layout; 0, a free one, where there is none."""
        return self.settings.port + offset if self.settings.port and self.settings.port_layout else 0

    # Regions

    def require_region(self, name: str) -> None:
        """Raises InvalidArgument when the cloud has no such region."""
        if name not in self.settings.regions:
            there = ", ".join(self.settings.regions)
            raise InvalidArgument(f"region {name!r} does not exist; there are: {there}")

    async def _start_nodes(self) -> None:
        """All of them have ended to start, well or badly, when this returns: what is up can be closed."""
        started = await asyncio.gather(
            *(self._start_node(name) for name in self.settings.regions), return_exceptions=True
        )
        for failure in started:
            if failure is not None:
                raise failure

    async def _start_node(self, name: str) -> None:
        node = await RegionNode.start(
            name,
            self.database(name),
            settings=self.settings,
            clusters=self._clusters,
            links=self.links,
            peer_address=self._peer_address,
            rng=self._rng,
            guards=self.guards,
        )
        self._nodes[name] = node

    async def kill_region(self, name: str) -> None:
        """Drop a region in the middle of whatever it does. Raises FailedPrecondition when it is down already."""
        self.require_region(name)
        async with self._changing:
            node = self._nodes.pop(name, None)
            if node is None:
                raise FailedPrecondition(f"region {name} is down already")
            self.timeline.tell("region", {"region": name, "state": "killed"})
            await node.kill()

    async def start_region(self, name: str) -> None:
        """Bring a region back from its database. Raises FailedPrecondition when it is up, or that is missing."""
        self.require_region(name)
        async with self._changing:
            if name in self._nodes:
                raise FailedPrecondition(f"region {name} is up already")
            if not self.database(name).exists():
                raise FailedPrecondition(f"the database of region {name} is missing: {self.database(name)}")
            await self._start_node(name)
            self.timeline.tell("region", {"region": name, "state": "started"})
            self.control.region_started(name)

    def region_address(self, name: str) -> str:
        """HOST:PORT of the regional endpoint, also while the region is down."""
        self.require_region(name)
        return self._regional[name].address

    def database(self, name: str) -> Path:
        """The database file of a region, up or down."""
        assert self._files is not None, "the cloud has been started"
        return self._files.database(name)

    def node(self, name: str) -> RegionNode:
        """A region that is up. Raises Unavailable."""
        self.require_region(name)
        node = self._nodes.get(name)
        if node is None:
            raise Unavailable(f"region {name} is down")
        return node

    def _peer_address(self, name: str) -> str | None:
        node = self._nodes.get(name)
        return node.peer_address if node is not None else None

    def _public_address(self, name: str) -> Address | None:
        node = self._nodes.get(name)
        return node.address if node is not None else None

    def _endpoint_of(self, name: str, target: Callable[[], Address | None], port: int, host: str) -> Endpoint:
        """An endpoint of a namespace or region, whose path from clients can have faults."""
        path = EndpointPath(self.links.direction(CLIENTS, name), self.links.direction(name, CLIENTS))
        return Endpoint(target, host, port, path=path, limit=self.settings.endpoint_connections)

    def add_fault(
        self,
        kind: str,
        source: str,
        target: str,
        *,
        one_way: bool = False,
        name: str = "",
        **parameters: float,
    ) -> Fault:
        """Put a fault in force between two regions, `control` and a region, or `clients` and an endpoint.

        `parameters` are `seconds` and `probability`, as of `Links.add`, which also says what it raises.
        """
        fault_ends.check(
            kind,
            (source, target),
            one_way=one_way,
            regions=self.settings.regions,
            namespaces=self.endpoints.namespaces,
        )
        return self.links.add(kind, source, target, one_way=one_way, name=name, **parameters)

    def _tell_fault(self, what: str, fault: Fault) -> None:
        self.timeline.tell(
            "fault",
            {
                "action": what,
                "name": fault.name,
                "fault": fault.kind.value,
                "source": fault.source,
                "target": fault.target,
                "one_way": fault.one_way,
                "seconds": fault.seconds,
                "probability": fault.probability,
            },
        )

    # Control plane

    @property
    def control(self) -> ControlNode:
        """The control plane's place, whether it is up or not."""
        assert self._control is not None, "the cloud has been started"
        return self._control

    @property
    def cloud_ops_address(self) -> str:
        """HOST:PORT of the Cloud Ops API."""
        return self.control.address

    @property
    def http_address(self) -> str:
        """The URL of everything that is served over HTTP."""
        scheme = "http" if self.settings.tls is None else "https"
        return f"{scheme}://{joined(self.settings.host, self._http.port)}"

    def _http_application(self) -> ASGIApp:
        from mockcloud.cloud.http_application import application

        return application(self)

    async def kill_control(self) -> None:
        """Drop the control plane. Raises FailedPrecondition when it is down already."""
        async with self._changing:
            if not self.control.up:
                raise FailedPrecondition("the control plane is down already")
            self.timeline.tell("control", {"state": "killed"})
            await self.control.kill()

    async def start_control(self) -> None:
        """Bring the control plane back. Raises FailedPrecondition when it is up."""
        async with self._changing:
            if self.control.up:
                raise FailedPrecondition("the control plane is up already")
            self.timeline.tell("control", {"state": "started"})
            await self.control.restart()

    # Namespaces

    def addresses(self) -> dict[str, Any]:
        """What `mockcloud up -o json` prints."""
        return {
            "namespaces": {name: {"endpoint": self.endpoint(name)} for name in self.endpoints.namespaces},
            "regions": {name: self.region_address(name) for name in self.settings.regions},
            "cloud_ops": self.cloud_ops_address,
            "http": self.http_address,
        }

    def endpoint(self, namespace: str) -> str:
        """HOST:PORT of a namespace's endpoint."""
        address = self.endpoints.address(namespace)
        if address is None:
            raise InvalidArgument(f"namespace {namespace!r} has no endpoint")
        return address

    async def create_namespace(self, name: str, regions: Sequence[str] | None = None) -> None:
        """Make a namespace and wait until all of its regions that can be reached know it."""
        await self.create_namespace_message(admin.CreateNamespaceRequest(name=name, regions=regions or ()))

    async def create_namespace_message(
        self, request: admin.CreateNamespaceRequest
    ) -> admin.CreateNamespaceResponse:
        """`create_namespace`, in messages."""
        return await self.control.plane.tools.create_namespace(request)

    async def delete_namespace(self, name: str) -> AsyncOperation:
        """Delete a namespace; returns when the operation has ended."""
        request = admin.DeleteNamespaceRequest(namespace=name, who=_WHO)
        return _async_operation(await self.control.plane.tools.delete_namespace(request))

    async def add_region(self, namespace: str, region: str) -> AsyncOperation:
        """Add a region to a namespace; returns when the operation has ended."""
        request = admin.ChangeRegionRequest(namespace=namespace, region=region, who=_WHO)
        return _async_operation(await self.control.plane.tools.add_region(request))

    async def delete_region(self, namespace: str, region: str) -> AsyncOperation:
        """Delete a region from a namespace; returns when the operation has ended."""
        request = admin.ChangeRegionRequest(namespace=namespace, region=region, who=_WHO)
        return _async_operation(await self.control.plane.tools.delete_region(request))

    async def operations(self, namespace: str = "") -> list[AsyncOperation]:
        """The latest operations of a namespace, or of all, the last accepted one first."""
        request = admin.ListOperationsRequest(namespace=namespace)
        answer = await self.control.plane.tools.operations(request)
        return [_async_operation(view) for view in answer.operations]

    async def failover(
        self, namespace: str, region: str, *, forced: bool = False, by: str = "user"
    ) -> Operation:
        """Fail over; returns when the operation has ended. `by`: user or temporal."""
        if by not in {"user", "temporal"}:
            raise InvalidArgument(f"a failover is by a user or by temporal, not by {by!r}")
        request = admin.FailoverRequest(
            namespace=namespace, region=region, forced=forced, who=_WHO, by_temporal=by == "temporal"
        )
        return _failover(await self.failover_message(request))

    async def failover_message(self, request: admin.FailoverRequest) -> admin.OperationView:
        """`failover`, in messages."""
        return await self.control.plane.failover(request)

    async def failovers_message(self, namespace: str) -> admin.FailoversResponse:
        """The latest failovers of a namespace, the last one first. NamespaceNotFound."""
        return admin.FailoversResponse(failovers=await self.control.plane.failovers(namespace))

    async def failovers(self, namespace: str) -> list[Operation]:
        """`failovers_message`, as plain values."""
        return [_failover(view) for view in (await self.failovers_message(namespace)).failovers]

    async def report_message(self, name: str) -> admin.FailoverReport:
        """What a failover left unreplicated, of an operation's id or a namespace's last forced one. NotFound."""
        return await self.control.plane.report(name)

    async def report(self, name: str) -> FailoverReport:
        """`report_message`, as plain values."""
        from mockcloud.cloud.failover_views import report

        return report(await self.report_message(name))

    # What it tells

    async def status_message(self) -> admin.StatusResponse:
        """The whole cloud, now."""
        answer = admin.StatusResponse(
            regions=[
                admin.RegionState(
                    name=name,
                    address=self.region_address(name),
                    up=name in self._nodes,
                    conditions=self.control.plane.conditions(name) if self.control.up else (),
                )
                for name in self.settings.regions
            ],
            control_up=self.control.up,
            cloud_ops=self.cloud_ops_address,
            http=self.http_address,
            faults=[fault_message(fault) for fault in self.links.faults],
        )
        for name in self.endpoints.namespaces:
            overview = answer.namespaces.add(
                name=name, endpoint=self.endpoint(name), active_region=self.endpoints.followed(name)
            )
            overview.regions.extend(await self.inquiries.statuses(name))
            if self.control.up and self.control.plane.find(name) is not None:
                overview.replicas.extend(self.control.plane.replicas(name))
                overview.failback_region = self.control.plane.failback_region(name)
                if (running := self.control.plane.running_operation(name)) is not None:
                    overview.operation.CopyFrom(running)
        return answer

    async def status(self) -> Status:
        """The whole cloud, now, as plain values."""
        from mockcloud.cloud import told

        return told.status(await self.status_message())


def _failover(view: admin.OperationView) -> Operation:
    from mockcloud.cloud.failover_views import operation

    return operation(view)


def _async_operation(view: admin.OperationView) -> AsyncOperation:
    from mockcloud.cloud.operation_views import async_operation

    return async_operation(view)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
