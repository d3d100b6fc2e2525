"""One life of the control plane: its parts put together, its recovery from disk, its end.

    start   what is stored is known again, endpoints are open, operations go on, every region is watched
    kill    the fence: nothing of this life reaches the disk any more; all tasks end at once
    close   what is queued is stored, the file is closed

It lives outside all regions. It must never reach into one but by its peer server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from google.protobuf.message import Message
from temporalio.api.cloud.auditlog.v1 import Principal
from temporalio.api.cloud.cloudservice.v1 import FailoverNamespaceRegionRequest

from mockcloud.api.admin.v1 import cloud_admin_pb2 as admin
from mockcloud.control import audit
from mockcloud.control.audit import AuditLog
from mockcloud.control.audit_file import AuditFile, plain
from mockcloud.control.cloud_ops import CloudOps
from mockcloud.control.context import Context
from mockcloud.control.database import Closed, Database
from mockcloud.control.door import Door
from mockcloud.control.events import OperationEvents, Tell, nobody
from mockcloud.control.failover import Failovers
from mockcloud.control.identities import Identities
from mockcloud.control.identity_changes import IdentityChanges
from mockcloud.control.identity_ops import IdentityOps
from mockcloud.control.managed import Managed
from mockcloud.control.namespace_changes import Changes
from mockcloud.control.namespace_creation import Creations
from mockcloud.control.namespace_deletion import Deletions
from mockcloud.control.namespace_replicas import Replicas
from mockcloud.control.namespaces import Directory, Endpoints, KnownNamespace
from mockcloud.control.operations import Mode, Operation, Operations, Trigger
from mockcloud.control.outbox import Notification, Outbox
from mockcloud.control.regions import RegionClient
from mockcloud.control.reports import NoFiles, RegionFiles, Reports
from mockcloud.control.runner import Runner
from mockcloud.control.settings import ControlSettings
from mockcloud.control.shown import region_statuses
from mockcloud.control.tools import Tools, operation_view
from mockcloud.control.waiting import wait_for
from mockcloud.core.errors import NotFound, ServiceError
from mockcloud.core.ports import Ports
from mockcloud.rpc.methods import Call
from mockcloud.rpc.transport import Transport

_logger = logging.getLogger(__name__)

_MOST_FAILOVERS: Final = 100  # that are told of a namespace

_WHO: Final = "mockcloud"


class ControlPlane:
    """After `kill` or `close` it is of no use; a new one is started over its file."""

    def __init__(
        self,
        path: Path,
        *,
        regions: Sequence[str],
        transport: Transport,
        endpoints: Endpoints,
        files: RegionFiles | None = None,
        ports: Ports | None = None,
        settings: ControlSettings | None = None,
        tell: Tell = nobody,
        durable: bool = True,
    ) -> None:
        """Nothing happens before `start`.

        Args:
            path: of the SQLite file.
            regions: of the cloud, in their order.
            transport: the way to the regions' peer servers; whoever made it closes it.
            endpoints: of namespaces.
            files: of regions that are down, for what they had not replicated.
            ports: time and ids.
            settings: figures.
            tell: is called with what happens.
            durable: whether what was answered survives loss of power.
        """
        self._path: Final = path
        self._durable: Final = durable
        self._endpoints: Final = endpoints
        self._files: Final = files or NoFiles()
        self._ports: Final = ports or Ports()
        self._settings: Final = settings or ControlSettings()
        self._tell: Final = tell
        self._regions: Final = {name: RegionClient(name, transport) for name in regions}
        self._parts: _Parts | None = None
        self._watches: Final[dict[str, asyncio.Task[None]]] = {}
        self._retry: Final = {name: asyncio.Event() for name in regions}

    # Life

    async def start(self) -> None:
        """Recover and begin. StartupError: the file cannot be used, or an endpoint's port is taken."""
        assert self._parts is None, "a control plane starts once"
        database = await Database.open(self._path, durable=self._durable)
        parts = self._parts = _Parts(
            database, self._regions, self._endpoints, self._files, self._ports, self._settings, self._tell
        )
        try:
            await parts.audit.load()
            await parts.identities.load()
            await parts.directory.load()
            await parts.reports.resume(await parts.operations.forced())
            await parts.replicas.resume()
            await parts.runner.resume()
            await parts.failovers.resume()
            parts.outbox.start()
        except BaseException:
            await self.kill()
            raise
        for region in self._regions.values():
            self._begin_watch(parts, region)
        if parts.managed is not None:
            parts.runner.spawn(parts.managed.run(), "managed failover")

    async def kill(self) -> None:
        """End as a crash would, in the middle of whatever it does. Returns when the file is free again."""
        parts = self._parts
        if parts is None:
            return
        self._parts = None
        parts.database.fence()
        await self._end(parts)

    async def close(self) -> None:
        """End in good order: what is known is stored. Operations go on after the next start."""
        parts = self._parts
        if parts is None:
            return
        self._parts = None
        await parts.directory.saved()
        parts.database.fence()
        await self._end(parts)

    async def _end(self, parts: _Parts) -> None:
        tasks = [
            *self._watches.values(),
            *parts.runner.stop(),
            *parts.reports.stop(),
            *parts.outbox.stop(),
            *parts.door.stop(),
            *parts.directory.stop(),
        ]
        for task in self._watches.values():
            task.cancel()
        parts.operations.drop(Closed())
        await asyncio.gather(*tasks, return_exceptions=True)
        await parts.database.close()

    @property
    def _running(self) -> _Parts:
        if self._parts is None:
            raise Closed
        return self._parts

    # Watching regions

    def region_started(self, region: str) -> None:
        """The region serves (again): do not wait for the next try to reach it."""
        self._retry[region].set()

    def link_changed(self, region: str) -> None:
        """The link to the region has other faults now: what it told meanwhile may be lost, so watch it anew."""
        if self._parts is not None:
            self._watches[region].cancel()
            self._begin_watch(self._parts, self._regions[region])

    def _begin_watch(self, parts: _Parts, region: RegionClient) -> None:
        name = f"watch {region.name}"
        self._watches[region.name] = asyncio.create_task(self._watch(parts, region), name=name)

    async def _watch(self, parts: _Parts, region: RegionClient) -> None:
        retry = self._retry[region.name]
        while True:
            retry.clear()
            try:
                async for change in region.watch():
                    if change.complete:
                        parts.runner.region_seen(region.name)
                        parts.reports.region_seen(region.name)
                        parts.replicas.region_seen(region.name)
                    else:
                        parts.directory.observe(region.name, change.record)
            except Closed:
                return
            except ServiceError as error:
                _logger.debug("region %s is not watched: %s", region.name, error.message)
            await wait_for(retry, self._settings.watch_retry)

    # What it does for its callers. All raise Closed (UNAVAILABLE) after its end.

    async def dispatch(self, call: Call) -> bytes:
        """Answer one call of CloudService."""
        return await self._running.door.dispatch(call)

    async def refuse(self, call: Call, error: ServiceError) -> NoReturn:
        """Answer one call of CloudService whose request cannot be read: `Door.refuse`."""
        await self._running.door.refuse(call, error)

    async def refused(self, method: str, principal: Principal, request: Message, error: ServiceError) -> None:
        """Write down that a method of the tools' own service was refused, and raise the error."""
        operation = audit.tool_operation_name(method)
        async with self._running.audit.attempt(operation, principal, request):
            raise error

    @property
    def identities(self) -> Identities:
        """Who may call."""
        return self._running.identities

    def find(self, name: str) -> KnownNamespace | None:
        """The namespace of that name, or None."""
        return self._running.directory.find(name)

    def namespaces(self) -> list[KnownNamespace]:
        """Every namespace, by name."""
        return self._running.directory.all()

    @property
    def tools(self) -> Tools:
        """What the cloud's own tools ask for."""
        return self._running.tools

    async def failover(self, request: admin.FailoverRequest) -> admin.OperationView:
        """Fail over, and wait for the end unless the request says otherwise. Raises as `Failovers.request`."""
        parts = self._running
        failover = FailoverNamespaceRegionRequest(
            namespace=request.namespace, region=request.region, async_operation_id=request.operation_id
        )
        async with parts.audit.attempt(audit.FAILOVER, audit.tool(request.who), request):
            operation = await parts.failovers.request(
                failover,
                request.who,
                forced=request.forced,
                trigger=Trigger.TEMPORAL if request.by_temporal else Trigger.USER,
            )
        if not operation.ended and not request.no_wait:
            operation = await parts.operations.end_of(operation.id)
            await parts.reports.taken(operation.id, self._settings.report_wait)
        return await self._view(operation)

    async def operation(self, operation_id: str) -> admin.OperationView:
        """How far an operation is. NotFound."""
        return await self._view(await self._running.operations.get(operation_id))

    async def report(self, name: str) -> admin.FailoverReport:
        """What a failover left unreplicated: of an operation's id, or the last forced one of a namespace.

        Raises:
            NotFound: there is no such operation, and no namespace of that name has been failed over by force.
        """
        parts = self._running
        operation = await parts.operations.find(name)
        if operation is None:
            known = parts.directory.find(parts.directory.plain_name(name))
            if known is None:
                raise NotFound(f"there is no failover {name}, nor a namespace of that name")
            operation = await parts.operations.get(await parts.reports.last_of(known.id))
        await parts.reports.taken(operation.id, self._settings.report_wait)
        report = admin.FailoverReport()
        await parts.reports.fill(report, operation)
        report.operation.CopyFrom(await self._view(operation))
        return report

    async def notifications(self, most: int) -> list[Notification]:
        """The latest notifications, the last one first."""
        return await self._running.outbox.latest(most)

    async def failovers(self, namespace: str) -> list[admin.OperationView]:
        """The latest failovers of a namespace, the last one first. NamespaceNotFound."""
        parts = self._running
        found = await parts.operations.failovers(parts.directory.by_name(namespace).id, _MOST_FAILOVERS)
        return [await self._view(operation) for operation in found]

    def failback_region(self, namespace: str) -> str:
        """Where a namespace goes back to once that is healthy again; empty: nowhere. NamespaceNotFound."""
        parts = self._running
        last = parts.operations.last_failover(parts.directory.by_name(namespace).id)
        return last.failback if last is not None and parts.managed is not None else ""

    def conditions(self, region: str) -> list[str]:
        """What is wrong with a region; nothing is known where failover is not managed."""
        managed = self._running.managed
        return managed.conditions(region) if managed is not None else []

    async def _view(self, operation: Operation) -> admin.OperationView:
        view = await self._running.tools.view(operation)
        summary = await self._running.reports.summary(operation.id) if operation.mode is Mode.FORCED else None
        if summary is not None:
            view.unreplicated.CopyFrom(summary)
        return view

    def running_operation(self, namespace: str) -> admin.OperationView | None:
        """The failover of a namespace that runs now. NamespaceNotFound."""
        parts = self._running
        running = parts.operations.running_failover(parts.directory.by_name(namespace).id)
        return operation_view(running) if running else None

    def replicas(self, namespace: str) -> list[admin.ReplicaOverview]:
        """Where a namespace is, and what its replicas are. NamespaceNotFound."""
        operations, known = self._running.operations, self._running.directory.by_name(namespace)
        found = region_statuses(
            known, operations.running_change(known.id), operations.failed_regions(known.id)
        )
        return [
            admin.ReplicaOverview(region=region, state=status.state_deprecated)
            for region, status in found.items()
        ]


