"""How users, service accounts and API keys change: each change is an operation that ends when it is accepted.

The record, the operation and its audit entry are one transaction; memory follows when that is committed.
"""

from __future__ import annotations

import asyncio
import copy
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, NamedTuple, TypeVar

from google.protobuf.message import Message
from temporalio.api.cloud.identity.v1 import ApiKey, NamespaceAccess, ServiceAccount, User
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.api.cloud.resource.v1 import ResourceState

from mockcloud.control import identities
from mockcloud.control.access import Identity
from mockcloud.control.context import Caller, Context
from mockcloud.control.identities import Identities, Record
from mockcloud.control.identity_specs import namespace_access
from mockcloud.control.operations import ENDED, Also, Kind, Operation, State
from mockcloud.core import times
from mockcloud.core.errors import FailedPrecondition, InvalidArgument, NotFound

Rec = TypeVar("Rec", User, ServiceAccount, ApiKey)


class _Change(NamedTuple):
    """What a request comes to."""

    record_id: str
    store: Callable[[sqlite3.Connection], None]  # in the operation's transaction
    take: Callable[[], None]  # when that is committed


class IdentityChanges:
    """One after the other, over the parts of one control plane."""

    def __init__(self, context: Context, known: Identities) -> None:
        self._context: Final = context
        self._known: Final = known
        self._one_by_one: Final = asyncio.Lock()

    @asynccontextmanager
    async def granting(self, identity: Identity, namespace: str) -> AsyncIterator[Also]:
        """Around the transaction in which somebody makes a namespace: with what is given, all of it becomes theirs."""
        async with self._one_by_one:
            owner = self._known.owner(identity.id)
            assert owner is not None, "it was the identity of a call"
            after = copy.deepcopy(owner)
            admin = namespace_access(NamespaceAccess(permission=NamespaceAccess.PERMISSION_ADMIN))
            after.spec.access.namespace_accesses[namespace].CopyFrom(admin)
            after.resource_version = _next_version(owner)
            stored = False

            def store(connection: sqlite3.Connection) -> None:
                nonlocal stored
                identities.put(connection, after)
                stored = True

            yield store
            if stored:
                self._known.take(after)

    async def revoke(self, namespace: str) -> None:
        """Nobody has a permission for that namespace any more. Accounts of that namespace alone stay as they are."""
        async with self._one_by_one:
            owners: list[User | ServiceAccount] = [
                *self._known.users.values(),
                *self._known.service_accounts.values(),
            ]
            changed = []
            for owner in owners:
                if namespace in owner.spec.access.namespace_accesses:
                    after = copy.deepcopy(owner)
                    del after.spec.access.namespace_accesses[namespace]
                    after.resource_version = _next_version(owner)
                    changed.append(after)

            def store(connection: sqlite3.Connection) -> None:
                for record in changed:
                    identities.put(connection, record)

            await self._context.database.transact(store)
            for record in changed:
                self._known.take(record)

    async def create(
        self,
        kind: Kind,
        request: Message,
        caller: Caller,
        make: Callable[[str], Record],
        key_hash: bytes = b"",
    ) -> tuple[str, AsyncOperation]:
        """Carry out what makes a record; its id, also where the same request made it before."""

        def prepare() -> _Change:
            return self._putting(make(self._context.ports.ids.uuid().replace("-", "")), key_hash)

        operation = await self._carry_out(kind, request, caller, prepare)
        return operation.effect.decode(), self._shown(operation)

    async def update(
        self, kind: Kind, request: Message, caller: Caller, change: Callable[[], Record]
    ) -> AsyncOperation:
        """Carry out what changes a record. Raises what `change` raises, with nothing changed."""
        return self._shown(await self._carry_out(kind, request, caller, lambda: self._putting(change())))

    async def delete(
        self, kind: Kind, request: Message, caller: Caller, find: Callable[[], Record]
    ) -> AsyncOperation:
        """Carry out what removes a record, and of an owner the keys. Raises what `find` raises."""

        def prepare() -> _Change:
            record = find()
            return _Change(
                record.id,
                lambda connection: identities.delete(connection, record),
                lambda: self._known.drop(record),
            )

        return self._shown(await self._carry_out(kind, request, caller, prepare))

    def _putting(self, record: Record, key_hash: bytes = b"") -> _Change:
        return _Change(
            record.id,
            lambda connection: identities.put(connection, record, key_hash),
            lambda: self._known.take(record, key_hash),
        )

    async def _carry_out(
        self, kind: Kind, request: Message, caller: Caller, prepare: Callable[[], _Change]
    ) -> Operation:
        """Do what is asked for, or find the operation that did it for the same request before."""
        async with self._one_by_one:
            draft = self._context.new(kind, request, caller.who, namespace_id="", namespace="")
            operation = await self._context.operations.repeated(draft)
            if operation is None:
                change = prepare()
                ended = draft._replace(
                    state=State.FULFILLED,
                    step=ENDED,
                    finished=self._now(),
                    effect=change.record_id.encode(),
                )
                operation = await self._context.operations.accept(ended, change.store)
                change.take()
            return operation

    def _shown(self, operation: Operation) -> AsyncOperation:
        return operation.message(self._context.settings.check_after)

    def new(self, record: Rec) -> Rec:
        """The record as it is when it has just been made."""
        record.resource_version = "1"
        record.state = ResourceState.RESOURCE_STATE_ACTIVE
        record.state_deprecated = "active"
        record.created_time.CopyFrom(times.timestamp(self._now()))
        return record

    def changed(self, before: Rec, after: Rec) -> Rec:
        """`before` with the specification of `after`. InvalidArgument: it is the same."""
        if before.spec == after.spec:
            raise InvalidArgument("nothing to change")
        record = type(before)()
        record.CopyFrom(before)
        record.spec.CopyFrom(after.spec)
        record.resource_version = _next_version(before)
        record.last_modified_time.CopyFrom(times.timestamp(self._now()))
        return record

    def _now(self) -> int:
        return self._context.ports.clock.now()


def _next_version(record: Record) -> str:
    return str(int(record.resource_version) + 1)


def found_record(records: dict[str, Rec], record_id: str, what: str) -> Rec:
    if not record_id:
        raise InvalidArgument(f"the id of the {what} is required")
    found = records.get(record_id)
    if found is None:
        raise NotFound(f"{what} {record_id!r} not found")
    return found


def check_version(present: str, asked: str) -> None:
    if not asked:
        raise InvalidArgument("resource_version is required")
    if asked != present:
        raise FailedPrecondition(f"resource version mismatch: it has changed since {asked!r}")
