"""One change of one run in the making, and what comes out of it.

The life of a change: the engine loads the run under its workflow's lock and makes a `RunChange`; a rule of
`core` adds events to it and touches the record; `finish` gives the `Outcome`, which the store commits in one
transaction. Only after that commit may pollers, timers and the replication sender be woken, and the caller
answered.

The run is mutated in place. When a rule raises after it has begun to change the run (`RunChange.changed`), or
when the commit fails, the run in memory is worthless: the engine drops it and loads it again.

What hangs on the state (tasks to dispatch, the moment the run is due, its visibility row) is no part of an
outcome: it is derived from the state after the change (`core.derived`), so that every path regenerates it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from google.protobuf.message import Message
from temporalio.api.common.v1 import Link
from temporalio.api.enums.v1 import EventType, SuggestContinueAsNewReason
from temporalio.api.history.v1 import (
    History,
    HistoryEvent,
    WorkflowTaskScheduledEventAttributes,
    WorkflowTaskStartedEventAttributes,
)
from temporalio.api.sdk.v1 import UserMetadata

from mockcloud.api.state.v1.state_pb2 import ActivityRecord, NamespaceRecord, RunRecord, VersionHistory
from mockcloud.core import fold, times
from mockcloud.core.cluster import Clusters
from mockcloud.core.errors import NamespaceNotActive
from mockcloud.core.event_kinds import ATTRIBUTES_FIELD, CLOSING, FLUSHED_LAST, NEVER_BUFFERED
from mockcloud.core.limits import Limits
from mockcloud.core.outcome import Batch, Fork, Outcome
from mockcloud.core.ports import Ids
from mockcloud.core.run import BUFFERED_EVENT_ID, Activity, Child, Run, RunKey, Timer
from mockcloud.core.update_state import FoldedUpdate, PendingUpdate, Rejected, UpdateEnd, UpdateStage

# A task of the version before is failed under that version, in the same commit as what follows under the new
# one.
_version = attrgetter("version")


def _no_namespace(name: str) -> NamespaceRecord | None:
    """For rules that are given no other namespaces."""


class Context(NamedTuple):
    """Everything a rule may know beside the run: time, ids, and who is active."""

    now: int  # nanoseconds since the epoch
    region: str
    namespace: NamespaceRecord
    clusters: Clusters
    ids: Ids
    next_task_id: Callable[[], int]  # strictly rising in this region; also names branches
    limits: Limits
    random: Callable[[], float]  # in [0, 1), for jitter
    # The other namespaces of the region, by name.
    find_namespace: Callable[[str], NamespaceRecord | None] = _no_namespace

    @property
    def version(self) -> int:
        """The namespace's failover version."""
        return self.namespace.failover_version

    @property
    def active(self) -> bool:
        """Whether this region is the namespace's active one."""
        return self.namespace.active_cluster == self.region


# What of a run is a plain value: saved and restored by assignment.
_PLAIN_FIELDS = (
    "started",
    "next_event_id",
    "status",
    "close_event_id",
    "cancel_requested",
    "cancel_request_event_id",
    "signal_count",
    "last_completed_task_event_id",
    "last_completed_task_started_event_id",
    "last_worker",
    "reset_points",
    "new_run_id",
    "had_workflow_task",
    "closed",
    "search_attributes",
    "memo",
    "pause",
    "changed_priority",
    "versioning_override",
    "open_row",
    "open_row_basis",
)


_plain_values = attrgetter(*_PLAIN_FIELDS)


class Savepoint(NamedTuple):
    """A change and its run at one moment; made and used by `RunChange` alone."""

    record: RunRecord
    fields: tuple[object, ...]
    activities: dict[int, tuple[HistoryEvent, bytes]]
    activity_ids: dict[str, int]
    timers: dict[str, Timer]
    updates: dict[str, FoldedUpdate]
    pending_updates: dict[str, PendingUpdate]
    update_ends: dict[str, UpdateEnd]
    children: dict[int, Child]
    external_signals: dict[int, HistoryEvent]
    external_cancels: dict[int, HistoryEvent]
    event_count: int
    activity_states: list[int]
    request_ids: list[str]
    replicate_run_state: bool
    version: int
    touched: bool
    in_memory: bool


