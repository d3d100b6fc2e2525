"""A region that stands still: its clock does, so nothing happens in it but what calls do."""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import (
    Command,
    RequestCancelActivityTaskCommandAttributes,
    StartTimerCommandAttributes,
)
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import CommandType
from temporalio.api.schedule.v1 import IntervalSpec, Schedule, ScheduleAction, ScheduleSpec
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CreateScheduleRequest,
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    PollWorkflowTaskQueueResponse,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
)

from mockcloud.api.state.v1.state_pb2 import RunRecord
from mockcloud.core import times
from mockcloud.core.cluster import Clusters
from mockcloud.core.derive import derive
from mockcloud.core.errors import ServiceError
from mockcloud.core.limits import Limits
from mockcloud.core.ports import Ports
from mockcloud.core.tokens import QueryToken
from mockcloud.engine.cache import RunCache
from mockcloud.engine.loader import Loader
from mockcloud.engine.region import Region
from mockcloud.frontend.methods import Method
from mockcloud.frontend.service import Frontend
from mockcloud.rpc.memory_transport import MemoryPeers
from mockcloud.rpc.methods import Call
from mockcloud.store.database import Store
from tests.core.makers import same_state
from tests.frontend.fuzz.messages import Pool
from tests.frontend.raw_worker import COMPLETE, complete, schedule_activity, signal, take_task
from tests.support import Site

T = TypeVar("T")

LIMITS: Final = Limits(
    blob_bytes=4_000,
    blob_bytes_warning=4_000,
    memo_bytes=4_000,
    task_poll=20 * times.MILLISECOND,
    history_long_poll=20 * times.MILLISECOND,
    query_timeout=20 * times.MILLISECOND,
)
CLUSTERS: Final = Clusters.of(("A", "B"))  # B is not there, unless `replica` makes it
SPARE: Final = "spare namespaces"  # in the pool: for methods that may make them useless
ACTIVITY_TOKENS: Final = "of activities"
WORKFLOW_TOKENS: Final = "of workflow tasks"
QUERY_TOKENS: Final = "of queries"
TOKENS: Final = (ACTIVITY_TOKENS, WORKFLOW_TOKENS, QUERY_TOKENS)
_CALL_SECONDS: Final = 10.0
_POLL_DEADLINE: Final = 3.0  # less is refused
_QUIET_TURNS: Final = 40
_LOOKED_AT: Final = 30
_KEPT: Final = 6  # of each kind of run the newest are talked about


TIMER: Final = Command(
    command_type=CommandType.COMMAND_TYPE_START_TIMER,
    start_timer_command_attributes=StartTimerCommandAttributes(
        timer_id="t", start_to_fire_timeout=Duration(seconds=60)
    ),
)


def _activity(activity_id: str, queue: TaskQueue) -> Command:
    command = schedule_activity(activity_id)
    command.schedule_activity_task_command_attributes.task_queue.CopyFrom(queue)
    return command


def keep(kept: dict[str, list[T]], name: str, value: T) -> None:
    """Add a value to those of its kind; the oldest is forgotten."""
    kept[name] = [*kept.get(name, []), value][-_KEPT:]


class StandingClock:
    """It is always the same moment, until a test moves it."""

    def __init__(self) -> None:
        self.moved = 0

    def now(self) -> int:
        return 1_750_000_000 * times.SECOND + self.moved


