"""Small builders for what a store keeps."""

from __future__ import annotations

from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.history.v1 import HistoryEvent

from mockcloud.core.current import CurrentRun
from mockcloud.core.derived import Offer, TaskKind, VisibilityRow
from mockcloud.core.outcome import Batch, Fork
from mockcloud.store.log import LogWrite
from mockcloud.store.runs import RunWrite

RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
COMPLETED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED
FAILED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED

NAMESPACE = "6f1ed002-ab5d-42d9-bc1f-4b5d3a1c0001"


def batch(branch_id: int, first: int, last: int, version: int = 1) -> Batch:
    events = [
        HistoryEvent(event_id=event_id, version=version, task_id=branch_id)
        for event_id in range(first, last + 1)
    ]
    return Batch.of(branch_id, events)


def offer(scheduled_event_id: int = 2, attempt: int = 1, kind: TaskKind = TaskKind.WORKFLOW) -> Offer:
    return Offer(kind, scheduled_event_id, attempt, 1, "orders", False, "orders", 1000 + scheduled_event_id)


def visibility_row(
    start_time: int = 1,
    close_time: int = 0,
    workflow_type: str = "Order",
    status: WorkflowExecutionStatus.ValueType | None = None,
) -> VisibilityRow:
    return VisibilityRow(
        workflow_type=workflow_type,
        task_queue="orders",
        status=status or (COMPLETED if close_time else RUNNING),
        start_time=start_time,
        execution_time=start_time,
        close_time=close_time,
        history_length=0,
        history_size=0,
        state_transitions=0,
        memo=b"memo",
        search_attributes=b"",
        parent_workflow_id="",
        parent_run_id="",
        root_workflow_id="w",
        root_run_id="r",
    )


def current(run_id: str) -> CurrentRun:
    return CurrentRun(run_id, f"request of {run_id}", RUNNING, 1, 1, 1, 0)


def new_run(run_key: int, workflow_id: str = "order-1", run_id: str = "", **changes: object) -> RunWrite:
    """A started run whose root branch is 100 * run_key, with events 1 and 2."""
    run_id = run_id or f"run-{run_key}"
    branch_id = 100 * run_key
    write = RunWrite(
        run_key=run_key,
        namespace_id=NAMESPACE,
        workflow_id=workflow_id,
        run_id=run_id,
        created=True,
        record=b"record",
        status=RUNNING,
        zombie=False,
        due=None,
        delete_at=None,
        forks=[Fork(branch_id)],
        batches=[batch(branch_id, 1, 2)],
        offers_added=[offer()],
        visibility=visibility_row(),
        visibility_changed=True,
        current=current(run_id),
        log=[],
    )
    for name, value in changes.items():
        setattr(write, name, value)
    return write


def update(run_key: int, workflow_id: str = "order-1", run_id: str = "", **changes: object) -> RunWrite:
    """A change of a run that touches its record alone, but for `changes`."""
    write = RunWrite(
        run_key=run_key,
        namespace_id=NAMESPACE,
        workflow_id=workflow_id,
        run_id=run_id or f"run-{run_key}",
        created=False,
        record=b"changed",
        status=RUNNING,
        zombie=False,
        due=None,
        delete_at=None,
    )
    for name, value in changes.items():
        setattr(write, name, value)
    return write


def entry(payload: bytes = b"") -> LogWrite:
    return LogWrite(payload)