class RunChange:
    """One change of one run in the making. Rules call `add` and `touch`; the engine calls `finish`."""

    def __init__(self, run: Run, context: Context) -> None:
        self.run = run
        self.context = context
        # The larger of the namespace's version and the run's last write (real:
        # MutableStateImpl.UpdateCurrentVersion).
        self.version = max(context.version, run.last_write_version)
        self.created = run.next_event_id == 1
        self.copies: Sequence[Batch] = ()
        self._history = History()  # what is written, made in place: an event is copied by nobody
        self.activity_states: list[int] = []
        self.request_ids: list[str] = []
        self.replicate_run_state = False
        self.is_transition = True  # counted as one of the run's state transitions
        self.deleted = False
        self.successor: RunChange | None = None
        # While the commands of a completed workflow task are applied, what they do not write directly waits
        # in the buffer as if the task were still started, so that it follows the commands' own events.
        self.buffering = False
        # Whether something changed that is in no store: pending updates, a speculative workflow task.
        self.in_memory = False
        # Of updates that end without an event.
        self.update_ends: dict[str, UpdateEnd] = {}
        self._touched = False

    @classmethod
    def of_copy(cls, run: Run, context: Context, copies: Sequence[Batch]) -> RunChange:
        """The change that makes a run which begins with a copy of another one's events (`core.reset`)."""
        change = cls(run, context)
        change.created = True
        change.copies = copies
        return change

    @classmethod
    def new_run(cls, key: RunKey, context: Context) -> RunChange:
        """The change that makes a run: its first event must be WorkflowExecutionStarted."""
        run = Run(key)
        run.record.version_histories.histories.append(VersionHistory(branch_id=context.next_task_id()))
        return cls(run, context)

    @property
    def events(self) -> Sequence[HistoryEvent]:
        """What this change has written so far."""
        return self._history.events

    def savepoint(self) -> Savepoint:
        """The state of this change now, to come back to with `rollback`. Costs a copy of the record."""
        run = self.run
        record = RunRecord()
        record.CopyFrom(run.record)
        return Savepoint(
            record=record,
            fields=_plain_values(run),
            activities={
                key: (activity.scheduled, activity.record.SerializeToString())
                for key, activity in run.activities.items()
            },
            activity_ids=dict(run.activity_ids),
            timers=dict(run.timers),
            updates=dict(run.updates),
            pending_updates=dict(run.pending_updates),
            update_ends=dict(self.update_ends),
            children=dict(run.children),
            external_signals=dict(run.external_signals),
            external_cancels=dict(run.external_cancels),
            event_count=len(self.events),
            activity_states=list(self.activity_states),
            request_ids=list(self.request_ids),
            replicate_run_state=self.replicate_run_state,
            version=self.version,
            touched=self._touched,
            in_memory=self.in_memory,
        )

    def rollback(self, savepoint: Savepoint) -> None:
        """Undo everything since `savepoint`: the worker's commands turned out to be bad. Usable once.

        Real: the workflow context is cleared and loaded again.
        """
        run = self.run
        run.record = savepoint.record
        for name, value in zip(_PLAIN_FIELDS, savepoint.fields, strict=True):
            setattr(run, name, value)
        run.activities = {
            key: Activity(scheduled, ActivityRecord.FromString(raw))
            for key, (scheduled, raw) in savepoint.activities.items()
        }
        run.activity_ids = savepoint.activity_ids
        run.timers = savepoint.timers
        run.updates = savepoint.updates
        run.pending_updates = savepoint.pending_updates
        self.update_ends = savepoint.update_ends
        run.children = savepoint.children
        run.external_signals = savepoint.external_signals
        run.external_cancels = savepoint.external_cancels
        del self._history.events[savepoint.event_count :]
        self.activity_states = savepoint.activity_states
        run.signal_request_ids.difference_update(self.request_ids[len(savepoint.request_ids) :])
        self.request_ids = savepoint.request_ids
        self.replicate_run_state = savepoint.replicate_run_state
        self.version = savepoint.version
        self.successor = None
        self.buffering = False
        self._touched = savepoint.touched
        self.in_memory = savepoint.in_memory

    @property
    def changed(self) -> bool:
        """Whether the run differs from what is stored."""
        return self._touched or bool(self._history.events) or self.successor is not None

    def touch(self) -> None:
        """Say that the record changed without an event."""
        self._touched = True

    def touch_memory(self) -> None:
        """Say that something changed that is in no store. By itself it is not committed."""
        self.in_memory = True

    def end_update(self, update_id: str, end: UpdateEnd) -> None:
        """An update ends without an event: it is forgotten, and its callers are told once that is in force."""
        self.run.pending_updates.pop(update_id, None)
        if isinstance(end, Rejected) and update_id in self.run.updates:
            self.run.pending_updates[update_id] = PendingUpdate(update_id, None, sent=True, rejected=True)
        self.update_ends[update_id] = end
        self.touch_memory()

    def touch_activity(self, scheduled_event_id: int) -> None:
        """Say that an activity's record changed: it is stored and replicated as state."""
        self._touched = True
        if scheduled_event_id not in self.activity_states:
            self.activity_states.append(scheduled_event_id)

    def add(
        self,
        event_type: EventType.ValueType,
        attributes: Message,
        *,
        user_metadata: UserMetadata | None = None,
        links: Sequence[Link] = (),
        worker_may_ignore: bool = False,
        moment: int | None = None,
    ) -> HistoryEvent:
        """Append an event to history and state, or buffer it while a worker has the workflow task.

        Its time is `moment` (nanoseconds) or now.

        A buffered event takes effect at once, but its id is BUFFERED_EVENT_ID until `flush_buffer`. With the
        first event that comes to a speculative workflow task, that becomes a real one.
        """
        if event_type not in CLOSING:
            self.write_speculative_task()
        waits = self.buffering or self.run.started_workflow_task is not None
        buffered = waits and event_type not in NEVER_BUFFERED
        event = HistoryEvent() if buffered else self._history.events.add()
        event.event_id = BUFFERED_EVENT_ID if buffered else self.run.next_event_id
        event.event_type = event_type
        event.version = self.version
        times.put(event.event_time, self.context.now if moment is None else moment)
        if worker_may_ignore:
            event.worker_may_ignore = True
        if links:
            event.links.extend(links)
        if user_metadata is not None and user_metadata.ByteSize():
            event.user_metadata.CopyFrom(user_metadata)
        getattr(event, ATTRIBUTES_FIELD[event_type]).CopyFrom(attributes)
        if buffered:
            fold.effect(self.run, event)
            self.run.record.buffered_events.append(event.SerializeToString())
            self._touched = True
        else:
            event.task_id = self.context.next_task_id()
            fold.fold(self.run, event)
        return event

    def write_speculative_task(self, identity: str = "") -> None:
        """Write the events of the speculative workflow task, if the run has one: from now on it is a normal one.

        Its ids and times stay what its worker was told, so it goes on under the same token. It keeps its time
        limit for being taken, on a normal queue too. Real:
        workflowTaskStateMachine.convertSpeculativeWorkflowTaskToNormal.
        """
        task = self.run.speculative_task
        if task is None:
            return
        was = type(task)()
        was.CopyFrom(task)
        self.run.record.ClearField("workflow_task")
        self.add(
            EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
            WorkflowTaskScheduledEventAttributes(
                task_queue=self.run.current_task_queue,
                start_to_close_timeout=times.duration(was.start_to_close_timeout),
                attempt=was.attempt,
            ),
            moment=was.scheduled_time,
        )
        task = self.run.record.workflow_task
        assert task.scheduled_event_id == was.scheduled_event_id, "nothing was written since it was scheduled"
        task.original_scheduled_time = was.original_scheduled_time
        task.schedule_to_start_timeout = was.schedule_to_start_timeout
        if was.started_time:
            self.add(
                EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
                WorkflowTaskStartedEventAttributes(
                    scheduled_event_id=was.scheduled_event_id,
                    identity=identity,
                    request_id=was.request_id,
                    suggest_continue_as_new=was.suggest_continue_as_new,
                    suggest_continue_as_new_reasons=[
                        SuggestContinueAsNewReason.ValueType(reason) for reason in was.suggest_reasons
                    ],
                    history_size_bytes=was.history_size_suggestion,
                ),
                moment=was.started_time,
            )

    def flush_buffer(self) -> None:
        """Give the buffered events their ids, results last; they took effect when they came.

        The caller has just ended the workflow task that they waited for. Where that closed the run they are
        dropped: they came of the same task's commands (an activity cancelled, then the workflow completed).
        Real: EventStore.FlushBufferToCurrentBatch.
        """
        raw = self.run.record.buffered_events
        if not raw:
            return
        if not self.run.open:
            del raw[:]
            self._touched = True
            return
        assert self.run.started_workflow_task is None, "buffered events wait for the workflow task to end"
        waiting = [HistoryEvent.FromString(data) for data in raw]
        del raw[:]
        waiting.sort(key=lambda event: event.event_type in FLUSHED_LAST)
        started: dict[int, int] = {}
        for waited in waiting:
            event = self._history.events.add()
            event.CopyFrom(waited)
            event.event_id = self.run.next_event_id
            event.task_id = self.context.next_task_id()
            event.version = self.version
            attributes = getattr(event, ATTRIBUTES_FIELD[event.event_type])
            opened_by = FLUSHED_LAST.get(event.event_type)
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                started[attributes.scheduled_event_id] = event.event_id
            elif event.event_type == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
                started[attributes.initiated_event_id] = event.event_id
                if attributes.initiated_event_id in self.run.children:
                    fold.effect(self.run, event)  # again, now that it has its id
            elif opened_by is not None:
                opened = getattr(attributes, opened_by)
                attributes.started_event_id = started.get(opened, attributes.started_event_id)
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
                self.run.cancel_request_event_id = event.event_id
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED:
                update_id = attributes.request.meta.update_id
                if self.run.updates[update_id].event_id == BUFFERED_EVENT_ID:
                    self.run.updates[update_id] = FoldedUpdate(UpdateStage.ADMITTED, event.event_id)
            request_id = getattr(attributes, "attached_request_id", "")
            if request_id:
                self.run.record.attached_request_ids[request_id] = event.event_id
            fold.advance(self.run, event)

    def require_active(self) -> None:
        """Raises NamespaceNotActive when the version this change would write belongs to another region."""
        context = self.context
        owner = context.clusters.owner(self.version)
        if owner != context.region:
            raise NamespaceNotActive(context.namespace.name, context.region, owner)

    def finish(self) -> Outcome:
        """The outcome, made as the active region.

        A speculative workflow task is never stored: what is written with it pending makes it a normal one.
        """
        run = self.run
        if run.open:
            self.write_speculative_task()
        run.record.state_transitions += self.is_transition
        run.record.last_update_time = self.context.now
        branch_id = run.version_history.branch_id
        return Outcome(
            run=run,
            created=self.created,
            forks=[Fork(branch_id)] if self.created else [],
            copies=self.copies,
            batches=_batches(branch_id, self._history),
            becomes_current=self.created,
            replicate=True,
            activity_states=[key for key in self.activity_states if key in run.activities],
            request_ids=self.request_ids,
            replicate_run_state=self.replicate_run_state,
            deleted=self.deleted,
            successor=self.successor.finish() if self.successor else None,
            update_ends=self.update_ends,
        )


def _batches(branch_id: int, history: History) -> list[Batch]:
    """The events of one change as batches: of each version one."""
    events = history.events
    if events and events[0].version == events[-1].version:
        return [Batch.of(branch_id, events, history.SerializeToString())]
    return [Batch.of(branch_id, list(same)) for _, same in groupby(events, _version)]
