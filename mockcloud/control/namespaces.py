"""What the control plane knows of namespaces: learnt from every region, kept on disk, published to the endpoints.

A namespace may be registered at any region, so each region is watched. Of two records the rules of replication decide
(`core.namespace_rules.receive`): the active region is the owner of the highest failover version seen anywhere, whatever
a region that is cut off believes. Endpoints hear of it before anything is stored: the regions are the truth, and what
is stored here is asked only until they answer.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from temporalio.api.cloud.namespace.v1 import NamespaceSpec

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.control.database import Closed, Database
from mockcloud.control.events import Tell, nobody
from mockcloud.core import namespace_rules
from mockcloud.core.addresses import joined
from mockcloud.core.errors import (
    MockcloudError,
    NamespaceAlreadyExists,
    NamespaceNotFound,
    StartupError,
)
from mockcloud.core.ports import Clock

_logger = logging.getLogger(__name__)


class Endpoints(Protocol):
    """What the control plane needs of whoever holds the namespace endpoints; they outlive it."""

    async def close(self, namespace: str) -> None:
        """Close the endpoint of a namespace that is deleted; none: nothing."""
        ...

    async def open(self, namespace: str, port: int | None) -> tuple[str, int]:
        """Open the endpoint of a namespace, or find it open; its host and port.

        `port` is the one it had before, None when it never had one. StartupError when there is no port to be had.
        """
        ...

    def follow(self, namespace: str, region: str) -> None:
        """From now on the endpoint leads to `region`, as when DNS has changed. Told only of changes."""
        ...

    def leave(self, namespace: str, region: str) -> None:
        """The namespace has no replica in `region` any more: connections that lead there are closed."""
        ...


@dataclass(slots=True)
class KnownNamespace:
    """One namespace. `record` has the highest counters seen in any region; it is replaced, never changed."""

    record: NamespaceRecord
    port: int | None = None
    host: str = ""
    modified: int = 0  # 0: never since it was created
    spec: NamespaceSpec = field(
        default_factory=NamespaceSpec
    )  # what no region knows of it; replaced, never changed
    tags: Mapping[str, str] = field(default_factory=dict)
    revision: int = 0  # of spec and tags
    views: dict[str, NamespaceRecord] = field(default_factory=dict)  # region -> its record when last seen

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def active_region(self) -> str:
        return self.record.active_cluster

    @property
    def regions(self) -> tuple[str, ...]:
        return tuple(self.record.clusters)

    @property
    def handover(self) -> bool:
        """Whether the active region holds calls for a switch; no record tells that to another region."""
        view = self.views.get(self.active_region)
        return view is not None and view.handover

    @property
    def endpoint(self) -> str:
        """HOST:PORT; empty while it has none."""
        return joined(self.host, self.port) if self.host and self.port else ""

    def told(self) -> dict[str, Any]:
        """As the timeline has it."""
        return {
            "namespace": self.name,
            "namespace_id": self.id,
            "active_region": self.active_region,
            "regions": list(self.regions),
            "failover_version": self.record.failover_version,
            "handover": self.handover,
            "endpoint": self.endpoint,
            "deleted": bool(self.record.deleted_time),
        }

    @property
    def resource_version(self) -> str:
        """Changes whenever the namespace does."""
        return f"{self.record.failover_version}.{self.record.config_version}.{self.revision}"


class Directory:
    """All namespaces of the cloud."""

    def __init__(
        self, database: Database, endpoints: Endpoints, clock: Clock, account: str, tell: Tell = nobody
    ) -> None:
        self._database: Final = database
        self._account_suffix: Final = f".{account}"
        self._endpoints: Final = endpoints
        self._clock: Final = clock
        self._tell: Final = tell
        self._by_id: Final[dict[str, KnownNamespace]] = {}
        self._by_name: Final[dict[str, KnownNamespace]] = {}
        self._opening: Final[dict[str, asyncio.Task[None]]] = {}
        self._dirty: Final[set[str]] = set()
        self._saving: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Take over what is stored, and have the endpoints opened on the ports that they had."""
        rows = await self._database.rows(
            "SELECT record, port, modified, spec, tags, revision FROM namespaces ORDER BY port IS NULL, port, name"
        )
        for known in map(_known, rows):
            self._add(known)
            if known.record.deleted_time:
                continue
            try:
                await self._open(known)
            except StartupError:
                # Someone else has the port now. Where it is not asked for by name, another one does.
                known.port = None
                await self._open(known)
                self._save(known)

    def all(self) -> list[KnownNamespace]:
        """Every namespace, by name."""
        return [self._by_name[name] for name in sorted(self._by_name)]

    def find(self, name: str) -> KnownNamespace | None:
        """The namespace of that name, or None."""
        return self._by_name.get(name)

    def find_id(self, namespace_id: str) -> KnownNamespace | None:
        """The namespace of that id, or None."""
        return self._by_id.get(namespace_id)

    def plain_name(self, name: str) -> str:
        """The name that regions have for what is called `name` or `name.account`; that of another account stays whole.

        A namespace whose plain name ends like the account is found by that.
        """
        return name if name in self._by_name else name.removesuffix(self._account_suffix)

    def full_name(self, name: str) -> str:
        """The id that the Cloud gives to a namespace."""
        return f"{name}{self._account_suffix}"

    def by_name(self, name: str) -> KnownNamespace:
        """The namespace of that name, with its account or without. NamespaceNotFound."""
        known = self._by_name.get(self.plain_name(name))
        if known is None:
            raise NamespaceNotFound(name)
        return known

    def announce(
        self, record: NamespaceRecord, spec: NamespaceSpec, tags: Mapping[str, str]
    ) -> KnownNamespace:
        """A namespace is being made: it is known from now on. Its endpoint is opened when somebody waits for it.

        Raises NamespaceAlreadyExists: another one has the name.
        """
        known = self._by_id.get(record.id)
        if known is None:
            if record.name in self._by_name:
                raise NamespaceAlreadyExists(f'Namespace "{record.name}" already exists')
            known = KnownNamespace(record, spec=spec, tags=tags)
            self._add(known)
            self._save(known)
        return known

    async def withdraw(self, known: KnownNamespace) -> None:
        """A namespace could not be made."""
        await self.saved()
        await self._database.execute("DELETE FROM namespaces WHERE namespace_id = ?", known.id)
        self._by_id.pop(known.id, None)
        if self._by_name.get(known.name) is known:
            del self._by_name[known.name]

    async def describe(
        self,
        known: KnownNamespace,
        *,
        spec: NamespaceSpec | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Change what no region knows of a namespace. Returns when that is on disk; so already: nothing changes."""
        spec = known.spec if spec is None else spec
        tags = known.tags if tags is None else tags
        if (spec, tags) != (known.spec, known.tags):
            known.spec, known.tags = spec, tags
            known.revision += 1
            known.modified = self._clock.now()
            self._save(known)
        await self.saved()

    def leave(self, known: KnownNamespace, region: str) -> None:
        """Nobody is to be led to that region any more: it does not know the namespace, or soon will not."""
        if known.host:
            self._endpoints.leave(known.name, region)

    def forgotten(self, namespace_id: str, region: str) -> None:
        """A region has nothing of a namespace any more."""
        known = self._by_id.get(namespace_id)
        if known is not None:
            known.views.pop(region, None)

    async def close_endpoint(self, name: str) -> None:
        """Nobody is to reach what had this name; unless another namespace has it by now."""
        if name not in self._by_name:
            await self._endpoints.close(name)

    def observe(self, region: str, record: NamespaceRecord) -> KnownNamespace | None:
        """A region has this record. None when another namespace has its name."""
        known = self._by_id.get(record.id)
        if known is None:
            if record.name in self._by_name:
                _logger.warning("there are two namespaces %s, one of them in %s", record.name, region)
                return None
            known = KnownNamespace(namespace_rules.receive(None, record).record)
            self._add(known)
            if record.deleted_time:
                return known
            task = asyncio.create_task(self._open_new(known), name=f"open {known.name}")
            task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # it is logged
            self._opening[known.id] = task
            known.views[region] = record
        else:
            before = known.handover
            known.views[region] = record
            if not self._merge(known, record) and known.handover != before:
                self._tell("namespace", known.told())
        return known

    def switched(self, known: KnownNamespace, region: str, version: int) -> None:
        """`region` answered that it is active under `version`: endpoints follow before its record is seen."""
        self._merge(
            known,
            NamespaceRecord(
                id=known.id,
                name=known.name,
                active_cluster=region,
                failover_version=version,
                failover_history=known.record.failover_history,
            ),
        )

    async def opened(self, known: KnownNamespace) -> None:
        """Return when the namespace has its endpoint and that is on disk. StartupError: none could be opened."""
        task = self._opening.get(known.id)
        if task is not None:
            await asyncio.shield(task)
        elif not known.host:
            # That it could not be opened was logged; now somebody waits for it.
            await self._open(known)
            self._save(known)
        await self.saved()

    async def saved(self) -> None:
        """Return when what is known so far is on disk."""
        if self._saving is not None:
            await asyncio.shield(self._saving)

    def stop(self) -> list[asyncio.Task[None]]:
        """Cancel what runs, without waiting. What was cancelled."""
        tasks = [*self._opening.values(), *((self._saving,) if self._saving is not None else ())]
        for task in tasks:
            task.cancel()
        return tasks

    def _merge(self, known: KnownNamespace, record: NamespaceRecord) -> bool:
        """Take over what is newer in a record; whether there is something."""
        active, regions = known.active_region, known.regions
        update = namespace_rules.receive(known.record, record)
        if not update.changed:
            return False
        name = known.name
        known.record = update.record
        if known.record.deleted_time and self._by_name.get(name) is known:
            del self._by_name[name]  # it is free again; its endpoint stays, and finds nothing
        known.modified = self._clock.now()
        if known.active_region != active:
            self._publish(known)
        for region in regions:
            if region not in known.regions:
                self.leave(known, region)
        self._save(known)
        return True

    def _publish(self, known: KnownNamespace) -> None:
        if known.host:
            self._endpoints.follow(known.name, known.active_region)

    def _add(self, known: KnownNamespace) -> None:
        self._by_id[known.id] = known
        if not known.record.deleted_time:
            self._by_name[known.name] = known

    async def _open(self, known: KnownNamespace) -> None:
        known.host, known.port = await self._endpoints.open(known.name, known.port)
        self._publish(known)

    async def _open_new(self, known: KnownNamespace) -> None:
        try:
            await self._open(known)
        except MockcloudError as error:
            _logger.error("namespace %s has no endpoint: %s", known.name, error)  # noqa: TRY400
            raise
        finally:
            self._opening.pop(known.id, None)
            self._save(known)

    def _save(self, known: KnownNamespace) -> None:
        self._dirty.add(known.id)
        self._tell("namespace", known.told())
        if self._saving is None:
            self._saving = asyncio.create_task(self._save_all(), name="save namespaces")

    async def _save_all(self) -> None:
        try:
            while self._dirty:
                rows = [self._row(self._by_id[namespace_id]) for namespace_id in sorted(self._dirty)]
                self._dirty.clear()

                def work(connection: sqlite3.Connection, rows: list[tuple[object, ...]] = rows) -> None:
                    connection.executemany(
                        "INSERT OR REPLACE INTO namespaces"
                        " (namespace_id, name, record, port, modified, spec, tags, revision)"
                        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                        rows,
                    )

                await self._database.transact(work)
        except Closed:
            return
        finally:
            self._saving = None

    @staticmethod
    def _row(known: KnownNamespace) -> tuple[object, ...]:
        return (
            known.id,
            known.name,
            known.record.SerializeToString(),
            known.port,
            known.modified,
            known.spec.SerializeToString(),
            json.dumps(dict(known.tags)),
            known.revision,
        )


def _known(row: tuple[Any, ...]) -> KnownNamespace:
    record, port, modified, spec, tags, revision = row
    return KnownNamespace(
        NamespaceRecord.FromString(record),
        port=port,
        modified=modified,
        spec=NamespaceSpec.FromString(spec),
        tags=json.loads(tags),
        revision=revision,
    )
