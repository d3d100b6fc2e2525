"""The updates of a run: admitting them, sending them to a worker, ending those that nobody has taken on.

What is accepted or completed is in the run's history (`Run.updates`); what is only admitted is in memory
(`Run.pending_updates`), and gone with it. An update is known by its id: a request that comes again finds the
first one, whatever it has come to. What workers answer is in `core.update_messages`.

Real: service/history/workflow/update/registry.go and update.go, api/updateworkflow, abort_reason.go.
"""

from __future__ import annotations

import math
from dataclasses import replace

from google.protobuf.any_pb2 import Any as AnyMessage
from temporalio.api.enums.v1 import EventType, ResourceExhaustedCause, UpdateAdmittedEventOrigin
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.history.v1 import WorkflowExecutionUpdateAdmittedEventAttributes
from temporalio.api.protocol.v1 import Message
from temporalio.api.update.v1 import Request
from temporalio.api.workflowservice.v1 import UpdateWorkflowExecutionRequest

from mockcloud.core.change import RunChange
from mockcloud.core.errors import (
    FailedPrecondition,
    NotFound,
    ResourceExhausted,
    ServiceError,
    WorkflowNotReady,
    workflow_already_completed,
    workflow_closing,
)
from mockcloud.core.limits import Limits
from mockcloud.core.run import Run
from mockcloud.core.task_state import schedule_speculative_task
from mockcloud.core.update_state import Forgotten, PendingUpdate, Refused, Rejected, UpdateStage

_ATTEMPT_FAILS_UPDATES = 3  # real: failUpdateWorkflowTaskAttemptCount
_SUGGEST_CONTINUE_AS_NEW = 0.9  # real: history.maxTotalUpdates.suggestContinueAsNewThreshold

# In the place of an answer that a worker did not give, or will never give.
UNPROCESSED = Failure(
    message="Workflow Update is rejected because it wasn't processed by worker. "
    "Probably, Workflow Update is not supported by the worker.",
    source="Server",
    application_failure_info=ApplicationFailureInfo(type="UnprocessedUpdate", non_retryable=True),
)
WORKFLOW_COMPLETED = Failure(
    message="Workflow Update failed because the Workflow completed before the Update completed.",
    source="Server",
    application_failure_info=ApplicationFailureInfo(
        type="AcceptedUpdateCompletedWorkflow", non_retryable=True
    ),
)


def admit(change: RunChange, request: UpdateWorkflowExecutionRequest) -> None:
    """Let an update in, and see that a workflow task takes it to a worker.

    An update that is there, however far it has come, is left alone. Where no workflow task is pending, the one
    that is made is speculative.

    Raises:
        NotFound: the run is closed and never had the update, or is not of the chain that the request names.
        WorkflowNotReady: the run's workflow task keeps failing.
        ResourceExhausted: the run is about to close, or too much is under way.
        FailedPrecondition: the run is paused, or has had as many updates as it may.
    """
    run = change.run
    first_run_id = request.first_execution_run_id
    if first_run_id and run.start.first_execution_run_id != first_run_id:
        raise NotFound("workflow execution not found")
    update_id = request.request.meta.update_id
    _forget_other_versions(change)
    known = is_known(run, update_id)
    if not run.open or run.record.zombie:
        if known:
            return
        raise workflow_already_completed()
    if run.paused:
        raise FailedPrecondition("Workflow is paused. Cannot update the workflow.")
    _require_able(run)
    if not known:
        _require_room(run, change.context.limits, request.request)
        _remember(change, PendingUpdate(update_id, request.request))
    if run.workflow_task is None and to_be_sent(run):
        schedule_speculative_task(change)


def is_known(run: Run, update_id: str) -> bool:
    """Whether the run has the update; one that was rejected it has not."""
    pending = run.pending_updates.get(update_id)
    return update_id in run.updates if pending is None else not pending.rejected


def admit_durably(change: RunChange, request: Request, origin: UpdateAdmittedEventOrigin.ValueType) -> bool:
    """Write an update into history that another branch or run had: its request is kept, and it is sent again.

    An update whose id is there is skipped. The caller sees to a workflow task. Returns whether it was new.
    Real: reapplyEvents, for Admitted events and for Accepted ones that carry their request.
    """
    update_id = request.meta.update_id
    if update_id in change.run.updates or update_id in change.run.pending_updates:
        return False
    change.add(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED,
        WorkflowExecutionUpdateAdmittedEventAttributes(request=request, origin=origin),
    )
    return True


def send(change: RunChange, started_event_id: int, *, again: bool) -> list[Message]:
    """What the workflow task that starts with event `started_event_id` takes to its worker.

    `again`: also what a worker before did not answer. It is all to be handled after the event before Started.
    """
    run = change.run
    _forget_other_versions(change)
    messages = []
    admitted = [
        update_id
        for update_id, update in run.updates.items()
        if update.stage is UpdateStage.ADMITTED and update_id not in run.pending_updates
    ]
    for update_id in admitted:
        _remember(change, PendingUpdate(update_id, None, sent=True))
    for update in list(run.pending_updates.values()):
        if update.rejected or (update.sent and not again):
            continue
        if not update.sent:
            _remember(change, replace(update, sent=True))
        if update.request is None:
            continue  # the worker finds it in its Admitted event
        body = AnyMessage()
        body.Pack(update.request)
        messages.append(
            Message(
                id=request_message_id(update.id),
                protocol_instance_id=update.id,
                event_id=started_event_id - 1,
                body=body,
            )
        )
    return messages


