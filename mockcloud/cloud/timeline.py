"""Everything that happens to a cloud, in order: failovers with their steps, faults, kills and starts, audit entries.

It lives in memory, in the composition root, and keeps the latest events only. Readers hold a place in it and nothing
more, so that a slow one costs nothing: one that falls behind is told how many events it has missed. Events of a process
that has ended are gone, and a reader that comes with an id of one begins anew.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final, NamedTuple

from mockcloud.core import times
from mockcloud.core.ports import Clock, Ids

SIZE: Final = 10_000
_PAGE: Final = 100
_NOWHERE: Final = -1


class TimelineEvent(NamedTuple):
    """One thing that happened.

    Kinds: `operation` (each step of an asynchronous operation), `namespace` (a changed record), `region` and `control`
    (killed, started), `health` (what is wrong with a region), `fault` (added, removed), `audit` (an entry of the audit
    log), `notification` (made, sent).
    """

    id: str
    time: int  # nanoseconds since the epoch
    kind: str
    data: Mapping[str, Any]  # JSON; what it has depends on the kind

    def json(self) -> dict[str, Any]:
        """As the event stream has it."""
        moment = times.timestamp(self.time).ToJsonString()
        return {"id": self.id, "time": moment, "kind": self.kind, **self.data}


class Page(NamedTuple):
    """What a reader is given."""

    events: tuple[TimelineEvent, ...]
    last_id: str  # to go on after
    missed: int  # events that were forgotten before this reader came to them


class Timeline:
    """The events of one process. Belongs to the cloud's event loop."""

    def __init__(self, clock: Clock, ids: Ids, size: int = SIZE) -> None:
        self._clock: Final = clock
        self._life: Final = ids.uuid()[:8]
        self._events: Final[deque[TimelineEvent]] = deque(maxlen=size)
        self._count = 0  # of all events so far: the number of the last one
        self._news = asyncio.Event()
        self._closed = False

    def tell(self, kind: str, data: Mapping[str, Any]) -> None:
        """Something has happened."""
        self._count += 1
        self._events.append(TimelineEvent(self._id(self._count), self._clock.now(), kind, data))
        self._wake()

    async def read(self, after: str = "", *, wait: float = 0.0, most: int = _PAGE) -> Page:
        """What happened after an event, the oldest first.

        Args:
            after: the id of an event; empty, or of another process: from the first that is remembered.
            wait: seconds for something to happen, if nothing has.
            most: events at once.
        """
        place = self._number(after)
        if place == self._count and wait and not self._closed:
            try:
                async with asyncio.timeout(wait):
                    await self._news.wait()
            except TimeoutError:
                pass
        forgotten = self._count - len(self._events)
        missed = max(forgotten - place, 0) if place != _NOWHERE else 0
        place = max(place, forgotten)
        events = tuple(islice(self._events, place - forgotten, place - forgotten + most))
        return Page(events, self._id(place + len(events)), missed)

    @property
    def closed(self) -> bool:
        """Whether nothing will happen any more."""
        return self._closed

    def close(self) -> None:
        """Let readers that wait go."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _id(self, number: int) -> str:
        return f"{self._life}-{number}"

    def _number(self, event_id: str) -> int:
        """The number of an event; _NOWHERE where it is none of this process."""
        life, _, number = event_id.rpartition("-")
        if life != self._life or not (number.isascii() and number.isdecimal() and len(number) <= 18):
            return _NOWHERE
        return int(number) if int(number) <= self._count else _NOWHERE
