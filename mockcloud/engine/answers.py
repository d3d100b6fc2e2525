"""What the answer to a poll of a workflow task queue holds.

The task, its history, the queries that come with it.

History is taken from the cache's tail where that covers it, else read from the database. It pages at whole
batches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueResponse

from mockcloud.core import times
from mockcloud.core.limits import Limits
from mockcloud.core.outcome import Batch
from mockcloud.core.run import Run, RunKey
from mockcloud.core.task_start import StartedTask
from mockcloud.core.tokens import HistoryPageToken, QueryToken
from mockcloud.engine.cache import RunCache
from mockcloud.engine.changes import Changes
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.task_queue import QueryTask


class Answers:
    """Builds answers to polls. Must never change a run."""

    def __init__(self, changes: Changes, cache: RunCache, limits: Limits) -> None:
        self._changes = changes
        self._cache = cache
        self._limits = limits
        # The queries that wait for the next workflow task of a run; set by `Queries`.
        self.attached_queries: Callable[[RunKey], Mapping[str, WorkflowQuery]] = lambda _: {}

    async def workflow_task(
        self, started: StartedTask, queries: Mapping[str, WorkflowQuery], backlog: int
    ) -> PollWorkflowTaskQueueResponse:
        """The answer that hands over a task which was just started."""
        token = started.token
        response = PollWorkflowTaskQueueResponse(
            task_token=token.dump(),
            previous_started_event_id=started.previous_started_event_id,
            started_event_id=started.started_event_id,
            attempt=started.attempt,
            backlog_count_hint=backlog,
            queries=queries,
            messages=started.messages,
        )
        # In place: a message that is given to another one is copied.
        execution, queue = response.workflow_execution, response.workflow_execution_task_queue
        execution.workflow_id, execution.run_id = token.workflow_id, token.run_id
        queue.name, queue.kind = started.task_queue, TaskQueueKind.TASK_QUEUE_KIND_NORMAL
        response.workflow_type.name = started.workflow_type
        times.put(response.scheduled_time, started.scheduled_time)
        times.put(response.started_time, started.started_time)
        key = RunKey(token.namespace_id, token.workflow_id, token.run_id)
        await self._add_history(
            response, key, started.branch_id, started.first_event_id, started.next_event_id
        )
        if not response.next_page_token:  # else they come with the last page
            response.history.events.extend(started.transient_events)
        return response

    async def event(self, key: RunKey, branch_id: int, event_id: int) -> HistoryEvent:
        """One event of a run's branch; it must be there."""
        for batch in await self._batches(key, branch_id, event_id, event_id + 1):
            for event in History.FromString(batch.data).events:
                if event.event_id == event_id:
                    return event
        raise AssertionError(f"{key}: branch {branch_id} has event {event_id}")

    async def query_task(
        self, namespace: Namespace, query: QueryTask, queue_name: str, *, sticky: bool
    ) -> PollWorkflowTaskQueueResponse:
        """The answer that hands over a query by itself. A sticky worker has the history.

        Raises NotFound: the run is gone.
        """

        def look(run: Run) -> tuple[PollWorkflowTaskQueueResponse, int, int]:
            response = PollWorkflowTaskQueueResponse(
                task_token=QueryToken(run.key.namespace_id, queue_name, query.id).dump(),
                workflow_execution=WorkflowExecution(workflow_id=run.key.workflow_id, run_id=run.key.run_id),
                workflow_type=run.start.workflow_type,
                previous_started_event_id=run.last_completed_task_started_event_id,
                attempt=1,
                query=query.query,
                workflow_execution_task_queue=_normal(run.start.task_queue.name),
            )
            return response, run.version_history.branch_id, run.next_event_id

        response, branch_id, next_event_id = await self._changes.read(
            namespace, query.run.workflow_id, query.run.run_id, look
        )
        response.history.SetInParent()
        if not sticky:
            await self._add_history(response, query.run, branch_id, 1, next_event_id)
        return response

    async def _add_history(
        self,
        response: PollWorkflowTaskQueueResponse,
        key: RunKey,
        branch_id: int,
        first_event_id: int,
        next_event_id: int,
    ) -> None:
        response.history.SetInParent()
        if first_event_id >= next_event_id:
            return
        batches = await self._batches(key, branch_id, first_event_id, next_event_id)
        for batch in batches:
            response.history.MergeFromString(batch.data)
        # A batch may begin before what is wanted: where a task was completed and the next one started in one
        # commit.
        while response.history.events[0].event_id < first_event_id:
            del response.history.events[0]
        after = batches[-1].last_event_id + 1
        if after < next_event_id:
            response.next_page_token = HistoryPageToken(
                run_id=key.run_id,
                next_event_id=after,
                end_event_id=next_event_id,
                branch_id=branch_id,
                item_event_id=after - 1,
                item_version=response.history.events[-1].version,
            ).dump()

    async def _batches(
        self, key: RunKey, branch_id: int, first_event_id: int, next_event_id: int
    ) -> list[Batch]:
        page = self._limits.history_page
        entry = self._cache.get(key)
        if entry is not None and next_event_id - first_event_id <= page:
            batches = entry.tail.covering(branch_id, first_event_id, next_event_id)
            if batches is not None:
                return batches
        return await self._changes.loader.read_branch(branch_id, first_event_id, next_event_id, page)


def _normal(name: str) -> TaskQueue:
    return TaskQueue(name=name, kind=TaskQueueKind.TASK_QUEUE_KIND_NORMAL)
