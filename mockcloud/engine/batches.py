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
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, TypeVar, cast

from google.protobuf.message import Message
from temporalio.api.command.v1 import (
    Command,
    CompleteWorkflowExecutionCommandAttributes,
    FailWorkflowExecutionCommandAttributes,
    ModifyWorkflowPropertiesCommandAttributes,
    ScheduleActivityTaskCommandAttributes,
)
from temporalio.api.common.v1 import ResetOptions, RetryPolicy, WorkflowExecution
from temporalio.api.enums.v1 import CommandType, EventType, ResetType
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    CountWorkflowExecutionsResponse,
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    GetWorkflowExecutionHistoryReverseRequest,
    GetWorkflowExecutionHistoryReverseResponse,
    ListWorkflowExecutionsRequest,
    ListWorkflowExecutionsResponse,
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RecordActivityTaskHeartbeatRequest,
    ResetWorkflowExecutionRequest,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskFailedRequest,
    RespondWorkflowTaskCompletedRequest,
    StartBatchOperationRequest,
)

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import batch as rules
from mockcloud.core import times
from mockcloud.core.batch import Progress
from mockcloud.core.errors import (
    FailedPrecondition,
    InvalidArgument,
    NamespaceHandover,
    NamespaceNotActive,
    NotFound,
    RegionKilled,
    ServiceError,
)
from mockcloud.core.limits import Limits
from mockcloud.engine.changes import Changes
from mockcloud.engine.commit import Committed
from mockcloud.engine.namespaces import Namespace, NamespaceRegistry
from mockcloud.engine.tasks import Tasks

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Message)

Call = Callable[[Namespace, Message], Awaitable[Message]]
"""A call to the region's own frontend, about a namespace; raises its ServiceError."""

_IDENTITY: Final = "temporal-sys-batcher"
_PAGE: Final = 100
_TRIES: Final = 50  # of one run (defaultAttemptsOnRetryableError)
_PAUSE: Final = 0.1  # seconds between two tries
_HEARTBEAT: Final = 0.5  # seconds between two of them
# So long a lost attempt is not missed, and so long its successor waits. The real server takes 10 s for each.
_HEARTBEAT_TIMEOUT: Final = times.duration(2 * times.SECOND)
_RETRY: Final = RetryPolicy(
    initial_interval=times.duration(times.SECOND // 2),
    backoff_coefficient=1.7,
    maximum_interval=times.duration(5 * times.MINUTE),
)
_FOR_EVER: Final = times.duration(20 * 365 * times.DAY)
_GONE: Final = (NamespaceNotActive, NamespaceHandover)
_FINAL: Final = (InvalidArgument, FailedPrecondition)  # trying again changes nothing

_CommandType: Final = CommandType
_EventType: Final = EventType


class _Shift:
    """One time of work in a namespace; a poll may outlast it, and what that brings is done."""

    over = False


class Batches:
    """The batch workers of a region."""

    def __init__(self, changes: Changes, namespaces: NamespaceRegistry, limits: Limits, tasks: Tasks) -> None:
        self._namespaces = namespaces
        self._limits = limits
        self._tasks = tasks
        self._working: dict[str, _Shift] = {}  # by namespace id
        self._running = False
        self._stopped = asyncio.Event()
        self.call: Call | None = None  # given by the frontend
        changes.listeners.append(self._committed)
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

    def _committed(self, namespace: Namespace, committed: Committed) -> None:
        run = committed.run
        if committed.created and run.open and run.start.workflow_type.name == rules.WORKFLOW_TYPE:
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
        request = CountWorkflowExecutionsRequest(namespace=namespace.name, query=rules.OPEN_BATCHES)
        return (await self._ask(namespace, request, CountWorkflowExecutionsResponse)).count > 0

    async def _ask(self, namespace: Namespace, request: Message, kind: type[M]) -> M:
        assert self.call is not None, "a frontend serves the region"
        return cast("M", await self.call(namespace, request))

    async def _tell(self, namespace: Namespace, request: Message) -> None:
        await self._ask(namespace, request, Message)

    # The workflow

    async def _decide(self, namespace: Namespace, shift: _Shift) -> None:
        """Take workflow tasks of batches until none is open."""
        request = PollWorkflowTaskQueueRequest(
            namespace=namespace.name, task_queue=rules.TASK_QUEUE, identity=_IDENTITY
        )
        while await self._lasts(namespace, shift):
            task = await self._next(namespace, request, PollWorkflowTaskQueueResponse)
            if task is None or not task.task_token:
                continue
            answer = RespondWorkflowTaskCompletedRequest(
                namespace=namespace.name,
                task_token=task.task_token,
                identity=_IDENTITY,
                commands=_decided(task.history.events),
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
            namespace=namespace.name, task_queue=rules.TASK_QUEUE, identity=_IDENTITY
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
        batch = rules.batch_of(task.input)
        attempt = _Attempt(self, namespace, task, batch)
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
                    identity=_IDENTITY,
                ),
            )
            return
        await self._tell(
            namespace,
            RespondActivityTaskCompletedRequest(
                namespace=namespace.name,
                task_token=task.task_token,
                result=progress.payloads(),
                identity=_IDENTITY,
            ),
        )


