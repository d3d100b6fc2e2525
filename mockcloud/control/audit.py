"""The audit log: who asked for which operation, when, and whether it was accepted. What only reads is not in it.

An operation that is accepted has its entry in the same transaction, so that a control plane that dies has both or none.
A refused one has its entry before its error is answered. Entries are kept for thirty days, as in Temporal Cloud.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from google.api import annotations_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from temporalio.api.cloud.auditlog.v1 import LogRecord, Principal
from temporalio.api.cloud.cloudservice.v1 import GetAuditLogsRequest, GetAuditLogsResponse

from mockcloud.control.audit_file import AuditFile
from mockcloud.control.database import Closed, Database
from mockcloud.control.pages import page_size
from mockcloud.core import times
from mockcloud.core.errors import InvalidArgument, ServiceError
from mockcloud.core.ports import Ports

RETENTION: Final = 30 * times.DAY

CREATE_NAMESPACE: Final = "CreateNamespaceAPI"
FAILOVER: Final = "FailoverNamespace"
UNKNOWN: Final = Principal(type="user", name="unknown")
"""Whoever shows no key that is known."""

# Names of the documentation (cloud/audit-logs, and for failovers cloud/high-availability/failovers) where they are not
# the RPC's own.
_NAMES: Final[Mapping[str, str]] = {
    "CreateNamespace": CREATE_NAMESPACE,
    "UpdateNamespace": "UpdateNamespaceAPI",
    "UpdateNamespaceTags": "UpdateNamespaceAPI",
    "AddNamespaceRegion": "UpdateNamespaceAPI",
    "DeleteNamespaceRegion": "UpdateNamespaceAPI",
    "DeleteNamespace": "DeleteNamespaceAPI",
    "RenameCustomSearchAttribute": "RenameCustomSearchAttributeAPI",
    "FailoverNamespaceRegion": FAILOVER,
    "CreateApiKey": "CreateAPIKey",
    "UpdateApiKey": "UpdateAPIKey",
    "DeleteApiKey": "DeleteAPIKey",
    "SetServiceAccountNamespaceAccess": "UpdateServiceAccount",
    "CreateUser": "CreateUserAPI",
    "UpdateUser": "UpdateUserAPI",
    "DeleteUser": "DeleteUserAPI",
    "SetUserNamespaceAccess": "SetUserNamespaceAccessAPI",
}

_VERSION: Final = 2  # of entries, in the documentation's examples


@dataclass(slots=True)
class _Attempt:
    """An operation that somebody asks for; `record` becomes its entry."""

    record: LogRecord
    over: bool = False  # tasks that were started by it inherit it, and go on


_behalf: Final[ContextVar[Principal | None]] = ContextVar("behalf", default=None)
_current: Final[ContextVar[_Attempt | None]] = ContextVar("attempt", default=None)


def tool_operation_name(method: str) -> str:
    """What a method of the tools' own service is called in the audit log."""
    return {
        "Failover": FAILOVER,
        "AddRegion": "UpdateNamespaceAPI",
        "DeleteRegion": "UpdateNamespaceAPI",
    }.get(method, _NAMES.get(method, method))


def operation_name(rpc: MethodDescriptor) -> str:
    """What an RPC is called in the audit log; empty for one that only reads."""
    rule = rpc.GetOptions().Extensions[annotations_pb2.http]
    return "" if rule.WhichOneof("pattern") == "get" else _NAMES.get(rpc.name, rpc.name)


def entry_of(operation_id: str) -> LogRecord | None:
    """The entry of what is asked for now, which has become that operation. None: nobody asks, it comes by itself.

    `insert` stores it, in the operation's own transaction.
    """
    attempt = _current.get()
    if attempt is None or attempt.over:
        return None
    attempt.record.async_operation_id = operation_id
    return attempt.record


@contextmanager
def on_behalf_of(principal: Principal) -> Iterator[None]:
    """Let what the tools of this cloud ask for be asked for by somebody who has shown a key."""
    before = _behalf.set(principal)
    try:
        yield
    finally:
        _behalf.reset(before)


def tool(name: str) -> Principal:
    """Who asks by the tools of this cloud: whose key they show, or where there are no keys, the tool itself."""
    return _behalf.get() or Principal(type="user", name=name or "mockcloud")


