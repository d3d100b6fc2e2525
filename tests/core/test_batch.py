from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.batch.v1 import (
    BatchOperationCancellation,
    BatchOperationDeletion,
    BatchOperationReset,
    BatchOperationResetActivities,
    BatchOperationSignal,
    BatchOperationTermination,
    BatchOperationUnpauseActivities,
    BatchOperationUpdateActivityOptions,
    BatchOperationUpdateWorkflowExecutionOptions,
)
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import BatchOperationType, ResetType
from temporalio.api.workflow.v1 import WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    RequestCancelWorkflowExecutionRequest,
    ResetActivityRequest,
    SignalWorkflowExecutionRequest,
    StartBatchOperationRequest,
    TerminateWorkflowExecutionRequest,
    UnpauseActivityRequest,
    UpdateActivityOptionsRequest,
    UpdateWorkflowExecutionOptionsRequest,
)

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import batch, visibility_query
from mockcloud.core.batch import Progress
from mockcloud.core.errors import InvalidArgument

RUN = WorkflowExecution(workflow_id="w", run_id="r")


def requested(**fields: Any) -> StartBatchOperationRequest:
    whole = {"namespace": "default", "job_id": "j", "reason": "why", "visibility_query": "A = 1", **fields}
    return StartBatchOperationRequest(**whole)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (
            {"termination_operation": BatchOperationTermination(identity="me")},
            TerminateWorkflowExecutionRequest(workflow_execution=RUN, reason="why", identity="me"),
        ),
        (
            {"cancellation_operation": BatchOperationCancellation(identity="me")},
            RequestCancelWorkflowExecutionRequest(workflow_execution=RUN, identity="me", request_id="id"),
        ),
        (
            {"signal_operation": BatchOperationSignal(signal="s", identity="me")},
            SignalWorkflowExecutionRequest(
                workflow_execution=RUN, signal_name="s", identity="me", request_id="id"
            ),
        ),
        (
            {"deletion_operation": BatchOperationDeletion()},
            DeleteWorkflowExecutionRequest(workflow_execution=RUN),
        ),
        (
            {
                "update_workflow_options_operation": BatchOperationUpdateWorkflowExecutionOptions(
                    workflow_execution_options=WorkflowExecutionOptions(), update_mask=FieldMask(paths=["p"])
                )
            },
            UpdateWorkflowExecutionOptionsRequest(
                workflow_execution=RUN,
                workflow_execution_options=WorkflowExecutionOptions(),
                update_mask=FieldMask(paths=["p"]),
            ),
        ),
        (
            {"unpause_activities_operation": BatchOperationUnpauseActivities(type="T", reset_attempts=True)},
            UnpauseActivityRequest(execution=RUN, type="T", reset_attempts=True),
        ),
        (
            {"unpause_activities_operation": BatchOperationUnpauseActivities(match_all=True)},
            UnpauseActivityRequest(execution=RUN, unpause_all=True),
        ),
        (
            {"reset_activities_operation": BatchOperationResetActivities(type="T", keep_paused=True)},
            ResetActivityRequest(execution=RUN, type="T", keep_paused=True),
        ),
        (
            {
                "update_activity_options_operation": BatchOperationUpdateActivityOptions(
                    match_all=True, activity_options=ActivityOptions(), update_mask=FieldMask(paths=["p"])
                )
            },
            UpdateActivityOptionsRequest(
                execution=RUN,
                match_all=True,
                activity_options=ActivityOptions(),
                update_mask=FieldMask(paths=["p"]),
            ),
        ),
    ],
)
def test_what_is_done_to_one_run(operation: dict[str, Any], expected: Message) -> None:
    request = requested(**operation)
    batch.validate(request)
    expected.namespace = "default"  # type: ignore[attr-defined]
    assert batch.item_request(request, RUN, "id") == expected


@pytest.mark.parametrize(
    ("operation", "query"),
    [
        ({"termination_operation": BatchOperationTermination()}, "(A = 1) AND (ExecutionStatus='Running')"),
        ({"deletion_operation": BatchOperationDeletion()}, "A = 1"),
        (
            {"reset_operation": BatchOperationReset(reset_type=ResetType.RESET_TYPE_LAST_WORKFLOW_TASK)},
            "A = 1",
        ),
        (
            {"unpause_activities_operation": BatchOperationUnpauseActivities(type="it's")},
            "(TemporalPauseInfo = 'property:activityType=it''s') AND (ExecutionStatus='Running')",
        ),
    ],
)
def test_a_batch_is_a_workflow(operation: dict[str, Any], query: str) -> None:
    request = requested(**operation)
    start = batch.start_request(request, "id")
    assert (start.workflow_id, start.workflow_type.name) == ("j", batch.WORKFLOW_TYPE)
    assert batch.batch_of(start.input).visibility_query == query
    assert request.visibility_query == "A = 1"
    assert start.search_attributes.indexed_fields["TemporalNamespaceDivision"].data == b'"TemporalBatcher"'
    assert batch.reason(start.memo.fields) == "why"
    assert batch.operation_type(start.memo.fields) != BatchOperationType.BATCH_OPERATION_TYPE_UNSPECIFIED


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (
            {"reset_activities_operation": BatchOperationResetActivities()},
            "must provide ActivityType or MatchAll",
        ),
        (
            {"unpause_activities_operation": BatchOperationUnpauseActivities(type="")},
            "Either activity type must be set, or match all should be set to true",
        ),
        (
            {"update_activity_options_operation": BatchOperationUpdateActivityOptions(match_all=True)},
            "Either activity type must be set, or restore original should be set to true",
        ),
        (
            {
                "update_activity_options_operation": BatchOperationUpdateActivityOptions(
                    activity_options=ActivityOptions(), restore_original=True
                )
            },
            "cannot set both activity options and restore original",
        ),
    ],
)
def test_operations_on_activities_are_checked(operation: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        batch.validate(requested(**operation))
    assert caught.value.message == message


def test_progress_is_told_and_read_back() -> None:
    progress = Progress(PageToken="dG9rZW4=", Position=3, TotalEstimate=9, SuccessCount=2, ErrorCount=1)
    assert Progress.of(progress.payloads()) == progress
    assert Progress.of(type(progress.payloads())()) is None
    assert batch.stats(batch.stats_memo(progress).fields) == (2, 1)


def test_open_batches_are_found_as_by_their_query() -> None:
    query = f"{batch.ALL_BATCHES} AND ExecutionStatus = 'Running'"
    assert visibility_query.parse(query, NamespaceRecord()).filter == batch.OPEN_BATCHES
