"""AddNamespaceRegion and DeleteNamespaceRegion: where a namespace has replicas.

Adding:

    ACCEPTED     nothing done yet                                                            → CLEARING
    CLEARING     the region forgets what it may have of an earlier replica                   → JOINING
    JOINING      the active region lists the new one, and begins to fill it                  → FILLING
    FILLING      the new region gets all that there was when it joined, while work goes on   → ended

Deleting:

    ACCEPTED     an adding of the region that still runs is cancelled                        → LEAVING
    LEAVING      nobody is led there, the active region lists it no longer                   → FORGETTING
    FORGETTING   the region removes what it has; one that is down is owed that, on disk      → ended

A region that is being added cannot be failed over to; from `ended` on it can. The active region cannot be deleted. For
a time that is a setting, a deleted region cannot be added again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from temporalio.api.cloud.cloudservice.v1 import AddNamespaceRegionRequest, DeleteNamespaceRegionRequest

from mockcloud.api.admin.v1 import region_admin_pb2 as admin
from mockcloud.control import runner, specs
from mockcloud.control.context import Caller, Context
from mockcloud.control.database import Closed
from mockcloud.control.namespaces import KnownNamespace
from mockcloud.control.operations import ACCEPTED, Kind, Operation
from mockcloud.core import times
from mockcloud.core.errors import FailedPrecondition, InvalidArgument, ServiceError, Unavailable

_logger = logging.getLogger(__name__)

# How long one long call waits for a fill; then it is made again.
_PATIENCE: Final = times.MINUTE


class Step(StrEnum):
    """Where the adding or deleting of a region is."""

    ACCEPTED = ACCEPTED
    CLEARING = "clearing"
    JOINING = "joining"
    FILLING = "filling"
    LEAVING = "leaving"
    FORGETTING = "forgetting"


class Replicas:
    """All changes of where namespaces are."""

    def __init__(self, context: Context) -> None:
        self._context: Final = context
        self._owed: Final[set[tuple[str, str]]] = set()  # (namespace id, region) that has not forgotten
        # An update that lists a replica more, or less, ends with the same steps.
        self.steps: Final[Mapping[str, runner.Step]] = {
            Step.CLEARING: self._clear,
            Step.JOINING: self._join,
            Step.FILLING: self._fill,
            Step.LEAVING: self._leave,
            Step.FORGETTING: self._forget,
        }
        context.runner.serve(Kind.ADD_REGION, {Step.ACCEPTED: self._begin_adding, **self.steps})
        context.runner.serve(Kind.DELETE_REGION, {Step.ACCEPTED: self._begin_deleting, **self.steps})

    async def resume(self) -> None:
        """Go on with what deleted regions have not forgotten yet."""
        sql = "SELECT namespace_id, region FROM removed_replicas WHERE NOT forgotten"
        self._owed.update((row[0], row[1]) for row in await self._context.database.rows(sql))

    def region_seen(self, region: str) -> None:
        """A region answers (again): it is to forget what it lost while it was down."""
        for namespace_id, owing in self._owed:
            if owing == region:
                self._context.runner.spawn(self._pay(namespace_id, region), f"forget {namespace_id}")

    # Adding

    async def add(self, request: AddNamespaceRegionRequest, caller: Caller) -> Operation:
        """Accept that a namespace shall have a replica in a region more. It goes on by itself.

        Raises:
            NamespaceNotFound: there is no such namespace.
            InvalidArgument: no such region, it is there already, or there would be too many.
            FailedPrecondition: the namespace has changed since the request's resource version or is being changed, or
                the region was deleted from it a short time ago.
            AlreadyExists: the operation id belongs to another request.
        """
        context = self._context

        async def check(operation: Operation) -> Operation:
            known, region = context.known(operation), operation.region
            context.require_idle(known)
            context.require_version(known, request.resource_version)
            await self.check_adding(known, region)
            return operation

        draft = await context.draft(Kind.ADD_REGION, request, caller.who, request.region)
        known = context.directory.find(draft.namespace)
        if known is not None:
            (cell,) = specs.cells([request.region], list(context.regions), known.regions)
            draft = draft._replace(region=cell)
        return await context.runner.accept(draft, check)

    async def check_adding(self, known: KnownNamespace, region: str) -> None:
        """Raises InvalidArgument and FailedPrecondition for a region that cannot be added, as `add` does."""
        if region in known.regions:
            raise InvalidArgument(f"namespace {known.name!r} is in region {region!r} already")
        replicas = [*known.regions, region]
        specs.check_replicas(replicas, list(self._context.regions))
        if known.spec.high_availability.disable_managed_failover and specs.same_region(replicas):
            raise InvalidArgument(
                "managed failover cannot be disabled for a namespace with same-region replication"
            )
        await self._check_absence(known, region)

    async def _check_absence(self, known: KnownNamespace, region: str) -> None:
        removed = await self._removed(known.id, region)
        until = removed + self._context.settings.readd_block
        left = until - self._context.ports.clock.now()
        if removed and left > 0:
            raise FailedPrecondition(
                f"region {region!r} was deleted from namespace {known.name!r} and can be added again "
                f"from {times.timestamp(until).ToJsonString()} on"
            )

    async def _begin_adding(self, operation: Operation) -> Operation:
        return operation._replace(step=Step.CLEARING)

    async def _clear(self, operation: Operation) -> Operation:
        await self._pay(operation.namespace_id, operation.region)
        return operation._replace(step=Step.JOINING)

    async def _join(self, operation: Operation) -> Operation:
        known = self._context.known(operation)
        change = admin.ConfigureNamespaceRequest(add_clusters=[operation.region])
        await self._context.configure(known, change)
        return operation._replace(step=Step.FILLING, source=known.active_region)

    async def _fill(self, operation: Operation) -> Operation:
        context, region = self._context, operation.region

        async def filled(source: str) -> None:
            try:
                await context.regions[source].await_replicated(operation.namespace, region, _PATIENCE)
            except InvalidArgument as error:
                # It sends nothing there: it is just starting, or somebody has taken the region from the namespace.
                if region in context.known(operation).regions:
                    raise Unavailable(error.message) from error
                raise
            # That it has everything is one thing; the control plane must know it there, too.
            record = await context.regions[region].namespace(
                operation.namespace, context.settings.call_timeout
            )
            context.directory.observe(region, record)

        await context.runner.insist(operation.source, filled)
        return context.runner.fulfilled(operation)

    # Deleting

    async def delete(self, request: DeleteNamespaceRegionRequest, caller: Caller) -> Operation:
        """Accept that a namespace shall have no replica in a region any more. It goes on by itself.

        Raises:
            NamespaceNotFound: there is no such namespace.
            InvalidArgument: it is not in that region.
            FailedPrecondition: it is active there or is being failed over, it is being changed, or has changed since
                the request's resource version.
            AlreadyExists: the operation id belongs to another request.
        """
        context = self._context

        async def check(operation: Operation) -> Operation:
            known, region = context.known(operation), operation.region
            running = context.operations.running_change(known.id)
            if running is None or not (running.adds_region and running.region == region):
                context.require_idle(known)
                if region not in known.regions:
                    raise InvalidArgument(
                        f"namespace {known.name!r} has no replica in region {region!r}; "
                        f"it is in: {', '.join(known.regions)}"
                    )
            context.require_version(known, request.resource_version)
            self.check_deleting(known, region)
            return operation

        draft = await context.draft(Kind.DELETE_REGION, request, caller.who, request.region)
        return await context.runner.accept(draft, check)

    def check_deleting(self, known: KnownNamespace, region: str) -> None:
        """Raises FailedPrecondition for a region that cannot be deleted now, as `delete` does."""
        if region == known.active_region:
            raise FailedPrecondition(
                f"namespace {known.name!r} is active in region {region!r}: fail it over to another one first"
            )
        failover = self._context.operations.running_failover(known.id)
        if failover is not None:
            raise FailedPrecondition(
                f"namespace {known.name!r} is being failed over by async operation {failover.id}"
            )

    async def _begin_deleting(self, operation: Operation) -> Operation:
        for other in self._context.operations.running(operation.namespace_id):
            if other.adds_region and other.region == operation.region:
                await self._context.runner.cancel(other, "the region is being deleted")
        return operation._replace(step=Step.LEAVING)

    async def _leave(self, operation: Operation) -> Operation:
        known = self._context.known(operation)
        # It may hear of that from its peers before we do: whoever is connected there moves first.
        self._context.directory.leave(known, operation.region)
        change = admin.ConfigureNamespaceRequest(remove_clusters=[operation.region])
        await self._context.configure(known, change)
        await self._note_removal(operation)
        return operation._replace(step=Step.FORGETTING)

    async def _forget(self, operation: Operation) -> Operation:
        try:
            await self._tell_to_forget(operation.namespace_id, operation.region)
        except Closed:
            raise
        except ServiceError as error:
            _logger.warning(
                "region %s still has what it had of %s: %s", operation.region, operation.namespace, error
            )
        return self._context.runner.fulfilled(operation)

    # What is owed to deleted regions

    async def _pay(self, namespace_id: str, region: str) -> None:
        """Have the region forget, as long as it takes, if it still has to."""

        async def forget(region: str) -> None:
            if (namespace_id, region) in self._owed:
                await self._tell_to_forget(namespace_id, region)

        await self._context.runner.insist(region, forget)

    async def _tell_to_forget(self, namespace_id: str, region: str) -> None:
        client, timeout = self._context.regions[region], self._context.settings.call_timeout
        known = self._context.directory.find_id(namespace_id)
        try:
            await client.forget(namespace_id, timeout)
        except FailedPrecondition:
            if known is None:
                raise
            # It believes to be the active one: it was down when it was failed over, and no link tells it any more.
            await client.adopt(known.record, timeout)
            await client.forget(namespace_id, timeout)

        sql = "UPDATE removed_replicas SET forgotten = 1 WHERE namespace_id = ? AND region = ?"
        await self._context.database.execute(sql, namespace_id, region)
        self._owed.discard((namespace_id, region))
        self._context.directory.forgotten(namespace_id, region)

    async def _note_removal(self, operation: Operation) -> None:
        await self._context.database.execute(
            "INSERT OR REPLACE INTO removed_replicas (namespace_id, region, removed, forgotten) VALUES (?, ?, ?, 0)",
            operation.namespace_id,
            operation.region,
            self._context.ports.clock.now(),
        )
        self._owed.add((operation.namespace_id, operation.region))

    async def _removed(self, namespace_id: str, region: str) -> int:
        """When the region was last deleted from the namespace; 0: never."""
        sql = "SELECT removed FROM removed_replicas WHERE namespace_id = ? AND region = ?"
        rows = await self._context.database.rows(sql, namespace_id, region)
        return int(rows[0][0]) if rows else 0
