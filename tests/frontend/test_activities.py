"""Activities, call by call."""

from __future__ import annotations

import pytest
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.enums.v1 import EventType, PendingActivityState
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    RecordActivityTaskHeartbeatByIdRequest,
    RecordActivityTaskHeartbeatByIdResponse,
    RecordActivityTaskHeartbeatRequest,
    RecordActivityTaskHeartbeatResponse,
    RespondActivityTaskCanceledByIdRequest,
    RespondActivityTaskCanceledRequest,
    RespondActivityTaskCompletedByIdRequest,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskFailedByIdRequest,
    RespondActivityTaskFailedRequest,
)

from mockcloud.core.errors import Code
from tests.frontend.raw_worker import NS, take_activity, with_activity
from tests.support import Site, refusal

BIG = Payloads(payloads=[Payload(data=bytes(2 * 1024 * 1024 + 1))])
SMALL = Payloads(payloads=[Payload(data=b"x")])
FAILURE = Failure(
    message="no", application_failure_info=ApplicationFailureInfo(type="No", non_retryable=True)
)
STALE = "invalid activityID or activity already timed out or invoking workflow is completed"


async def events(site: Site, run: WorkflowExecution) -> list[HistoryEvent]:
    response = await site.ask(
        GetWorkflowExecutionHistoryRequest(namespace=NS, execution=run), GetWorkflowExecutionHistoryResponse
    )
    return list(response.history.events)


async def ended(site: Site, run: WorkflowExecution) -> HistoryEvent:
    """The event that closed the activity: the last one before the next workflow task."""
    return (await events(site, run))[-2]


@pytest.mark.parametrize("by_id", [False, True])
async def test_completion(site: Site, by_id: bool) -> None:
    run = await with_activity(site)
    task = await take_activity(site)
    assert (task.activity_id, task.attempt, task.workflow_namespace) == ("a1", 1, NS)

    if by_id:
        await site.call(
            RespondActivityTaskCompletedByIdRequest(
                namespace=NS, workflow_id="w", activity_id="a1", result=SMALL, identity="other"
            )
        )
    else:
        await site.call(RespondActivityTaskCompletedRequest(task_token=task.task_token, result=SMALL))

    closing = await ended(site, run)
    assert closing.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
    assert closing.activity_task_completed_event_attributes.result == SMALL
    again = await refusal(site.call(RespondActivityTaskCompletedRequest(task_token=task.task_token)))
    assert again is not None
    assert (again.code, again.message) == (Code.NOT_FOUND, STALE)


@pytest.mark.parametrize("by_id", [False, True])
async def test_failure(site: Site, by_id: bool) -> None:
    run = await with_activity(site)
    task = await take_activity(site)

    if by_id:
        await site.call(
            RespondActivityTaskFailedByIdRequest(
                namespace=NS, workflow_id="w", activity_id="a1", failure=FAILURE
            )
        )
    else:
        await site.call(RespondActivityTaskFailedRequest(task_token=task.task_token, failure=FAILURE))

    closing = await ended(site, run)
    assert closing.activity_task_failed_event_attributes.failure == FAILURE


@pytest.mark.parametrize("by_id", [False, True])
async def test_cancellation_must_have_been_asked_for(site: Site, by_id: bool) -> None:
    await with_activity(site)
    task = await take_activity(site)

    error = await refusal(
        site.call(
            RespondActivityTaskCanceledByIdRequest(namespace=NS, workflow_id="w", activity_id="a1")
            if by_id
            else RespondActivityTaskCanceledRequest(task_token=task.task_token)
        )
    )

    assert error is not None
    assert error.code is Code.INVALID_ARGUMENT


async def test_heartbeats(site: Site) -> None:
    run = await with_activity(site)
    task = await take_activity(site)

    first = await site.ask(
        RecordActivityTaskHeartbeatRequest(task_token=task.task_token, details=SMALL),
        RecordActivityTaskHeartbeatResponse,
    )
    second = await site.ask(
        RecordActivityTaskHeartbeatByIdRequest(
            namespace=NS, workflow_id="w", activity_id="a1", details=SMALL
        ),
        RecordActivityTaskHeartbeatByIdResponse,
    )

    assert not first.cancel_requested
    assert not second.cancel_requested
    description = await site.ask(
        DescribeWorkflowExecutionRequest(namespace=NS, execution=run), DescribeWorkflowExecutionResponse
    )
    (pending,) = description.pending_activities
    assert pending.heartbeat_details == SMALL
    assert pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED


async def test_an_unknown_activity(site: Site) -> None:
    await with_activity(site)
    error = await refusal(
        site.call(RespondActivityTaskCompletedByIdRequest(namespace=NS, workflow_id="w", activity_id="nope"))
    )
    assert error is not None
    assert (error.code, error.message) == (
        Code.NOT_FOUND,
        (
            "cannot find pending activity with ActivityID nope, "
            "check workflow execution history for more details"
        ),
    )


@pytest.mark.parametrize("kind", ["complete", "heartbeat", "fail"])
async def test_what_is_too_large_fails_the_activity(site: Site, kind: str) -> None:
    run = await with_activity(site)
    token = (await take_activity(site)).task_token
    too_large = Failure(
        message="x" * (2 * 1024 * 1024 + 1), application_failure_info=ApplicationFailureInfo()
    )

    if kind == "complete":
        await site.call(RespondActivityTaskCompletedRequest(task_token=token, result=BIG))
        text = "Complete result exceeds size limit."
    elif kind == "heartbeat":
        beat = RecordActivityTaskHeartbeatRequest(task_token=token, details=BIG)
        assert (await site.ask(beat, RecordActivityTaskHeartbeatResponse)).cancel_requested
        text = "Heartbeat details exceed size limit."
    else:
        await site.call(RespondActivityTaskFailedRequest(task_token=token, failure=too_large))
        text = "Failure exceeds size limit."

    failure = (await ended(site, run)).activity_task_failed_event_attributes.failure
    assert failure.message == text
    assert failure.server_failure_info.non_retryable
    assert failure.ByteSize() < 1024 * 1024
