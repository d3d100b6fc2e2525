"""Applies a peer's tasks.

Group them, meet their needs, retry what fails, park or bury what cannot be applied.

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

from mockcloud.api.replication.v1.replication_pb2 import HistoryBatch, ReplicationTask
from mockcloud.core import version_history
from mockcloud.core.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    NamespaceHandover,
    NamespaceNotActive,
    NotFound,
    RegionKilled,
    ServiceError,
    Unavailable,
)
from mockcloud.core.ports import Clock
from mockcloud.core.run import RunKey
from mockcloud.core.version_history import Item
from mockcloud.engine.changes import Changes
from mockcloud.engine.namespaces import Namespace, NamespaceRegistry
from mockcloud.engine.plans import InTransaction, Loaded, Replicated
from mockcloud.engine.schedules import Schedules
from mockcloud.engine.task_queue_configs import TaskQueueConfigs
from mockcloud.replication.needs import (
    Helped,
    NeedAgainError,
    NeedCallError,
    NeedEarlierError,
    NeedRangeError,
    NeedReapplyError,
    NeedRecordError,
    ParkedError,
    PlanEndedError,
)
from mockcloud.replication.peers import Peers
from mockcloud.replication.plan import TaskPlan, continues
from mockcloud.replication.receiver import workflow_of
from mockcloud.replication.settings import Settings
from mockcloud.replication.waiting import subject
from mockcloud.store import parked as parked_rows
from mockcloud.store import positions
from mockcloud.store.database import Store
from mockcloud.store.dead_letters import DeadLetter, delete_dead_letter, put_dead_letter
from mockcloud.store.parked import ParkedTask

_logger = logging.getLogger(__name__)

# Not the task's fault: a peer or the database cannot be reached, or the active region moves.
_PASSING = (Unavailable, DeadlineExceeded, NamespaceNotActive)

# So many bytes of events of one workflow id, and so many for each task, are planned in one turn of the event loop.
_SLICE = 16 * 1024
_TASK_WEIGHT = 512

# A fetched range may itself miss something; deeper than this, something is wrong.
_DEEPEST_FETCH = 4


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
        self._region = region
        self._changes = changes
        self._schedules = schedules
        self._namespaces = namespaces
        self._task_queues = task_queues
        self._store = store
        self._clock = clock
        self._peers = peers
        self._settings = settings
        self._parked: set[tuple[str, str, str]] = set()  # (namespace id, workflow id, run id)

    async def apply_record(self, namespace_id: str, source: str, task: ReplicationTask) -> None:
        """Take in what a peer says of the namespace; what cannot be taken is a dead letter."""
        settings = self._settings
        loop = asyncio.get_running_loop()
        started, pause, attempts = loop.time(), settings.retry_first, 0
        while True:
            attempts += 1
            try:
                await self._take_in(namespace_id, task)
            except _PASSING as error:
                reason = error.message
                if loop.time() - started > settings.patience:
                    break
            except ServiceError as error:
                reason = error.message
                break
            else:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, settings.retry_most)
        await self._bury(namespace_id, source, task, attempts, reason)

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
                await self._settle(
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
            await self._settle(namespace, waiting.source, waiting.workflow_id, task, Helped(), also=[remove])
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
        settings = self._settings
        loop = asyncio.get_running_loop()
        started, pause, attempts = loop.time(), settings.retry_first, 0
        helped = Helped()
        while True:
            if self._waits(namespace, task):
                await self._park(namespace, source, task, "an earlier task of the run is parked")
                return
            attempts += 1
            try:
                await self._settle(namespace, source, workflow_id, task, helped)
            except RegionKilled:
                raise
            except ParkedError as parked:
                await self._park(namespace, source, task, parked.reason)
                return
            except NamespaceHandover:
                # What ends HANDOVER may stand in the source's log behind this very task: its record is asked for.
                started = loop.time()
                await self._refresh(namespace, source)
            except _PASSING as error:
                reason = error.message
                if loop.time() - started > settings.patience:
                    break
            except Exception as error:  # noqa: BLE001 - a task that fails must not end the stream of all others
                reason = str(error) or type(error).__name__
                if attempts >= settings.attempts:
                    break
            else:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, settings.retry_most)
        await self._bury(namespace.id, source, task, attempts, reason)

    async def _settle(
        self,
        namespace: Namespace,
        source: str,
        workflow_id: str,
        task: ReplicationTask,
        helped: Helped,
        *,
        also: Sequence[InTransaction] = (),
        depth: int = 0,
    ) -> None:
        """Apply one task, meeting what it needs. Raises ParkedError, and what it fails with.

        What is missing before it is applied in the same transaction, where it comes in one answer: a run that this
        region wrote itself, deleted, and gets back from a peer that went on with it, must not be touched halfway.
        """
        missing: list[ReplicationTask] = []
        in_one = True

        async def plan(loaded: Loaded) -> Replicated:
            work = TaskPlan(loaded, helped, self._schedules)
            for earlier in missing:
                await work.add(earlier, fetched=True)
            await work.add(task, fetched=depth > 0)
            result = work.result()
            result.also += also
            return result

        while True:
            try:
                await self._changes.replicate(namespace, workflow_id, plan)
            except (NeedRecordError, NeedAgainError, NeedCallError) as need:
                await self._help(namespace, source, need, helped)
            except RegionKilled:
                raise
            except Exception as need:
                if missing:
                    # Each may need something, or read what only the one before has stored: then one by one.
                    missing, in_one = [], False
                    continue
                if isinstance(need, NeedReapplyError):
                    await self._send_reapply(need)
                    helped.reapplied = True
                    continue
                if not isinstance(need, NeedRangeError):
                    raise
                of_this = need.key.workflow_id == workflow_id
                if in_one and of_this and (missing := await self._whole(source, need)):
                    continue
                in_one = in_one and not of_this
                if not await self._fill(namespace, source, task, need, helped, depth):
                    return
            else:
                return

    async def _help(
        self,
        namespace: Namespace,
        source: str,
        need: NeedRecordError | NeedAgainError | NeedCallError,
        helped: Helped,
    ) -> None:
        """Do what must be done before a task is planned again."""
        match need:
            case NeedRecordError():
                await self._refresh(namespace, source)
                helped.refreshed = True
            case NeedCallError():
                await self._call_again(namespace, need)
                helped.called = True
            case NeedAgainError():
                pass  # the plan is all that is made again

    async def _fill(
        self,
        namespace: Namespace,
        source: str,
        task: ReplicationTask,
        need: NeedRangeError,
        helped: Helped,
        depth: int,
    ) -> bool:
        """Fetch and apply what a task needs, batch by batch; False: the task has nothing to be applied to any more."""
        if depth >= _DEEPEST_FETCH:
            raise need
        is_history = task.WhichOneof("task") == "history"
        try:
            there = await self._fetch(namespace, source, need, depth + 1)
        except FailedPrecondition as error:
            if is_history:
                raise
            # State of a branch that its source does not have any more: the run was deleted there, and has come back by
            # what the other side of a split wrote to it.
            _logger.warning("state of %s dropped: %s", need.key, error.message)
            there = False
        if there:
            return True
        if need.key.run_id == _run_of(task)[1]:
            return False  # the source has deleted the run
        if not is_history:
            helped.gone.add(need.key)
            return True
        # It goes on from a run that the source has deleted: then it comes whole.
        items = version_history.values(task.history.items)
        key = RunKey(namespace.id, need.key.workflow_id, task.history.run_id)
        last = version_history.last_item(items)
        whole = NeedRangeError(key, Item(0, 0), last, filled=need.filled, with_copy=True)
        return await self._fetch(namespace, source, whole, depth + 1)

    async def _whole(self, source: str, need: NeedRangeError) -> list[ReplicationTask]:
        """All that is missing, if it comes in one answer; else nothing."""
        try:
            batches = await self._range(source, need, need.after.event_id)
        except (NotFound, FailedPrecondition):
            return []
        if not batches or batches[-1].items[-1].event_id < need.until.event_id:
            return []
        return [ReplicationTask(history=batch) for batch in batches]

    async def _fetch(self, namespace: Namespace, source: str, need: NeedRangeError, depth: int) -> bool:
        """Fetch and apply missing events; False: the source does not have the run any more."""
        after = need.after.event_id
        while after < need.until.event_id:
            try:
                batches = await self._range(source, need, after)
            except NotFound:
                return False
            if not batches or batches[-1].items[-1].event_id <= after:
                raise FailedPrecondition(f"{source} does not send events of {need.key} after {after}")
            for batch in batches:
                fetched = ReplicationTask(history=batch)
                await self._settle(namespace, source, need.key.workflow_id, fetched, Helped(), depth=depth)
            after = batches[-1].items[-1].event_id
        return True

    async def _range(self, source: str, need: NeedRangeError, after: int) -> list[HistoryBatch]:
        batches = await self._peers.history_range(
            source, need.key, after, need.until, with_copy=need.with_copy
        )
        for batch in batches:
            batch.filled = need.filled
        return batches

    async def _refresh(self, namespace: Namespace, source: str) -> None:
        """Learn who is active from the region that knows more [14b].

        While it cannot be asked, its log will tell.
        """
        try:
            await self._namespaces.receive(await self._peers.namespace_record(source, namespace.id))
        except _PASSING as error:
            _logger.warning("namespace record of %s not refreshed: %s", source, error.message)

    async def _call_again(self, namespace: Namespace, need: NeedCallError) -> None:
        """Update or patch a schedule as the losing side was told to; if it is gone here, there is nothing to do."""
        try:
            await self._schedules.call(namespace, need.call)
        except NotFound as error:
            _logger.info("call about schedule %s not made again: %s", need.call.schedule_id, error.message)

    async def _send_reapply(self, need: NeedReapplyError) -> None:
        """Have events reapplied where the namespace is active; re-routed once."""
        region = need.region
        try:
            await self._peers.reapply_events(region, need.key, need.events)
        except NamespaceNotActive as error:
            if error.active_cluster in (region, self._region, ""):
                raise
            await self._peers.reapply_events(error.active_cluster, need.key, need.events)

    def _waits(self, namespace: Namespace, task: ReplicationTask) -> bool:
        return bool(self._parked) and (namespace.id, *_run_of(task)) in self._parked

    async def _park(self, namespace: Namespace, source: str, task: ReplicationTask, reason: str) -> None:
        workflow_id, run_id = _run_of(task)
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
        workflow_id, run_id = _run_of(task)
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


def _run_of(task: ReplicationTask) -> tuple[str, str]:
    """(workflow id, run id) that a task belongs to; empty for those of the namespace."""
    kind = task.WhichOneof("task")
    if not workflow_of(task) or kind is None:
        return "", ""
    part = getattr(task, kind)
    return str(part.workflow_id), str(part.run_id)
