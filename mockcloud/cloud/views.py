"""What a cloud tells about itself: plain values that outlive it."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio.api.history.v1 import HistoryEvent


@dataclass(frozen=True, slots=True)
class EventFate:
    """What became of an event of a losing branch or run."""

    event_id: int  # on its own branch
    fate: str  # reapplied; kept: the winner has it by other means; lost; waiting: not decided yet
    reason: str  # the rule; empty for what was reapplied
    run_id: str  # where it was written again
    to_event_id: int  # and as which event; 0: none, or it waits for the workflow task to end


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch of a run in one region. `items` are (last event id, version)."""

    current: bool
    items: tuple[tuple[int, int], ...]
    events: tuple[HistoryEvent, ...]
    forks_after: tuple[int, int] | None  # (event id, version) of the last event on the current branch, too
    fates: tuple[EventFate, ...]  # of the events after that; of all of a superseded run's current branch

    @property
    def reapplied(self) -> tuple[EventFate, ...]:
        """The events that were written again."""
        return tuple(fate for fate in self.fates if fate.fate == "reapplied")

    @property
    def lost(self) -> tuple[EventFate, ...]:
        """The events that a rule left behind."""
        return tuple(fate for fate in self.fates if fate.fate == "lost")


@dataclass(frozen=True, slots=True)
class RunView:
    """One run of a workflow id in one region, with all its branches; the current one comes first."""

    run_id: str
    status: str  # RUNNING, COMPLETED, …
    current: bool  # the current run of its workflow id
    zombie: bool
    superseded: bool  # another run of the workflow id took its place: two were started on two sides
    base_run_id: str  # the run that a reset made this one of; empty: none
    base_event_id: int  # the last event that both share
    reset_run_id: str  # the newest run that a reset made of this one; empty: none
    parked: str  # why replication of this run waits; empty: it does not
    dead_letter: str  # why a replicated task of it failed for good; empty: none did
    branches: tuple[Branch, ...]

    @property
    def events(self) -> tuple[HistoryEvent, ...]:
        """The current branch."""
        return self.branches[0].events


@dataclass(frozen=True, slots=True)
class Lag:
    """Replication of one namespace in one direction. Ages are seconds, the percentiles over the last minute."""

    namespace: str
    source: str
    target: str
    tasks: int  # not yet acknowledged
    age: float  # of the oldest of them
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class ParkedRun:
    """A run whose replication waits, and why."""

    workflow_id: str
    run_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class NamespaceView:
    """A namespace in one region."""

    region: str
    active_region: str
    failover_version: int
    handover: bool
    open_workflows: int
    parked: int  # runs whose replication waits
    parked_runs: tuple[ParkedRun, ...]  # which and why: the first hundred
    dead_letters: int


@dataclass(frozen=True, slots=True)
class NamespaceStatus:
    """A namespace as a whole."""

    name: str
    endpoint: str
    active_region: str
    failback_region: str  # where it goes back to when that is healthy again; empty: nowhere
    regions: tuple[NamespaceView, ...]  # regions that are down are absent
    lag: tuple[Lag, ...]


@dataclass(frozen=True, slots=True)
class RegionStatus:
    """A region of the cloud."""

    name: str
    address: str
    up: bool
    conditions: tuple[str, ...]  # what is wrong with it, where failover is managed


@dataclass(frozen=True, slots=True)
class Status:
    """The whole cloud at one moment."""

    regions: tuple[RegionStatus, ...]
    control_up: bool
    cloud_ops: str
    namespaces: tuple[NamespaceStatus, ...]
    faults: tuple[str, ...]
