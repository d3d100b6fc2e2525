"""A lane whose commits meet what is wrong with the disk: they take longer, or fail and leave nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from mockcloud.store.writer import Lane


class FaultyLane:
    """`inner` behind `disk`, which is called before each commit: it may wait, and it may raise sqlite3.Error."""

    def __init__(self, inner: Lane, disk: Callable[[], Awaitable[None]]) -> None:
        self.connection: Final = inner.connection
        self._inner: Final = inner
        self._disk: Final = disk

    async def commit(self) -> None:
        await self._disk()
        await self._inner.commit()

    async def close(self) -> None:
        await self._inner.close()
