"""Two runs of one workflow id: which is the current one, and what becomes of the other.

Terms: a run's *clock* is its last write version and the task id of its last event. Of two runs the one with the
higher clock is the *newer*. The newer one is current; the older one, if it is open, is *suppressed*:

    its last event was written here      it is terminated, under the version of that event; that replicates
    its last event was written elsewhere it becomes a *zombie*: it is not current, gets no tasks and is in no list;
                                         its owner's termination closes it, or newer events of it revive it

So in each region at most one open run that is no zombie exists per workflow id, and after healing it is the same one
everywhere.

Real: service/history/ndc/workflow.go, transaction_manager_new_workflow.go, transaction_manager_existing_workflow.go.
"""

from __future__ import annotations

from mockcloud.core import conflict, signals, task_state
from mockcloud.core.change import Context, RunChange
from mockcloud.core.outcome import Outcome
from mockcloud.core.run import Run

REASON = "Terminate Workflow Due To Version Conflict."


def is_newer(run: Run, other: Run) -> bool:
    """Whether `run` is the newer one of two runs of a workflow id."""
    return conflict.happens_after(
        run.last_write_version,
        run.record.last_task_id,
        other.last_write_version,
        other.record.last_task_id,
    )


def suppress(current: Run, newer: Run, context: Context) -> Outcome:
    """Make room for `newer`: the open current run is terminated, or becomes a zombie."""
    assert current.open, "a closed run is in nobody's way"
    assert is_newer(newer, current), "only a newer run suppresses"
    version = current.last_write_version
    if context.clusters.owner(version) != context.region:
        current.record.zombie = True
        return Outcome(run=current)
    change = RunChange(current, context)
    change.version = version
    task_state.fail_started_task(change, task_state.FAILOVER_CLOSE)
    signals.terminate_run(
        change,
        reason=REASON,
        details=signals.text_payloads(f"terminated by version: {newer.last_write_version}"),
    )
    return change.finish()
