"""`python -m bench [--full] [-o json]`: the whole table, within a minute (longer with --full)."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import psutil
from rich.console import Console
from rich.table import Table

from bench import histories
from bench.load import (
    PREFIX,
    describe_request,
    drive,
    lengthen,
    round_robin,
    signal_request,
    start_all,
    start_request,
)

SIGNAL, START, DESCRIBE = (
    PREFIX + name
    for name in ("SignalWorkflowExecution", "StartWorkflowExecution", "DescribeWorkflowExecution")
)
WEST, EAST = "aws-us-west-2", "aws-us-east-1"


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A child that has printed its first line when the block is entered (it is in `.stdout`)."""
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.terminate()


def first_line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    line = child.stdout.readline().strip()
    if not line:
        raise SystemExit(f"{child.args} ended before it was ready")
    return line


@contextmanager
def cloud(*options: str) -> Iterator[dict[str, Any]]:
    """`mockcloud up`; its ready line, with the process id and the seconds it took."""
    begin = time.perf_counter()
    # A region under full load may not be left because of that.
    fixed = ("up", "--port", "0", "-o", "json", "--no-managed-failover")
    with process("-m", "mockcloud.cli.main", *fixed, *options) as child:
        ready: dict[str, Any] = json.loads(first_line(child))
        ready["seconds"] = time.perf_counter() - begin
        ready["pid"] = child.pid
        ready["address"] = ready["namespaces"]["default"]["endpoint"]
        yield ready


