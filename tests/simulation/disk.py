"""A region's disk that takes its time, and that a crash finds in the middle of a commit or just behind it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from mockcloud.store.database import Store
from mockcloud.store.writer import InlineLane


class Disk(InlineLane):
    """The lane of one life of a region. Faults are set from outside: `seconds`, `crash_at`."""

    def __init__(self, store: Store, rng: random.Random, crash: Callable[[], None]) -> None:
        super().__init__(store._lane.connection)
        self._store = store
        self._rng = rng
        self._crash = crash
        self.seconds = 0.0  # that a commit takes at most
        self.crash_at = (
            ""  # "before" or "after": the next commit is the last one, and is lost, or its answer is
        )
        store._lane = store._writer._lane = self

    async def commit(self) -> None:
        if self.seconds:
            await asyncio.sleep(self._rng.uniform(0.0, self.seconds))
        if self._store._fenced and self._rng.random() < 0.5:  # the region died meanwhile
            self.connection.execute("ROLLBACK")
            return
        crash_at, self.crash_at = self.crash_at, ""
        if crash_at == "before" and not self._store._fenced:
            self.connection.execute("ROLLBACK")
            self._crash()
            return
        await super().commit()
        if crash_at == "after" and not self._store._fenced:
            self._crash()
