"""Which events of a losing branch live on, and how they are written again on the run that won.

Everything of a losing branch stays readable; what is written again to the current run of the workflow
id, in the region that is active for the namespace, is what outsiders asked for: signals and updates. An
update that was admitted or accepted is admitted again, by an event, so that a worker of the winner handles
it; how far it had come on the losing branch does not count. Where the losing branch is one of that very run,
what it heard of children that both branches have initiated is written again, too. Types that the real
server reapplies as well, but whose reconciliation is not built, make the batch wait (`Park`) instead of
being lost in silence.

De-duplication: an event is known by (source run id, event id, event version), kept in the target's
durable record.

Real: service/history/ndc/events_reapplier.go, service/history/api/reapplyevents/api.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from temporalio.api.enums.v1 import EventType, ResetReapplyExcludeType, UpdateAdmittedEventOrigin
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionSignaledEventAttributes
from temporalio.api.update.v1 import Request

from mockcloud.api.state.v1.state_pb2 import ReappliedEvent
from mockcloud.core import children, updates
from mockcloud.core.change import RunChange
from mockcloud.core.cluster import Clusters
from mockcloud.core.conflict import Park
from mockcloud.core.task_state import schedule_workflow_task

SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
_UPDATE_ADMITTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED
_UPDATE_ACCEPTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
_UPDATES = ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_UPDATE
_SIGNALS = ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL
_TERMINATED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED

# The server's own hand: what it terminated is not asked for by anybody.
_HISTORY_SERVICE = "history-service"

# Reapplied by the real server; not built.
_NOT_BUILT = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED: "a cancel request",
    _TERMINATED: "a termination",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED: "changed workflow options",
}

CLOSED_TARGET = "reset not built: an event of a losing branch would be reapplied to a closed run"


def candidates(events: Iterable[HistoryEvent]) -> list[HistoryEvent] | Park:
    """The events of a losing batch that are to be reapplied, in their order.

    `Park` if one of them cannot be.
    """
    wanted = []
    for event in events:
        if (
            event.event_type == SIGNALED
            or event.event_type in children.AFTER_INITIATED
            or requested_update(event) is not None
        ):
            wanted.append(event)
        elif event.event_type in _NOT_BUILT:
            if (
                event.event_type == _TERMINATED
                and event.workflow_execution_terminated_event_attributes.identity == _HISTORY_SERVICE
            ):
                continue
            kind = _NOT_BUILT[event.event_type]
            return Park(f"reapply not built: event {event.event_id} of the losing branch is {kind}")
    return wanted


def after_reset(
    change: RunChange, event: HistoryEvent, excluded: frozenset[ResetReapplyExcludeType.ValueType]
) -> None:
    """Write one event again on a run that a reset has just made, if it is of a kind that survives a reset.

    Requests to cancel and terminations do not. Real: reapplyEvents of ndc/workflow_resetter.go.
    """
    if event.event_type == SIGNALED and _SIGNALS not in excluded:
        _signal_again(change, event)
    elif event.event_type in children.AFTER_INITIATED:
        children.write_again(change, event)
    if _UPDATES not in excluded:
        _admit_again(change, event)


def requested_update(event: HistoryEvent) -> Request | None:
    """The request of an update that the event tells of. Where an Admitted event has it, the Accepted one has not."""
    if event.event_type == _UPDATE_ADMITTED:
        return event.workflow_execution_update_admitted_event_attributes.request
    accepted = event.workflow_execution_update_accepted_event_attributes
    if event.event_type == _UPDATE_ACCEPTED and accepted.HasField("accepted_request"):
        return accepted.accepted_request
    return None


def _admit_again(change: RunChange, event: HistoryEvent) -> bool:
    """Whether the event tells of an update that the run did not have: now it is admitted there."""
    request = requested_update(event)
    if request is None:
        return False
    origin: UpdateAdmittedEventOrigin.ValueType = (
        event.workflow_execution_update_admitted_event_attributes.origin
        if event.event_type == _UPDATE_ADMITTED
        else UpdateAdmittedEventOrigin.UPDATE_ADMITTED_EVENT_ORIGIN_REAPPLY
    )
    return updates.admit_durably(change, request, origin)


def _signal_again(change: RunChange, event: HistoryEvent) -> None:
    """It keeps name, input, identity, header and links, and loses its request id."""
    attributes = WorkflowExecutionSignaledEventAttributes()
    attributes.CopyFrom(event.workflow_execution_signaled_event_attributes)
    attributes.request_id = ""
    change.add(SIGNALED, attributes, links=event.links)


def without_own(events: Iterable[HistoryEvent], clusters: Clusters, region: str) -> list[HistoryEvent]:
    """What of the events that another region sent here for reapply counts.

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


def not_yet_reapplied(
    reapplied: Iterable[ReappliedEvent], source_run_id: str, events: Sequence[HistoryEvent]
) -> list[HistoryEvent]:
    """Those of `events` that the target does not have yet."""
    known = {(known.run_id, known.event_id, known.version) for known in reapplied}
    return [event for event in events if (source_run_id, event.event_id, event.version) not in known]


def reapply(change: RunChange, source_run_id: str, events: Sequence[HistoryEvent]) -> int:
    """Write `events` again, on an open run, and see that a workflow task is pending.

    Signals keep name, input, identity, header and links; ids, version and time are those of the change,
    and there is no request id. An update whose id is there already is passed over. While a worker has the workflow
    task they are buffered. Returns how many were new.
    """
    run = change.run
    assert run.open, "events are reapplied to open runs"
    applied = []
    for event in not_yet_reapplied(run.record.reapplied, source_run_id, events):
        if event.event_type == SIGNALED:
            _signal_again(change, event)
        elif event.event_type in children.AFTER_INITIATED:
            if not children.write_again(change, event):
                continue
        elif not _admit_again(change, event):
            continue
        applied.append(event)
    if not applied:
        return 0
    for event in applied:
        run.record.reapplied.append(
            ReappliedEvent(run_id=source_run_id, event_id=event.event_id, version=event.version)
        )
    change.touch()
    change.replicate_run_state = True
    schedule_workflow_task(change)
    return len(applied)
