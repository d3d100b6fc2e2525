"""Updates on the wire: what workers are sent, what they may answer, and what callers are told.

Texts and orders are those that the real server gives to the same calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import (
    Command,
    StartTimerCommandAttributes,
)
from temporalio.api.common.v1 import Payloads, WorkflowExecution
from temporalio.api.enums.v1 import CommandType, QueryResultType, TaskQueueKind
from temporalio.api.query.v1 import WorkflowQuery, WorkflowQueryResult
from temporalio.api.taskqueue.v1 import StickyExecutionAttributes, TaskQueue
from temporalio.api.update.v1 import (
    Request,
)
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    PollWorkflowTaskQueueResponse,
    QueryWorkflowRequest,
    RespondWorkflowTaskCompletedRequest,
)

from mockcloud.core import times
from mockcloud.core.errors import (
    FailedPrecondition,
    ResourceExhausted,
)
from mockcloud.core.limits import Limits
from tests.frontend import raw_worker
from tests.frontend.raw_worker import NS, take_task
from tests.frontend.updater import (
    ACCEPTED,
    COMPLETED,
    FIRST,
    Stage,
    accept,
    admitted,
    answer,
    complete_update,
    complete_with,
    events,
    idle,
    name_of,
    poll,
    reject,
    respond,
    types,
    update,
)
from tests.support import Site, open_sites, refusal

ADMITTED = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ADMITTED
UNSPECIFIED = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_UNSPECIFIED


# What a worker is sent


async def test_a_speculative_task_has_events_for_its_worker_alone(site: Site) -> None:
    run = await idle(site)
    async with respond(update(site, run)):
        task = await take_task(site)
        assert [name_of(event) for event in task.history.events][4:] == [
            "WORKFLOW_TASK_SCHEDULED",
            "WORKFLOW_TASK_STARTED",
        ]
        assert (task.started_event_id, task.previous_started_event_id, task.attempt) == (6, 3, 1)
        (request,) = task.messages
        assert (request.id, request.protocol_instance_id, request.event_id) == ("u/request", "u", 5)
        sent = Request()
        request.body.Unpack(sent)
        assert sent.input.name == "n"
        # SDKs, which fetch what they have lost, are shown the same; tools see what is written.
        assert len(await events(site, run)) == 6
        assert await types(site, run, "temporal-cli") == FIRST
        described = await site.ask(
            DescribeWorkflowExecutionRequest(namespace=NS, execution=run), DescribeWorkflowExecutionResponse
        )
        assert described.pending_workflow_task.attempt == 1
        await complete_with(site, task, [reject("u")])
    assert await types(site, run) == FIRST


async def test_a_rejection_tells_the_worker_what_to_forget(site: Site) -> None:
    run = await idle(site)
    async with respond(update(site, run)) as call:
        completed = await complete_with(site, await take_task(site), [reject("u", "never")])
    assert completed.reset_history_event_id == 3
    assert call.result().stage == COMPLETED
    assert call.result().outcome.failure.message == "never"


async def test_what_a_worker_passes_over_is_rejected(site: Site) -> None:
    run = await idle(site)
    async with respond(update(site, run)) as call:
        await complete_with(site, await take_task(site), [])
    failure = call.result().outcome.failure
    assert failure.application_failure_info.type == "UnprocessedUpdate"
    assert await types(site, run) == FIRST


async def test_an_update_while_a_worker_has_the_task_comes_with_the_answer(site: Site) -> None:
    run = await raw_worker.start(site)
    task = await take_task(site)
    async with respond(update(site, run)) as call, respond(update(site, run, "v")) as other:
        await admitted(site, run, "u", "v")
        completed = await complete_with(site, task, [], return_new_workflow_task=True)
        following = completed.workflow_task
        assert sorted(each.protocol_instance_id for each in following.messages) == ["u", "v"]
        assert [event.event_id for event in following.history.events] == [4, 5, 6]
        await complete_with(
            site, following, [accept("v", 5), answer("v"), reject("u")], return_new_workflow_task=True
        )
    assert call.result().outcome.HasField("failure")
    assert other.result().outcome.HasField("success")
    assert (await types(site, run))[-2:] == [
        "WORKFLOW_EXECUTION_UPDATE_ACCEPTED",
        "WORKFLOW_EXECUTION_UPDATE_COMPLETED",
    ]


async def test_a_worker_that_wants_no_task_back_finds_a_real_one(site: Site) -> None:
    run = await raw_worker.start(site)
    task = await take_task(site)
    async with respond(update(site, run)):
        await admitted(site, run, "u")
        await complete_with(site, task, [])
        following = await take_task(site)
        assert [event.event_id for event in following.history.events] == [1, 2, 3, 4, 5, 6]
        completed = await complete_with(site, following, [reject("u")])
        assert completed.reset_history_event_id == 0
    assert await types(site, run) == FIRST + FIRST[1:]


async def test_a_signal_makes_the_task_a_real_one(site: Site) -> None:
    run = await idle(site)
    async with respond(update(site, run)):
        await admitted(site, run, "u")
        await raw_worker.signal(site, run)
        assert (await types(site, run))[4:] == ["WORKFLOW_TASK_SCHEDULED", "WORKFLOW_EXECUTION_SIGNALED"]
        task = await take_task(site)
        assert task.messages[0].event_id == 6  # after the signal
        await complete_with(site, task, [reject("u")])
    assert (await types(site, run))[-1] == "WORKFLOW_TASK_COMPLETED"


async def test_a_signal_while_a_worker_has_the_task_waits_for_it(site: Site) -> None:
    run = await idle(site)
    async with respond(update(site, run)):
        task = await take_task(site)
        await raw_worker.signal(site, run)
        assert (await types(site, run))[4:] == ["WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED"]
        await complete_with(site, task, [reject("u")])  # under the token that it was given
    assert (await types(site, run))[6:] == [
        "WORKFLOW_TASK_COMPLETED",
        "WORKFLOW_EXECUTION_SIGNALED",
        "WORKFLOW_TASK_SCHEDULED",
    ]


async def test_events_that_came_with_a_rejected_update_stay(site: Site) -> None:
    """Unless the worker can be sent them again."""
    run = await raw_worker.start(site)
    timer = Command(
        command_type=CommandType.COMMAND_TYPE_START_TIMER,
        start_timer_command_attributes=StartTimerCommandAttributes(
            timer_id="t", start_to_fire_timeout=Duration(seconds=3600)
        ),
    )
    await raw_worker.complete(site, await take_task(site), timer)
    async with respond(update(site, run)):
        completed = await complete_with(site, await take_task(site), [reject("u")])
        assert completed.reset_history_event_id == 0
    assert len(await events(site, run)) == 8

    capable = RespondWorkflowTaskCompletedRequest.Capabilities(
        discard_speculative_workflow_task_with_events=True
    )
    await raw_worker.signal(site, run)
    await raw_worker.complete(site, await take_task(site), timer_named("t2"))
    async with respond(update(site, run, "v")):
        completed = await complete_with(site, await take_task(site), [reject("v")], capabilities=capable)
        assert completed.reset_history_event_id == 11
    assert len(await events(site, run)) == 13


def timer_named(timer_id: str) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_START_TIMER,
        start_timer_command_attributes=StartTimerCommandAttributes(
            timer_id=timer_id, start_to_fire_timeout=Duration(seconds=3600)
        ),
    )


async def test_heartbeats_bring_only_what_is_new(site: Site) -> None:
    run = await idle(site)
    async with respond(update(site, run)), respond(update(site, run, "v")) as other:
        task = await take_task(site)
        first = [each.protocol_instance_id for each in task.messages]
        await admitted(site, run, "u", "v")
        beating = {"force_create_new_workflow_task": True, "return_new_workflow_task": True}
        second = await complete_with(site, task, [], [], **beating)
        brought = [each.protocol_instance_id for each in second.workflow_task.messages]
        assert sorted(first + brought) == ["u", "v"]
        await complete_with(site, second.workflow_task, [reject("u"), reject("v")])
    assert other.result().outcome.HasField("failure")


async def test_a_sticky_worker_gets_the_task(site: Site) -> None:
    sticky = TaskQueue(name="sticky", kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY, normal_name="q")
    attributes = StickyExecutionAttributes(
        worker_task_queue=sticky, schedule_to_start_timeout=Duration(seconds=5)
    )
    run = await raw_worker.start(site)
    task = await take_task(site)
    async with respond(take_task(site, sticky)) as polled:
        await complete_with(site, task, [], sticky_attributes=attributes)
        async with respond(update(site, run)):
            task = await polled
            assert [event.event_id for event in task.history.events] == [4, 5, 6]
            await complete_with(site, task, [reject("u")], sticky_attributes=attributes)


async def test_queries_go_with_the_task_of_an_update(site: Site) -> None:
    run = await idle(site)
    async with respond(update(site, run)):
        await admitted(site, run, "u")
        query = QueryWorkflowRequest(namespace=NS, execution=run, query=WorkflowQuery(query_type="x"))
        async with respond(site.call(query)):
            await buffered(site)
            task = await take_task(site)
            assert len(task.queries) == len(task.messages) == 1
            result = WorkflowQueryResult(
                result_type=QueryResultType.QUERY_RESULT_TYPE_ANSWERED, answer=Payloads()
            )
            await complete_with(site, task, [reject("u")], query_results=dict.fromkeys(task.queries, result))
    assert await types(site, run) == FIRST


async def buffered(site: Site) -> None:
    """Return once a query waits for a workflow task."""
    async with asyncio.timeout(5):
        while not site.region.queries._waiting:  # noqa: ASYNC110
            await asyncio.sleep(0)


# Stages


async def test_each_stage_is_waited_for(site: Site) -> None:
    run = await idle(site)
    async with (
        respond(update(site, run)) as completed,
        respond(update(site, run, stage=ACCEPTED)) as accepted,
    ):
        task = await take_task(site)
        assert (await poll(site, run, stage=UNSPECIFIED)).stage == ADMITTED
        await complete_with(site, task, [accept("u", 5)])
        assert (await accepted).stage == ACCEPTED
        assert not completed.done()
        assert (await poll(site, run, stage=ACCEPTED)).stage == ACCEPTED
        await raw_worker.signal(site, run)
        await complete_with(site, await take_task(site), [answer("u", "late")])
    assert completed.result().stage == COMPLETED
    assert completed.result().update_ref.workflow_execution == run
    again = await poll(site, run, stage=ACCEPTED)
    assert (again.stage, again.outcome) == (COMPLETED, completed.result().outcome)


async def test_who_waits_for_acceptance_gets_the_outcome_too(site: Site) -> None:
    run = await idle(site)
    async with respond(update(site, run, stage=ACCEPTED)) as call:
        await complete_update(site, await take_task(site))
    assert call.result().stage == COMPLETED
    assert call.result().outcome.HasField("success")


@pytest.fixture
async def hasty(tmp_path: Path) -> AsyncIterator[Site]:
    """A region that is impatient, and whose limits are narrow."""
    limits = Limits(
        history_long_poll=times.SECOND // 20,
        speculative_task_schedule_to_start=times.SECOND // 20,
        updates_per_run=12,
    )
    async with open_sites(tmp_path, limits=limits) as sites:
        await sites["A"].register("default")
        yield sites["A"]


async def test_the_server_answers_with_the_stage_that_is_reached(hasty: Site) -> None:
    run = await idle(hasty)
    assert (await update(hasty, run)).stage == ADMITTED
    assert (await poll(hasty, run)).stage == ADMITTED
    task = await take_task(hasty)
    await complete_with(hasty, task, [accept("u", task.messages[0].event_id)])
    assert (await update(hasty, run)).stage == ACCEPTED


async def test_a_task_that_nobody_takes_becomes_a_real_one(hasty: Site) -> None:
    run = await idle(hasty)
    await update(hasty, run)
    task = await take_task_after(hasty, run, "WORKFLOW_TASK_TIMED_OUT")
    assert (await types(hasty, run))[4:] == [
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_TASK_TIMED_OUT",
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_TASK_STARTED",
    ]
    assert len(task.messages) == 1
    assert task.attempt == 1


async def take_task_after(site: Site, run: WorkflowExecution, what: str) -> PollWorkflowTaskQueueResponse:
    """Take the run's workflow task once its history has `what`."""
    async with asyncio.timeout(5):
        while what not in await types(site, run):  # noqa: ASYNC110
            await asyncio.sleep(0)
    return await take_task(site)


