"""Operators at pending activities: call by call, and as an SDK worker notices it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.common.v1 import Priority, WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    ListWorkflowExecutionsRequest,
    ListWorkflowExecutionsResponse,
    PauseActivityRequest,
    RecordActivityTaskHeartbeatByIdRequest,
    RecordActivityTaskHeartbeatByIdResponse,
    RecordActivityTaskHeartbeatRequest,
    RecordActivityTaskHeartbeatResponse,
    ResetActivityRequest,
    UnpauseActivityRequest,
    UpdateActivityOptionsRequest,
    UpdateActivityOptionsResponse,
)
from temporalio.client import Client
from temporalio.worker import Worker

from mockcloud.core.errors import Code
from tests.frontend.raw_worker import NS, take_activity, with_activity
from tests.frontend.sdk_activities import Beating, beats
from tests.support import Site, grpc_address, refusal

RUN = WorkflowExecution(workflow_id="w")
CONTROL = (PauseActivityRequest, UnpauseActivityRequest, ResetActivityRequest, UpdateActivityOptionsRequest)


async def pending(site: Site) -> PendingActivityInfo:
    """The one pending activity, or an empty message."""
    answer = await site.ask(
        DescribeWorkflowExecutionRequest(namespace=NS, execution=RUN), DescribeWorkflowExecutionResponse
    )
    return answer.pending_activities[0] if answer.pending_activities else PendingActivityInfo()


async def becomes(site: Site, state: PendingActivityState.ValueType) -> None:
    """Wait until the one pending activity is in a state."""
    async with asyncio.timeout(10):
        while (await pending(site)).state != state:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)


# Call by call


async def test_heartbeats_tell_of_pause_and_reset(site: Site) -> None:
    await with_activity(site)
    task = await take_activity(site)
    await site.call(PauseActivityRequest(namespace=NS, execution=RUN, id="a1", identity="op"))
    await site.call(ResetActivityRequest(namespace=NS, execution=RUN, type="act"))

    by_token = await site.ask(
        RecordActivityTaskHeartbeatRequest(task_token=task.task_token), RecordActivityTaskHeartbeatResponse
    )
    by_id = await site.ask(
        RecordActivityTaskHeartbeatByIdRequest(namespace=NS, workflow_id="w", activity_id="a1"),
        RecordActivityTaskHeartbeatByIdResponse,
    )

    for answer in (by_token, by_id):
        assert (answer.activity_paused, answer.activity_reset, answer.cancel_requested) == (True, True, False)
    info = await pending(site)
    assert info.state == PendingActivityState.PENDING_ACTIVITY_STATE_PAUSE_REQUESTED
    assert info.pause_info.manual.identity == "op"


async def test_lists_tell_which_activities_are_paused(site: Site) -> None:
    await with_activity(site)

    async def told() -> bytes:
        answer = await site.ask(ListWorkflowExecutionsRequest(namespace=NS), ListWorkflowExecutionsResponse)
        return answer.executions[0].search_attributes.indexed_fields["TemporalPauseInfo"].data

    assert await told() == b""
    await site.call(PauseActivityRequest(namespace=NS, execution=RUN, id="a1"))
    assert await told() == b'["property:activityType=act"]'
    await site.call(UnpauseActivityRequest(namespace=NS, execution=RUN, id="a1"))
    assert await told() == b""


async def test_changed_options_move_the_activity_to_another_queue(site: Site) -> None:
    await with_activity(site)
    request = UpdateActivityOptionsRequest(
        namespace=NS,
        execution=RUN,
        id="a1",
        update_mask=FieldMask(paths=["task_queue.name", "priority.priority_key"]),
        activity_options=ActivityOptions(priority=Priority(priority_key=5)),
    )
    request.activity_options.task_queue.name = "elsewhere"
    answer = await site.ask(request, UpdateActivityOptionsResponse)
    assert answer.activity_options.task_queue.name == "elsewhere"
    assert answer.activity_options.priority.priority_key == 5

    request.activity_options.task_queue.name = "q"
    await site.call(request)
    task = await take_activity(site)
    assert task.priority.priority_key == 5


@pytest.mark.parametrize("kind", CONTROL)
async def test_what_the_frontend_refuses(site: Site, kind: type[Any]) -> None:
    cases: list[tuple[Message, str]] = [
        (kind(namespace=NS, id="a"), "WorkflowId is not set on request."),
        (
            kind(namespace=NS, execution=RUN),
            "Either Activity.Id or Activity.Type should be set on request.",
        ),
        (
            kind(namespace=NS, execution=WorkflowExecution(workflow_id="w", run_id="x"), id="a"),
            "RunId is not valid UUID.",
        ),
    ]
    for request, message in cases:
        error = await refusal(site.call(request))
        assert error is not None
        assert (error.code, error.message) == (Code.INVALID_ARGUMENT, message)
    absent = await refusal(site.call(kind(namespace=NS, execution=RUN, id="a")))
    assert absent is not None
    assert (absent.code, absent.message) == (Code.NOT_FOUND, "workflow not found for ID: w")


async def test_a_bad_priority_is_refused(site: Site) -> None:
    options = ActivityOptions(priority=Priority(priority_key=-1))
    error = await refusal(
        site.call(UpdateActivityOptionsRequest(namespace=NS, execution=RUN, id="a", activity_options=options))
    )
    assert error is not None
    assert (error.code, error.message) == (Code.INVALID_ARGUMENT, "priority key can't be negative")


# With an SDK worker


@pytest.fixture
async def client(site: Site) -> AsyncIterator[Client]:
    async with (
        grpc_address(site) as address,
        Worker(
            await Client.connect(address),
            task_queue="queue",
            workflows=[Beating],
            activities=[beats],
            max_heartbeat_throttle_interval=timedelta(milliseconds=50),
            default_heartbeat_throttle_interval=timedelta(milliseconds=50),
        ),
    ):
        yield await Client.connect(address)


async def test_a_worker_gives_up_a_paused_activity_and_gets_it_again(site: Site, client: Client) -> None:
    # Given an activity that beats, when it is paused.
    handle = await client.start_workflow(Beating.run, id="w", task_queue="queue")
    await becomes(site, PendingActivityState.PENDING_ACTIVITY_STATE_STARTED)
    await client.workflow_service.pause_activity(
        PauseActivityRequest(namespace=NS, execution=RUN, id="beats", reason="maintenance")
    )

    # Then the worker stops it, it waits, and goes on with its second attempt once it is unpaused.
    await becomes(site, PendingActivityState.PENDING_ACTIVITY_STATE_PAUSED)
    info = await pending(site)
    assert info.attempt == 2
    assert info.pause_info.manual.reason == "maintenance"
    await client.workflow_service.unpause_activity(
        UnpauseActivityRequest(namespace=NS, execution=RUN, type="beats")
    )
    assert await handle.result() == "attempt 2"


async def test_a_worker_gives_up_an_activity_that_is_reset(site: Site, client: Client) -> None:
    handle = await client.start_workflow(Beating.run, id="w", task_queue="queue")
    await becomes(site, PendingActivityState.PENDING_ACTIVITY_STATE_STARTED)
    await client.workflow_service.reset_activity(
        ResetActivityRequest(namespace=NS, execution=RUN, id="beats")
    )
    assert await handle.result() == "attempt 2"
