"""The start that an action of a schedule is, and what identifies it.

Real: service/worker/scheduler/workflow.go, startWorkflow.
"""

from __future__ import annotations

from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import WorkflowIdReusePolicy
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest

from mockcloud.api.state.v1.schedule_pb2 import PendingStart
from mockcloud.core.messages import copy_set
from mockcloud.core.schedule import machine
from mockcloud.core.schedule.state import ScheduleState
from mockcloud.core.search_attribute_values import DATETIME, KEYWORD, encode

CANCEL_REASON = "cancelled by schedule overlap policy"
TERMINATE_REASON = "terminated by schedule overlap policy"


def identity(state: ScheduleState, namespace: str) -> str:
    """Who starts and ends a schedule's workflows."""
    return f"temporal-scheduler-{namespace}-{state.schedule_id}"


def request(state: ScheduleState, pending: PendingStart, namespace: str) -> StartWorkflowExecutionRequest:
    """The start, as a client would send it.

    A slot is started once and for all; what is triggered or backfilled may come again once its run is over.
    """
    action, record = state.action, state.record
    assert action is not None, "there is something to start"
    made = StartWorkflowExecutionRequest(
        namespace=namespace,
        workflow_id=pending.workflow_id,
        identity=identity(state, namespace),
        request_id=pending.request_id,
        workflow_id_reuse_policy=(
            WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
            if pending.start.manual
            else WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
        ),
    )
    copy_set(
        action,
        made,
        "workflow_type",
        "task_queue",
        "input",
        "workflow_execution_timeout",
        "workflow_run_timeout",
        "workflow_task_timeout",
        "retry_policy",
        "memo",
        "search_attributes",
        "header",
        "user_metadata",
        "priority",
    )
    attributes = made.search_attributes.indexed_fields
    slot = machine.slot(pending.start.nominal_time)
    attributes["TemporalScheduledStartTime"].CopyFrom(encode(slot, DATETIME))
    attributes["TemporalScheduledById"].CopyFrom(encode(state.schedule_id, KEYWORD))
    if machine.remembers_result(pending):
        if record.last_completion_result:
            made.last_completion_result.CopyFrom(Payloads.FromString(record.last_completion_result))
        if record.continued_failure:
            made.continued_failure.CopyFrom(Failure.FromString(record.continued_failure))
    return made
