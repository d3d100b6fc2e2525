"""Asynchronous operations: what was asked for, how far it came, how it ended. Every step is on disk before it is taken.

An operation is a value; a step is a new value. States go PENDING → IN_PROGRESS → FULFILLED, FAILED or CANCELLED, and
never back. Asking again with the same id for the same thing finds the operation that is there.

What the steps of a kind are, its own module says; `control.runner` takes them.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from temporalio.api.cloud.cloudservice import v1 as cloudservice
from temporalio.api.cloud.namespace.v1 import NamespaceSpec
from temporalio.api.cloud.operation.v1 import AsyncOperation

from mockcloud.control import audit
from mockcloud.control.database import Database
from mockcloud.core import times
from mockcloud.core.errors import AlreadyExists, NotFound

ACCEPTED: Final = "accepted"
ENDED: Final = "ended"
FOLLOWING: Final = "following"  # a failover that leaves the work to an earlier one


class Kind(StrEnum):
    """What is done: the name of the RPC that asks for it, which is its `operation_type`."""

    CREATE = "CreateNamespace"
    UPDATE = "UpdateNamespace"
    RENAME_SEARCH_ATTRIBUTE = "RenameCustomSearchAttribute"
    TAGS = "UpdateNamespaceTags"
    DELETE = "DeleteNamespace"
    ADD_REGION = "AddNamespaceRegion"
    DELETE_REGION = "DeleteNamespaceRegion"
    FAILOVER = "FailoverNamespaceRegion"
    # What ends when it is accepted:
    CREATE_USER = "CreateUser"
    UPDATE_USER = "UpdateUser"
    DELETE_USER = "DeleteUser"
    USER_ACCESS = "SetUserNamespaceAccess"
    CREATE_SERVICE_ACCOUNT = "CreateServiceAccount"
    UPDATE_SERVICE_ACCOUNT = "UpdateServiceAccount"
    DELETE_SERVICE_ACCOUNT = "DeleteServiceAccount"
    SERVICE_ACCOUNT_ACCESS = "SetServiceAccountNamespaceAccess"
    CREATE_API_KEY = "CreateApiKey"
    UPDATE_API_KEY = "UpdateApiKey"
    DELETE_API_KEY = "DeleteApiKey"


_REQUESTS: Final[Mapping[Kind, type[Message]]] = {
    kind: getattr(cloudservice, f"{kind}Request") for kind in Kind
}


class State(StrEnum):
    """Names of AsyncOperation.State."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    FULFILLED = "FULFILLED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class Mode(StrEnum):
    """How a failover changed the active region."""

    UNDECIDED = ""
    GRACEFUL = "graceful"
    FORCED = "forced"
    NONE = "none"  # the target was active already


class Trigger(StrEnum):
    """What made a failover happen."""

    USER = "user"
    AUTOMATIC = "automatic"  # its region was not healthy
    TEMPORAL = "temporal"  # Temporal's engineers asked for it
    FAILBACK = "failback"  # its original region was healthy again


