"""Users, service accounts and API keys: what there is, and whose key a call shows. Of keys only a hash is kept.

There is always one user, the owner of the account, who has the key that the cloud was started with. Without such a key
nobody is asked for one, and everybody is the owner.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final, TypeAlias

from temporalio.api.cloud.identity.v1 import (
    Access,
    AccountAccess,
    ApiKey,
    NamespaceAccess,
    OwnerType,
    ServiceAccount,
    User,
    UserSpec,
)
from temporalio.api.cloud.resource.v1 import ResourceState

from mockcloud.control.access import Identity
from mockcloud.control.database import Database
from mockcloud.core import times
from mockcloud.core.errors import Unauthenticated
from mockcloud.core.ports import Clock

Record: TypeAlias = User | ServiceAccount | ApiKey

OWNER: Final = "owner"  # the id of the account's owner, and of their key
_KINDS: Final[Mapping[str, type[Record]]] = {
    "user": User,
    "serviceaccount": ServiceAccount,
    "apikey": ApiKey,
}
_SCHEME: Final = "bearer "


ANYBODY: Final = Identity("user", OWNER, "anonymous", "", AccountAccess.ROLE_OWNER)
"""Who calls where nobody is asked for a key."""


class Identities:
    """Those of one account. In memory as a whole; changes are stored by `put` and `delete` and then told to `take`."""

    def __init__(self, database: Database, clock: Clock, account: str, owner_key: str) -> None:
        self._database: Final = database
        self._clock: Final = clock
        self.required: Final = bool(owner_key)
        self._owner_hash: Final = digest(owner_key) if owner_key else b""
        owner = User(
            id=OWNER,
            resource_version="1",
            spec=UserSpec(
                email=f"owner@{account}.invalid",
                access=Access(
                    account_access=AccountAccess(role=AccountAccess.ROLE_OWNER, role_deprecated="owner")
                ),
            ),
            state=ResourceState.RESOURCE_STATE_ACTIVE,
            state_deprecated="active",
        )
        self.users: Final[dict[str, User]] = {OWNER: owner}
        self.service_accounts: Final[dict[str, ServiceAccount]] = {}
        self.keys: Final[dict[str, ApiKey]] = {}
        self._by_hash: Final[dict[bytes, str]] = {}

    async def load(self) -> None:
        """Take over what is stored."""
        rows = await self._database.rows("SELECT kind, record, hash FROM identities ORDER BY id")
        for kind, record, key_hash in rows:
            self.take(_KINDS[kind].FromString(record), key_hash)

    def take(self, record: Record, key_hash: bytes = b"") -> None:
        """A record is new or has changed. `key_hash`: of a new key."""
        if isinstance(record, ApiKey):
            self.keys[record.id] = record
            if key_hash:
                self._by_hash[key_hash] = record.id
        elif isinstance(record, User):
            self.users[record.id] = record
        else:
            self.service_accounts[record.id] = record

    def drop(self, record: Record) -> None:
        """A record is gone, and with an owner all their keys."""
        if isinstance(record, ApiKey):
            self.keys.pop(record.id, None)
            return
        (self.users if isinstance(record, User) else self.service_accounts).pop(record.id, None)
        for key in list(self.keys.values()):
            if key.spec.owner_id == record.id:
                del self.keys[key.id]

    def owner(self, owner_id: str) -> User | ServiceAccount | None:
        """Who can have keys, by id."""
        return self.users.get(owner_id) or self.service_accounts.get(owner_id)

    def holds(self, key_hash: bytes) -> bool:
        """Whether there is a key with that hash."""
        return self._by_hash.get(key_hash) in self.keys

    def of(self, metadata: Mapping[str, str]) -> Identity:
        """Whose key a call shows. Unauthenticated: it shows none, or one that is not valid."""
        if not self.required:
            return ANYBODY
        shown = metadata.get("authorization", "")
        if not shown:
            raise Unauthenticated("API key is missing: send it as authorization: Bearer KEY")
        token = shown[len(_SCHEME) :] if shown.lower().startswith(_SCHEME) else ""
        key_hash = digest(token)
        if key_hash == self._owner_hash:
            return self._identity(OWNER, OWNER)
        key = self.keys.get(self._by_hash.get(key_hash, ""))
        if key is None:
            raise Unauthenticated("API key is invalid")
        if key.spec.disabled:
            raise Unauthenticated("API key is disabled")
        if times.nanoseconds(key.spec.expiry_time) <= self._clock.now():
            raise Unauthenticated("API key has expired")
        return self._identity(key.spec.owner_id, key.id)

    def _identity(self, owner_id: str, api_key_id: str) -> Identity:
        user = self.users.get(owner_id)
        if user is not None:
            return Identity.of("user", user.id, user.spec.email, api_key_id, user.spec.access)
        account = self.service_accounts[owner_id]
        return Identity.of(
            "serviceaccount", account.id, account.spec.name, api_key_id, effective_access(account)
        )


def effective_access(account: ServiceAccount) -> Access:
    """What a service account may do, whether it is one of the account or of a single namespace."""
    if not account.spec.HasField("namespace_scoped_access"):
        return account.spec.access
    scoped = account.spec.namespace_scoped_access
    return Access(
        account_access=AccountAccess(role=AccountAccess.ROLE_READ),
        namespace_accesses={scoped.namespace: NamespaceAccess(permission=scoped.access.permission)},
    )


def digest(token: str) -> bytes:
    """What is kept of a key."""
    import hashlib  # with OpenSSL: few clouds ask for keys

    return hashlib.sha256(token.encode()).digest()


def put(connection: sqlite3.Connection, record: Record, key_hash: bytes = b"") -> None:
    """Store a record; `key_hash` of a key that is new."""
    kind = next(name for name, each in _KINDS.items() if isinstance(record, each))
    sql = (
        "INSERT INTO identities (id, kind, owner_id, record, hash) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET record = excluded.record"
    )
    owner = record.spec.owner_id if isinstance(record, ApiKey) else ""
    connection.execute(sql, (record.id, kind, owner, record.SerializeToString(), key_hash))


def delete(connection: sqlite3.Connection, record: Record) -> None:
    """Remove a record, and with an owner all their keys."""
    connection.execute("DELETE FROM identities WHERE id = ? OR owner_id = ?", (record.id, record.id))


def owner_type(record: User | ServiceAccount) -> OwnerType.ValueType:
    """What a key of theirs says."""
    return OwnerType.OWNER_TYPE_USER if isinstance(record, User) else OwnerType.OWNER_TYPE_SERVICE_ACCOUNT
