"""An event loop whose time is not real: it jumps to the next timer as soon as nothing is left to do.

With a seeded schedule and nothing outside of it (no threads, no sockets), the same seed gives the same run.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

_MOST_TURNS = 100_000  # a schedule takes some 10,000
_EPOCH = 1_800_000_000_000_000_000  # nanoseconds: when simulated time begins


class DeadlockError(Exception):
    """Nothing is left to do, and nothing is waited for: who still waits would wait for ever."""


class HungError(Exception):
    """It takes more turns of the loop than any simulation should: something goes round and round."""


class _NoSelector(selectors.BaseSelector):
    """Waits for nothing but time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.turns_left = _MOST_TURNS
        self._keys: dict[int, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = selectors.SelectorKey(fileobj, _number(fileobj), events, data)
        self._keys[key.fd] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(_number(fileobj))

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise DeadlockError
        self.turns_left -= 1
        if not self.turns_left:
            raise HungError(f"{_MOST_TURNS} turns of the loop, at {self.now:.3f} s")
        self.now += max(timeout, 0.0)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


def _number(fileobj: Any) -> int:
    return fileobj if isinstance(fileobj, int) else int(fileobj.fileno())


class SimulatedLoop(asyncio.SelectorEventLoop):
    """See above. Its time begins at 0 and is in seconds."""

    def __init__(self) -> None:
        self._time = _NoSelector()
        super().__init__(self._time)

    def time(self) -> float:
        return self._time.now

    def give_more_turns(self) -> None:
        """As many as at the beginning: for the end of what has hung."""
        self._time.turns_left = _MOST_TURNS


class SimulatedClock:
    """The wall clock of all regions: the loop's time, a little later with each look."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self._last = 0

    def now(self) -> int:
        self._last = max(self._last + 1, _EPOCH + round(self._loop.time() * 1e9))
        return self._last


def run(main: Coroutine[Any, Any, T], loop: SimulatedLoop) -> T:
    """Run `main` to its end on `loop`, and end what it left."""
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main)
    finally:
        loop.give_more_turns()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        with contextlib.suppress(HungError):
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        asyncio.set_event_loop(None)
        loop.close()