class _Attempt:
    """One attempt of a batch's activity."""

    def __init__(
        self,
        worker: Batches,
        namespace: Namespace,
        task: PollActivityTaskQueueResponse,
        batch: StartBatchOperationRequest,
    ) -> None:
        self._worker = worker
        self._namespace = namespace
        self._task = task
        self._batch = batch
        self._told = 0.0
        self._allowed = float(worker._limits.batched_runs_per_second)  # noqa: SLF001 its own worker
        self._refilled = asyncio.get_running_loop().time()

    async def run(self) -> Progress:
        """Go through the runs from where the last heartbeat was. Raises NotFound when the batch was stopped."""
        batch = self._batch
        progress = Progress.of(self._task.heartbeat_details)
        if progress is None:
            progress = Progress(TotalEstimate=await self._estimate())
            await self._heartbeat(progress)
        if not batch.visibility_query:
            return await self._page(list(batch.executions), progress)
        while True:
            request = ListWorkflowExecutionsRequest(
                namespace=batch.namespace,
                page_size=_PAGE,
                query=batch.visibility_query,
                next_page_token=b64decode(progress.PageToken),
            )
            page = await self._ask(request, ListWorkflowExecutionsResponse)
            progress = await self._page([info.execution for info in page.executions], progress)
            if not page.next_page_token:
                return progress
            progress = replace(
                progress,
                PageToken=b64encode(page.next_page_token).decode(),
                CurrentPage=progress.CurrentPage + 1,
                Position=0,
            )
            await self._heartbeat(progress)

    async def _estimate(self) -> int:
        batch = self._batch
        if not batch.visibility_query:
            return len(batch.executions)
        request = CountWorkflowExecutionsRequest(namespace=batch.namespace, query=batch.visibility_query)
        return (await self._ask(request, CountWorkflowExecutionsResponse)).count

    async def _page(self, page: Sequence[WorkflowExecution], progress: Progress) -> Progress:
        # What a query finds may leave its page by what is done to it, executions that were named do not.
        named = not self._batch.visibility_query
        for run in page[progress.Position if named else 0 :]:
            await self._wait_for_leave()
            done = await self._do(run)
            progress = replace(
                progress,
                Position=progress.Position + 1,
                SuccessCount=progress.SuccessCount + done,
                ErrorCount=progress.ErrorCount + (not done),
            )
            if asyncio.get_running_loop().time() - self._told > _HEARTBEAT:
                await self._heartbeat(progress)
        return progress

    async def _wait_for_leave(self) -> None:
        """So many runs in a second, and no more. Heartbeats go on meanwhile by their number."""
        rate = self._worker._limits.batched_runs_per_second  # noqa: SLF001 its own worker
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._allowed = min(float(rate), self._allowed + (now - self._refilled) * rate)
        self._refilled = now
        if self._allowed < 1:
            await asyncio.sleep((1 - self._allowed) / rate)
        self._allowed -= 1

    async def _do(self, run: WorkflowExecution) -> bool:
        """Whether it was done; a run that is gone counts as done."""
        for _ in range(_TRIES):
            try:
                await self._worker._tell(self._namespace, await self._request(run))  # noqa: SLF001
            except NotFound:
                return True
            except _GONE:
                raise
            except _FINAL as error:
                log.debug("a batch failed for %s: %s", run.workflow_id, error)
                return False
            except RegionKilled:
                raise
            except ServiceError as error:
                log.debug("a batch tries %s again: %s", run.workflow_id, error)
                await asyncio.sleep(_PAUSE)
            else:
                return True
        return False

    async def _request(self, run: WorkflowExecution) -> Message:
        job = self._task.workflow_execution
        request_id = f"{job.run_id}:{run.workflow_id}:{run.run_id}"
        if self._batch.WhichOneof("operation") != "reset_operation":
            return rules.item_request(self._batch, run, request_id)
        operation = self._batch.reset_operation
        options = operation.options if operation.HasField("options") else None
        request = ResetWorkflowExecutionRequest(
            namespace=self._batch.namespace,
            workflow_execution=run,
            reason=self._batch.reason,
            request_id=request_id,
            reset_reapply_type=operation.reset_reapply_type
            if options is None
            else options.reset_reapply_type,
            reset_reapply_exclude_types=() if options is None else options.reset_reapply_exclude_types,
            post_reset_operations=operation.post_reset_operations,
            identity=operation.identity,
        )
        request.workflow_task_finish_event_id = await self._reset_point(request.workflow_execution, options)
        return request

    async def _reset_point(self, run: WorkflowExecution, options: ResetOptions | None) -> int:
        """The event to reset `run` to; it may become an earlier run. Real: getResetEventIDByOptions."""
        target = None if options is None else options.WhichOneof("target")
        if options is not None and target == "workflow_task_id":
            return options.workflow_task_id
        if options is not None and target == "build_id":
            return await self._point_of_build(run, options)
        first = target == "first_workflow_task" or (
            options is None
            and self._batch.reset_operation.reset_type == ResetType.RESET_TYPE_FIRST_WORKFLOW_TASK
        )
        return await (self._first_task(run) if first else self._last_task(run))

    async def _first_task(self, run: WorkflowExecution) -> int:
        found, token = 0, b""
        while True:
            request = GetWorkflowExecutionHistoryRequest(
                namespace=self._batch.namespace, execution=run, next_page_token=token
            )
            answer = await self._ask(request, GetWorkflowExecutionHistoryResponse)
            for event in answer.history.events:
                if event.event_type == _EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                    return event.event_id
                if event.event_type == _EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED and not found:
                    found = event.event_id + 1
            token = answer.next_page_token
            if not token:
                return _required(found)

    async def _last_task(self, run: WorkflowExecution) -> int:
        found, token = 0, b""
        while True:
            request = GetWorkflowExecutionHistoryReverseRequest(
                namespace=self._batch.namespace, execution=run, next_page_token=token
            )
            answer = await self._ask(request, GetWorkflowExecutionHistoryReverseResponse)
            for event in answer.history.events:
                if event.event_type == _EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                    return event.event_id
                if event.event_type == _EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED:
                    found = event.event_id + 1
            token = answer.next_page_token
            if not token:
                return _required(found)

    async def _point_of_build(self, run: WorkflowExecution, options: ResetOptions) -> int:
        request = DescribeWorkflowExecutionRequest(namespace=self._batch.namespace, execution=run)
        answer = await self._ask(request, DescribeWorkflowExecutionResponse)
        for point in answer.workflow_execution_info.auto_reset_points.points:
            if point.build_id == options.build_id:
                if not point.resettable:
                    raise InvalidArgument(f"Reset point for {options.build_id} is not resettable")
                if run.run_id != point.run_id and options.current_run_only:
                    raise InvalidArgument(
                        f"Reset point for {options.build_id} points to previous run and CurrentRunOnly is set"
                    )
                run.run_id = point.run_id
                return point.first_workflow_task_completed_id
        raise InvalidArgument(f"Can't find reset point for {options.build_id}")

    async def _heartbeat(self, progress: Progress) -> None:
        """Tell how far it is. Raises NotFound when the batch was stopped or another attempt has begun."""
        self._told = asyncio.get_running_loop().time()
        await self._worker._tell(  # noqa: SLF001 its own worker
            self._namespace,
            RecordActivityTaskHeartbeatRequest(
                namespace=self._batch.namespace,
                task_token=self._task.task_token,
                details=progress.payloads(),
                identity=_IDENTITY,
            ),
        )

    async def _ask(self, request: Message, kind: type[M]) -> M:
        return await self._worker._ask(self._namespace, request, kind)  # noqa: SLF001 its own worker


