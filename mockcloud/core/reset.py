"""Resetting a workflow: a new run that goes on from an event of an old one.

Terms: the *base* run is the one that is reset, `finish_event_id` the event (exclusive) up to which its history
is copied, the *current* run the newest of the workflow id: the base run itself, or one after it. The new run's
history:

    the copied events            as they were, under their old versions
    WorkflowTaskStarted          if the copy ends with a scheduled task
    WorkflowTaskFailed           cause RESET_WORKFLOW, in the place of what had become of that task
    what is reapplied            of the events after the copy, to the end of the chain of continued runs
    WorkflowTaskScheduled

An open current run is terminated in the same commit. Its copy is the new run's own: deleting the base run
takes nothing away.

Real: service/history/api/resetworkflow, service/history/ndc/workflow_resetter.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from temporalio.api.enums.v1 import (
    EventType,
    ResetReapplyExcludeType,
    ResetReapplyType,
    WorkflowTaskFailedCause,
)
from temporalio.api.failure.v1 import Failure, ResetWorkflowFailureInfo
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.api.workflow.v1 import PostResetOperation
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from mockcloud.api.state.v1.state_pb2 import WorkflowTaskRecord
from mockcloud.core import execution_options, reapply, signals, task_state, version_history
from mockcloud.core.change import Context, RunChange
from mockcloud.core.errands import RESETTER
from mockcloud.core.errors import Internal, InvalidArgument
from mockcloud.core.outcome import Batch
from mockcloud.core.run import Run
from mockcloud.core.task_start import add_started_event
from mockcloud.core.version_history import Item

REAPPLY_REASON = "events-reapplication"
_PENDING_TASK = frozenset(
    {EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED, EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED}
)

_NO_REQUEST_ID = "emptyUuid"  # of a task that nobody has polled

Exclude = ResetReapplyExcludeType
_EVERY_EXCLUSION = frozenset(Exclude.values()) - {Exclude.RESET_REAPPLY_EXCLUDE_TYPE_UNSPECIFIED}
_SIGNAL_ONLY = {Exclude.RESET_REAPPLY_EXCLUDE_TYPE_UPDATE}
_NOTHING = {Exclude.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL, Exclude.RESET_REAPPLY_EXCLUDE_TYPE_UPDATE}


def check(base: Run, finish_event_id: int) -> None:
    """Raises InvalidArgument for a point that lies outside of the base run's history."""
    if finish_event_id <= 1 or finish_event_id >= base.next_event_id:
        raise InvalidArgument("Workflow task finish ID must be > 1 && <= workflow last event ID.")


def check_boundary(batches: Sequence[Batch], finish_event_id: int) -> None:
    """Raises InvalidArgument where the point lies within a batch: events that were committed together stay so."""
    for batch in batches:
        if batch.first_event_id < finish_event_id <= batch.last_event_id:
            raise InvalidArgument(
                f"StateRebuilder unable to Rebuild mutable state to event ID: {finish_event_id - 1}, "
                f"version: {batch.version}, this event must be at the boundary"
            )


def reapply_point(base: Run, batches: Sequence[Batch]) -> int | None:
    """Where a closed run is reset so that events can be reapplied; None: it never had a workflow task.

    That is its last completed workflow task, and if none was ever completed, the last one that was pending, be it only
    for the moment in which the run was closed.
    """
    if base.last_completed_task_started_event_id:
        return base.last_completed_task_started_event_id + 1
    for batch in reversed(batches):
        for event in reversed(History.FromString(batch.data).events):
            if event.event_type in _PENDING_TASK:
                return event.event_id + 1
    return None


def check_operations(operations: Iterable[PostResetOperation]) -> None:
    """Raises InvalidArgument for what cannot be done to a reset run. Real: validatePostResetOperationInputs."""
    for operation in operations:
        variant = operation.WhichOneof("variant")
        if variant != "update_workflow_options":
            kind = "*workflow.PostResetOperation_SignalWorkflow_" if variant else "<nil>"
            raise InvalidArgument(f"unsupported post reset operation: {kind}")


def perform(change: RunChange, operations: Iterable[PostResetOperation]) -> None:
    """Do to the reset run what its request asks for. Real: performPostResetOperations."""
    for operation in operations:
        wanted = operation.update_workflow_options
        execution_options.apply(change, wanted.workflow_execution_options, wanted.update_mask, identity="")


