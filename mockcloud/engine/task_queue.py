"""One task queue: tasks that wait for a worker, polls that wait for a task. No I/O and no rules.

Of the two, at most one kind waits at any moment, unless dispatch is held up: in a passive region and in HANDOVER,
where only queries are handed out, and by the queue's rate limits, which wake it when the next task may go. Polls
are served first come, first served, tasks by `engine.backlog`. A task is handed to exactly one poll; whoever got it
either starts it, gives it back, or finds it void.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass

from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import RespondQueryTaskCompletedRequest

from mockcloud.core.derived import Offer, TaskKind
from mockcloud.core.ports import Clock
from mockcloud.core.priorities import DEFAULT, TaskPriority
from mockcloud.core.run import RunKey
from mockcloud.engine.alarm import Alarm
from mockcloud.engine.backlog import Backlog
from mockcloud.engine.flow import Flow
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.pollers import Pollers
from mockcloud.engine.rate_limits import NEVER, RateLimits


@dataclass(slots=True, eq=False)
class Task:
    """An offer in a task queue, or in the hands of a poll."""

    run: RunKey
    offer: Offer
    queue: TaskQueue
    place: tuple[int, int] | None = None  # in its queue's backlog, which gives it
    waited: bool = False  # for a poll: none took it as it came


@dataclass(slots=True, eq=False)
class QueryTask:
    """A query on its way to a worker, and its answer on the way back."""

    id: str
    run: RunKey
    query: WorkflowQuery
    answer: asyncio.Future[RespondQueryTaskCompletedRequest]
    priority: TaskPriority = DEFAULT
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


class TaskQueue:
    """The queue of one name and kind of a namespace."""

    def __init__(self, namespace: Namespace, kind: TaskKind, name: str, clock: Clock) -> None:
        self.namespace = namespace
        self.kind = kind
        self.name = name
        self.pollers = Pollers()
        self.backlog = Backlog()
        self.rates = RateLimits()
        self.flow = Flow()
        self.queries: deque[QueryTask] = deque()
        self.polls: OrderedDict[Poll, None] = OrderedDict()
        self.sticky = False  # of one worker, as its tasks tell
        self.scaling_ready = 0  # from when on a poll may be told to bring more of its kind
        self._clock = clock
        self._rate_allows = Alarm(clock, self.match)

    def has_poller(self, now: int, window: int) -> bool:
        """Whether a poll waits now or one was seen within `window` nanoseconds."""
        return bool(self.polls) or self.pollers.last_poll + window > now

    def offer(self, task: Task) -> None:
        """Add a task."""
        task.queue = self
        task.place = None
        self.sticky = task.offer.sticky and task.offer.task_queue == self.name
        self.flow.added(task.offer.priority.level, self._clock.now())
        self.backlog.add(task, self.rates.weights)
        self.match()
        task.waited = task in self.backlog

    def give_back(self, task: Task) -> None:
        """A task that `take` gave and that nobody started: it is first in its place again."""
        self.backlog.add(task, self.rates.weights, first=True)
        self.rates.consume(task.offer.priority, self._clock.now(), -1)
        self.match()

    def gone_in_vain(self, task: Task) -> None:
        """A task that `take` gave is void: what it consumed of the limit is free for another."""
        self.rates.consume(task.offer.priority, self._clock.now(), -1)
        self.match()

    def ask(self, query: QueryTask) -> None:
        """Add a query."""
        self.flow.added(query.priority.level, self._clock.now())
        self.queries.append(query)
        self.match()

    def match(self) -> None:
        """Hand waiting tasks to waiting polls, as fast as the limits allow."""
        while self.polls and (self.queries or self.backlog):
            poll = next(iter(self.polls))
            if poll.waiting is not None and not poll.waiting.done():
                item = self._next()
                if item is None:
                    return
                poll.waiting.set_result(item)
            self.polls.popitem(last=False)

    async def take(self, poll: Poll, deadline: float) -> Task | QueryTask | None:
        """What `poll` gets.

        At once if something waits; None when it has ended or the loop's time is `deadline`.

        When the caller is cancelled, what it would have got stays in the queue.
        """
        item = None if poll.ended else self._next()
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
                self._untake(poll.waiting.result())
            raise
        finally:
            timer.cancel()
            self.polls.pop(poll, None)
            poll.waiting = None

    def stop(self) -> None:
        """Wake up no more by itself."""
        self._rate_allows.clear()

    def _next(self) -> Task | QueryTask | None:
        """The next thing for a poll. Where only the limits hold it back, `match` is called when they allow it."""
        now = self._clock.now()
        while self.queries:
            query = self.queries.popleft()
            if not query.answer.done():
                query.dispatched = True
                self.flow.dispatched(query.priority.level, now)
                return query
        if not self.namespace.writable:
            return None
        task = self.backlog.first()
        if task is None:
            return None
        ready = self.rates.ready(task.offer.priority)
        if ready > now:
            if ready < NEVER:
                self._rate_allows.set(ready)
            return None
        self.backlog.take(task)
        self.rates.consume(task.offer.priority, now)
        self.flow.dispatched(task.offer.priority.level, now)
        return task

    def _untake(self, item: Task | QueryTask | None) -> None:
        if isinstance(item, Task):
            self.give_back(item)
        elif isinstance(item, QueryTask):
            item.dispatched = False
            self.queries.appendleft(item)
            self.match()
