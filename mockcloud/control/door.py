"""The door of the Cloud Ops API: each call passes here, whichever transport brought it, and what changes is audited."""

from __future__ import annotations

from typing import Final

from google.protobuf.message_factory import GetMessageClass
from temporalio.api.cloud.auditlog.v1 import Principal

from mockcloud.control.audit import AuditLog, operation_name
from mockcloud.control.cloud_ops import CLOUD_SERVICE, SERVED, CloudOps
from mockcloud.rpc.methods import Call, parse

ANONYMOUS: Final = Principal(type="user", name="anonymous")


class Door:
    """In front of one control plane's Cloud Ops API."""

    def __init__(self, service: CloudOps, audit: AuditLog) -> None:
        self._service: Final = service
        self._audit: Final = audit

    async def dispatch(self, call: Call) -> bytes:
        """Answer one call. Raises ServiceError."""
        rpc = CLOUD_SERVICE.methods_by_name[call.method]
        operation = operation_name(rpc)
        if not operation or call.method not in SERVED:
            return await self._service.dispatch(call)
        request = parse(GetMessageClass(rpc.input_type), call.request)
        async with self._audit.attempt(operation, ANONYMOUS, request, forwarded_for(call)):
            return await self._service.dispatch(call)


def forwarded_for(call: Call) -> str:
    """Where a call came from, over the proxies that say so, as the header `X-Forwarded-For` has it."""
    before = call.metadata.get("x-forwarded-for", "")
    address = call.peer.partition(":")[2].rpartition(":")[0]
    return ", ".join(part for part in (before, address) if part)
