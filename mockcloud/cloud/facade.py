"""`MockCloud`, the Python face: start a cloud, connect clients, fail over, cut links, kill regions.

Every method that takes time comes twice: awaitable here, blocking in `blocking_facade`. Faults of links are in force
when the call returns, in both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from temporalio.client import Client
from temporalio.service import TLSConfig

from mockcloud.cloud.composition import Cloud
from mockcloud.cloud.fault_ends import CONTROL, DATABASE, FRONTEND
from mockcloud.cloud.fault_handles import Endpoint, Link
from mockcloud.cloud.runtime import LoopThread
from mockcloud.cloud.settings import DEFAULT_REGIONS, CloudSettings
from mockcloud.rpc.faults import Fault

if TYPE_CHECKING:
    from mockcloud.cloud.blocking_facade import BlockingCloud
    from mockcloud.cloud.failover_views import FailoverReport, Operation
    from mockcloud.cloud.operation_views import AsyncOperation
    from mockcloud.cloud.timeline import TimelineEvent
    from mockcloud.cloud.views import Lag, RunView, Status
    from mockcloud.control.outbox import Notification

T = TypeVar("T")


class MockCloud:
    """A cloud of replicated regions in this process, on a thread of its own.

    Args:
        regions: region ids; the first is where new namespaces are active. Two by default, at most nine.
        namespaces: made at the start, active in the first region.
        data_dir: where the databases live; temporary files that vanish at the end when None. With it, everything
            survives a kill, and an answered write survives loss of power.
        port: of the first namespace's endpoint, the others as `mockcloud up` lays them out; 0 takes free ports.
        dynamic_config: values by the real server's keys, as `{"limit.blobSize.error": 1000}`.
        settings: everything else; the arguments above win over it.
    """

    def __init__(
        self,
        regions: Sequence[str] = DEFAULT_REGIONS,
        *,
        namespaces: Sequence[str] = (),
        data_dir: str | Path | None = None,
        port: int = 0,
        dynamic_config: Mapping[str, object] | None = None,
        settings: CloudSettings | None = None,
    ) -> None:
        settings = settings or CloudSettings()
        self._settings = settings.replace(
            regions=tuple(regions),
            namespaces=tuple(namespaces),
            data_dir=Path(data_dir) if data_dir is not None else None,
            port=port,
            dynamic_config={**settings.dynamic_config, **(dynamic_config or {})},
        )
        self._thread: LoopThread | None = None
        self._cloud: Cloud | None = None

    # Life

    def start(self) -> None:
        """Start the cloud and block until it serves.

        Raises:
            StartupError: a port is taken, or the data directory cannot be used or misses a database.
        """
        assert self._thread is None, "a cloud starts once"
        thread = LoopThread()
        try:
            cloud = thread.call(lambda: Cloud(self._settings))
            thread.wait(cloud.start())
        except BaseException:
            thread.stop()
            raise
        self._thread, self._cloud = thread, cloud

    def stop(self) -> None:
        """Stop everything; temporary files are removed. Stopping twice is no error."""
        thread, cloud = self._thread, self._cloud
        self._thread = self._cloud = None
        if thread is not None and cloud is not None:
            try:
                thread.wait(cloud.close())
            finally:
                thread.stop()

    async def __aenter__(self) -> Self:
        await asyncio.get_running_loop().run_in_executor(None, self.start)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.stop)

    def __enter__(self) -> BlockingCloud:
        self.start()
        return self.blocking

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def blocking(self) -> BlockingCloud:
        """The same cloud for code without an event loop."""
        from mockcloud.cloud.blocking_facade import BlockingCloud  # it is made of what is here

        return BlockingCloud(self)

    # Plumbing for the handles of this module

    @property
    def cloud(self) -> Cloud:
        """The composition behind this face; its coroutines belong to the cloud's own loop."""
        if self._cloud is None:
            raise RuntimeError("the cloud is not running: use it as a context manager, or call start()")
        return self._cloud

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine of the composition on the cloud's loop, blocking."""
        if self._thread is None:
            coroutine.close()
            raise RuntimeError("the cloud is not running")
        return self._thread.wait(coroutine)

    def call(self, function: Callable[[], T]) -> T:
        """Call a function on the cloud's loop, blocking: what it changes is in force when this returns."""
        if self._thread is None:
            raise RuntimeError("the cloud is not running")
        return self._thread.call(function)

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine of the composition on the cloud's loop, awaiting it from any other loop."""
        if self._thread is None:
            coroutine.close()
            raise RuntimeError("the cloud is not running")
        return await asyncio.wrap_future(self._thread.submit(coroutine))

    # What people do with a cloud

    @property
    def cloud_ops(self) -> str:
        """HOST:PORT of the Cloud Ops API (gRPC)."""
        return self.cloud.cloud_ops_address

    @property
    def http(self) -> str:
        """The URL of what is served over HTTP: the Cloud Ops API."""
        return self.cloud.http_address

    @property
    def region_names(self) -> tuple[str, ...]:
        return self._settings.regions

    def namespace(self, name: str) -> Namespace:
        """The handle of a namespace that exists."""
        return Namespace(self, name)

    async def create_namespace(self, name: str, regions: Sequence[str] | None = None) -> Namespace:
        """Make a namespace, active in the first of its regions (by default all of the cloud's)."""
        await self.run(self.cloud.create_namespace(name, regions))
        return self.namespace(name)

    async def delete_namespace(self, name: str) -> AsyncOperation:
        """Delete a namespace with all that is in it; returns when the operation has ended."""
        return await self.run(self.cloud.delete_namespace(name))

    async def operations(self) -> Sequence[AsyncOperation]:
        """The latest asynchronous operations of all namespaces, the last accepted one first."""
        return await self.run(self.cloud.operations())

    def region(self, name: str) -> Region:
        """The handle of a region, up or down."""
        if name not in self._settings.regions:
            raise ValueError(f"no region {name}; there are {', '.join(self._settings.regions)}")
        return Region(self, name)

    @property
    def control(self) -> Control:
        """The handle of the control plane."""
        return Control(self)

    def link(self, a: str, b: str) -> Link:
        """The link between two regions, or `control` and a region; for one-way faults, the direction from a to b."""
        for name in (a, b):
            if name != CONTROL:
                self.region(name)
        return Link(self, a, b)

    def faults(self) -> list[Fault]:
        """All faults in force."""
        return self.call(lambda: list(self.cloud.links.faults))

    def reset_faults(self) -> None:
        """Remove all faults of all links."""
        self.call(self.cloud.links.reset)

    async def status(self) -> Status:
        """Regions, namespaces, lag and faults, now."""
        return await self.run(self.cloud.status())

    async def events(self, after: str = "", *, wait: float = 0.0) -> Sequence[TimelineEvent]:
        """What has happened after the event of that id, by default ever, in order: at most a hundred events.

        `wait` is how many seconds to wait for one if there is none.
        """
        return (await self.run(self.cloud.timeline.read(after, wait=wait))).events

    async def notifications(self) -> Sequence[Notification]:
        """What administrators were told of, the last first: at most a hundred."""
        return await self.run(self.cloud.control.plane.notifications(100))


