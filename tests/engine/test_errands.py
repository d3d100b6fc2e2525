"""Errands are run once, whatever happens in between, and by the active region alone."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import (
    ReplicationState,
)

from mockcloud.core import children
from mockcloud.core.change import RunChange
from mockcloud.core.errors import NotFound, Unavailable
from mockcloud.engine import errands
from mockcloud.engine.changes import StartReply
from mockcloud.engine.commit import Committed
from mockcloud.engine.namespaces import Namespace
from mockcloud.store import runs
from tests.core.others import cancel_external, signal_external, start_child
from tests.scenarios.one_life import When

from .families import (
    CHILD,
    PARENT,
    WHENS,
    Dying,
    Policy,
    Status,
    has,
    initiated,
    settled,
    status,
    terminate,
    under_way,
    with_errands,
    work,
)
from .support import (
    A,
    B,
    Driver,
    close,
    crash,
    fail_over,
    open_region,
    register,
    running,
    set_state,
    short,
)


@pytest.mark.parametrize("when", WHENS)
@pytest.mark.parametrize(
    "at", [1, 2, 3]
)  # the child's first run; the parent's Started; the child's first task
async def test_a_crash_while_a_child_is_started(tmp_path: Path, at: int, when: When) -> None:
    region = await open_region(tmp_path)
    await register(region)
    driver = Driver(region)
    await driver.start(PARENT)
    task = await driver.poll()
    dying = Dying(tmp_path, region, at + 1, when)  # the first is the worker's own
    await driver.complete(task, start_child())

    driver = await dying.reborn()
    await work(driver, PARENT)
    await settled(driver)

    counts = Counter(await driver.names(PARENT))
    for name in ("Initiated", "ChildWorkflowExecutionStarted", "ChildWorkflowExecutionCompleted"):
        assert sum(count for kind, count in counts.items() if kind.endswith(name)) == 1
    found = await driver.region.store.read(
        lambda connection: runs.runs_of(connection, driver.namespace.id, CHILD)
    )
    assert len(found) == 1
    await driver.region.close()


@pytest.mark.parametrize("when", WHENS)
@pytest.mark.parametrize("at", [1, 2])  # the parent hears of it; the child notes that
async def test_a_crash_while_a_parent_is_told(tmp_path: Path, at: int, when: When) -> None:
    region = await open_region(tmp_path)
    await register(region)
    driver = Driver(region)
    await initiated(driver, start_child())
    await has(driver, PARENT, "ChildWorkflowExecutionStarted")
    child = await driver.poll()
    if child.workflow_execution.workflow_id == PARENT:
        await driver.complete(child)
        child = await driver.poll()
    dying = Dying(tmp_path, region, at + 1, when)
    await driver.complete(child, close())

    driver = await dying.reborn()
    await work(driver, PARENT)
    await settled(driver)

    assert (await driver.names(PARENT)).count("ChildWorkflowExecutionCompleted") == 1
    await driver.region.close()


@pytest.mark.parametrize("when", WHENS)
@pytest.mark.parametrize("at", [1, 2])  # the other workflow gets it; the sender notes that
@pytest.mark.parametrize("what", ["signal", "cancel"])
async def test_a_crash_while_another_workflow_is_signalled(
    tmp_path: Path, at: int, when: When, what: str
) -> None:
    region = await open_region(tmp_path)
    await register(region)
    driver = Driver(region)
    await driver.start("other")
    await driver.complete(await driver.poll())
    await driver.start(PARENT)
    task = await driver.poll()
    dying = Dying(tmp_path, region, at + 1, when)
    await driver.complete(task, signal_external() if what == "signal" else cancel_external())

    driver = await dying.reborn()
    sent = (
        "ExternalWorkflowExecutionSignaled"
        if what == "signal"
        else "ExternalWorkflowExecutionCancelRequested"
    )
    await has(driver, PARENT, sent)
    await settled(driver)

    assert (await driver.names(PARENT)).count(sent) == 1
    received = "WorkflowExecutionSignaled" if what == "signal" else "WorkflowExecutionCancelRequested"
    assert (await driver.names("other")).count(received) == 1
    await driver.region.close()


@pytest.mark.parametrize("when", WHENS)
@pytest.mark.parametrize("at", [1, 2])  # the child ends; the parent notes that
async def test_a_crash_while_a_policy_is_applied(tmp_path: Path, at: int, when: When) -> None:
    region = await open_region(tmp_path)
    await register(region)
    driver = Driver(region)
    await initiated(driver, start_child())
    await has(driver, CHILD, "WorkflowTaskScheduled")
    await settled(driver)
    dying = Dying(tmp_path, region, at + 1, when)
    await terminate(driver, PARENT)

    driver = await dying.reborn()
    await settled(driver)

    assert await status(driver, CHILD) == Status.WORKFLOW_EXECUTION_STATUS_TERMINATED
    assert (await driver.names(CHILD)).count("WorkflowExecutionTerminated") == 1
    await driver.region.close()


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy.PARENT_CLOSE_POLICY_TERMINATE, "WorkflowExecutionTerminated"),
        (Policy.PARENT_CLOSE_POLICY_REQUEST_CANCEL, "WorkflowExecutionCancelRequested"),
        (Policy.PARENT_CLOSE_POLICY_ABANDON, "WorkflowTaskScheduled"),
    ],
)
async def test_a_parent_that_closes_in_the_middle_of_a_start_stands_by_its_policy(
    tmp_path: Path, policy: Policy.ValueType, expected: str
) -> None:
    """The region ends after the child's first commit; before it begins anew, the parent has ended."""
    region = await open_region(tmp_path)
    await register(region)
    driver = Driver(region)
    await driver.start(PARENT)
    task = await driver.poll()
    dying = Dying(tmp_path, region, 2, "after")
    await driver.complete(task, start_child(parent_close_policy=policy))
    async with asyncio.timeout(10):
        await dying.died.wait()
    await crash(region)
    region = await open_region(tmp_path, start=False)
    driver = Driver(region)
    await terminate(driver, PARENT)
    assert await driver.names(CHILD) == ["WorkflowExecutionStarted"]

    region.errands.start()

    await has(driver, CHILD, expected)
    await settled(driver)
    assert "ChildWorkflowExecutionStarted" not in await driver.names(PARENT)
    await region.close()


