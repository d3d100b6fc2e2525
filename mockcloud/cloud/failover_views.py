"""What a cloud tells about failovers: plain values that outlive it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mockcloud.api.admin.v1 import cloud_admin_pb2 as admin
from mockcloud.core import event_kinds, times


@dataclass(frozen=True, slots=True)
class Unreplicated:
    """What the target of a forced failover had not acknowledged at the switch, summed up."""

    events: int
    workflows: int  # workflow ids
    kinds: Mapping[str, int]  # signals, updates, activity results, timers, closes, starts, …
    other_changes: int  # without events
    other_kinds: Mapping[
        str, int
    ]  # of these: activity states, run states, schedule states, namespace settings, …
    from_file: bool  # the old region was down: read from its database file
    problem: str  # why it is not known; empty: it is
    settled: bool  # both regions have agreed since, and what became of it is told for good


@dataclass(frozen=True, slots=True)
class Operation:
    """A failover that has ended, as the control plane records it."""

    id: str
    namespace: str
    source: str  # the region that was active
    region: str
    state: str  # FULFILLED, FAILED, …
    reason: str  # why it failed; empty otherwise
    mode: str  # graceful, forced, or none where another one did it, or it was so already
    started: float  # seconds since the epoch
    seconds: float
    unreplicated: Unreplicated | None  # None: it was not forced
    trigger: str  # user, automatic, temporal (its engineers), failback
    cause: str  # of one that happened by itself
    failback_region: str  # where the namespace goes back to when that is healthy again; empty: nowhere
    after_id: str  # the failover that did the work: one to the same region ran already; empty: none


@dataclass(frozen=True, slots=True)
class LeftEvent:
    """An event that a forced failover left, and what became of it."""

    event_id: int
    type: str  # WORKFLOW_EXECUTION_SIGNALED, …
    kind: str  # signals, …
    name: str  # of the signal, the update's handler, or the workflow type that was started; else empty
    after_switch: bool  # written by the old region before it learnt of the switch
    # recovered: on the winner; reapplied: written again; waiting: not decided yet; lost, also for as long as the only
    # region that has it has not returned
    outcome: str
    reason: str  # the rule; empty where there is nothing to say
    run_id: str  # where it was reapplied
    to_event_id: int  # and as which event; 0: nowhere, or it waits there for the workflow task to end


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run of which events were left, in the order in which they were written."""

    workflow_id: str
    run_id: str
    events: tuple[LeftEvent, ...]


@dataclass(frozen=True, slots=True)
class FailoverReport:
    """What a failover left unreplicated, and what became of it as far as it can be told now."""

    operation: Operation
    runs: tuple[RunReport, ...]
    not_returned: bool  # the old region is down still

    def outcomes(self, outcome: str) -> tuple[LeftEvent, ...]:
        """All events with that outcome."""
        return tuple(event for run in self.runs for event in run.events if event.outcome == outcome)


def operation(view: admin.OperationView) -> Operation:
    """An operation as a plain value."""
    left = view.unreplicated
    return Operation(
        id=view.id,
        namespace=view.namespace,
        source=view.source,
        region=view.region,
        state=view.state,
        reason=view.reason,
        mode=view.mode,
        started=view.started_time / times.SECOND,
        seconds=max(0, view.finished_time - view.started_time) / times.SECOND,
        unreplicated=Unreplicated(
            events=left.events,
            workflows=left.workflows,
            kinds={entry.kind: entry.count for entry in left.kinds},
            other_changes=left.other_changes,
            other_kinds=dict(left.other_kinds),
            from_file=left.from_file,
            problem=left.problem,
            settled=bool(left.settled_time),
        )
        if view.HasField("unreplicated")
        else None,
        trigger=view.trigger,
        cause=view.cause,
        failback_region=view.failback_region,
        after_id=view.after_id,
    )


def report(message: admin.FailoverReport) -> FailoverReport:
    """A report as a plain value."""
    return FailoverReport(
        operation=operation(message.operation),
        runs=tuple(
            RunReport(
                run.workflow_id,
                run.run_id,
                tuple(
                    sorted(
                        (event for told in run.outcomes for event in _events(told)),
                        key=lambda event: event.event_id,
                    )
                ),
            )
            for run in message.runs
        ),
        not_returned=message.not_returned,
    )


def _events(told: admin.EventsOutcome) -> list[LeftEvent]:
    targets = list(told.to_event_ids) or [0] * len(told.event_ids)
    return [
        LeftEvent(
            event_id=event_id,
            type=event_kinds.name_of(event_type),
            kind=event_kinds.kind_of(event_type),
            name=name,
            after_switch=told.after_switch,
            outcome=told.outcome,
            reason=told.reason,
            run_id=told.run_id,
            to_event_id=target,
        )
        for event_id, event_type, name, target in zip(
            told.event_ids, told.types, told.names, targets, strict=True
        )
    ]
