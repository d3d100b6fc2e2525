"""The state of one run: a fold of its current branch (`core.fold`) plus a record of what events do not carry.

Nothing here decides anything. Active and passive regions, recovery after a crash and a branch switch all
build a `Run` the same way: fold the events, then lay the stored record over it. Folding again always gives
the same state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.common.v1 import Payload, Priority
from temporalio.api.enums.v1 import PendingActivityState, TaskQueueKind, WorkflowExecutionStatus
from temporalio.api.history.v1 import (
    ActivityTaskScheduledEventAttributes,
    HistoryEvent,
    StartChildWorkflowExecutionInitiatedEventAttributes,
    TimerStartedEventAttributes,
    WorkflowExecutionStartedEventAttributes,
)
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import VersioningOverride

from mockcloud.api.state.v1.state_pb2 import (
    ActivityRecord,
    ReappliedEvent,
    RunRecord,
    VersionHistory,
    WorkflowTaskRecord,
)
from mockcloud.core import times
from mockcloud.core.reset_points import Points
from mockcloud.core.update_state import FoldedUpdate, PendingUpdate

if TYPE_CHECKING:
    from mockcloud.core.derived import VisibilityRow

RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
PAUSED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED
OPEN_STATUSES = frozenset({RUNNING, PAUSED})

# The id that an event carries while it waits in the buffer for the workflow task to end (real:
# common.BufferedEventID).
BUFFERED_EVENT_ID = -123


class RunKey(NamedTuple):
    """What names a run everywhere: in every region, in logs and in errors."""

    namespace_id: str
    workflow_id: str
    run_id: str


@dataclass(slots=True)
class Activity:
    """A pending activity: its Scheduled event, and the record of its attempts."""

    scheduled: HistoryEvent
    record: ActivityRecord

    @property
    def attributes(self) -> ActivityTaskScheduledEventAttributes:
        return self.scheduled.activity_task_scheduled_event_attributes

    @property
    def options(self) -> ActivityOptions | ActivityTaskScheduledEventAttributes:
        """Task queue, time-outs, retry policy and priority: as scheduled, or as an operator changed them."""
        if self.record.options:
            return ActivityOptions.FromString(self.record.options)
        return self.attributes

    @property
    def activity_id(self) -> str:
        return self.attributes.activity_id

    @property
    def started(self) -> bool:
        """Whether a worker has the current attempt."""
        return self.record.started_time != 0

    @property
    def state(self) -> PendingActivityState.ValueType:
        """Where it stands, pauses apart: waiting, with a worker, or asked to cancel itself.

        Real: workflow.GetActivityState.
        """
        if self.record.cancel_requested:
            return PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED
        if self.started:
            return PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
        return PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED


@dataclass(slots=True)
class Timer:
    """A pending user timer: its Started event."""

    started: HistoryEvent

    @property
    def attributes(self) -> TimerStartedEventAttributes:
        return self.started.timer_started_event_attributes

    @property
    def fires_at(self) -> int:
        """When it is due: from the event's own time, so that it stays the same in every region."""
        return times.nanoseconds(self.started.event_time) + times.nanoseconds(
            self.attributes.start_to_fire_timeout
        )


@dataclass(frozen=True, slots=True)
class Child:
    """A child workflow that has not ended: its Initiated event, and what Started told."""

    initiated: HistoryEvent
    started_event_id: int = 0  # 0: not started; BUFFERED_EVENT_ID while Started waits in the buffer
    first_run_id: str = ""  # of its chain of runs

    @property
    def attributes(self) -> StartChildWorkflowExecutionInitiatedEventAttributes:
        return self.initiated.start_child_workflow_execution_initiated_event_attributes

    @property
    def started(self) -> bool:
        return self.started_event_id != 0


@dataclass(frozen=True, slots=True)
class Pause:
    """Who paused a run, and why."""

    time: int  # nanoseconds
    identity: str
    reason: str
    request_id: str


class Lifetime(NamedTuple):
    """The moments that follow from a run's start, in nanoseconds since the epoch."""

    started: HistoryEvent  # from which they follow,
    reset_time: int  # and from this
    start_time: int
    execution_time: int
    execution_expires_at: int  # 0: never
    run_expires_at: int  # 0: never


