"""Locks by key, first come first served. A key that nobody holds costs nothing.

Every change of a workflow id's runs happens under the lock of (namespace id, workflow id), as in the real
server's workflow cache, one level higher because the current run changes with them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable


class KeyedLocks:
    """Mutual exclusion per key. Not re-entrant. Belongs to one event loop."""

    def __init__(self) -> None:
        self._held: dict[Hashable, deque[asyncio.Future[None]] | None] = {}

    def __len__(self) -> int:
        return len(self._held)

    def try_acquire(self, key: Hashable) -> bool:
        """Take the lock of `key` if it is free; whether it was."""
        if key in self._held:
            return False
        self._held[key] = None
        return True

    async def acquire(self, key: Hashable) -> None:
        """Return holding the lock of `key`; without a turn of the loop when it is free."""
        if self.try_acquire(key):
            return
        waiting = self._held[key]
        if waiting is None:
            waiting = self._held[key] = deque()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(key)  # the lock was handed over in the instant of the cancellation
            raise

    def release(self, key: Hashable) -> None:
        """Hand the lock to the next that waits."""
        waiting = self._held[key]
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._held[key]
