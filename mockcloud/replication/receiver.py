"""One direction of one namespace, seen from the region that applies.

Take messages in order, apply, acknowledge.

    received   everything up to here is in memory or applied; one that starts beyond is refused (resend)
    applied    everything up to here is durable: the watermark that is stored and answered

What has arrived while the last tasks were applied is applied together: behind a backlog that is many tasks of
each run, and they share the run's load and its write. Those of a workflow id that needs more care (it is busy,
something is missing, it fails) go to a lane of its own, where they are applied in their order, and so do later
ones while that lane lasts: no workflow id holds up another. A namespace record waits for everything before it
and holds up everything after it: it changes who is active. What its sender sends ahead of a backlog is applied
beside all that, if nothing before it is missing; it comes again in its turn.

A crash between applying and storing the watermark makes the peer send again; applying is idempotent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from mockcloud.api.replication.v1.replication_pb2 import FromReceiver, FromSender, ReplicationTask
from mockcloud.core.errors import ServiceError
from mockcloud.replication.settings import Settings
from mockcloud.rpc.transport import Stream
from mockcloud.store import positions
from mockcloud.store.database import Store

# Kinds of tasks that belong to no workflow id: each is applied by itself, after what came before it.
OF_NAMESPACE = frozenset({"namespace_record", "task_queue"})

# More tasks than these take a while: that they have arrived is told before they are applied.
_LONG = 32

# So many tasks may wait to be applied ahead of their turn.
_MOST_AHEAD = 1_024


class Applier(Protocol):
    """What applies tasks. It deals with failures itself: retries, dead letters, parking."""

    async def apply_together(
        self, namespace_id: str, source: str, tasks: Mapping[str, list[ReplicationTask]], position: int | None
    ) -> set[str]:
        """Apply tasks by workflow id in one transaction; the workflow ids whose tasks need `apply_tasks`.

        If none does, `position` (unless it is None) is durable as applied when this returns.
        """
        ...

    async def apply_ahead(
        self, namespace_id: str, source: str, tasks: Mapping[str, list[ReplicationTask]]
    ) -> set[str]:
        """Apply tasks by workflow id ahead of their turn; the workflow ids that miss something before them."""
        ...

    async def apply_tasks(
        self, namespace_id: str, source: str, workflow_id: str, tasks: list[ReplicationTask]
    ) -> None:
        """Apply tasks of one workflow id, in their order."""
        ...

    async def apply_record(self, namespace_id: str, source: str, task: ReplicationTask) -> None:
        """Take in what a peer says of the namespace as a whole: a task of OF_NAMESPACE."""
        ...


@dataclass(slots=True)
class _Message:
    """A slice of the peer's log that is being applied."""

    position: int
    unfinished: int


class _Arrived(NamedTuple):
    """A task, and the slice that it is of."""

    workflow_id: str
    task: ReplicationTask
    slice: _Message


def workflow_of(task: ReplicationTask) -> str:
    """The workflow id whose lane a task belongs to; empty: none."""
    kind = task.WhichOneof("task")
    if kind is None or kind in OF_NAMESPACE:
        return ""
    return str(getattr(task, kind).workflow_id)


def run_of(task: ReplicationTask) -> tuple[str, str]:
    """(workflow id, run id) that a task belongs to; empty for those of the namespace."""
    kind = task.WhichOneof("task")
    if not workflow_of(task) or kind is None:
        return "", ""
    part = getattr(task, kind)
    return str(part.workflow_id), str(part.run_id)


class Receiver:
    """Applies one peer's log of one namespace. One stream at a time: a new one replaces the old one."""

    def __init__(
        self, namespace_id: str, source: str, *, store: Store, applier: Applier, settings: Settings
    ) -> None:
        self._namespace_id = namespace_id
        self._source = source
        self._store = store
        self._applier = applier
        self._settings = settings
        self._serving: asyncio.Task[None] | None = None

    async def serve(self, stream: Stream) -> None:
        """Apply what comes over `stream` until it ends or another stream replaces it."""
        older, self._serving = self._serving, asyncio.current_task()
        if older is not None and not older.done():
            older.cancel()
            await asyncio.wait([older])
        session = _Session(
            self._namespace_id, self._source, stream, self._store, self._applier, self._settings
        )
        await session.run()


