"""Hot standby: Workers run in both regions, but only those of the active region get tasks.

What to see: with `disable_passive_poller_forwarding` the polls of the standby Workers wait in their own region and are
served the moment that it turns active; no task ever crosses between regions.

    python examples/workers/hot.py
"""

from __future__ import annotations

from pattern import EAST, WEST, TaskLog, customers, keep_polls, run, workers

from mockcloud import MockCloud


async def main() -> None:
    """An outage of the active region, with warm Workers in the other one."""
    async with MockCloud(regions=[EAST, WEST]) as cloud:
        orders, log = await cloud.create_namespace("orders"), TaskLog()
        await keep_polls(cloud, "orders")
        async with workers(log, WEST, orders), customers(orders):
            async with workers(log, EAST, orders):
                await log.enough("orders", EAST)
                log.tell("before", "orders")
            await cloud.region(EAST).kill()
            log.begin_phase()
            operation = await orders.failover(WEST)
            print(
                f"{EAST} and its Workers are gone; failover to {WEST}: {operation.mode}, {operation.seconds:.3f} s"
            )
            await log.enough("orders", WEST)
            log.tell("after", "orders")
            print(f"nobody did a task of orders for {log.pause('orders'):.3f} s")


if __name__ == "__main__":
    run(main)
