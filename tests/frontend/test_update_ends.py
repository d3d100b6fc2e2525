"""Updates whose run closes, whose workflow task fails, or that are lost with what a region has in memory.

Texts and orders are those that the real server gives to the same calls.
"""

from __future__ import annotations

import asyncio

from temporalio.api.command.v1 import (
    Command,
    ContinueAsNewWorkflowExecutionCommandAttributes,
)
from temporalio.api.common.v1 import WorkflowType
from temporalio.api.enums.v1 import CommandType
from temporalio.api.protocol.v1 import Message
from temporalio.api.update.v1 import (
    Input,
    Meta,
    Request,
)
from temporalio.api.workflowservice.v1 import (
    RespondWorkflowTaskFailedRequest,
    TerminateWorkflowExecutionRequest,
)

from mockcloud.core.errors import (
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    WorkflowNotReady,
)
from mockcloud.core.run import RunKey
from tests.frontend import raw_worker
from tests.frontend.raw_worker import COMPLETE, NS, take_task
from tests.frontend.updater import (
    ACCEPTED,
    COMPLETED,
    FIRST,
    accept,
    admitted,
    answer,
    command,
    complete_update,
    complete_with,
    events,
    idle,
    poll,
    reject,
    respond,
    types,
    update,
)
from tests.support import Site, refusal

NEXT = Command(
    command_type=CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION,
    continue_as_new_workflow_execution_command_attributes=ContinueAsNewWorkflowExecutionCommandAttributes(
        workflow_type=WorkflowType(name="T"), task_queue=raw_worker.QUEUE
    ),
)


# Runs that close


async def test_a_run_that_closes_on_an_update_that_it_did_not_answer(site: Site) -> None:
    run = await idle(site)
    async with respond(refusal(update(site, run))) as call:
        await complete_with(site, await take_task(site), [], [COMPLETE])
    for error in (call.result(), await refusal(update(site, run)), await refusal(poll(site, run))):
        assert isinstance(error, NotFound)
        assert error.message == "workflow update was aborted by closing workflow"
    other = await refusal(update(site, run, "other"))
    assert isinstance(other, NotFound)
    assert other.message == "workflow execution already completed"


async def test_a_run_that_closes_on_an_accepted_update(site: Site) -> None:
    run = await idle(site)
    acceptance = accept("u", 5)
    async with (
        respond(update(site, run)) as completed,
        respond(update(site, run, stage=ACCEPTED)) as accepted,
    ):
        await admitted(site, run, "u")
        await complete_with(site, await take_task(site), [acceptance], [command(acceptance), COMPLETE])
    again = await update(site, run)
    for each in (completed.result(), accepted.result(), again, await poll(site, run, stage=ACCEPTED)):
        assert each.stage == COMPLETED
        info = each.outcome.failure.application_failure_info
        assert (info.type, info.non_retryable) == ("AcceptedUpdateCompletedWorkflow", True)


async def test_messages_that_come_after_the_close_are_void(site: Site) -> None:
    run = await idle(site)
    async with respond(refusal(update(site, run))) as call, respond(update(site, run, "v")) as other:
        await admitted(site, run, "u", "v")
        task = await take_task(site)
        await complete_with(site, task, [accept("u", 5), answer("u"), reject("v", "no")], [COMPLETE])
    assert isinstance(call.result(), NotFound)
    assert other.result().outcome.failure.message == "no"
    assert (await types(site, run))[-1] == "WORKFLOW_EXECUTION_COMPLETED"


async def test_where_another_run_goes_on_the_caller_is_to_ask_that(site: Site) -> None:
    run = await idle(site)
    async with respond(refusal(update(site, run))) as call:
        await complete_with(site, await take_task(site), [], [NEXT])
    error = call.result()
    assert isinstance(error, ResourceExhausted)
    assert error.message == "workflow operation can not be applied because workflow is closing"
    assert isinstance(await refusal(update(site, run, "other")), NotFound)  # it names the closed run


async def test_a_terminated_run(site: Site) -> None:
    run = await idle(site)
    async with respond(update(site, run)) as accepted, respond(refusal(update(site, run, "v"))) as call:
        await admitted(site, run, "u", "v")
        task = await take_task(site)
        await complete_with(site, task, [accept("u", 5)], force_create_new_workflow_task=True)
        await site.call(TerminateWorkflowExecutionRequest(namespace=NS, workflow_execution=run))
    assert isinstance(call.result(), NotFound)
    assert (
        accepted.result().outcome.failure.application_failure_info.type == "AcceptedUpdateCompletedWorkflow"
    )