def _decided(events: Sequence[HistoryEvent]) -> list[Command]:
    """What the batch's workflow does next: start its activity, or end as that ended."""
    for event in reversed(events):
        match event.WhichOneof("attributes"):
            case "activity_task_completed_event_attributes":
                result = event.activity_task_completed_event_attributes.result
                progress = Progress.of(result) or Progress()
                return [
                    Command(
                        command_type=_CommandType.COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES,
                        modify_workflow_properties_command_attributes=(
                            ModifyWorkflowPropertiesCommandAttributes(
                                upserted_memo=rules.stats_memo(progress)
                            )
                        ),
                    ),
                    Command(
                        command_type=_CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
                        complete_workflow_execution_command_attributes=(
                            CompleteWorkflowExecutionCommandAttributes(result=result)
                        ),
                    ),
                ]
            case "activity_task_failed_event_attributes":
                return [_failed(event.activity_task_failed_event_attributes.failure)]
            case "activity_task_timed_out_event_attributes":
                return [_failed(event.activity_task_timed_out_event_attributes.failure)]
            case "activity_task_scheduled_event_attributes":
                return []  # it is under way
    started = events[0].workflow_execution_started_event_attributes
    return [
        Command(
            command_type=_CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
            schedule_activity_task_command_attributes=ScheduleActivityTaskCommandAttributes(
                activity_id="5",
                activity_type=rules.ACTIVITY_TYPE,
                task_queue=rules.TASK_QUEUE,
                input=started.input,
                schedule_to_start_timeout=times.duration(5 * times.MINUTE),
                start_to_close_timeout=_FOR_EVER,
                heartbeat_timeout=_HEARTBEAT_TIMEOUT,
                retry_policy=_RETRY,
            ),
        )
    ]


def _failed(failure: Failure) -> Command:
    return Command(
        command_type=_CommandType.COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION,
        fail_workflow_execution_command_attributes=FailWorkflowExecutionCommandAttributes(failure=failure),
    )


def _required(event_id: int) -> int:
    if not event_id:
        raise InvalidArgument("unable to find any scheduled or completed task")
    return event_id
