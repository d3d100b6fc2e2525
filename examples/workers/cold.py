"""Cold standby: Workers run in the active region only; those of the other one are started after the failover.

What to see: with its region go its Workers. Nothing is done until somebody has failed over *and* started new ones: the
longest of all pauses, for the price of one set of Workers.

    python examples/workers/cold.py
"""

from __future__ import annotations

from pattern import EAST, WEST, TaskLog, customers, run, workers

from mockcloud import MockCloud


async def main() -> None:
    """An outage of the region that did all the work."""
    async with MockCloud(regions=[EAST, WEST]) as cloud:
        orders, log = await cloud.create_namespace("orders"), TaskLog()
        async with customers(orders):
            async with workers(log, EAST, orders):
                await log.enough("orders", EAST)
                log.tell("before", "orders")
            await cloud.region(EAST).kill()
            log.begin_phase()
            operation = await orders.failover(WEST)
            print(
                f"{EAST} and its Workers are gone; failover to {WEST}: {operation.mode}, {operation.seconds:.3f} s"
            )
            async with workers(log, WEST, orders):
                await log.enough("orders", WEST)
                log.tell("after", "orders")
                print(f"nobody did a task of orders for {log.pause('orders'):.3f} s")


if __name__ == "__main__":
    run(main)