async def test_a_speculative_task_goes_with_its_run(site: Site) -> None:
    run = await idle(site)
    async with respond(refusal(update(site, run))):
        await admitted(site, run, "u")
        await site.call(TerminateWorkflowExecutionRequest(namespace=NS, workflow_execution=run))
    assert await types(site, run) == [*FIRST, "WORKFLOW_EXECUTION_TERMINATED"]

    run = await raw_worker.start(site, "w2")
    await raw_worker.complete(site, await take_task(site))
    async with respond(refusal(update(site, run))):
        await take_task(site)
        await site.call(TerminateWorkflowExecutionRequest(namespace=NS, workflow_execution=run))
    assert (await types(site, run))[4:] == [
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_TASK_STARTED",
        "WORKFLOW_TASK_FAILED",
        "WORKFLOW_EXECUTION_TERMINATED",
    ]


# Tasks that fail


async def test_a_worker_that_fails_its_task_is_sent_the_update_again(site: Site) -> None:
    run = await idle(site)
    async with respond(update(site, run)) as call:
        task = await take_task(site)
        await site.call(
            RespondWorkflowTaskFailedRequest(namespace=NS, task_token=task.task_token, identity="worker")
        )
        assert (await types(site, run))[4:7] == [
            "WORKFLOW_TASK_SCHEDULED",
            "WORKFLOW_TASK_STARTED",
            "WORKFLOW_TASK_FAILED",
        ]
        await complete_update(site, await take_task(site))
    assert call.result().outcome.HasField("success")


async def test_a_run_whose_task_keeps_failing_takes_no_update(site: Site) -> None:
    run = await raw_worker.start(site)
    for _ in range(2):
        task = await take_task(site)
        await site.call(
            RespondWorkflowTaskFailedRequest(namespace=NS, task_token=task.task_token, identity="worker")
        )
    error = await refusal(update(site, run))
    assert isinstance(error, WorkflowNotReady)
    assert (
        error.message == "Unable to perform workflow execution update due to Workflow Task in failed state."
    )


async def test_a_message_without_a_body_is_none(site: Site) -> None:
    """It changes nothing but what is in memory, which callers do not notice: the update is sent anew."""
    run = await idle(site)
    async with respond(update(site, run)):
        empty = Message(id="x", protocol_instance_id="u")
        error = await refusal(complete_with(site, await take_task(site), [empty], []))
        assert isinstance(error, InvalidArgument)
        assert error.message == "nil message body"
        assert await types(site, run, "temporal-cli") == FIRST
        await complete_update(site, await take_task(site))


async def test_a_worker_brings_a_lost_update_back(site: Site) -> None:
    run = await idle(site)
    lost = Request(meta=Meta(update_id="lost"), input=Input(name="n"))
    async with respond(update(site, run)):
        messages = [accept("u", 5), answer("u"), accept("lost", 5, lost), answer("lost")]
        await complete_with(site, await take_task(site), messages)
    assert (await poll(site, run, "lost")).outcome.HasField("success")
    accepted = (await events(site, run))[9].workflow_execution_update_accepted_event_attributes
    assert accepted.accepted_request == lost


# What is lost


async def test_an_update_outlives_the_eviction_of_its_run(site: Site) -> None:
    """Its caller does not notice: the update is let in anew."""
    run = await idle(site)
    async with respond(update(site, run)) as call:
        await admitted(site, run, "u")
        (waiter,) = next(iter(site.region.updates._waiting.values()))
        site.region.runs.drop(waiter.run)
        await complete_update(site, await take_task(site))
    assert call.result().outcome.HasField("success")


async def test_a_worker_that_has_a_task_of_an_evicted_run_has_nothing(site: Site) -> None:
    run = await idle(site)
    async with respond(update(site, run)):
        task = await take_task(site)
        (waiter,) = next(iter(site.region.updates._waiting.values()))
        site.region.runs.drop(waiter.run)
        error = await refusal(complete_with(site, task, [reject("u")]))
        assert isinstance(error, NotFound)
        await complete_update(site, await take_task(site))


async def test_an_accepted_update_is_not_lost(site: Site) -> None:
    run = await idle(site)
    async with respond(update(site, run)) as call:
        await complete_with(
            site, await take_task(site), [accept("u", 5)], force_create_new_workflow_task=True
        )
        site.region.runs.drop(RunKey(site.region.namespaces.by_name(NS).id, run.workflow_id, run.run_id))
        await complete_with(site, await take_task(site), [answer("u")])
    assert call.result().stage == COMPLETED


async def test_a_caller_that_gives_up_before_its_update_is_let_in_leaves_nothing_behind(site: Site) -> None:
    run = await idle(site)
    changes = site.region.changes
    lock = (site.region.namespaces.by_name(NS).id, run.workflow_id)
    await changes._locks.acquire(lock)
    call = asyncio.create_task(update(site, run))
    await asyncio.sleep(0)  # it waits for the lock
    call.cancel()
    await asyncio.wait([call])
    changes._locks.release(lock)

    await complete_update(site, await take_task(site))  # it is let in all the same
    assert not site.region.updates._waiting
