"""UpdateNamespace, RenameCustomSearchAttribute and UpdateNamespaceTags: what a namespace is, not where it is.

    ACCEPTED     nothing done yet                                                     → CONFIGURING
    CONFIGURING  the active region takes what regions know of it, as long as it takes → STORING
    STORING      the rest is stored here; a rename has no rest, and tags nothing else → ended

An update that lists a replica more, or less, goes on from there as the adding or deleting of a region does.

What an update asks for is worked out again from its request at each step: nothing else can change the namespace's spec
meanwhile, but for search attributes that the OperatorService adds, and those stay.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from temporalio.api.cloud.cloudservice.v1 import (
    RenameCustomSearchAttributeRequest,
    UpdateNamespaceRequest,
    UpdateNamespaceTagsRequest,
)
from temporalio.api.cloud.namespace.v1 import NamespaceSpec

from mockcloud.api.admin.v1 import region_admin_pb2 as admin
from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.control import specs, tags
from mockcloud.control.context import Caller, Context
from mockcloud.control.namespace_replicas import Replicas
from mockcloud.control.namespace_replicas import Step as ReplicaStep
from mockcloud.control.namespaces import KnownNamespace
from mockcloud.control.operations import ACCEPTED, Kind, Operation
from mockcloud.core import search_attribute_registry, times
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.search_attributes import CLOUD_PER_TYPE


class Step(StrEnum):
    """Where a change is."""

    ACCEPTED = ACCEPTED
    CONFIGURING = "configuring"
    STORING = "storing"


class Changes:
    """All changes of specs and tags."""

    def __init__(self, context: Context, replicas: Replicas) -> None:
        self._context: Final = context
        self._replicas: Final = replicas
        context.runner.serve(
            Kind.UPDATE,
            {
                Step.ACCEPTED: self._begin,
                Step.CONFIGURING: self._configure,
                Step.STORING: self._store,
                **replicas.steps,
            },
        )
        context.runner.serve(
            Kind.RENAME_SEARCH_ATTRIBUTE,
            {Step.ACCEPTED: self._begin, Step.CONFIGURING: self._rename},
        )
        context.runner.serve(Kind.TAGS, {Step.ACCEPTED: self._store_tags})

    async def update(self, request: UpdateNamespaceRequest, caller: Caller) -> Operation:
        """Accept an update of the spec. It goes on by itself.

        Raises:
            NamespaceNotFound: there is no such namespace.
            InvalidArgument: a spec that the namespace cannot have, or has already ("nothing to change").
            FailedPrecondition: it has changed since the request's resource version, or is being changed.
            AlreadyExists: the operation id belongs to another request.
        """
        context = self._context

        async def check(operation: Operation) -> Operation:
            known = context.known(operation)
            context.require_idle(known)
            context.require_version(known, request.resource_version)
            before = specs.shown(known.spec, known.record)
            # What it comes to is what is carried out, whatever the caller could say.
            wanted = specs.updated(before, request.spec, caller.version, list(context.regions))
            _check_added(known.record, wanted)
            region = await self._place(known, set(specs.replicas_of(wanted)))
            return operation._replace(effect=wanted.SerializeToString(), region=region)

        draft = await context.draft(Kind.UPDATE, request, caller.who)
        return await context.runner.accept(draft, check)

    async def _place(self, known: KnownNamespace, wanted: set[str]) -> str:
        """The region of the replica that an update adds or deletes; empty: none. Raises if that cannot be."""
        added, gone = wanted - set(known.regions), set(known.regions) - wanted
        if len(added | gone) > 1:
            raise InvalidArgument("an update adds or deletes one replica at a time")
        for region in added:
            await self._replicas.check_adding(known, region)
        for region in gone:
            self._replicas.check_deleting(known, region)
        return next(iter(added | gone), "")

    async def rename(self, request: RenameCustomSearchAttributeRequest, caller: Caller) -> Operation:
        """Accept that a search attribute gets another name. It goes on by itself. Raises as `update`."""
        context = self._context
        name, new_name = (
            request.existing_custom_search_attribute_name,
            request.new_custom_search_attribute_name,
        )

        async def check(operation: Operation) -> Operation:
            known = context.known(operation)
            context.require_idle(known)
            context.require_version(known, request.resource_version)
            specs.check_search_attribute(new_name)
            if name not in known.record.custom_search_attributes:
                raise InvalidArgument(f"Search attribute {name} does not exist.")
            if name == new_name:
                raise InvalidArgument("nothing to change")
            search_attribute_registry.rename(known.record, name, new_name)
            return operation

        draft = await context.draft(Kind.RENAME_SEARCH_ATTRIBUTE, request, caller.who)
        return await context.runner.accept(draft, check)

    async def update_tags(self, request: UpdateNamespaceTagsRequest, caller: Caller) -> Operation:
        """Accept an update of tags. It goes on by itself. Raises as `update`, but asks for no resource version."""
        context = self._context

        async def check(operation: Operation) -> Operation:
            known = context.known(operation)
            context.require_idle(known)
            tags.updated(known.tags, request.tags_to_upsert, request.tags_to_remove)
            return operation

        draft = await context.draft(Kind.TAGS, request, caller.who)
        return await context.runner.accept(draft, check)

    async def _begin(self, operation: Operation) -> Operation:
        return operation._replace(step=Step.CONFIGURING)

    async def _configure(self, operation: Operation) -> Operation:
        known, wanted = self._context.known(operation), NamespaceSpec.FromString(operation.effect)
        before = specs.shown(known.spec, known.record)
        change = admin.ConfigureNamespaceRequest(
            disable_passive_poller_forwarding=wanted.high_availability.disable_passive_poller_forwarding,
            add_search_attributes={name: int(number) for name, number in wanted.search_attributes.items()},
        )
        if wanted.retention_days != before.retention_days:  # which a record may have finer than days
            change.retention = wanted.retention_days * times.DAY
        await self._context.configure(known, change)
        return operation._replace(step=Step.STORING)

    async def _rename(self, operation: Operation) -> Operation:
        request = RenameCustomSearchAttributeRequest.FromString(operation.request)
        names = {request.existing_custom_search_attribute_name: request.new_custom_search_attribute_name}
        change = admin.ConfigureNamespaceRequest(rename_search_attributes=names)
        await self._context.configure(self._context.known(operation), change)
        return self._context.runner.fulfilled(operation)

    async def _store(self, operation: Operation) -> Operation:
        known, wanted = self._context.known(operation), NamespaceSpec.FromString(operation.effect)
        await self._context.directory.describe(known, spec=specs.stored_part(wanted))
        if wanted.high_availability.disable_managed_failover:
            # Here and not when it is looked at: the next update may enable it again before that.
            await self._context.operations.forget_failback(known.id)
        if operation.adds_region:
            return operation._replace(step=ReplicaStep.CLEARING)
        if operation.deletes_region:
            return operation._replace(step=ReplicaStep.LEAVING)
        return self._context.runner.fulfilled(operation)

    async def _store_tags(self, operation: Operation) -> Operation:
        known, request = self._context.known(operation), UpdateNamespaceTagsRequest()
        request.MergeFromString(operation.request)
        gone = set(request.tags_to_remove)
        kept = {key: value for key, value in known.tags.items() if key not in gone}
        await self._context.directory.describe(known, tags=kept | dict(request.tags_to_upsert))
        return self._context.runner.fulfilled(operation)


def _check_added(record: NamespaceRecord, wanted: NamespaceSpec) -> None:
    """Raises InvalidArgument for search attributes that the regions would refuse to add."""
    added = {
        name: int(number)
        for name, number in wanted.search_attributes.items()
        if name not in record.custom_search_attributes
    }
    if added:
        search_attribute_registry.check_added(added)
        search_attribute_registry.add(record, added, CLOUD_PER_TYPE)
