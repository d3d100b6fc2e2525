"""What a conflict of many runs costs: both regions have written to each of them when the link heals.

`python -m bench.conflict [--runs N] [--events N]` starts runs, cuts the link, fails over by force and signals every run
as often on each side, in turn. After the heal it signals other runs of the same namespace and prints one JSON object:
seconds of wall and of processor time until nothing is outstanding in either direction, signals reapplied, and how long
the changes of the other runs took from their commit to the peer's, in milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import Final

from bench.backlog import EAST, WEST, signal_runs, start_runs
from bench.load import NAMESPACE, percentile
from mockcloud import MockCloud
from mockcloud.engine.commit import Committed
from mockcloud.engine.namespaces import Namespace

_OTHERS: Final = 20
_OTHERS_PAUSE: Final = 0.01


class Lags:
    """From the commit of a change to other runs in one region to that of the same events in the other, in seconds."""

    def __init__(self, ids: set[str]) -> None:
        self.seconds: list[float] = []
        self._ids = ids
        self._begun: dict[tuple[str, int], float] = {}

    @property
    def open(self) -> bool:
        """Whether a change is still on its way."""
        return bool(self._begun)

    def committed(self, _namespace: Namespace, change: Committed) -> None:
        """A commit in either region."""
        workflow_id = change.run.key.workflow_id
        if workflow_id not in self._ids:
            return
        now = time.perf_counter()
        for batch in change.batches:
            for event_id in range(batch.first_event_id, batch.last_event_id + 1):
                if change.made_here:
                    self._begun[workflow_id, event_id] = now
                else:
                    begun = self._begun.pop((workflow_id, event_id), None)
                    if begun is not None:
                        self.seconds.append(now - begun)


async def resolve(runs: int, events: int) -> dict[str, float]:
    """Make the conflict, heal, and measure until it is resolved."""
    ids = [f"torn-{number}" for number in range(runs)]
    others = [f"other-{number}" for number in range(_OTHERS)]
    async with MockCloud(regions=[EAST, WEST], namespaces=[NAMESPACE]) as cloud:
        namespace = cloud.namespace(NAMESPACE)
        east, west = (cloud.cloud.node(name) for name in (EAST, WEST))
        await cloud.run(start_runs(east, ids + others))
        await namespace.replicated()
        cut = cloud.link(EAST, WEST).partition()
        await cloud.run(signal_runs(east, ids, runs * events))
        await namespace.failover(WEST, forced=True)
        await cloud.run(signal_runs(west, ids, runs * events))
        lags = Lags(set(others))
        for node in (east, west):
            node.region.changes.listeners.append(lags.committed)
        resolving = True

        async def signal_others() -> None:
            while resolving:
                await signal_runs(west, others, 1)
                others.append(others.pop(0))
                await asyncio.sleep(_OTHERS_PAUSE)

        wall, processor = time.perf_counter(), time.process_time()
        cut.remove()
        signalling = asyncio.create_task(cloud.run(signal_others()))
        await resolved(cloud, ids, 2 * events)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        resolving = False
        await signalling
        await namespace.replicated()
        return {
            "runs": runs,
            "diverged_events_of_each_side": events,
            "seconds": round(wall, 2),
            "processor_seconds": round(processor, 2),
            "lags_of_others": len(lags.seconds),
            "lag_p50_ms": round(percentile(lags.seconds, 0.5) * 1000),
            "lag_p99_ms": round(percentile(lags.seconds, 0.99) * 1000),
            "lag_most_ms": round(max(lags.seconds) * 1000),
        }


async def resolved(cloud: MockCloud, ids: list[str], signals: int) -> None:
    """Return when both regions have the same current branch of each run, with so many signals in it."""
    east, west = (cloud.cloud.node(name).region for name in (EAST, WEST))

    async def settled(workflow_id: str) -> bool:
        seen = [
            await region.changes.read(
                region.namespaces.by_name(NAMESPACE),
                workflow_id,
                "",
                lambda run: (run.signal_count, run.next_event_id, run.last_write_version),
            )
            for region in (east, west)
        ]
        return seen[0] == seen[1] and seen[0][0] == signals

    for workflow_id in ids:
        while not await cloud.run(settled(workflow_id)):  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.conflict")
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--events", type=int, default=20, help="that each side writes to each run")
    options = parser.parse_args()
    print(json.dumps(asyncio.run(resolve(options.runs, options.events)), indent=1), flush=True)
