"""One attempt of a batch's activity: it goes through the runs, and does to each what the batch says.

Real: service/worker/batcher/activities.go.
"""

from __future__ import annotations

import asyncio
import logging
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from google.protobuf.message import Message
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    CountWorkflowExecutionsResponse,
    ListWorkflowExecutionsRequest,
    ListWorkflowExecutionsResponse,
    PollActivityTaskQueueResponse,
    RecordActivityTaskHeartbeatRequest,
    ResetWorkflowExecutionRequest,
)

from mockcloud.core import batch as rules
from mockcloud.core.batch import Progress
from mockcloud.core.errors import (
    FailedPrecondition,
    InvalidArgument,
    NamespaceHandover,
    NamespaceNotActive,
    NotFound,
    RegionKilled,
    ServiceError,
    Unimplemented,
)
from mockcloud.core.limits import Limits
from mockcloud.engine.batch_caller import IDENTITY, Caller
from mockcloud.engine.batch_resets import reset_point

log = logging.getLogger(__name__)

_PAGE: Final = 100
_TRIES: Final = 50  # of one run (defaultAttemptsOnRetryableError)
_PAUSE: Final = 0.1  # seconds between two tries
_HEARTBEAT: Final = 0.5  # seconds between two of them
_GONE: Final = (NamespaceNotActive, NamespaceHandover)
_FINAL: Final = (InvalidArgument, FailedPrecondition, Unimplemented)  # trying again changes nothing


class Attempt:
    """One attempt of a batch's activity."""

    def __init__(self, caller: Caller, task: PollActivityTaskQueueResponse, limits: Limits) -> None:
        self._caller = caller
        self._task = task
        self._batch = rules.batch_of(task.input)
        self._progress = Progress()
        self._told = 0.0
        self._rate = limits.batched_runs_per_second
        self._allowed = float(self._rate)
        self._refilled = asyncio.get_running_loop().time()

    async def run(self) -> Progress:
        """Go through the runs from where the last heartbeat was. Raises NotFound when the batch was stopped."""
        before = Progress.of(self._task.heartbeat_details)
        if before is None:
            self._progress = Progress(TotalEstimate=await self._estimate())
            await self._heartbeat()
        else:
            self._progress = before
        if self._batch.visibility_query:
            await self._go_through_pages()
        else:
            await self._go_through(self._batch.executions[self._progress.Position :])
        return self._progress

    async def _estimate(self) -> int:
        query = self._batch.visibility_query
        if not query:
            return len(self._batch.executions)
        request = CountWorkflowExecutionsRequest(namespace=self._caller.namespace, query=query)
        return (await self._caller.ask(request, CountWorkflowExecutionsResponse)).count

    async def _go_through_pages(self) -> None:
        while True:
            request = ListWorkflowExecutionsRequest(
                namespace=self._caller.namespace,
                page_size=_PAGE,
                query=self._batch.visibility_query,
                next_page_token=b64decode(self._progress.PageToken),
            )
            page = await self._caller.ask(request, ListWorkflowExecutionsResponse)
            # From its beginning in any case: what was done to runs may have taken them from the page.
            await self._go_through([info.execution for info in page.executions])
            if not page.next_page_token:
                return
            self._progress = replace(
                self._progress,
                PageToken=b64encode(page.next_page_token).decode(),
                CurrentPage=self._progress.CurrentPage + 1,
                Position=0,
            )
            await self._heartbeat()

    async def _go_through(self, runs: Sequence[WorkflowExecution]) -> None:
        for run in runs:
            await self._wait_for_leave()
            done = await self._do(run)
            self._progress = replace(
                self._progress,
                Position=self._progress.Position + 1,
                SuccessCount=self._progress.SuccessCount + done,
                ErrorCount=self._progress.ErrorCount + (not done),
            )
            await self._heartbeat_if_due()

    async def _wait_for_leave(self) -> None:
        """So many runs in a second, and no more."""
        now = asyncio.get_running_loop().time()
        self._allowed = min(float(self._rate), self._allowed + (now - self._refilled) * self._rate)
        self._refilled = now
        if self._allowed < 1:
            await asyncio.sleep((1 - self._allowed) / self._rate)
        self._allowed -= 1

    async def _do(self, run: WorkflowExecution) -> bool:
        """Whether it was done; a run that is gone counts as done."""
        for _ in range(_TRIES):
            try:
                await self._caller.tell(await self._request(run))
            except NotFound:
                return True
            except (*_GONE, RegionKilled):
                raise
            except _FINAL as error:
                log.debug("a batch failed for %s: %s", run.workflow_id, error)
                return False
            except ServiceError as error:
                log.debug("a batch tries %s again: %s", run.workflow_id, error)
            else:
                return True
            await asyncio.sleep(_PAUSE)
            await self._heartbeat_if_due()
        return False

    async def _request(self, run: WorkflowExecution) -> Message:
        job = self._task.workflow_execution
        request_id = f"{job.run_id}:{run.workflow_id}:{run.run_id}"
        if self._batch.WhichOneof("operation") != "reset_operation":
            return rules.item_request(self._batch, run, request_id)
        operation = self._batch.reset_operation
        options = operation.options if operation.HasField("options") else None
        request = ResetWorkflowExecutionRequest(
            namespace=self._caller.namespace,
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
        request.workflow_task_finish_event_id = await reset_point(
            self._caller, request.workflow_execution, operation
        )
        return request

    async def _heartbeat_if_due(self) -> None:
        if asyncio.get_running_loop().time() - self._told > _HEARTBEAT:
            await self._heartbeat()

    async def _heartbeat(self) -> None:
        """Tell how far it is. Raises NotFound when the batch was stopped or another attempt has begun."""
        self._told = asyncio.get_running_loop().time()
        await self._caller.tell(
            RecordActivityTaskHeartbeatRequest(
                namespace=self._caller.namespace,
                task_token=self._task.task_token,
                details=self._progress.payloads(),
                identity=IDENTITY,
            )
        )
