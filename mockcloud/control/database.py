"""The control plane's own SQLite file: opening it, and transactions that are one function each.

They are written as a region's are (`store.writer`): on the event loop's thread, where a statement costs microseconds,
and not statement by statement on another, where each waits for the interpreter lock of a loop that may be busy.
Failovers wait for these transactions, so none of them waits for company to share its commit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from mockcloud.core.errors import RegionKilled, StartupError, Unavailable
from mockcloud.store.blank import fill_blank
from mockcloud.store.writer import InlineLane, Lane, ThreadLane, Writer

T = TypeVar("T")

SCHEMA_VERSION: Final = 3

_SCHEMA: Final = """
CREATE TABLE namespaces (
    namespace_id TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    record       BLOB NOT NULL,   -- mockcloud.state.v1.NamespaceRecord: the highest counters seen in any region
    port         INTEGER,         -- of its endpoint; NULL: none yet
    modified     INTEGER NOT NULL, -- when it last changed; 0: never
    spec         BLOB NOT NULL,   -- temporal.api.cloud.namespace.v1.NamespaceSpec: what regions do not know of it
    tags         TEXT NOT NULL,   -- JSON: values by key
    revision     INTEGER NOT NULL -- of spec and tags
) WITHOUT ROWID;
CREATE TABLE operations (
    number       INTEGER PRIMARY KEY, -- rising: the order in which they were accepted
    id           TEXT NOT NULL UNIQUE,
    namespace_id TEXT NOT NULL,
    namespace    TEXT NOT NULL,
    kind         TEXT NOT NULL,
    region       TEXT NOT NULL,
    request      BLOB NOT NULL,   -- of the kind's RPC
    effect       BLOB NOT NULL,   -- what it comes to, where the request alone does not say
    who          TEXT NOT NULL,
    state        TEXT NOT NULL,
    step         TEXT NOT NULL,
    reason       TEXT NOT NULL,
    started      INTEGER NOT NULL,
    finished     INTEGER NOT NULL,
    source       TEXT NOT NULL,   -- from here on: of failovers
    forced       INTEGER NOT NULL,
    mode         TEXT NOT NULL,
    version      INTEGER NOT NULL,
    after_id     TEXT NOT NULL,
    trigger      TEXT NOT NULL,
    cause        TEXT NOT NULL,
    failback     TEXT NOT NULL    -- the region that the namespace shall go back to; empty: none
);
CREATE INDEX operations_of_namespaces ON operations (namespace_id, kind, number);
CREATE INDEX operations_running ON operations (number) WHERE finished = 0;
CREATE TABLE reports (
    operation_id TEXT PRIMARY KEY,
    summary      BLOB NOT NULL    -- mockcloud.admin.v1.Unreplicated
) WITHOUT ROWID;
CREATE TABLE report_runs (
    operation_id TEXT NOT NULL,
    workflow_id  TEXT NOT NULL,
    run_id       TEXT NOT NULL,
    report       BLOB NOT NULL,   -- mockcloud.admin.v1.RunReport
    PRIMARY KEY (operation_id, workflow_id, run_id)
) WITHOUT ROWID;
CREATE TABLE removed_replicas (
    namespace_id TEXT NOT NULL,
    region       TEXT NOT NULL,
    removed      INTEGER NOT NULL, -- when
    forgotten    INTEGER NOT NULL, -- whether the region has removed what it had
    PRIMARY KEY (namespace_id, region)
) WITHOUT ROWID;
CREATE TABLE owed_releases (
    namespace_id TEXT NOT NULL,
    region       TEXT NOT NULL,   -- left in HANDOVER because it could not be reached
    PRIMARY KEY (namespace_id, region)
) WITHOUT ROWID;
CREATE TABLE audit_log (
    number    INTEGER PRIMARY KEY, -- rising: the order in which they were stored
    emit_time INTEGER NOT NULL,
    log_id    TEXT NOT NULL,
    record    BLOB NOT NULL        -- temporal.api.cloud.auditlog.v1.LogRecord
);
CREATE UNIQUE INDEX audit_log_by_time ON audit_log (emit_time, log_id);
CREATE TABLE notifications (
    id         TEXT PRIMARY KEY,
    time       INTEGER NOT NULL,
    namespace  TEXT NOT NULL,
    subject    TEXT NOT NULL,
    body       TEXT NOT NULL,
    recipients TEXT NOT NULL,   -- JSON
    delivery   TEXT NOT NULL,
    sent       INTEGER NOT NULL,
    problem    TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX notifications_by_time ON notifications (time, id);
CREATE TABLE identities (
    id       TEXT PRIMARY KEY,
    kind     TEXT NOT NULL,     -- user, serviceaccount, apikey
    owner_id TEXT NOT NULL,     -- of a key
    record   BLOB NOT NULL,     -- temporal.api.cloud.identity.v1: User, ServiceAccount, ApiKey
    hash     BLOB NOT NULL      -- SHA-256 of a key
) WITHOUT ROWID;
"""


class Closed(Unavailable):
    """The control plane was killed or closed."""

    def __init__(self) -> None:
        super().__init__("the control plane is down")


class Database:
    """An open file. Belongs to one event loop."""

    def __init__(self, lane: Lane) -> None:
        self._lane: Final = lane
        self._writer: Final = Writer(lane)

    @classmethod
    async def open(cls, path: Path, *, durable: bool) -> Database:
        """Open or create `path`. Raises StartupError when it cannot be used or has another schema."""
        try:
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise StartupError(f"{path} cannot be opened: {error}") from error
        try:
            _prepare(connection, path, durable=durable)
            return cls(await ThreadLane.open(connection) if durable else InlineLane(connection))
        except BaseException as error:
            connection.close()
            if isinstance(error, sqlite3.Error):
                raise StartupError(f"{path} cannot be opened: {error}") from error
            raise

    async def transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in one transaction; its result once that is committed. `Writer` says what is promised.

        Raises what `work` raised, with nothing changed; Unavailable when SQLite cannot write; `Closed` after `fence`.
        """
        try:
            return await self._writer.transact(work, urgent=True)
        except RegionKilled:
            raise Closed from None

    async def execute(self, sql: str, *values: object) -> None:
        """`transact` of one statement."""
        await self.transact(lambda connection: connection.execute(sql, values))

    async def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What a query finds. Raises as `transact`."""
        return await self.transact(lambda connection: connection.execute(sql, values).fetchall())

    def fence(self) -> None:
        """From now on nothing begins; what runs is committed or not."""
        self._writer.kill()

    async def close(self) -> None:
        """Let what runs end, and close the file."""
        self.fence()
        await self._writer.drain()
        await self._lane.close()


def _prepare(connection: sqlite3.Connection, path: Path, *, durable: bool) -> None:
    for pragma in (
        "busy_timeout = 1000",
        f"synchronous = {'FULL' if durable else 'OFF'}",
        f"fullfsync = {int(durable)}",
        "journal_mode = WAL",
    ):
        connection.execute(f"PRAGMA {pragma}")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version not in {0, SCHEMA_VERSION}:
        raise StartupError(f"{path} has schema {version}, this mockcloud knows only {SCHEMA_VERSION}")
    if version == 0:
        fill_blank(connection, f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
