"""A second region that gets everything a fuzzed one has written, and what it made of it."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from functools import partial
from pathlib import Path

from temporalio.api.history.v1 import History

from mockcloud.api.state.v1.state_pb2 import RunRecord
from mockcloud.core.ports import Ports
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.region import Region
from mockcloud.replication.service import Replication
from mockcloud.rpc.faults import Links
from mockcloud.rpc.faulty_transport import FaultyTransport
from mockcloud.rpc.transport import Handlers
from mockcloud.store import dead_letters, history, log, parked
from mockcloud.store.database import Store
from tests.frontend.fuzz.world import CLUSTERS, LIMITS, World
from tests.replication.regions import FAST

_SECONDS = 60.0


async def differences(world: World, directory: Path) -> list[str]:
    """What a replica of `world` does not have, or has not as it is there: one line each."""
    store = await Store.open(directory / "B.sqlite", durable=False)
    ports = Ports(clock=world.clock, rng=random.Random(1))
    source, target = world.site.region, await Region.open("B", CLUSTERS, store, ports, LIMITS)
    links = Links(random.Random(1))
    replications = [_replication(world, region, links) for region in (source, target)]
    try:
        for replication in replications:
            await replication.start()
        found: list[str] = []
        async with asyncio.timeout(_SECONDS):
            for namespace in source.namespaces.all():
                if "B" in namespace.record.clusters:
                    position = await source.store.read(partial(log.last_position, namespace_id=namespace.id))
                    await replications[0].wait_acked(namespace.id, "B", position)
                    found += await _compared(namespace, source, target)
        return found
    finally:
        for replication in replications:
            await replication.stop()
        await target.close()


def _replication(world: World, region: Region, links: Links) -> Replication:
    transport = FaultyTransport(world.peers.transport(), region.name, links)
    replication = Replication(region, transport, links=links, settings=FAST)
    handlers = Handlers()
    replication.register(handlers)
    world.peers.serve(region.name, handlers)
    return replication


async def _compared(namespace: Namespace, source: Region, target: Region) -> list[str]:
    left, right = [
        await region.store.read(lambda c: _histories(c, namespace.id)) for region in (source, target)
    ]
    different = [f"{key} differs" for key in left.keys() | right.keys() if left.get(key) != right.get(key)]
    waiting = await target.store.read(lambda c: parked.first_parked(c, namespace.id))
    dead = await target.store.read(lambda c: dead_letters.list_dead_letters(c, namespace.id, 0, 10))
    return different + [f"parked: {task}" for task in waiting] + [f"dead: {letter}" for letter in dead]


def _histories(connection: sqlite3.Connection, namespace_id: str) -> dict[tuple[str, str], list[bytes]]:
    """The events of the current branch of each run."""
    sql = "SELECT workflow_id, run_id, record FROM runs WHERE namespace_id = ?"
    found = {}
    for workflow_id, run_id, data in connection.execute(sql, (namespace_id,)).fetchall():
        histories = RunRecord.FromString(data).version_histories
        branch = histories.histories[histories.current_index]
        batches = history.read_branch(connection, branch.branch_id, 1, branch.items[-1].event_id + 1)
        events = [event for batch in batches for event in History.FromString(batch.data).events]
        found[workflow_id, run_id] = [event.SerializeToString(deterministic=True) for event in events]
    return found
