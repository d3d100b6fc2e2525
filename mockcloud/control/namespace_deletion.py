"""DeleteNamespace: deleted where it is active, told to its other regions; each removes its runs by itself.

    ACCEPTED  what else was being done to the namespace is cancelled, a failover too         → DELETING
    DELETING  permissions for it are taken, and the active region deletes it, as long as it  → TELLING
              takes to reach that
    TELLING   its other regions are told, those that answer; links tell the rest             → ended

The name is free as soon as the active region has answered.
"""

from __future__ import annotations

import asyncio
import logging
from enum import StrEnum
from typing import Final

from temporalio.api.cloud.cloudservice.v1 import DeleteNamespaceRequest

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.control.context import Caller, Context, Revoke
from mockcloud.control.namespaces import KnownNamespace
from mockcloud.control.operations import ACCEPTED, Kind, Operation
from mockcloud.core import namespace_rules
from mockcloud.core.errors import Code, FailedPrecondition, NamespaceNotFound, ServiceError, Unavailable

_logger = logging.getLogger(__name__)


class Step(StrEnum):
    """Where a deletion is."""

    ACCEPTED = ACCEPTED
    DELETING = "deleting"
    TELLING = "telling"


class Deletions:
    """All deletions of namespaces."""

    def __init__(self, context: Context, revoke: Revoke) -> None:
        self._context: Final = context
        self._revoke: Final = revoke
        context.runner.serve(
            Kind.DELETE,
            {Step.ACCEPTED: self._begin, Step.DELETING: self._delete, Step.TELLING: self._tell},
        )

    async def request(self, request: DeleteNamespaceRequest, caller: Caller) -> Operation:
        """Accept a deletion. It goes on by itself.

        Raises:
            NamespaceNotFound: there is no such namespace.
            FailedPrecondition: it is protected, is being created or deleted, or has changed since the request's
                resource version.
            InvalidArgument: the request has no resource version.
            AlreadyExists: the operation id belongs to another request.
        """
        context = self._context

        async def check(operation: Operation) -> Operation:
            known = context.known(operation)
            running = context.operations.running_change(known.id)
            if running is not None and running.kind in {Kind.CREATE, Kind.DELETE}:
                context.require_idle(known)
            context.require_version(known, request.resource_version)
            if known.spec.lifecycle.enable_delete_protection:
                raise FailedPrecondition(f"delete protection is enabled for namespace {known.name!r}")
            return operation

        draft = await context.draft(Kind.DELETE, request, caller.who)
        return await context.runner.accept(draft, check)

    async def _begin(self, operation: Operation) -> Operation:
        for other in self._context.operations.running(operation.namespace_id):
            if other.id != operation.id:
                await self._context.runner.cancel(other, "the namespace is being deleted")
        return operation._replace(step=Step.DELETING)

    async def _delete(self, operation: Operation) -> Operation:
        context, known = self._context, self._known(operation)
        timeout = context.settings.call_timeout
        # While it has its name: who makes another one of that name gets a permission for it.
        await self._revoke(context.directory.full_name(known.name))

        async def delete(region: str) -> None:
            try:
                await context.regions[region].delete(known.id, timeout)
            except NamespaceNotFound:
                return
            except ServiceError as error:
                if error.code == Code.FAILED_PRECONDITION:
                    # Another region has become the active one: it is asked as soon as that is known here.
                    raise Unavailable(error.message) from error
                raise

        await context.runner.insist(lambda: known.active_region, delete)
        context.directory.observe(known.active_region, self._deleted(operation, known))
        await context.directory.saved()
        return operation._replace(step=Step.TELLING)

    async def _tell(self, operation: Operation) -> Operation:
        context, known = self._context, self._known(operation)
        record = self._deleted(operation, known)
        others = [region for region in known.regions if region != known.active_region]
        answers = await asyncio.gather(
            *(context.regions[region].adopt(record, context.settings.call_timeout) for region in others),
            return_exceptions=True,
        )
        for region, answer in zip(others, answers, strict=True):
            if isinstance(answer, ServiceError):
                _logger.warning("region %s was not told that %s is deleted: %s", region, known.name, answer)
            elif isinstance(answer, BaseException):
                raise answer
        await context.directory.close_endpoint(operation.namespace)
        return context.runner.fulfilled(operation)

    def _known(self, operation: Operation) -> KnownNamespace:
        known = self._context.directory.find_id(operation.namespace_id)
        if known is None:
            raise NamespaceNotFound(operation.namespace)
        return known

    @staticmethod
    def _deleted(operation: Operation, known: KnownNamespace) -> NamespaceRecord:
        """The record as the active region has made it; its time is not that of the region, which nobody reads."""
        if known.record.deleted_time:
            return known.record
        return namespace_rules.delete(known.record, operation.started).record
