"""Batch operations: what a client may ask for, the workflow that a batch is, and what it does to each run.

A batch is a workflow of the namespace, as in the real server: its job id is the workflow's id, what it is to do is
the input, type and reason are in its memo, and TemporalNamespaceDivision keeps it out of ordinary lists. Its one
activity goes through the runs and tells its progress in heartbeats. So a batch replicates, survives a failover and
is stopped like any workflow. The server is its worker: `engine.batches`.

Real: service/worker/batcher, service/frontend/workflow_handler.go (StartBatchOperation and its neighbours).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Final

from google.protobuf.message import Message
from temporalio.api.batch.v1 import (
    BatchOperationResetActivities,
    BatchOperationUnpauseActivities,
    BatchOperationUpdateActivityOptions,
)
from temporalio.api.common.v1 import ActivityType, Memo, Payload, Payloads, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import (
    BatchOperationState,
    BatchOperationType,
    ResetType,
    WorkflowExecutionStatus,
    WorkflowIdConflictPolicy,
    WorkflowIdReusePolicy,
)
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    RequestCancelWorkflowExecutionRequest,
    ResetActivityRequest,
    SignalWorkflowExecutionRequest,
    StartBatchOperationRequest,
    StartWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
    UnpauseActivityRequest,
    UpdateActivityOptionsRequest,
    UpdateWorkflowExecutionOptionsRequest,
)

from mockcloud.core import search_attribute_values as values
from mockcloud.core import sql
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.messages import copy_set
from mockcloud.core.visibility_filter import AllOf, Field, FieldTest

WORKFLOW_TYPE: Final = "temporal-sys-batch-workflow-protobuf"
ACTIVITY_TYPE: Final = ActivityType(name="BatchActivityWithProtobuf")
TASK_QUEUE: Final = TaskQueue(name="temporal-sys-per-ns-tq")
DIVISION: Final = "TemporalBatcher"
ALL_BATCHES: Final = f"TemporalNamespaceDivision = '{DIVISION}'"
# The query `ALL_BATCHES AND ExecutionStatus = 'Running'`: every switch of a namespace asks it, so it is not parsed.
OPEN_BATCHES: Final = AllOf(
    (
        FieldTest(Field("TemporalNamespaceDivision", values.KEYWORD, system=False), "=", (DIVISION,)),
        FieldTest(
            Field("ExecutionStatus", values.KEYWORD, system=True),
            "=",
            (WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING,),
        ),
    )
)

_TYPE_MEMO: Final = "batch_operation_type"
_REASON_MEMO: Final = "batch_operation_reason"
STATS_MEMO: Final = "batch_operation_stats"

# The operation's field in the request: its name in the memo, its type in descriptions.
_OPERATIONS: Final[Mapping[str, tuple[str, BatchOperationType.ValueType]]] = {
    "termination_operation": ("terminate", BatchOperationType.BATCH_OPERATION_TYPE_TERMINATE),
    "cancellation_operation": ("cancel", BatchOperationType.BATCH_OPERATION_TYPE_CANCEL),
    "signal_operation": ("signal", BatchOperationType.BATCH_OPERATION_TYPE_SIGNAL),
    "deletion_operation": ("delete", BatchOperationType.BATCH_OPERATION_TYPE_DELETE),
    "reset_operation": ("reset", BatchOperationType.BATCH_OPERATION_TYPE_RESET),
    "update_workflow_options_operation": (
        "update_options",
        BatchOperationType.BATCH_OPERATION_TYPE_UPDATE_EXECUTION_OPTIONS,
    ),
    "unpause_activities_operation": (
        "unpause_activities",
        BatchOperationType.BATCH_OPERATION_TYPE_UNPAUSE_ACTIVITY,
    ),
    "reset_activities_operation": (
        "reset_activities",
        BatchOperationType.BATCH_OPERATION_TYPE_RESET_ACTIVITY,
    ),
    "update_activity_options_operation": (
        "update_activity_options",
        BatchOperationType.BATCH_OPERATION_TYPE_UPDATE_ACTIVITY_OPTIONS,
    ),
}
_OF_CLOSED_RUNS_TOO: Final = frozenset({"deletion_operation", "reset_operation"})
_EITHER: Final = "Either activity type must be set, or match all should be set to true"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch is: the details of its activity's heartbeats, and its result."""

    PageToken: str = ""  # the page that is being worked on, in base64
    CurrentPage: int = 0
    Position: int = 0  # of that page, or of the executions that were named, so many are done
    TotalEstimate: int = 0
    SuccessCount: int = 0
    ErrorCount: int = 0

    def payloads(self) -> Payloads:
        """As heartbeats and results carry it."""
        return Payloads(payloads=[_json(asdict(self))])

    @classmethod
    def of(cls, payloads: Payloads) -> Progress | None:
        """What was told last; None: nothing."""
        if not payloads.payloads:
            return None
        return cls(**json.loads(payloads.payloads[0].data))


