"""Workflows of the SDK tests of children, external signals and cancels."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, ChildWorkflowError, FailureError
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

QUICK_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=10))


@workflow.defn
class Child:
    """Ends as it is told to."""

    def __init__(self) -> None:
        self._letters: list[str] = []

    @workflow.run
    async def run(self, end: str) -> str:
        match end:
            case "return":
                return f"child {workflow.info().workflow_id}"
            case "fail":
                raise ApplicationError("broken", type="Broken", non_retryable=True)
            case "continue":
                workflow.continue_as_new("return")
            case "retry":
                if workflow.info().attempt < 3:
                    raise ApplicationError("not yet")
                return f"attempt {workflow.info().attempt}"
        await workflow.wait_condition(lambda: bool(self._letters))
        return self._letters[0]

    @workflow.signal
    def deliver(self, letter: str) -> None:
        self._letters.append(letter)


@workflow.defn
class Parent:
    """Runs one child and tells how that went."""

    @workflow.run
    async def run(self, end: str, child_id: str, timeout: float | None = None) -> str:
        try:
            return await workflow.execute_child_workflow(
                Child.run,
                end,
                id=child_id,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                run_timeout=timedelta(seconds=timeout) if timeout else None,
                retry_policy=QUICK_RETRY if end == "retry" else None,
                memo={"colour": "red"},
                static_summary="a child",
            )
        except FailureError as error:
            cause = error.cause if isinstance(error, ChildWorkflowError) else error
            return f"{type(error).__name__}: {type(cause).__name__}"


@workflow.defn
class Leaving:
    """Starts a child that waits, and ends while it does, as it is told to."""

    @workflow.run
    async def run(self, child_id: str, policy: int, end: str) -> None:
        await workflow.start_child_workflow(
            Child.run, "wait", id=child_id, parent_close_policy=ParentClosePolicy(policy)
        )
        match end:
            case "return":
                return
            case "fail":
                raise ApplicationError("broken", non_retryable=True)
            case "continue":
                workflow.continue_as_new(args=[f"{child_id}-again", policy, "wait"])
            case _:
                await workflow.wait_condition(lambda: False)


@workflow.defn
class Cancelling:
    """Cancels its child, by the cancellation type that it is told."""

    @workflow.run
    async def run(self, cancellation_type: int, child_id: str) -> str:
        child = await workflow.start_child_workflow(
            Child.run, "wait", id=child_id, cancellation_type=ChildWorkflowCancellationType(cancellation_type)
        )
        child.cancel()
        try:
            await child
        except ChildWorkflowError as error:
            return type(error.cause).__name__
        return "not cancelled"


@workflow.defn
class Correspondent:
    """Signals or cancels another workflow, and tells how that went."""

    @workflow.run
    async def run(self, what: str, workflow_id: str, run_id: str | None = None) -> str:
        other = workflow.get_external_workflow_handle_for(Child.run, workflow_id, run_id=run_id)
        try:
            if what == "signal":
                await other.signal(Child.deliver, "hello")
            else:
                await other.cancel()
        except ApplicationError as error:
            return str(error)
        return "done"


@workflow.defn
class Family:
    """Many children at once; signals each before it is started, or after."""

    @workflow.run
    async def run(self, number: int) -> list[str]:
        name = workflow.info().workflow_id
        children = await asyncio.gather(
            *(
                workflow.start_child_workflow(Child.run, "wait", id=f"{name}-{index}")
                for index in range(number)
            )
        )
        await asyncio.gather(
            *(child.signal(Child.deliver, f"letter {index}") for index, child in enumerate(children))
        )
        return await asyncio.gather(*children)


WORKFLOWS = [Cancelling, Child, Correspondent, Family, Leaving, Parent]
