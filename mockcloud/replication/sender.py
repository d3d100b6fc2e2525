"""One direction of one namespace, seen from the region whose log it is.

Read the log, push it, follow the watermark.

The sender promises nothing about messages: the link may lose, double or reorder them. Positions mend
that:

    acked     what the peer has made durable; stored now and then, so a restart sends a little again
    arrived   what it has in memory, or durable, over the stream that is open
    sent      what is on its way: (acked, sent] is the window

    the peer answers                          acked, arrived rise
    the peer misses a message (resend)        sent falls back to where it wants it from
    no progress for the ack time-out          sent falls back to arrived; where that is sent, the peer is asked again
    the link heals                            sent = arrived = acked
    the stream ends                           a new one, sent = arrived = acked

What is committed while there is a backlog of some pages is also sent ahead of it, so that runs which have no part in
the backlog are not held up by it.

It waits for something to happen, never polls: a commit, an answer, a time-out, a link that heals.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mockcloud.api.replication.v1.replication_pb2 import FromReceiver, FromSender
from mockcloud.core.errors import Code, RegionKilled, ServiceError
from mockcloud.core.ports import Clock
from mockcloud.replication import names
from mockcloud.replication.lag import LagReport, LagWindow
from mockcloud.replication.settings import Settings
from mockcloud.rpc.transport import Stream, Transport
from mockcloud.store import log, positions
from mockcloud.store.database import Store

_logger = logging.getLogger(__name__)

# More outstanding tasks than so many pages are a backlog.
_BACKLOG_PAGES = 2


@dataclass(frozen=True, slots=True)
class Route:
    """Whose log goes where."""

    namespace_id: str
    source: str
    peer: str


class Sender:
    """Pushes one namespace's log to one peer, for as long as `run` runs."""

    def __init__(
        self,
        route: Route,
        *,
        store: Store,
        transport: Transport,
        clock: Clock,
        settings: Settings,
        introduce: Callable[[str, str], Awaitable[None]],
        save: Callable[[str, str, int], Awaitable[None]],
    ) -> None:
        """Make a sender.

        It needs `introduce(namespace_id, peer)`, which tells the peer of a namespace it does not
        """
        self.route = route
        self._store = store
        self._transport = transport
        self._clock = clock
        self._settings = settings
        self._introduce = introduce
        self._save = save
        self._lags = LagWindow()
        self._wake = asyncio.Event()  # something for the sending half to look at
        self._retry_now = asyncio.Event()
        self._advanced = asyncio.Condition()
        self._wanted = 0  # somebody waits for this position: up to it nothing is held back for company
        self._hurry = asyncio.Event()
        self._news = 0  # rises with each commit; tells a read from before it
        self._acked = 0
        self._saved = 0
        self._saving: asyncio.TimerHandle | None = None
        self._saves: set[asyncio.Task[None]] = set()
        self._arrived = 0
        self._sent = 0
        self._at_end = False  # of the log, with what is sent
        self._backlogged = False
        self._ahead = 0  # up to here the log was sent ahead of a backlog
        self._ask = False  # how far the peer is, if its answers get lost
        self._in_flight: deque[tuple[int, int]] = (
            deque()
        )  # (position, created at) of what was sent, once each
        self._pages: deque[tuple[int, int]] = deque()  # (position, bytes) of each message in (acked, sent]
        self._ack_deadline = 0.0
        self._ack_timeout = settings.ack_timeout
        self._paused = False
        self._connected = False
        self._last_error = ""

    @property
    def acked(self) -> int:
        """What the peer has made durable of this region's log."""
        return self._acked

    def wake(self) -> None:
        """The log has grown."""
        self._news += 1
        self._wake.set()

    def healed(self) -> None:
        """The link may work again: do not wait for a time-out."""
        self._retry_now.set()
        self._arrived = self._acked
        if self._sent > self._acked:
            self._fall_back(self._acked)

    async def wait_acked(self, position: int) -> None:
        """Return when the peer has made `position` durable; what it lacks is sent at once."""
        if position > self._sent:
            self._wanted = max(self._wanted, position)
            self._hurry.set()
        async with self._advanced:
            await self._advanced.wait_for(lambda: self._acked >= position)

    async def report(self) -> LagReport:
        """The lag now."""
        route, acked = self.route, self._acked
        last, oldest = await self._store.read(
            lambda connection: (
                log.last_position(connection, route.namespace_id),
                log.read_log(connection, route.namespace_id, acked, limit_rows=1),
            )
        )
        now = self._clock.now()
        age = max(0, now - oldest[0].task.created_at) if oldest else 0
        # As much as is on its way, which the window bounds, stands for all that is outstanding.
        waiting = [created for _, created in self._in_flight] or [row.task.created_at for row in oldest]
        p50, p95, p99 = self._lags.percentiles(now, 50, 95, 99, outstanding=waiting)
        return LagReport(
            namespace_id=route.namespace_id,
            peer=route.peer,
            last_position=max(last, acked),
            acked_position=acked,
            age=age,
            p50=p50,
            p95=p95,
            p99=p99,
            paused=self._paused,
            connected=self._connected,
            last_error=self._last_error,
        )

    async def run(self) -> None:
        """Send until cancelled, or until the region is killed."""
        route = self.route
        try:
            self._acked = self._saved = await self._store.read(
                lambda connection: positions.acked(connection, route.namespace_id, route.peer)
            )
            if not self._acked:
                self._lags.joined(self._clock.now())
            await self._sessions()
        except RegionKilled:
            return
        finally:
            self._connected = False
            if self._saving is not None:
                self._saving.cancel()

    async def _sessions(self) -> None:
        pause = self._settings.reconnect_first
        introduced = False
        while True:
            before = self._acked
            self._retry_now.clear()
            try:
                await self._session()
                self._last_error = "the stream ended"
            except ServiceError as error:
                self._last_error = error.message
                # Once: a peer that knows the namespace now, and still does not find it, has another trouble.
                if error.code == Code.NOT_FOUND and not introduced:
                    introduced = await self._introduced()
                    if introduced:
                        continue
            if self._acked > before:
                introduced = False
                pause = self._settings.reconnect_first
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._retry_now.wait()
                pause = self._settings.reconnect_first
            pause = min(pause * 2, self._settings.reconnect_most)

    async def _introduced(self) -> bool:
        """The peer did not know the namespace: tell it."""
        try:
            await self._introduce(self.route.namespace_id, self.route.peer)
        except ServiceError as error:
            self._last_error = error.message
            return False
        return True

    async def _session(self) -> None:
        """One stream: both halves until one of them ends."""
        route = self.route
        stream = await self._transport.stream(
            route.peer,
            names.REPLICATE,
            metadata={names.NAMESPACE_ID: route.namespace_id, names.SOURCE_REGION: route.source},
        )
        self._sent = self._arrived = self._acked
        self._backlogged = False
        self._ahead = 0
        self._look_behind(
            await self._store.read(lambda connection: log.last_position(connection, route.namespace_id))
        )
        self._pages.clear()
        self._paused = False
        self._restart_ack_timer(fresh=True)
        sending = asyncio.create_task(self._send_all(stream), name=f"send {route.peer}")
        receiving = asyncio.create_task(self._receive_all(stream), name=f"receive {route.peer}")
        halves = (sending, receiving)
        try:
            done, _ = await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._connected = False
            for half in halves:
                half.cancel()
            await asyncio.gather(*halves, return_exceptions=True)
            await stream.close()
        # What the peer said is worth more than that sending to it failed.
        for half in (receiving, sending):
            if half in done:
                half.result()

    async def _send_all(self, stream: Stream) -> None:
        loop = asyncio.get_running_loop()
        settings = self._settings
        next_send = next_ahead = 0.0
        told = -1
        while True:
            self._wake.clear()
            news = self._news
            if self._ask:
                self._ask = False
                await stream.send(
                    FromSender(previous_position=self._sent, position=self._sent).SerializeToString()
                )
            if self._backlogged and self._news != told and not self._paused:
                told = self._news
                await asyncio.sleep(next_ahead - loop.time())
                next_ahead = loop.time() + settings.pacing
                await self._send_ahead(stream)
            if self._room() > 0 and not self._paused:
                delay = next_send - loop.time()
                if delay > 0 and self._sent > self._acked:
                    await self._hold_back(delay)
                rows = min(self._room(), settings.page_rows)
                if sent := await self._send_page(stream, rows):
                    # A full page did not need to wait for company.
                    next_send = loop.time() + (settings.pacing if sent < rows else 0)
                    continue
            if self._news != news:
                continue
            await self._wait()

    async def _hold_back(self, delay: float) -> None:
        """Let company come for that long, unless somebody waits for what is to be sent."""
        self._hurry.clear()
        if self._sent < self._wanted:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._hurry.wait()

    def _room(self) -> int:
        """How many tasks may be sent now."""
        settings = self._settings
        if sum(size for _, size in self._pages) > settings.window_bytes:
            return 0
        return settings.window - (self._sent - self._acked)

    async def _wait(self) -> None:
        """Until something happens; without progress on what was sent, fall back."""
        if self._sent == self._acked:
            await self._wake.wait()
            return
        try:
            async with asyncio.timeout_at(self._ack_deadline):
                await self._wake.wait()
        except TimeoutError:
            if asyncio.get_running_loop().time() >= self._ack_deadline and not self._paused:
                self._connected = False  # until it answers
                self._last_error = "the peer does not answer"
                self._ack_timeout = min(self._ack_timeout * 2, self._settings.ack_timeout_most)
                self._ask = self._arrived == self._sent
                self._fall_back(self._arrived)
            self._restart_ack_timer()

    async def _send_page(self, stream: Stream, rows: int) -> int:
        """Send so many tasks of what comes after `sent`; how many positions there were.

        What was trimmed before the peer joined is sent as nothing: it is filled with that, and acknowledges it.
        """
        after, namespace_id, settings = self._sent, self.route.namespace_id, self._settings
        page, last = await self._store.read(
            lambda connection: (
                log.read_log(connection, namespace_id, after, rows, settings.page_bytes),
                log.last_position(connection, namespace_id),
            )
        )
        if self._sent != after:
            return rows  # an answer moved the window meanwhile
        position = page[-1].position if page else last
        if position <= after:
            return 0
        tasks = [row.task for row in page if not row.events_gone]
        message = FromSender(
            previous_position=after, position=position, tasks=tasks, sent_at=self._clock.now()
        )
        highest = self._in_flight[-1][0] if self._in_flight else self._acked
        self._in_flight.extend((task.position, task.created_at) for task in tasks if task.position > highest)
        if self._sent == self._acked:
            self._restart_ack_timer()
        self._sent = message.position
        raw = message.SerializeToString()
        self._pages.append((message.position, len(raw)))
        await stream.send(raw)
        self._at_end = len(page) < rows and len(raw) < settings.page_bytes // 2
        if not self._at_end and not self._backlogged:
            self._look_behind(last)
        return len(page) or rows

    def _look_behind(self, last: int) -> None:
        """Are there some pages outstanding? Then the log's end, and what is committed from now on, is sent ahead."""
        page_rows = self._settings.page_rows
        if last - self._acked > _BACKLOG_PAGES * page_rows:
            self._backlogged = True
            self._ahead = max(last - page_rows, self._ahead)

    async def _send_ahead(self, stream: Stream) -> None:
        """Send what has been committed behind the backlog, ahead of it."""
        after, namespace_id, settings = max(self._ahead, self._acked), self.route.namespace_id, self._settings
        page = await self._store.read(
            lambda connection: log.read_log(
                connection, namespace_id, after, settings.page_rows, settings.page_bytes
            )
        )
        if not page:
            return
        self._ahead = page[-1].position
        tasks = [row.task for row in page if not row.events_gone]
        message = FromSender(ahead=[task for task in tasks if task.WhichOneof("task") == "history"])
        if message.ahead:
            await stream.send(message.SerializeToString())

    async def _receive_all(self, stream: Stream) -> None:
        while (raw := await stream.receive()) is not None:
            answer = FromReceiver.FromString(raw)
            if not self._connected:
                self._connected = True
                self._last_error = ""
            self._paused = answer.pause
            if answer.received_position > self._arrived:
                self._arrived = min(answer.received_position, self._sent)
                self._restart_ack_timer(fresh=True)
            if answer.applied_position > self._acked:
                await self._advance(answer.applied_position)
            if answer.resend and answer.want_after < self._sent:
                self._fall_back(max(answer.want_after, self._arrived))
            self._wake.set()

    async def _advance(self, position: int) -> None:
        self._acked = position
        if self._at_end and self._sent <= position:
            self._backlogged = False
        self._arrived = max(self._arrived, position)
        self._sent = max(self._sent, position)
        while self._pages and self._pages[0][0] <= position:
            self._pages.popleft()
        self._restart_ack_timer(fresh=True)
        created = []
        while self._in_flight and self._in_flight[0][0] <= position:
            created.append(self._in_flight.popleft()[1])
        self._lags.add(self._clock.now(), created)
        async with self._advanced:
            self._advanced.notify_all()
        if self._saving is None:
            loop = asyncio.get_running_loop()
            self._saving = loop.call_later(self._settings.save_positions, self._save_soon)

    def _save_soon(self) -> None:
        self._saving = None
        task = asyncio.get_running_loop().create_task(self.save())
        self._saves.add(task)
        task.add_done_callback(self._saves.discard)

    async def save(self) -> None:
        """Store how far the peer is."""
        position = self._acked
        if position <= self._saved:
            return
        with contextlib.suppress(RegionKilled):
            try:
                await self._save(self.route.namespace_id, self.route.peer, position)
                self._saved = position
            except ServiceError as error:  # the next acknowledgement tries again
                _logger.warning("position of %s not stored: %s", self.route.peer, error.message)

    def _fall_back(self, position: int) -> None:
        self._sent = position
        while self._pages and self._pages[-1][0] > position:
            self._pages.pop()
        self._wake.set()
        self._news += 1

    def _restart_ack_timer(self, *, fresh: bool = False) -> None:
        if fresh:
            self._ack_timeout = self._settings.ack_timeout
        self._ack_deadline = asyncio.get_running_loop().time() + self._ack_timeout
