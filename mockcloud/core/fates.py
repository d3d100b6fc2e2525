"""What became of the events of losing branches and runs: written again, kept by other means, lost, and by which rule.

Nothing here decides: the rules are `core.reapply`, `core.two_runs` and `core.reset`. This tells afterwards, from the
runs of a workflow id with their branches and from the keys that targets keep of what was reapplied to them, what those
rules have done, so that a person can follow each event of a fork.

    reapplied   the target has the event's key, (run id, event id, version); where it became an event, that is found by
                what a reapplied event keeps: its name, input and identity, or the id of its update
    kept        what was asked for had been asked of the winner already
    lost        a rule says that events of that kind stay behind, or that this one does
    waiting     it will be reapplied, but is not yet: the active region has not been reached, or has not applied it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from mockcloud.api.state.v1.state_pb2 import ReappliedEvent
from mockcloud.core import children, reapply, signals, two_runs
from mockcloud.core.cluster import Clusters


class Fate(StrEnum):
    """What became of one event."""

    REAPPLIED = "reapplied"
    KEPT = "kept"
    LOST = "lost"
    WAITING = "waiting"


class EventFate(NamedTuple):
    """One event's fate. Where it was reapplied: the run and the event there, 0 while it waits in the buffer."""

    event_id: int
    fate: Fate
    reason: str = ""
    run_id: str = ""
    to_event_id: int = 0


class BranchFacts(NamedTuple):
    """A branch: its events from the first on, and up to which they are also on the run's current branch."""

    events: Sequence[HistoryEvent]
    last_shared_event_id: int


class RunFacts(NamedTuple):
    """A run as one region has it; its current branch comes first."""

    run_id: str
    current: bool
    open: bool
    zombie: bool
    branches: Sequence[BranchFacts]
    reapplied: Sequence[ReappliedEvent] = ()
    from_reset: bool = False

    @property
    def superseded(self) -> bool:
        """Whether another run of the workflow id took its place because of a conflict."""
        return self.zombie or _ended_by_conflict(self.branches[0].events if self.branches else ())


Key = tuple[str, int, int]  # source run id, event id, event version

OWN_VERSION: Final = (
    "it was written under a version of the region that is active again: such events are not reapplied"
)
PENDING_CHILD: Final = (
    "the current run has closed with a child pending: it is not reset, and the event is dropped"
)
NO_TASK: Final = (
    "the current run has closed without ever having had a workflow task: there is no point to reset it to"
)
REOPENED: Final = (
    "it only re-opened the closed run: a reset does not apply requests to cancel and terminations"
)
BY_THE_SERVER: Final = "the server itself ended that run: nobody asked for it"
NOT_REACHED: Final = "it is not written again yet"
SAME_UPDATE: Final = "the winner has an update of that id already"
SAME_SIGNAL: Final = "the workflow that sent it has sent it to the winner as well"
SAME_CANCEL: Final = "the winner has been asked to cancel already"
PROGRESS: Final = "how far an update had come does not count: what is written again is its request"
CHILD: Final = "what was heard of a child counts only where the winner has that very child pending"
LOSING_START: Final = (
    "the start of a losing run: its input is lost, and its caller has the id of a run that is not current"
)

_TASKS: Final = "what a worker decided on a losing branch does not count: the winner's workers decide anew"
_RESULT: Final = "a result of a losing branch is lost: the winner has not scheduled it, or does it again"
_CLOSE: Final = "a close of a losing branch does not count: the winner goes on, or has closed by itself"
_OTHER: Final = "events of this kind are not reapplied"


def _types(*names: str) -> list[int]:
    return [EventType.Value(f"EVENT_TYPE_{name}") for name in names]


