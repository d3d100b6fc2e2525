"""The worker of batch operations: the server's own, one for each namespace while batches are open in it.

It works as any worker does, by calls that clients could make too: it takes workflow tasks and the activity from
the task queue of the server's own workers, lists the runs page by page, does to each what the batch says, and
tells its progress in heartbeats. A worker that dies, with its region or in a failover, is replaced: the activity's
heartbeat times out, and its next attempt goes on where the last heartbeat was, in the region that is active then.
What was done after that heartbeat is done again; signals and cancels are known by their request ids.

Real: service/worker/batcher/workflow.go, activities.go.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

from google.protobuf.message import Message
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskFailedRequest,
    RespondWorkflowTaskCompletedRequest,
)

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import batch as rules
from mockcloud.core import batch_workflow
from mockcloud.core.errors import InvalidArgument, RegionKilled, ServiceError
from mockcloud.core.limits import Limits
from mockcloud.engine.batch_attempt import Attempt
from mockcloud.engine.batch_caller import IDENTITY, Call, Caller, M
from mockcloud.engine.changes import Changes
from mockcloud.engine.commit import Committed
from mockcloud.engine.namespaces import Namespace, NamespaceRegistry
from mockcloud.engine.tasks import Tasks
from mockcloud.store import visibility
from mockcloud.store.database import Store

log = logging.getLogger(__name__)

_PAUSE: Final = 0.1  # seconds


class _Shift:
    """One time of work in a namespace; a poll may outlast it, and what that brings is done."""

    over = False


class Batches:
    """The batch workers of a region."""

    def __init__(
        self, changes: Changes, namespaces: NamespaceRegistry, store: Store, limits: Limits, tasks: Tasks
    ) -> None:
        self._store = store
        self._namespaces = namespaces
        self._limits = limits
        self._tasks = tasks
        self._working: dict[str, _Shift] = {}  # by namespace id
        self._running = False
        self._stopped = asyncio.Event()
        self.call: Call | None = None  # given by the frontend
        changes.start_listeners.append(self._started)
        namespaces.listeners.append(self._namespace_changed)

    def start(self) -> None:
        """Work from now on, wherever batches are open already."""
        self._running = True
        for namespace in self._namespaces.all():
            self._begin(namespace)

    def stop(self) -> None:
        """Take nothing more. What is under way finds out."""
        self._running = False
        self._stopped.set()

    def _started(self, namespace: Namespace, committed: Committed) -> None:
        run = committed.run
        if run.open and run.start.workflow_type.name == rules.WORKFLOW_TYPE:
            self._begin(namespace)

    def _namespace_changed(self, namespace: Namespace, before: NamespaceRecord | None) -> None:
        if before is not None:
            self._begin(namespace)

    def _begin(self, namespace: Namespace) -> None:
        if self.call is None or not self._works(namespace) or namespace.id in self._working:
            return
        shift = self._working[namespace.id] = _Shift()
        for work in (self._decide(namespace, shift), self._act(namespace, shift)):
            self._tasks.background(work, "batches")

    def _works(self, namespace: Namespace) -> bool:
        return self._running and namespace.writable

    async def _lasts(self, namespace: Namespace, shift: _Shift) -> bool:
        """Whether the shift goes on: a batch is open, and this region is the one to work."""
        if shift.over or await self._any_open(namespace):
            return not shift.over
        shift.over = True
        if self._working.get(namespace.id) is shift:
            del self._working[namespace.id]
            if await self._any_open(namespace):  # since it was counted
                self._begin(namespace)
        return False

    async def _next(self, namespace: Namespace, request: Message, kind: type[M]) -> M | None:
        """What a poll brings; None, after a pause, where the region refuses it: it may be passive by now."""
        try:
            return await self._ask(namespace, request, kind)
        except RegionKilled:
            raise
        except ServiceError as error:
            await self._pause(namespace, error)
            return None

    async def _pause(self, namespace: Namespace, error: ServiceError) -> None:
        log.debug("batches of %s wait: %s", namespace.name, error)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), _PAUSE)

    async def _any_open(self, namespace: Namespace) -> bool:
        if not self._works(namespace):
            return False
        return (
            await self._store.read(
                lambda connection: visibility.count_runs(connection, namespace.id, rules.OPEN_BATCHES)
            )
            > 0
        )

    def _caller(self, namespace: Namespace) -> Caller:
        assert self.call is not None, "a frontend serves the region"
        return Caller(self.call, namespace)

    async def _ask(self, namespace: Namespace, request: Message, kind: type[M]) -> M:
        return await self._caller(namespace).ask(request, kind)

    async def _tell(self, namespace: Namespace, request: Message) -> None:
        await self._caller(namespace).tell(request)

    # The workflow

    async def _decide(self, namespace: Namespace, shift: _Shift) -> None:
        """Take workflow tasks of batches until none is open."""
        request = PollWorkflowTaskQueueRequest(
            namespace=namespace.name, task_queue=rules.TASK_QUEUE, identity=IDENTITY
        )
        while await self._lasts(namespace, shift):
            task = await self._next(namespace, request, PollWorkflowTaskQueueResponse)
            if task is None or not task.task_token:
                continue
            answer = RespondWorkflowTaskCompletedRequest(
                namespace=namespace.name,
                task_token=task.task_token,
                identity=IDENTITY,
                commands=batch_workflow.decide(task.history.events),
            )
            try:
                await self._tell(namespace, answer)
            except RegionKilled:
                raise
            except ServiceError as error:  # stopped meanwhile, or the task will time out
                await self._pause(namespace, error)

    # Its activity

    async def _act(self, namespace: Namespace, shift: _Shift) -> None:
        """Take the activities of batches until none is open."""
        request = PollActivityTaskQueueRequest(
            namespace=namespace.name, task_queue=rules.TASK_QUEUE, identity=IDENTITY
        )
        while await self._lasts(namespace, shift):
            task = await self._next(namespace, request, PollActivityTaskQueueResponse)
            if task is None or not task.task_token:
                continue
            try:
                await self._attempt(namespace, task)
            except RegionKilled:
                raise
            except ServiceError as error:  # stopped meanwhile, or another attempt will follow
                await self._pause(namespace, error)

    async def _attempt(self, namespace: Namespace, task: PollActivityTaskQueueResponse) -> None:
        attempt = Attempt(self._caller(namespace), task, self._limits)
        try:
            progress = await attempt.run()
        except InvalidArgument as error:
            failure = Failure(
                message=error.message,
                application_failure_info=ApplicationFailureInfo(type="InvalidArgument", non_retryable=True),
            )
            await self._tell(
                namespace,
                RespondActivityTaskFailedRequest(
                    namespace=namespace.name,
                    task_token=task.task_token,
                    failure=failure,
                    identity=IDENTITY,
                ),
            )
            return
        await self._tell(
            namespace,
            RespondActivityTaskCompletedRequest(
                namespace=namespace.name,
                task_token=task.task_token,
                result=progress.payloads(),
                identity=IDENTITY,
            ),
        )