class _Parts:
    """What exists while it runs."""

    def __init__(
        self,
        database: Database,
        regions: dict[str, RegionClient],
        endpoints: Endpoints,
        files: RegionFiles,
        ports: Ports,
        settings: ControlSettings,
        tell: Tell,
    ) -> None:
        self.database: Final = database
        self.audit: Final = AuditLog(
            database,
            ports,
            lambda record: tell("audit", plain(record)),
            AuditFile(settings.audit_file) if settings.audit_file else None,
        )
        self.identities: Final = Identities(database, ports.clock, settings.account, settings.owner_key)
        self.directory: Final = Directory(database, endpoints, ports.clock, settings.account, tell)
        self.outbox: Final = Outbox(database, ports, settings, tell)
        self.operations: Final = Operations(database, [OperationEvents(tell), self.outbox])
        self.runner: Final = Runner(self.operations, regions, ports, settings)
        self.reports: Final = Reports(
            database=database,
            regions=regions,
            files=files,
            directory=self.directory,
            ports=ports,
            settings=settings,
        )
        context = Context(
            database=database,
            regions=regions,
            directory=self.directory,
            operations=self.operations,
            runner=self.runner,
            ports=ports,
            settings=settings,
        )
        self.failovers: Final = Failovers(context, self.reports)
        changes = IdentityChanges(context, self.identities)
        self.creations: Final = Creations(context, changes.revoke)
        self.replicas: Final = Replicas(context)
        self.changes: Final = Changes(context, self.replicas)
        self.deletions: Final = Deletions(context, changes.revoke)
        self.tools: Final = Tools(context, self.audit, self.creations, self.replicas, self.deletions)
        self.cloud_ops: Final = CloudOps(
            context,
            creations=self.creations,
            changes=self.changes,
            replicas=self.replicas,
            deletions=self.deletions,
            failovers=self.failovers,
            audit=self.audit,
            identities=IdentityOps(context, self.identities, changes),
        )
        self.door: Final = Door(self.cloud_ops, self.audit, self.identities, self.directory)
        self.managed: Final = (
            Managed(context, self.failovers, self.audit, settings.managed, tell) if settings.managed else None
        )
