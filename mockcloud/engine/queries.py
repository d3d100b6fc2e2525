"""Queries: answered by a worker, either by themselves through a poll, or with a workflow task of the run.

A query may go by itself only if nothing happened to the run that a worker has not seen: the run is closed, or
it has no pending workflow task, or this region is passive. Otherwise it waits in the buffer of its run. The
next workflow task takes it along (as one of `queries` in the answer to the poll); if that ends without an
answer and no other task follows, the query goes by itself after all.

Buffered queries are in memory only: who asked is gone when the region is. Real:
service/history/api/queryworkflow, workflow/query_registry.go,
respondworkflowtaskcompleted.handleBufferedQueries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from temporalio.api.common.v1 import Link, Payloads
from temporalio.api.enums.v1 import (
    QueryRejectCondition,
    QueryResultType,
    ResourceExhaustedCause,
    WorkflowExecutionStatus,
)
from temporalio.api.errordetails.v1 import QueryFailedFailure
from temporalio.api.query.v1 import QueryRejected, WorkflowQuery, WorkflowQueryResult
from temporalio.api.workflowservice.v1 import (
    QueryWorkflowRequest,
    QueryWorkflowResponse,
    RespondQueryTaskCompletedRequest,
)

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import priorities, times
from mockcloud.core.errors import (
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    QueryFailed,
    ResourceExhausted,
    WorkflowNotReady,
)
from mockcloud.core.limits import Limits
from mockcloud.core.messages import is_set
from mockcloud.core.ports import Ports
from mockcloud.core.priorities import TaskPriority
from mockcloud.core.run import Run, RunKey
from mockcloud.core.tokens import QueryToken
from mockcloud.core.workflow_task import reset_sticky
from mockcloud.engine.changes import Changes
from mockcloud.engine.commit import Committed
from mockcloud.engine.matching import Matching, StickyWorkerGoneError
from mockcloud.engine.namespaces import Namespace, NamespaceRegistry

_COMPLETED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED
_ATTEMPT_FAILS_QUERIES = 3  # real: failQueryWorkflowTaskAttemptCount
_TOO_LARGE = "Blob data size exceeds limit."  # real: common.ErrBlobSizeExceedsLimit

# What a buffered query comes to: a result, or None: send it by itself.
_Outcome = WorkflowQueryResult | None


@dataclass(frozen=True, slots=True)
class _Rejected:
    run: RunKey
    status: WorkflowExecutionStatus.ValueType


@dataclass(frozen=True, slots=True)
class _Direct:
    """The query may go by itself."""

    run: RunKey
    running: bool
    task_queue: str
    sticky_queue: str  # empty: none
    sticky_timeout: int  # nanoseconds
    priority: TaskPriority


@dataclass(frozen=True, slots=True)
class _Buffered:
    run: RunKey
    id: str
    outcome: asyncio.Future[_Outcome]


@dataclass(slots=True)
class _Waiting:
    query: WorkflowQuery
    outcome: asyncio.Future[_Outcome]


class _SenselessAnswerError(Exception):
    """A worker's answer that is neither a result nor a failure."""


