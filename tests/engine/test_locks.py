"""Locks by key: one at a time, in order, and none is lost with a cancelled waiter."""

from __future__ import annotations

import asyncio

from mockcloud.engine.locks import KeyedLocks


async def test_holders_come_one_after_the_other_in_order() -> None:
    locks = KeyedLocks()
    order: list[int] = []

    async def work(number: int) -> None:
        await locks.acquire("key")
        order.append(number)
        await asyncio.sleep(0)
        assert order[-1] == number
        locks.release("key")

    await asyncio.gather(*(work(number) for number in range(5)))
    assert order == [0, 1, 2, 3, 4]
    assert len(locks) == 0


async def test_a_lock_that_is_held_is_not_taken() -> None:
    locks = KeyedLocks()
    assert locks.try_acquire("key")
    assert not locks.try_acquire("key")
    locks.release("key")
    assert locks.try_acquire("key")


async def test_keys_do_not_hold_each_other_up() -> None:
    locks = KeyedLocks()
    await locks.acquire("one")
    await asyncio.wait_for(locks.acquire("two"), 1)
    assert len(locks) == 2


async def test_a_cancelled_waiter_hands_the_lock_on() -> None:
    locks = KeyedLocks()
    await locks.acquire("key")
    gone = asyncio.ensure_future(locks.acquire("key"))
    handed = asyncio.ensure_future(locks.acquire("key"))
    last = asyncio.ensure_future(locks.acquire("key"))
    await asyncio.sleep(0)
    gone.cancel()
    locks.release("key")  # goes to `handed`, which is cancelled in the same instant
    handed.cancel()
    await asyncio.wait_for(last, 1)
    locks.release("key")
    assert len(locks) == 0
