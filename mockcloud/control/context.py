"""What the kinds of operations that change namespaces work with, and the checks that they share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol, TypeAlias

from google.protobuf.message import Message

from mockcloud.api.admin.v1 import region_admin_pb2 as admin
from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.control.access import Identity
from mockcloud.control.api_versions import Version
from mockcloud.control.database import Database
from mockcloud.control.identities import ANYBODY
from mockcloud.control.namespaces import Directory, KnownNamespace
from mockcloud.control.operations import Kind, Operation, Operations
from mockcloud.control.regions import RegionClient
from mockcloud.control.runner import Runner
from mockcloud.control.settings import ControlSettings
from mockcloud.core.errors import FailedPrecondition, InvalidArgument
from mockcloud.core.ports import Ports


class Caller(NamedTuple):
    """Who asks, and in which version of the API."""

    who: str
    version: Version | None = None
    identity: Identity = ANYBODY


Revoke: TypeAlias = Callable[[str], Awaitable[None]]
"""Takes everybody's permission for a namespace, by its id."""


class NamespaceRequest(Protocol):
    """What the requests for an operation on a namespace have in common."""

    @property
    def namespace(self) -> str: ...
    @property
    def async_operation_id(self) -> str: ...
    def SerializeToString(self) -> bytes: ...  # noqa: N802 protobuf's name


class Context(NamedTuple):
    """The parts of one control plane."""

    database: Database
    regions: Mapping[str, RegionClient]
    directory: Directory
    operations: Operations
    runner: Runner
    ports: Ports
    settings: ControlSettings

    async def draft(self, kind: Kind, request: NamespaceRequest, who: str, region: str = "") -> Operation:
        """The operation that a request asks for, not accepted yet.

        Raises NamespaceNotFound; not for a request that is repeated after its namespace was deleted.
        """
        plain = self.directory.plain_name(request.namespace)
        known = self.directory.find(plain)
        namespace_id = known.id if known is not None else ""
        if known is None:
            earlier = (
                await self.operations.find(request.async_operation_id) if request.async_operation_id else None
            )
            if earlier is None or (earlier.kind, earlier.namespace) != (kind, plain):
                self.directory.by_name(request.namespace)  # which is not found
                raise AssertionError("it was not found before")
            namespace_id = earlier.namespace_id
        return self.new(kind, request, who, namespace_id=namespace_id, namespace=plain, region=region)

    def new(
        self,
        kind: Kind,
        request: NamespaceRequest | Message,
        who: str,
        *,
        namespace_id: str,
        namespace: str,
        region: str = "",
    ) -> Operation:
        """A new operation."""
        wanted: str = getattr(request, "async_operation_id")  # noqa: B009 every such request has one
        return Operation(
            id=wanted or self.ports.ids.uuid(),
            kind=kind,
            namespace_id=namespace_id,
            namespace=namespace,
            region=region,
            request=request.SerializeToString(),
            who=who,
            started=self.ports.clock.now(),
        )

    def known(self, operation: Operation) -> KnownNamespace:
        """The namespace of an operation at work. NamespaceNotFound."""
        return self.directory.by_name(operation.namespace)

    def require_idle(self, known: KnownNamespace) -> None:
        """Raises FailedPrecondition while something else is done to the namespace."""
        running = self.operations.running_change(known.id)
        if running is not None:
            raise FailedPrecondition(
                f"namespace {known.name!r} is being changed by async operation {running.id} ({running.kind})"
            )

    def require_version(self, known: KnownNamespace, version: str) -> None:
        """Raises InvalidArgument without a resource version, FailedPrecondition for another than the present one."""
        if not version:
            raise InvalidArgument("resource_version is required")
        if version != known.resource_version:
            raise FailedPrecondition(
                f"resource version mismatch: namespace {known.name!r} has changed since {version!r}"
            )

    async def configure(
        self, known: KnownNamespace, change: admin.ConfigureNamespaceRequest
    ) -> NamespaceRecord:
        """Have the active region change its configuration; its links tell the others."""
        change.namespace_id = known.id

        async def configure(region: str) -> NamespaceRecord:
            record = await self.regions[region].configure(change, self.settings.call_timeout)
            self.directory.observe(region, record)
            return record

        return await self.runner.insist(lambda: known.active_region, configure)
