"""Failing a namespace over: gracefully for a while, then by force. An accepted failover always finishes.

Terms. The source is the region that was active when the failover was accepted, the target the one that shall be. The
graceful attempt has a time that starts with the acceptance and goes on while the control plane is dead.

Steps, each on disk before it is taken, and each safe to be taken again from its beginning:

    ACCEPTED     nothing done yet                                forced → FORCING, else CATCHING_UP
    CATCHING_UP  the target gets what the source has written;    → HANDOVER, also when half of the time is over
                 the source cannot be reached                    → FORCING
    HANDOVER     HANDOVER is set at the source, then the target  → SWITCHING
                 gets everything that was written before it;
                 time over, or anything fails                    → RELEASING
    SWITCHING    the switch is issued at the target and told to  → ENDED
                 the source at once; the target fails            → RELEASING
    RELEASING    the source is set back to NORMAL if it can be   → FORCING
                 reached; else that is owed to it
    FORCING      the switch is issued at the target only, again  → ENDED
                 and again until it answers
    FOLLOWING    another failover to the same target does the    → ENDED
                 work

Beside a forced switch what it leaves behind is taken down (`control.reports`); no step waits for that.

The waits are long calls that regions answer when the moment has come: nothing here polls. After HANDOVER the source
learns of the switch either from here or by its link, and either clears that state. A source that could not be set back
to NORMAL is owed that, on disk (`owed_releases`), and gets it as soon as it answers: never stuck in HANDOVER.

A passive target may have missed earlier failovers: before the switch it is told of the highest failover version, so
that its own next one is higher. Failing over to the active region changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import aiosqlite

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.control.database import Closed, Database
from mockcloud.control.namespaces import Directory, KnownNamespace
from mockcloud.control.operations import Mode, Operation, Operations, State, Step
from mockcloud.control.regions import HANDOVER, NORMAL, RegionClient
from mockcloud.control.reports import Reports
from mockcloud.control.settings import ControlSettings
from mockcloud.control.waiting import wait_for
from mockcloud.core import times
from mockcloud.core.errors import (
    Code,
    FailedPrecondition,
    InvalidArgument,
    NamespaceNotFound,
    ServiceError,
)
from mockcloud.core.ports import Ports

_logger = logging.getLogger(__name__)

# What a region that is down, starting or overloaded may answer; anything else will not change by asking again.
_TRANSIENT: Final = frozenset(
    {
        Code.UNAVAILABLE,
        Code.DEADLINE_EXCEEDED,
        Code.RESOURCE_EXHAUSTED,
        Code.INTERNAL,
        Code.UNKNOWN,
        Code.ABORTED,
        Code.CANCELLED,
    }
)
_BEFORE_THE_SWITCH: Final = frozenset({Step.CATCHING_UP, Step.HANDOVER, Step.SWITCHING})


class Failovers:
    """All failovers of the cloud."""

    def __init__(
        self,
        *,
        database: Database,
        regions: Mapping[str, RegionClient],
        directory: Directory,
        operations: Operations,
        reports: Reports,
        ports: Ports,
        settings: ControlSettings,
    ) -> None:
        self._database: Final = database
        self._regions: Final = regions
        self._directory: Final = directory
        self._operations: Final = operations
        self._reports: Final = reports
        self._ports: Final = ports
        self._settings: Final = settings
        self._accepting: Final[dict[str, asyncio.Lock]] = {}
        self._seen: Final = {region: asyncio.Event() for region in regions}
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._steps: Final[Mapping[Step, Callable[[Operation], Awaitable[Operation]]]] = {
            Step.ACCEPTED: self._begin,
            Step.CATCHING_UP: self._catch_up,
            Step.HANDOVER: self._hand_over,
            Step.SWITCHING: self._switch,
            Step.RELEASING: self._release,
            Step.FORCING: self._force,
            Step.FOLLOWING: self._follow,
        }

    async def resume(self) -> None:
        """Go on with what ran when the control plane ended."""

        async def work(connection: aiosqlite.Connection) -> list[tuple[str, str]]:
            async with connection.execute("SELECT namespace_id, region FROM owed_releases") as cursor:
                return [(row[0], row[1]) for row in await cursor.fetchall()]

        owed = await self._database.transact(work)
        for operation in await self._operations.load():
            self._spawn(self._run(operation), f"failover {operation.id}")
        for namespace_id, region in owed:
            self._spawn(self._pay(namespace_id, region), f"release {namespace_id}")

    async def request(
        self, namespace: str, target: str, *, forced: bool = False, who: str = "", operation_id: str = ""
    ) -> Operation:
        """Accept a failover, or find the one that this request made before. It goes on by itself.

        Raises:
            NamespaceNotFound: no region knows the namespace.
            InvalidArgument: no such region, or the namespace has no replica there.
            AlreadyExists: the operation id belongs to another request.
            FailedPrecondition: a failover to another region runs, or the target cannot be reached.
        """
        known = self._directory.by_name(namespace)
        if target not in self._regions:
            raise InvalidArgument(f"region {target!r} does not exist; there are: {', '.join(self._regions)}")
        if target not in known.regions:
            raise InvalidArgument(
                f"namespace {namespace!r} has no replica in region {target!r}; it is in: {', '.join(known.regions)}"
            )
        async with self._accepting.setdefault(known.id, asyncio.Lock()):
            operation = Operation(
                id=operation_id or self._ports.ids.uuid(),
                namespace_id=known.id,
                namespace=namespace,
                source=known.active_region,
                target=target,
                forced=forced,
                who=who,
                state=State.PENDING,
                step=Step.ACCEPTED,
                mode=Mode.UNDECIDED,
                reason="",
                started=self._ports.clock.now(),
            )
            earlier = await self._operations.find(operation.id) if operation_id else None
            if earlier is None:
                operation = await self._first_step(known, operation)
            accepted = await self._operations.accept(operation)
            if accepted is operation and not accepted.ended:
                self._spawn(self._run(accepted), f"failover {accepted.id}")
            return accepted

    def stop(self) -> list[asyncio.Task[None]]:
        """Cancel everything, without waiting: the steps on disk are where it goes on. What was cancelled."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        return tasks

    def region_seen(self, region: str) -> None:
        """A region answers (again): what waits for it need not wait longer."""
        seen, self._seen[region] = self._seen[region], asyncio.Event()
        seen.set()

    # Accepting

    async def _first_step(self, known: KnownNamespace, operation: Operation) -> Operation:
        running = self._operations.running(known.id)
        if running is not None:
            if running.target != operation.target:
                raise FailedPrecondition(
                    f"namespace {known.name!r} is being failed over to region {running.target!r} "
                    f"by async operation {running.id}"
                )
            return dataclasses.replace(
                operation, step=Step.FOLLOWING, state=State.IN_PROGRESS, after_id=running.id
            )
        if known.active_region == operation.target:
            return self._ended(operation, Mode.NONE, known.record.failover_version)
        try:
            await self._prepare(known, operation.target)
        except ServiceError as error:
            raise FailedPrecondition(
                f"the replica of namespace {known.name!r} in region {operation.target!r} "
                f"is not ready to be failed over to: {error.message}"
            ) from error
        # The target's own record may have been news.
        if known.active_region == operation.target:
            return self._ended(operation, Mode.NONE, known.record.failover_version)
        return dataclasses.replace(operation, source=known.active_region)

    async def _prepare(self, known: KnownNamespace, target: str) -> None:
        """Have the target know the namespace, and no lower failover version of it than the highest."""
        region, timeout = self._regions[target], self._settings.call_timeout
        try:
            record = await region.namespace(known.name, timeout)
        except NamespaceNotFound:
            record = await region.adopt(known.record, timeout)
        self._directory.observe(target, record)
        if record.failover_version < known.record.failover_version:
            news = _without_configuration(known.record)
            self._directory.observe(target, await region.adopt(news, timeout))

    # Running

    async def _run(self, operation: Operation) -> None:
        try:
            while not operation.ended:
                before = operation.step
                try:
                    operation = await self._steps[operation.step](operation)
                except Closed:
                    raise
                except ServiceError as error:
                    # Only what can never succeed comes this far.
                    operation = self._failed(operation, error.message)
                except Exception as error:
                    _logger.exception("failover of %s fails at step %s", operation.namespace, before)
                    operation = self._failed(operation, f"internal error: {type(error).__name__}")
                await self._operations.save(operation)
                _logger.info(
                    "failover of %s to %s: %s → %s %s",
                    operation.namespace,
                    operation.target,
                    before,
                    operation.step,
                    operation.reason,
                )
        except Closed:
            return

    async def _begin(self, operation: Operation) -> Operation:
        step = Step.FORCING if operation.forced else Step.CATCHING_UP
        return dataclasses.replace(operation, step=step, state=State.IN_PROGRESS)

    async def _catch_up(self, operation: Operation) -> Operation:
        left = min(self._left(operation), operation.started + self._settings.catch_up - self._now())
        if left > 0:
            try:
                await self._source(operation).await_replicated(operation.namespace, operation.target, left)
            except ServiceError as error:
                if error.code != Code.DEADLINE_EXCEEDED:
                    return self._forced(operation, Step.FORCING, f"catching up: {error.message}")
        if self._left(operation) <= 0:
            return self._forced(operation, Step.FORCING, self._out_of_time("catching up"))
        return dataclasses.replace(operation, step=Step.HANDOVER)

    async def _hand_over(self, operation: Operation) -> Operation:
        source, namespace = self._source(operation), operation.namespace
        if self._left(operation) <= 0:
            return self._forced(operation, Step.RELEASING, self._out_of_time("handover"))
        active = self._directory.by_name(namespace).active_region
        if active != source.name:
            return self._forced(operation, Step.RELEASING, f"handover: {active} became active meanwhile")
        try:
            await source.set_state(namespace, HANDOVER, self._left(operation))
            await source.await_replicated(namespace, operation.target, self._left(operation))
        except ServiceError as error:
            late = error.code == Code.DEADLINE_EXCEEDED
            reason = self._out_of_time("handover") if late else f"handover: {error.message}"
            return self._forced(operation, Step.RELEASING, reason)
        return dataclasses.replace(operation, step=Step.SWITCHING)

    async def _switch(self, operation: Operation) -> Operation:
        known = self._directory.by_name(operation.namespace)
        timeout = max(self._left(operation), self._settings.call_timeout)
        try:
            version = await self._make_active(known, operation.target, timeout)
        except ServiceError as error:
            return self._forced(operation, Step.RELEASING, f"switch: {error.message}")
        try:
            await self._tell_source(operation)
        except ServiceError as error:
            # Its link tells it as well.
            _logger.warning("region %s was not told of the switch: %s", operation.source, error.message)
        return self._ended(operation, Mode.GRACEFUL, version)

    async def _release(self, operation: Operation) -> Operation:
        source = self._source(operation)
        try:
            await source.set_state(operation.namespace, NORMAL, self._settings.call_timeout)
        except ServiceError as error:
            _logger.warning("region %s may stay in HANDOVER: %s", source.name, error.message)
            await self._owe(operation.namespace_id, source.name)
        return dataclasses.replace(operation, step=Step.FORCING)

    async def _force(self, operation: Operation) -> Operation:
        known = self._directory.by_name(operation.namespace)
        pause = self._settings.retry_first
        while True:
            seen = self._seen[operation.target]
            try:
                await self._prepare(known, operation.target)
                self._reports.begin(operation)
                version = await self._make_active(known, operation.target, self._settings.call_timeout)
            except ServiceError as error:
                if error.code not in _TRANSIENT or isinstance(error, Closed):
                    raise
                await wait_for(seen, pause)
                pause = min(2 * pause, self._settings.retry_most)
            else:
                return self._ended(operation, Mode.FORCED, version)

    async def _follow(self, operation: Operation) -> Operation:
        first = await self._operations.end_of(operation.after_id)
        if first.state is State.FAILED:
            return self._failed(operation, first.reason)
        return self._ended(operation, Mode.NONE, first.version)

    async def _make_active(self, known: KnownNamespace, target: str, timeout: int) -> int:
        """Issue the switch at the target; endpoints follow at once. The failover version."""
        answer = await self._regions[target].make_active(known.name, timeout)
        self._directory.switched(known, target, answer.failover_version)
        return answer.failover_version

    async def _tell_source(self, operation: Operation) -> None:
        """Give the target's record to the source, which releases what it holds; failover histories stay equal."""
        timeout = self._settings.call_timeout
        record = await self._regions[operation.target].namespace(operation.namespace, timeout)
        self._directory.observe(operation.target, record)
        told = await self._source(operation).adopt(_without_configuration(record), timeout)
        self._directory.observe(operation.source, told)

    # Owed releases

    async def _owe(self, namespace_id: str, region: str) -> None:
        async def work(connection: aiosqlite.Connection) -> None:
            sql = "INSERT OR IGNORE INTO owed_releases (namespace_id, region) VALUES (?, ?)"
            await connection.execute(sql, (namespace_id, region))

        await self._database.transact(work)
        self._spawn(self._pay(namespace_id, region), f"release {namespace_id}")

    async def _pay(self, namespace_id: str, region: str) -> None:
        """Set the region back to NORMAL once it answers; unless a new failover wants its HANDOVER."""
        known = self._directory.find_id(namespace_id)
        pause = self._settings.retry_first
        while known is not None and region in self._regions and not self._wants_handover(known, region):
            seen = self._seen[region]
            try:
                await self._regions[region].set_state(known.name, NORMAL, self._settings.call_timeout)
                break
            except ServiceError as error:
                if error.code not in _TRANSIENT:
                    break  # the region answered: it has no such namespace any more
            await wait_for(seen, pause)
            pause = min(2 * pause, self._settings.retry_most)

        async def work(connection: aiosqlite.Connection) -> None:
            sql = "DELETE FROM owed_releases WHERE namespace_id = ? AND region = ?"
            await connection.execute(sql, (namespace_id, region))

        with contextlib.suppress(Closed):
            await self._database.transact(work)

    def _wants_handover(self, known: KnownNamespace, region: str) -> bool:
        running = self._operations.running(known.id)
        return running is not None and running.source == region and running.step in _BEFORE_THE_SWITCH

    # Values

    def _ended(self, operation: Operation, mode: Mode, version: int) -> Operation:
        return dataclasses.replace(
            operation,
            step=Step.ENDED,
            state=State.FULFILLED,
            mode=mode,
            version=version,
            finished=self._now(),
        )

    def _failed(self, operation: Operation, reason: str) -> Operation:
        return dataclasses.replace(
            operation, step=Step.ENDED, state=State.FAILED, reason=reason, finished=self._now()
        )

    def _forced(self, operation: Operation, step: Step, reason: str) -> Operation:
        return dataclasses.replace(operation, step=step, reason=reason)

    def _out_of_time(self, during: str) -> str:
        return f"{during}: the graceful attempt took longer than {self._settings.graceful / times.SECOND:g} s"

    def _source(self, operation: Operation) -> RegionClient:
        return self._regions[operation.source]

    def _left(self, operation: Operation) -> int:
        """What is left of the graceful attempt's time."""
        return operation.started + self._settings.graceful - self._now()

    def _now(self) -> int:
        return self._ports.clock.now()

    def _spawn(self, work: Awaitable[None], name: str) -> None:
        async def run() -> None:
            await work

        task = asyncio.get_running_loop().create_task(run(), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _without_configuration(record: NamespaceRecord) -> NamespaceRecord:
    """The record, telling only of failovers: configuration goes over the links, faults and all."""
    news = NamespaceRecord()
    news.CopyFrom(record)
    news.config_version = 0
    return news
