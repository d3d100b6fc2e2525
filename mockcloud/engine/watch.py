"""Long polls on runs: wake whoever waits for a run to change. Carries no data: who wakes looks again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from mockcloud.core.run import Run, RunKey
from mockcloud.engine.commit import Committed
from mockcloud.engine.namespaces import Namespace


class Watcher:
    """One waiter of one run. Changes from its making on are not missed."""

    def __init__(self, *, close_only: bool) -> None:
        self._close_only = close_only
        self._changed = asyncio.Event()

    def notify(self, run: Run) -> None:
        """The run changed."""
        if not (self._close_only and run.open):
            self._changed.set()

    async def wait(self, deadline: float) -> bool:
        """Whether the run has changed, or closed, since the last call; False at the loop's time `deadline`."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return True


class Watch:
    """All waiters of a region, by run."""

    def __init__(self) -> None:
        self._watchers: dict[RunKey, set[Watcher]] = {}

    def committed(self, namespace: Namespace, committed: Committed) -> None:
        """Listener of `Changes`."""
        if self._watchers:
            for watcher in self._watchers.get(committed.run.key, ()):
                watcher.notify(committed.run)

    @contextmanager
    def watching(self, key: RunKey, *, close_only: bool = False) -> Iterator[Watcher]:
        """A waiter of the run, from now to the end of the block. `close_only`: what leaves it open is nothing to it."""
        watcher = Watcher(close_only=close_only)
        watchers = self._watchers.setdefault(key, set())
        watchers.add(watcher)
        try:
            yield watcher
        finally:
            watchers.discard(watcher)
            if not watchers and self._watchers.get(key) is watchers:
                del self._watchers[key]
