"""Playing a schedule to its end, checking what came of it, and making a failing one smaller."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from temporalio.api.enums.v1 import WorkflowExecutionStatus

from tests.simulation.checks import Broken, check, workflow_ids
from tests.simulation.clients import NAMESPACE, namespace_of
from tests.simulation.loop import HungError, SimulatedLoop, run
from tests.simulation.schedule import Step
from tests.simulation.world import World

_TROUBLED = 28.0  # simulated seconds until all faults end
_PATIENCE = 1200.0  # simulated seconds after the faults in which all workflows must end
_OPEN = (
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED,
)

_MOST_SECONDS = 30.0  # of the processor, for one schedule


class _TooLongError(KeyboardInterrupt):
    """Something goes round and round without a turn of the loop. Tasks let no other kind of exception through."""


@dataclass(frozen=True)
class Played:
    """What came of a schedule, and what it took."""

    failure: str  # the broken invariant's name first; empty: all hold
    steps: int  # calls of clients and workers, and what was done to links, regions and disks
    cpu_seconds: float


def failure_of(seed: int, steps: Sequence[Step], regions: tuple[str, ...] = ("A", "B")) -> str:
    """What is wrong after the steps were taken and everything was healed; empty: nothing."""
    return play(seed, steps, regions).failure


def play(seed: int, steps: Sequence[Step], regions: tuple[str, ...] = ("A", "B")) -> Played:
    """Take the steps, heal, wait for the end of all work, and check. There is always a verdict."""
    loop = SimulatedLoop()
    begin = time.process_time()
    errors: list[str] = []
    loop.set_exception_handler(
        lambda _, context: errors.append(str(context.get("exception") or context["message"]))
    )
    namespaces = sorted({namespace_of(step.workflow_id) for step in steps} | {NAMESPACE})
    failure = ""
    with tempfile.TemporaryDirectory(prefix="mockcloud-sim-") as directory, _faults_to(errors), _limited():
        world = World(Path(directory), seed, loop, regions, tuple(namespaces))
        try:
            run(_play(world, steps), loop)
        except Broken as broken:
            failure = str(broken)
        except (HungError, _TooLongError) as hung:
            failure = f"Hung: {hung}"
        except Exception as error:
            failure = f"{type(error).__name__}: {error}"
    if not failure and errors:
        failure = f"Errors: {errors[0]}"
    return Played(failure, len(steps) + world.calls, time.process_time() - begin)


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """End what takes more than `_MOST_SECONDS` of the processor."""

    def too_long(*_: object) -> None:
        raise _TooLongError(f"more than {_MOST_SECONDS:g} s")

    before = signal.signal(signal.SIGVTALRM, too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, _MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@contextlib.contextmanager
def _faults_to(errors: list[str]) -> Iterator[None]:
    """Keep what is logged to itself, but for errors that somebody's own work ended with: a list of those."""

    class Faults(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info and record.exc_info[1] is not None:
                errors.append(f"{record.getMessage()}: {record.exc_info[1]!r}")

    logger = logging.getLogger("mockcloud")
    level, handler = logger.level, Faults()
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
        logger.setLevel(level)


async def _play(world: World, steps: Sequence[Step]) -> None:
    loop = asyncio.get_running_loop()
    await world.open()
    begin = loop.time()
    for step in steps:
        await asyncio.sleep(max(0.0, begin + step.at - loop.time()))
        await world.take(step)
        await world.look()
    await asyncio.sleep(max(0.0, begin + _TROUBLED - loop.time()))
    await _quiesce(world)
    await world.look()
    world.witness.starts.judge(world.clients.starts)
    world.witness.judge_deletions()
    if world.witness.problems:
        raise Broken(world.witness.problems[0])
    await check(world)
    await world.close()


async def _quiesce(world: World) -> None:
    """Heal, bring everyone up, let every workflow end, and let it replicate."""
    loop = asyncio.get_running_loop()
    world.heal()
    for name in world.names:
        if name not in world.lives:
            await world.bear(name)
    deadline = loop.time() + _PATIENCE
    while True:
        still_open = await _open(world)
        if not still_open and await world.replicated():
            await asyncio.sleep(5.0)  # what was applied may make its region write in turn
            if not await _open(world) and await world.replicated():
                return
        if world.problems:
            raise Broken(f"Model: {world.problems[0]}")
        if loop.time() > deadline:
            states = {
                name: [namespace.record.active_cluster for namespace in life.namespaces()]
                for name, life in world.lives.items()
            }
            lag = "" if await world.replicated() else ", and replication has not caught up"
            raise Broken(f"Progress: still open after {_PATIENCE:g} s: {still_open}{lag}; active {states}")
        await world.let_go(still_open)
        await asyncio.sleep(5.0)


async def _open(world: World) -> list[str]:
    """Workflow ids with an open run somewhere."""
    found = set()
    for life in world.lives.values():
        found.update(
            await life.store.read(
                lambda c: [
                    row[0] for row in c.execute("SELECT workflow_id FROM runs WHERE status IN (?, ?)", _OPEN)
                ]
            )
        )
    return sorted(found & set(await workflow_ids(world)))


def shrink(
    seed: int, steps: Sequence[Step], regions: tuple[str, ...], failure: str, tries: int = 150
) -> list[Step]:
    """A smaller schedule that breaks the same invariant: pieces are left out while it does."""
    kind = failure.partition(":")[0]
    best, size = list(steps), max(1, len(steps) // 2)
    while size and tries:
        at = 0
        while at < len(best) and tries:
            tries -= 1
            smaller = best[:at] + best[at + size :]
            if failure_of(seed, smaller, regions).partition(":")[0] == kind:
                best = smaller
            else:
                at += size
        size //= 2
    return best
