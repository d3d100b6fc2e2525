"""Why a plan cannot go on.

NeedRangeError     events before the batch are missing: fetch them from the source
NeedReapplyError   signals of a losing branch belong into the region that is active: send them there first
NeedCallError      a schedule was updated or patched on the losing side of a split: do it here first
NeedRecordError    the batch was written under a failover version unknown here: ask who is active
NeedAgainError     the namespace has changed meanwhile, so that its fence must be passed anew
NeedEarlierError   the task was sent ahead of its turn, and may miss something: it must wait
NeedAloneError     the task resets a run, which reads what is stored: those before it must be committed first
ParkedError        reconciliation that is not built
RefusedError       no healthy region sends this
"""

from __future__ import annotations

from dataclasses import dataclass, field

from temporalio.api.history.v1 import HistoryEvent

from mockcloud.core.run import RunKey
from mockcloud.core.schedule.calls import Call
from mockcloud.core.version_history import Item


class PlanEndedError(Exception):
    """The plan cannot go on; see the classes below."""


@dataclass
class NeedRangeError(PlanEndedError):
    """The events of the run after `after`, up to and including `until`, are missing."""

    key: RunKey
    after: Item
    until: Item
    filled: bool = False  # for a region that joins
    with_copy: bool = False  # a reset made it, and what it was copied from is deleted here


@dataclass
class NeedReapplyError(PlanEndedError):
    """Events of a losing branch of run `key` must be reapplied in `region` before it is stored."""

    region: str
    key: RunKey
    events: list[HistoryEvent]


@dataclass
class NeedCallError(PlanEndedError):
    """A call about a schedule that the losing side of a split has taken must be made here."""

    call: Call


class NeedRecordError(PlanEndedError):
    """The namespace record here is older than the batch."""


class NeedEarlierError(PlanEndedError):
    """Ahead of its turn, the task may miss what comes before it."""


class NeedAgainError(PlanEndedError):
    """The namespace has changed while the plan was made."""


class NeedAloneError(PlanEndedError):
    """A closed run is to be reset from what is stored of it: the tasks before this one must be committed first."""


@dataclass
class ParkedError(PlanEndedError):
    """The task waits with its run."""

    reason: str


@dataclass
class RefusedError(PlanEndedError):
    """The task makes no sense."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass
class Helped:
    """What was done outside the lock for the task that is planned again."""

    reapplied: bool = False
    refreshed: bool = False
    called: bool = False
    gone: set[RunKey] = field(default_factory=set)  # runs that the source does not have, or not as it said
