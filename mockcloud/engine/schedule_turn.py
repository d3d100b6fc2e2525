"""One turn of a schedule: load, let `core.schedule.machine` decide, commit, act, record what came of it.

The caller holds the schedule's lock. Workflows are started and ended through the one write path of runs; a crash or a
failover between the commit and the start leaves a pending start, and the next turn sends it again, as the same start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    RequestCancelWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
)

from mockcloud.api.state.v1.schedule_pb2 import PendingStart
from mockcloud.core import search_attributes, signals, start_checks
from mockcloud.core.errors import (
    NamespaceNotActive,
    ResourceExhausted,
    ServiceError,
    Unavailable,
    WorkflowExecutionAlreadyStarted,
)
from mockcloud.core.limits import Limits
from mockcloud.core.ports import Ports
from mockcloud.core.schedule import machine, starting
from mockcloud.core.schedule.calls import Call
from mockcloud.core.schedule.machine import Decision
from mockcloud.core.schedule.state import ScheduleState
from mockcloud.engine.changes import Changes
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.schedule_store import Overtaken, ScheduleStore
from mockcloud.engine.schedule_watch import ScheduleWatch

_log = logging.getLogger(__name__)

# What a caller wants of a schedule, at a moment; it may raise.
Change = Callable[[ScheduleState, int], None]

# Not the action's fault: the region moves, or its database cannot be written. It is tried again.
_PASSING = (Unavailable, NamespaceNotActive, ResourceExhausted)


@dataclass(frozen=True, slots=True)
class ScheduleTurns:
    """Carries out turns."""

    schedules: ScheduleStore
    watch: ScheduleWatch
    changes: Changes
    ports: Ports
    limits: Limits

    async def take(
        self,
        namespace: Namespace,
        state: ScheduleState,
        stored: bytes,
        change: Change | None = None,
        call: Call | None = None,
    ) -> None:
        """One turn of `state`, whose last dump is `stored` (empty: it is new), with what a caller wants in it.

        `call` is what `change` carries out, where peers must know it.

        Raises what `change` raises, and what the first commit does: then nothing has happened. Later failures are not
        the caller's: the schedule goes on by itself.
        """
        await self._observe(namespace, state)
        now = self.ports.clock.now()
        await self._advance(namespace, state, now)
        if change is not None:
            change(state, now)
            await self._advance(namespace, state, now)  # the times may be others now
        if state.open:
            machine.backfill(state, namespace.id)
        decision = self._decide(namespace, state, now)
        stored = await self.schedules.commit(namespace, state, stored, call)
        try:
            while state.open and await self._act(namespace, state, decision):
                stored = await self._record(namespace, state, stored)
                await self._observe(namespace, state)
                decision = self._decide(namespace, state, self.ports.clock.now())
                stored = await self.schedules.commit(namespace, state, stored)
            await self._record(namespace, state, stored)
        except _PASSING as error:
            _log.info("schedule %s waits: %s", state.schedule_id, error.message)
        except Overtaken:
            _log.warning("schedule %s was changed by a peer in the middle of a turn", state.schedule_id)

    async def _observe(self, namespace: Namespace, state: ScheduleState) -> None:
        for workflow in list(state.info.running_workflows):
            ended = await self.watch.ended(namespace, workflow)
            if ended is not None:
                machine.observe(state, workflow, ended)

    async def _advance(self, namespace: Namespace, state: ScheduleState, now: int) -> None:
        behind = state.open
        while behind:
            behind = not machine.advance(state, namespace.id, now)
            await asyncio.sleep(0)

    def _decide(self, namespace: Namespace, state: ScheduleState, now: int) -> Decision:
        decision = machine.decide(state) if state.open else Decision()
        machine.settle(state, namespace.id, now)
        return decision

    async def _record(self, namespace: Namespace, state: ScheduleState, stored: bytes) -> bytes:
        """Store what came of the actions."""
        machine.settle(state, namespace.id, self.ports.clock.now())
        return await self.schedules.commit(namespace, state, stored)

    async def _act(self, namespace: Namespace, state: ScheduleState, decision: Decision) -> bool:
        """Do what was decided; whether there may be more to do now.

        When it raises in the middle, what was done is not noted, and will be when it is done again.
        """
        again = decision.again
        for pending in list(state.record.pending_starts):
            again = True
            if machine.expired(state, pending, self.ports.clock.now()):
                machine.failed(state, pending)
                continue
            await self._start(namespace, state, pending)
        who = starting.identity(state, namespace.name)
        for workflow in decision.terminate:
            again |= await self._end(
                namespace,
                workflow,
                partial(
                    signals.terminate,
                    request=TerminateWorkflowExecutionRequest(
                        reason=starting.TERMINATE_REASON,
                        identity=who,
                        first_execution_run_id=workflow.run_id,
                    ),
                ),
            )
        for workflow in decision.cancel:
            await self._end(
                namespace,
                workflow,
                partial(
                    signals.request_cancel,
                    request=RequestCancelWorkflowExecutionRequest(
                        reason=starting.CANCEL_REASON,
                        identity=who,
                        first_execution_run_id=workflow.run_id,
                    ),
                ),
            )
        return again

    async def _start(self, namespace: Namespace, state: ScheduleState, pending: PendingStart) -> None:
        try:
            request = starting.request(state, pending, namespace.name)
            ports = self.ports
            search_attributes.to_shown(namespace.record, request.search_attributes)  # as checks want them
            start_checks.start_request(
                request, namespace.record, self.limits, ports.ids.uuid, ports.clock.now()
            )
            run_id = (await self.changes.start(namespace, request)).run_id
        except _PASSING:
            raise
        except WorkflowExecutionAlreadyStarted as error:
            # By ourselves, before a crash, and it has gone on to another run?
            first = await self.watch.began_with(namespace, pending.workflow_id, pending.request_id)
            if first is None:
                self._give_up(state, pending, error)
                return
            run_id = first
        except ServiceError as error:
            self._give_up(state, pending, error)
            return
        machine.started(state, pending, run_id, self.ports.clock.now())

    def _give_up(self, state: ScheduleState, pending: PendingStart, error: ServiceError) -> None:
        _log.warning("schedule %s cannot start %s: %s", state.schedule_id, pending.workflow_id, error.message)
        machine.failed(state, pending)

    async def _end(
        self, namespace: Namespace, workflow: WorkflowExecution, rule: Callable[..., None]
    ) -> bool:
        """Have a workflow ended or cancelled; whether it was. It may have closed just now."""
        try:
            await self.changes.update(namespace, workflow.workflow_id, "", rule)
        except _PASSING:
            raise
        except ServiceError as error:
            _log.info("schedule cannot end %s: %s", workflow.workflow_id, error.message)
            return False
        return True
