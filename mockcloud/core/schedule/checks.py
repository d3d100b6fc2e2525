"""What makes a call about a schedule wrong whatever its state, in the order and the words of the real frontend.

They fill in the canonical spec in place, as the real ones do. Real: service/frontend/workflow_handler.go.
"""

from __future__ import annotations

from typing import Final

from temporalio.api.enums.v1 import WorkflowIdReusePolicy
from temporalio.api.schedule.v1 import Schedule
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CreateScheduleRequest,
    PatchScheduleRequest,
    UpdateScheduleRequest,
)

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import search_attributes, start_checks, validation
from mockcloud.core.errors import FailedPrecondition, InvalidArgument
from mockcloud.core.limits import Limits
from mockcloud.core.schedule import spec as specs
from mockcloud.core.schedule.errors import SpecError
from mockcloud.core.schedule.state import WORKFLOW_ID_PREFIX

NOTES_BYTES: Final = 1_000
INTERNAL_TASK_QUEUE: Final = "temporal-sys-per-ns-tq"

# Of the length of what is appended to the ids of started workflows.
_SLOT: Final = "-2009-11-10T23:00:00Z"
_REUSE_POLICIES: Final = (
    WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_UNSPECIFIED,
    WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
)


def create(request: CreateScheduleRequest, namespace: NamespaceRecord, limits: Limits) -> None:
    """Raises InvalidArgument for a schedule that cannot be made."""
    _workflow_id(WORKFLOW_ID_PREFIX + request.schedule_id, limits)
    if not request.request_id:
        raise InvalidArgument("RequestId is not set on request.")
    _request_id(request.request_id, limits)
    _canonicalize(request.schedule)
    _action(request.schedule, namespace, limits)
    search_attributes.check(namespace, request.search_attributes, limits)
    validation.blob(request.schedule, limits)
    validation.memo(request.memo, limits)


def update(request: UpdateScheduleRequest, namespace: NamespaceRecord, limits: Limits) -> None:
    """Raises InvalidArgument for a schedule that cannot be, FailedPrecondition for a memo, which stays as it is."""
    _action(request.schedule, namespace, limits)
    _canonicalize(request.schedule)
    search_attributes.check(namespace, request.search_attributes, limits)
    if request.HasField("memo"):
        raise FailedPrecondition("memo updates are not supported on workflow-backed schedules")
    _request_id(request.request_id, limits)
    validation.blob(request.schedule, limits)


def patch(request: PatchScheduleRequest, limits: Limits) -> None:
    """Raises InvalidArgument for overlong ids, notes and patches."""
    _request_id(request.request_id, limits)
    for note in (request.patch.pause, request.patch.unpause):
        if len(note.encode()) > NOTES_BYTES:
            raise InvalidArgument("Schedule notes exceeds limit.")
    validation.blob(request.patch, limits)


def _workflow_id(value: str, limits: Limits) -> None:
    if validation.too_long(value, limits):
        raise InvalidArgument("WorkflowId length exceeds limit.")


def _request_id(value: str, limits: Limits) -> None:
    if validation.too_long(value, limits):
        raise InvalidArgument("RequestId length exceeds limit.")


def _canonicalize(schedule: Schedule) -> None:
    try:
        schedule.spec.CopyFrom(specs.Spec(schedule.spec).canonical)
    except SpecError as error:
        raise InvalidArgument(f"Invalid schedule spec: {error.reason}") from None


def _action(schedule: Schedule, namespace: NamespaceRecord, limits: Limits) -> None:
    """Real: validateStartWorkflowArgsForSchedule."""
    if schedule.action.WhichOneof("action") != "start_workflow":
        return  # such a schedule does nothing, but it is one
    action: NewWorkflowExecutionInfo = schedule.action.start_workflow
    _workflow_id(action.workflow_id + _SLOT, limits)
    start_checks.workflow_type(action, limits)
    start_checks.task_queue(action, limits)
    if action.task_queue.name == INTERNAL_TASK_QUEUE:
        raise InvalidArgument(f"cannot use internal per-namespace task queue:{INTERNAL_TASK_QUEUE}")
    start_checks.timeouts(action)
    if action.cron_schedule:
        raise InvalidArgument("Scheduled workflow must not contain CronSchedule")
    if action.workflow_id_reuse_policy not in _REUSE_POLICIES:
        raise InvalidArgument("Scheduled workflow must not contain WorkflowIDReusePolicy")
    search_attributes.check(namespace, action.search_attributes, limits)
