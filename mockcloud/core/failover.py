"""A workflow task that was started under a lower failover version: it is failed when its run is next touched.

As long as a task is started, everything that happens to the run waits in the buffer, and all of it must have
the version of that task. So when the version changes, the task is failed and the buffer flushed:

    1. active → passive   under the last write version   `close_task_of_lower_version`, as this region is not
       active
    2. active → active    under the last write version   `touch`
    3. passive → active   under the new version          `touch`; nothing is buffered
    4. passive → passive  nothing to do

A speculative task is dropped without a trace; the engine drops it already when its region turns passive. A
transient task that is not started becomes a real first attempt when it is (`core.task_start`).
Real: MutableStateImpl.startTransactionHandleWorkflowTaskFailover; semantics §2 step 3 and §7.
"""

from __future__ import annotations

from mockcloud.core.change import RunChange
from mockcloud.core.task_state import FAILOVER_CLOSE, fail_started_task, limit_buffer, schedule_workflow_task


def touch(change: RunChange) -> None:
    """Call first in every change that is made of an open run as the active region.

    It also ends a task for which too much waits (`limit_buffer`).
    Real: a write, a read of the run, or a timer or task of it coming due.
    """
    run = change.run
    task = run.started_workflow_task
    if not run.open or run.record.zombie or task is None:
        return
    if task.version >= change.version:
        limit_buffer(change)
        return
    last_write_version = run.last_write_version
    clusters, region = change.context.clusters, change.context.region
    was_active = clusters.owner(last_write_version) == region
    is_active = clusters.owner(change.version) == region
    if not was_active and not is_active:
        assert not run.record.buffered_events, "a run that was always passive has no buffered events"
        return
    if not was_active:
        assert not run.record.buffered_events, "a run that was passive has no buffered events"
        _close(change)
        return
    new_version = change.version
    change.version = last_write_version
    _close(change)
    change.version = new_version


def needs_close(change: RunChange) -> bool:
    """Whether `close_task_of_lower_version` has something to do.

    That is: this region wrote the run's last event, and a worker has its task.
    """
    run = change.run
    return (
        run.open
        and not run.record.zombie
        and run.started_workflow_task is not None
        and change.context.clusters.owner(run.last_write_version) == change.context.region
    )


def close_task_of_lower_version(change: RunChange) -> bool:
    """Fail the started task and flush the buffer, under the last write version, in a region no longer active.

    For when a region turns passive, and for a replicated batch that meets buffered events. The change is
    committed and replicated as one of the active region's. Returns whether it did anything: there was a
    started task, and this region wrote the run's last event.
    """
    if not needs_close(change):
        return False
    change.version = change.run.last_write_version
    _close(change)
    return True


def _close(change: RunChange) -> None:
    if change.run.speculative_task is not None:
        change.run.record.ClearField("workflow_task")
        change.touch_memory()
        return
    fail_started_task(change, FAILOVER_CLOSE)
    schedule_workflow_task(change)
