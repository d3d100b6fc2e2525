"""One thread with one event loop, on which a whole cloud lives.

So a cloud works from any event loop, from blocking code, beside user code that blocks, and as often as wanted in one
process. Nothing outside this module touches the thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class LoopThread:
    """An event loop on a thread of its own; started by the constructor, ended by `stop`."""

    def __init__(self, name: str = "mockcloud") -> None:
        self.loop = _new_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        with contextlib.suppress(RuntimeError):
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run `coroutine` on the cloud's loop; the future is of the calling side."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` on the cloud's loop and block until it ends."""
        assert threading.current_thread() is not self._thread, "the cloud's own thread cannot wait for itself"
        return self.submit(coroutine).result()

    def call(self, function: Callable[[], T]) -> T:
        """Call `function` on the cloud's loop and block until it has returned."""

        async def run() -> T:
            return function()

        return self.wait(run())

    def stop(self) -> None:
        """End the loop and join its thread; tasks still running are cancelled."""
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):
                self.wait(_cancel_all())
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()


async def _cancel_all() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