def validate(request: StartBatchOperationRequest) -> None:
    """Raises InvalidArgument. Real: batcher.ValidateBatchOperation."""
    operation = request.WhichOneof("operation") or ""  # one that came to the API later is none to this server
    query = request.visibility_query
    if not (
        operation in _OPERATIONS and request.reason and request.namespace and (query or request.executions)
    ):
        raise InvalidArgument("must provide required parameters: BatchType/Reason/Namespace/Query/Executions")
    if not request.job_id:
        raise InvalidArgument("JobId is not set on request.")
    if query and request.executions:
        raise InvalidArgument("batch query and executions are mutually exclusive")
    check = _CHECKS.get(operation)
    if check is not None:
        check(request)
    if query:
        try:
            sql.parse_statement(f"select * from dummy where {query}")  # noqa: S608 only read
        except sql.SyntaxProblem as problem:
            raise InvalidArgument(f"invalid visibility query: {problem}") from None


def _check_signal(request: StartBatchOperationRequest) -> None:
    if not request.signal_operation.signal:
        raise InvalidArgument("must provide signal name")


def _check_options(request: StartBatchOperationRequest) -> None:
    operation = request.update_workflow_options_operation
    if not operation.HasField("workflow_execution_options"):
        raise InvalidArgument("must provide UpdateOptions")
    if not operation.HasField("update_mask"):
        raise InvalidArgument("must provide UpdateMask")


def _check_reset(request: StartBatchOperationRequest) -> None:
    operation = request.reset_operation
    if operation.HasField("options"):
        if operation.options.WhichOneof("target") is None:
            raise InvalidArgument("batch reset missing target")
    elif operation.reset_type not in ResetType.values() or not operation.reset_type:
        name = ResetType.Name(operation.reset_type) if not operation.reset_type else ""
        shown = "Unspecified" if name else str(operation.reset_type)
        raise InvalidArgument(f"unknown batch reset type {shown}")


def _check_unpause(request: StartBatchOperationRequest) -> None:
    operation = request.unpause_activities_operation
    if operation.WhichOneof("activity") is None:
        raise InvalidArgument("activity filter must be set")
    _activity_filter(operation)


def _check_reset_activities(request: StartBatchOperationRequest) -> None:
    operation = request.reset_activities_operation
    if operation.WhichOneof("activity") is None:
        raise InvalidArgument("must provide ActivityType or MatchAll")
    _activity_filter(operation)


def _check_activity_options(request: StartBatchOperationRequest) -> None:
    operation = request.update_activity_options_operation
    if operation.HasField("activity_options") and operation.restore_original:
        raise InvalidArgument("cannot set both activity options and restore original")
    if not operation.HasField("activity_options") and not operation.restore_original:
        raise InvalidArgument("Either activity type must be set, or restore original should be set to true")
    if operation.WhichOneof("activity") is not None:
        _activity_filter(operation)


