"""What a plan for several runs sees of a workflow id while its lock is held, and what it wants committed.

Replication's plans are made of a peer's messages; resets plan the base run, the current one and the new one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field

from mockcloud.api.state.v1.state_pb2 import VersionHistories
from mockcloud.core.change import Context
from mockcloud.core.current import CurrentRun
from mockcloud.core.outcome import Batch, Outcome
from mockcloud.core.run import Run, RunKey
from mockcloud.engine.loader import Loader
from mockcloud.engine.namespaces import Namespace

InTransaction = Callable[[sqlite3.Connection], object]


@dataclass(slots=True)
class Replicated:
    """What a plan wants committed, all in one transaction, in this order."""

    outcomes: list[Outcome] = field(default_factory=list)
    also: list[InTransaction] = field(default_factory=list)
    deleted: list[RunKey] = field(
        default_factory=list
    )  # runs to remove, after what the outcomes wrote of them
    then: list[Callable[[], None]] = field(default_factory=list)  # what follows the commit; must not wait


class Loaded:
    """A workflow id under its lock, as a plan sees it.

    Runs may be changed in place; usable in the plan only.
    """

    def __init__(
        self, namespace: Namespace, workflow_id: str, loader: Loader, context: Callable[[], Context]
    ) -> None:
        self.namespace = namespace
        self.workflow_id = workflow_id
        self._loader = loader
        self._context = context
        self.touched: set[RunKey] = set()

    def context(self) -> Context:
        """Time, ids and the namespace record as of now."""
        return self._context()

    def key(self, run_id: str) -> RunKey:
        """The key of a run of this workflow id."""
        return RunKey(self.namespace.id, self.workflow_id, run_id)

    async def run(self, run_id: str) -> Run | None:
        """A run of this workflow id, to be changed; None: it is unknown here."""
        self.touch(run_id)
        return await self.look(run_id)

    async def look(self, run_id: str) -> Run | None:
        """A run of this workflow id, only to be read until it is touched; None: it is unknown here."""
        entry = await self._loader.entry(self.key(run_id))
        return entry.run if entry else None

    def touch(self, run_id: str) -> None:
        """Say that a run is about to change: if the plan fails or forgets it, what is in memory is dropped."""
        self.touched.add(self.key(run_id))

    async def deleted(self, key: RunKey) -> VersionHistories | None:
        """The branches of a run that a user deleted here; None: nobody did, or it is long ago."""
        return await self._loader.deleted(key)

    async def histories_of(self, key: RunKey) -> VersionHistories | None:
        """The branches of a run of any workflow id, as stored by now; None: it is unknown here."""
        return await self._loader.histories_of(key)

    async def current(self) -> CurrentRun | None:
        """The current-run row."""
        return await self._loader.current(self.namespace.id, self.workflow_id)

    async def fold_branch(self, run_id: str, branch_id: int, end_event_id: int) -> Run:
        """The bare fold of a branch's events before `end_event_id`, made in slices.

        What a branch switch starts from.
        """
        return await self._loader.fold_branch(self.key(run_id), branch_id, end_event_id)

    async def batches(
        self,
        branch_id: int,
        first_event_id: int = 1,
        end_event_id: int = 1 << 62,
        max_events: int | None = None,
    ) -> list[Batch]:
        """Batches of a branch, see `store.history.read_branch`."""
        return await self._loader.read_branch(branch_id, first_event_id, end_event_id, max_events)
