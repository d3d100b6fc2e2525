"""mockcloud: Temporal Cloud with High Availability on a laptop.

    async with MockCloud() as cloud:
        orders = await cloud.create_namespace("orders")
        client = await orders.client()
        await orders.failover("aws-us-west-2")

The package is lazy: importing it costs nothing until `MockCloud` is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mockcloud.cloud.blocking_facade import BlockingCloud
    from mockcloud.cloud.facade import MockCloud

__all__ = ["BlockingCloud", "MockCloud"]


def __getattr__(name: str) -> object:
    if name == "MockCloud":
        from mockcloud.cloud.facade import MockCloud

        return MockCloud
    if name == "BlockingCloud":
        from mockcloud.cloud.blocking_facade import BlockingCloud

        return BlockingCloud
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
