"""What forced failovers left unreplicated: taken at the switch, told again when the regions have agreed, kept on disk.

    taken     beside the switch, never in its way: which events the target does not have of the old region's log, or of
              its database file where that region is down
    settled   when the old region has learnt of the switch and the target has all that it wrote, up to then and since:
              each of these events is recovered, reapplied or lost, and by which rule

Asked for in between, the fates are told as they are now: as long as the old region has not returned, what only it has
is lost. A graceful failover leaves nothing, and has no report.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Mapping
from typing import Final, Protocol

from mockcloud.api.admin.v1 import cloud_admin_pb2 as cloud
from mockcloud.api.admin.v1 import region_admin_pb2 as admin
from mockcloud.control import outcomes
from mockcloud.control.database import Closed, Database
from mockcloud.control.namespaces import Directory
from mockcloud.control.operations import Mode, Operation
from mockcloud.control.regions import RegionClient
from mockcloud.control.settings import ControlSettings
from mockcloud.control.waiting import wait_for
from mockcloud.core import times
from mockcloud.core.errors import Code, MockcloudError, NotFound, ServiceError, Unavailable
from mockcloud.core.ports import Ports

_logger = logging.getLogger(__name__)

# How long one long call waits for replication, and how long a region that is down is left alone.
_PATIENCE: Final = times.MINUTE
_NOT_GONE: Final = frozenset({Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.CANCELLED, Code.UNKNOWN})

Runs = dict[tuple[str, str], cloud.RunReport]  # by workflow id and run id


class RegionFiles(Protocol):
    """The databases of regions that are down. Whoever holds the cloud together knows where they lie."""

    async def read_tail(self, region: str, request: admin.ReadTailRequest) -> admin.ReadTailResponse:
        """As the region would answer. Unavailable: its file cannot be read."""
        ...

    async def read_written(self, region: str, request: admin.ReadWrittenRequest) -> admin.ReadWrittenResponse:
        """As the region would answer. Unavailable: its file cannot be read."""
        ...


class NoFiles:
    """Where nobody knows of files."""

    async def read_tail(self, region: str, request: admin.ReadTailRequest) -> admin.ReadTailResponse:
        raise Unavailable(f"region {region} is down")

    async def read_written(self, region: str, request: admin.ReadWrittenRequest) -> admin.ReadWrittenResponse:
        raise Unavailable(f"region {region} is down")


class Reports:
    """All reports of the cloud."""

    def __init__(
        self,
        *,
        database: Database,
        regions: Mapping[str, RegionClient],
        files: RegionFiles,
        directory: Directory,
        ports: Ports,
        settings: ControlSettings,
    ) -> None:
        self._database: Final = database
        self._regions: Final = regions
        self._files: Final = files
        self._directory: Final = directory
        self._ports: Final = ports
        self._settings: Final = settings
        self._seen: Final = {region: asyncio.Event() for region in regions}
        self._taking: Final[dict[str, asyncio.Task[None]]] = {}
        self._settling: Final[dict[str, asyncio.Task[None]]] = {}
        self._telling: Final[dict[str, asyncio.Lock]] = {}

    # Life

    def begin(self, operation: Operation) -> None:
        """A forced failover is about to switch: take down what it leaves. Begins at once, once, and by itself."""
        if operation.id not in self._taking:
            self._taking[operation.id] = asyncio.create_task(
                self._take(operation), name=f"take report {operation.id}"
            )

    async def resume(self, forced: Mapping[str, Operation]) -> None:
        """Go on after a restart: `forced` are the failovers that have ended so, by id."""
        stored = await self._stored()
        for operation in forced.values():
            summary = stored.get(operation.id)
            if summary is None:
                self.begin(operation)
            elif not summary.problem and not summary.settled_time:
                self._settle_later(operation, summary)

    def region_seen(self, region: str) -> None:
        """A region answers (again)."""
        seen, self._seen[region] = self._seen[region], asyncio.Event()
        seen.set()

    def stop(self) -> list[asyncio.Task[None]]:
        """Cancel everything, without waiting. What was cancelled."""
        tasks = [*self._taking.values(), *self._settling.values()]
        for task in tasks:
            task.cancel()
        return tasks

    # What it tells

    async def taken(self, operation_id: str, most: int) -> None:
        """Return when the report has been taken, or after `most` nanoseconds."""
        task = self._taking.get(operation_id)
        if task is not None:
            await asyncio.wait([task], timeout=most / times.SECOND)

    async def summary(self, operation_id: str) -> cloud.Unreplicated | None:
        """What was left, summed up; None: nothing is known (yet), or it was no forced failover."""
        return (await self._stored(operation_id)).get(operation_id)

    async def last_of(self, namespace_id: str) -> str:
        """The id of the namespace's last forced failover. NotFound."""
        sql = "SELECT id FROM operations WHERE namespace_id = ? AND mode = ? ORDER BY number DESC LIMIT 1"
        rows = await self._database.rows(sql, namespace_id, Mode.FORCED)
        if not rows:
            raise NotFound("no failover of this namespace was forced: nothing was left behind")
        return str(rows[0][0])

    async def fill(self, report: cloud.FailoverReport, operation: Operation) -> None:
        """Put into a report what was left, by run, with the fates as they are now."""
        summary = await self.summary(operation.id)
        if summary is None or summary.problem:
            return
        runs = await self._load(operation.id)
        if not (summary.settled_time and outcomes.is_final(runs.values())):
            report.not_returned, runs = await self._tell(
                operation, summary, settled=bool(summary.settled_time)
            )
        report.runs.extend(run for run in runs.values() if run.left)

    # Taking

    async def _take(self, operation: Operation) -> None:
        summary, runs = cloud.Unreplicated(taken_time=self._ports.clock.now()), Runs()
        try:
            await self._read(operation, summary, runs)
        except MockcloudError as error:
            if isinstance(error, Closed):
                return
            summary.problem = str(error) or type(error).__name__
        except Exception as error:
            _logger.exception("what the failover of %s leaves is not known", operation.namespace)
            summary.problem = f"internal error: {type(error).__name__}"
        outcomes.sum_up(runs.values(), summary)
        try:
            await self._save(operation.id, summary, runs)
        except Closed:
            return
        if not summary.problem:
            self._settle_later(operation, summary)

    async def _read(self, operation: Operation, summary: cloud.Unreplicated, runs: Runs) -> None:
        source, target = self._regions[operation.source], self._regions[operation.region]
        timeout = self._settings.call_timeout
        # The target knows best what it has: what the source has stored of that is a little behind, and what comes
        # after a task that takes longer is not acknowledged.
        has = await target.applied(operation.namespace, source.name, timeout)
        request = admin.ReadTailRequest(
            namespace=operation.namespace, peer=operation.region, after_position=has.position
        )
        while True:
            try:
                if summary.from_file:
                    page = await self._files.read_tail(source.name, request)
                else:
                    page = await source.read_tail(request, timeout)
            except ServiceError as error:
                if summary.from_file or error.code not in _NOT_GONE:
                    raise
                summary.from_file = True
                continue
            if not summary.failover_version:
                summary.last_node, summary.failover_version = page.last_node, page.failover_version
                request.up_to_position = page.last_position
            missing = await target.find_missing(operation.namespace, page.events, has.last_node, timeout)
            outcomes.add_events(runs, missing, after_switch=False)
            summary.other_changes += page.other_changes
            for kind, count in page.other_kinds.items():
                summary.other_kinds[kind] += count
            if not page.next_after_position:
                return
            request.after_position = page.next_after_position

    # Settling

    def _settle_later(self, operation: Operation, summary: cloud.Unreplicated) -> None:
        self._settling[operation.id] = asyncio.create_task(
            self._settle(operation, summary), name=f"settle report {operation.id}"
        )

    async def _settle(self, operation: Operation, summary: cloud.Unreplicated) -> None:
        try:
            # The record of the switch travels with all else: who has that, has learnt of the switch.
            for source, peer in ((operation.region, operation.source), (operation.source, operation.region)):
                if not await self._replicated(operation, source, peer):
                    return
            await self._tell(operation, summary, settled=True)
        except Closed:
            return
        except ServiceError as error:
            _logger.warning("the report of failover %s does not settle: %s", operation.id, error.message)
        except Exception:
            _logger.exception("the report of failover %s does not settle", operation.id)
        finally:
            self._settling.pop(operation.id, None)

    async def _replicated(self, operation: Operation, source: str, peer: str) -> bool:
        """Return True when `peer` has what `source` has written; False: it never will."""
        while True:
            seen = self._seen[source]
            try:
                await self._regions[source].await_replicated(operation.namespace, peer, _PATIENCE)
            except ServiceError as error:
                if isinstance(error, Closed) or error.code not in _NOT_GONE:
                    return False
                if error.code != Code.DEADLINE_EXCEEDED:
                    await wait_for(seen, _PATIENCE)
            else:
                return True

    async def _tell(
        self, operation: Operation, summary: cloud.Unreplicated, *, settled: bool
    ) -> tuple[bool, Runs]:
        """Whether the old region is down, and of each event what became of it; that is kept if it is settled."""
        async with self._telling.setdefault(operation.id, asyncio.Lock()):
            runs = await self._load(operation.id)
            for run in runs.values():
                kept = [left for left in run.left if not left.after_switch]
                del run.left[:]
                run.left.extend(kept)
            down = await self._add_written_since(operation, summary, runs)
            away = operation.source if down else ""
            for run in runs.values():
                outcomes.tell(run, await self._trees(operation, run.workflow_id), away)
            if settled:
                summary.settled_time = summary.settled_time or self._ports.clock.now()
                await self._save(operation.id, summary, runs)
            return down, runs

    async def _add_written_since(self, operation: Operation, summary: cloud.Unreplicated, runs: Runs) -> bool:
        """What the old region wrote before it learnt of the switch; whether it is down, so that its file tells."""
        source, timeout = self._regions[operation.source], self._settings.call_timeout
        request = admin.ReadWrittenRequest(
            namespace=operation.namespace, after_node=summary.last_node, version=summary.failover_version
        )
        from_file = False
        while True:
            try:
                if from_file:
                    page = await self._files.read_written(source.name, request)
                else:
                    page = await source.read_written(request, timeout)
            except ServiceError as error:
                if isinstance(error, Closed):
                    raise
                if from_file or error.code not in _NOT_GONE:
                    return from_file
                from_file = True
                continue
            outcomes.add_events(runs, page.events, after_switch=True)
            if not page.next_after_node:
                return from_file
            request.after_node = page.next_after_node

    async def _trees(self, operation: Operation, workflow_id: str) -> list[admin.RunTree] | None:
        """The runs of the workflow id as the active region has them; None where it does not answer."""
        known = self._directory.find_id(operation.namespace_id)
        active = known.active_region if known is not None else operation.region
        try:
            return await self._regions[active].history_tree(
                operation.namespace, workflow_id, self._settings.call_timeout
            )
        except ServiceError as error:
            if isinstance(error, Closed):
                raise
            return None

    # On disk

    async def _stored(self, operation_id: str = "") -> dict[str, cloud.Unreplicated]:
        """Summaries by operation, of one or of all."""
        sql = "SELECT operation_id, summary FROM reports WHERE ? IN ('', operation_id)"
        rows = await self._database.rows(sql, operation_id)
        return {known: cloud.Unreplicated.FromString(data) for known, data in rows}

    async def _load(self, operation_id: str) -> Runs:
        sql = "SELECT report FROM report_runs WHERE operation_id = ? ORDER BY workflow_id, run_id"
        rows = await self._database.rows(sql, operation_id)
        found = [cloud.RunReport.FromString(data) for (data,) in rows]
        return {(run.workflow_id, run.run_id): run for run in found}

    async def _save(self, operation_id: str, summary: cloud.Unreplicated, runs: Runs) -> None:
        rows = [
            (operation_id, run.workflow_id, run.run_id, run.SerializeToString())
            for run in runs.values()
            if run.left
        ]

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO reports (operation_id, summary) VALUES (?, ?)",
                (operation_id, summary.SerializeToString()),
            )
            connection.execute("DELETE FROM report_runs WHERE operation_id = ?", (operation_id,))
            connection.executemany(
                "INSERT INTO report_runs (operation_id, workflow_id, run_id, report) VALUES (?, ?, ?, ?)",
                rows,
            )

        await self._database.transact(work)
