"""What clients were told is done must be somewhere, or lost by a rule that has a name.

A signal or an update that was acknowledged is on the current branch of some run of its workflow id that was not
suppressed, or one of `_RULES` says why it is not. Each rule is one of the real server, told in semantics §3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent

from mockcloud.core.cluster import Clusters
from mockcloud.core.two_runs import REASON

_SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
_ACCEPTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
_ADMITTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED
_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED
_TERMINATED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED
_INITIATED = EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED
_TASK_FAILED = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
_RESET = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW
_TASK_SCHEDULED = EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED

Branches = Sequence[Sequence[HistoryEvent]]  # of one run, the current one first


class Lost(NamedTuple):
    """An event on a branch that is not its run's current one, or of a run that is not the current one."""

    run_id: str
    event_id: int
    version: int


@dataclass(frozen=True)
class Case:
    """Something acknowledged that no current branch has."""

    runs: Mapping[str, Branches]  # of its workflow id, by run id
    found: AbstractSet[Lost]  # it, on losing branches and suppressed runs
    clusters: Clusters
    versions: Sequence[int]  # failover versions of the namespace, rising
    met: Met


@dataclass(frozen=True)
class Met:
    """Events of losing branches and runs, of what peers sent, by whether the region that met them was active."""

    active: set[Lost] = field(default_factory=set)
    passive: set[Lost] = field(
        default_factory=set
    )  # and gave them to the active one, which had not written them


def lost(
    runs: Mapping[str, Branches],
    signals: set[str],
    updates: set[str],
    clusters: Clusters,
    versions: Sequence[int],
    met: Met,
) -> Iterator[str]:
    """What of a workflow id's acknowledged signals and updates is gone without a rule, or is there twice."""
    for kind, wanted, key in (("signal", signals, signal_name), ("update", updates, _update_id)):
        kept: Counter[str] = Counter()
        resets = sum(_is_reset(branches[0]) for branches in runs.values())
        for run_id, branches in runs.items():
            if _suppressed(branches[0]):
                continue
            there = Counter(filter(None, map(key, branches[0])))
            kept.update(there)
            for name, times in there.items():
                if kind == "signal" and times > max(1, _originals(runs, run_id, name, met) + resets):
                    yield f"signal {name} is there {times} times"
        for name in sorted(wanted - kept.keys()):
            found = {
                Lost(run_id, event.event_id, event.version)
                for run_id, branches in runs.items()
                for branch in branches
                for event in branch
                if key(event) == name
            }
            if not any(rule(Case(runs, found, clusters, versions, met)) for rule in _RULES):
                yield f"{kind} {name} is lost, found {sorted(found)}"


def _originals(runs: Mapping[str, Branches], winner: str, name: str, met: Met) -> int:
    """From how many events a signal may have come to a run: a reset, or a third switch, makes copies of copies.

    The one that a client sent there counts, too: it alone has a request id. What is on the winner's own branch comes to
    it once more where it has lost in a third region, which hands it on: the winner knows what it has written again, not
    what it has. Real: reapplyevents.Invoke.
    """
    own = {
        Lost(winner, event.event_id, event.version)
        for event in runs[winner][0]
        if not event.workflow_execution_signaled_event_attributes.request_id
    }
    named = {
        Lost(run_id, event.event_id, event.version)
        for run_id, branches in runs.items()
        for branch in branches
        for event in branch
        if signal_name(event) == name
    }
    there = {Lost(winner, event.event_id, event.version) for event in runs[winner][0]}
    return len(named - own) + len(named & there & met.passive)


def twice(events: Sequence[HistoryEvent]) -> list[str]:
    """Request ids that several signals of a branch have: whoever sent it meant one."""
    request_ids = Counter(
        event.workflow_execution_signaled_event_attributes.request_id
        for event in events
        if event.event_type == _SIGNALED
    )
    return sorted(name for name, times in request_ids.items() if name and times > 1)


def signal_name(event: HistoryEvent) -> str:
    """The name of the signal, of those that clients sent; empty: it is none."""
    if event.event_type != _SIGNALED:
        return ""
    attributes = event.workflow_execution_signaled_event_attributes
    by_client = attributes.signal_name.startswith("s") and not attributes.HasField(
        "external_workflow_execution"
    )
    return attributes.signal_name if by_client else ""


def _update_id(event: HistoryEvent) -> str:
    if event.event_type == _ACCEPTED:
        return event.workflow_execution_update_accepted_event_attributes.protocol_instance_id
    if event.event_type == _ADMITTED:
        return event.workflow_execution_update_admitted_event_attributes.request.meta.update_id
    if event.event_type == _COMPLETED:
        return event.workflow_execution_update_completed_event_attributes.meta.update_id
    return ""


def _suppressed(events: Sequence[HistoryEvent]) -> bool:
    last = events[-1]
    return (
        last.event_type == _TERMINATED
        and last.workflow_execution_terminated_event_attributes.reason == REASON
    )


def _is_reset(events: Sequence[HistoryEvent]) -> bool:
    """Whether the run was made by a reset: it has copies of what was signalled to another run behind that point."""
    return any(
        event.event_type == _TASK_FAILED and event.workflow_task_failed_event_attributes.cause == _RESET
        for event in events
    )


def _own_version(case: Case) -> bool:
    """The region that wrote it became active once more: it does not take its own events from others [09b].

    Where another one was active when it heard of the event, that had to write it again.
    """
    return any(
        later > event.version and case.clusters.owner(later) == case.clusters.owner(event.version)
        for event in case.found - case.met.active
        for later in case.versions
    )


def _pending_child(case: Case) -> bool:
    """A closed run that has children is not reset where they would be pending again [04e]."""
    return any(event.event_type == _INITIATED for branches in case.runs.values() for event in branches[0])


def _no_workflow_task(case: Case) -> bool:
    """A closed run that never had a workflow task cannot be reset."""
    return any(
        all(event.event_type != _TASK_SCHEDULED for event in branches[0]) for branches in case.runs.values()
    )


_RULES: tuple[Callable[[Case], bool], ...] = (_own_version, _pending_child, _no_workflow_task)
