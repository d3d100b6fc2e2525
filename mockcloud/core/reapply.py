"""Events that are written again on another run: those of a losing branch or run, and those after a reset's point.

Everything of a losing branch stays readable; what is written again to the current run of the workflow id, in the
region that is active for the namespace, is what outsiders asked for: signals, updates, requests to cancel,
terminations, changed options. An update that was admitted or accepted is admitted again, by an event, so that a worker
of the winner handles it; how far it had come does not count. Where the losing branch is one of that very run, what it
heard of children that both branches have initiated is written again, too. A reset writes the same kinds again on the
run that it makes, without requests to cancel and terminations. `_RULES` says which kinds and how.

De-duplication: an event is known by (source run id, event id, event version), kept in the target's durable record.

Real: service/history/ndc/events_reapplier.go, reapplyEvents of workflow_resetter.go, api/reapplyevents/api.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from temporalio.api.enums.v1 import EventType, ResetReapplyExcludeType, UpdateAdmittedEventOrigin
from temporalio.api.history.v1 import (
    HistoryEvent,
    WorkflowExecutionCancelRequestedEventAttributes,
    WorkflowExecutionSignaledEventAttributes,
)

from mockcloud.api.state.v1.state_pb2 import ReappliedEvent
from mockcloud.core import children, signals, updates
from mockcloud.core.change import RunChange
from mockcloud.core.cluster import Clusters
from mockcloud.core.errands import RESETTER
from mockcloud.core.run import Run
from mockcloud.core.task_state import schedule_workflow_task

Excluded = frozenset[ResetReapplyExcludeType.ValueType]

SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
_ADMITTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED
_ACCEPTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
_CANCEL_REQUESTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
_TERMINATED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED
_OPTIONS_UPDATED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED

# The server's own hands: what they terminated is not asked for by anybody.
_SERVER = frozenset({signals.HISTORY_SERVICE, RESETTER})


def candidates(events: Iterable[HistoryEvent]) -> list[HistoryEvent]:
    """The events of a losing batch that are to be reapplied, in their order."""
    return [event for event in events if event.event_type in _RULES and not _by_the_server(event)]


def without_own(events: Iterable[HistoryEvent], clusters: Clusters, region: str) -> list[HistoryEvent]:
    """What of the events that another run or region sends here for reapply counts.

    Not those of this region's own versions.
    """
    return [event for event in events if clusters.owner(event.version) != region]


def for_other_run(events: Iterable[HistoryEvent]) -> list[HistoryEvent]:
    """What of the events of a losing branch counts for another run than its own. Real: shouldReapplyEvent."""
    return [event for event in events if event.event_type not in children.AFTER_INITIATED]


def of_shared_children(events: Iterable[HistoryEvent], last_shared_event_id: int) -> list[HistoryEvent]:
    """The events without those of children that the losing branch has initiated alone."""
    return [
        event
        for event in events
        if event.event_type not in children.AFTER_INITIATED
        or children.initiated_event_id(event) <= last_shared_event_id
    ]


def not_yet_reapplied(target: Run, source_run_id: str, events: Sequence[HistoryEvent]) -> list[HistoryEvent]:
    """Those of `events` that the target does not have yet."""
    return [
        event for event in events if (source_run_id, event.event_id, event.version) not in target.reapplied
    ]


def reapply(change: RunChange, source_run_id: str, events: Sequence[HistoryEvent]) -> int:
    """Write `events` of a losing branch or run again, on an open run, and see that a workflow task is pending.

    Ids, version and time are those of the change. While a worker has the workflow task they are buffered like all
    that comes from outside. Returns how many were new.
    """
    run = change.run
    assert run.open, "events are reapplied to open runs"
    fresh = 0
    for event in not_yet_reapplied(run, source_run_id, events):
        if run.open and _RULES[event.event_type](change, event):
            remember(change, source_run_id, [event])
            fresh += 1
    if fresh:
        schedule_workflow_task(change)
    return fresh


def after_reset(change: RunChange, events: Iterable[HistoryEvent], excluded: Excluded = frozenset()) -> None:
    """Write again, on a run that a reset has just made, what of `events` survives a reset. Schedules nothing."""
    for event in events:
        rule = _AFTER_RESET.get(event.event_type)
        if rule is not None and _EXCLUSIONS.get(event.event_type) not in excluded:
            rule(change, event)


def remember(change: RunChange, source_run_id: str, events: Iterable[HistoryEvent]) -> None:
    """Keep by what these events are known, here and in the replicas."""
    change.run.add_reapplied(
        ReappliedEvent(run_id=source_run_id, event_id=event.event_id, version=event.version)
        for event in events
    )
    change.touch()
    change.replicate_run_state = True


def _by_the_server(event: HistoryEvent) -> bool:
    return (
        event.event_type == _TERMINATED
        and event.workflow_execution_terminated_event_attributes.identity in _SERVER
    )


# The rules: each says whether it wrote anything.


def _signal(change: RunChange, event: HistoryEvent) -> bool:
    """It keeps name, input, identity, header and links, and loses its request id.

    A signal of another workflow is still known by that: its sender, who may not know that it has arrived, sends it
    again from the next region, and means the same one. (In the real server it would come twice.)
    """
    attributes = WorkflowExecutionSignaledEventAttributes()
    attributes.CopyFrom(event.workflow_execution_signaled_event_attributes)
    request_id = attributes.request_id
    if attributes.HasField("external_workflow_execution"):
        if request_id in change.run.signal_request_ids:
            return False
        signals.remember(change, request_id)
    attributes.request_id = ""
    change.add(SIGNALED, attributes, links=event.links)
    return True


def _admitted_update(change: RunChange, event: HistoryEvent) -> bool:
    attributes = event.workflow_execution_update_admitted_event_attributes
    return updates.admit_durably(change, attributes.request, attributes.origin)


def _accepted_update(change: RunChange, event: HistoryEvent) -> bool:
    """Where an Admitted event came before, that has the request, and the update with it."""
    attributes = event.workflow_execution_update_accepted_event_attributes
    if not attributes.HasField("accepted_request"):
        return False
    origin = UpdateAdmittedEventOrigin.UPDATE_ADMITTED_EVENT_ORIGIN_REAPPLY
    return updates.admit_durably(change, attributes.accepted_request, origin)


def _change_options(change: RunChange, event: HistoryEvent) -> bool:
    attributes = event.workflow_execution_options_updated_event_attributes
    change.add(_OPTIONS_UPDATED, attributes, links=event.links, worker_may_ignore=event.worker_may_ignore)
    return True


def _request_cancel(change: RunChange, event: HistoryEvent) -> bool:
    if change.run.cancel_requested:
        return False
    attributes = WorkflowExecutionCancelRequestedEventAttributes()
    attributes.CopyFrom(event.workflow_execution_cancel_requested_event_attributes)
    change.add(_CANCEL_REQUESTED, attributes, links=event.links)
    return True


def _terminate(change: RunChange, event: HistoryEvent) -> bool:
    attributes = event.workflow_execution_terminated_event_attributes
    signals.terminate_run(
        change,
        reason=attributes.reason,
        details=attributes.details if attributes.HasField("details") else None,
        identity=attributes.identity,
        links=event.links,
    )
    return True


_Rule = Callable[[RunChange, HistoryEvent], bool]
_AFTER_RESET: dict[int, _Rule] = {
    SIGNALED: _signal,
    _ADMITTED: _admitted_update,
    _ACCEPTED: _accepted_update,
    _OPTIONS_UPDATED: _change_options,
    **dict.fromkeys(children.AFTER_INITIATED, children.write_again),
}
_RULES: dict[int, _Rule] = {**_AFTER_RESET, _CANCEL_REQUESTED: _request_cancel, _TERMINATED: _terminate}
# What a reset's request may leave out.
_EXCLUSIONS: dict[int, ResetReapplyExcludeType.ValueType] = {
    SIGNALED: ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL,
    _ADMITTED: ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_UPDATE,
    _ACCEPTED: ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_UPDATE,
}
