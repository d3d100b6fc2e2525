"""A run as DescribeWorkflowExecution shows it.

Reads only. Real: api/describeworkflow, workflow/activity.go.
"""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Memo, Payloads, WorkflowExecution
from temporalio.api.enums.v1 import (
    EventType,
    PendingActivityState,
    PendingWorkflowTaskState,
    TaskQueueKind,
    VersioningBehavior,
)
from temporalio.api.failure.v1 import Failure
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import (
    PendingActivityInfo,
    PendingChildExecutionInfo,
    PendingWorkflowTaskInfo,
    RequestIdInfo,
    WorkflowExecutionConfig,
    WorkflowExecutionExtendedInfo,
    WorkflowExecutionInfo,
)
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import activity_end, activity_options, reset_points, retry, search_attributes, times
from mockcloud.core.messages import copy_set
from mockcloud.core.run import BUFFERED_EVENT_ID, Activity, Child, Run

# Go's zero time, which the server answers for a run without a run time-out.
_NO_TIME = Timestamp(seconds=-62135596800)


def describe(run: Run, now: int, namespace: NamespaceRecord) -> DescribeWorkflowExecutionResponse:
    """Everything that the server tells of a run; `now` (nanoseconds) decides which retries still wait."""
    response = DescribeWorkflowExecutionResponse(
        execution_config=_config(run),
        workflow_execution_info=_info(run, namespace),
        workflow_extended_info=_extended(run),
    )
    for event_id, child in run.children.items():
        response.pending_children.append(_pending_child(event_id, child))
    if not run.open:
        return response
    for activity in run.activities.values():
        response.pending_activities.append(pending_activity(activity, now))
    task = run.workflow_task
    if task is not None:
        pending = PendingWorkflowTaskInfo(
            state=PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED,
            scheduled_time=times.timestamp(task.scheduled_time),
            original_scheduled_time=times.timestamp(task.original_scheduled_time),
            attempt=task.attempt,
        )
        if task.started_time:
            pending.state = PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_STARTED
            pending.started_time.CopyFrom(times.timestamp(task.started_time))
        response.pending_workflow_task.CopyFrom(pending)
    return response


def pending_activity(activity: Activity, now: int) -> PendingActivityInfo:
    """One pending activity, with where its attempts stand. Real: workflow.GetPendingActivityInfo."""
    options = activity.options
    record = activity.record
    info = PendingActivityInfo(
        activity_id=activity.activity_id,
        activity_type=activity.attributes.activity_type,
        state=activity.state,
        attempt=max(1, record.attempt),
        scheduled_time=times.timestamp(record.scheduled_time),
        last_worker_identity=record.started_identity or record.last_worker_identity,
        activity_options=activity_options.shown(options),
    )
    info.activity_options.task_queue.normal_name = options.task_queue.name
    if record.started_time:
        info.last_started_time.CopyFrom(times.timestamp(record.started_time))
    if record.last_heartbeat_time:
        info.last_heartbeat_time.CopyFrom(times.timestamp(record.last_heartbeat_time))
        if record.heartbeat_details:
            info.heartbeat_details.CopyFrom(Payloads.FromString(record.heartbeat_details))
    if record.last_attempt_complete_time:
        info.last_attempt_complete_time.CopyFrom(times.timestamp(record.last_attempt_complete_time))
    copy_set(options, info, "priority")
    if options.HasField("retry_policy"):
        _retries(info, activity, now)
    if record.paused:
        info.paused = True
        info.state = _PAUSED_STATES.get(info.state, info.state)
        info.pause_info.pause_time.CopyFrom(times.timestamp(record.paused_time))
        info.pause_info.manual.identity = record.paused_identity
        info.pause_info.manual.reason = record.paused_reason
    return info


_PAUSED_STATES = {
    PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED: PendingActivityState.PENDING_ACTIVITY_STATE_PAUSED,
    PendingActivityState.PENDING_ACTIVITY_STATE_STARTED: (
        PendingActivityState.PENDING_ACTIVITY_STATE_PAUSE_REQUESTED
    ),
}


def _retries(info: PendingActivityInfo, activity: Activity, now: int) -> None:
    """What is told of an activity that has a retry policy."""
    record, policy = activity.record, activity.options.retry_policy
    info.maximum_attempts = policy.maximum_attempts
    if record.last_failure:
        info.last_failure.CopyFrom(Failure.FromString(record.last_failure))
    expires = activity_end.expires_at(activity)
    if expires:
        info.expiration_time.CopyFrom(times.timestamp(expires))
    if info.state != PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED:
        return
    if now < record.scheduled_time:
        info.next_attempt_schedule_time.CopyFrom(times.timestamp(record.scheduled_time))
        interval = record.scheduled_time - record.last_attempt_complete_time
    else:
        initial = times.nanoseconds(policy.initial_interval)
        interval = retry.exponential(initial, policy.backoff_coefficient, record.attempt)
    info.current_retry_interval.CopyFrom(times.duration(interval))


