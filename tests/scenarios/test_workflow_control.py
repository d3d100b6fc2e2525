"""A paused workflow and one with changed options, on the other side of a failover (scenario 14)."""

from __future__ import annotations

from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.common.v1 import Priority, WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflow.v1 import VersioningOverride, WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    PauseWorkflowExecutionRequest,
    UnpauseWorkflowExecutionRequest,
    UpdateWorkflowExecutionOptionsRequest,
)

from tests.scenarios.stage import COMPLETE, LOCALLY, Caller, Stage, schedule_activity, types

RUN = WorkflowExecution(workflow_id="w")
PAUSED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED


async def described(caller: Caller) -> DescribeWorkflowExecutionResponse:
    return await caller.ask(
        DescribeWorkflowExecutionRequest(execution=RUN), DescribeWorkflowExecutionResponse, metadata=LOCALLY
    )


async def test_14_a_paused_workflow_stays_paused(journey: Stage) -> None:
    """Nothing of it is dispatched in the new region until it is unpaused there."""
    old = journey.at()
    await old.start("w")
    await old.work(schedule_activity())
    await old.call(PauseWorkflowExecutionRequest(workflow_id="w", identity="op", reason="why"))
    await old.signal("w", "before")

    await journey.switch()

    new = journey.at(journey.new)
    found = await described(new)
    assert found.workflow_execution_info.status == PAUSED
    assert found.workflow_extended_info.pause_info.reason == "why"
    assert len(found.pending_activities) == 1
    assert not found.HasField("pending_workflow_task")
    await new.signal("w", "after")
    await new.call(UnpauseWorkflowExecutionRequest(workflow_id="w"))
    assert (await new.poll_activity()).activity_id == "a"
    await new.work(COMPLETE)
    run = await journey.only_run("w")
    version = journey.versions[-1]
    assert types(run.events)[5:] == [
        ("WORKFLOW_EXECUTION_PAUSED", 1),
        ("WORKFLOW_EXECUTION_SIGNALED", 1),
        ("WORKFLOW_EXECUTION_SIGNALED", version),
        ("WORKFLOW_EXECUTION_UNPAUSED", version),
        ("WORKFLOW_TASK_SCHEDULED", version),
        ("WORKFLOW_TASK_STARTED", version),
        ("WORKFLOW_TASK_COMPLETED", version),
        ("WORKFLOW_EXECUTION_COMPLETED", version),
    ]
    assert run.status == "COMPLETED"


async def test_14_changed_options_survive(journey: Stage) -> None:
    """Priority and override are those of the event, whichever region reads it."""
    old = journey.at()
    await old.start("w")
    await old.call(
        UpdateWorkflowExecutionOptionsRequest(
            workflow_execution=RUN,
            update_mask=FieldMask(paths=["priority", "versioning_override"]),
            workflow_execution_options=WorkflowExecutionOptions(
                priority=Priority(priority_key=2), versioning_override=VersioningOverride(auto_upgrade=True)
            ),
        )
    )

    await journey.switch()

    new = journey.at(journey.new)
    info = (await described(new)).workflow_execution_info
    assert info.priority.priority_key == 2
    assert info.versioning_info.versioning_override.auto_upgrade
    await new.work(schedule_activity())
    assert (await new.poll_activity()).priority.priority_key == 2