class _Session:
    def __init__(
        self,
        namespace_id: str,
        source: str,
        stream: Stream,
        store: Store,
        applier: Applier,
        settings: Settings,
    ) -> None:
        self._namespace_id = namespace_id
        self._source = source
        self._stream = stream
        self._store = store
        self._applier = applier
        self._settings = settings
        self._received = 0
        self._applied = 0  # durable
        self._watermark = 0  # finished, not necessarily durable
        self._refused = -1  # `received` at the last refusal: one is enough for one gap
        self._want: int | None = None  # a refusal to be told
        self._answer = asyncio.Event()
        self._paused = False
        self._messages: deque[_Message] = deque()
        self._unfinished = 0
        self._finished = asyncio.Event()  # nothing is unfinished
        self._finished.set()
        self._arrived: deque[_Arrived] = deque()  # not taken on yet
        self._arrival = asyncio.Event()
        self._outstanding: dict[str, set[int]] = {}  # positions of what is to be applied, by workflow id
        self._ahead: dict[str, list[ReplicationTask]] = {}  # to be applied ahead of their turn
        self._not_yet: dict[str, list[ReplicationTask]] = {}  # of those, what missed something
        self._done_ahead: set[int] = set()  # positions
        self._ahead_arrival = asyncio.Event()
        self._lanes: dict[str, deque[_Arrived]] = {}
        self._drained = asyncio.Event()
        self._drained.set()
        self._group = asyncio.TaskGroup()

    async def run(self) -> None:
        self._applied = self._received = self._watermark = await self._store.read(
            lambda connection: positions.applied(connection, self._namespace_id, self._source)
        )
        self._answer.set()  # the peer learns at once from where it is wanted
        try:
            async with self._group as group:
                others = [
                    group.create_task(work)
                    for work in (self._answers(), self._apply_arrived(), self._apply_ahead())
                ]
                try:
                    while (raw := await self._stream.receive()) is not None:
                        self._take(FromSender.FromString(raw))
                    await self._finished.wait()
                finally:
                    for other in others:
                        other.cancel()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    def _take(self, message: FromSender) -> None:
        if message.ahead:
            self._take_ahead(message.ahead)
            return
        if message.previous_position > self._received:
            if self._refused != self._received:
                self._refused = self._received
                self._want = self._received
                self._answer.set()
            return
        if message.position <= self._received:
            self._answer.set()  # it did not know
            return
        tasks = [task for task in message.tasks if task.position > self._received]
        self._received = message.position
        slice_ = _Message(message.position, len(tasks))
        self._messages.append(slice_)
        self._unfinished += len(tasks)
        if tasks:
            self._finished.clear()
        else:
            self._advance()
        if len(tasks) > _LONG:
            self._answer.set()
        if not self._paused and self._unfinished > self._settings.high_water:
            self._paused = True
            self._answer.set()
        for task in tasks:
            workflow_id = workflow_of(task)
            if task.position not in self._done_ahead:
                self._outstanding.setdefault(workflow_id, set()).add(task.position)
            self._arrived.append(_Arrived(workflow_id, task, slice_))
        self._arrival.set()

    def _take_ahead(self, tasks: Sequence[ReplicationTask]) -> None:
        """Keep those whose workflow ids have no part in the backlog, as far as there is room: all come again."""
        room = _MOST_AHEAD - sum(map(len, (*self._ahead.values(), *self._not_yet.values())))
        for task in tasks:
            workflow_id = workflow_of(task)
            if room > 0 and workflow_id not in self._outstanding:
                behind = self._not_yet if workflow_id in self._not_yet else self._ahead
                behind.setdefault(workflow_id, []).append(task)
                room -= 1
        if self._ahead:
            self._ahead_arrival.set()

    async def _apply_ahead(self) -> None:
        """Apply what was sent ahead; what misses something before it is tried again when more has been applied."""
        while True:
            await self._ahead_arrival.wait()
            self._ahead_arrival.clear()
            ahead, self._ahead = self._ahead, {}
            left = await self._applier.apply_ahead(self._namespace_id, self._source, ahead)
            for workflow_id, tasks in ahead.items():
                if workflow_id in left:
                    self._not_yet[workflow_id] = tasks + self._ahead.pop(workflow_id, [])
                else:
                    for task in tasks:
                        self._done_ahead.add(task.position)
                        self._forget(workflow_id, task.position)

    def _retry_ahead(self) -> None:
        not_yet, self._not_yet = self._not_yet, {}
        for workflow_id, tasks in not_yet.items():
            if tasks[0].position > self._received:  # else they come in their turn
                self._ahead[workflow_id] = tasks
                self._ahead_arrival.set()

    async def _apply_arrived(self) -> None:
        """Apply what has arrived: all there is at a time."""
        while True:
            await self._arrival.wait()
            self._arrival.clear()
            arrived, self._arrived = self._arrived, deque()
            together: dict[str, list[_Arrived]] = {}
            for each in arrived:
                if each.task.position in self._done_ahead:
                    self._done_ahead.remove(each.task.position)
                    self._finish([each])
                elif each.task.WhichOneof("task") in OF_NAMESPACE:
                    await self._apply(together)
                    together = {}
                    await self._barrier(each)
                elif each.workflow_id in self._lanes:
                    self._enqueue(each)
                else:
                    together.setdefault(each.workflow_id, []).append(each)
            await self._apply(together)
            self._retry_ahead()

    async def _apply(self, arrived: Mapping[str, list[_Arrived]]) -> None:
        """Apply tasks of workflow ids without lanes; what is left over gets some."""
        if not arrived:
            return
        # Are these all that is outstanding? Then the last message's position is reached.
        everything = self._unfinished == sum(map(len, arrived.values()))
        position = self._messages[-1].position if everything else None
        tasks = {workflow_id: [each.task for each in own] for workflow_id, own in arrived.items()}
        left = await self._applier.apply_together(self._namespace_id, self._source, tasks, position)
        if position is not None and not left:
            self._applied = position
        for workflow_id, own in arrived.items():
            if workflow_id in left:
                for each in own:
                    self._enqueue(each)
            else:
                self._finish(own)

    async def _barrier(self, record: _Arrived) -> None:
        await self._drained.wait()
        await self._applier.apply_record(self._namespace_id, self._source, record.task)
        self._finish([record])

    def _enqueue(self, arrived: _Arrived) -> None:
        self._drained.clear()
        lane = self._lanes.get(arrived.workflow_id)
        if lane is None:
            lane = self._lanes[arrived.workflow_id] = deque()
            self._group.create_task(self._work(arrived.workflow_id, lane))
        lane.append(arrived)

    async def _work(self, workflow_id: str, lane: deque[_Arrived]) -> None:
        while lane:
            batch = list(lane)
            lane.clear()
            await self._applier.apply_tasks(
                self._namespace_id, self._source, workflow_id, [each.task for each in batch]
            )
            self._finish(batch)
        del self._lanes[workflow_id]
        if not self._lanes:
            self._drained.set()

    def _finish(self, done: Sequence[_Arrived]) -> None:
        for each in done:
            each.slice.unfinished -= 1
            self._forget(each.workflow_id, each.task.position)
        self._unfinished -= len(done)
        if not self._unfinished:
            self._finished.set()
        self._advance()
        if self._paused and self._unfinished < self._settings.low_water:
            self._paused = False
            self._answer.set()

    def _forget(self, workflow_id: str, position: int) -> None:
        """A task is applied, be it ahead of its turn."""
        outstanding = self._outstanding.get(workflow_id)
        if outstanding is not None:
            outstanding.discard(position)
            if not outstanding:
                del self._outstanding[workflow_id]

    def _advance(self) -> None:
        while self._messages and not self._messages[0].unfinished:
            self._watermark = self._messages.popleft().position
            self._answer.set()

    async def _answers(self) -> None:
        """Make the watermark durable, then tell it; whatever came meanwhile shares the next round."""
        while True:
            await self._answer.wait()
            self._answer.clear()
            watermark = self._watermark
            if watermark > self._applied:
                await self._store.transact(
                    lambda connection, position=watermark: positions.set_applied(  # type: ignore[misc]
                        connection, self._namespace_id, self._source, position
                    ),
                    urgent=True,
                )
                self._applied = max(self._applied, watermark)
            want, self._want = self._want, None
            answer = FromReceiver(
                applied_position=self._applied,
                want_after=want or 0,
                resend=want is not None,
                pause=self._paused,
                received_position=self._received,
            )
            # Where it cannot be told, the stream is over, which the receiving half learns too, or the link is cut in
            # this direction only: then what comes by the other one must become durable all the same.
            with contextlib.suppress(ServiceError):
                await self._stream.send(answer.SerializeToString())
