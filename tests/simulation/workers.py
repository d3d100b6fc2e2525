"""Model workers of a simulated region: they poll, take their time, forget, fail, heartbeat and answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RecordActivityTaskHeartbeatRequest,
    RecordActivityTaskHeartbeatResponse,
    RespondActivityTaskCanceledRequest,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskFailedRequest,
)

from mockcloud.core.errors import MockcloudError
from tests.simulation import model
from tests.support import Site

QUEUE = TaskQueue(name=model.QUEUE, kind=TaskQueueKind.TASK_QUEUE_KIND_NORMAL)


class Workers:
    """Those of one namespace in one life of one region. What is wrong with the model goes to `problems`."""

    def __init__(self, site: Site, namespace: str, rng: random.Random, problems: list[str]) -> None:
        self._site = site
        self._namespace = namespace
        self._rng = rng
        self._problems = problems

    def begin(self) -> list[asyncio.Task[None]]:
        """Two for workflows, one for activities; they end when they are cancelled."""
        loop = asyncio.get_running_loop()
        return [
            loop.create_task(self._for_ever(work))
            for work in (self._workflow_task, self._workflow_task, self._activity_task)
        ]

    async def _for_ever(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except MockcloudError:
                await asyncio.sleep(0.1)
            except Exception as error:
                self._problems.append(f"{type(error).__name__}: {error}")
                raise

    async def _workflow_task(self) -> None:
        request = PollWorkflowTaskQueueRequest(namespace=self._namespace, task_queue=QUEUE, identity="model")
        task = await self._site.ask(request, PollWorkflowTaskQueueResponse, timeout=30.0)
        if not task.task_token:
            return
        history = await self._whole(task)
        answer = model.decide(task, history)
        await asyncio.sleep(self._rng.choice([0.0, 0.01, 0.3]))
        if self._rng.random() < 0.02:
            return  # it forgets about the task
        answer.namespace = self._namespace
        await self._site.call(answer)

    async def _activity_task(self) -> None:
        request = PollActivityTaskQueueRequest(namespace=self._namespace, task_queue=QUEUE, identity="model")
        task = await self._site.ask(request, PollActivityTaskQueueResponse, timeout=30.0)
        if not task.task_token:
            return
        for _ in range(self._rng.randint(0, 3) if task.activity_type.name == model.BEATING else 0):
            await asyncio.sleep(self._rng.choice([0.1, 0.4, 0.8]))
            beat = RecordActivityTaskHeartbeatRequest(namespace=self._namespace, task_token=task.task_token)
            beat.details.CopyFrom(model.text("beat"))
            told = await self._site.ask(beat, RecordActivityTaskHeartbeatResponse)
            if told.cancel_requested:
                canceled = RespondActivityTaskCanceledRequest(
                    namespace=self._namespace, task_token=task.task_token
                )
                await self._site.call(canceled)
                return
        await asyncio.sleep(self._rng.choice([0.0, 0.05, 0.5]))
        chance = self._rng.random()
        if chance < 0.1:
            return  # it forgets about the task
        if chance < 0.3:
            failed = RespondActivityTaskFailedRequest(namespace=self._namespace, task_token=task.task_token)
            failed.failure.message = "no"
            failed.failure.application_failure_info.type = "No"
            await self._site.call(failed)
            return
        await self._site.call(
            RespondActivityTaskCompletedRequest(namespace=self._namespace, task_token=task.task_token)
        )

    async def _whole(self, task: PollWorkflowTaskQueueResponse) -> list[HistoryEvent]:
        """All events of a task's run: a page may be missing."""
        events = list(task.history.events)
        token = task.next_page_token
        while token:
            request = GetWorkflowExecutionHistoryRequest(
                namespace=self._namespace, execution=task.workflow_execution, next_page_token=token
            )
            page = await self._site.ask(request, GetWorkflowExecutionHistoryResponse)
            events += page.history.events
            token = page.next_page_token
        return events