_RULES: Final[Mapping[int, str]] = {
    **dict.fromkeys(_types("WORKFLOW_EXECUTION_STARTED"), LOSING_START),
    **dict.fromkeys(
        _types(
            *(
                f"WORKFLOW_TASK_{name}"
                for name in ("SCHEDULED", "STARTED", "COMPLETED", "TIMED_OUT", "FAILED")
            ),
            *("ACTIVITY_TASK_SCHEDULED", "ACTIVITY_TASK_CANCEL_REQUESTED", "TIMER_STARTED", "TIMER_CANCELED"),
            *("MARKER_RECORDED", "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", "WORKFLOW_PROPERTIES_MODIFIED"),
            "START_CHILD_WORKFLOW_EXECUTION_INITIATED",
            "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED",
            "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED",
        ),
        _TASKS,
    ),
    **dict.fromkeys(
        _types(
            *(
                f"ACTIVITY_TASK_{name}"
                for name in ("STARTED", "COMPLETED", "FAILED", "TIMED_OUT", "CANCELED")
            ),
            "TIMER_FIRED",
            "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED",
            "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED",
            "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED",
            "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED",
        ),
        _RESULT,
    ),
    **dict.fromkeys(
        _types(
            *(
                f"WORKFLOW_EXECUTION_{name}"
                for name in ("COMPLETED", "FAILED", "TIMED_OUT", "CANCELED", "CONTINUED_AS_NEW")
            )
        ),
        _CLOSE,
    ),
    **dict.fromkeys(
        _types("WORKFLOW_EXECUTION_UPDATE_COMPLETED", "WORKFLOW_EXECUTION_UPDATE_REJECTED"), PROGRESS
    ),
    **dict.fromkeys(children.AFTER_INITIATED, CHILD),
}

_ADMITTED, _ACCEPTED = _types("WORKFLOW_EXECUTION_UPDATE_ADMITTED", "WORKFLOW_EXECUTION_UPDATE_ACCEPTED")
_CANCEL, _TERMINATED = _types("WORKFLOW_EXECUTION_CANCEL_REQUESTED", "WORKFLOW_EXECUTION_TERMINATED")
(_SCHEDULED,) = _types("WORKFLOW_TASK_SCHEDULED")
(_INITIATED,) = _types("START_CHILD_WORKFLOW_EXECUTION_INITIATED")


def of_runs(
    runs: Sequence[RunFacts], *, clusters: Clusters, active: str
) -> dict[tuple[str, int], list[EventFate]]:
    """The fates of the events of each branch that has any, by run id and the branch's place in its run.

    Args:
        runs: all of the workflow id, oldest first.
        clusters: whose versions are whose.
        active: the region that is active for the namespace: where events are reapplied.
    """
    teller = _Teller(runs, clusters, active)
    told = {}
    for run in runs:
        for index, branch in enumerate(run.branches):
            if index:
                events = branch.events[branch.last_shared_event_id :]
            elif run.superseded:
                events = branch.events
            else:
                continue
            told[run.run_id, index] = [teller.fate(run, event) for event in events]
    return told


class _Teller:
    """What is known of all runs of one workflow id."""

    def __init__(self, runs: Sequence[RunFacts], clusters: Clusters, active: str) -> None:
        self._clusters: Final = clusters
        self._active: Final = active
        self._current: Final = next((run for run in runs if run.current), None)
        self._winner: Final = (
            self._current.branches[0].events if self._current and self._current.branches else ()
        )
        self._signals_of_workflows: Final = {
            _signature(event)
            for event in self._winner
            if event.workflow_execution_signaled_event_attributes.HasField("external_workflow_execution")
        }
        self._winner_has: Final = {signature for event in self._winner if (signature := _asked(event))}
        self._copies: Final = _copies(runs)
        self._from_resets: Final = {run.run_id for run in runs if run.from_reset}

    def fate(self, run: RunFacts, event: HistoryEvent) -> EventFate:
        key = (run.run_id, event.event_id, event.version)
        if key not in self._copies:
            return EventFate(event.event_id, *self._not_reapplied(run, event))
        where, as_event = self._copies[key]
        if not as_event and where in self._from_resets:
            # A reset keeps the keys of all that it was made for, applied or not.
            return EventFate(event.event_id, *self._skipped_by_reset(event))
        return EventFate(event.event_id, Fate.REAPPLIED, run_id=where, to_event_id=as_event)

    def _skipped_by_reset(self, event: HistoryEvent) -> tuple[Fate, str]:
        if event.event_type in {_CANCEL, _TERMINATED}:
            return Fate.LOST, REOPENED
        if event.event_type in children.AFTER_INITIATED:
            return Fate.LOST, CHILD
        return (Fate.KEPT, SAME_UPDATE) if _asked(event) else (Fate.LOST, PROGRESS)

    def _not_reapplied(self, run: RunFacts, event: HistoryEvent) -> tuple[Fate, str]:
        if not reapply.candidates([event]):
            by_the_server = event.event_type == _TERMINATED
            return Fate.LOST, BY_THE_SERVER if by_the_server else _RULES.get(event.event_type, _OTHER)
        if event.event_type in children.AFTER_INITIATED:
            return Fate.LOST, CHILD
        attributes = event.workflow_execution_update_accepted_event_attributes
        if event.event_type == _ACCEPTED and not attributes.HasField("accepted_request"):
            return Fate.LOST, PROGRESS
        if _asked(event) in self._winner_has:
            return Fate.KEPT, SAME_CANCEL if event.event_type == _CANCEL else SAME_UPDATE
        if _signature(event) in self._signals_of_workflows:
            return Fate.KEPT, SAME_SIGNAL
        target = self._current
        if target is not None and target.run_id != run.run_id and self._owner(event) == self._active:
            return Fate.LOST, OWN_VERSION
        if target is not None and not target.open:
            return self._on_a_closed_run(event)
        if self._owner(event) == self._active:
            return Fate.LOST, OWN_VERSION
        return Fate.WAITING, NOT_REACHED

    def _on_a_closed_run(self, event: HistoryEvent) -> tuple[Fate, str]:
        if not any(known.event_type == _SCHEDULED for known in self._winner):
            return Fate.LOST, NO_TASK
        if _has_pending_child(self._winner):
            return Fate.LOST, PENDING_CHILD
        if self._owner(event) == self._active:
            return Fate.LOST, OWN_VERSION
        return Fate.WAITING, NOT_REACHED

    def _owner(self, event: HistoryEvent) -> str:
        return self._clusters.owner(event.version)