def exclusions(request: ResetWorkflowExecutionRequest) -> reapply.Excluded:
    """What is not to be reapplied, from the request's two fields, the older of which says what is.

    Real: resetworkflow.GetResetReapplyExcludeTypes.
    """
    excluded = set(request.reset_reapply_exclude_types)
    if request.reset_reapply_type == ResetReapplyType.RESET_REAPPLY_TYPE_SIGNAL:
        excluded |= _SIGNAL_ONLY
    elif request.reset_reapply_type == ResetReapplyType.RESET_REAPPLY_TYPE_NONE:
        excluded |= _NOTHING
    return frozenset(excluded)


def reapplies_nothing(excluded: reapply.Excluded) -> bool:
    """Whether not even the events after the copy need to be read."""
    return excluded >= _EVERY_EXCLUSION


def copied(batches: Iterable[Batch], branch_id: int, finish_event_id: int) -> list[Batch]:
    """The base run's batches before `finish_event_id` as batches of the new run's branch."""
    copies = []
    for batch in batches:
        if batch.last_event_id < finish_event_id:
            copies.append(batch._replace(branch_id=branch_id))
            continue
        events = [
            event for event in History.FromString(batch.data).events if event.event_id < finish_event_id
        ]
        if events:
            copies.append(Batch.of(branch_id, events))
        break
    return copies


def begin(run: Run, copies: Sequence[Batch], base: Run, context: Context) -> RunChange:
    """The change that makes the reset run.

    `run` is the bare fold of `copies` under the new run's key. The base run's record gets the new run's id; the
    caller commits that with it.
    """
    last = version_history.last_item(version_history.items(run.version_history))
    adopt(run, copies, base.key.run_id, last, context.now)
    run.record.create_request_id = base.record.create_request_id
    base.record.reset_run_id = run.key.run_id
    return RunChange.of_copy(run, context, copies)


def adopt(run: Run, copies: Sequence[Batch], base_run_id: str, last: Item, reset_time: int) -> None:
    """Make the bare fold of `copies` a run of its own: the same in the region of the reset and in its replicas."""
    assert copies, "a reset run begins with a copy"
    assert run.next_event_id == last.event_id + 1, "the fold is that of the copy"
    run.record.version_histories.histories[0].branch_id = copies[0].branch_id
    mark(run, base_run_id, last, reset_time)


def mark(run: Run, base_run_id: str, last: Item, reset_time: int) -> None:
    """Keep that all of `run`, up to its last event `last`, is a copy."""
    record = run.record
    record.base_run_id = base_run_id
    record.base_event_id = last.event_id
    record.reset_time = reset_time
    for activity in run.activities.values():
        activity.record.scheduled_time = reset_time
        activity.record.first_scheduled_time = reset_time


def fail_copied_task(change: RunChange, base_run_id: str, reason: str) -> None:
    """End the workflow task with which the copy ends.

    Raises:
        InvalidArgument: it does not end with one.
    """
    run = change.run
    task = run.workflow_task
    next_event_id = run.next_event_id
    if task is None:
        raise InvalidArgument(
            "Can only reset workflow to event ID in range [WorkflowTaskScheduled +1, WorkflowTaskStarted + 1]: "
            f"{next_event_id}"
        )
    if run.last_write_version > change.version:
        raise Internal("WorkflowResetter encountered version mismatch.")
    fork_version = run.last_write_version
    if not task.started_time:
        if task.transient:  # the copy ends with a failed attempt: the further one gets its events
            task_state.drop_next_attempt(run)
            task_state.add_scheduled_event(change, run.current_task_queue, 1, change.context.now)
        started = WorkflowTaskRecord(
            scheduled_event_id=run.record.workflow_task.scheduled_event_id,
            request_id=_NO_REQUEST_ID,
            identity=signals.HISTORY_SERVICE,
            history_size_suggestion=run.record.history_size,
            started_time=change.context.now,
        )
        add_started_event(change, started)
    task_state.fail_task(
        change,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW,
        identity=signals.HISTORY_SERVICE,
        failure=reset_failure(reason),
        reset=task_state.ResetPoint(base_run_id, run.key.run_id, fork_version),
    )


def reset_failure(reason: str) -> Failure:
    """Real: failure.NewResetWorkflowFailure."""
    return Failure(message=reason, reset_workflow_failure_info=ResetWorkflowFailureInfo())


def terminate_current(change: RunChange, reason: str) -> None:
    """Close the open current run: the reset run takes its place."""
    signals.terminate_run(change, reason=reason, identity=RESETTER)


def continued_by(events: Sequence[HistoryEvent]) -> str:
    """The run that continues the one whose last events these are; empty: none does."""
    if not events or events[-1].event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
        return ""
    return events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id
