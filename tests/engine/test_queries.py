"""Queries: by themselves, with a workflow task, and what they come to without a worker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.enums.v1 import QueryRejectCondition, QueryResultType
from temporalio.api.errordetails.v1 import QueryFailedFailure
from temporalio.api.query.v1 import WorkflowQuery, WorkflowQueryResult
from temporalio.api.workflowservice.v1 import (
    QueryWorkflowRequest,
    QueryWorkflowResponse,
    RespondQueryTaskCompletedRequest,
)

from mockcloud.core.derived import TaskKind
from mockcloud.core.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    NotFound,
    QueryFailed,
    ResourceExhausted,
    WorkflowNotReady,
)
from mockcloud.core.run import RunKey

from .support import QUEUE, B, Driver, close, fail_over, running, timer

ANSWER = Payloads(payloads=[Payload(data=b'"42"')])
NOT_OPEN = QueryRejectCondition.QUERY_REJECT_CONDITION_NOT_OPEN


async def ask(
    driver: Driver,
    timeout: float = 5.0,
    reject: QueryRejectCondition.ValueType = 0,  # type: ignore[assignment]
) -> QueryWorkflowResponse:
    request = QueryWorkflowRequest(
        execution=WorkflowExecution(workflow_id="order-1"),
        query=WorkflowQuery(query_type="state"),
        query_reject_condition=reject,
    )
    return await driver.region.queries.query(driver.namespace, request, timeout)


def respond(driver: Driver, token: bytes, **fields: object) -> None:
    request = RespondQueryTaskCompletedRequest(
        task_token=token, completed_type=QueryResultType.QUERY_RESULT_TYPE_ANSWERED, query_result=ANSWER
    )
    for name, value in fields.items():
        setattr(request, name, value)
    driver.region.queries.respond(request)


async def idle(driver: Driver, sticky: str = "") -> None:
    """A run that waits for a timer."""
    await driver.start()
    await driver.complete(await driver.poll(), timer("late", 3600), sticky=sticky)


async def test_an_idle_run_is_asked_through_a_poll_with_its_whole_history(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await idle(driver)
        question = asyncio.ensure_future(ask(driver))
        task = await driver.poll()
        assert task.query.query_type == "state"
        assert [event.event_id for event in task.history.events] == [1, 2, 3, 4, 5]
        respond(driver, task.task_token)
        answer = await question
        assert answer.query_result == ANSWER
        assert answer.link.workflow.workflow_id == "order-1"
        with pytest.raises(NotFound, match="query task not found, or already expired"):
            respond(driver, task.task_token)


async def test_a_sticky_worker_is_asked_without_history(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await idle(driver, sticky="sticky-1")
        poll = asyncio.ensure_future(driver.poll("sticky-1", sticky=True))
        await asyncio.sleep(0)
        question = asyncio.ensure_future(ask(driver))
        task = await poll
        assert not task.history.events
        respond(driver, task.task_token)
        assert (await question).query_result == ANSWER


async def test_a_dead_sticky_worker_gives_way_to_the_normal_queue(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await idle(driver, sticky="nobody")
        question = asyncio.ensure_future(ask(driver))
        task = await driver.poll()
        assert len(task.history.events) == 5
        respond(driver, task.task_token)
        assert (await question).query_result == ANSWER
        sticky = await region.changes.read(
            driver.namespace, "order-1", "", lambda run: run.record.sticky.task_queue
        )
        assert sticky == ""


async def test_a_failed_query_says_why(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await idle(driver)
        question = asyncio.ensure_future(ask(driver))
        task = await driver.poll()
        respond(
            driver,
            task.task_token,
            completed_type=QueryResultType.QUERY_RESULT_TYPE_FAILED,
            error_message="unknown query",
        )
        with pytest.raises(QueryFailed, match="unknown query"):
            await question


async def test_a_query_of_a_run_with_news_goes_with_its_workflow_task(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await idle(driver)
        await driver.signal()
        question = asyncio.ensure_future(ask(driver))
        await asyncio.sleep(0)
        task = await driver.poll()
        assert not task.HasField("query")
        ((query_id, query),) = task.queries.items()
        assert query.query_type == "state"
        with pytest.raises(ResourceExhausted, match="consistent query buffer is full"):
            await ask(driver)
        result = WorkflowQueryResult(result_type=QueryResultType.QUERY_RESULT_TYPE_ANSWERED, answer=ANSWER)
        await driver.complete(task, query_results={query_id: result})
        assert (await question).query_result == ANSWER


async def test_a_query_that_the_task_did_not_answer_goes_by_itself(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        question = asyncio.ensure_future(ask(driver))
        await asyncio.sleep(0)
        await driver.complete(await driver.poll(), close())
        task = await driver.poll()
        assert task.HasField("query")
        respond(driver, task.task_token)
        assert (await question).query_result == ANSWER


async def test_closed_runs_answer_or_reject(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        await driver.complete(await driver.poll(), close())
        rejected = await ask(driver, reject=NOT_OPEN)
        assert rejected.query_rejected.status == 2
        question = asyncio.ensure_future(ask(driver))
        respond(driver, (await driver.poll()).task_token)
        assert (await question).query_result == ANSWER


async def test_without_any_worker_it_says_so(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await idle(driver)
        region.task_queues.get(driver.namespace, TaskKind.WORKFLOW, QUEUE).pollers.last_poll = 0
        with pytest.raises(FailedPrecondition, match="no poller seen for task queue recently"):
            await ask(driver, timeout=1.01)


async def test_a_first_task_that_no_worker_takes_times_the_query_out(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start()
        with pytest.raises(DeadlineExceeded):
            await ask(driver, timeout=0.02)


async def test_a_delayed_first_task_is_not_waited_for(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await driver.start(workflow_start_delay=Duration(seconds=60))
        with pytest.raises(WorkflowNotReady, match="Workflow task is not scheduled yet"):
            await ask(driver, timeout=1)


async def test_a_passive_region_answers_with_its_own_worker(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await idle(driver)
        await driver.signal()
        await fail_over(region, B)
        question = asyncio.ensure_future(ask(driver))
        task = await driver.poll()
        assert task.HasField("query")
        respond(driver, task.task_token)
        assert (await question).query_result == ANSWER


async def test_an_answer_that_says_nothing_is_asked_for_again(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await idle(driver)
        asked = asyncio.ensure_future(ask(driver))
        nothing = QueryResultType.QUERY_RESULT_TYPE_UNSPECIFIED
        respond(driver, (await driver.poll()).task_token, completed_type=nothing)
        respond(driver, (await driver.poll()).task_token)
        assert (await asked).query_result == ANSWER


@pytest.mark.parametrize(
    "senseless",
    [
        WorkflowQueryResult(),
        WorkflowQueryResult(result_type=QueryResultType.QUERY_RESULT_TYPE_ANSWERED),
        WorkflowQueryResult(result_type=QueryResultType.QUERY_RESULT_TYPE_FAILED, answer=ANSWER),
    ],
)
async def test_a_result_with_a_task_that_says_nothing_is_none(
    tmp_path: Path, senseless: WorkflowQueryResult
) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await idle(driver)
        await driver.signal()
        asked = asyncio.ensure_future(ask(driver))
        await asyncio.sleep(0)
        task = await driver.poll()
        (query_id,) = task.queries
        await driver.complete(task, query_results={query_id: senseless})
        respond(driver, (await driver.poll()).task_token)  # it goes by itself
        assert (await asked).query_result == ANSWER


async def test_a_failure_without_details_has_none(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await idle(driver)
        asked = asyncio.ensure_future(ask(driver))
        failed = QueryResultType.QUERY_RESULT_TYPE_FAILED
        respond(driver, (await driver.poll()).task_token, completed_type=failed, error_message="no")
        with pytest.raises(QueryFailed) as caught:
            await asked
        assert caught.value.detail == QueryFailedFailure()


async def test_a_waiting_query_goes_by_itself_when_its_region_turns_passive(tmp_path: Path) -> None:
    async with running(tmp_path) as region:
        driver = Driver(region)
        await idle(driver)
        await driver.signal()
        asked = asyncio.ensure_future(ask(driver))
        await asyncio.sleep(0)
        assert region.queries.attached(await _key(driver)), "it waits for the workflow task"
        await fail_over(region, B)
        query = await driver.poll()  # a passive region's poll gets queries only
        assert query.query.query_type == "state"
        respond(driver, query.task_token)
        assert (await asked).query_result == ANSWER


async def _key(driver: Driver) -> RunKey:
    return await driver.region.changes.read(driver.namespace, "order-1", "", lambda run: run.key)
