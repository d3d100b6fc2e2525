"""Wake-ups by key, for those who wait and for those who listen.

They carry no data and promise no more than "look again".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Signal:
    """Tells of a key at once. Listeners must not raise or wait."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[str], None]] = []

    def notify(self, key: str) -> None:
        """Tell everyone."""
        for listener in self.listeners:
            listener(key)


class WakeUps:
    """A counter per key, so that no wake-up is missed: a waiter says how much it has seen. Of one event loop."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    def count(self, key: str) -> int:
        """How often `key` was notified."""
        return self._counts.get(key, 0)

    def notify(self, key: str) -> None:
        """Wake everyone that waits for `key`."""
        self._counts[key] = self._counts.get(key, 0) + 1
        for future in self._waiting.pop(key, ()):
            if not future.done():
                future.set_result(None)

    async def wait(self, key: str, seen: int) -> int:
        """Return the count once it is above `seen`; at once if it is."""
        while self.count(key) <= seen:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waiting = self._waiting.setdefault(key, set())
            waiting.add(future)
            try:
                await future
            finally:
                waiting.discard(future)
        return self.count(key)