class Queries:
    """All queries under way in a region."""

    def __init__(
        self,
        changes: Changes,
        matching: Matching,
        namespaces: NamespaceRegistry,
        ports: Ports,
        limits: Limits,
    ) -> None:
        self._changes = changes
        self._matching = matching
        self._ports = ports
        self._limits = limits
        self._waiting: dict[RunKey, dict[str, _Waiting]] = {}
        # Results that came with a completed workflow task, until its commit.
        self._results: dict[RunKey, Mapping[str, WorkflowQueryResult]] = {}
        namespaces.listeners.append(self._namespace_changed)

    async def query(
        self, namespace: Namespace, request: QueryWorkflowRequest, timeout: float
    ) -> QueryWorkflowResponse:
        """A worker's answer within `timeout` seconds, or the reject condition that holds.

        Raises:
            NotFound: no such run.
            WorkflowNotReady: it can have no answer yet, or never had a workflow task, or its task keeps
            failing.
            QueryFailed: the worker could not answer.
            ResourceExhausted: too many queries wait for the run's workflow task.
            FailedPrecondition, DeadlineExceeded: no worker took it, or none answered.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            try:
                return await self._query(namespace, request, max(0.0, deadline - loop.time()))
            except _SenselessAnswerError:
                # The real frontend takes that for a passing fault of its own, and asks again.
                if loop.time() >= deadline:
                    raise DeadlineExceeded("context deadline exceeded") from None

    async def _query(
        self, namespace: Namespace, request: QueryWorkflowRequest, timeout: float
    ) -> QueryWorkflowResponse:
        workflow_id, run_id = request.execution.workflow_id, request.execution.run_id
        deadline = asyncio.get_running_loop().time() + timeout
        way = await self._changes.read(
            namespace, workflow_id, run_id, lambda run: self._way(namespace, run, request, timeout)
        )
        if isinstance(way, _Rejected):
            return QueryWorkflowResponse(
                query_rejected=QueryRejected(status=way.status),
                link=_link(namespace, way.run, "Query rejected"),
            )
        if isinstance(way, _Buffered):
            result = await self._wait(way, deadline)
            if result is not None:
                return _answered(namespace, way.run, result, result.result_type)
            run_id = way.run.run_id
            way = await self._changes.read(namespace, workflow_id, run_id, _direct)
        return await self._directly(namespace, way, request.query, deadline)

    def _way(
        self, namespace: Namespace, run: Run, request: QueryWorkflowRequest, timeout: float
    ) -> _Rejected | _Direct | _Buffered:
        """How the query is to be answered; decided while nothing can happen to the run."""
        condition = request.query_reject_condition
        if not run.open and (
            condition == QueryRejectCondition.QUERY_REJECT_CONDITION_NOT_OPEN
            or (
                condition == QueryRejectCondition.QUERY_REJECT_CONDITION_NOT_COMPLETED_CLEANLY
                and run.status != _COMPLETED
            )
        ):
            return _Rejected(run.key, run.status)
        if run.paused:
            return _Rejected(run.key, run.status)
        seen = run.last_completed_task_event_id > 0
        task = run.workflow_task
        if not run.open and not seen:
            raise WorkflowNotReady("Workflow execution closed before WorkflowTaskStarted event")
        if task is None and not seen:
            backoff = times.nanoseconds(run.start.first_workflow_task_backoff)
            if run.start_time + backoff > self._ports.clock.now() + int(timeout * times.SECOND):
                raise WorkflowNotReady("Workflow task is not scheduled yet.")
        if task is not None and task.attempt >= _ATTEMPT_FAILS_QUERIES:
            raise WorkflowNotReady("Unable to query workflow due to Workflow Task in failed state.")
        if seen and (not namespace.active or not run.open or task is None):
            return _direct(run)
        waiting = self._waiting.setdefault(run.key, {})
        if len(waiting) >= self._limits.buffered_queries:
            raise ResourceExhausted(
                "consistent query buffer is full, this may be caused by too many queries and "
                "workflow not able to process query fast enough",
                ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW,
            )
        query_id = self._ports.ids.uuid()
        outcome: asyncio.Future[_Outcome] = asyncio.get_running_loop().create_future()
        waiting[query_id] = _Waiting(request.query, outcome)
        return _Buffered(run.key, query_id, outcome)

    async def _wait(self, buffered: _Buffered, deadline: float) -> _Outcome:
        try:
            async with asyncio.timeout_at(deadline):
                return await buffered.outcome
        except TimeoutError:
            raise DeadlineExceeded("context deadline exceeded") from None
        finally:
            waiting = self._waiting.get(buffered.run, {})
            waiting.pop(buffered.id, None)
            if not waiting:
                self._waiting.pop(buffered.run, None)

    async def _directly(
        self, namespace: Namespace, way: _Direct, query: WorkflowQuery, deadline: float
    ) -> QueryWorkflowResponse:
        """Through a poll of the sticky queue, and if its worker does not take it, of the normal one."""
        loop = asyncio.get_running_loop()
        if way.sticky_queue:
            try:
                # Its own time and not the caller's: a short deadline must not cost the run its worker's
                # cache.
                timeout = way.sticky_timeout / times.SECOND
                answer = await self._matching.query(
                    namespace,
                    way.sticky_queue,
                    way.run,
                    query,
                    timeout,
                    sticky=True,
                    priority=way.priority,
                )
                return _answered(namespace, way.run, answer, answer.completed_type)
            except (StickyWorkerGoneError, DeadlineExceeded):
                if way.running and namespace.writable:
                    await self._reset_sticky(namespace, way.run)
        remaining = deadline - loop.time()
        if remaining <= 0:
            raise DeadlineExceeded("context deadline exceeded")
        answer = await self._matching.query(
            namespace,
            way.task_queue,
            way.run,
            query,
            remaining,
            sticky=False,
            priority=way.priority,
        )
        return _answered(namespace, way.run, answer, answer.completed_type)

    async def _reset_sticky(self, namespace: Namespace, key: RunKey) -> None:
        try:
            await self._changes.update(namespace, key.workflow_id, key.run_id, reset_sticky)
        except NotFound:
            return  # it has closed meanwhile

    def respond(self, request: RespondQueryTaskCompletedRequest) -> None:
        """A worker's answer to a query that came by itself.

        Raises InvalidArgument for a token that is none, NotFound when nobody waits for the answer any more.
        """
        token = QueryToken.load(request.task_token)
        if request.query_result.ByteSize() > self._limits.largest_blob:
            request = RespondQueryTaskCompletedRequest(
                task_token=request.task_token,
                completed_type=QueryResultType.QUERY_RESULT_TYPE_FAILED,
                error_message=_TOO_LARGE,
            )
        self._matching.answer_query(token.query_id, request)

    # The buffer, as workflow tasks see it

    def attached(self, key: RunKey) -> Mapping[str, WorkflowQuery]:
        """The queries that the run's next workflow task takes along, by id."""
        waiting = self._waiting.get(key)
        if not waiting:
            return {}
        return {query_id: each.query for query_id, each in waiting.items() if not each.outcome.done()}

    def keep_results(self, key: RunKey, results: Mapping[str, WorkflowQueryResult]) -> None:
        """What a worker answered with its completion: in force when that is committed."""
        if results and key in self._waiting:
            self._results[key] = results

    def drop_results(self, key: RunKey) -> None:
        """The completion was not committed."""
        self._results.pop(key, None)

    def committed(self, namespace: Namespace, committed: Committed) -> None:
        """Listener of `Changes`."""
        if not self._waiting:
            return
        run = committed.run
        waiting = self._waiting.get(run.key)
        if waiting is None:
            return
        for query_id, result in self._results.pop(run.key, {}).items():
            found = waiting.get(query_id)
            if found is None or found.outcome.done() or not _is_answer(result):
                continue
            if result.answer.ByteSize() > self._limits.largest_blob:
                found.outcome.set_exception(InvalidArgument(_TOO_LARGE))
            else:
                found.outcome.set_result(result)
        if run.workflow_task is None and (run.last_completed_task_event_id or not run.open):
            _release(waiting)

    def _namespace_changed(self, namespace: Namespace, before: NamespaceRecord | None) -> None:
        """A passive region's workflow tasks go to no worker: what waits for one goes by itself."""
        if namespace.active:
            return
        for key, waiting in self._waiting.items():
            if key.namespace_id == namespace.id:
                _release(waiting)


