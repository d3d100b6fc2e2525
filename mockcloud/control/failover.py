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

import logging
from enum import StrEnum
from typing import Final

from temporalio.api.cloud.cloudservice.v1 import FailoverNamespaceRegionRequest

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.control import specs
from mockcloud.control.context import Context
from mockcloud.control.database import Closed
from mockcloud.control.namespaces import KnownNamespace
from mockcloud.control.operations import (
    ACCEPTED,
    ENDED,
    FOLLOWING,
    Kind,
    Mode,
    Operation,
    State,
    Trigger,
)
from mockcloud.control.regions import HANDOVER, NORMAL, RegionClient
from mockcloud.control.reports import Reports
from mockcloud.core import times
from mockcloud.core.errors import (
    Code,
    FailedPrecondition,
    InvalidArgument,
    NamespaceNotFound,
    ServiceError,
)

_logger = logging.getLogger(__name__)


class Step(StrEnum):
    """Where a failover is."""

    ACCEPTED = ACCEPTED
    CATCHING_UP = "catching up"
    HANDOVER = "handover"
    SWITCHING = "switching"
    RELEASING = "releasing"
    FORCING = "forcing"
    FOLLOWING = FOLLOWING
    ENDED = ENDED


_BEFORE_THE_SWITCH: Final = frozenset({Step.CATCHING_UP, Step.HANDOVER, Step.SWITCHING})


