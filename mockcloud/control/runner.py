"""Runs operations: accepts them, takes their steps one after the other, goes on with them after a crash.

A step is a function of the operation that returns its next value; that is on disk before the next step is taken, so a
step may be taken twice. A step that waits for a region that is down does so here (`insist`), for as long as it takes.
What a region refuses for good ends the operation as FAILED.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Final, TypeVar

from mockcloud.control.database import Closed
from mockcloud.control.operations import ENDED, Also, Kind, Operation, Operations, State
from mockcloud.control.settings import ControlSettings
from mockcloud.control.waiting import wait_for
from mockcloud.core.errors import Code, ServiceError
from mockcloud.core.ports import Ports

_logger = logging.getLogger(__name__)

T = TypeVar("T")
Step = Callable[[Operation], Awaitable[Operation]]

# What a region that is down, starting or overloaded may answer; anything else will not change by asking again.
_TRANSIENT: Final = frozenset(
    {
        Code.UNAVAILABLE,
        Code.DEADLINE_EXCEEDED,
        Code.RESOURCE_EXHAUSTED,
        Code.INTERNAL,
        Code.UNKNOWN,
        Code.ABORTED,
        Code.CANCELLED,
    }
)


class Runner:
    """All operations at work."""

    def __init__(
        self, operations: Operations, regions: Iterable[str], ports: Ports, settings: ControlSettings
    ) -> None:
        self._operations: Final = operations
        self._ports: Final = ports
        self._settings: Final = settings
        self._steps: Final[dict[Kind, Mapping[str, Step]]] = {}
        self._accepting: Final[dict[str, asyncio.Lock]] = {}
        self._at_work: Final[dict[str, asyncio.Task[None]]] = {}
        self._others: Final[set[asyncio.Task[None]]] = set()
        self._seen: Final = {region: asyncio.Event() for region in regions}

    # Life

    def serve(self, kind: Kind, steps: Mapping[str, Step]) -> None:
        """Let a kind's operations take these steps."""
        self._steps[kind] = steps

    async def resume(self) -> None:
        """Go on with what ran when the control plane ended."""
        for operation in await self._operations.load():
            self._start(operation)

    def stop(self) -> list[asyncio.Task[None]]:
        """Cancel everything, without waiting: the steps on disk are where it goes on. What was cancelled."""
        tasks = [*self._at_work.values(), *self._others]
        for task in tasks:
            task.cancel()
        return tasks

    def region_seen(self, region: str) -> None:
        """A region answers (again): what waits for it need not wait longer."""
        seen, self._seen[region] = self._seen[region], asyncio.Event()
        seen.set()

    # Operations

    async def accept(
        self,
        operation: Operation,
        check: Callable[[Operation], Awaitable[Operation]],
        also: Also | None = None,
    ) -> Operation:
        """Accept an operation, or find the one that the same request made before. It goes on by itself.

        `check` looks at the namespace and says what to accept, one request at a time for each name. `also` is done in
        the transaction that accepts a new one.

        Raises:
            AlreadyExists: the operation's id belongs to another request.
            ServiceError: what `check` raised; nothing has changed.
        """
        async with self._accepting.setdefault(operation.namespace, asyncio.Lock()):
            known = await self._operations.repeated(operation)
            if known is not None:
                return known
            checked = await check(operation)
            accepted = await self._operations.accept(checked, also)
            if accepted is checked and not accepted.ended:
                self._start(accepted)
            return accepted

    async def cancel(self, operation: Operation, reason: str) -> None:
        """End an operation where it is, as CANCELLED. An ended one stays as it is."""
        task = self._at_work.pop(operation.id, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        latest = await self._operations.get(operation.id)
        if not latest.ended:
            await self._operations.save(self._end(latest, State.CANCELLED, reason))

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Let something else go on beside the operations; it ends with the control plane."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._others.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._others.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, Closed):
            _logger.error("%s has failed", task.get_name(), exc_info=error)

    # For steps

    def fulfilled(self, operation: Operation) -> Operation:
        """The operation, done."""
        return self._end(operation, State.FULFILLED, operation.reason)

    def failed(self, operation: Operation, reason: str) -> Operation:
        """The operation, failed for good."""
        return self._end(operation, State.FAILED, reason)

    async def insist(self, region: str | Callable[[], str], call: Callable[[str], Awaitable[T]]) -> T:
        """What `call` of a region returns, asked again while it cannot be reached. Raises what will not change.

        `region` is looked up for each try where it may become another one.
        """
        pause = self._settings.retry_first
        while True:
            asked = region if isinstance(region, str) else region()
            seen = self._seen[asked]
            try:
                return await call(asked)
            except ServiceError as error:
                if error.code not in _TRANSIENT or isinstance(error, Closed):
                    raise
            await wait_for(seen, pause)
            pause = min(2 * pause, self._settings.retry_most)

    # Running

    def _start(self, operation: Operation) -> None:
        name = f"{operation.kind} {operation.id}"
        task = asyncio.get_running_loop().create_task(self._run(operation), name=name)
        self._at_work[operation.id] = task
        task.add_done_callback(lambda _: self._at_work.pop(operation.id, None))

    async def _run(self, operation: Operation) -> None:
        try:
            while not operation.ended:
                before = operation.step
                operation = await self._step(operation)
                if not operation.ended:
                    operation = operation._replace(state=State.IN_PROGRESS)
                await self._operations.save(operation)
                reason = f" ({operation.reason})" if operation.reason else ""
                to = operation.state if operation.ended else operation.step
                _logger.info("%s of %s: %s → %s%s", operation.kind, operation.subject, before, to, reason)
        except Closed:
            return

    async def _step(self, operation: Operation) -> Operation:
        try:
            return await self._steps[operation.kind][operation.step](operation)
        except Closed:
            raise
        except ServiceError as error:
            # Only what can never succeed comes this far.
            return self.failed(operation, error.message)
        except Exception as error:
            _logger.exception(
                "%s of %s fails at step %s", operation.kind, operation.namespace, operation.step
            )
            return self.failed(operation, f"internal error: {type(error).__name__}")

    def _end(self, operation: Operation, state: State, reason: str) -> Operation:
        now = self._ports.clock.now()
        return operation._replace(step=ENDED, state=state, reason=reason, finished=now)
