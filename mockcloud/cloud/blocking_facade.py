"""The blocking face: what `MockCloud.blocking` and `with MockCloud() as cloud:` give, twins of what `facade` has.

Twice on purpose, and not made of the other at run time: so both have their types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from temporalio.client import Client

from mockcloud.cloud.facade import MockCloud, Namespace, Region
from mockcloud.cloud.fault_handles import Endpoint, Link

if TYPE_CHECKING:
    from mockcloud.cloud.failover_views import FailoverReport, Operation
    from mockcloud.cloud.operation_views import AsyncOperation
    from mockcloud.cloud.timeline import TimelineEvent
    from mockcloud.cloud.views import Lag, RunView, Status
    from mockcloud.control.outbox import Notification


class BlockingCloud:
    """`MockCloud` for code without an event loop: the same methods, blocking."""

    def __init__(self, owner: MockCloud) -> None:
        self.asynchronous = owner
        self.link = owner.link
        self.faults = owner.faults
        self.reset_faults = owner.reset_faults
        self.stop = owner.stop

    @property
    def cloud_ops(self) -> str:
        """HOST:PORT of the Cloud Ops API (gRPC)."""
        return self.asynchronous.cloud_ops

    @property
    def http(self) -> str:
        """The URL of what is served over HTTP."""
        return self.asynchronous.http

    @property
    def region_names(self) -> tuple[str, ...]:
        return self.asynchronous.region_names

    def namespace(self, name: str) -> BlockingNamespace:
        """The handle of a namespace that exists."""
        return BlockingNamespace(self.asynchronous, name)

    def create_namespace(self, name: str, regions: Sequence[str] | None = None) -> BlockingNamespace:
        """Make a namespace, active in the first of its regions (by default all of the cloud's)."""
        self.asynchronous.wait(self.asynchronous.cloud.create_namespace(name, regions))
        return self.namespace(name)

    def delete_namespace(self, name: str) -> AsyncOperation:
        """Delete a namespace with all that is in it; returns when the operation has ended."""
        return self.asynchronous.wait(self.asynchronous.cloud.delete_namespace(name))

    def operations(self) -> Sequence[AsyncOperation]:
        """The latest asynchronous operations of all namespaces, the last accepted one first."""
        return self.asynchronous.wait(self.asynchronous.cloud.operations())

    def region(self, name: str) -> BlockingRegion:
        """The handle of a region, up or down."""
        return BlockingRegion(self.asynchronous.region(name), self.asynchronous)

    @property
    def control(self) -> BlockingControl:
        """The handle of the control plane."""
        return BlockingControl(self.asynchronous)

    def status(self) -> Status:
        """Regions, namespaces, lag and faults, now."""
        return self.asynchronous.wait(self.asynchronous.cloud.status())

    def events(self, after: str = "", *, wait: float = 0.0) -> Sequence[TimelineEvent]:
        """What has happened after the event of that id, as `MockCloud.events`."""
        return self.asynchronous.wait(self.asynchronous.cloud.timeline.read(after, wait=wait)).events

    def notifications(self) -> Sequence[Notification]:
        """What administrators were told of, the last first: at most a hundred."""
        return self.asynchronous.wait(self.asynchronous.cloud.control.plane.notifications(100))


class BlockingNamespace:
    """A namespace, blocking. Clients are asynchronous by nature: make them with `client()` inside your own loop."""

    def __init__(self, owner: MockCloud, name: str) -> None:
        self._owner = owner
        self.name = name

    @property
    def endpoint(self) -> Endpoint:
        """As `Namespace.endpoint`."""
        return Namespace(self._owner, self.name).endpoint

    async def client(self, region: str | None = None, **options: Any) -> Client:
        """As `Namespace.client`: a coroutine, because the client belongs to the loop that awaits it."""
        return await Namespace(self._owner, self.name).client(region, **options)

    def failover(self, region: str, *, forced: bool = False, by: str = "user") -> Operation:
        """As `Namespace.failover`; returns when the operation has ended, whichever way."""
        return self._owner.wait(self._owner.cloud.failover(self.name, region, forced=forced, by=by))

    def add_region(self, region: str) -> AsyncOperation:
        """Add a replica in `region`; returns when it has everything and can be failed over to."""
        return self._owner.wait(self._owner.cloud.add_region(self.name, region))

    def delete_region(self, region: str) -> AsyncOperation:
        """Delete the replica in `region`, which is not the active one; returns when the operation has ended."""
        return self._owner.wait(self._owner.cloud.delete_region(self.name, region))

    def operations(self) -> Sequence[AsyncOperation]:
        """The latest asynchronous operations of this namespace, the last accepted one first."""
        return self._owner.wait(self._owner.cloud.operations(self.name))

    def failovers(self) -> Sequence[Operation]:
        """The latest failovers, the last one first: by whom or what, from where to where, how, what was left."""
        return self._owner.wait(self._owner.cloud.failovers(self.name))

    def report(self, operation: Operation | None = None) -> FailoverReport:
        """What a failover, by default the last forced one, left unreplicated, and what became of it by now."""
        return self._owner.wait(self._owner.cloud.report(operation.id if operation else self.name))

    def history(self, workflow_id: str) -> Mapping[str, Sequence[RunView]]:
        """Runs, branches and events of a workflow id, per region that is up."""
        return self._owner.wait(self._owner.cloud.inquiries.history(self.name, workflow_id))

    def lag(self) -> Sequence[Lag]:
        """Replication lag in each direction."""
        return self._owner.wait(self._owner.cloud.inquiries.lag(self.name))

    def replicated(self) -> None:
        """Wait until every region that is up has applied what the others have written so far."""
        self._owner.wait(self._owner.cloud.inquiries.replicated(self.name))


class BlockingRegion:
    """A region, blocking."""

    def __init__(self, region: Region, owner: MockCloud) -> None:
        self._owner = owner
        self._region = region
        self.name = region.name

    @property
    def address(self) -> str:
        """As `Region.address`."""
        return self._region.address

    @property
    def endpoint(self) -> Endpoint:
        """As `Region.endpoint`."""
        return self._region.endpoint

    @property
    def frontend(self) -> Link:
        """As `Region.frontend`."""
        return self._region.frontend

    @property
    def database(self) -> Link:
        """As `Region.database`."""
        return self._region.database

    def kill(self) -> None:
        """Drop its servers, tasks and memory at once."""
        self._owner.wait(self._owner.cloud.kill_region(self.name))

    def start(self) -> None:
        """Bring it back from its database."""
        self._owner.wait(self._owner.cloud.start_region(self.name))


class BlockingControl:
    """The control plane, blocking."""

    def __init__(self, owner: MockCloud) -> None:
        self._owner = owner

    def kill(self) -> None:
        """Drop it in the middle of whatever it does."""
        self._owner.wait(self._owner.cloud.kill_control())

    def start(self) -> None:
        """Bring it back from its database; operations in flight go on."""
        self._owner.wait(self._owner.cloud.start_control())
