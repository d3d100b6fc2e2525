"""A stream whose messages meet the faults of their link: one pipe for each direction.

A pipe that is idle on a clear link is only a function call. Otherwise messages queue up in it and a task of
the pipe lets them out: when the link is not paused and their delay is over. What is lost is decided at its
entrance, and once more at its exit, where a link that was cut meanwhile loses what was on its way.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeAlias

from mockcloud.core.errors import ServiceError
from mockcloud.rpc.faults import LinkState
from mockcloud.rpc.transport import Stream

_QUEUED: Final = 1024  # messages that may wait in one direction before their sender waits, too
_RECEIVED: Final = 64  # messages that may wait for `receive`
_HELD: Final = 0.1  # seconds that a message waits to be overtaken


class _End(NamedTuple):
    """The end of a direction, on its way behind the last message."""

    error: ServiceError | None = None


_Item: TypeAlias = bytes | _End


class FaultyStream:
    """The caller's end of `inner`, with `there` and `back` between the two ends. `gone` hears of its end."""

    def __init__(
        self,
        inner: Stream,
        there: LinkState,
        back: LinkState,
        rng: random.Random,
        gone: Callable[[FaultyStream], None],
    ) -> None:
        self._inner: Final = inner
        self._gone: Final = gone
        self._received: Final[deque[_Item]] = deque()
        self._readable: Final = asyncio.Event()
        self._roomy: Final = asyncio.Event()
        self._closed = False
        self._outgoing: Final = _Pipe(there, rng, self._hand_on)
        self._incoming: Final = _Pipe(back, rng, self._deliver)
        self._reader: Final = asyncio.get_running_loop().create_task(self._read())

    async def send(self, message: bytes) -> None:
        await self._outgoing.enter(message)

    async def receive(self) -> bytes | None:
        while not self._received:
            self._readable.clear()
            await self._readable.wait()
        item = self._received[0]
        if isinstance(item, _End):  # stays: every further receive finds it
            if item.error is not None:
                raise item.error
            return None
        self._received.popleft()
        self._roomy.set()
        return item

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._roomy.set()
            await self._outgoing.end(_End())

    async def abandon(self) -> None:
        """Ends it at once, whatever is on its way."""
        self._closed = True
        self._roomy.set()
        self._outgoing.stop()
        self._incoming.stop()
        await self._inner.close()
        self._reader.cancel()
        self._put(_End())

    async def _read(self) -> None:
        end = _End()
        try:
            while (message := await self._inner.receive()) is not None:
                await self._incoming.enter(message)
        except ServiceError as error:
            end = _End(error)
        await self._incoming.end(end)

    async def _hand_on(self, item: _Item) -> None:
        if isinstance(item, _End):
            await self._inner.close()
        else:
            await self._inner.send(item)

    async def _deliver(self, item: _Item) -> None:
        while len(self._received) >= _RECEIVED and not self._closed:
            self._roomy.clear()
            await self._roomy.wait()
        self._put(item)
        if isinstance(item, _End):
            self._outgoing.stop()
            self._incoming.stop()
            self._gone(self)

    def _put(self, item: _Item) -> None:
        self._received.append(item)
        self._readable.set()


class _Pipe:
    """One direction of one stream."""

    def __init__(
        self, link: LinkState, rng: random.Random, exit_: Callable[[_Item], Awaitable[None]]
    ) -> None:
        self._link: Final = link
        self._rng: Final = rng
        self._exit: Final = exit_
        self._queue: Final[deque[tuple[float, _Item]]] = (
            deque()
        )  # (moment of entrance in the loop's time, item)
        self._held: bytes | None = None
        self._release: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._error: ServiceError | None = None
        self._space: Final = asyncio.Event()
        self._changed: Final = asyncio.Event()
        self._unwatch: Final = link.watch(self._changed.set)

    async def enter(self, message: bytes) -> None:
        """Takes a message; raises what the exit raised before. Waits while too much is on its way."""
        link = self._link
        if link.clear and self._idle:
            await self._exit(message)
            return
        while len(self._queue) >= _QUEUED and self._error is None:
            self._space.clear()
            await self._space.wait()
        if self._error is not None:
            raise self._error
        if link.cut or self._happens(link.drop):
            return
        self._order(message)
        if self._happens(link.duplicate):
            self._order(message)

    async def end(self, end: _End) -> None:
        """Lets the end follow whatever is on its way; an end is neither lost nor overtaken."""
        if self._idle:
            await self._exit(end)
            return
        self._let_go()
        self._append(end)

    def stop(self) -> None:
        """Forgets whatever is on its way."""
        self._unwatch()
        self._queue.clear()
        self._held = None
        if self._release is not None:
            self._release.cancel()
        # An exit that stops its own pipe is the last thing that the task does.
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    @property
    def _idle(self) -> bool:
        return self._held is None and (self._task is None or self._task.done())

    def _happens(self, probability: float) -> bool:
        # A kind of fault that is not in force draws no number: adding it later must not shift the others.
        return probability > 0.0 and self._rng.random() < probability

    def _order(self, message: bytes) -> None:
        """Queues a message, or keeps it back until the next one has overtaken it."""
        if self._held is not None:
            self._append(message)
            self._let_go()
        elif self._happens(self._link.reorder):
            self._held = message
            self._release = asyncio.get_running_loop().call_later(_HELD, self._let_go)
        else:
            self._append(message)

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if self._release is not None:
            self._release.cancel()
            self._release = None
        if held is not None:
            self._append(held)

    def _append(self, item: _Item) -> None:
        loop = asyncio.get_running_loop()
        self._queue.append((loop.time(), item))
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._run())

    async def _run(self) -> None:
        """Lets out what has queued up, and ends when nothing is left."""
        while self._queue:
            entered, item = self._queue[0]
            await self._due(entered)
            self._queue.popleft()
            self._space.set()
            if self._link.cut and not isinstance(item, _End):
                continue
            try:
                await self._exit(item)
            except ServiceError as error:
                self._error = error
                self._queue.clear()
                self._space.set()

    async def _due(self, entered: float) -> None:
        """Waits until the head of the queue may leave, by the link as it is then."""
        loop = asyncio.get_running_loop()
        while self._link.paused or entered + self._link.delay > loop.time():
            self._changed.clear()
            try:
                async with asyncio.timeout_at(None if self._link.paused else entered + self._link.delay):
                    await self._changed.wait()
            except TimeoutError:
                return