@dataclass(slots=True)
class Run:
    """One run as its region knows it.

    Mutated in place by `core.fold` and `core.change`, under the workflow's lock.
    """

    key: RunKey
    record: RunRecord = field(default_factory=RunRecord)

    # Folded from events.
    started: HistoryEvent | None = None  # WorkflowExecutionStarted, kept whole
    next_event_id: int = 1
    status: WorkflowExecutionStatus.ValueType = RUNNING
    close_event_id: int = 0
    cancel_requested: bool = False
    cancel_request_event_id: int = 0
    signal_count: int = 0
    # By which a signal sent twice is known. Events carry them; those of other branches are in the record.
    signal_request_ids: set[str] = field(default_factory=set)
    # (run id, event id, version) of what was reapplied to it: what the record says, to be looked up.
    reapplied: set[tuple[str, int, int]] = field(default_factory=set)
    last_completed_task_event_id: int = 0  # WorkflowTaskCompleted
    last_completed_task_started_event_id: int = 0  # its Started: "previous started event id" of a poll
    activities: dict[int, Activity] = field(default_factory=dict)  # by Scheduled event id
    activity_ids: dict[str, int] = field(default_factory=dict)  # activity id -> Scheduled event id
    timers: dict[str, Timer] = field(default_factory=dict)  # by timer id
    # By Initiated event id. Children stay when the run closes: its parent-close policies are about them.
    children: dict[int, Child] = field(default_factory=dict)
    external_signals: dict[int, HistoryEvent] = field(default_factory=dict)
    external_cancels: dict[int, HistoryEvent] = field(default_factory=dict)
    had_workflow_task: bool = False  # a child has none until its parent knows that it was started
    closed: HistoryEvent | None = None  # the close event, kept whole
    last_worker: HistoryEvent | None = (
        None  # last WorkflowTaskCompleted: sdk metadata, metering, worker version
    )
    reset_points: Points = ()  # where each build of its workers first decided, in this run and those before
    new_run_id: str = ""  # of the run that continues this one, once closed so
    updates: dict[str, FoldedUpdate] = field(default_factory=dict)  # by update id
    # Replaced, never changed in place. What the server itself keeps is in the record: see
    # `core.search_attributes.of_run`.
    search_attributes: Mapping[str, Payload] = field(default_factory=dict)
    memo: Mapping[str, Payload] = field(default_factory=dict)
    pause: Pause | None = None  # also of a run that was closed while it was paused
    changed_priority: Priority | None = None  # in the place of that of its start
    versioning_override: VersioningOverride | None = None

    # Whether the worker tried to close the run with its last task, and failed because events were waiting.
    # Only in memory, as in the real server: while its next task is started, signals are refused.
    close_attempted: bool = field(default=False, compare=False)

    # Updates that no worker has taken on, in the order in which they came, and the failover version under which
    # they did. Only in memory, like a speculative workflow task: what is lost with them is asked for again.
    pending_updates: dict[str, PendingUpdate] = field(default_factory=dict, compare=False)
    pending_updates_version: int = field(default=0, compare=False)

    # Kept by `core.derive`, which makes it of the fields above: the visibility row while the run is open.
    open_row: VisibilityRow | None = field(default=None, compare=False, repr=False)
    open_row_basis: tuple[object, ...] = field(default=(), compare=False, repr=False)

    # Kept by `lifetime`, which is asked for at each change.
    known_lifetime: Lifetime | None = field(default=None, compare=False, repr=False)

    @property
    def start(self) -> WorkflowExecutionStartedEventAttributes:
        """Attributes of the Started event; the run must have one."""
        assert self.started is not None, f"run {self.key} has no events"
        return self.started.workflow_execution_started_event_attributes

    @property
    def lifetime(self) -> Lifetime:
        """The moments that follow from its start; the run must have one."""
        known, reset_time = self.known_lifetime, self.record.reset_time
        if known is None or known.started is not self.started or known.reset_time != reset_time:
            assert self.started is not None, f"run {self.key} has no events"
            known = self.known_lifetime = _lifetime(self.started, reset_time)
        return known

    @property
    def start_time(self) -> int:
        """When it began; a run that a reset made, at the reset."""
        return self.lifetime.start_time

    @property
    def execution_time(self) -> int:
        """When its first workflow task may come: the start, and what it waits for before."""
        return self.lifetime.execution_time

    @property
    def execution_expires_at(self) -> int:
        """When the time of its whole chain is over; 0: never."""
        return self.lifetime.execution_expires_at

    @property
    def run_expires_at(self) -> int:
        """When the run times out; 0: never."""
        return self.lifetime.run_expires_at

    @property
    def open(self) -> bool:
        """Whether it has not ended; a paused one has not."""
        return self.status in OPEN_STATUSES

    @property
    def paused(self) -> bool:
        return self.status == PAUSED

    @property
    def priority(self) -> Priority | None:
        """What the run says of its priority; None: nothing."""
        if self.changed_priority is not None:
            return self.changed_priority
        return self.start.priority if self.start.HasField("priority") else None

    @property
    def workflow_task(self) -> WorkflowTaskRecord | None:
        """The pending workflow task, scheduled or started."""
        record = self.record
        return record.workflow_task if record.HasField("workflow_task") else None

    @property
    def started_workflow_task(self) -> WorkflowTaskRecord | None:
        """The pending workflow task if a worker has it: while it has, incoming events wait in the buffer."""
        task = self.record.workflow_task
        return task if task.started_time else None

    @property
    def current_task_queue(self) -> TaskQueue:
        """The queue on which the next workflow task is dispatched. Real: MutableStateImpl.CurrentTaskQueue."""
        normal = self.start.task_queue.name
        sticky = self.record.sticky.task_queue
        if sticky:
            return TaskQueue(name=sticky, kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY, normal_name=normal)
        return TaskQueue(name=normal, kind=TaskQueueKind.TASK_QUEUE_KIND_NORMAL)

    @property
    def speculative_task(self) -> WorkflowTaskRecord | None:
        """The pending workflow task if it is a speculative one (`core.task_state`)."""
        task = self.record.workflow_task
        return task if task.speculative else None

    @property
    def has_memory(self) -> bool:
        """Whether something hangs on this run that is in no store."""
        return bool(self.pending_updates) or self.speculative_task is not None

    def forget_memory(self) -> None:
        """Drop what is in no store, as a restart would."""
        self.pending_updates.clear()
        if self.speculative_task is not None:
            self.record.ClearField("workflow_task")

    def add_reapplied(self, events: Iterable[ReappliedEvent]) -> bool:
        """Remember what was reapplied; whether any of it is new."""
        new = [
            event for event in events if (event.run_id, event.event_id, event.version) not in self.reapplied
        ]
        self.reapplied.update((event.run_id, event.event_id, event.version) for event in new)
        self.record.reapplied.extend(new)
        return bool(new)

    @property
    def version_history(self) -> VersionHistory:
        """The current branch."""
        histories = self.record.version_histories
        return histories.histories[histories.current_index]

    @property
    def last_write_version(self) -> int:
        """Version of the current branch's last event; 0 before the first one."""
        histories = self.record.version_histories
        try:
            return histories.histories[histories.current_index].items[-1].version
        except IndexError:
            return 0

    def dump(self) -> bytes:
        """The record as stored, with the activities' part brought up to date; no speculative task is in it."""
        if self.activities or self.record.activities:
            del self.record.activities[:]
            self.record.activities.extend(activity.record for activity in self.activities.values())
        if self.speculative_task is None:
            return self.record.SerializeToString()
        stored = RunRecord()
        stored.CopyFrom(self.record)
        stored.ClearField("workflow_task")
        return stored.SerializeToString()


def _lifetime(started: HistoryEvent, reset_time: int) -> Lifetime:
    """A reset gives the chain its full time again. The delay before the first workflow task counts for the chain only.

    Real: MutableStateImpl.ApplyWorkflowExecutionStartedEvent, RefreshExpirationTimeoutTask.
    """
    start = started.workflow_execution_started_event_attributes
    begin = reset_time or times.nanoseconds(started.event_time)
    backoff = times.nanoseconds(start.first_workflow_task_backoff)
    of_chain = times.nanoseconds(start.workflow_execution_timeout)
    of_run = times.nanoseconds(start.workflow_run_timeout)
    if reset_time and of_chain:
        chain_ends = reset_time + of_chain
    else:
        chain_ends = times.nanoseconds(start.workflow_execution_expiration_time)
    run_ends = begin + (0 if reset_time else backoff) + of_run if of_run else 0
    if run_ends and chain_ends:
        run_ends = min(run_ends, chain_ends)
    return Lifetime(started, reset_time, begin, begin + backoff, chain_ends, run_ends)
