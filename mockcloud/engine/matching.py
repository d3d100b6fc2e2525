"""Tasks meet workers: the offers of all runs, in task queues, against polls.

What is offered follows from commits alone (`offers_changed`), so it is the same after a restart. A poll that
gets an offer starts it through the write path; only then is it the worker's. A void offer is dropped and the
poll waits on.

In a passive region, and in HANDOVER, offers are kept but not handed out; polls wait on and get only queries.
Turning passive ends all outstanding polls with an empty answer; turning active serves those that wait here.

A sticky queue whose worker is gone (no poll for `Limits.sticky_poller_gone`, or shut down) takes no task: it
goes to the run's normal queue, and the start clears the run's stickiness. Real: service/matching,
recordworkflowtaskstarted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import NamedTuple, TypeVar

from temporalio.api.common.v1 import WorkerVersionCapabilities, WorkerVersionStamp
from temporalio.api.deployment.v1 import WorkerDeploymentOptions
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    PollNexusTaskQueueRequest,
    PollNexusTaskQueueResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RespondQueryTaskCompletedRequest,
    ShutdownWorkerRequest,
)

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import times
from mockcloud.core.activity_start import StartedActivity, start_activity
from mockcloud.core.change import RunChange
from mockcloud.core.derived import Offer, TaskKind
from mockcloud.core.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    NamespaceNotActive,
    NotFound,
    ServiceError,
    Unavailable,
)
from mockcloud.core.limits import Limits
from mockcloud.core.ports import Ports
from mockcloud.core.priorities import DEFAULT, TaskPriority
from mockcloud.core.run import RunKey
from mockcloud.core.task_start import StartedTask, start_workflow_task
from mockcloud.engine import scaling
from mockcloud.engine.answers import Answers
from mockcloud.engine.changes import Changes
from mockcloud.engine.commit import Committed
from mockcloud.engine.namespaces import Namespace, NamespaceRegistry
from mockcloud.engine.tallies import Tallies
from mockcloud.engine.task_queue import Poll, QueryTask, Task, TaskQueue
from mockcloud.engine.task_queues import TASK_QUEUE_TYPES, TaskQueues

T = TypeVar("T", PollWorkflowTaskQueueResponse, PollActivityTaskQueueResponse)

# Real: matching's shutdownWorkers cache: a poll that was on its way when its worker shut down ends too.
_SHUT_DOWN_REMEMBERED = 30 * times.SECOND
# Real: QueryPollerUnavailableWindow, returnEmptyTaskTimeBudget.
_QUERY_POLLER_GONE = 20 * times.SECOND
_NO_POLLER_ROOM = 1.0  # seconds before a query's deadline at which it is given up when nobody polls

_SLOTS = tuple[str, str, str, TaskKind, int]


_event_id = attrgetter("scheduled_event_id")


class StickyWorkerGoneError(Exception):
    """Nobody polls the sticky queue; the caller turns to the normal one. Never an answer to a client."""


class _Seen(NamedTuple):
    """What a poll says of its worker."""

    rate: float | None  # tasks a second that the queue may dispatch at most
    capabilities: WorkerVersionCapabilities | None
    options: WorkerDeploymentOptions | None
    sticky: bool

    @classmethod
    def of(cls, request: PollWorkflowTaskQueueRequest | PollActivityTaskQueueRequest) -> _Seen:
        rate = None
        if isinstance(request, PollActivityTaskQueueRequest):
            metadata = request.task_queue_metadata
            rate = metadata.max_tasks_per_second.value if metadata.HasField("max_tasks_per_second") else None
        return cls(
            rate,
            request.worker_version_capabilities if request.HasField("worker_version_capabilities") else None,
            request.deployment_options if request.HasField("deployment_options") else None,
            request.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY,
        )


class Matching:
    """All tasks, queries and polls of a region."""

    def __init__(
        self,
        changes: Changes,
        namespaces: NamespaceRegistry,
        answers: Answers,
        queues: TaskQueues,
        tallies: Tallies,
        ports: Ports,
        limits: Limits,
    ) -> None:
        self._changes = changes
        self._namespaces = namespaces
        self._answers = answers
        self._ports = ports
        self._limits = limits
        self._queues = queues
        self._tallies = tallies
        self._offers: dict[_SLOTS, Task] = {}
        self._queries: dict[str, QueryTask] = {}
        self._polls: dict[str, set[Poll]] = {}  # outstanding, by namespace id
        self._shut_down: dict[str, int] = {}  # worker instance key -> when
        changes.listeners.append(self._committed)
        namespaces.listeners.append(self._namespace_changed)

    # Offers

    def load(self, namespace: Namespace, offers: Iterable[tuple[str, str, Offer]]) -> None:
        """Take over what is stored; once, when the region opens."""
        for workflow_id, run_id, offer in offers:
            self._add(namespace, RunKey(namespace.id, workflow_id, run_id), offer)

    def withdraw(self, key: RunKey, offers: Iterable[Offer]) -> None:
        """Forget offers of a run."""
        for offer in offers:
            task = self._offers.pop(_slot(key, offer), None)
            if task is not None:
                task.queue.backlog.remove(task)

    def _committed(self, namespace: Namespace, committed: Committed) -> None:
        if not committed.offers_removed and not committed.offers_added:
            return
        key = committed.run.key
        if committed.offers_removed:
            self.withdraw(key, committed.offers_removed)
        # Those of one commit come in the order of their events.
        for offer in sorted(committed.offers_added, key=_event_id):
            self._add(namespace, key, offer)

    def _add(self, namespace: Namespace, key: RunKey, offer: Offer) -> None:
        queue = self._queue_for(namespace, offer)
        task = self._offers[_slot(key, offer)] = Task(key, offer, queue)
        queue.offer(task)

    def _queue_for(self, namespace: Namespace, offer: Offer) -> TaskQueue:
        if offer.sticky:
            queue = self._queues.find(namespace, offer.kind, offer.task_queue)
            if queue is not None and queue.has_poller(
                self._ports.clock.now(), self._limits.sticky_poller_gone
            ):
                return queue
            return self._queues.get(namespace, offer.kind, offer.normal_queue)
        return self._queues.get(namespace, offer.kind, offer.task_queue)

    def _give_back(self, task: Task) -> None:
        """A task that its poll did not start, first in its queue again, if it is still offered."""
        if self._offers.get(_slot(task.run, task.offer)) is task:
            task.queue.give_back(task)
        else:
            task.queue.gone_in_vain(task)

    def _drop(self, task: Task) -> None:
        slot = _slot(task.run, task.offer)
        if self._offers.get(slot) is task:
            del self._offers[slot]
        task.queue.gone_in_vain(task)

    # Polls

    async def poll_workflow_task(
        self, namespace: Namespace, request: PollWorkflowTaskQueueRequest, timeout: float
    ) -> PollWorkflowTaskQueueResponse:
        """A workflow task or a query for a worker.

        An empty answer after `timeout` seconds or when the poll is ended.
        """
        queue = self._queues.get(namespace, TaskKind.WORKFLOW, request.task_queue.name)
        poll = Poll(request.identity, request.worker_instance_key)
        stamp = _stamp(request.worker_version_capabilities)
        request_id = self._ports.ids.uuid()

        async def start(task: Task) -> PollWorkflowTaskQueueResponse | None:
            sticky = task.offer.sticky and queue.name == task.offer.task_queue
            attached: dict[str, WorkflowQuery] = {}

            def rule(change: RunChange) -> StartedTask | None:
                if poll.gone:
                    return None
                started = start_workflow_task(
                    change, task.offer, request_id, request.identity, worker_version=stamp, sticky=sticky
                )
                attached.update(self._answers.attached_queries(change.run.key))
                return started

            started = await self._changes.update(namespace, task.run.workflow_id, task.run.run_id, rule)
            if started is None:
                return None
            return await self._answers.workflow_task(started, attached, len(queue.backlog))

        async def ask(query: QueryTask) -> PollWorkflowTaskQueueResponse | None:
            try:
                return await self._answers.query_task(
                    namespace, query, queue.name, sticky=_is_sticky(request)
                )
            except ServiceError as error:
                if not query.answer.done():
                    query.answer.set_exception(error)
                return None

        found = await self._poll(namespace, queue, poll, timeout, start, ask, _Seen.of(request))
        return found or PollWorkflowTaskQueueResponse()

    async def poll_activity_task(
        self, namespace: Namespace, request: PollActivityTaskQueueRequest, timeout: float
    ) -> PollActivityTaskQueueResponse:
        """An activity for a worker; an empty answer after `timeout` seconds or when the poll is ended."""
        queue = self._queues.get(namespace, TaskKind.ACTIVITY, request.task_queue.name)
        poll = Poll(request.identity, request.worker_instance_key)
        request_id = self._ports.ids.uuid()

        async def start(task: Task) -> PollActivityTaskQueueResponse | None:
            def rule(change: RunChange) -> StartedActivity | None:
                if poll.gone:
                    return None
                return start_activity(change, task.offer, request_id, request.identity)

            started = await self._changes.update(namespace, task.run.workflow_id, task.run.run_id, rule)
            return None if started is None else started.response

        async def ask(query: QueryTask) -> None:
            raise AssertionError("queries go to workflow task queues")

        found = await self._poll(namespace, queue, poll, timeout, start, ask, _Seen.of(request))
        return found or PollActivityTaskQueueResponse()

    async def poll_nexus_task(
        self, namespace: Namespace, request: PollNexusTaskQueueRequest, timeout: float
    ) -> PollNexusTaskQueueResponse:
        """Hold a poll for Nexus tasks, of which there are none; empty after `timeout` seconds or when it is ended.

        Refusing it would keep a Worker that has a Nexus service from ever shutting down: SDKs ask again until
        the server ends the poll.
        """
        poll = Poll(request.identity, request.worker_instance_key)
        if not self._is_shut_down(poll):
            with self._outstanding(namespace, poll):
                poll.waiting = asyncio.get_running_loop().create_future()
                await asyncio.wait([poll.waiting], timeout=timeout)
        return PollNexusTaskQueueResponse()

    def _is_shut_down(self, poll: Poll) -> bool:
        return bool(poll.worker_instance_key) and poll.worker_instance_key in self._shut_down

    @contextmanager
    def _outstanding(self, namespace: Namespace, poll: Poll) -> Iterator[None]:
        polls = self._polls.setdefault(namespace.id, set())
        polls.add(poll)
        try:
            yield
        finally:
            polls.discard(poll)

    async def _poll(
        self,
        namespace: Namespace,
        queue: TaskQueue,
        poll: Poll,
        timeout: float,
        start: Callable[[Task], Awaitable[T | None]],
        ask: Callable[[QueryTask], Awaitable[T | None]],
        seen: _Seen,
    ) -> T | None:
        clock = self._ports.clock
        deadline = asyncio.get_running_loop().time() + timeout
        if self._is_shut_down(poll):
            return None
        queue.pollers.saw(poll.identity, clock.now(), seen.rate, seen.capabilities, seen.options)
        queue.rates.polled(seen.rate, clock.now())
        try:
            with self._outstanding(namespace, poll):
                while not poll.ended:
                    began = clock.now()
                    item = await queue.take(poll, deadline)
                    now = clock.now()
                    if item is None:
                        if not poll.ended:
                            self._tallies.timed_out(queue, now, sticky=seen.sticky)
                        return None
                    self._tallies.matched(queue, item, now, sticky=seen.sticky)
                    advice = scaling.decide(queue, item, began, now, self._limits, sticky=seen.sticky)
                    if isinstance(item, QueryTask):
                        found = await ask(item)
                    else:
                        found = await self._start(namespace, poll, item, start)
                    if found is not None:
                        if advice is not None:
                            found.poller_scaling_decision.CopyFrom(advice)
                        return found
            return None
        finally:
            if not poll.ended:  # else its worker may have shut down, and is forgotten
                queue.pollers.saw(poll.identity, clock.now(), seen.rate, seen.capabilities, seen.options)

    async def _start(
        self, namespace: Namespace, poll: Poll, task: Task, start: Callable[[Task], Awaitable[T | None]]
    ) -> T | None:
        try:
            found = await start(task)
        except NotFound:
            self._drop(task)  # the run was closed or deleted meanwhile
            return None
        except (NamespaceNotActive, Unavailable):
            self._give_back(task)
            if namespace.writable:
                raise
            return None
        except BaseException:
            # The client is gone, or this is a defect. A start that has not begun will find `gone`; one that
            # has takes the offer away with its commit.
            poll.gone = True
            self._give_back(task)
            raise
        if found is None:
            self._drop(task)
        return found

    def shutdown_worker(self, namespace: Namespace, request: ShutdownWorkerRequest) -> None:
        """A worker goes: its polls end empty, and tasks of its sticky queue go to the normal one.

        Real: frontend ShutdownWorker, matching CancelOutstandingWorkerPolls and
        ForceUnloadTaskQueuePartition.
        """
        now = self._ports.clock.now()
        key = request.worker_instance_key
        if key and request.task_queue and self._limits.cancel_worker_polls_on_shutdown:
            self._shut_down = {
                known: moment
                for known, moment in self._shut_down.items()
                if moment + _SHUT_DOWN_REMEMBERED > now
            }
            self._shut_down[key] = now
            for poll in tuple(self._polls.get(namespace.id, ())):
                if poll.worker_instance_key == key:
                    poll.end()
            for kind in TaskKind:
                queue = self._queues.find(namespace, kind, request.task_queue)
                if queue is not None and _asked(kind, request):
                    queue.pollers.forget(request.identity)
        sticky = self._queues.find(namespace, TaskKind.WORKFLOW, request.sticky_task_queue)
        if sticky is not None:
            self._queues.remove(sticky)
            for poll in tuple(sticky.polls):
                poll.end()
            for task in sticky.backlog:
                sticky.backlog.remove(task)
                self._queues.get(namespace, TaskKind.WORKFLOW, task.offer.normal_queue).offer(task)

    def end_polls(self, namespace: Namespace | None = None) -> None:
        """Answer all outstanding polls empty, of one namespace or of all."""
        ids = tuple(self._polls) if namespace is None else (namespace.id,)
        for namespace_id in ids:
            for poll in tuple(self._polls.get(namespace_id, ())):
                poll.end()

    def _namespace_changed(self, namespace: Namespace, before: NamespaceRecord | None) -> None:
        was_active = before is not None and before.active_cluster == namespace.region
        if was_active and not namespace.active:
            self.end_polls(namespace)
        if namespace.writable:
            for queue in self._queues.of(namespace):
                queue.match()

    # Queries that go to a worker by themselves

    async def query(
        self,
        namespace: Namespace,
        queue_name: str,
        run: RunKey,
        query: WorkflowQuery,
        timeout: float,
        *,
        sticky: bool,
        priority: TaskPriority = DEFAULT,
    ) -> RespondQueryTaskCompletedRequest:
        """A worker's answer to a query, by way of a poll of its queue, within `timeout` seconds.

        Raises:
            StickyWorkerGoneError: nobody polls the sticky queue.
            FailedPrecondition: nobody has polled the queue for a while.
            DeadlineExceeded: no answer in time.
        """
        now = self._ports.clock.now()
        if sticky:
            known = self._queues.find(namespace, TaskKind.WORKFLOW, queue_name)
            if known is None or not known.has_poller(now, self._limits.sticky_poller_gone):
                raise StickyWorkerGoneError
        queue = self._queues.get(namespace, TaskKind.WORKFLOW, queue_name)
        loop = asyncio.get_running_loop()
        task = QueryTask(self._ports.ids.uuid(), run, query, loop.create_future(), priority)
        self._queries[task.id] = task
        queue.ask(task)
        try:
            give_up = max(timeout - _NO_POLLER_ROOM, 0.0)
            await asyncio.wait([task.answer], timeout=give_up)
            waits = not task.answer.done() and not task.dispatched
            if waits and not queue.has_poller(self._ports.clock.now(), _QUERY_POLLER_GONE):
                raise FailedPrecondition("no poller seen for task queue recently, worker may be down")
            if not task.answer.done():
                await asyncio.wait([task.answer], timeout=timeout - give_up)
            if not task.answer.done():
                raise DeadlineExceeded("context deadline exceeded")
            return task.answer.result()
        finally:
            task.answer.cancel()  # whoever finds it still queued passes it over
            del self._queries[task.id]

    def answer_query(self, query_id: str, answer: RespondQueryTaskCompletedRequest) -> None:
        """A worker's answer. Raises NotFound: nobody waits for it any more."""
        task = self._queries.get(query_id)
        if task is None or task.answer.done():
            raise NotFound("query task not found, or already expired")
        task.answer.set_result(answer)


def _slot(key: RunKey, offer: Offer) -> _SLOTS:
    return key.namespace_id, key.workflow_id, key.run_id, offer.kind, offer.scheduled_event_id


def _stamp(capabilities: WorkerVersionCapabilities) -> WorkerVersionStamp | None:
    if not capabilities.build_id:
        return None
    return WorkerVersionStamp(build_id=capabilities.build_id, use_versioning=capabilities.use_versioning)


def _is_sticky(request: PollWorkflowTaskQueueRequest) -> bool:
    return request.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY


def _asked(kind: TaskKind, request: ShutdownWorkerRequest) -> bool:
    return not request.task_queue_types or TASK_QUEUE_TYPES[kind] in request.task_queue_types
