"""What the passive side costs: processor time for each change of a cloud with one region, and of one with two.

`python -m bench.passive [--count N] [--rounds N]` prints one JSON object, in microseconds a call, for signals and for
workflows with one activity. The active side's share is what a cloud of one region takes, with its gRPC server; the
second region's is what a cloud of two takes more, until everything is applied: sending, receiving and applying.
Clouds of one and of two regions take turns, and the cheapest round of each counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc.aio

from bench.__main__ import EAST, SIGNAL, WEST, cloud, processor_seconds
from bench.crash import caught_up
from bench.load import one_activity, signal_request, start_all

_IN_FLIGHT: Final = 50

Work = Callable[[str, str, int], Awaitable[None]]  # address, a prefix of ids, how many


async def _spread(
    address: str, count: int, one: Callable[[grpc.aio.Channel, int, int], Awaitable[object]]
) -> None:
    """Do `one(channel, lane, number)` so many times, fifty at a time."""
    numbers = iter(range(count))
    async with grpc.aio.insecure_channel(address) as channel:

        async def lane(index: int) -> None:
            for number in numbers:
                await one(channel, index, number)

        await asyncio.gather(*(lane(index) for index in range(_IN_FLIGHT)))


async def _signals(address: str, prefix: str, count: int) -> None:
    ids = [f"{prefix}-{number}" for number in range(_IN_FLIGHT)]
    await start_all(address, ids)
    requests = [signal_request(workflow_id) for workflow_id in ids]
    await _spread(
        address,
        count,
        lambda channel, _, number: channel.unary_unary(SIGNAL)(requests[number % _IN_FLIGHT], timeout=60),
    )


async def _workflows(address: str, prefix: str, count: int) -> None:
    await _spread(
        address,
        count // 5,
        lambda channel, lane, number: one_activity(channel, f"{prefix}-{number}", f"queue-{lane}"),
    )


async def _cost(ready: dict[str, Any], work: Work, count: int) -> float:
    """Processor seconds of the cloud for the work, until all regions have it. The first fifth warms up."""
    await work(ready["address"], "warm", count // 5)
    await caught_up(ready["cloud_ops"])
    begin = processor_seconds(ready)
    await work(ready["address"], "measured", count)
    await caught_up(ready["cloud_ops"])
    return processor_seconds(ready) - begin


async def compare(count: int, rounds: int) -> dict[str, dict[str, float]]:
    """Microseconds of each share, by kind of work."""
    kinds: dict[str, tuple[Work, int]] = {
        "signal": (_signals, count),
        "one-activity workflow": (_workflows, count // 5),
    }
    least: dict[tuple[str, int], float] = {}
    for _ in range(rounds):
        for regions in ((EAST,), (EAST, WEST)):
            for name, (work, calls) in kinds.items():
                with cloud(*(option for region in regions for option in ("--region", region))) as ready:
                    each = await _cost(ready, work, count) / calls * 1e6
                key = (name, len(regions))
                least[key] = min(each, least.get(key, each))
    return {
        name: {
            "active_us": round(least[name, 1]),
            "second_region_us": round(least[name, 2] - least[name, 1]),
            "second_of_active": round(least[name, 2] / least[name, 1] - 1, 2),
        }
        for name in kinds
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.passive")
    parser.add_argument("--count", type=int, default=5_000, help="signals; a fifth as many workflows")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(compare(options.count, options.rounds)), indent=1), flush=True)
