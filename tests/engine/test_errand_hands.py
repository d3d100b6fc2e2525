"""What is done to other runs because of one, and what becomes of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import (
    CancelExternalWorkflowExecutionFailedCause,
    SignalExternalWorkflowExecutionFailedCause,
    StartChildWorkflowExecutionFailedCause,
)
from temporalio.api.workflowservice.v1 import (
    ResetWorkflowExecutionRequest,
)

from mockcloud.core import children, deletion
from mockcloud.core.errors import NotFound
from mockcloud.engine.changes import StartReply
from mockcloud.store import runs
from tests.core.others import cancel_external, signal_external, start_child

from .families import (
    CHILD,
    PARENT,
    Policy,
    has,
    initiated,
    settled,
    status,
    terminate,
)
from .support import (
    A,
    Driver,
    close,
    limits,
    open_region,
    register,
    running,
    short,
)


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