class Operation(NamedTuple):
    """One operation. Times are nanoseconds since the epoch; 0: not yet."""

    id: str
    kind: Kind
    namespace_id: str  # of the regions' record
    namespace: str  # its name there
    region: str  # that is failed over to, added or deleted; where a new namespace is active; empty: none
    request: bytes  # of the kind's RPC, as it was sent
    who: str
    started: int
    state: State = State.PENDING
    step: str = ACCEPTED
    effect: bytes = b""  # what it comes to, where the request alone does not say: an update's NamespaceSpec
    reason: str = ""  # why it failed or was cancelled; or why a graceful failover became a forced one
    finished: int = 0
    source: str = (
        ""  # that is failed over from: active when it was accepted; or that an added region is filled from
    )
    # Of failovers:
    forced: bool = False  # asked for without the graceful attempt
    mode: Mode = Mode.UNDECIDED
    version: int = 0  # failover version after it
    after_id: str = ""  # the operation that does the work, when one ran already
    trigger: Trigger = Trigger.USER
    cause: str = ""  # of one that happened by itself
    failback: str = ""  # the region that the namespace goes back to when that is healthy again

    @property
    def ended(self) -> bool:
        return self.finished != 0

    @property
    def subject(self) -> str:
        """What it is done to, in words: the namespace, and the region where there is one."""
        return f"{self.namespace} {self.region}".rstrip()

    @property
    def adds_region(self) -> bool:
        """Whether a replica is added, in `region`: by the RPC for that, or by an update that lists one more."""
        return self.kind is Kind.ADD_REGION or (self._places_a_replica and self.region in self._wanted)

    @property
    def deletes_region(self) -> bool:
        """Whether the replica in `region` is deleted."""
        return self.kind is Kind.DELETE_REGION or (self._places_a_replica and self.region not in self._wanted)

    @property
    def _places_a_replica(self) -> bool:
        return self.kind is Kind.UPDATE and self.region != ""

    @property
    def _wanted(self) -> set[str]:
        return {replica.region for replica in NamespaceSpec.FromString(self.effect).replicas}

    def input(self) -> Message:
        """The request, with the operation's id."""
        message = _REQUESTS[self.kind].FromString(self.request)
        setattr(message, "async_operation_id", self.id)  # noqa: B010 every kind's request has it
        return message

    def asks_the_same(self, other: Operation) -> bool:
        """Whether both come from the same request; a namespace may be named with its account or without."""
        return self._question() == other._question()

    def _question(self) -> tuple[object, ...]:
        message = self.input()
        if "namespace" in message.DESCRIPTOR.fields_by_name:
            message.ClearField("namespace")
        return self.kind, self.namespace, self.forced, message

    def told(self) -> dict[str, Any]:
        """As the timeline has it."""
        return {
            "operation": self.kind,
            "operation_id": self.id,
            "namespace": self.namespace,
            "region": self.region,
            "source": self.source,
            "state": self.state,
            "step": self.step,
            "mode": self.mode,
            "forced": self.forced,
            "reason": self.reason,
            "who": self.who,
            "trigger": self.trigger,
            "cause": self.cause,
            "version": self.version,
            "after_id": self.after_id,
        }

    def message(self, check_after: int) -> AsyncOperation:
        """As the Cloud Ops API shows it."""
        packed = AnyMessage()
        packed.Pack(self.input())
        message = AsyncOperation(
            id=self.id,
            state=AsyncOperation.State.Value(f"STATE_{self.state}"),
            state_deprecated=self.state.lower(),
            check_duration=times.duration(check_after),
            operation_type=self.kind,
            operation_input=packed,
            failure_reason=self.reason if self.state in {State.FAILED, State.CANCELLED} else "",
            started_time=times.timestamp(self.started),
        )
        if self.finished:
            message.finished_time.CopyFrom(times.timestamp(self.finished))
        return message


_COLUMNS: Final = ", ".join(Operation._fields)
_PUT: Final = (
    f"INSERT INTO operations ({_COLUMNS}) VALUES ({', '.join('?' * len(Operation._fields))})"  # noqa: S608 constants
    " ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in Operation._fields if name != "id")
)
_SELECT: Final = f"SELECT {_COLUMNS} FROM operations"  # noqa: S608 constants
_GET: Final = f"{_SELECT} WHERE id = ?"
_FORCED: Final = f"{_SELECT} WHERE mode = ? ORDER BY number"
_RUNNING: Final = f"{_SELECT} WHERE finished = 0 ORDER BY number"
_OF_REGIONS: Final = f"{_SELECT} WHERE kind IN (?, ?, ?) AND region != '' AND finished > 0 ORDER BY number"
_FAILOVERS: Final = f"{_SELECT} WHERE kind = ? AND namespace_id = ? ORDER BY number DESC LIMIT ?"
_LAST: Final = "SELECT max(number) FROM operations WHERE kind = ? AND state = ? GROUP BY namespace_id"
_LAST_FAILOVERS: Final = f"{_SELECT} WHERE number IN ({_LAST})"
_LIST: Final = f"{_SELECT} WHERE ? IN ('', namespace) ORDER BY number DESC LIMIT ?"