def _pending_child(initiated_event_id: int, child: Child) -> PendingChildExecutionInfo:
    attributes = child.attributes
    return PendingChildExecutionInfo(
        workflow_id=attributes.workflow_id,
        run_id=child.first_run_id,
        workflow_type_name=attributes.workflow_type.name,
        initiated_id=initiated_event_id,
        parent_close_policy=attributes.parent_close_policy,
    )


def _config(run: Run) -> WorkflowExecutionConfig:
    start = run.start
    config = WorkflowExecutionConfig(
        task_queue=TaskQueue(name=start.task_queue.name, kind=TaskQueueKind.TASK_QUEUE_KIND_NORMAL),
        default_workflow_task_timeout=start.workflow_task_timeout,
    )
    copy_set(start, config, "workflow_execution_timeout", "workflow_run_timeout")
    if run.started is not None and run.started.HasField("user_metadata"):
        config.user_metadata.CopyFrom(run.started.user_metadata)
    return config


def _info(run: Run, namespace: NamespaceRecord) -> WorkflowExecutionInfo:
    start = run.start
    lifetime = run.lifetime
    root = start.root_workflow_execution
    info = WorkflowExecutionInfo(
        execution=WorkflowExecution(workflow_id=run.key.workflow_id, run_id=run.key.run_id),
        type=start.workflow_type,
        start_time=times.timestamp(lifetime.start_time),
        execution_time=times.timestamp(lifetime.execution_time),
        status=run.status,
        history_length=run.next_event_id - 1,
        task_queue=start.task_queue.name,
        state_transition_count=run.record.state_transitions,
        history_size_bytes=run.record.history_size,
        root_execution=WorkflowExecution(
            workflow_id=root.workflow_id or run.key.workflow_id, run_id=root.run_id or run.key.run_id
        ),
        first_run_id=start.first_execution_run_id,
        memo=Memo(fields=run.memo),
        search_attributes=search_attributes.visible(namespace, search_attributes.of_run(run)),
    )
    if run.priority is not None:
        info.priority.CopyFrom(run.priority)
    if run.versioning_override is not None:
        info.versioning_info.versioning_override.CopyFrom(run.versioning_override)
        # For clients from before `auto_upgrade`.
        info.versioning_info.versioning_override.behavior = (
            VersioningBehavior.VERSIONING_BEHAVIOR_AUTO_UPGRADE
        )
    info.auto_reset_points.SetInParent()
    if run.reset_points:
        info.auto_reset_points.CopyFrom(
            reset_points.handed_on(
                run.reset_points,
                run.key.run_id if run.new_run_id else "",
                run.record.close_time,
                namespace.retention,
            )
        )
    if start.parent_workflow_execution.run_id:
        info.parent_execution.CopyFrom(start.parent_workflow_execution)
        info.parent_namespace_id = start.parent_workflow_namespace_id
    if run.last_worker is not None:
        completed = run.last_worker.workflow_task_completed_event_attributes
        if completed.HasField("worker_version"):
            info.most_recent_worker_version_stamp.CopyFrom(completed.worker_version)
        info.worker_deployment_name = completed.worker_deployment_name
    if not run.open:
        info.close_time.CopyFrom(times.timestamp(run.record.close_time))
        info.execution_duration.CopyFrom(times.duration(run.record.close_time - lifetime.execution_time))
    return info


def _extended(run: Run) -> WorkflowExecutionExtendedInfo:
    lifetime, started = run.lifetime, run.started
    expires = lifetime.run_expires_at
    extended = WorkflowExecutionExtendedInfo(
        run_expiration_time=times.timestamp(expires) if expires else _NO_TIME,
        original_start_time=started.event_time if started is not None else times.timestamp(0),
        cancel_requested=run.cancel_requested,
        reset_run_id=run.record.reset_run_id,
    )
    if run.pause is not None:
        extended.pause_info.identity = run.pause.identity
        extended.pause_info.reason = run.pause.reason
        extended.pause_info.paused_time.CopyFrom(times.timestamp(run.pause.time))
    if run.record.reset_time:
        extended.last_reset_time.CopyFrom(times.timestamp(run.record.reset_time))
    if lifetime.execution_expires_at:
        extended.execution_expiration_time.CopyFrom(times.timestamp(lifetime.execution_expires_at))
    if run.record.create_request_id:
        extended.request_id_infos[run.record.create_request_id].CopyFrom(
            RequestIdInfo(event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, event_id=1)
        )
    for request_id, event_id in run.record.attached_request_ids.items():
        info = RequestIdInfo(event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED)
        if event_id == BUFFERED_EVENT_ID:
            info.buffered = True
        else:
            info.event_id = event_id
        extended.request_id_infos[request_id].CopyFrom(info)
    return extended
