"""What a cloud tells about itself: plain values that outlive it."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio.api.history.v1 import HistoryEvent


@dataclass(frozen=True, slots=True)
class Operation:
    """A failover that has ended, as the control plane records it."""

    id: str
    namespace: str
    region: str
    state: str  # FULFILLED, FAILED, …
    reason: str  # why it failed; empty otherwise
    mode: str  # graceful, forced, or none when the region was active already
    seconds: float


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch of a run in one region. `items` are (last event id, version)."""

    current: bool
    items: tuple[tuple[int, int], ...]
    events: tuple[HistoryEvent, ...]


@dataclass(frozen=True, slots=True)
class RunView:
    """One run of a workflow id in one region, with all its branches; the current one comes first."""

    run_id: str
    status: str  # RUNNING, COMPLETED, …
    current: bool  # the current run of its workflow id
    zombie: bool
    parked: str  # why replication of this run waits; empty: it does not
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
    regions: tuple[NamespaceView, ...]  # regions that are down are absent
    lag: tuple[Lag, ...]


@dataclass(frozen=True, slots=True)
class RegionStatus:
    """A region of the cloud."""

    name: str
    address: str
    up: bool


@dataclass(frozen=True, slots=True)
class Status:
    """The whole cloud at one moment."""

    regions: tuple[RegionStatus, ...]
    control_up: bool
    cloud_ops: str
    namespaces: tuple[NamespaceStatus, ...]
    faults: tuple[str, ...]