def _copies(runs: Sequence[RunFacts]) -> dict[Key, tuple[str, int]]:
    """Of each event that was reapplied: the run it was written to and as which event, 0 while it is not."""
    sources = {
        (run.run_id, event.event_id, event.version): event
        for run in runs
        for branch in run.branches
        for event in branch.events
    }
    found: dict[Key, tuple[str, int]] = {}
    for run in runs:
        free: dict[object, list[HistoryEvent]] = {}
        for event in run.branches[0].events if run.branches else ():
            if reapply.candidates([event]):
                free.setdefault(_signature(event), []).append(event)
        for known in run.reapplied:
            key = (known.run_id, known.event_id, known.version)
            source = sources.get(key)
            fitting = free.get(_signature(source), []) if source is not None else []
            copy = next((event for event in fitting if event.version > known.version), None)
            if copy is not None:
                fitting.remove(copy)
            if copy is not None or key not in found:
                found[key] = (run.run_id, copy.event_id if copy is not None else 0)
    return found


def _signature(event: HistoryEvent) -> object:
    """What a reapplied event keeps, so that it is found again."""
    asked = _asked(event)
    if asked is not None:
        return asked
    if event.event_type in children.AFTER_INITIATED:
        return event.event_type, children.initiated_event_id(event)
    if event.event_type == reapply.SIGNALED:
        signal = event.workflow_execution_signaled_event_attributes
        parts = (signal.input, signal.header)
        return (
            signal.signal_name,
            signal.identity,
            *(part.SerializeToString(deterministic=True) for part in parts),
        )
    bare = HistoryEvent()
    bare.CopyFrom(event)
    for name in ("event_id", "version", "event_time", "task_id", "links"):
        bare.ClearField(name)
    return bare.SerializeToString(deterministic=True)


def _asked(event: HistoryEvent) -> object:
    """What a run can be asked for only once: an update by its id, to be cancelled. None: everything else."""
    if event.event_type == _ADMITTED:
        return "update", event.workflow_execution_update_admitted_event_attributes.request.meta.update_id
    if event.event_type == _ACCEPTED:
        attributes = event.workflow_execution_update_accepted_event_attributes
        if attributes.HasField("accepted_request"):
            return "update", attributes.accepted_request.meta.update_id
    return "cancel" if event.event_type == _CANCEL else None


def _has_pending_child(events: Sequence[HistoryEvent]) -> bool:
    initiated = {event.event_id for event in events if event.event_type == _INITIATED}
    ended = {
        children.initiated_event_id(event)
        for event in events
        if event.event_type in children.AFTER_INITIATED and event.event_type not in _BEGUN
    }
    return bool(initiated - ended)


_BEGUN: Final = frozenset(_types("CHILD_WORKFLOW_EXECUTION_STARTED"))


def _ended_by_conflict(events: Sequence[HistoryEvent]) -> bool:
    if not events or events[-1].event_type != _TERMINATED:
        return False
    attributes = events[-1].workflow_execution_terminated_event_attributes
    return attributes.identity == signals.HISTORY_SERVICE and attributes.reason == two_runs.REASON