class Namespace:
    """A namespace of a running cloud."""

    def __init__(self, owner: MockCloud, name: str) -> None:
        self._owner = owner
        self.name = name

    @property
    def endpoint(self) -> Endpoint:
        """HOST:PORT that follows the active region, as DNS does; clients' path to it can be cut or slowed."""
        return Endpoint(self._owner.cloud.endpoint(self.name), self._owner, self.name)

    async def client(self, region: str | None = None, **options: Any) -> Client:
        """A temporalio Client at the namespace endpoint, or at one region's own endpoint.

        `options` go to `temporalio.client.Client.connect`. Where the cloud asks for keys, its owner's is shown; where
        it has a development CA, that is trusted, and its certificate for clients shown.
        """
        options = _credentials(self._owner.cloud.settings) | options
        target = self.endpoint if region is None else self._owner.cloud.region_address(region)
        return await Client.connect(target, namespace=self.name, **options)

    async def failover(self, region: str, *, forced: bool = False, by: str = "user") -> Operation:
        """Fail over to `region`; returns when the operation has ended, whichever way.

        `by="temporal"` stands for Temporal's engineers, who alone fail over namespaces with same-region replication.
        """
        return await self._owner.run(self._owner.cloud.failover(self.name, region, forced=forced, by=by))

    async def add_region(self, region: str) -> AsyncOperation:
        """Add a replica in `region`; returns when it has everything and can be failed over to."""
        return await self._owner.run(self._owner.cloud.add_region(self.name, region))

    async def delete_region(self, region: str) -> AsyncOperation:
        """Delete the replica in `region`, which is not the active one; returns when the operation has ended."""
        return await self._owner.run(self._owner.cloud.delete_region(self.name, region))

    async def operations(self) -> Sequence[AsyncOperation]:
        """The latest asynchronous operations of this namespace, the last accepted one first."""
        return await self._owner.run(self._owner.cloud.operations(self.name))

    async def failovers(self) -> Sequence[Operation]:
        """The latest failovers, the last one first: by whom or what, from where to where, how, what was left."""
        return await self._owner.run(self._owner.cloud.failovers(self.name))

    async def report(self, operation: Operation | None = None) -> FailoverReport:
        """What a failover, by default the last forced one, left unreplicated, and what became of it by now.

        Raises NotFound when no failover of the namespace was forced.
        """
        return await self._owner.run(self._owner.cloud.report(operation.id if operation else self.name))

    async def history(self, workflow_id: str) -> Mapping[str, Sequence[RunView]]:
        """Runs, branches and events of a workflow id, per region that is up."""
        return await self._owner.run(self._owner.cloud.inquiries.history(self.name, workflow_id))

    async def lag(self) -> Sequence[Lag]:
        """Replication lag in each direction."""
        return await self._owner.run(self._owner.cloud.inquiries.lag(self.name))

    async def replicated(self) -> None:
        """Wait until every region that is up has applied what the others have written so far."""
        await self._owner.run(self._owner.cloud.inquiries.replicated(self.name))


