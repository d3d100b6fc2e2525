"""Failing over by itself, as Temporal Cloud does: away from a region that is not healthy, and back when it is again.

Every region is looked at all the time (`control.health`). When a condition has lasted, each namespace that is active
there and has a healthy replica fails over to that, unless it has disabled managed failover. What was failed over by the
cloud, or by Temporal's engineers, is failed back when its original region has been healthy for a while; what a user
has failed over stays. A user who fails over to the region that is active already (fail-forward) says that it shall
stay, and so does one who disables managed failover.

Where a namespace goes back to is part of its last failover (`Operation.failback`), and on disk with that. Here is only
when to ask; the failover itself is one like any other, and whichever is accepted first wins.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final, NamedTuple

from temporalio.api.cloud.auditlog.v1 import Principal
from temporalio.api.cloud.cloudservice.v1 import FailoverNamespaceRegionRequest

from mockcloud.control import audit
from mockcloud.control.audit import AuditLog
from mockcloud.control.context import Context
from mockcloud.control.database import Closed
from mockcloud.control.events import Tell
from mockcloud.control.failover import Failovers
from mockcloud.control.health import ManagedFailover, RegionHealth
from mockcloud.control.namespaces import KnownNamespace
from mockcloud.control.operations import Trigger
from mockcloud.control.regions import RegionClient
from mockcloud.core import times
from mockcloud.core.errors import ServiceError

_logger = logging.getLogger(__name__)

WHO: Final = "Temporal"


class Move(NamedTuple):
    """A failover that is due."""

    region: str
    trigger: Trigger
    cause: str


def due(
    known: KnownNamespace,
    failback: str,
    health: Mapping[str, RegionHealth],
    now: int,
    settings: ManagedFailover,
) -> Move | None:
    """What the namespace needs now, nothing of it being done yet. `failback`: where it shall go back to, or empty."""
    if known.spec.high_availability.disable_managed_failover:
        return None
    lasting = health[known.active_region].lasting(now)
    if lasting:
        others = [region for region in known.regions if region != known.active_region]
        target = next((region for region in others if health[region].healthy), None)
        if target is None:
            return None
        return Move(target, Trigger.AUTOMATIC, f"{known.active_region}: {', '.join(lasting)}")
    if failback in known.regions and failback != known.active_region and health[failback].recovered(now):
        return Move(failback, Trigger.FAILBACK, f"{failback}: healthy for {settings.failback_after:g} s")
    return None


class Managed:
    """Looks at regions and moves namespaces, for as long as `run` runs."""

    def __init__(
        self, context: Context, failovers: Failovers, log: AuditLog, settings: ManagedFailover, tell: Tell
    ) -> None:
        self._context: Final = context
        self._failovers: Final = failovers
        self._audit: Final = log
        self._settings: Final = settings
        self._tell: Final = tell
        self._health: Final = {name: RegionHealth(settings) for name in context.regions}
        self._moving: Final[set[str]] = set()  # ids of namespaces whose failover is being asked for
        self._not_before: Final[dict[str, int]] = {}  # by namespace id: when a refused one is tried again

    def conditions(self, region: str) -> list[str]:
        """What is wrong with a region now."""
        return list(self._health[region].conditions)

    async def run(self) -> None:
        """Look and decide, again and again, until the control plane ends."""
        loop = asyncio.get_running_loop()
        while True:
            next_look = loop.time() + self._settings.interval
            try:
                await asyncio.gather(*(self._look(region) for region in self._context.regions.values()))
                self._decide()
            except Closed:
                return
            except Exception:
                _logger.exception("managed failover could not decide")
            await asyncio.sleep(max(0.0, next_look - loop.time()))

    # Looking

    async def _look(self, region: RegionClient) -> None:
        # A call as clients make it, so that there is one to be measured; the region itself does that.
        self._context.runner.spawn(self._call(region), f"call {region.name}")
        try:
            answer = await region.health(int(self._settings.patience * times.SECOND))
        except Closed:
            raise
        except ServiceError:
            answer = None
        health = self._health[region.name]
        before = health.conditions
        health.observe(self._now(), answer)
        if health.conditions != before:
            _logger.info("region %s: %s", region.name, ", ".join(health.conditions) or "healthy")
            self._tell("health", {"region": region.name, "conditions": list(health.conditions)})

    async def _call(self, region: RegionClient) -> None:
        patience = max(self._settings.patience, 2 * self._settings.call_latency)
        try:
            await region.system_info(int(patience * times.SECOND))
        except ServiceError as error:
            _logger.debug("region %s does not answer: %s", region.name, error.message)

    # Deciding

    def _decide(self) -> None:
        for known in self._context.directory.all():
            if known.id in self._moving or self._context.operations.running(known.id):
                continue
            if self._not_before.get(known.id, 0) > self._now():
                continue
            last = self._context.operations.last_failover(known.id)
            move = due(
                known, last.failback if last is not None else "", self._health, self._now(), self._settings
            )
            if move is not None:
                self._moving.add(known.id)
                self._context.runner.spawn(self._move(known, move), f"move {known.name}")

    async def _move(self, known: KnownNamespace, move: Move) -> None:
        request = FailoverNamespaceRegionRequest(namespace=known.name, region=move.region)
        _logger.warning("failover of %s to %s, %s: %s", known.name, move.region, move.trigger, move.cause)
        try:
            async with self._audit.attempt(audit.FAILOVER, Principal(type="temporal", name=WHO), request):
                await self._failovers.request(request, WHO, trigger=move.trigger, cause=move.cause)
        except Closed:
            raise
        except ServiceError as error:
            _logger.warning("failover of %s to %s is refused: %s", known.name, move.region, error.message)
            self._not_before[known.id] = self._now() + int(self._settings.failover_after * times.SECOND)
        finally:
            self._moving.discard(known.id)

    def _now(self) -> int:
        return self._context.ports.clock.now()