async def test_a_passive_region_does_nothing_until_it_turns_active(tmp_path: Path) -> None:
    region = await open_region(tmp_path)
    await register(region)
    driver = Driver(region)
    await driver.start(PARENT)
    task = await driver.poll()
    region.errands.stop()  # as if it had no time for it
    await driver.complete(task, start_child(), signal_external("nobody"))
    await fail_over(region, B)
    await region.close()

    region = await open_region(tmp_path)
    driver = Driver(region)
    assert await with_errands(region) == [PARENT]
    with pytest.raises(NotFound):
        await driver.names(CHILD)
    await fail_over(region, A)
    await has(driver, PARENT, "ChildWorkflowExecutionStarted", "SignalExternalWorkflowExecutionFailed")
    await settled(driver)
    await region.close()


async def test_errands_wait_in_handover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        start, begun, go_on = region.changes.start, asyncio.Event(), asyncio.Event()

        async def slow(*args: Any) -> StartReply:
            begun.set()
            await go_on.wait()
            return await start(*args)

        await driver.start(PARENT)
        monkeypatch.setattr(region.changes, "start", slow)
        await driver.complete(await driver.poll(), start_child())
        await begun.wait()
        await set_state(region, ReplicationState.REPLICATION_STATE_HANDOVER)
        go_on.set()
        await under_way(region, 0)
        assert await with_errands(region) == [PARENT]
        await set_state(region, ReplicationState.REPLICATION_STATE_NORMAL)
        await has(driver, CHILD, "WorkflowTaskScheduled")


