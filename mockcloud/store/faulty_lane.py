"""A lane whose commits meet what is wrong with the disk: they take longer, or fail and leave nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

from mockcloud.store.writer import Lane

Disk: TypeAlias = Callable[[], Coroutine[Any, Any, None] | None]
"""Called before each commit. None: nothing is wrong; else what to wait for, which may raise sqlite3.Error."""


class FaultyLane:
    """`inner` behind `disk`."""

    def __init__(self, inner: Lane, disk: Disk) -> None:
        self.connection: Final = inner.connection
        self._inner: Final = inner
        self._disk: Final = disk
        self._waiting: asyncio.Task[None] | None = None
        self._abandoned = False

    async def commit(self) -> None:
        trouble = self._disk()
        if trouble is not None:
            self._waiting = asyncio.get_running_loop().create_task(trouble, name="disk")
            try:
                await self._waiting
            except asyncio.CancelledError:
                if not self._abandoned:
                    raise
                raise sqlite3.OperationalError("killed before it was committed") from None
            finally:
                self._waiting = None
        await self._inner.commit()

    def abandon(self) -> None:
        """Whoever waits for the disk is killed: what was not committed is not."""
        self._abandoned = True
        if self._waiting is not None:
            self._waiting.cancel()

    async def close(self) -> None:
        await self._inner.close()
