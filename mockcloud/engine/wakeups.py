"""Wake-ups by key that cannot be missed: a waiter says how much it has seen.

Carries no data and promises no more than "look again".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class WakeUps:
    """A counter per key; waiting for it to pass a value. Belongs to one event loop."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[str], None]] = []  # told of each key at once; must not raise or wait
        self._counts: dict[str, int] = {}
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    def count(self, key: str) -> int:
        """How often `key` was notified."""
        return self._counts.get(key, 0)

    def notify(self, key: str) -> None:
        """Wake everyone that waits for `key`."""
        self._counts[key] = self._counts.get(key, 0) + 1
        for listener in self.listeners:
            listener(key)
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
