"""The door of the Cloud Ops API: each call passes here, whichever transport brought it.

Here it is asked who calls and whether they may; what changes something, and what is refused, is audited.
"""

from __future__ import annotations

import asyncio
from typing import Final, NoReturn

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.cloud.cloudservice.v1 import CreateNamespaceRequest

from mockcloud.control import access
from mockcloud.control.access import Identity
from mockcloud.control.audit import UNKNOWN, AuditLog, operation_name
from mockcloud.control.cloud_ops import CLOUD_SERVICE, SERVED, CloudOps
from mockcloud.control.database import Closed
from mockcloud.control.identities import Identities
from mockcloud.control.namespaces import Directory
from mockcloud.core.errors import ServiceError
from mockcloud.rpc.methods import Call, parse


class Door:
    """In front of one control plane's Cloud Ops API."""

    def __init__(self, service: CloudOps, audit: AuditLog, known: Identities, directory: Directory) -> None:
        self._service: Final = service
        self._audit: Final = audit
        self._known: Final = known
        self._directory: Final = directory
        self._changing: Final[set[asyncio.Task[bytes]]] = set()

    async def dispatch(self, call: Call) -> bytes:
        """Answer one call. Raises ServiceError."""
        rpc = CLOUD_SERVICE.methods_by_name[call.method]
        try:
            request = parse(GetMessageClass(rpc.input_type), call.request)
        except ServiceError as error:
            await self.refuse(call, error)
        principal, operation = UNKNOWN, operation_name(rpc)
        try:
            identity = self._known.of(call.metadata)
            principal = identity.principal
            self._check(identity, call.method, request)
        except ServiceError as error:
            async with self._audit.attempt(operation or rpc.name, principal, request, forwarded_for(call)):
                raise error from None
        if not operation or call.method not in SERVED:
            return await self._service.dispatch(call, identity)
        # In a task of its own: a client that goes away must not leave memory behind what is stored.
        task = asyncio.create_task(self._change(operation, call, identity, request), name=operation)
        self._changing.add(task)
        task.add_done_callback(self._changed)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():  # by `stop`: the client still waits
                raise Closed from None
            raise

    async def refuse(self, call: Call, error: ServiceError) -> NoReturn:
        """Answer a call whose request cannot be read because of `error`: raises that, or Unauthenticated."""
        rpc = CLOUD_SERVICE.methods_by_name[call.method]
        operation = operation_name(rpc) if call.method in SERVED else ""
        principal = UNKNOWN
        try:
            principal = self._known.of(call.metadata).principal
        except ServiceError as unauthenticated:
            operation, error = operation or rpc.name, unauthenticated
        if not operation:
            raise error
        request = GetMessageClass(rpc.input_type)()
        async with self._audit.attempt(operation, principal, request, forwarded_for(call)):
            raise error

    def stop(self) -> list[asyncio.Task[bytes]]:
        """Cancel what runs, without waiting. What was cancelled."""
        for task in self._changing:
            task.cancel()
        return list(self._changing)

    async def _change(self, operation: str, call: Call, identity: Identity, request: Message) -> bytes:
        async with self._audit.attempt(operation, identity.principal, request, forwarded_for(call)):
            return await self._service.dispatch(call, identity)

    def _changed(self, task: asyncio.Task[bytes]) -> None:
        self._changing.discard(task)
        if not task.cancelled():
            task.exception()  # who asked may be gone

    def _check(self, identity: Identity, method: str, request: Message) -> None:
        asked: str = getattr(request, "namespace", "")
        namespace = self._directory.full_name(self._directory.plain_name(asked)) if asked else ""
        access.check_call(identity, method, namespace, asked)
        if isinstance(request, CreateNamespaceRequest) and request.tags and not identity.is_admin:
            raise access.denied()  # tags of a namespace are for admins, from its beginning on


def forwarded_for(call: Call) -> str:
    """Where a call came from, over the proxies that say so, as the header `X-Forwarded-For` has it."""
    before = call.metadata.get("x-forwarded-for", "")
    address = call.peer.partition(":")[2].rpartition(":")[0]
    return ", ".join(part for part in (before, address) if part)
