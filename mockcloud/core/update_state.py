"""What a run knows of an update: values only, for the run, its fold and the rules.

An update is *admitted* when its request has come, *accepted* when a worker has taken it on, *completed* when it
has an outcome. Acceptance and completion are events; an admission is one only where it is written again for
another branch (reapply, reset). All other admissions are in memory alone and are lost with it: their callers send
them again under the same id. A rejection is no event at all.

Real: service/history/workflow/update, docs/architecture/workflow-update.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, TypeAlias

from temporalio.api.failure.v1 import Failure
from temporalio.api.update.v1 import Request

from mockcloud.core.errors import ServiceError


class UpdateStage(IntEnum):
    """How far an update has come. The numbers are those of UpdateWorkflowExecutionLifecycleStage."""

    ADMITTED = 1
    ACCEPTED = 2
    COMPLETED = 3


class FoldedUpdate(NamedTuple):
    """How far an update has come by its events, and the id of the event that says so."""

    stage: UpdateStage
    event_id: int


@dataclass(frozen=True, slots=True)
class PendingUpdate:
    """An update that no worker has taken on: in memory only.

    `request` is None where an Admitted event has it: the worker reads it there, and no message is sent.
    `sent`: a worker has it and may answer. `rejected`: it has, and nothing of that is written, so the Admitted event
    would have it sent again and again.
    """

    id: str
    request: Request | None
    sent: bool = False
    rejected: bool = False

    @property
    def size(self) -> int:
        """Bytes that count against the limit on updates in flight. Real: registry.GetSize."""
        return 2 * len(self.id.encode()) + (0 if self.request is None else self.request.ByteSize())


@dataclass(frozen=True, slots=True)
class Rejected:
    """A worker has turned the update down, or the server in its stead. Nothing of it is written."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Refused:
    """The update has ended without an outcome: its callers get the error."""

    error: ServiceError


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The update is no longer in memory. Who asked for it asks again. Real: registryClearedErr."""


UpdateEnd: TypeAlias = Rejected | Refused | Forgotten