def _activity_filter(
    operation: BatchOperationUnpauseActivities
    | BatchOperationResetActivities
    | BatchOperationUpdateActivityOptions,
) -> None:
    if not operation.type and not operation.match_all:
        raise InvalidArgument(_EITHER)


_CHECKS: Final[Mapping[str, Callable[[StartBatchOperationRequest], None]]] = {
    "signal_operation": _check_signal,
    "update_workflow_options_operation": _check_options,
    "reset_operation": _check_reset,
    "unpause_activities_operation": _check_unpause,
    "reset_activities_operation": _check_reset_activities,
    "update_activity_options_operation": _check_activity_options,
}


def start_request(request: StartBatchOperationRequest, request_id: str) -> StartWorkflowExecutionRequest:
    """The start of the workflow that the batch is. `request` passed `validate`."""
    field = request.WhichOneof("operation")
    assert field is not None, "it is validated"
    name, _ = _OPERATIONS[field]
    batch = StartBatchOperationRequest()
    batch.CopyFrom(request)
    batch.visibility_query = _query(request, field)
    identity: str = getattr(request, field).identity
    start = StartWorkflowExecutionRequest(
        namespace=request.namespace,
        workflow_id=request.job_id,
        workflow_type=WorkflowType(name=WORKFLOW_TYPE),
        task_queue=TASK_QUEUE,
        input=Payloads(
            payloads=[Payload(metadata={"encoding": b"binary/protobuf"}, data=batch.SerializeToString())]
        ),
        identity=identity,
        request_id=request_id,
        workflow_id_conflict_policy=WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
        workflow_id_reuse_policy=WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
        memo=Memo(fields={_TYPE_MEMO: _json(name), _REASON_MEMO: _json(request.reason)}),
    )
    start.search_attributes.indexed_fields["BatcherUser"].CopyFrom(values.encode(identity, values.KEYWORD))
    start.search_attributes.indexed_fields["TemporalNamespaceDivision"].CopyFrom(
        values.encode(DIVISION, values.KEYWORD)
    )
    return start


def batch_of(payloads: Payloads) -> StartBatchOperationRequest:
    """What a batch is to do, from its input."""
    return StartBatchOperationRequest.FromString(payloads.payloads[0].data)


def _query(request: StartBatchOperationRequest, field: str) -> str:
    """Which runs are meant: of most operations, only running ones of those that the client names."""
    query = request.visibility_query
    if field == "unpause_activities_operation":
        operation = request.unpause_activities_operation
        if operation.type:
            wanted = operation.type.replace("'", "''")
            query = f"TemporalPauseInfo = 'property:activityType={wanted}'"
        elif query:
            query = f"({query}) AND (TemporalPauseInfo IS NOT NULL)"
    if not query or field in _OF_CLOSED_RUNS_TOO:
        return query
    return f"({query}) AND (ExecutionStatus='Running')"


def item_request(batch: StartBatchOperationRequest, run: WorkflowExecution, request_id: str) -> Message:
    """What the batch does to one run, as the request of a client. A reset's point is looked up by the caller.

    `request_id` is the same each time that the batch comes to this run: a signal is not given twice.
    """
    match batch.WhichOneof("operation"):
        case "termination_operation":
            return TerminateWorkflowExecutionRequest(
                namespace=batch.namespace,
                workflow_execution=run,
                reason=batch.reason,
                identity=batch.termination_operation.identity,
                details=(
                    batch.termination_operation.details
                    if batch.termination_operation.HasField("details")
                    else None
                ),
            )
        case "cancellation_operation":
            return RequestCancelWorkflowExecutionRequest(
                namespace=batch.namespace,
                workflow_execution=run,
                identity=batch.cancellation_operation.identity,
                request_id=request_id,
            )
        case "signal_operation":
            signal = SignalWorkflowExecutionRequest(
                namespace=batch.namespace,
                workflow_execution=run,
                signal_name=batch.signal_operation.signal,
                identity=batch.signal_operation.identity,
                request_id=request_id,
            )
            copy_set(batch.signal_operation, signal, "input", "header")
            return signal
        case "deletion_operation":
            return DeleteWorkflowExecutionRequest(namespace=batch.namespace, workflow_execution=run)
        case "update_workflow_options_operation":
            options = batch.update_workflow_options_operation
            return UpdateWorkflowExecutionOptionsRequest(
                namespace=batch.namespace,
                workflow_execution=run,
                workflow_execution_options=options.workflow_execution_options,
                update_mask=options.update_mask,
                identity=options.identity,
            )
        case _:
            return _activities_request(batch, run)