def to_be_sent(run: Run) -> bool:
    """Whether a further workflow task has updates to take along.

    Not one that a worker has found in its Admitted event and passed over: it waits for that worker's next word [06a].
    """
    return any(
        not update.rejected and not (update.sent and update.request is None)
        for update in run.pending_updates.values()
    ) or any(
        update.stage is UpdateStage.ADMITTED and update_id not in run.pending_updates
        for update_id, update in run.updates.items()
    )


def request_message_id(update_id: str) -> str:
    """The id of the message that brings an update to a worker."""
    return update_id + "/request"


def resurrect(change: RunChange, request: Request, update_id: str) -> None:
    """Take back an update that was lost since it was sent: its worker has kept the request.

    Raises FailedPrecondition: the run has had as many updates as it may.
    """
    _require_total(change.run, change.context.limits)
    _remember(change, PendingUpdate(update_id, request))


def reject_unanswered(change: RunChange) -> None:
    """Reject what a worker was sent and did not answer: it would be sent again and again.

    What it had to find in an Admitted event was not sent: it stays admitted [06a].
    """
    for update in list(change.run.pending_updates.values()):
        if update.sent and update.request is not None and not update.rejected:
            change.end_update(update.id, Rejected(UNPROCESSED))


def workflow_task_failed(change: RunChange) -> None:
    """The server has failed a worker's task for what is wrong with it: nothing is sent a second time.

    Not for a failure that the worker reports. Who waits for the outcome of an accepted update is told that it is
    accepted, and asks again. Real: AbortReasonWorkflowTaskFailed, failWorkflowTask, which clears the registry.
    """
    run = change.run
    for update in list(run.pending_updates.values()):
        change.end_update(update.id, Refused(_task_failed()) if update.sent else Forgotten())
    for update_id, folded in run.updates.items():
        if folded.stage is UpdateStage.ACCEPTED:
            change.update_ends[update_id] = Forgotten()
            change.touch_memory()


def closed(run: Run) -> ServiceError:
    """What the callers of an update get that no worker had taken on when the run closed.

    Where another run goes on, they are to come again, and find that one.
    """
    if run.new_run_id:
        return workflow_closing()
    return aborted_by_close()


def aborted_by_close() -> NotFound:
    """Real: AbortedByWorkflowClosingErr."""
    return NotFound("workflow update was aborted by closing workflow")


def suggest_continue_as_new(run: Run, limits: Limits) -> bool:
    """Whether the run is near the number of updates that it may ever have."""
    limit = math.ceil(limits.updates_per_run * _SUGGEST_CONTINUE_AS_NEW)
    return limit > 0 and update_count(run) >= limit


def update_count(run: Run) -> int:
    """All updates that the run has had: what was rejected does not count."""
    if not run.pending_updates:
        return len(run.updates)
    return len(run.updates.keys() | run.pending_updates.keys())


def _task_failed() -> WorkflowNotReady:
    return WorkflowNotReady(
        "Unable to perform workflow execution update due to unexpected workflow task failure."
    )


def _remember(change: RunChange, update: PendingUpdate) -> None:
    change.run.pending_updates[update.id] = update
    change.run.pending_updates_version = change.version
    change.touch_memory()


def _forget_other_versions(change: RunChange) -> None:
    """What came under another failover version is void. Real: ContextImpl.UpdateRegistry."""
    run = change.run
    if run.pending_updates and run.pending_updates_version != change.version:
        for update_id in list(run.pending_updates):
            change.end_update(update_id, Forgotten())


def _require_able(run: Run) -> None:
    if run.paused:
        raise FailedPrecondition("Workflow is paused. Cannot update the workflow.")
    task = run.workflow_task
    attempt = run.record.next_workflow_task_attempt if task is None else task.attempt
    if attempt >= _ATTEMPT_FAILS_UPDATES:
        raise WorkflowNotReady(
            "Unable to perform workflow execution update due to Workflow Task in failed state."
        )
    if run.close_attempted and run.started_workflow_task is not None:
        raise workflow_closing()


def _require_room(run: Run, limits: Limits, request: Request) -> None:
    """Real: registry.checkLimits, payloadSizeLimiter."""
    accepted = [update_id for update_id, update in run.updates.items() if _in_flight(run, update_id)]
    if limits.updates_in_flight and len(accepted) + len(run.pending_updates) >= limits.updates_in_flight:
        raise _too_much(
            f"limit on number of concurrent in-flight updates has been reached ({limits.updates_in_flight})"
        )
    _require_total(run, limits)
    size = sum(2 * len(update_id.encode()) for update_id in accepted)
    size += sum(update.size for update in run.pending_updates.values())
    if limits.updates_in_flight_bytes and size + request.ByteSize() >= limits.updates_in_flight_bytes:
        raise _too_much(
            "limit on total payload size of in-flight updates has been reached "
            f"({limits.updates_in_flight_bytes} bytes)"
        )


def _in_flight(run: Run, update_id: str) -> bool:
    return run.updates[update_id].stage is not UpdateStage.COMPLETED and update_id not in run.pending_updates


def _require_total(run: Run, limits: Limits) -> None:
    if limits.updates_per_run and update_count(run) >= limits.updates_per_run:
        raise FailedPrecondition(
            "The limit on the total number of distinct updates in this workflow has been reached "
            f"({limits.updates_per_run}). Make sure any duplicate updates share an Update ID so the server can "
            "deduplicate them, and consider rejecting updates that you aren't going to process. You can also "
            "Continue-as-New to avoid this; we recommend you check Continue-as-New Suggested in your Workflow."
        )


def _too_much(message: str) -> ResourceExhausted:
    return ResourceExhausted(message, ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT)