class Records(logging.Handler):
    """What is logged as an error, or with a traceback."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.exc_info:
            self.texts.append(logging.Formatter().format(record))


class World:
    """The region, what exists in it, and calls that are watched. Lives on an event loop of its own."""

    def __init__(self, directory: Path) -> None:
        self.pool = Pool()
        self.records = Records()
        self.clock = StandingClock()
        self._runner = asyncio.Runner(loop_factory=self._loop)
        self.peers = MemoryPeers()
        self._generation = 0
        self._spares = 0
        self.site = self.run(self._open(directory))
        logging.getLogger().addHandler(self.records)
        self._watcher = sqlite3.connect(f"{(directory / 'A.sqlite').as_uri()}?mode=ro", uri=True)
        for namespace in ("default", "other"):
            self.run(self.site.register(namespace))
        self.run(self.spare_namespace())

    def _loop(self) -> asyncio.AbstractEventLoop:
        """A loop whose time jumps with the clock, so that what waits for a moment wakes up."""
        loop = asyncio.new_event_loop()
        real = loop.time
        loop.time = lambda: real() + self.clock.moved / times.SECOND  # type: ignore[method-assign]
        return loop

    async def advance(self, nanoseconds: int) -> None:
        """Let time pass, and what comes with it."""
        self.clock.moved += nanoseconds
        await self.quiet()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(coroutine)

    def close(self) -> None:
        logging.getLogger().removeHandler(self.records)
        self._watcher.close()
        self.run(self.site.region.close())
        self._runner.close()

    async def _open(self, directory: Path) -> Site:
        store = await Store.open(directory / "A.sqlite", durable=False)
        ports = Ports(clock=self.clock, rng=random.Random(0))
        region = await Region.open("A", CLUSTERS, store, ports, LIMITS)
        frontend = Frontend(region, self.peers.transport())
        await region.start()
        return Site(region, frontend)

    # What exists

    async def replenish(self) -> None:
        """One more of each kind of run, with the tokens of what its workers have in hand.

        Each time on a task queue of its own, because calls may have set the rate of another to nothing.
        """
        self._generation += 1
        number, pool = self._generation, self.pool
        queue = TaskQueue(name=f"q-{number}")
        keep(pool.texts, "TaskQueue.name", queue.name)
        pool.texts["task_queue"] = pool.texts["TaskQueue.name"]
        pool.runs = {name: pool.runs[name] for name in list(pool.runs)[-4 * _KEPT :]}
        pool.texts["activity_id"], pool.texts["timer_id"] = ["a1", "a2", "a3"], ["t", "t2"]

        await self._begin("closed", queue)
        await complete(self.site, await self._task(queue), COMPLETE)
        await self._begin("activities", queue)
        pool.with_activities = [*pool.with_activities, f"activities-{number}"][-_KEPT:]
        commands = (TIMER, _activity("a1", queue), _activity("a2", queue))
        await complete(self.site, await self._task(queue), *commands)
        keep(pool.tokens, ACTIVITY_TOKENS, await self._activity(queue))
        await self._begin("cancelling", queue)
        await complete(self.site, await self._task(queue), _activity("a1", queue))
        activity = await self._activity(queue)
        run = WorkflowExecution(workflow_id=f"cancelling-{number}")
        await signal(self.site, run)
        cancel = RequestCancelActivityTaskCommandAttributes(scheduled_event_id=5)
        await complete(
            self.site,
            await self._task(queue),
            Command(
                command_type=CommandType.COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK,
                request_cancel_activity_task_command_attributes=cancel,
            ),
        )
        keep(pool.tokens, ACTIVITY_TOKENS, activity)
        pool.with_activities = [*pool.with_activities, run.workflow_id][-_KEPT:]
        await self._schedule(f"sched-{number}")
        await self._begin("task", queue)
        keep(pool.tokens, WORKFLOW_TOKENS, (await self._task(queue)).task_token)
        await self._begin("open", queue)
        namespace_id = self.site.region.namespaces.by_name("default").id
        pool.tokens[QUERY_TOKENS] = [QueryToken(namespace_id, queue.name, "query").dump()]
        pool.tokens["task_token"] = [each for kind in TOKENS for each in pool.tokens[kind]]

    async def spare_namespace(self) -> None:
        """One more namespace that calls may make useless."""
        self._spares += 1
        name = f"spare-{self._spares}"
        await self.site.register(name)
        keep(self.pool.texts, SPARE, name)

    async def _begin(self, kind: str, queue: TaskQueue) -> None:
        request = StartWorkflowExecutionRequest(
            namespace="default",
            workflow_id=f"{kind}-{self._generation}",
            workflow_type=WorkflowType(name="T"),
            task_queue=queue,
            request_id=f"{kind}-{self._generation}",
        )
        run_id = (await self.site.ask(request, StartWorkflowExecutionResponse)).run_id
        keep(self.pool.texts, "workflow_id", request.workflow_id)
        keep(self.pool.texts, "run_id", run_id)
        self.pool.runs[request.workflow_id] = run_id

    async def _activity(self, queue: TaskQueue) -> bytes:
        request = PollActivityTaskQueueRequest(namespace="default", task_queue=queue, identity="worker")
        activity = await self.site.ask(request, PollActivityTaskQueueResponse)
        assert activity.task_token, "there is an activity"
        return activity.task_token

    async def _schedule(self, schedule_id: str) -> None:
        action = NewWorkflowExecutionInfo(
            workflow_id=schedule_id, workflow_type=WorkflowType(name="T"), task_queue=TaskQueue(name="q")
        )
        schedule = Schedule(
            spec=ScheduleSpec(interval=[IntervalSpec(interval=Duration(seconds=3600))]),
            action=ScheduleAction(start_workflow=action),
        )
        request = CreateScheduleRequest(
            namespace="default", schedule_id=schedule_id, schedule=schedule, request_id=schedule_id
        )
        await self.site.call(request)
        keep(self.pool.texts, "schedule_id", schedule_id)

    async def _task(self, queue: TaskQueue) -> PollWorkflowTaskQueueResponse:
        task = await take_task(self.site, queue)
        assert task.task_token, "there is a workflow task"
        return task

    # Calls

    async def call(self, method: Method, request: bytes) -> ServiceError | None:
        """Make a call; the error that it was answered with."""
        timeout = _POLL_DEADLINE if method.name.startswith("Poll") else None
        service = method.full_name.split("/")[1]
        call = Call(service, method.name, method.full_name, request, {}, timeout)
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                response = await self.site.frontend.dispatch(call)
        except ServiceError as error:
            return error
        method.response_type.FromString(response)
        return None

    def version(self) -> int:
        """Another number after each commit."""
        (number,) = self._watcher.execute("PRAGMA data_version").fetchone()
        return int(number)

    async def quiet(self) -> None:
        """Return when what the last call brought about has ended."""
        turns, before = 0, self.version()
        while turns < _QUIET_TURNS:
            await asyncio.sleep(0)
            now = self.version()
            turns, before = (turns + 1 if now == before else 0), now

    async def spoilt(self) -> list[str]:
        """Runs that are not in memory as they are stored, of those last used: each with the fields that differ."""
        cache = self.site.region.changes._cache
        fresh = Loader(self.site.region.store, RunCache())
        wrong = []
        for key, kept in list(cache._entries.items())[-_LOOKED_AT:]:
            stored = await fresh.entry(key)
            if stored is None:
                wrong.append(f"{key} is not stored")
                continue
            different = same_state(kept.run, stored.run)
            if kept.run.speculative_task is not None:  # in memory only; the rest of the record is stored
                parts = (RunRecord.FromString(run.dump()) for run in (kept.run, stored.run))
                if next(parts) == next(parts):
                    different.remove("record")
            if kept.derived != derive(stored.run):
                different.append("derived")
            if different:
                wrong.append(f"{key}: {different}")
        return wrong
