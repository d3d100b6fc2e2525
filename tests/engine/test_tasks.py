"""The tasks of a region: what becomes of work whose caller has gone."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import Any

import pytest

from mockcloud.core.errors import NotFound
from mockcloud.engine.tasks import Tasks


async def abandon(error: Exception) -> list[dict[str, Any]]:
    """Have shielded work fail with `error` once its caller has been cancelled; what asyncio complains of."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    tasks, gate = Tasks(), asyncio.Event()

    async def work() -> None:
        await gate.wait()
        raise error

    caller = asyncio.create_task(tasks.shielded(work()))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    gate.set()
    await tasks.wait()
    await asyncio.sleep(0)
    del caller  # its traceback holds the work's task, and asyncio complains when that goes
    gc.collect()
    return complaints


@pytest.mark.parametrize(
    ("error", "logged"), [(NotFound("no such run"), 0), (ValueError("a bug"), 1)], ids=["refused", "fault"]
)
async def test_a_refusal_is_for_the_caller_and_a_fault_for_the_log(
    error: Exception, logged: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        assert await abandon(error) == []
    assert [record.exc_info is not None for record in caplog.records] == [True] * logged
