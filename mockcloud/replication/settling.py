"""Applies one task with everything that it needs: missing ranges, the namespace's record, what must be done first.

Nothing here tries again: what the task fails with comes out.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from mockcloud.api.replication.v1.replication_pb2 import HistoryBatch, ReplicationTask
from mockcloud.core import version_history
from mockcloud.core.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    NamespaceNotActive,
    NotFound,
    RegionKilled,
    Unavailable,
)
from mockcloud.core.run import RunKey
from mockcloud.core.version_history import Item
from mockcloud.engine.changes import Changes
from mockcloud.engine.namespaces import Namespace, NamespaceRegistry
from mockcloud.engine.plans import InTransaction, Loaded, Replicated
from mockcloud.engine.schedules import Schedules
from mockcloud.replication.needs import (
    Helped,
    NeedAgainError,
    NeedCallError,
    NeedRangeError,
    NeedReapplyError,
    NeedRecordError,
)
from mockcloud.replication.peers import Peers
from mockcloud.replication.plan import TaskPlan
from mockcloud.replication.receiver import run_of

_logger = logging.getLogger(__name__)

# Not the task's fault: a peer or the database cannot be reached, or the active region moves.
PASSING: Final = (Unavailable, DeadlineExceeded, NamespaceNotActive)

# A fetched range may itself miss something; deeper than this, something is wrong.
_DEEPEST_FETCH: Final = 4


class Settler:
    """One region's hand for tasks that need care."""

    def __init__(
        self,
        region: str,
        changes: Changes,
        schedules: Schedules,
        namespaces: NamespaceRegistry,
        peers: Peers,
    ) -> None:
        self._region = region
        self._changes = changes
        self._schedules = schedules
        self._namespaces = namespaces
        self._peers = peers

    async def settle(
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
                await self.refresh(namespace, source)
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
        if need.key.run_id == run_of(task)[1]:
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
                await self.settle(namespace, source, need.key.workflow_id, fetched, Helped(), depth=depth)
            after = batches[-1].items[-1].event_id
        return True

    async def _range(self, source: str, need: NeedRangeError, after: int) -> list[HistoryBatch]:
        batches = await self._peers.history_range(
            source, need.key, after, need.until, with_copy=need.with_copy
        )
        for batch in batches:
            batch.filled = need.filled
        return batches

    async def refresh(self, namespace: Namespace, source: str) -> None:
        """Learn who is active from the region that knows more [14b].

        While it cannot be asked, its log will tell.
        """
        try:
            await self._namespaces.receive(await self._peers.namespace_record(source, namespace.id))
        except PASSING as error:
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
