"""Active/active: Workers of both regions do the tasks of one namespace, wherever it is active.

What to see: polls at the passive region are forwarded to the active one, so both sets of Workers have work, before the
failover and after it. The price is a way between regions for half of the tasks.

    python examples/workers/active_active.py
"""

from __future__ import annotations

from pattern import EAST, WEST, TaskLog, customers, run, workers

from mockcloud import MockCloud


async def main() -> None:
    """A failover by hand, with all regions healthy."""
    async with MockCloud(regions=[EAST, WEST]) as cloud:
        orders, log = await cloud.create_namespace("orders"), TaskLog()
        async with workers(log, EAST, orders), workers(log, WEST, orders), customers(orders):
            await log.enough("orders", EAST, WEST)
            log.tell("before", "orders")
            operation = await orders.failover(WEST)
            print(f"failover to {WEST}: {operation.mode}, {operation.seconds:.3f} s")
            log.begin_phase()
            await log.enough("orders", EAST, WEST)
            log.tell("after", "orders")
            print(f"nobody did a task of orders for {log.pause('orders'):.3f} s")


if __name__ == "__main__":
    run(main)