Also: TypeAlias = Callable[[sqlite3.Connection], None]


class Watcher(Protocol):
    """Who wants to know of each step of each operation."""

    def beside(self, connection: sqlite3.Connection, operation: Operation) -> None:
        """In the transaction that stores the step."""
        ...

    def stored(self, operation: Operation) -> None:
        """When that is committed. Must not wait."""
        ...


class Operations:
    """All operations; those that run are also in memory, where one can wait for their end."""

    def __init__(self, database: Database, watchers: Sequence[Watcher] = ()) -> None:
        self._database: Final = database
        self._watchers: Final = watchers
        self._running: Final[dict[str, Operation]] = {}
        self._failed_regions: Final[dict[tuple[str, str], Operation]] = {}  # by namespace id and region
        self._last_failovers: Final[dict[str, Operation]] = {}  # that were fulfilled, by namespace id
        self._ends: Final[dict[str, asyncio.Future[Operation]]] = {}

    async def load(self) -> Sequence[Operation]:
        """What runs according to the database, in the order in which it was accepted."""
        for operation in await self._query(_OF_REGIONS, Kind.ADD_REGION, Kind.DELETE_REGION, Kind.UPDATE):
            self._note_region(operation)
        for operation in await self._query(_LAST_FAILOVERS, Kind.FAILOVER, State.FULFILLED):
            self._last_failovers[operation.namespace_id] = operation
        found = await self._query(_RUNNING)
        self._running.update((operation.id, operation) for operation in found)
        return found

    async def forced(self) -> dict[str, Operation]:
        """Failovers that have ended by force, by id, in the order in which they were accepted."""
        return {operation.id: operation for operation in await self._query(_FORCED, Mode.FORCED)}

    async def failovers(self, namespace_id: str, most: int) -> Sequence[Operation]:
        """The latest failovers of a namespace, the last accepted one first."""
        return await self._query(_FAILOVERS, Kind.FAILOVER, namespace_id, most)

    def last_failover(self, namespace_id: str) -> Operation | None:
        """The last failover of a namespace that was fulfilled, also one to where it was active already."""
        return self._last_failovers.get(namespace_id)

    async def forget_failback(self, namespace_id: str) -> None:
        """The namespace stays where its last failover has brought it. So already: nothing."""
        failover = self.last_failover(namespace_id)
        if failover is None or not failover.failback:
            return
        await self._database.execute("UPDATE operations SET failback = '' WHERE id = ?", failover.id)
        if self._last_failovers.get(namespace_id) is failover:
            self._last_failovers[namespace_id] = failover._replace(failback="")

    async def latest(self, namespace: str, most: int) -> Sequence[Operation]:
        """The latest operations of namespaces of a name, deleted ones too, or of all; the last accepted one first."""
        return await self._query(_LIST, namespace, most)

    def running(self, namespace_id: str) -> list[Operation]:
        """What runs for a namespace now, in the order in which it was accepted."""
        return [operation for operation in self._running.values() if operation.namespace_id == namespace_id]

    def all_running(self) -> list[Operation]:
        """What runs for any namespace now."""
        return list(self._running.values())

    def running_failover(self, namespace_id: str) -> Operation | None:
        """The failover of a namespace that does the work now."""
        for operation in self.running(namespace_id):
            if operation.kind is Kind.FAILOVER and operation.step != FOLLOWING:
                return operation
        return None

    def running_change(self, namespace_id: str) -> Operation | None:
        """What else is done to a namespace now: one thing at a time."""
        for operation in self.running(namespace_id):
            if operation.kind is not Kind.FAILOVER:
                return operation
        return None

    async def find(self, operation_id: str) -> Operation | None:
        """The operation of that id, or None."""
        if operation_id in self._running:
            return self._running[operation_id]
        found = await self._query(_GET, operation_id)
        return found[0] if found else None

    async def get(self, operation_id: str) -> Operation:
        """The operation of that id. NotFound."""
        found = await self.find(operation_id)
        if found is None:
            raise operation_not_found(operation_id)
        return found

    async def repeated(self, operation: Operation) -> Operation | None:
        """What the same request made before; None: its id is new. AlreadyExists: another request has it."""
        known = await self.find(operation.id)
        if known is not None and not known.asks_the_same(operation):
            raise AlreadyExists(f"async operation {operation.id} already exists for another request")
        return known

    async def accept(self, operation: Operation, also: Also | None = None) -> Operation:
        """Record a new operation, or find the one that the same request made before. AlreadyExists: another did.

        `also` is done in the same transaction, for a new one.
        """
        entry = audit.entry_of(operation.id)

        def work(connection: sqlite3.Connection) -> Operation | None:
            row = connection.execute(_GET, (operation.id,)).fetchone()
            if row is not None:
                return _operation(row)
            self._put(connection, operation)
            if entry is not None:
                audit.insert(connection, entry)
            if also is not None:
                also(connection)
            return None

        known = await self._database.transact(work)
        if known is None:
            self._remember(operation)
            return operation
        if not known.asks_the_same(operation):
            raise AlreadyExists(f"async operation {operation.id} already exists for another request")
        return self._running.get(known.id, known)

    async def save(self, operation: Operation) -> None:
        """Make the operation's present step durable; an ended one wakes who waits for it."""
        await self._database.transact(lambda connection: self._put(connection, operation))
        self._remember(operation)

    def failed_regions(self, namespace_id: str) -> dict[str, Operation]:
        """What failed to add a region to a namespace or to delete it, by region, if nothing has succeeded since."""
        return {
            region: operation
            for (owner, region), operation in self._failed_regions.items()
            if owner == namespace_id
        }

    def _note_region(self, operation: Operation) -> None:
        if operation.adds_region or operation.deletes_region:
            key = (operation.namespace_id, operation.region)
            if operation.state is State.FAILED:
                self._failed_regions[key] = operation
            else:
                self._failed_regions.pop(key, None)

    def _put(self, connection: sqlite3.Connection, operation: Operation) -> None:
        connection.execute(_PUT, operation)
        for watcher in self._watchers:
            watcher.beside(connection, operation)

    def _remember(self, operation: Operation) -> None:
        for watcher in self._watchers:
            watcher.stored(operation)
        if not operation.ended:
            self._running[operation.id] = operation
            return
        self._running.pop(operation.id, None)
        if operation.kind is Kind.FAILOVER and operation.state is State.FULFILLED:
            self._last_failovers[operation.namespace_id] = operation
        self._note_region(operation)
        waiting = self._ends.pop(operation.id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(operation)

    async def end_of(self, operation_id: str) -> Operation:
        """The operation once it has ended. NotFound."""
        if operation_id not in self._running:
            operation = await self.get(operation_id)
            if operation.ended:
                return operation
        future = self._ends.get(operation_id)
        if future is None:
            future = self._ends[operation_id] = asyncio.get_running_loop().create_future()
        return await asyncio.shield(future)

    def drop(self, error: Exception) -> None:
        """The control plane goes down: nobody waits any longer."""
        for future in self._ends.values():
            if not future.done():
                future.set_exception(error)
                future.exception()  # who waited may be gone as well
        self._ends.clear()

    async def _query(self, sql: str, *values: object) -> list[Operation]:
        return [_operation(row) for row in await self._database.rows(sql, *values)]


def operation_not_found(operation_id: str) -> NotFound:
    """There is none of that id, or none for the caller."""
    return NotFound(f"async operation {operation_id} not found")


def _operation(row: tuple[object, ...]) -> Operation:
    stored = Operation._make(row)
    return stored._replace(
        kind=Kind(stored.kind),
        state=State(stored.state),
        mode=Mode(stored.mode),
        trigger=Trigger(stored.trigger),
        forced=bool(stored.forced),
    )
