"""Asynchronous operations: what was asked for, how far it came, how it ended. Every step is on disk before it is taken.

An operation is a value; a step is a new value. States go PENDING → IN_PROGRESS → FULFILLED or FAILED, and never back.
Asking again with the same id for the same thing finds the operation that is there.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import aiosqlite
from google.protobuf.any_pb2 import Any as AnyMessage
from temporalio.api.cloud.cloudservice.v1 import FailoverNamespaceRegionRequest
from temporalio.api.cloud.operation.v1 import AsyncOperation

from mockcloud.control.database import Database
from mockcloud.core import times
from mockcloud.core.errors import AlreadyExists, NotFound

OPERATION_TYPE: Final = "FailoverNamespaceRegion"


class State(StrEnum):
    """Names of AsyncOperation.State."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    FULFILLED = "FULFILLED"
    FAILED = "FAILED"


class Step(StrEnum):
    """Where a failover is; `control.failover` says what each step does."""

    ACCEPTED = "accepted"
    CATCHING_UP = "catching up"
    HANDOVER = "handover"
    SWITCHING = "switching"
    RELEASING = "releasing"
    FORCING = "forcing"
    FOLLOWING = "following"
    ENDED = "ended"


class Mode(StrEnum):
    """How the active region changed."""

    UNDECIDED = ""
    GRACEFUL = "graceful"
    FORCED = "forced"
    NONE = "none"  # the target was active already


@dataclass(frozen=True, slots=True)
class Operation:
    """One failover. Times are nanoseconds since the epoch; 0: not yet."""

    id: str
    namespace_id: str
    namespace: str
    source: str  # the region that was active when it was accepted
    target: str
    forced: bool  # asked for without the graceful attempt
    who: str
    state: State
    step: Step
    mode: Mode
    reason: str  # of a failure; or why a graceful attempt became a forced failover
    started: int
    finished: int = 0
    version: int = 0  # failover version after it
    after_id: str = ""  # the operation that does the work, when one ran already

    @property
    def ended(self) -> bool:
        return self.finished != 0

    def asks_the_same(self, other: Operation) -> bool:
        """Whether both come from the same request."""
        return (self.namespace, self.target, self.forced) == (other.namespace, other.target, other.forced)

    def message(self, check_after: int) -> AsyncOperation:
        """As the Cloud Ops API shows it."""
        request = FailoverNamespaceRegionRequest(
            namespace=self.namespace, region=self.target, async_operation_id=self.id
        )
        packed = AnyMessage()
        packed.Pack(request)
        message = AsyncOperation(
            id=self.id,
            state=AsyncOperation.State.Value(f"STATE_{self.state}"),
            state_deprecated=self.state.lower(),
            check_duration=times.duration(check_after),
            operation_type=OPERATION_TYPE,
            operation_input=packed,
            failure_reason=self.reason if self.state is State.FAILED else "",
            started_time=times.timestamp(self.started),
        )
        if self.finished:
            message.finished_time.CopyFrom(times.timestamp(self.finished))
        return message


_FIELDS: Final = tuple(field.name for field in dataclasses.fields(Operation))
_COLUMNS: Final = ", ".join(_FIELDS)
_PUT: Final = (
    f"INSERT INTO operations ({_COLUMNS}) VALUES ({', '.join('?' * len(_FIELDS))})"  # noqa: S608 constants
    " ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _FIELDS if name != "id")
)
_GET: Final = f"SELECT {_COLUMNS} FROM operations WHERE id = ?"  # noqa: S608 constants
_FORCED: Final = f"SELECT {_COLUMNS} FROM operations WHERE mode = ? ORDER BY number"  # noqa: S608 constants
_RUNNING: Final = f"SELECT {_COLUMNS} FROM operations WHERE finished = 0 ORDER BY number"  # noqa: S608 constants


class Operations:
    """All operations; those that run are also in memory, where one can wait for their end."""

    def __init__(self, database: Database) -> None:
        self._database: Final = database
        self._running: Final[dict[str, Operation]] = {}
        self._ends: Final[dict[str, asyncio.Future[Operation]]] = {}

    async def load(self) -> Sequence[Operation]:
        """What runs according to the database, in the order in which it was accepted."""

        async def work(connection: aiosqlite.Connection) -> list[Operation]:
            async with connection.execute(_RUNNING) as cursor:
                return [_operation(row) for row in await cursor.fetchall()]

        found = await self._database.transact(work)
        self._running.update((operation.id, operation) for operation in found)
        return found

    async def forced(self) -> dict[str, Operation]:
        """Those that have ended by force, by id, in the order in which they were accepted."""

        async def work(connection: aiosqlite.Connection) -> list[Operation]:
            async with connection.execute(_FORCED, (Mode.FORCED,)) as cursor:
                return [_operation(row) for row in await cursor.fetchall()]

        return {operation.id: operation for operation in await self._database.transact(work)}

    def running(self, namespace_id: str) -> Operation | None:
        """The failover of a namespace that does the work now."""
        for operation in self._running.values():
            if operation.namespace_id == namespace_id and operation.step is not Step.FOLLOWING:
                return operation
        return None

    async def find(self, operation_id: str) -> Operation | None:
        """The operation of that id, or None."""
        if operation_id in self._running:
            return self._running[operation_id]

        async def work(connection: aiosqlite.Connection) -> Operation | None:
            async with connection.execute(_GET, (operation_id,)) as cursor:
                row = await cursor.fetchone()
            return None if row is None else _operation(row)

        return await self._database.transact(work)

    async def get(self, operation_id: str) -> Operation:
        """The operation of that id. NotFound."""
        found = await self.find(operation_id)
        if found is None:
            raise NotFound(f"async operation {operation_id} not found")
        return found

    async def accept(self, operation: Operation) -> Operation:
        """Record a new operation, or find the one that the same request made before. AlreadyExists: another did."""

        async def work(connection: aiosqlite.Connection) -> Operation | None:
            async with connection.execute(_GET, (operation.id,)) as cursor:
                row = await cursor.fetchone()
            if row is not None:
                return _operation(row)
            await connection.execute(_PUT, _values(operation))
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

        async def work(connection: aiosqlite.Connection) -> None:
            await connection.execute(_PUT, _values(operation))

        await self._database.transact(work)
        self._remember(operation)

    def _remember(self, operation: Operation) -> None:
        if not operation.ended:
            self._running[operation.id] = operation
            return
        self._running.pop(operation.id, None)
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


def _values(operation: Operation) -> tuple[object, ...]:
    return tuple(getattr(operation, name) for name in _FIELDS)


def _operation(row: aiosqlite.Row | tuple[object, ...]) -> Operation:
    values = dict(zip(_FIELDS, row, strict=True))
    values.update(
        state=State(values["state"]),
        step=Step(values["step"]),
        mode=Mode(values["mode"]),
        forced=bool(values["forced"]),
    )
    return Operation(**values)
