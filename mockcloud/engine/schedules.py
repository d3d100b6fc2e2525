"""The schedules of a region: callers' changes, what falls due by itself, what comes from peers.

A schedule's turn (`schedule_turn`) is taken under its lock, for one of these reasons:

    a call          create, update, patch, delete
    it is due       one alarm at the earliest moment of all schedules of namespaces that are written here
    a workflow of its has closed      told by the commits of runs
    the region has become the active one, has left HANDOVER, or has started: all that had something under way

A passive region takes in its peers' states and arms nothing. Whatever came due meanwhile is made up for on activation,
as far as the catch-up window reaches.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import CreateScheduleRequest

from mockcloud.api.replication.v1.replication_pb2 import ScheduleState as ScheduleMessage
from mockcloud.api.state.v1.schedule_pb2 import ScheduleRecord
from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import times
from mockcloud.core.cluster import Clusters
from mockcloud.core.errors import (
    NamespaceNotActive,
    NotFound,
    Unavailable,
    WorkflowExecutionAlreadyStarted,
    workflow_already_completed,
    workflow_not_found,
)
from mockcloud.core.limits import Limits
from mockcloud.core.ports import Ports
from mockcloud.core.schedule import calls, machine
from mockcloud.core.schedule.calls import Call
from mockcloud.core.schedule.state import WORKFLOW_ID_PREFIX, ScheduleState
from mockcloud.core.visibility_filter import Filter
from mockcloud.engine.alarm import Alarm
from mockcloud.engine.changes import Changes
from mockcloud.engine.commit import Committed
from mockcloud.engine.history_reader import HistoryReader
from mockcloud.engine.locks import KeyedLocks
from mockcloud.engine.namespaces import Namespace, NamespaceRegistry
from mockcloud.engine.plans import InTransaction
from mockcloud.engine.schedule_store import Overtaken, ScheduleStore
from mockcloud.engine.schedule_turn import Change, ScheduleTurns
from mockcloud.engine.schedule_watch import ScheduleWatch
from mockcloud.engine.tasks import Tasks
from mockcloud.engine.wakeups import Signal
from mockcloud.store import schedules, visibility
from mockcloud.store.database import Store
from mockcloud.store.visibility import VisibilityCursor

T = TypeVar("T")

_log = logging.getLogger(__name__)

_AT_ONCE = 64  # turns by the alarm that run at the same moment
_DUE_AT_ONCE = 10_000
_RETRY = times.SECOND  # after a commit that failed


class Schedules:
    """All schedules of a region."""

    def __init__(
        self,
        changes: Changes,
        history: HistoryReader,
        namespaces: NamespaceRegistry,
        store: Store,
        clusters: Clusters,
        ports: Ports,
        limits: Limits,
        tasks: Tasks,
        log_signal: Signal,
        next_key: Callable[[], int],
    ) -> None:
        self._namespaces = namespaces
        self._store = store
        self._ports = ports
        self._tasks = tasks
        self._locks = KeyedLocks()
        self._watch = ScheduleWatch(changes, history, limits)
        self._schedules = ScheduleStore(store, clusters, ports.clock, log_signal, next_key)
        self._turns = ScheduleTurns(self._schedules, self._watch, changes, ports, limits)
        self._alarm = Alarm(ports.clock, lambda: tasks.background(self._ring(), "schedules"))
        self._retention = Alarm(ports.clock, lambda: tasks.background(self._delete_over(), "schedules"))
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        # Of the alarm, by (namespace id, schedule id): whose turn it is, and who came due in the middle of it.
        self._in_turn: set[tuple[str, str]] = set()
        self._due_again: set[tuple[str, str]] = set()
        # Which schedule waits for a workflow to close, and the workflows of each schedule.
        self._waiting: dict[tuple[str, str], str] = {}  # (namespace id, workflow id)
        self._started: dict[tuple[str, str], set[str]] = {}  # (namespace id, schedule id)
        self._running = False
        self._schedules.listeners.append(self._stored)
        changes.close_listeners.append(self._run_closed)
        namespaces.listeners.append(self._namespace_changed)

    async def start(self) -> None:
        """Act from now on: first on all that had something under way, and on what is due."""
        self._running = True
        for namespace in self._namespaces.all():
            await self._take_up(namespace)
        self._retention.set(self._ports.clock.now())

    def stop(self) -> None:
        """Act no more."""
        self._running = False
        self._alarm.clear()
        self._retention.clear()

    # Calls

    async def create(self, namespace: Namespace, request: CreateScheduleRequest) -> None:
        """Make a schedule, and apply its initial patch. A request sent twice makes one.

        Raises:
            WorkflowExecutionAlreadyStarted: it is there. The fence as in `Changes.update`.
        """

        async def work() -> None:
            before = await self._schedules.load(namespace, request.schedule_id)
            if before is not None and before.record.create_request_id == request.request_id:
                return
            if before is not None and before.open:
                raise WorkflowExecutionAlreadyStarted(
                    f'schedule "{request.schedule_id}" is already registered', "", ""
                )
            now = self._ports.clock.now()
            state = machine.create(request, run_id=self._ports.ids.run_id(), now=now, before=before)
            patch = request.initial_patch
            await self._turns.take(namespace, state, b"", lambda state, now: machine.patch(state, patch, now))

        namespace.require_writable()
        await self._exclusive(namespace, request.schedule_id, work)

    async def call(self, namespace: Namespace, call: Call) -> None:
        """Update or patch a schedule; returns when what follows from that is done, as far as it can be now.

        Raises:
            NotFound: there is no such schedule, or it is closed. The fence as in `Changes.update`.
        """
        call.request_id = call.request_id or self._ports.ids.uuid()
        await self._change(
            namespace, call.schedule_id, lambda state, now: calls.apply(state, call, now), call
        )

    async def delete(self, namespace: Namespace, schedule_id: str) -> None:
        """Close a schedule. Errors as `call`."""
        await self._change(namespace, schedule_id, machine.close)

    async def _change(
        self, namespace: Namespace, schedule_id: str, change: Change, call: Call | None = None
    ) -> None:

        async def work() -> None:
            state = await self._require(namespace, schedule_id)
            if not state.open:
                raise workflow_already_completed()
            await self._turns.take(namespace, state, state.dump(), change, call)

        namespace.require_writable()
        await self._exclusive(namespace, schedule_id, work)

    async def read(self, namespace: Namespace, schedule_id: str) -> ScheduleState:
        """A schedule, closed or not, once the turn that it has is over. Raises NotFound."""

        async def work() -> ScheduleState:
            return await self._require(namespace, schedule_id)

        return await self._exclusive(namespace, schedule_id, work)

    async def running(self, namespace: Namespace, state: ScheduleState) -> list[WorkflowExecution]:
        """Those of its running workflows that still run."""
        return [
            workflow
            for workflow in state.info.running_workflows
            if await self._watch.runs(namespace, workflow)
        ]

    async def page(
        self, namespace: Namespace, wanted: Filter, size: int, cursor: VisibilityCursor | None
    ) -> tuple[list[ScheduleState], VisibilityCursor | None]:
        """Those of the wanted schedules that come after `cursor`, and the cursor of the next page."""

        def read(connection: sqlite3.Connection) -> tuple[list[bytes | None], VisibilityCursor | None]:
            found, following = visibility.list_runs(connection, namespace.id, wanted, size, cursor)
            ids = [run.workflow_id.removeprefix(WORKFLOW_ID_PREFIX) for run in found]
            return [schedules.load(connection, namespace.id, each) for each in ids], following

        records, following = await self._store.read(read)
        return [ScheduleState.load(record) for record in records if record is not None], following

    async def count(self, namespace: Namespace, wanted: Filter) -> int:
        """How many schedules are wanted."""
        return await self._store.read(
            lambda connection: visibility.count_runs(connection, namespace.id, wanted)
        )

    # Peers

    async def lost_call(self, namespace: Namespace, message: ScheduleMessage) -> Call | None:
        """What of a peer's message has to be done again here, see `ScheduleStore.lost_call`."""
        return await self._schedules.lost_call(namespace, message) if namespace.active else None

    def receive(
        self, namespace: Namespace, record: ScheduleRecord
    ) -> tuple[InTransaction, Callable[[], None]]:
        """What stores a peer's state, and what to do after the commit, see `ScheduleStore.receive`."""
        return self._schedules.receive(namespace, record)

    # By itself

    def _stored(self, namespace: Namespace, state: ScheduleState) -> None:
        """Keep in mind what the schedule waits for."""
        key = (namespace.id, state.schedule_id)
        workflows = (
            {workflow.workflow_id for workflow in state.info.running_workflows} if state.open else set()
        )
        for workflow_id in self._started.pop(key, set()) - workflows:
            self._waiting.pop((namespace.id, workflow_id), None)
        if workflows:
            self._started[key] = workflows
            for workflow_id in workflows:
                self._waiting[namespace.id, workflow_id] = state.schedule_id
        if not state.open and self._running:
            self._retention.set(state.record.close_time + namespace.record.retention)
        if state.record.due and self._running and namespace.writable:
            self._alarm.set(state.record.due)

    def _run_closed(self, namespace: Namespace, committed: Committed) -> None:
        if not namespace.writable or not self._running:
            return
        schedule_id = self._waiting.get((namespace.id, committed.run.key.workflow_id))
        if schedule_id is not None:
            self._tasks.background(self._by_itself(namespace, schedule_id), "schedule")

    def _namespace_changed(self, namespace: Namespace, before: NamespaceRecord | None) -> None:
        was_writable = (
            before is not None and before.active_cluster == namespace.region and not before.handover
        )
        if self._running and namespace.writable and not was_writable:
            self._tasks.background(self._take_up(namespace), "schedules")

    async def _take_up(self, namespace: Namespace) -> None:
        """Look at all schedules that have something under way; a passive region only keeps them in mind."""
        records = await self._store.read(lambda connection: schedules.busy(connection, namespace.id))
        for record in records:
            state = ScheduleState.load(record)
            self._stored(namespace, state)
            if namespace.writable:
                self._tasks.background(self._by_itself(namespace, state.schedule_id), "schedule")
        if namespace.writable:
            self._alarm.set(self._ports.clock.now())

    async def _ring(self) -> None:
        """Give what is due its turn, and arm for what comes next."""
        now = self._ports.clock.now()
        for namespace in self._namespaces.all():
            if not namespace.writable:
                continue  # its change of state takes up
            found, following = await self._store.read(
                lambda connection, owner=namespace.id: (  # type: ignore[misc]
                    schedules.due(connection, owner, now, _DUE_AT_ONCE),
                    schedules.next_due(connection, owner, now),
                )
            )
            for schedule_id in found:
                key = (namespace.id, schedule_id)
                if key in self._in_turn:
                    self._due_again.add(key)
                else:
                    self._in_turn.add(key)
                    self._tasks.background(self._when_due(namespace, schedule_id), "schedule")
            if len(found) == _DUE_AT_ONCE:
                following = now + _RETRY
            if following is not None and self._running:
                self._alarm.set(following)

    async def _when_due(self, namespace: Namespace, schedule_id: str) -> None:
        key = (namespace.id, schedule_id)
        try:
            async with self._at_once:
                await self._by_itself(namespace, schedule_id)
        finally:
            self._in_turn.discard(key)
            if key in self._due_again:
                self._due_again.discard(key)
                if self._running:
                    self._alarm.set(self._ports.clock.now() + times.MILLISECOND)

    async def _by_itself(self, namespace: Namespace, schedule_id: str) -> None:
        """A turn that nobody asked for."""

        async def work() -> None:
            state = await self._require(namespace, schedule_id)
            if state.open and namespace.writable:
                await self._turns.take(namespace, state, state.dump())

        try:
            await self._locked(namespace, schedule_id, work)
        except (NotFound, NamespaceNotActive):
            return  # if passive, the other region does it, or this one when it is active again
        except Unavailable as error:
            _log.warning("schedule %s: %s", schedule_id, error.message)
            if self._running:
                self._alarm.set(self._ports.clock.now() + _RETRY)

    async def _delete_over(self) -> None:
        """Delete closed schedules whose retention is over."""
        now = self._ports.clock.now()
        try:
            following = await self._store.read(schedules.next_over)
            if following is not None and following <= now:
                await self._store.transact(lambda connection: schedules.delete_over(connection, now))
                following = await self._store.read(schedules.next_over)
        except Unavailable:
            following = now + times.MINUTE
        if following is not None and self._running:
            self._retention.set(following)

    # Locks

    async def _exclusive(self, namespace: Namespace, schedule_id: str, work: Callable[[], Awaitable[T]]) -> T:
        """Do `work` under the schedule's lock, in a task that goes on when the caller is gone."""
        return await self._tasks.shielded(self._locked(namespace, schedule_id, work))

    async def _locked(self, namespace: Namespace, schedule_id: str, work: Callable[[], Awaitable[T]]) -> T:
        lock = (namespace.id, schedule_id)
        await self._locks.acquire(lock)
        try:
            while True:
                try:
                    return await work()
                except Overtaken:
                    continue  # by a peer's late state: again, with that
        finally:
            self._locks.release(lock)

    async def _require(self, namespace: Namespace, schedule_id: str) -> ScheduleState:
        state = await self._schedules.load(namespace, schedule_id)
        if state is None:
            raise workflow_not_found(WORKFLOW_ID_PREFIX + schedule_id)
        return state
