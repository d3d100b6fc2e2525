"""`python -m bench.endpoint [rounds]`: what the namespace endpoint costs, against the same region without it.

Rounds alternate between both ways, and the processor time of the cloud's process is told beside the clock's: on a busy
machine only that can be compared.
"""

from __future__ import annotations

import asyncio
import signal
import statistics
import sys
from dataclasses import dataclass

import psutil

from bench.__main__ import DESCRIBE, EAST, first_line, process
from bench.load import describe_request, drive, round_robin, start_all
from mockcloud import MockCloud

SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Round:
    """Figures of one address: calls per second, their median in ms, and processor time of the cloud per call in ms."""

    rate: float
    p50: float
    processor: float


async def measure(address: str, server: psutil.Process, in_flight: int) -> Round:
    requests = round_robin([describe_request(f"bench-{number}") for number in range(50)])
    before = server.cpu_times()
    measured = await drive(address, DESCRIBE, requests, in_flight=in_flight, seconds=SECONDS)
    after = server.cpu_times()
    spent = after.user + after.system - before.user - before.system
    return Round(measured.rate, measured.p50, spent * 1000 / (measured.rate * SECONDS))


async def main(rounds: int) -> None:
    with process("-m", "bench.endpoint", "serve") as child:
        addresses = dict(zip(("direct", "endpoint"), first_line(child).split(), strict=True))
        server = psutil.Process(child.pid)
        await start_all(addresses["direct"], [f"bench-{number}" for number in range(50)])
        for in_flight in (1, 50):
            found: dict[str, list[Round]] = {"direct": [], "endpoint": []}
            for _ in range(rounds):
                for name, address in addresses.items():
                    found[name].append(await measure(address, server, in_flight))
            for name, figures in found.items():
                rate, p50, processor = (
                    statistics.median(getattr(figure, field) for figure in figures)
                    for field in ("rate", "p50", "processor")
                )
                print(
                    f"{in_flight:2} in flight, {name:8}: {rate:7.0f} calls/s, p50 {p50:.3f} ms, "
                    f"{processor:.3f} ms of processor time per call"
                )


def serve() -> None:
    """A cloud whose region can be reached past its endpoint, until it is killed."""
    with MockCloud(namespaces=["default"]) as cloud:
        host, port = cloud.asynchronous.call(lambda: cloud.asynchronous.cloud.node(EAST).address)
        print(f"{host}:{port}", str(cloud.namespace("default").endpoint), flush=True)
        signal.pause()


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
