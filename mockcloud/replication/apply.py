"""Applies a peer's tasks.

Group them, retry what fails, park or bury what cannot be applied. What a task needs is met in `settling`.

Where a task ends:

    applied        in one transaction with others of its workflow id, if it can
    parked         its reconciliation is not built, or an earlier task of its run is parked; it waits,
                   durable, and is tried again when the region starts
    dead letter    it failed after all retries; kept with its reason

None of them blocks another workflow id. Applying a task again changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence

from mockcloud.api.replication.v1.replication_pb2 import ReplicationTask
from mockcloud.core.errors import (
    NamespaceHandover,
    RegionKilled,
    ServiceError,
)
from mockcloud.core.ports import Clock
from mockcloud.engine.changes import Changes
from mockcloud.engine.namespaces import Namespace, NamespaceRegistry
from mockcloud.engine.plans import InTransaction, Loaded, Replicated
from mockcloud.engine.schedules import Schedules
from mockcloud.engine.task_queue_configs import TaskQueueConfigs
from mockcloud.replication.batches import continues
from mockcloud.replication.needs import (
    Helped,
    NeedEarlierError,
    ParkedError,
    PlanEndedError,
)
from mockcloud.replication.peers import Peers
from mockcloud.replication.plan import TaskPlan
from mockcloud.replication.receiver import run_of, workflow_of
from mockcloud.replication.settings import Settings
from mockcloud.replication.settling import PASSING, Settler
from mockcloud.replication.waiting import subject
from mockcloud.store import parked as parked_rows
from mockcloud.store import positions
from mockcloud.store.database import Store
from mockcloud.store.dead_letters import DeadLetter, delete_dead_letter, put_dead_letter
from mockcloud.store.parked import ParkedTask

_logger = logging.getLogger(__name__)

# So many bytes of events of one workflow id, and so many for each task, are planned in one turn of the event loop.
_SLICE = 16 * 1024
_TASK_WEIGHT = 512


class Apply:
    """One region's hand for what its peers send."""

    def __init__(
        self,
        region: str,
        *,
        changes: Changes,
        schedules: Schedules,
        namespaces: NamespaceRegistry,
        task_queues: TaskQueueConfigs,
        store: Store,
        clock: Clock,
        peers: Peers,
        settings: Settings,
    ) -> None:
        self._changes = changes
        self._schedules = schedules
        self._namespaces = namespaces
        self._task_queues = task_queues
        self._store = store
        self._clock = clock
        self._settings = settings
        self._settler = Settler(region, changes, schedules, namespaces, peers)
        self._parked: set[tuple[str, str, str]] = set()  # (namespace id, workflow id, run id)

    async def apply_record(self, namespace_id: str, source: str, task: ReplicationTask) -> None:
        """Take in what a peer says of the namespace; what cannot be taken is a dead letter."""
        tries = _Tries(self._settings)
        while True:
            tries.count += 1
            try:
                await self._take_in(namespace_id, task)
            except PASSING as error:
                reason = error.message
                if not tries.patient:
                    break
            except ServiceError as error:
                reason = error.message
                break
            else:
                return
            await tries.pause()
        await self._bury(namespace_id, source, task, tries.count, reason)

    async def _take_in(self, namespace_id: str, task: ReplicationTask) -> None:
        if task.WhichOneof("task") == "task_queue":
            await self._task_queues.receive(self._namespaces.by_id(namespace_id), task.task_queue)
        else:
            await self._namespaces.receive(task.namespace_record)

    async def apply_together(
        self, namespace_id: str, source: str, tasks: Mapping[str, list[ReplicationTask]], position: int | None
    ) -> set[str]:
        """Apply what needs no care, in one transaction; the workflow ids whose tasks are left for `apply_tasks`.

        With `position`, and if nothing is left, the transaction stores that as applied, too.
        """
        namespace = self._namespaces.by_id(namespace_id)
        complete: list[InTransaction] = []
        if position is not None:
            complete.append(
                lambda connection: positions.set_applied(connection, namespace_id, source, position)
            )
        plans = {workflow_id: self._plan(namespace, own) for workflow_id, own in tasks.items()}
        return await self._changes.replicate_together(namespace, plans, complete)

    async def apply_ahead(
        self, namespace_id: str, source: str, tasks: Mapping[str, list[ReplicationTask]]
    ) -> set[str]:
        """Apply what misses nothing before it, in whole workflow ids; the others. All of it comes again in its turn."""
        namespace = self._namespaces.by_id(namespace_id)
        plans = {workflow_id: self._plan(namespace, own, ahead=True) for workflow_id, own in tasks.items()}
        return await self._changes.replicate_together(namespace, plans)

    def _plan(
        self, namespace: Namespace, tasks: Sequence[ReplicationTask], *, ahead: bool = False
    ) -> Callable[[Loaded], Awaitable[Replicated]]:
        async def plan(loaded: Loaded) -> Replicated:
            work = TaskPlan(loaded, Helped(), self._schedules)
            size = 0
            for task in tasks:
                if self._waits(namespace, task):
                    raise ParkedError("behind an earlier one")
                if ahead and not await continues(loaded, task):
                    raise NeedEarlierError
                await work.add(task)
                size += _TASK_WEIGHT + len(task.history.events)
                if size > _SLICE:
                    size = 0
                    await asyncio.sleep(0)
            return work.result()

        return plan

    async def apply_tasks(
        self, namespace_id: str, source: str, workflow_id: str, tasks: list[ReplicationTask]
    ) -> None:
        """Apply tasks of one workflow id in their order; returns when each has come to its end."""
        namespace = self._namespaces.by_id(namespace_id)
        while tasks:
            done = await self._apply_group(namespace, workflow_id, tasks)
            if not done:
                await self._apply_alone(namespace, source, workflow_id, tasks[0])
                done = 1
            tasks = tasks[done:]

    async def retry_parked(self, namespace: Namespace) -> None:
        """Try what waits again, run by run: rules that were not built may be now."""
        stopped: set[tuple[str, str, str]] = set()
        after = 0
        while page := await self._store.read(
            lambda connection, last=after: parked_rows.list_parked(connection, namespace.id, last)  # type: ignore[misc]
        ):
            for waiting in page:
                after = waiting.parked_id
                run = (namespace.id, waiting.workflow_id, waiting.run_id)
                if run in stopped or not await self._unpark(namespace, waiting):
                    stopped.add(run)
        self._parked = {run for run in self._parked if run[0] != namespace.id} | stopped

    async def replay(self, namespace: Namespace, letter: DeadLetter) -> bool:
        """Apply a dead letter once more; whether it could be. One that could not stays, with its new reason."""
        task = ReplicationTask.FromString(letter.task)

        def remove(connection: sqlite3.Connection) -> None:
            delete_dead_letter(connection, letter.message_id)

        try:
            if workflow_of(task):
                await self._settler.settle(
                    namespace, letter.source, letter.workflow_id, task, Helped(), also=[remove]
                )
            else:
                await self._take_in(namespace.id, task)
                await self._store.transact(remove)
        except RegionKilled:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the letter's new reason
            await self._bury(namespace.id, letter.source, task, 1, str(error) or type(error).__name__)
            return False
        return True

    async def _unpark(self, namespace: Namespace, waiting: ParkedTask) -> bool:
        task = ReplicationTask.FromString(waiting.task)

        def remove(connection: sqlite3.Connection) -> None:
            parked_rows.unpark(connection, waiting.parked_id)

        try:
            await self._settler.settle(
                namespace, waiting.source, waiting.workflow_id, task, Helped(), also=[remove]
            )
        except RegionKilled:
            raise
        except (PlanEndedError, ServiceError):
            return False
        return True

    async def _apply_group(
        self, namespace: Namespace, workflow_id: str, tasks: Sequence[ReplicationTask]
    ) -> int:
        """Apply as many of `tasks` as one transaction takes; 0: the first one needs care of its own."""
        count = len(tasks)
        while count:
            failed_at = await self._try(namespace, workflow_id, tasks[:count])
            if failed_at is None:
                return count
            count = failed_at
        return 0

    async def _try(
        self, namespace: Namespace, workflow_id: str, tasks: Sequence[ReplicationTask]
    ) -> int | None:
        """Apply `tasks` in one transaction; the index of the one that prevents it, or None."""
        failed_at = 0

        async def plan(loaded: Loaded) -> Replicated:
            nonlocal failed_at
            work = TaskPlan(loaded, Helped(), self._schedules)
            for index, task in enumerate(tasks):
                failed_at = index
                if self._waits(namespace, task):
                    raise ParkedError("behind an earlier one")
                await work.add(task)
            failed_at = 0  # from here on it is the commit that fails
            return work.result()

        try:
            await self._changes.replicate(namespace, workflow_id, plan)
        except RegionKilled:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, the task that causes it meets it again, alone
            return failed_at
        return None

    async def _apply_alone(
        self, namespace: Namespace, source: str, workflow_id: str, task: ReplicationTask
    ) -> None:
        """Apply one task with everything it needs, with retries, to its end."""
        tries = _Tries(self._settings)
        helped = Helped()
        while True:
            if self._waits(namespace, task):
                await self._park(namespace, source, task, "an earlier task of the run is parked")
                return
            tries.count += 1
            try:
                await self._settler.settle(namespace, source, workflow_id, task, helped)
            except RegionKilled:
                raise
            except ParkedError as parked:
                await self._park(namespace, source, task, parked.reason)
                return
            except NamespaceHandover:
                # What ends HANDOVER may stand in the source's log behind this very task: its record is asked for.
                tries.begin_anew()
                await self._settler.refresh(namespace, source)
            except PASSING as error:
                reason = error.message
                if not tries.patient:
                    break
            except Exception as error:  # noqa: BLE001 - a task that fails must not end the stream of all others
                reason = str(error) or type(error).__name__
                if tries.count >= self._settings.attempts:
                    break
            else:
                return
            await tries.pause()
        await self._bury(namespace.id, source, task, tries.count, reason)

    def _waits(self, namespace: Namespace, task: ReplicationTask) -> bool:
        return bool(self._parked) and (namespace.id, *run_of(task)) in self._parked

    async def _park(self, namespace: Namespace, source: str, task: ReplicationTask, reason: str) -> None:
        workflow_id, run_id = run_of(task)
        row = ParkedTask(
            parked_id=0,
            namespace_id=namespace.id,
            workflow_id=workflow_id,
            run_id=run_id,
            source=source,
            position=task.position,
            parked_at=self._clock.now(),
            reason=reason,
            task=task.SerializeToString(),
        )
        await self._store.transact(lambda connection: parked_rows.park(connection, row))
        self._parked.add((namespace.id, workflow_id, run_id))
        _logger.warning("run %s of %s parked: %s", run_id, workflow_id, reason)

    async def _bury(
        self, namespace_id: str, source: str, task: ReplicationTask, attempts: int, reason: str
    ) -> None:
        workflow_id, run_id = run_of(task)
        letter = DeadLetter(
            message_id=0,
            namespace_id=namespace_id,
            workflow_id=workflow_id,
            run_id=run_id,
            source=source,
            position=task.position,
            failed_at=self._clock.now(),
            attempts=attempts,
            reason=reason,
            task=task.SerializeToString(),
        )
        await self._store.transact(lambda connection: put_dead_letter(connection, letter))
        _logger.error("dead letter for %s: %s", subject(task), reason)


class _Tries:
    """The tries of one task."""

    def __init__(self, settings: Settings) -> None:
        self.count = 0
        self._settings = settings
        self._pause = settings.retry_first
        self.begin_anew()

    def begin_anew(self) -> None:
        """Patience begins now."""
        self._since = asyncio.get_running_loop().time()

    @property
    def patient(self) -> bool:
        """Whether to wait on for what passes by itself."""
        return asyncio.get_running_loop().time() - self._since <= self._settings.patience

    async def pause(self) -> None:
        """Wait before the next one, each time twice as long."""
        await asyncio.sleep(self._pause)
        self._pause = min(self._pause * 2, self._settings.retry_most)
