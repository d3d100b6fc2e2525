"""What a change of a run leaves to be committed: batches of events, forks, and what replicates of it. Plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from temporalio.api.history.v1 import History, HistoryEvent

from mockcloud.core.run import Run
from mockcloud.core.update_state import UpdateEnd


class Batch(NamedTuple):
    """Events of one branch that were committed together; replicated and read back as one."""

    branch_id: int
    first_event_id: int
    last_event_id: int
    version: int
    data: bytes  # temporal.api.history.v1.History

    @classmethod
    def of(cls, branch_id: int, events: Sequence[HistoryEvent], data: bytes = b"") -> Batch:
        """The batch of these events; `data` is what they were read of, where that is there."""
        assert events, "a batch has events"
        first, last = events[0], events[-1]
        assert first.version == last.version, "a batch has one version; versions only rise"
        data = data or History(events=events).SerializeToString()
        return cls(branch_id, first.event_id, last.event_id, first.version, data)


class Fork(NamedTuple):
    """A new branch: it shares its parent's events up to and including `last_shared_event_id`."""

    branch_id: int
    parent_id: int = 0  # 0: the root branch of a run
    last_shared_event_id: int = 0


@dataclass(slots=True)
class Outcome:
    """What one change of one run leaves to be committed. All of it is durable, or none."""

    run: Run  # after the change
    created: bool = False
    forks: list[Fork] = field(default_factory=list)
    copies: Sequence[Batch] = ()  # of another run: what a reset run begins with; its replicas make their own
    batches: list[Batch] = field(default_factory=list)  # of any branch
    becomes_current: bool = False  # of its workflow id: set for new runs and by conflict resolution
    # Only commits made as the active region replicate; nothing echoes.
    replicate: bool = False
    activity_states: list[int] = field(default_factory=list)  # Scheduled event ids whose record replicates
    request_ids: list[str] = field(
        default_factory=list
    )  # of the signals in the batch, for de-duplication elsewhere
    replicate_run_state: bool = False  # what `RunStateRecord` carries changed
    deleted: bool = False  # a user asked for it: so do the replicas
    successor: Outcome | None = None  # the run that continues this one, committed with it
    # Of updates that ended without an event, by id: for those who wait for them.
    update_ends: Mapping[str, UpdateEnd] = field(default_factory=dict)
