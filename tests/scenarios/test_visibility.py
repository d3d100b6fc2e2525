"""Search attributes on the other side of a failover: what is registered, what a run has, what lists find."""

from __future__ import annotations

import grpc
from temporalio import workflow
from temporalio.api.enums.v1 import IndexedValueType, WorkflowTaskFailedCause
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import (
    ListWorkflowExecutionsRequest,
    ListWorkflowExecutionsResponse,
    RespondWorkflowTaskFailedRequest,
)
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from mockcloud.core.limits import Limits
from tests.scenarios.stage import EAST, LOCALLY, WEST, Caller, Stage, opened, start_timer, until
from tests.scenarios.workflows import QUEUE

CUSTOMER = SearchAttributeKey.for_keyword("Customer")
STEPS = SearchAttributeKey.for_int("Steps")


@workflow.defn
class Stepping:
    """Counts its signals in a search attribute and in its memo."""

    def __init__(self) -> None:
        self._steps = 0

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self._steps == 2)

    @workflow.signal
    def step(self) -> None:
        self._steps += 1
        workflow.upsert_search_attributes([STEPS.value_set(self._steps)])
        workflow.upsert_memo({"steps": self._steps})


async def listed(caller: Caller, query: str) -> list[str]:
    """What a region's own lists say."""
    answer = await caller.ask(
        ListWorkflowExecutionsRequest(query=query), ListWorkflowExecutionsResponse, metadata=LOCALLY
    )
    return [info.execution.workflow_id for info in answer.executions]


async def until_listed(caller: Caller, query: str) -> None:
    async def seen() -> bool:
        try:
            return await listed(caller, query) == ["w"]
        except grpc.aio.AioRpcError as error:
            if "is not a valid search attribute" in str(error.details()):
                return False  # not known there yet
            raise

    await until(seen)


async def test_17_search_attributes_and_visibility_lists(journey: Stage) -> None:
    # Given attributes registered in the old region, and a workflow that has some and has upserted one.
    client = await journey.client()
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace="default",
            search_attributes={
                "Customer": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
                "Steps": IndexedValueType.INDEXED_VALUE_TYPE_INT,
            },
        )
    )

    def worker(client: Client) -> Worker:
        return Worker(
            client, task_queue=QUEUE, workflows=[Stepping], workflow_runner=UnsandboxedWorkflowRunner()
        )

    async with worker(client):
        handle = await client.start_workflow(
            Stepping.run,
            id="w",
            task_queue=QUEUE,
            search_attributes=TypedSearchAttributes([SearchAttributePair(CUSTOMER, "acme")]),
        )
        await handle.signal(Stepping.step)
        await until_listed(journey.at(journey.old), "Customer = 'acme' AND Steps = 1")
        # Then the passive region lists the same before anything is switched.
        await until_listed(journey.at(journey.new), "Customer = 'acme' AND Steps = 1 AND CloseTime IS NULL")

        # When the namespace fails over, the workflow goes on there, and the attributes are known there.
        await journey.switch()
        await handle.signal(Stepping.step)
        await handle.result()

    new = await journey.client(journey.new)
    known = await new.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace="default")
    )
    assert set(known.custom_attributes) == {"Customer", "Steps"}
    for region in (journey.old, journey.new):
        await until_listed(
            journey.at(region), "Customer = 'acme' AND Steps = 2 AND ExecutionStatus = 'Completed'"
        )
    await journey.only_run("w")
    description = await handle.describe()
    assert await description.memo() == {"steps": 2}


async def test_a_reported_problem_follows_a_failover() -> None:
    async with opened(limits=Limits(reported_problems_after=2)) as stage:
        # Given a workflow whose task has failed twice, the second time without an event.
        old, new = stage.at(EAST), stage.at(WEST)
        await old.start("w")
        for _ in range(2):
            task = await old.poll()
            await old.call(
                RespondWorkflowTaskFailedRequest(
                    task_token=task.task_token,
                    cause=WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE,
                )
            )
        reported = "TemporalReportedProblems = 'category=WorkflowTaskFailed'"

        # Then both regions list it so, and after the failover it is so until a task completes there.
        for caller in (old, new):
            await until_listed(caller, reported)
        await stage.failover(WEST)
        await until_listed(new, reported)
        await new.work(start_timer(60_000))
        for caller in (old, new):
            await until_listed(caller, "TemporalReportedProblems IS NULL AND BuildIds = 'unversioned'")
        await stage.settled("w")