class Region:
    """A region of a running cloud."""

    def __init__(self, owner: MockCloud, name: str) -> None:
        self._owner = owner
        self.name = name

    @property
    def address(self) -> str:
        """HOST:PORT of the regional endpoint."""
        return self._owner.cloud.region_address(self.name)

    @property
    def endpoint(self) -> Endpoint:
        """The same, with what can happen to clients' path to it."""
        return Endpoint(self.address, self._owner, self.name)

    @property
    def frontend(self) -> Link:
        """How it answers calls: `delay` them, `drop` (fail) some, `pause` or `partition` (fail) all."""
        return Link(self._owner, FRONTEND, self.name)

    @property
    def database(self) -> Link:
        """How it commits: `delay` transactions, `drop` (fail) some, `partition` (fail) all."""
        return Link(self._owner, DATABASE, self.name)

    async def kill(self) -> None:
        """Drop its servers, tasks and memory at once, in the middle of whatever it does. Its files stay."""
        await self._owner.run(self._owner.cloud.kill_region(self.name))

    async def start(self) -> None:
        """Bring it back from its database."""
        await self._owner.run(self._owner.cloud.start_region(self.name))


class Control:
    """The control plane of a running cloud."""

    def __init__(self, owner: MockCloud) -> None:
        self._owner = owner

    async def kill(self) -> None:
        """Drop it in the middle of whatever it does."""
        await self._owner.run(self._owner.cloud.kill_control())

    async def start(self) -> None:
        """Bring it back from its database; operations in flight go on."""
        await self._owner.run(self._owner.cloud.start_control())


def _credentials(settings: CloudSettings) -> dict[str, Any]:
    """What a client of the cloud needs to be let in, as far as the cloud itself has it."""
    options: dict[str, Any] = {}
    directory = settings.development_ca
    if directory is not None:
        options["tls"] = TLSConfig(
            server_root_ca_cert=(directory / "ca.pem").read_bytes(),
            client_cert=(directory / "client.pem").read_bytes(),
            client_private_key=(directory / "client.key").read_bytes(),
        )
    if settings.api_key:
        options["api_key"] = settings.api_key
        options.setdefault("tls", False)
    return options
