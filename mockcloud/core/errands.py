"""What the active region has to do to *other* runs because of one: derived from its state, like its offers.

    START_CHILD      a child is initiated, and neither started nor failed to start: start it
    SIGNAL_EXTERNAL  the signal of another run is initiated, and neither sent nor failed
    CANCEL_EXTERNAL  the same of a cancel request
    FIRST_TASK       the run is a child whose first workflow task its parent has to release
    CLOSE            the run is closed: its parent is to be told, its parent-close policies to be applied

An errand stands until the run says that it is done: by an event, or, of a closed run, which gets no more
events, by its record (`RunRecord.close_errands`). Every one of them may be performed again without harm:
what it does to the other run is known there by a request id that is made of the Initiated event, or is the
same twice by its nature. So nothing else of an errand is stored, and a crash, a failover or a branch switch
needs no care: who is active looks at the state and goes on.

Why a child waits for its first workflow task: its parent has to know of its start before anything comes of
it, or a child that ends at once would end unknown. The real server keeps the same order.

Real: the transfer tasks of service/history/transfer_queue_active_task_executor.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from temporalio.api.enums.v1 import EventType, ParentClosePolicy

from mockcloud.core.derived import NO_ERRANDS, Errand, ErrandKind
from mockcloud.core.run import Child, Run

# By whom a run is terminated that a reset replaces. Real: consts.IdentityResetter.
RESETTER = "history-resetter"


def errands_of(run: Run) -> frozenset[Errand]:
    """All errands of `run`. A zombie has none, open or closed."""
    if run.record.zombie or run.started is None:
        return NO_ERRANDS
    if not run.open:
        return _close(run)
    if not (run.children or run.external_signals or run.external_cancels) and run.had_workflow_task:
        return NO_ERRANDS  # nearly always
    # Of all pending items at each change: it is worth a few words less to say it.
    start, signal, cancel = ErrandKind.START_CHILD, ErrandKind.SIGNAL_EXTERNAL, ErrandKind.CANCEL_EXTERNAL
    found = [
        Errand(start, event_id, child.initiated.version, child.attributes.workflow_id)
        for event_id, child in run.children.items()
        if child.started_event_id == 0
    ]
    for event_id, event in run.external_signals.items():
        other = event.signal_external_workflow_execution_initiated_event_attributes.workflow_execution
        found.append(Errand(signal, event_id, event.version, other.workflow_id))
    for event_id, event in run.external_cancels.items():
        other = event.request_cancel_external_workflow_execution_initiated_event_attributes.workflow_execution
        found.append(Errand(cancel, event_id, event.version, other.workflow_id))
    if awaits_first_task(run):
        found.append(Errand(ErrandKind.FIRST_TASK, run.started.event_id, run.started.version))
    return frozenset(found) if found else NO_ERRANDS


def awaits_first_task(run: Run) -> bool:
    """Whether the run is a child that waits for its parent's leave to begin. A delay ends by itself."""
    return (
        run.open
        and not run.had_workflow_task
        and not run.record.first_task_backoff_until
        and has_parent(run)
        and not run.start.continued_execution_run_id
    )


def _close(run: Run) -> frozenset[Errand]:
    if not run.children and not has_parent(run):
        return NO_ERRANDS  # nearly always
    closed = run.closed
    assert closed is not None, "a closed run has its close event"
    done = run.record.close_errands.close
    if done.event_id == closed.event_id and done.version == closed.version:
        return NO_ERRANDS
    if not tells_parent(run) and not any(True for _ in policies_to_apply(run)):
        return NO_ERRANDS
    return frozenset((Errand(ErrandKind.CLOSE, closed.event_id, closed.version),))


def has_parent(run: Run) -> bool:
    """Whether the run is a child workflow."""
    return bool(run.start.parent_workflow_execution.workflow_id)


def tells_parent(run: Run) -> bool:
    """Whether a closed run's parent hears of its close: not while another run goes on in its place."""
    return has_parent(run) and not run.new_run_id and not terminated_by_reset(run)


def policies_to_apply(run: Run) -> Iterator[Child]:
    """The children of a closed run that its parent-close policies are about.

    A reset keeps them: the run that it makes takes them over.
    """
    if terminated_by_reset(run) and run.record.reset_run_id:
        return
    for child in run.children.values():
        if child.attributes.parent_close_policy != ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON:
            yield child


def terminated_by_reset(run: Run) -> bool:
    """Real: ndc.IsTerminatedByResetter."""
    closed = run.closed
    return (
        closed is not None
        and closed.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED
        and closed.workflow_execution_terminated_event_attributes.identity == RESETTER
    )
