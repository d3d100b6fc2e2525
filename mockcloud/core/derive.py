"""State to what hangs on it: the tasks to dispatch, the next due moment, the visibility row, the errands.

Runs after every change, so it must stay cheap, and it decides nothing: what a worker may take is in the
record.
"""

from __future__ import annotations

from temporalio.api.common.v1 import Memo, SearchAttributes

from mockcloud.core import pause_info, priorities, search_attributes
from mockcloud.core.activity import activity_offers
from mockcloud.core.derived import Derived, Offer, TaskKind, VisibilityRow
from mockcloud.core.due import next_due, next_stored_due
from mockcloud.core.errands import errands_of
from mockcloud.core.run import Run


def derive(run: Run) -> Derived:
    """Everything that hangs on the stored state of `run`. A zombie has nothing until it is closed.

    What is in memory only, a speculative workflow task, is left out: `derive_live`.
    """
    if run.started is None:
        return Derived(due=None, offers=frozenset(), visibility=None)
    if not run.open:
        return Derived(due=None, offers=frozenset(), visibility=visibility_row(run), errands=errands_of(run))
    if run.record.zombie:
        return Derived(due=None, offers=frozenset(), visibility=None)
    offers = list(activity_offers(run)) if run.activities else []
    task = workflow_task_offer(run)
    if task is not None and run.speculative_task is None:
        offers.append(task)
    return Derived(
        due=next_stored_due(run),
        offers=frozenset(offers),
        visibility=visibility_row(run),
        errands=errands_of(run),
    )


def derive_live(run: Run, stored: Derived) -> Derived:
    """What task queues and timers must know of `run`: `stored`, as `derive` gave it, and a speculative task."""
    if run.speculative_task is None or not run.open or run.record.zombie:
        return stored
    task = workflow_task_offer(run)
    offers = stored.offers if task is None else stored.offers | {task}
    return stored._replace(due=next_due(run), offers=offers)


def workflow_task_offer(run: Run) -> Offer | None:
    """The pending workflow task, if no worker has it and the run is not paused.

    It goes to the sticky queue only while the run is sticky: replication clears that, and then the very task
    that was scheduled on the sticky queue goes to the normal one.
    """
    task = run.workflow_task
    if task is None or task.started_time or run.paused:
        return None
    normal_queue = run.start.task_queue.name
    sticky = task.sticky and run.record.sticky.task_queue == task.task_queue
    return Offer(
        kind=TaskKind.WORKFLOW,
        scheduled_event_id=task.scheduled_event_id,
        attempt=task.attempt,
        stamp=task.version,
        task_queue=task.task_queue if sticky else normal_queue,
        sticky=sticky,
        normal_queue=normal_queue,
        ready_time=task.scheduled_time,
        priority=priorities.in_queue(run.priority),
    )


def visibility_row(run: Run) -> VisibilityRow:
    """The run as lists show it.

    While the run is open only memo, search attributes and pauses change it, so one row serves until they do. Its close
    changes what counts and times it.
    """
    problems = run.record.reported_problems
    basis = (
        run.search_attributes,
        run.memo,
        tuple(problems) if problems else (),
        tuple(pause_info.values(run)) if run.pause is not None or run.activities else (),
        run.versioning_override is None,
    )
    row = run.open_row
    if row is None or run.open_row_basis != basis:
        row, run.open_row_basis = _open_row(run), basis
    elif row.status != run.status and run.open:
        row = row._replace(status=run.status)
    if run.open:
        run.open_row = row
        return row
    run.open_row, run.open_row_basis = None, ()
    return row._replace(
        status=run.status,
        close_time=run.record.close_time,
        history_length=run.next_event_id - 1,
        history_size=run.record.history_size,
        state_transitions=run.record.state_transitions,
    )


def _open_row(run: Run) -> VisibilityRow:
    """The row of an open run."""
    start = run.start
    root = start.root_workflow_execution
    return VisibilityRow(
        workflow_type=start.workflow_type.name,
        task_queue=start.task_queue.name,
        status=run.status,
        start_time=run.start_time,
        execution_time=run.execution_time,
        close_time=0,
        history_length=0,
        history_size=0,
        state_transitions=0,
        memo=Memo(fields=run.memo).SerializeToString(deterministic=True) if run.memo else b"",
        search_attributes=SearchAttributes(indexed_fields=search_attributes.of_run(run)).SerializeToString(
            deterministic=True
        ),
        parent_workflow_id=start.parent_workflow_execution.workflow_id,
        parent_run_id=start.parent_workflow_execution.run_id,
        root_workflow_id=root.workflow_id or run.key.workflow_id,
        root_run_id=root.run_id or run.key.run_id,
    )