async def test_too_many_updates_of_a_run(hasty: Site) -> None:
    run = await idle(hasty)
    for number in range(12):
        if number == 11:  # 90 % of them
            await raw_worker.signal(hasty, run)
            task = await take_task(hasty)
            started = task.history.events[-1].workflow_task_started_event_attributes
            assert started.suggest_continue_as_new
            await raw_worker.complete(hasty, task)
        async with respond(update(hasty, run, f"u{number}")):
            await complete_update(hasty, await take_task(hasty))
    error = await refusal(update(hasty, run, "one more"))
    assert isinstance(error, FailedPrecondition)
    assert error.message.startswith(
        "The limit on the total number of distinct updates in this workflow has been reached (12)."
    )
    assert (await update(hasty, run, "u0")).outcome.HasField("success")  # known


async def test_too_many_updates_at_once(site: Site) -> None:
    run = await idle(site)
    calls = [asyncio.create_task(update(site, run, f"u{number}")) for number in range(10)]
    await admitted(site, run, *(f"u{number}" for number in range(10)))
    error = await refusal(update(site, run, "one more"))
    assert isinstance(error, ResourceExhausted)
    assert error.message == "limit on number of concurrent in-flight updates has been reached (10)"
    task = await take_task(site)
    await complete_with(site, task, [reject(each.protocol_instance_id) for each in task.messages])
    assert len({(await call).update_ref.update_id for call in calls}) == 10
