"""A cloud in the foreground of a terminal or a script, until SIGINT or SIGTERM; a second one ends it at once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import click

if TYPE_CHECKING:
    from mockcloud.cloud.composition import Cloud
    from mockcloud.cloud.settings import CloudSettings

Serving: TypeAlias = "Callable[[Cloud, asyncio.Event], Awaitable[None]]"


def run(settings: Callable[[], CloudSettings], serving: Serving) -> NoReturn:
    """Start a cloud, call `serving` with it and the event that says to stop, and end the process after it.

    What keeps it from starting is one line on standard error and exit code 1.
    """
    gc.disable()  # until the cloud has started: what is imported and made for it is no garbage
    _leave_the_sdk_out()
    _poll_without_more_threads()
    from mockcloud.core.errors import ServiceError, StartupError

    try:
        _run(settings(), serving)
        code = 0
    except (ServiceError, StartupError) as error:
        click.echo(f"mockcloud: {error}", err=True)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is closed; the interpreter's own shutdown would only take time.
    os._exit(code)


def _leave_the_sdk_out() -> None:
    """Have the API's messages without the SDK around them: its client and its Rust core take 25 ms and 6 MB to load.

    `temporalio/__init__.py` loads them and does nothing else that the messages need, so it is not executed. What of
    the SDK is imported by its name afterwards is as always.
    """
    spec = importlib.util.find_spec("temporalio")
    assert spec is not None, "a dependency"
    sys.modules.setdefault("temporalio", importlib.util.module_from_spec(spec))


def _poll_without_more_threads() -> None:
    """Have gRPC read its sockets in the thread that waits for its events, not in a pool of threads beside that.

    A call costs 4 to 18 % less CPU so, since fewer threads wake each other (the fewer calls at once, the more). It is
    gRPC's own switch, read when the library is first used. A release that has it no more says so on standard error.
    Who has set the variable has the word.
    """
    os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")


def _run(settings: CloudSettings, serving: Serving) -> None:
    loop_factory: Any = None
    with contextlib.suppress(ImportError):
        import uvloop

        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_serve(settings, serving))


async def _serve(settings: CloudSettings, serving: Serving) -> None:
    from mockcloud.cloud.composition import Cloud

    stop = asyncio.Event()

    def stopping() -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping)
    cloud = Cloud(settings)
    await cloud.start()
    # Nearly everything here lives long or is freed by its reference count: look for cycles rarely, and not among what
    # is there by now.
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    gc.enable()
    try:
        await serving(cloud, stop)
    finally:
        await cloud.close()
