"""A transport whose messages meet the faults of their links, in both directions, at the calling side.

What goes out crosses the direction own → peer, what comes back peer → own. It must never lose or reorder
anything while a link is clear.

- Cut: a unary call fails at once with Unavailable, before it was executed (own → peer) or after (only peer →
  own); one in flight fails when the cut begins. Streams cannot be opened; messages of open ones vanish in the
  direction that is cut, and the protocol above sends again from its positions.
- Lost: a message of a stream vanishes; a unary call fails with Unavailable, as for a cut.
- Delayed and paused: messages wait, in order; a unary call waits at most until its deadline.
- Doubled and overtaken: messages of streams only, as a retrying sender would cause; never a unary call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final

from mockcloud.core.errors import ServiceError, Unavailable
from mockcloud.rpc.errors import deadline_exceeded
from mockcloud.rpc.faults import Links, LinkState
from mockcloud.rpc.faulty_stream import FaultyStream
from mockcloud.rpc.transport import NO_METADATA, Stream, Transport

_ANSWER_WAIT: Final = 1.0  # seconds that a call is left to execute whose answer cannot come back


class FaultyTransport:
    """`inner` as region `own_region` sees it over `links`."""

    def __init__(self, inner: Transport, own_region: str, links: Links) -> None:
        self._inner: Final = inner
        self._own: Final = own_region
        self._links: Final = links
        self._streams: Final[set[FaultyStream]] = set()

    async def unary(
        self,
        peer: str,
        method: str,
        request: bytes,
        *,
        metadata: Mapping[str, str] = NO_METADATA,
        timeout: float | None = None,
    ) -> bytes:
        there = self._links.direction(self._own, peer)
        back = self._links.direction(peer, self._own)
        deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
        with _UntilCut(there, back):
            await self._cross(there, deadline)
            try:
                answer = await self._execute(back, peer, method, request, metadata, _remaining(deadline))
            except ServiceError:
                await self._cross(back, deadline)  # an error is an answer, too
                raise
            await self._cross(back, deadline)
            return answer

    async def stream(self, peer: str, method: str, *, metadata: Mapping[str, str] = NO_METADATA) -> Stream:
        there = self._links.direction(self._own, peer)
        back = self._links.direction(peer, self._own)
        for direction in (there, back):
            if direction.cut:
                raise _cut(direction)
        inner = await self._inner.stream(peer, method, metadata=metadata)
        stream = FaultyStream(inner, there, back, self._links.rng, self._streams.discard)
        self._streams.add(stream)
        return stream

    async def close(self) -> None:
        """Ends all streams, what waits on a link included, and closes `inner`."""
        streams = tuple(self._streams)
        self._streams.clear()
        for stream in streams:
            await stream.abandon()
        await self._inner.close()

    async def _execute(
        self,
        back: LinkState,
        peer: str,
        method: str,
        request: bytes,
        metadata: Mapping[str, str],
        timeout: float | None,
    ) -> bytes:
        call = self._inner.unary(peer, method, request, metadata=metadata, timeout=timeout)
        if not back.cut:
            return await call
        limit = asyncio.timeout(_ANSWER_WAIT)
        try:
            async with limit:
                await call
        except TimeoutError:
            if not limit.expired():
                raise
        raise _cut(back)

    async def _cross(self, link: LinkState, deadline: float | None) -> None:
        """One message of a unary call over one direction. `deadline` in the loop's time."""
        if link.clear:
            return
        if link.cut:
            raise _cut(link)
        if self._links.rng.random() < link.drop:
            raise Unavailable(_text(f"a message from {link.source} to {link.target} was lost"))
        try:
            async with asyncio.timeout_at(deadline):
                await passed(link)
        except TimeoutError:
            raise deadline_exceeded() from None


class _UntilCut:
    """Gives its task up as soon as one of the directions is cut: the task sees Unavailable.

    Works as asyncio.timeout does: the task is cancelled, and the cancellation is taken back on the way out.
    """

    def __init__(self, *links: LinkState) -> None:
        self._links: Final = links
        self._unwatch: list[Callable[[], None]] = []
        self._cut: LinkState | None = None

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "calls are made in tasks"
        self._task = task
        self._cancelling = task.cancelling()
        for link in self._links:
            self._unwatch.append(link.watch(self._changed))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for unwatch in self._unwatch:
            unwatch()
        if self._cut is not None and self._task.uncancel() <= self._cancelling:
            raise _cut(self._cut) from None

    def _changed(self) -> None:
        if self._cut is None:
            self._cut = next((link for link in self._links if link.cut), None)
            if self._cut is not None:
                self._task.cancel()


async def passed(link: LinkState) -> None:
    """Waits as long as a message takes over the direction, and while that is paused."""
    await _passable(link)
    await asyncio.sleep(link.delay)


async def _passable(link: LinkState) -> None:
    if not link.paused:
        return
    changed = asyncio.Event()
    unwatch = link.watch(changed.set)
    try:
        while link.paused:
            changed.clear()
            await changed.wait()
    finally:
        unwatch()


def _remaining(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    return max(deadline - asyncio.get_running_loop().time(), 0.0)


def _cut(link: LinkState) -> ServiceError:
    return Unavailable(_text(f"link {link.source} → {link.target} is cut"))


def _text(reason: str) -> str:
    """Reads like the error of a connection that broke."""
    return f'connection error: desc = "transport: {reason}"'
