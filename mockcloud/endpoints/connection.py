"""One client's connection through an endpoint: two sides that give each other what they receive.

What meets a fault on its way waits in the line of the side that received it, in order: data, the end of a direction,
and that the connection is gone. No side keeps more than is on its way: a slow reader, and a long line, slow the writer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias, cast

from mockcloud.endpoints.path import OPEN, Direction, Path

Address: TypeAlias = tuple[str, int]

_LONGEST_LINE: Final = 1 << 20  # bytes that wait in one direction of a connection; more stay with the sender


class Side(asyncio.Protocol):
    """One of the two connections of a pair. What it receives goes `way` to `other`."""

    def __init__(self, way: Direction, gone: Callable[[], None]) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: Side | None = None
        self.ended = False  # that it sends nothing more has been passed on
        self.lost = False  # there is no connection (any more)
        self._way = way
        self._gone: Final = gone
        self._line: Final[deque[tuple[float, int, Callable[[], None]]]] = deque()  # due, bytes, what to do
        self._line_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._holds: Final[set[str]] = set()  # why nothing is read

    # What comes from the network

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._way.clear and not self._line:
            self._pass_on(data)
        else:
            self._put(len(data), partial(self._pass_on, data))

    def eof_received(self) -> bool:
        """Half-close: the other direction stays open until its own end."""
        self._in_turn(self._pass_end)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._in_turn(partial(self._pass_loss, broken=exc is not None))
        self._gone()

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.hold("the other side is full")

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.let_go("the other side is full")

    # What the pair does

    def close(self) -> None:
        """Closes after everything is written."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        self.forget()
        if self.transport is not None:
            self.transport.abort()

    def forget(self) -> None:
        """Drops what waits in the line; from now on faults do not matter."""
        self._way = OPEN.there
        self._line.clear()
        self._line_bytes = 0
        self._stop_timer()

    def hold(self, reason: str) -> None:
        """Read nothing while there is a reason not to."""
        if not self._holds and self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()
        self._holds.add(reason)

    def let_go(self, reason: str) -> None:
        """The reason is gone."""
        if reason not in self._holds:
            return
        self._holds.discard(reason)
        if not self._holds and self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def way_changed(self) -> None:
        """There are other faults on its way now: what waits goes on as if it had met those."""
        self._stop_timer()
        latest = asyncio.get_running_loop().time() + self._way.delay
        waiting = [(min(due, latest), size, action) for due, size, action in self._line]
        self._line.clear()
        self._line.extend(waiting)
        self._advance()

    def _pass_on(self, data: bytes) -> None:
        # What comes after the other side's end has nowhere to go.
        other = self.other.transport if self.other is not None else None
        if other is not None and not other.is_closing():
            other.write(data)

    def _pass_end(self) -> None:
        self.ended = True
        if self.other is None or self.other.ended:
            self.close()  # both directions are over, and with this side goes the other
        elif self.other.transport is not None and not self.other.transport.is_closing():
            self.other.transport.write_eof()

    def _pass_loss(self, *, broken: bool) -> None:
        if self.other is None:
            return
        if broken:
            self.other.abort()
        else:
            self.other.close()

    # The line

    def _in_turn(self, action: Callable[[], None]) -> None:
        if self._way.clear and not self._line:
            action()
        else:
            self._put(0, action)

    def _put(self, size: int, action: Callable[[], None]) -> None:
        due = asyncio.get_running_loop().time() + self._way.delay
        if self._line:
            due = max(due, self._line[-1][0])
        self._line.append((due, size, action))
        self._line_bytes += size
        if self._line_bytes >= _LONGEST_LINE:
            self.hold("the line is long")
        if self._timer is None:
            self._advance()

    def _advance(self) -> None:
        """Let go on what is due, and wait for what is next."""
        self._timer = None
        loop = asyncio.get_running_loop()
        while self._line and not self._way.paused:
            due, size, action = self._line[0]
            if due > loop.time():
                self._timer = loop.call_at(due, self._advance)
                break
            self._line.popleft()
            self._line_bytes -= size
            action()
        if self._line_bytes < _LONGEST_LINE:
            self.let_go("the line is long")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Client(Side):
    """A client's side; it finds its target and connects the other side of the pair.

    `admit` says whether it may stay, `left` hears when both sides are gone.
    """

    def __init__(
        self,
        path: Path,
        target: Callable[[], Address | None],
        admit: Callable[[Client], bool],
        left: Callable[[Client], None],
    ) -> None:
        super().__init__(path.there, self._one_is_gone)
        self._back: Final = path.back
        self._target: Final = target
        self._admit: Final = admit
        self._left: Final = left
        self.address: Address | None = None  # where it leads
        self._connecting: asyncio.Task[None] | None = None
        self._early: Final[list[bytes]] = []
        self._early_end = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        address = self._target() if self._admit(self) else None
        if address is None:
            self.abort()
            return
        self.address = address
        self._connecting = asyncio.get_running_loop().create_task(self._connect(address))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            super().data_received(data)
            return
        # One piece is kept here and the rest by the kernel. Pausing earlier, when the connection is made, would
        # not do: uvloop begins to read after that, whatever was asked for.
        self._early.append(data)
        self.hold("connecting")

    def eof_received(self) -> bool:
        if self.other is not None:
            return super().eof_received()
        self._early_end = True
        return True

    def changed(self) -> None:
        """The faults on the path are others."""
        self.way_changed()
        if self.other is not None:
            self.other.way_changed()

    def end(self) -> None:
        """Close both sides, after what has left the line is written."""
        self.forget()
        if self.other is not None:
            self.other.forget()
        if self.lost and self.other is not None:
            self.other.close()
        self.close()

    def reset(self) -> None:
        """End both sides at once."""
        self.abort()
        if self.other is not None:
            self.other.abort()

    async def _connect(self, address: Address) -> None:
        upstream = Side(self._back, self._one_is_gone)
        upstream.other = self
        try:
            await asyncio.get_running_loop().create_connection(lambda: upstream, *address)
        except OSError:
            self.abort()
            return
        transport = self.transport
        if transport is None or transport.is_closing():
            upstream.abort()
            return
        self.other = upstream
        if not self._early_end:
            self.let_go("connecting")  # before the rest, which may hold again
        for data in self._early:
            super().data_received(data)
        self._early.clear()
        if self._early_end:
            super().eof_received()

    def _one_is_gone(self) -> None:
        if self.lost and (self.other is None or self.other.lost):
            self._left(self)
