"""What is done to other runs because of one: once, whatever happens in between, and by the active region alone."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import (
    CancelExternalWorkflowExecutionFailedCause,
    EventType,
    ParentClosePolicy,
    ReplicationState,
    SignalExternalWorkflowExecutionFailedCause,
    StartChildWorkflowExecutionFailedCause,
    WorkflowExecutionStatus,
)
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueResponse,
    ResetWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
)

from mockcloud.core import children, deletion, signals
from mockcloud.core.change import RunChange
from mockcloud.core.errors import NotFound, Unavailable
from mockcloud.engine import errands
from mockcloud.engine.changes import StartReply
from mockcloud.engine.commit import Committed
from mockcloud.engine.namespaces import Namespace
from mockcloud.engine.region import Region
from mockcloud.store import runs
from tests.core.others import cancel_external, signal_external, start_child
from tests.scenarios.one_life import DyingLane, When

from .support import (
    A,
    B,
    Driver,
    close,
    crash,
    fail_over,
    limits,
    open_region,
    register,
    running,
    set_state,
    short,
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


async def under_way(region: Region, count: int) -> None:
    """Return once so many errands are under way."""
    async with asyncio.timeout(10):
        while len(region.errands._under_way) != count:  # noqa: ASYNC110 nothing tells of it
            await asyncio.sleep(0.01)


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


async def test_a_child_with_a_cron_schedule_begins_by_itself(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await initiated(driver, start_child(cron_schedule="@every 1h"))
        await has(driver, PARENT, "ChildWorkflowExecutionStarted")
        await settled(driver)
        assert await driver.names(CHILD) == ["WorkflowExecutionStarted"]
        await terminate(driver, CHILD)
        await has(driver, PARENT, "ChildWorkflowExecutionTerminated")


async def test_a_parent_hears_of_a_child_that_is_deleted(tmp_path: Path) -> None:
    """The child's rows stay until everybody has heard, even if that takes until the region's next life."""
    region = await open_region(tmp_path)
    await register(region)
    driver = Driver(region)
    await initiated(driver, start_child())
    await has(driver, CHILD, "WorkflowTaskScheduled")
    await settled(driver)
    region.errands.stop()
    await region.changes.update(driver.namespace, CHILD, "", deletion.request)
    await region.close()

    region = await open_region(tmp_path)
    driver = Driver(region)
    await has(driver, PARENT, "ChildWorkflowExecutionTerminated")

    async def gone() -> bool:
        try:
            await status(driver, CHILD)
        except NotFound:
            return True
        return False

    async with asyncio.timeout(10):
        while not await gone():  # noqa: ASYNC110 nothing tells of it
            await asyncio.sleep(0.01)
    await region.close()


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


async def test_a_parent_that_closes_while_its_child_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy was applied when there was no child yet: the child meets it all the same."""
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
        await terminate(driver, PARENT)
        await settled(driver)
        go_on.set()
        await has(driver, CHILD, "WorkflowExecutionTerminated")
        assert await driver.names(CHILD) == ["WorkflowExecutionStarted", "WorkflowExecutionTerminated"]
        await settled(driver)


