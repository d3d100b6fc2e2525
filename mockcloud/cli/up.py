"""`mockcloud up`: a cloud in the foreground, until SIGINT or SIGTERM.

Standard output carries only the ready line, or the live line on a terminal. Logs go to standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import click

DEFAULT_PORT = 7233


def _directory(context: click.Context, parameter: click.Parameter, value: str | None) -> Path | None:
    if value is not None and not value.strip():
        # An unset variable in a script must not mean the current directory.
        raise click.BadParameter("the name of a directory is empty", context, parameter)
    return Path(value) if value is not None else None


@click.command()
@click.option(
    "--port",
    default=DEFAULT_PORT,
    show_default=True,
    help="Namespace endpoint; the others follow. 0: free ports.",
)
@click.option(
    "--namespace", "namespaces", multiple=True, default=("default",), show_default=True, help="Repeatable."
)
@click.option(
    "--region", "regions", multiple=True, help="Repeatable; the first is active. [default: two of AWS]"
)
@click.option(
    "--data-dir", callback=_directory, metavar="DIR", help="Keep everything there. [default: temporary files]"
)
@click.option("--output", "-o", type=click.Choice(["text", "json"]), default="text", show_default=True)
def up(
    port: int, namespaces: tuple[str, ...], regions: tuple[str, ...], data_dir: Path | None, output: str
) -> None:
    """Start replicated regions, the control plane and the endpoints."""
    from mockcloud.cloud.settings import DEFAULT_REGIONS, CloudSettings
    from mockcloud.core.errors import ServiceError, StartupError

    settings = CloudSettings(
        regions=regions or DEFAULT_REGIONS, namespaces=namespaces, data_dir=data_dir, port=port
    )
    try:
        code = _run(settings, json_output=output == "json")
    except (ServiceError, StartupError) as error:
        click.echo(f"mockcloud: {error}", err=True)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is closed; the interpreter's own shutdown would only take time.
    os._exit(code)


def _run(settings: Any, *, json_output: bool) -> int:
    _log_to_stderr()
    # Nearly everything here lives long or is freed by its reference count: look for cycles rarely.
    gc.set_threshold(20_000, 50, 100)
    loop_factory: Any = None
    with contextlib.suppress(ImportError):
        import uvloop

        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(_serve(settings, json_output=json_output))


def _log_to_stderr() -> None:
    """Plain lines on standard error: standard output belongs to the ready line. Raises StartupError."""
    from mockcloud.core.errors import StartupError

    level = os.environ.get("MOCKCLOUD_LOG", "INFO").upper()
    if level not in logging.getLevelNamesMapping():
        raise StartupError(f"MOCKCLOUD_LOG is no level of logging: {level}")
    logging.basicConfig(
        stream=sys.stderr,
        level=level,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )


async def _serve(settings: Any, *, json_output: bool) -> int:
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
    try:
        ready = cloud.addresses()
        if json_output:
            click.echo(json.dumps(ready))
        else:
            click.echo(_ready_line(ready))
        sys.stdout.flush()
        if sys.stdout.isatty() and not json_output:
            await _live(cloud, stop)
        else:
            await stop.wait()
    finally:
        await cloud.close()
    return 0


def _ready_line(ready: dict[str, Any]) -> str:
    namespaces = ", ".join(f"{name} at {entry['endpoint']}" for name, entry in ready["namespaces"].items())
    regions = ", ".join(f"{name} at {address}" for name, address in ready["regions"].items())
    return f"ready: namespaces {namespaces}; regions {regions}; Cloud Ops at {ready['cloud_ops']}"


async def _live(cloud: Any, stop: asyncio.Event) -> None:
    """One line that always tells the state: regions, active ones, lag, open workflows."""
    from rich.live import Live
    from rich.text import Text

    with Live(Text(""), auto_refresh=False, transient=True) as live:
        while not stop.is_set():
            line = Text(describe(await cloud.status()), no_wrap=True, overflow="ellipsis")
            live.update(line, refresh=True)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.5)


def describe(status: Any) -> str:
    """The state of a cloud in one line."""
    regions = "  ".join(f"{region.name} {'up' if region.up else 'DOWN'}" for region in status.regions)
    namespaces = "  ".join(
        f"{entry.name}: active {entry.active_region}, "
        f"lag {max((lag.age for lag in entry.lag), default=0.0) * 1000:.0f} ms, "
        f"{max((view.open_workflows for view in entry.regions), default=0)} open"
        for entry in status.namespaces
    )
    faults = f"  faults: {', '.join(status.faults)}" if status.faults else ""
    return f"{regions}  |  {namespaces}{faults}"
