"""Dual active: two namespaces, each active in another region, and Workers of both in each region.

What to see: both regions do work all the time, but each order stays within one region. When one namespace fails over,
the standby Workers of the other region take it up, and the other namespace notices nothing.

    python examples/workers/dual_active.py
"""

from __future__ import annotations

from pattern import EAST, WEST, TaskLog, customers, keep_polls, run, workers

from mockcloud import MockCloud

NAMESPACES = ("orders-east", "orders-west")


async def main() -> None:
    """One of the two namespaces leaves its region."""
    async with MockCloud(regions=[EAST, WEST]) as cloud:
        east = await cloud.create_namespace("orders-east", regions=[EAST, WEST])
        west = await cloud.create_namespace("orders-west", regions=[WEST, EAST])
        for name in NAMESPACES:
            await keep_polls(cloud, name)
        log = TaskLog()
        async with workers(log, EAST, east, west), workers(log, WEST, east, west), customers(east, west):
            await log.enough("orders-east", EAST)
            await log.enough("orders-west", WEST)
            log.tell("before", *NAMESPACES)
            operation = await east.failover(WEST)
            print(f"failover of orders-east to {WEST}: {operation.mode}, {operation.seconds:.3f} s")
            log.begin_phase()
            for name in NAMESPACES:
                await log.enough(name, WEST)
            log.tell("after", *NAMESPACES)
            for name in NAMESPACES:
                print(f"nobody did a task of {name} for {log.pause(name):.3f} s")


if __name__ == "__main__":
    run(main)