def workflows(address: str, seconds: float) -> dict[str, float]:
    output = subprocess.run(
        [sys.executable, "-m", "bench.workflows", address, str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    result: dict[str, float] = json.loads(output.splitlines()[-1])
    return result


def command(ready: dict[str, Any], *arguments: str) -> Any:
    """A `mockcloud` command against a running cloud, its JSON."""
    output = subprocess.run(
        [sys.executable, "-m", "mockcloud.cli.main", *arguments, "--cloud", ready["cloud_ops"], "-o", "json"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    return json.loads(output)


def resident(ready: dict[str, Any]) -> float:
    return psutil.Process(ready["pid"]).memory_info().rss / 2**20


def processor_seconds(ready: dict[str, Any]) -> float:
    times = psutil.Process(ready["pid"]).cpu_times()
    return float(times.user + times.system)


async def calls(address: str, seconds: float) -> dict[str, float]:
    """starts, signals and describes of one server."""
    ids = [f"bench-{number}" for number in range(50)]
    await start_all(address, ids)
    signals = await drive(
        address, SIGNAL, round_robin([signal_request(name) for name in ids]), in_flight=50, seconds=seconds
    )
    starts = await drive(
        address, START, lambda number: start_request(f"start-{number}"), in_flight=50, seconds=seconds
    )
    describes = await drive(
        address,
        DESCRIBE,
        round_robin([describe_request(name) for name in ids]),
        in_flight=50,
        seconds=seconds,
    )
    serial = await drive(
        address,
        DESCRIBE,
        round_robin([describe_request(name) for name in ids]),
        in_flight=1,
        seconds=seconds / 2,
    )
    return {
        "signals_per_second": signals.rate,
        "signals_p99_ms": signals.p99,
        "starts_per_second": starts.rate,
        "describes_per_second": describes.rate,
        "describe_serial_ms": serial.p50,
    }


async def history_cost(address: str, lengths: list[int]) -> dict[str, float]:
    """Milliseconds of a signal and a describe to a run with so many events."""
    result = {}
    async with grpc.aio.insecure_channel(address) as channel:
        await channel.unary_unary(START)(start_request("long", "bench-long"), timeout=10)
    for length in lengths:
        await lengthen(address, "long", "bench-long", length)
        signal = await drive(address, SIGNAL, round_robin([signal_request("long")]), in_flight=1, seconds=0.4)
        describe = await drive(
            address, DESCRIBE, round_robin([describe_request("long")]), in_flight=1, seconds=0.4
        )
        result[f"signal_ms_at_{length}_events"] = signal.p50
        result[f"describe_ms_at_{length}_events"] = describe.p50
    return result


async def pause(ready: dict[str, Any], region: str, *, lanes: int) -> dict[str, float]:
    """The longest time for which no signal was answered around a graceful failover, in milliseconds."""
    ids = [f"pause-{region}-{number}" for number in range(lanes)]
    await start_all(ready["address"], ids)
    answered: list[float] = []
    slowest = 0.0
    failed = 0
    stop = asyncio.Event()

    async def lane(name: str) -> None:
        nonlocal slowest, failed
        async with grpc.aio.insecure_channel(ready["address"]) as channel:
            call = channel.unary_unary(SIGNAL)
            request = signal_request(name)
            while not stop.is_set():
                begin = time.perf_counter()
                try:
                    await call(request, timeout=20)
                except grpc.aio.AioRpcError:
                    failed += 1
                answered.append(time.perf_counter())
                slowest = max(slowest, answered[-1] - begin)
                await asyncio.sleep(0.001)

    tasks = [asyncio.create_task(lane(name)) for name in ids]
    await asyncio.sleep(0.5)
    operation = await asyncio.to_thread(command, ready, "failover", "default", region)
    await asyncio.sleep(0.5)
    stop.set()
    await asyncio.gather(*tasks)
    answered.sort()
    gap = max((later - earlier for earlier, later in itertools.pairwise(answered)), default=0)
    return {"gap_ms": gap * 1000, "slowest_call_ms": slowest * 1000, "failed": failed, "operation": operation}


async def lag_under_load(ready: dict[str, Any]) -> dict[str, float]:
    """Lag percentiles as the cloud itself measured them over the load before."""
    lags = await asyncio.to_thread(command, ready, "lag")
    return {
        "lag_p50_ms": max(entry["p50"] for entry in lags) * 1000,
        "lag_p99_ms": max(entry["p99"] for entry in lags) * 1000,
    }


def in_process_start() -> float:
    """Milliseconds from `MockCloud()` to ready in a process that has imported it; best of three."""
    code = (
        "import time\n"
        "from mockcloud import MockCloud\n"
        "best = 9e9\n"
        "for number in range(4):\n"
        "    begin = time.perf_counter()\n"
        "    cloud = MockCloud(namespaces=['default']); cloud.start()\n"
        "    if number: best = min(best, time.perf_counter() - begin)\n"
        "    cloud.stop()\n"
        "print(best * 1000, flush=True)\n"
        "import os; os._exit(0)\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return float(output.split()[-1])


async def null_servers() -> dict[str, float]:
    """What the null servers do now: measured right before each mode, because a machine's speed drifts."""
    request = round_robin([signal_request("bench-1")])
    with process("-m", "bench.echo") as child:
        address = f"127.0.0.1:{first_line(child)}"
        echo = await drive(address, SIGNAL, request, in_flight=50, seconds=2.0)
    with process("-m", "bench.null_temporal") as child:
        address = f"127.0.0.1:{first_line(child)}"
        return {"echo_per_second": echo.rate, "echo_p99_ms": echo.p99} | await asyncio.to_thread(
            workflows, address, 3.0
        )


async def run(*, full: bool) -> dict[str, Any]:
    seconds = 2.0
    table: dict[str, Any] = {}
    table["start"] = {"mockcloud_up_ms": 9e9, "MockCloud_ms": await asyncio.to_thread(in_process_start)}
    for _ in range(3):
        with cloud() as ready:
            table["start"]["mockcloud_up_ms"] = min(
                table["start"]["mockcloud_up_ms"], ready["seconds"] * 1000
            )
    directory = tempfile.mkdtemp(prefix="mockcloud-bench-")
    try:
        for name, options in (("temporary", ()), ("data-dir", ("--data-dir", str(Path(directory) / "data")))):
            null = table[f"null servers before {name}"] = await null_servers()
            with cloud(*options) as ready:
                row: dict[str, Any] = {"idle_MiB": resident(ready)}
                if name == "temporary":
                    row |= {
                        f"idle {key}": value for key, value in (await pause(ready, WEST, lanes=1)).items()
                    }
                    await asyncio.to_thread(command, ready, "failover", "default", EAST)
                row |= await calls(ready["address"], seconds)
                row |= await lag_under_load(ready)
                row |= await asyncio.to_thread(workflows, ready["address"], 4.0)
                row["MiB_after_load"] = resident(ready)
                if name == "temporary":
                    row |= await history_cost(ready["address"], [10, 1000, *([10_000] if full else [])])
                    row |= {
                        f"loaded {key}": value for key, value in (await pause(ready, WEST, lanes=20)).items()
                    }
                row["signals / null echo"] = row["signals_per_second"] / null["echo_per_second"]
                row["workflows / null Temporal"] = row["workflows_per_second"] / null["workflows_per_second"]
                table[name] = row
        with cloud() as ready:

            async def restart(ready: dict[str, Any] = ready) -> None:
                for verb in ("kill", "start"):
                    await asyncio.to_thread(command, ready, "region", verb, EAST)

            table["long histories"] = await histories.costs(
                ready["address"],
                lambda: processor_seconds(ready),
                restart,
                histories.LENGTHS if full else histories.LENGTHS[:2],
            )
        if full:
            with cloud() as ready:
                await start_all(ready["address"], [f"open-{number}" for number in range(10_000)])
                signals = await drive(
                    ready["address"],
                    SIGNAL,
                    lambda number: signal_request(f"open-{number % 10_000}"),
                    in_flight=50,
                    seconds=seconds,
                )
                table["10,000 open"] = {"MiB": resident(ready), "signals_per_second": signals.rate}
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument(
        "--full", action="store_true", help="with 10,000 open workflows, and histories of 10,000 events"
    )
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text")
    arguments = parser.parse_args()
    table = asyncio.run(run(full=arguments.full))
    if arguments.output == "json":
        print(json.dumps(table))
        return
    console = Console()
    for name, row in table.items():
        shown = Table(title=name, title_justify="left", show_header=False)
        for key, value in row.items():
            shown.add_row(key, f"{value:,.2f}" if isinstance(value, float) else str(value))
        console.print(shown)


if __name__ == "__main__":
    main()
