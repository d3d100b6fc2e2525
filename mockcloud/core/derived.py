"""What hangs on a run's state: tasks to dispatch, the moment it is due, its visibility row, its errands.

Derived anew after every change, whichever path made it (a call, a timer, a replicated batch, a branch switch), and
compared with what was derived before: so a switch regenerates everything, and nothing of a losing branch can linger.
The passive region derives and stores the same, but dispatches, fires and performs nothing until it turns active.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from temporalio.api.enums.v1 import WorkflowExecutionStatus

from mockcloud.core.priorities import DEFAULT, TaskPriority


class TaskKind(IntEnum):
    """What a task queue holds."""

    WORKFLOW = 1
    ACTIVITY = 2


class Offer(NamedTuple):
    """A task that is ready for a worker. Equal offers are the same task: one change of any field voids the old one."""

    kind: TaskKind
    scheduled_event_id: int
    attempt: int
    stamp: int  # activities: raised to void an offer; workflow tasks: the version
    task_queue: str
    sticky: bool
    normal_queue: str  # where a sticky task goes when its worker is gone
    ready_time: int  # since when it waits
    priority: TaskPriority = DEFAULT


class ErrandKind(IntEnum):
    """What the active region has to do to another run because of this one. See `core.errands`."""

    LOOK = 0  # which ones it has is not known yet
    START_CHILD = 1
    SIGNAL_EXTERNAL = 2
    CANCEL_EXTERNAL = 3
    FIRST_TASK = 4
    CLOSE = 5


class Errand(NamedTuple):
    """Something that is to be done to another run. Equal errands are the same one."""

    kind: ErrandKind
    event_id: int  # the event that it is of: Initiated, Started, or the close
    version: int  # of that event
    target: str = ""  # workflow id: what is to be done to one of them is done in the order of the events


NO_ERRANDS: frozenset[Errand] = frozenset()


class VisibilityRow(NamedTuple):
    """A run as lists show it. Zombies have none until they close."""

    workflow_type: str
    task_queue: str
    status: WorkflowExecutionStatus.ValueType
    start_time: int
    execution_time: int
    close_time: int  # 0: open
    history_length: int  # events; 0 while open
    history_size: int  # bytes; 0 while open
    state_transitions: int  # 0 while open
    memo: bytes  # temporal.api.common.v1.Memo
    search_attributes: bytes  # temporal.api.common.v1.SearchAttributes
    parent_workflow_id: str
    parent_run_id: str
    root_workflow_id: str
    root_run_id: str


class Derived(NamedTuple):
    """All of it, for comparison before and after a change."""

    due: int | None  # next moment at which `core.due.run_due` has something to do
    offers: frozenset[Offer]
    visibility: VisibilityRow | None
    errands: frozenset[Errand] = NO_ERRANDS
