"""CreateNamespace: a record made here, registered where the namespace is active, told to its other regions.

    ACCEPTED     the namespace is known here and shown as ACTIVATING                  → REGISTERING
    REGISTERING  its active region makes it, as long as it takes to reach that        → TELLING
    TELLING      its other regions are told, those that answer; links tell the rest   → OPENING
    OPENING      it has its endpoint                                                  → ended

The id of the record is the operation's, so a step that is taken again finds what it has made. A name that turns out to
be taken in a region ends the operation as FAILED, and nothing of the namespace stays.
"""

from __future__ import annotations

import asyncio
import logging
from enum import StrEnum
from typing import Final

from temporalio.api.cloud.cloudservice.v1 import CreateNamespaceRequest
from temporalio.api.cloud.namespace.v1 import NamespaceSpec
from temporalio.api.replication.v1 import ClusterReplicationConfig
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.control import specs, tags
from mockcloud.control.context import Caller, Context, Revoke
from mockcloud.control.namespaces import KnownNamespace
from mockcloud.control.operations import ACCEPTED, Also, Kind, Operation
from mockcloud.core import namespace_rules, search_attribute_registry, times
from mockcloud.core.cluster import Clusters
from mockcloud.core.errors import (
    NamespaceAlreadyExists,
    NamespaceNotFound,
    ServiceError,
    StartupError,
    Unavailable,
)
from mockcloud.core.limits import Limits
from mockcloud.core.search_attributes import CLOUD_PER_TYPE

_logger = logging.getLogger(__name__)

_LONGEST_RETENTION: Final = 36_500  # days: what a record can hold, and more than anybody waits for


class Step(StrEnum):
    """Where a creation is."""

    ACCEPTED = ACCEPTED
    REGISTERING = "registering"
    TELLING = "telling"
    OPENING = "opening"


class Creations:
    """All creations of namespaces."""

    def __init__(self, context: Context, revoke: Revoke) -> None:
        self._context: Final = context
        self._revoke: Final = revoke
        self._clusters: Final = Clusters.of(list(context.regions))
        context.runner.serve(
            Kind.CREATE,
            {
                Step.ACCEPTED: self._announce,
                Step.REGISTERING: self._register,
                Step.TELLING: self._tell,
                Step.OPENING: self._open,
            },
        )

    async def request(
        self,
        request: CreateNamespaceRequest,
        caller: Caller,
        *,
        as_regions_do: bool = False,
        also: Also | None = None,
    ) -> Operation:
        """Accept a creation. It goes on by itself.

        `as_regions_do`: whether a name and a retention that regions take will do; the Cloud is stricter.
        `also`: is done in the transaction that accepts it.

        Raises:
            InvalidArgument: a name, region, retention or anything else that no namespace can have.
            NamespaceAlreadyExists: the name is taken.
            AlreadyExists: the operation id belongs to another request.
            Unavailable: the region where it shall be active cannot be reached.
        """
        context = self._context
        spec = specs.canonical(request.spec)
        replicas = self._replicas(spec)
        if not as_regions_do:
            specs.check_name(spec.name)
        specs.check_replicas(replicas, list(context.regions))
        longest = _LONGEST_RETENTION if as_regions_do else specs.LONGEST_RETENTION
        specs.check(spec, replicas, longest)
        tags.check(request.tags)
        draft = context.new(
            Kind.CREATE,
            request,
            caller.who,
            namespace_id=context.ports.ids.uuid(),
            namespace=spec.name,
            region=replicas[0],
        )
        self._record(draft, spec)  # which checks it
        return await context.runner.accept(draft, self._accepted, also)

    async def _accepted(self, operation: Operation) -> Operation:
        context, name = self._context, operation.namespace
        taken = NamespaceAlreadyExists(f'Namespace "{name}" already exists')
        if context.directory.find(name) is not None:
            raise taken
        try:
            await context.regions[operation.region].namespace(name, context.settings.call_timeout)
        except NamespaceNotFound:
            return operation
        except ServiceError as error:
            raise Unavailable(f"region {operation.region} cannot be reached: {error.message}") from error
        raise taken

    async def _announce(self, operation: Operation) -> Operation:
        request = CreateNamespaceRequest.FromString(operation.request)
        spec = specs.canonical(request.spec)
        record = self._record(operation, spec)
        self._context.directory.announce(record, specs.stored_part(spec), dict(request.tags))
        await self._context.directory.saved()
        return operation._replace(step=Step.REGISTERING)

    async def _register(self, operation: Operation) -> Operation:
        context, known = self._context, self._known(operation)

        async def register(region: str) -> NamespaceRecord:
            return await context.regions[region].create(known.record, context.settings.call_timeout)

        try:
            record = await context.runner.insist(operation.region, register)
        except NamespaceAlreadyExists:
            await self._revoke(context.directory.full_name(known.name))
            await context.directory.withdraw(known)
            raise
        context.directory.observe(operation.region, record)
        return operation._replace(step=Step.TELLING)

    async def _tell(self, operation: Operation) -> Operation:
        context, known = self._context, self._known(operation)
        others = [region for region in known.regions if region != operation.region]
        answers = await asyncio.gather(
            *(context.regions[name].adopt(known.record, context.settings.call_timeout) for name in others),
            return_exceptions=True,
        )
        for name, answer in zip(others, answers, strict=True):
            if isinstance(answer, ServiceError):
                _logger.warning(
                    "region %s was not told of namespace %s: %s", name, known.name, answer.message
                )
            elif isinstance(answer, BaseException):
                raise answer
            else:
                context.directory.observe(name, answer)
        return operation._replace(step=Step.OPENING)

    async def _open(self, operation: Operation) -> Operation:
        try:
            await self._context.directory.opened(self._known(operation))
        except StartupError as error:
            return self._context.runner.failed(operation, str(error))
        return self._context.runner.fulfilled(operation)

    def _replicas(self, spec: NamespaceSpec) -> list[str]:
        return specs.cells(specs.replicas_of(spec), list(self._context.regions))

    def _known(self, operation: Operation) -> KnownNamespace:
        known = self._context.directory.find_id(operation.namespace_id)
        if known is None:
            raise NamespaceNotFound(operation.namespace)
        return known

    def _record(self, operation: Operation, spec: NamespaceSpec) -> NamespaceRecord:
        """The record that an accepted creation leads to, the same one each time. Raises InvalidArgument."""
        request = RegisterNamespaceRequest(
            namespace=operation.namespace,
            workflow_execution_retention_period=times.duration(spec.retention_days * times.DAY),
            active_cluster_name=operation.region,
            clusters=[ClusterReplicationConfig(cluster_name=name) for name in self._replicas(spec)],
            is_global_namespace=True,
        )
        record = namespace_rules.register(
            request,
            region=operation.region,
            clusters=self._clusters,
            limits=Limits(),
            now=operation.started,
            namespace_id=operation.namespace_id,
            existing=None,
        )
        if spec.search_attributes:
            wanted = {name: int(number) for name, number in spec.search_attributes.items()}
            search_attribute_registry.check_added(wanted)
            record = search_attribute_registry.add(record, wanted, CLOUD_PER_TYPE).record
            record.config_version = 0
        record.disable_passive_poller_forwarding = spec.high_availability.disable_passive_poller_forwarding
        return record
