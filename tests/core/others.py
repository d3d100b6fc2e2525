"""Commands that are about other workflows, and what becomes of them."""

from __future__ import annotations

from typing import Any

from temporalio.api.command.v1 import (
    Command,
    RequestCancelExternalWorkflowExecutionCommandAttributes,
    SignalExternalWorkflowExecutionCommandAttributes,
    StartChildWorkflowExecutionCommandAttributes,
)
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import CommandType, EventType
from temporalio.api.history.v1 import (
    HistoryEvent,
    WorkflowExecutionCompletedEventAttributes,
    WorkflowExecutionStartedEventAttributes,
)

from mockcloud.core.children import ClosedChild
from tests.core.makers import payloads

RUN_ID = "01234567-89ab-cdef-0123-456789abcdef"


def start_child(workflow_id: str = "child", **fields: Any) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION,
        start_child_workflow_execution_command_attributes=StartChildWorkflowExecutionCommandAttributes(
            **{"workflow_id": workflow_id, "workflow_type": WorkflowType(name="Child"), **fields}
        ),
    )


def signal_external(workflow_id: str = "other", run_id: str = "", **fields: Any) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION,
        signal_external_workflow_execution_command_attributes=SignalExternalWorkflowExecutionCommandAttributes(
            **{
                "execution": WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
                "signal_name": "hello",
                **fields,
            }
        ),
    )


def cancel_external(workflow_id: str = "other", run_id: str = "", **fields: Any) -> Command:
    attributes = RequestCancelExternalWorkflowExecutionCommandAttributes(
        workflow_id=workflow_id, run_id=run_id, **fields
    )
    return Command(
        command_type=CommandType.COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION,
        request_cancel_external_workflow_execution_command_attributes=attributes,
    )


def closed_child(
    initiated_event_id: int,
    *,
    first_run_id: str = "c1",
    run_id: str = "c1",
    workflow_id: str = "child",
    version: int = 1,
    close_event: HistoryEvent | None = None,
) -> ClosedChild:
    """A child that has completed, as its parent hears of it."""
    return ClosedChild(
        link=WorkflowExecutionStartedEventAttributes(
            parent_initiated_event_id=initiated_event_id, parent_initiated_event_version=version
        ),
        execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
        first_run_id=first_run_id,
        close_event=close_event
        or HistoryEvent(
            event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
            workflow_execution_completed_event_attributes=WorkflowExecutionCompletedEventAttributes(
                result=payloads("done")
            ),
        ),
    )
