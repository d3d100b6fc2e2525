"""One workflow's life in a replicated pair, step by step, and a process that ends at any one commit of it.

Each step can be done again when its answer was lost, as a client or a worker would: under the same request id, with the
same token. A lost answer to a poll is the exception in real life (the task times out and the history tells): here the
poll is repeated under its id, so that the history to expect is the same one wherever the process ended.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from temporalio.api.command.v1 import (
    Command,
    CompleteWorkflowExecutionCommandAttributes,
    ScheduleActivityTaskCommandAttributes,
    StartTimerCommandAttributes,
)
from temporalio.api.common.v1 import ActivityType
from temporalio.api.enums.v1 import CommandType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import RespondWorkflowTaskCompletedRequest

from mockcloud.core import activity, times, workflow_task
from mockcloud.core.activity_start import start_activity
from mockcloud.core.change import RunChange
from mockcloud.core.derive import derive
from mockcloud.core.derived import Offer, TaskKind
from mockcloud.core.errors import NotFound, RegionKilled
from mockcloud.core.task_start import started_task
from mockcloud.core.tokens import TaskToken
from mockcloud.store.writer import Lane
from tests.replication.golden import Events, _event
from tests.replication.regions import Pair, Region, text

T = TypeVar("T")
When = Literal["before", "after"]

WORKFLOW: Final = "w1"
ACTIVITY_AND_TIMER: Final = (
    Command(
        command_type=CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
        schedule_activity_task_command_attributes=ScheduleActivityTaskCommandAttributes(
            activity_id="a1",
            activity_type=ActivityType(name="charge"),
            task_queue=TaskQueue(name="tq"),
            start_to_close_timeout=Duration(seconds=3600),
        ),
    ),
    Command(
        command_type=CommandType.COMMAND_TYPE_START_TIMER,
        start_timer_command_attributes=StartTimerCommandAttributes(
            timer_id="t1", start_to_fire_timeout=Duration(seconds=60)
        ),
    ),
)
COMPLETE: Final = Command(
    command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
    complete_workflow_execution_command_attributes=CompleteWorkflowExecutionCommandAttributes(
        result=text("done")
    ),
)


class DyingLane:
    """The writer's lane, at whose commit number `at` the process ends: just before it, or just after it."""

    def __init__(self, lane: Lane, at: int, when: When, end: Callable[[], None]) -> None:
        self.connection = lane.connection
        self._lane = lane
        self._at = at
        self._when = when
        self._end = end
        self.commits = 0

    def disarm(self) -> None:
        """It lives on from here."""
        self._at = 0

    async def commit(self) -> None:
        self.commits += 1
        if self.commits != self._at:
            await self._lane.commit()
        elif self._when == "after":
            await self._lane.commit()
            self._end()
        else:
            self._end()
            raise sqlite3.OperationalError("the process ended before the commit")

    async def close(self) -> None:
        await self._lane.close()


