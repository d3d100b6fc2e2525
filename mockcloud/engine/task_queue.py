"""One task queue: tasks that wait for a worker, polls that wait for a task. No I/O and no rules.

Of the two, at most one kind waits at any moment, unless dispatch is held up (a passive region, HANDOVER):
then only queries are handed out. Both are served first come, first served. A task is handed to exactly one
poll; whoever got it either starts it, gives it back, or finds it void.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import RespondQueryTaskCompletedRequest

from mockcloud.core.derived import Offer, TaskKind
from mockcloud.core.run import RunKey
from mockcloud.engine.pollers import Pollers


@dataclass(slots=True, eq=False)
class Task:
    """An offer in a task queue, or in the hands of a poll."""

    run: RunKey
    offer: Offer
    queue: TaskQueue


@dataclass(slots=True, eq=False)
class QueryTask:
    """A query on its way to a worker, and its answer on the way back."""

    id: str
    run: RunKey
    query: WorkflowQuery
    answer: asyncio.Future[RespondQueryTaskCompletedRequest]
    dispatched: bool = False


@dataclass(slots=True, eq=False)
class Poll:
    """One outstanding poll of a worker."""

    identity: str
    worker_instance_key: str
    ended: bool = False  # answered empty as soon as it can be
    gone: bool = False  # its client is: nothing may be started for it any more
    waiting: asyncio.Future[Task | QueryTask | None] | None = None

    def wake(self) -> None:
        """Stop waiting, without a task."""
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(None)

    def end(self) -> None:
        """Have it answered empty."""
        self.ended = True
        self.wake()


@dataclass(slots=True, eq=False)
class TaskQueue:
    """The queue of one name and kind of a namespace."""

    namespace_id: str
    kind: TaskKind
    name: str
    pollers: Pollers = field(default_factory=Pollers)
    backlog: OrderedDict[Task, None] = field(default_factory=OrderedDict)
    queries: deque[QueryTask] = field(default_factory=deque)
    polls: OrderedDict[Poll, None] = field(default_factory=OrderedDict)

    def has_poller(self, now: int, window: int) -> bool:
        """Whether a poll waits now or one was seen within `window` nanoseconds."""
        return bool(self.polls) or self.pollers.last_poll + window > now

    def offer(self, task: Task, *, dispatching: bool, first: bool = False) -> None:
        """Add a task, before all others if `first`."""
        task.queue = self
        self.backlog[task] = None
        if first:
            self.backlog.move_to_end(task, last=False)
        self.match(dispatching=dispatching)

    def ask(self, query: QueryTask) -> None:
        """Add a query."""
        self.queries.append(query)
        self.match(dispatching=False)

    def match(self, *, dispatching: bool) -> None:
        """Hand waiting tasks to waiting polls; only queries unless `dispatching`."""
        while self.polls and (self.queries or (dispatching and self.backlog)):
            poll, _ = self.polls.popitem(last=False)
            if poll.waiting is None or poll.waiting.done():
                continue
            item = self._next(dispatching=dispatching)
            poll.waiting.set_result(item)

    async def take(self, poll: Poll, deadline: float, *, dispatching: bool) -> Task | QueryTask | None:
        """What `poll` gets.

        At once if something waits; None when it has ended or the loop's time is `deadline`.

        When the caller is cancelled, what it would have got stays in the queue.
        """
        item = self._next(dispatching=dispatching)
        if item is not None or poll.ended:
            return item
        loop = asyncio.get_running_loop()
        poll.waiting = loop.create_future()
        self.polls[poll] = None
        timer = loop.call_at(deadline, poll.wake)
        try:
            return await poll.waiting
        except asyncio.CancelledError:
            self.polls.pop(poll, None)
            if poll.waiting.done() and not poll.waiting.cancelled():
                self._give_back(poll.waiting.result())
            raise
        finally:
            timer.cancel()
            self.polls.pop(poll, None)
            poll.waiting = None

    def _next(self, *, dispatching: bool) -> Task | QueryTask | None:
        while self.queries:
            query = self.queries.popleft()
            if not query.answer.done():
                query.dispatched = True
                return query
        if dispatching and self.backlog:
            return self.backlog.popitem(last=False)[0]
        return None

    def _give_back(self, item: Task | QueryTask | None) -> None:
        if isinstance(item, Task):
            self.offer(item, dispatching=True, first=True)
        elif isinstance(item, QueryTask):
            item.dispatched = False
            self.queries.appendleft(item)
            self.match(dispatching=False)