def _release(waiting: Mapping[str, _Waiting]) -> None:
    for each in waiting.values():
        if not each.outcome.done():
            each.outcome.set_result(None)


def _direct(run: Run) -> _Direct:
    if not run.open and not run.last_completed_task_event_id:
        raise WorkflowNotReady("Workflow execution closed before WorkflowTaskStarted event")
    return _Direct(
        run=run.key,
        running=run.open,
        task_queue=run.start.task_queue.name,
        sticky_queue=run.record.sticky.task_queue,
        sticky_timeout=run.record.sticky.schedule_to_start_timeout,
        priority=priorities.in_queue(run.priority),
    )


def _is_answer(result: WorkflowQueryResult) -> bool:
    """Whether a worker's result says anything; else the query waits on. Real: queryImpl.validateCompletionState."""
    answered = result.HasField("answer")
    if result.result_type == QueryResultType.QUERY_RESULT_TYPE_ANSWERED:
        return answered and not result.error_message
    failed = result.result_type == QueryResultType.QUERY_RESULT_TYPE_FAILED
    return failed and not answered and bool(result.error_message)


def _answered(
    namespace: Namespace,
    key: RunKey,
    answer: WorkflowQueryResult | RespondQueryTaskCompletedRequest,
    kind: QueryResultType.ValueType,
) -> QueryWorkflowResponse:
    """What a worker said. Raises QueryFailed: it could not answer."""
    if kind == QueryResultType.QUERY_RESULT_TYPE_ANSWERED:
        field = "answer" if isinstance(answer, WorkflowQueryResult) else "query_result"
        found: Payloads | None = getattr(answer, field) if is_set(answer, field) else None
        return QueryWorkflowResponse(query_result=found, link=_link(namespace, key))
    if kind == QueryResultType.QUERY_RESULT_TYPE_FAILED:
        failure = answer.failure if answer.HasField("failure") else None
        raise QueryFailed(answer.error_message, QueryFailedFailure(failure=failure))
    raise _SenselessAnswerError


def _link(namespace: Namespace, key: RunKey, reason: str = "Query processed") -> Link:
    return Link(
        workflow=Link.Workflow(
            namespace=namespace.name, workflow_id=key.workflow_id, run_id=key.run_id, reason=reason
        )
    )