class Life:
    """The life of one workflow in `pair`, in which the region `victim` ends once, at commit number `at`."""

    def __init__(self, pair: Pair, victim: str, at: int, when: When) -> None:
        self._pair = pair
        self._victim = victim
        self._died = asyncio.Event()
        self._reborn = asyncio.Event()
        self._active = "A"
        self._offers: list[Offer] = []
        store = pair.regions[victim].store

        def end() -> None:
            store.kill()  # the fence: from here on, nothing of this process reaches the disk or a caller
            self._died.set()

        self._lane = DyingLane(store._writer._lane, at, when, end)
        store._writer._lane = self._lane

    @property
    def died(self) -> bool:
        return self._died.is_set()

    @property
    def commits(self) -> int:
        return self._lane.commits

    async def live(self, *, failover: bool) -> Events:
        """Everything, to the end; the final history as it is compared."""
        operator = asyncio.create_task(self._operate())
        try:
            first = await self._steps_until_both_wait()
            if failover:
                await self._step(self._caught_up)
                await self._step(self._switch)
            await self._steps_to_the_end(first)
            self._lane.disarm()
            if self.died:
                await self._reborn.wait()
        finally:
            operator.cancel()
            await asyncio.gather(operator, return_exceptions=True)
        await self._pair.same(WORKFLOW)
        return [_event(MessageToDict(event)) for event in await self._region.events(WORKFLOW)]

    async def _operate(self) -> None:
        """Who starts the dead process again."""
        await self._died.wait()
        await self._pair.kill(self._victim)
        await self._pair.open(self._victim)
        self._reborn.set()

    @property
    def _region(self) -> Region:
        return self._pair.regions[self._active]

    async def _step(self, step: Callable[[], Awaitable[T]]) -> T:
        """Do a step; if the process ended in it, once more in its next life."""
        try:
            return await step()
        except (RegionKilled, KeyError):
            assert self.died
            await self._reborn.wait()
            return await step()

    async def _steps_until_both_wait(self) -> TaskToken:
        """The activity is with a worker, the timer runs, and a signal has come. The activity's token."""
        await self._step(lambda: self._region.start_workflow(WORKFLOW, request_id="start-1"))
        task = await self._step(lambda: self._take("poll-1"))
        await self._step(lambda: self._complete(task, *ACTIVITY_AND_TIMER))
        token = await self._step(lambda: self._take_activity("poll-2"))
        await self._step(lambda: self._region.signal(WORKFLOW, "hurry", request_id="signal-1"))
        return token

    async def _steps_to_the_end(self, token: TaskToken) -> None:
        await self._step(lambda: self._heartbeat(token))
        await self._step(lambda: self._complete_activity(token))
        self._pair.clock.advance(61 * times.SECOND)
        await self._step(lambda: self._region.fire_due(WORKFLOW))
        task = await self._step(lambda: self._take("poll-3"))
        await self._step(lambda: self._complete(task, COMPLETE))

    # The steps

    async def _take(self, request_id: str) -> TaskToken:
        def rule(change: RunChange) -> TaskToken:
            task = change.run.workflow_task
            if task is not None and task.started_time and task.request_id == request_id:
                return started_task(change.run, sticky=False).token
            (offer,) = [offer for offer in derive(change.run).offers if offer.kind is TaskKind.WORKFLOW]
            started = workflow_task.start_workflow_task(change, offer, request_id, "worker")
            assert started is not None
            return started.token

        return await self._region.changes.update(self._region.namespace, WORKFLOW, "", rule)

    async def _complete(self, token: TaskToken, *commands: Command) -> None:
        request = RespondWorkflowTaskCompletedRequest(identity="worker", commands=commands)

        def rule(change: RunChange) -> None:
            done = workflow_task.complete_workflow_task(change, token, request, change.context.ids.run_id)
            assert done.error is None

        await self._once(rule, token.run_id)

    async def _take_activity(self, request_id: str) -> TaskToken:
        def rule(change: RunChange) -> TaskToken:
            offers = [offer for offer in derive(change.run).offers if offer.kind is TaskKind.ACTIVITY]
            self._offers = offers or self._offers
            started = start_activity(change, self._offers[0], request_id, "worker")
            assert started is not None
            return started.token

        return await self._region.changes.update(self._region.namespace, WORKFLOW, "", rule)

    async def _heartbeat(self, token: TaskToken) -> None:
        await self._once(lambda change: activity.heartbeat(change, token, text("half")), token.run_id)

    async def _complete_activity(self, token: TaskToken) -> None:
        await self._once(
            lambda change: activity.complete(change, token, text("charged"), "worker"), token.run_id
        )

    async def _once(self, rule: Callable[[RunChange], object], run_id: str) -> None:
        """A completion: when it was committed before, the token is worth nothing any more."""
        try:
            await self._region.changes.update(self._region.namespace, WORKFLOW, run_id, rule)
        except NotFound:
            assert self.died

    # A failover, with nothing unreplicated

    async def _caught_up(self) -> None:
        await self._pair.arrived("A", "B")

    async def _switch(self) -> None:
        if not self._pair.b.namespace.active:
            await self._pair.b.activate("B")
        await self._pair.arrived("B", "A")
        self._active = "B"