class AuditLog:
    """The entries of a cloud.

    Args:
        tell: is called with each entry once it is stored, in the order in which they are.
        file: that follows it.
    """

    def __init__(
        self,
        database: Database,
        ports: Ports,
        tell: Callable[[LogRecord], None],
        file: AuditFile | None = None,
    ) -> None:
        self._database: Final = database
        self._ports: Final = ports
        self._tell: Final = tell
        self._file: Final = file
        self._told = 0  # the number of the last entry that was told

    async def load(self) -> None:
        """Forget what is older than thirty days; write what the file lacks."""
        limit = self._ports.clock.now() - RETENTION
        last = self._file.last() if self._file is not None else ""

        def work(connection: sqlite3.Connection) -> tuple[int, int]:
            connection.execute("DELETE FROM audit_log WHERE emit_time < ?", (limit,))
            sql = "SELECT coalesce(max(number), 0), coalesce(max(number) FILTER (WHERE log_id = ?), 0) FROM audit_log"
            told, written = connection.execute(sql, (last,)).fetchone()
            return told, written

        self._told, written = await self._database.transact(work)
        if self._file is not None:
            self._file.append(record for _, record in await self._after(written))

    @asynccontextmanager
    async def attempt(
        self, operation: str, principal: Principal, request: Message, forwarded_for: str = ""
    ) -> AsyncIterator[None]:
        """Around what is asked for: its entry is stored when this is left, as OK, or as ERROR of a ServiceError.

        Args:
            operation: its name in the log.
            principal: who asks.
            request: what is asked for.
            forwarded_for: the addresses that it came from, as the header `X-Forwarded-For` has them.
        """
        record = LogRecord(
            emit_time=times.timestamp(self._ports.clock.now()),
            operation=operation,
            status="OK",
            version=_VERSION,
            log_id=self._ports.ids.uuid(),
            principal=principal,
            x_forwarded_for=forwarded_for,
            async_operation_id=getattr(request, "async_operation_id", ""),
        )
        record.raw_details.update(_details(request))
        attempt = _Attempt(record)
        before = _current.set(attempt)
        try:
            yield
        except Closed:
            raise
        except ServiceError as error:
            record.status = "ERROR"
            record.raw_details.update({"error": {"code": error.code.name, "message": error.message}})
            await self._store(record)
            raise
        else:
            await self._store(record)
        finally:
            attempt.over = True
            _current.reset(before)

    async def page(self, request: GetAuditLogsRequest) -> GetAuditLogsResponse:
        """Entries of a span of time, the oldest first. InvalidArgument: size or token of the page."""
        size = page_size(request.page_size)
        now = self._ports.clock.now()
        start, end = now - RETENTION, now + 1
        if request.HasField("start_time_inclusive"):
            start = times.nanoseconds(request.start_time_inclusive)
        if request.HasField("end_time_exclusive"):
            end = times.nanoseconds(request.end_time_exclusive)
        after = _position(request.page_token)

        rows = await self._database.rows(
            "SELECT emit_time, log_id, record FROM audit_log WHERE emit_time >= ? AND emit_time < ?"
            " AND (emit_time, log_id) > (?, ?) ORDER BY emit_time, log_id LIMIT ?",
            *(start, end, *after, size + 1),
        )
        token = f"{rows[size - 1][0]}.{rows[size - 1][1]}" if len(rows) > size else ""
        logs = [LogRecord.FromString(record) for _, _, record in rows[:size]]
        return GetAuditLogsResponse(logs=logs, next_page_token=token)

    async def _store(self, record: LogRecord) -> None:
        await self._database.transact(lambda connection: insert(connection, record))
        for number, record in await self._after(self._told):
            if number > self._told:  # another entry may have told of this one meanwhile
                self._told = number
                if self._file is not None:
                    self._file.append([record])
                self._tell(record)

    async def _after(self, number: int) -> list[tuple[int, LogRecord]]:
        sql = "SELECT number, record FROM audit_log WHERE number > ? ORDER BY number"
        rows = await self._database.rows(sql, number)
        return [(row[0], LogRecord.FromString(row[1])) for row in rows]


def insert(connection: sqlite3.Connection, record: LogRecord) -> None:
    """Store an entry, unless it was when its operation was accepted."""
    connection.execute(
        "INSERT OR IGNORE INTO audit_log (emit_time, log_id, record) VALUES (?, ?, ?)",
        (record.emit_time.ToNanoseconds(), record.log_id, record.SerializeToString()),
    )


def _details(request: Message) -> dict[str, Any]:
    try:
        return json_format.MessageToDict(request)
    except json_format.Error as error:  # a time that JSON cannot write, which is about to be refused
        return {"problem": str(error).partition("\n")[0]}


def _position(token: str) -> tuple[int, str]:
    """Where the page before ended."""
    if not token:
        return -1, ""
    time, _, log_id = token.partition(".")
    if not (time.isdecimal() and time.isascii() and len(time) <= 19 and log_id):
        raise InvalidArgument("invalid page token")
    return int(time), log_id
