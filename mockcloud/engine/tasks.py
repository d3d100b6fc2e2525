"""The asyncio tasks of one region's life: kept alive while they run, and ended all at once.

Everything that must outlive the call that caused it runs here. Nothing may be started once the region has
ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from mockcloud.core.errors import RegionKilled, ServiceError

T = TypeVar("T")

log = logging.getLogger(__name__)


class Tasks:
    """Strong references to running tasks. Belongs to one event loop."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self._ended = False

    def spawn(self, work: Coroutine[Any, Any, T], name: str | None = None) -> asyncio.Task[T]:
        """Run `work` on its own.

        Its result or error is for whoever awaits the task. Raises RegionKilled when ended.
        """
        if self._ended:
            work.close()
            raise RegionKilled
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def background(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None] | None:
        """Run `work` that nobody awaits; an error of it is logged, for it would be lost otherwise.

        The task, for whoever may want to cancel it; None when ended.
        """
        if self._ended:
            work.close()
            return None
        task = self.spawn(work, name)
        task.add_done_callback(_report)
        return task

    async def shielded(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which goes on when the caller is cancelled. Raises RegionKilled when it was ended.

        With the caller gone, a ServiceError is told to nobody; any other error is logged.
        """
        task = self.spawn(work)
        # Not asyncio.shield: that has one callback more, and hands on a result that the task has anyway.
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def end(_: asyncio.Task[T]) -> None:
            if not ended.done():
                ended.set_result(None)

        task.add_done_callback(end)
        try:
            await ended
        except asyncio.CancelledError:
            task.add_done_callback(_report_fault)
            raise
        if task.cancelled() and self._ended:
            raise RegionKilled
        return task.result()

    def end(self) -> None:
        """Cancel everything and refuse what comes."""
        self._ended = True
        for task in tuple(self._running):
            task.cancel()

    async def wait(self) -> None:
        """Return once everything that runs now has ended, well or badly.

        The calling task is not waited for.
        """
        others = [task for task in self._running if task is not asyncio.current_task()]
        if others:
            await asyncio.wait(others)


def _report(task: asyncio.Task[Any]) -> None:
    if task.cancelled():
        return
    error = task.exception()
    if error is not None and not isinstance(error, RegionKilled):
        log.error("%s failed", task.get_name(), exc_info=error)


def _report_fault(task: asyncio.Task[Any]) -> None:
    """Log what is no answer to a call."""
    if not task.cancelled() and not isinstance(task.exception(), ServiceError):
        _report(task)