class Failovers:
    """All failovers of the cloud."""

    def __init__(
        self,
        context: Context,
        reports: Reports,
    ) -> None:
        self._context: Final = context
        self._database: Final = context.database
        self._regions: Final = context.regions
        self._directory: Final = context.directory
        self._operations: Final = context.operations
        self._runner: Final = context.runner
        self._reports: Final = reports
        self._ports: Final = context.ports
        self._settings: Final = context.settings
        self._runner.serve(
            Kind.FAILOVER,
            {
                Step.ACCEPTED: self._begin,
                Step.CATCHING_UP: self._catch_up,
                Step.HANDOVER: self._hand_over,
                Step.SWITCHING: self._switch,
                Step.RELEASING: self._release,
                Step.FORCING: self._force,
                Step.FOLLOWING: self._follow,
            },
        )

    async def resume(self) -> None:
        """Go on with what regions were owed when the control plane ended."""
        for namespace_id, region in await self._database.rows(
            "SELECT namespace_id, region FROM owed_releases"
        ):
            self._runner.spawn(self._pay(namespace_id, region), f"release {namespace_id}")

    async def request(
        self,
        request: FailoverNamespaceRegionRequest,
        who: str,
        *,
        forced: bool = False,
        trigger: Trigger = Trigger.USER,
        cause: str = "",
    ) -> Operation:
        """Accept a failover, or find the one that this request made before. It goes on by itself.

        Raises:
            NamespaceNotFound: no region knows the namespace.
            InvalidArgument: no such region, or the namespace has no replica there.
            AlreadyExists: the operation id belongs to another request.
            FailedPrecondition: a failover to another region runs, the replica there is not ready or cannot be reached,
                or a user asks it of a namespace with same-region replication.
        """

        async def check(operation: Operation) -> Operation:
            accepted = await self._accepted(operation)
            return accepted._replace(failback=self._failback(accepted))

        draft = await self._context.draft(Kind.FAILOVER, request, who, request.region)
        known = self._directory.find(draft.namespace)
        source = known.active_region if known is not None else ""
        draft = draft._replace(source=source, forced=forced, trigger=trigger, cause=cause)
        return await self._runner.accept(draft, check)

    # Accepting

    def _failback(self, operation: Operation) -> str:
        """Where the namespace goes back to after this one: nowhere when a user has said where it shall be."""
        if operation.trigger not in {Trigger.AUTOMATIC, Trigger.TEMPORAL}:
            return ""
        known = self._directory.by_name(operation.namespace)
        if known.spec.high_availability.disable_managed_failover:
            return ""
        leader = self._operations.running_failover(known.id)
        if leader is not None:
            return leader.failback  # it only follows that one
        last = self._operations.last_failover(known.id)
        pending = last.failback if last is not None else ""
        target = operation.region
        return (
            "" if pending == target else pending or (operation.source if operation.source != target else "")
        )

    async def _accepted(self, operation: Operation) -> Operation:
        known, target = self._directory.by_name(operation.namespace), operation.region
        if target not in self._regions:
            raise InvalidArgument(f"region {target!r} does not exist; there are: {', '.join(self._regions)}")
        if operation.trigger is Trigger.USER and specs.same_region(known.regions):
            raise FailedPrecondition(
                f"namespace {known.name!r} has same-region replication: it fails over by itself, not on request"
            )
        change = self._operations.running_change(known.id)
        if change is not None and (
            change.kind in {Kind.CREATE, Kind.DELETE}
            or ((change.adds_region or change.deletes_region) and change.region == target)
        ):
            raise FailedPrecondition(
                f"the replica of namespace {known.name!r} in region {target!r} is not ready to be failed over to: "
                f"async operation {change.id} ({change.kind}) runs"
            )
        failed = self._operations.failed_regions(known.id).get(target)
        if failed is not None and failed.adds_region:
            raise FailedPrecondition(
                f"the replica of namespace {known.name!r} in region {target!r} is not ready to be failed over to: "
                f"async operation {failed.id} has failed: {failed.reason}"
            )
        if target not in known.regions:
            raise InvalidArgument(
                f"namespace {known.name!r} has no replica in region {target!r}; it is in: {', '.join(known.regions)}"
            )
        running = self._operations.running_failover(known.id)
        if running is not None:
            if running.region != operation.region:
                raise FailedPrecondition(
                    f"namespace {known.name!r} is being failed over to region {running.region!r} "
                    f"by async operation {running.id}"
                )
            return operation._replace(step=Step.FOLLOWING, state=State.IN_PROGRESS, after_id=running.id)
        if known.active_region == operation.region:
            return self._ended(operation, Mode.NONE, known.record.failover_version)
        try:
            await self._prepare(known, operation.region, self._settings.call_timeout)
        except ServiceError as error:
            raise FailedPrecondition(
                f"the replica of namespace {known.name!r} in region {operation.region!r} "
                f"is not ready to be failed over to: {error.message}"
            ) from error
        # The target's own record may have been news.
        if known.active_region == operation.region:
            return self._ended(operation, Mode.NONE, known.record.failover_version)
        return operation._replace(source=known.active_region)

    async def _prepare(self, known: KnownNamespace, target: str, timeout: int) -> None:
        """Have the target know the namespace, and no lower failover version of it than the highest."""
        region = self._regions[target]
        try:
            record = await region.namespace(known.name, timeout)
        except NamespaceNotFound:
            record = await region.adopt(known.record, timeout)
        self._directory.observe(target, record)
        if record.failover_version < known.record.failover_version:
            news = _without_configuration(known.record)
            self._directory.observe(target, await region.adopt(news, timeout))

    # Running

    async def _begin(self, operation: Operation) -> Operation:
        step = Step.FORCING if operation.forced else Step.CATCHING_UP
        return operation._replace(step=step)

    async def _catch_up(self, operation: Operation) -> Operation:
        left = min(self._left(operation), operation.started + self._settings.catch_up - self._now())
        if left > 0:
            try:
                await self._source(operation).await_replicated(operation.namespace, operation.region, left)
            except ServiceError as error:
                if error.code != Code.DEADLINE_EXCEEDED:
                    return self._forced(operation, Step.FORCING, f"catching up: {error.message}")
        if self._left(operation) <= 0:
            return self._forced(operation, Step.FORCING, self._out_of_time("catching up"))
        return operation._replace(step=Step.HANDOVER)

    async def _hand_over(self, operation: Operation) -> Operation:
        source, namespace = self._source(operation), operation.namespace
        if self._left(operation) <= 0:
            return self._forced(operation, Step.RELEASING, self._out_of_time("handover"))
        active = self._directory.by_name(namespace).active_region
        if active != source.name:
            return self._forced(operation, Step.RELEASING, f"handover: {active} became active meanwhile")
        try:
            await source.set_state(namespace, HANDOVER, self._left(operation))
            await source.await_replicated(namespace, operation.region, self._left(operation))
        except ServiceError as error:
            late = error.code == Code.DEADLINE_EXCEEDED
            reason = self._out_of_time("handover") if late else f"handover: {error.message}"
            return self._forced(operation, Step.RELEASING, reason)
        return operation._replace(step=Step.SWITCHING)

    async def _switch(self, operation: Operation) -> Operation:
        known = self._directory.by_name(operation.namespace)
        timeout = max(self._left(operation), self._settings.call_timeout)
        try:
            version = await self._make_active(known, operation.region, timeout)
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
        return operation._replace(step=Step.FORCING)

    async def _force(self, operation: Operation) -> Operation:
        known = self._directory.by_name(operation.namespace)

        patience = self._settings.call_timeout

        async def switch(target: str) -> int:
            nonlocal patience
            # A region that is slow is not to be asked anew each time before it can have answered.
            timeout, patience = patience, min(2 * patience, max(patience, self._settings.graceful))
            await self._prepare(known, target, timeout)
            self._reports.begin(operation)
            return await self._make_active(known, target, timeout)

        version = await self._runner.insist(operation.region, switch)
        return self._ended(operation, Mode.FORCED, version)

    async def _follow(self, operation: Operation) -> Operation:
        first = await self._operations.end_of(operation.after_id)
        if first.state is State.FAILED:
            return self._runner.failed(operation, first.reason)
        return self._ended(operation, Mode.NONE, first.version)

    async def _make_active(self, known: KnownNamespace, target: str, timeout: int) -> int:
        """Issue the switch at the target; endpoints follow at once. The failover version."""
        answer = await self._regions[target].make_active(known.name, timeout)
        self._directory.switched(known, target, answer.failover_version)
        return answer.failover_version

    async def _tell_source(self, operation: Operation) -> None:
        """Give the target's record to the source, which releases what it holds; failover histories stay equal."""
        timeout = self._settings.call_timeout
        record = await self._regions[operation.region].namespace(operation.namespace, timeout)
        self._directory.observe(operation.region, record)
        told = await self._source(operation).adopt(_without_configuration(record), timeout)
        self._directory.observe(operation.source, told)

    # Owed releases

    async def _owe(self, namespace_id: str, region: str) -> None:
        sql = "INSERT OR IGNORE INTO owed_releases (namespace_id, region) VALUES (?, ?)"
        await self._database.execute(sql, namespace_id, region)
        self._runner.spawn(self._pay(namespace_id, region), f"release {namespace_id}")

    async def _pay(self, namespace_id: str, region: str) -> None:
        """Set the region back to NORMAL once it answers; unless a new failover wants its HANDOVER."""
        known = self._directory.find_id(namespace_id)
        if known is not None and region in self._regions:

            async def release(region: str) -> None:
                if not self._wants_handover(known, region):
                    await self._regions[region].set_state(known.name, NORMAL, self._settings.call_timeout)

            try:
                await self._runner.insist(region, release)
            except Closed:
                raise
            except ServiceError as error:
                # The region answered: it has no such namespace any more.
                _logger.info("region %s is owed no release of %s: %s", region, known.name, error.message)
        sql = "DELETE FROM owed_releases WHERE namespace_id = ? AND region = ?"
        await self._database.execute(sql, namespace_id, region)

    def _wants_handover(self, known: KnownNamespace, region: str) -> bool:
        running = self._operations.running_failover(known.id)
        return running is not None and running.source == region and running.step in _BEFORE_THE_SWITCH

    # Values

    def _ended(self, operation: Operation, mode: Mode, version: int) -> Operation:
        known = self._directory.find_id(operation.namespace_id)
        # Who has disabled managed failover meanwhile has said that the namespace shall stay.
        stays = known is not None and known.spec.high_availability.disable_managed_failover
        failback = "" if stays else operation.failback
        return self._runner.fulfilled(operation)._replace(mode=mode, version=version, failback=failback)

    def _forced(self, operation: Operation, step: Step, reason: str) -> Operation:
        return operation._replace(step=step, reason=reason)

    def _out_of_time(self, during: str) -> str:
        return f"{during}: the graceful attempt took longer than {self._settings.graceful / times.SECOND:g} s"

    def _source(self, operation: Operation) -> RegionClient:
        return self._regions[operation.source]

    def _left(self, operation: Operation) -> int:
        """What is left of the graceful attempt's time."""
        return operation.started + self._settings.graceful - self._now()

    def _now(self) -> int:
        return self._ports.clock.now()


def _without_configuration(record: NamespaceRecord) -> NamespaceRecord:
    """The record, telling only of failovers: configuration goes over the links, faults and all."""
    news = NamespaceRecord()
    news.CopyFrom(record)
    news.config_version = 0
    return news
