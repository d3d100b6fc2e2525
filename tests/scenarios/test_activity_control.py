"""What operators did to activities, on the other side of a failover (scenario 14)."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    PauseActivityRequest,
    RespondActivityTaskCompletedRequest,
    UnpauseActivityRequest,
    UpdateActivityOptionsRequest,
)

from tests.scenarios.stage import COMPLETE, LOCALLY, Caller, Stage, of_type, schedule_activity, until

RUN = WorkflowExecution(workflow_id="w")


async def pending(caller: Caller) -> dict[str, PendingActivityInfo]:
    answer = await caller.ask(
        DescribeWorkflowExecutionRequest(execution=RUN), DescribeWorkflowExecutionResponse, metadata=LOCALLY
    )
    return {info.activity_id: info for info in answer.pending_activities}


async def test_14_activity_pause_and_options_survive(journey: Stage) -> None:
    """A paused activity stays paused, one with changed options keeps them, until the new region changes that."""
    old = journey.at()
    await old.start("w")
    await old.work(schedule_activity("paused"), schedule_activity("changed"))
    await old.call(PauseActivityRequest(execution=RUN, id="paused", identity="op", reason="why"))
    await old.call(
        UpdateActivityOptionsRequest(
            execution=RUN,
            id="changed",
            update_mask=FieldMask(paths=["heartbeat_timeout"]),
            activity_options=ActivityOptions(heartbeat_timeout=Duration(seconds=9)),
        )
    )

    await journey.switch()

    new = journey.at(journey.new)
    found = await pending(new)
    assert found["paused"].state == PendingActivityState.PENDING_ACTIVITY_STATE_PAUSED
    assert found["paused"].pause_info.manual.reason == "why"
    assert found["changed"].activity_options.heartbeat_timeout.seconds == 9
    task = await new.poll_activity()
    assert task.activity_id == "changed"
    await new.call(RespondActivityTaskCompletedRequest(task_token=task.task_token))
    await new.call(UnpauseActivityRequest(execution=RUN, id="paused"))
    task = await new.poll_activity()
    assert task.activity_id == "paused"
    other = journey.at(journey.old)

    async def unpaused() -> bool:
        return not (await pending(other))["paused"].paused

    await until(unpaused)
    await new.call(RespondActivityTaskCompletedRequest(task_token=task.task_token))
    await new.work(COMPLETE)
    run = await journey.only_run("w")
    assert len(of_type(run.events, "ACTIVITY_TASK_COMPLETED")) == 2
    assert run.status == "COMPLETED"