def _activities_request(batch: StartBatchOperationRequest, run: WorkflowExecution) -> Message:
    match batch.WhichOneof("operation"):
        case "unpause_activities_operation":
            unpause = batch.unpause_activities_operation
            unpaused = UnpauseActivityRequest(
                namespace=batch.namespace,
                execution=run,
                identity=unpause.identity,
                reset_attempts=unpause.reset_attempts,
                reset_heartbeat=unpause.reset_heartbeat,
            )
            copy_set(unpause, unpaused, "jitter")
            if unpause.type:
                unpaused.type = unpause.type
            else:
                unpaused.unpause_all = True
            return unpaused
        case "reset_activities_operation":
            reset = batch.reset_activities_operation
            resetting = ResetActivityRequest(
                namespace=batch.namespace,
                execution=run,
                identity=reset.identity,
                reset_heartbeat=reset.reset_heartbeat,
                keep_paused=reset.keep_paused,
                restore_original_options=reset.restore_original_options,
            )
            copy_set(reset, resetting, "jitter")
            if reset.type:
                resetting.type = reset.type
            else:
                resetting.match_all = True
            return resetting
        case operation:
            assert operation == "update_activity_options_operation", "every operation has its request"
            update = batch.update_activity_options_operation
            updating = UpdateActivityOptionsRequest(
                namespace=batch.namespace,
                execution=run,
                identity=update.identity,
                update_mask=update.update_mask,
                restore_original=update.restore_original,
            )
            copy_set(update, updating, "activity_options")
            if update.type:
                updating.type = update.type
            else:
                updating.match_all = True
            return updating


def operation_type(memo: Mapping[str, Payload]) -> BatchOperationType.ValueType:
    """What a batch does, from its memo; unspecified for a workflow that is no batch."""
    name = _text(memo, _TYPE_MEMO)
    for known, value in _OPERATIONS.values():
        if known == name:
            return value
    return BatchOperationType.BATCH_OPERATION_TYPE_UNSPECIFIED


def reason(memo: Mapping[str, Payload]) -> str:
    """Why it was started, from its memo."""
    return _text(memo, _REASON_MEMO)


def stats_memo(progress: Progress) -> Memo:
    """What a batch leaves in its memo when it is done."""
    stats = {"NumSuccess": progress.SuccessCount, "NumFailure": progress.ErrorCount}
    return Memo(fields={STATS_MEMO: _json(stats)})


def stats(memo: Mapping[str, Payload]) -> tuple[int, int]:
    """How many succeeded and failed, of a batch that is done."""
    if STATS_MEMO not in memo:
        return 0, 0
    found = json.loads(memo[STATS_MEMO].data)
    return int(found["NumSuccess"]), int(found["NumFailure"])


def state(status: WorkflowExecutionStatus.ValueType) -> BatchOperationState.ValueType:
    """Real: getBatchOperationState."""
    if status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING:
        return BatchOperationState.BATCH_OPERATION_STATE_RUNNING
    if status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED:
        return BatchOperationState.BATCH_OPERATION_STATE_COMPLETED
    return BatchOperationState.BATCH_OPERATION_STATE_FAILED


def _json(value: object) -> Payload:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Payload(metadata={"encoding": b"json/plain"}, data=text.encode())


def _text(memo: Mapping[str, Payload], key: str) -> str:
    return str(json.loads(memo[key].data)) if key in memo else ""
