"""Parents and children of one region, and who works for them; a region that dies in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import (
    EventType,
    ParentClosePolicy,
    WorkflowExecutionStatus,
)
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueResponse,
    TerminateWorkflowExecutionRequest,
)

from mockcloud.core import signals
from mockcloud.core.errors import NotFound
from mockcloud.engine.region import Region
from mockcloud.store import runs
from tests.scenarios.one_life import DyingLane, When

from .support import (
    Driver,
    close,
    crash,
    open_region,
)

Policy = ParentClosePolicy
Status = WorkflowExecutionStatus
PARENT, CHILD = "order-1", "child"


async def until(driver: Driver, condition: Callable[[], Awaitable[bool]]) -> None:
    """Return once `condition` holds; looked at after each commit."""
    changed = asyncio.Event()
    changed.set()
    driver.region.changes.listeners.append(lambda _, committed: changed.set())
    async with asyncio.timeout(10):
        while not await condition():
            await changed.wait()
            changed.clear()


async def has(driver: Driver, workflow_id: str, *names: str, run_id: str = "") -> None:
    """Return once the run has events of these types."""

    async def condition() -> bool:
        try:
            found = await driver.names(workflow_id, run_id)
        except NotFound:
            return False
        return set(names) <= set(found)

    await until(driver, condition)


async def settled(driver: Driver) -> None:
    """Return once no run of the namespace has an errand any more."""

    async def condition() -> bool:
        return not await with_errands(driver.region)

    await until(driver, condition)


async def with_errands(region: Region) -> list[str]:
    """Workflow ids, as stored."""
    namespace = region.namespaces.by_name("default")
    rows = await region.store.read(lambda connection: runs.runs_with_errands(connection, namespace.id))
    return [workflow_id for workflow_id, _ in rows]


async def status(driver: Driver, workflow_id: str) -> Status.ValueType:
    return await driver.region.changes.read(driver.namespace, workflow_id, "", lambda run: run.status)


def ending(task: PollWorkflowTaskQueueResponse) -> list[Command]:
    """A child ends at its first task, a parent when it has heard of that."""
    heard = {EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED}
    if task.workflow_execution.workflow_id == CHILD or heard & {e.event_type for e in task.history.events}:
        return [close()]
    return []


async def work(driver: Driver, workflow_id: str) -> None:
    """Be the worker until that workflow has ended."""
    while await status(driver, workflow_id) == Status.WORKFLOW_EXECUTION_STATUS_RUNNING:
        task = await driver.poll()
        await driver.complete(task, *ending(task))


async def initiated(driver: Driver, *commands: Command) -> None:
    """A parent has had its first task, and these commands."""
    await driver.start(PARENT)
    await driver.complete(await driver.poll(), *commands)


async def terminate(driver: Driver, workflow_id: str) -> None:
    request = TerminateWorkflowExecutionRequest()
    await driver.region.changes.update(
        driver.namespace, workflow_id, "", lambda change: signals.terminate(change, request)
    )


class Dying:
    """A region that ends at its commit number `at` from now on, and begins again."""

    def __init__(self, path: Path, region: Region, at: int, when: When) -> None:
        self.path = path
        self.region = region
        self.died = asyncio.Event()
        writer = region.store._writer
        self.lane = writer._lane = DyingLane(writer._lane, at, when, self._end)

    def _end(self) -> None:
        self.region.store.kill()
        self.died.set()

    async def reborn(self) -> Driver:
        async with asyncio.timeout(10):
            await self.died.wait()
        await crash(self.region)
        self.region = await open_region(self.path)
        return Driver(self.region)


WHENS: list[When] = ["before", "after"]


async def under_way(region: Region, count: int) -> None:
    """Return once so many errands are under way."""
    async with asyncio.timeout(10):
        while len(region.errands._under_way) != count:  # noqa: ASYNC110 nothing tells of it
            await asyncio.sleep(0.01)