async def test_a_closed_child_whose_parent_is_gone_is_done_with(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await initiated(driver, start_child(parent_close_policy=Policy.PARENT_CLOSE_POLICY_ABANDON))
        await has(driver, CHILD, "WorkflowTaskScheduled")
        await terminate(driver, PARENT)
        await terminate(driver, CHILD)
        await settled(driver)
        assert "ChildWorkflowExecutionTerminated" not in await driver.names(PARENT)


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


async def test_two_workflows_signal_each_other(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        for workflow_id in ("one", "two"):
            await driver.start(workflow_id)
        tasks = [await driver.poll(), await driver.poll()]
        other = {"one": "two", "two": "one"}
        await asyncio.gather(
            *(
                driver.complete(task, signal_external(other[task.workflow_execution.workflow_id]))
                for task in tasks
            )
        )
        for workflow_id in other:
            await has(driver, workflow_id, "WorkflowExecutionSignaled", "ExternalWorkflowExecutionSignaled")


async def test_a_child_in_another_namespace_of_the_same_region(tmp_path: Path) -> None:
    region = await open_region(tmp_path, limits=limits(cross_namespace_commands=True))
    for name in ("default", "others"):
        await register(region, name, clusters=[A])
    driver, others = Driver(region), Driver(region, "others")
    await initiated(driver, start_child(namespace="others"), signal_external("nobody", namespace="others"))
    await has(driver, PARENT, "ChildWorkflowExecutionStarted", "SignalExternalWorkflowExecutionFailed")

    child = await others.poll()
    started = child.history.events[0].workflow_execution_started_event_attributes
    assert started.parent_workflow_namespace == "default"
    await others.complete(child, close())

    await has(driver, PARENT, "ChildWorkflowExecutionCompleted")
    events = {short(event): event for event in await driver.events(PARENT)}
    completed = events["ChildWorkflowExecutionCompleted"].child_workflow_execution_completed_event_attributes
    assert completed.namespace == "others"
    failed = events["SignalExternalWorkflowExecutionFailed"]
    assert failed.signal_external_workflow_execution_failed_event_attributes.namespace == "others"
    await region.close()


@pytest.mark.parametrize("whose", ["its", "a stranger's"])
async def test_a_reset_run_finds_the_child_that_was_started_before(tmp_path: Path, whose: str) -> None:
    """The old run had initiated it, and was reset before it knew that the child was started."""
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start(PARENT)
        task = await driver.poll()
        region.errands.stop()
        await driver.complete(task, start_child())
        parent = task.workflow_execution
        if whose == "its":
            start = await region.changes.read(
                driver.namespace,
                PARENT,
                "",
                lambda run: children.to_start(run, 5, 1, driver.namespace.record),
            )
            assert start is not None
            await region.changes.start(driver.namespace, start.request, start.parent)
        else:
            await driver.start(CHILD)
        await driver.signal(PARENT)
        again = await driver.poll()
        while again.workflow_execution.workflow_id != PARENT:
            again = await driver.poll()
        await driver.complete(again)
        request = ResetWorkflowExecutionRequest(
            workflow_execution=parent, workflow_task_finish_event_id=9, request_id="reset"
        )
        run_id = await region.resets.reset(driver.namespace, request)
        region.errands.start()

        if whose == "its":
            await has(driver, PARENT, "ChildWorkflowExecutionStarted", run_id=run_id)
            await has(driver, CHILD, "WorkflowTaskScheduled")
            rows = await region.store.read(lambda c: runs.runs_of(c, driver.namespace.id, CHILD))
            events = {short(event): event for event in await driver.events(PARENT, run_id)}
            started = events[
                "ChildWorkflowExecutionStarted"
            ].child_workflow_execution_started_event_attributes
            assert [row.run_id for row in rows] == [started.workflow_execution.run_id]
        else:
            await has(driver, PARENT, "StartChildWorkflowExecutionFailed", run_id=run_id)


async def test_a_namespace_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    region = await open_region(tmp_path, limits=limits(cross_namespace_commands=True))
    for name in ("default", "others"):
        await register(region, name, clusters=[A])
    driver = Driver(region)
    monkeypatch.setattr(region.namespaces, "find_id", lambda _: None)
    await initiated(
        driver,
        start_child(namespace="others"),
        signal_external(namespace="others"),
        cancel_external(namespace="others"),
    )
    await settled(driver)
    causes = {
        short(event): (attributes.cause, attributes.namespace)
        for event in await driver.events(PARENT)
        if hasattr(attributes := getattr(event, event.WhichOneof("attributes") or ""), "cause")
    }
    assert causes == {
        "StartChildWorkflowExecutionFailed": (
            StartChildWorkflowExecutionFailedCause.START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND,
            "others",
        ),
        "SignalExternalWorkflowExecutionFailed": (
            SignalExternalWorkflowExecutionFailedCause.Value(
                "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND"
            ),
            "others",
        ),
        "RequestCancelExternalWorkflowExecutionFailed": (
            CancelExternalWorkflowExecutionFailedCause.Value(
                "CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND"
            ),
            "others",
        ),
    }
    await region.close()


async def test_a_workflow_that_has_had_too_many_signals(tmp_path: Path) -> None:
    async with running(tmp_path, limits=limits(signals_per_run=1)) as region:
        driver = Driver(region)
        await driver.start("other")
        await driver.complete(await driver.poll())
        await initiated(driver, signal_external(), signal_external())
        await settled(driver)
        events = {short(event): event for event in await driver.events(PARENT)}
        assert "ExternalWorkflowExecutionSignaled" in events
        failed = events["SignalExternalWorkflowExecutionFailed"]
        assert failed.signal_external_workflow_execution_failed_event_attributes.cause == (
            SignalExternalWorkflowExecutionFailedCause.Value(
                "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_SIGNAL_COUNT_LIMIT_EXCEEDED"
            )
        )


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