async def test_what_fails_in_passing_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        start, tries = region.changes.start, 0

        async def unreliable(*args: Any) -> StartReply:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise Unavailable("not now")
            if tries == 2:
                raise ValueError("a defect")
            return await start(*args)

        await driver.start(PARENT)
        monkeypatch.setattr(region.changes, "start", unreliable)
        await driver.complete(await driver.poll(), start_child())
        await has(driver, CHILD, "WorkflowTaskScheduled")
        assert tries == 3


async def test_a_child_begins_by_itself_where_its_parent_fails_to_let_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errands, "_GRACE", 0.05)
    async with running(tmp_path) as region:
        driver = Driver(region)
        update, failed = region.changes.update, False

        async def unreliable(
            namespace: Namespace, workflow_id: str, run_id: str, rule: Callable[[RunChange], Any]
        ) -> Any:
            nonlocal failed
            if rule is children.begin and not failed:
                failed = True
                raise Unavailable("not now")
            return await update(namespace, workflow_id, run_id, rule)

        await driver.start(PARENT)
        task = await driver.poll()
        await driver.complete(task, start_child())
        monkeypatch.setattr(region.changes, "update", unreliable)
        await has(driver, CHILD, "WorkflowTaskScheduled")
        assert failed


async def test_a_change_of_a_run_that_nobody_has_looked_at_yet(tmp_path: Path) -> None:
    region = await open_region(tmp_path)
    await register(region)
    driver = Driver(region)
    await driver.start(PARENT)
    task = await driver.poll()
    region.errands.stop()
    await driver.complete(task, start_child())
    await region.close()

    region = await open_region(tmp_path, start=False)
    driver = Driver(region)
    region.errands._at_once = asyncio.Semaphore(0)  # it is busy with others
    region.errands.start()
    await driver.signal(PARENT)
    region.errands._at_once.release()
    await has(driver, CHILD, "WorkflowTaskScheduled")
    await region.close()


async def test_a_child_is_started_and_then_signalled_in_the_order_of_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        start, others_done = region.changes.start, asyncio.Event()

        async def slow(*args: Any) -> StartReply:
            await others_done.wait()
            return await start(*args)

        def committed(_: Namespace, committed: Committed) -> None:
            if not committed.run.external_cancels:
                others_done.set()

        await driver.start(PARENT)
        task = await driver.poll()
        monkeypatch.setattr(region.changes, "start", slow)
        letters = [f"letter {number}" for number in range(20)]
        region.changes.listeners.append(committed)
        await driver.complete(
            task,
            start_child(),
            *(signal_external(CHILD, signal_name=letter) for letter in letters),
            cancel_external("nobody"),
        )
        await settled(driver)
        received = [
            event.workflow_execution_signaled_event_attributes.signal_name
            for event in await driver.events(CHILD)
            if short(event) == "WorkflowExecutionSignaled"
        ]
        assert received == letters
        assert "SignalExternalWorkflowExecutionFailed" not in await driver.names(PARENT)


async def test_more_children_than_are_served_at_once(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        ids = [f"child-{number}" for number in range(100)]
        await initiated(driver, *map(start_child, ids))
        await settled(driver)
        assert (await driver.names(PARENT)).count("ChildWorkflowExecutionStarted") == len(ids)
        await terminate(driver, PARENT)
        await settled(driver)
        for workflow_id in ids:
            assert await status(driver, workflow_id) == Status.WORKFLOW_EXECUTION_STATUS_TERMINATED


async def test_a_child_asks_again_until_its_parent_says_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parent's history may come after the child's, from another region."""
    region = await open_region(tmp_path)
    await register(region)
    driver = Driver(region)
    await driver.start(PARENT)
    task = await driver.poll()
    dying = Dying(tmp_path, region, 3, "after")  # the parent knows, the child has not begun
    await driver.complete(task, start_child())
    leave, asked = children.leave, 0

    def late(*args: Any) -> children.Leave:
        nonlocal asked
        asked += 1
        return children.Leave.WAIT if asked == 1 else leave(*args)

    monkeypatch.setattr(children, "leave", late)
    driver = await dying.reborn()
    await has(driver, CHILD, "WorkflowTaskScheduled")
    assert asked == 2
    await driver.region.close()
