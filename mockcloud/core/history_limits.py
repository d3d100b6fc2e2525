"""The limits of one run's history and state: a change of a run that is over them terminates it instead.

The change is undone first, so the history ends with Terminated and nothing half done. Only near a limit does
this cost anything.

What counts is as in the real server, which looks before it has finished the change: its size without the
change, and its events without those of the change that could have waited for a workflow task and stand last (a
signal, a result). So a history may pass a limit by such events, and it is the next change that ends it. The
state (heartbeats, buffered events, memo) counts with the change; it is measured a little differently here, because
it is stored differently.

Real: ContextImpl.enforceHistorySizeCheck, enforceHistoryCountCheck, enforceMutableStateSizeCheck,
forceTerminateWorkflow.
"""

from __future__ import annotations

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import WorkflowExecutionTerminatedEventAttributes

from mockcloud.core import task_state
from mockcloud.core.change import RunChange, Savepoint
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.event_kinds import NEVER_BUFFERED
from mockcloud.core.run import Run

# No single change adds more than this: a completion of 4 MB and a full buffer of events.
_NEAR_EVENTS = 10_000
_NEAR_BYTES = 8 * 1024 * 1024
_NEAR_STATE_BYTES = 6 * 1024 * 1024


def exceeded(change: RunChange) -> str | None:
    """Why the run's history is too long for the change, in the server's words, or None."""
    run, limits = change.run, change.context.limits
    if run.record.history_size - sum(event.ByteSize() for event in change.events) > limits.history_bytes:
        return "Workflow history size exceeds limit."
    count = run.next_event_id - 1
    for event in reversed(change.events):
        if event.event_type in NEVER_BUFFERED:
            break
        count -= 1
    if count > limits.history_events:
        return "Workflow history count exceeds limit."
    if _state_size(run) > limits.state_bytes:
        return "Workflow mutable state size exceeds limit."
    return None


def _state_size(run: Run) -> int:
    """Bytes of what is kept of a run beside its history."""
    record = run.record
    size = record.ByteSize() - sum(stored.ByteSize() for stored in record.activities)
    size += sum(activity.record.ByteSize() for activity in run.activities.values())
    return size + sum(
        len(name) + payload.ByteSize()
        for attributes in (run.memo, run.search_attributes)
        for name, payload in attributes.items()
    )


def guard(change: RunChange) -> Savepoint | None:
    """Call before a change is made: what `enforce` needs; None far from the limits."""
    run, limits = change.run, change.context.limits
    if (
        run.next_event_id + _NEAR_EVENTS > limits.history_events
        or run.record.history_size + _NEAR_BYTES > limits.history_bytes
        # A memo may add to that, of 2 MB.
        or run.record.ByteSize() + _NEAR_STATE_BYTES > limits.state_bytes
    ):
        return change.savepoint()
    return None


def enforce(change: RunChange, savepoint: Savepoint | None) -> InvalidArgument | None:
    """Call after a change is made: if it went over a limit, it is undone and the run terminated.

    Returns the error for the caller, to be raised after the commit; None if all is well.
    """
    if savepoint is None or not change.run.open:
        return None
    reason = exceeded(change)
    if reason is None:
        return None
    change.rollback(savepoint)
    task_state.fail_started_task(change, task_state.FORCE_CLOSE)
    change.add(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
        WorkflowExecutionTerminatedEventAttributes(reason=reason, identity="history-service"),
    )
    return InvalidArgument(reason)
