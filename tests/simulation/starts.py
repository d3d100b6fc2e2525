"""Starts are linearizable in one region: each takes effect at one moment between its call and its answer.

a region has at most one open run of a workflow id that is no zombie, after each commit
a start that is answered names a run that was open, in some region, at some moment of the call
one that says that it made its run did so, in some region, in the course of the call
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, NamedTuple

from mockcloud.core.run import RunKey
from mockcloud.engine.commit import Committed
from mockcloud.store.database import Store

_RUNS = "SELECT namespace_id, workflow_id, run_id, status IN (1, 8) AND NOT zombie FROM runs"


class Start(NamedTuple):
    """One that was answered; times are the loop's."""

    workflow_id: str
    run_id: str
    started: bool
    called: float
    answered: float


@dataclass
class _Open:
    """A time in which a run was open in a region."""

    begin: float
    made: bool  # it was made there, at its begin
    end: float = math.inf


class Starts:
    """Watches when runs are open, and judges starts by that.

    Of workflow ids that are `deleted` nothing is known.
    """

    def __init__(self, deleted: AbstractSet[str], problems: list[str]) -> None:
        self._deleted: Final = deleted
        self._problems: Final = problems
        self._now: Final[
            dict[tuple[str, str, str], dict[str, _Open]]
        ] = {}  # (region, namespace, workflow id)
        self._of_run: Final[dict[str, list[_Open]]] = {}

    async def learn(self, region: str, store: Store) -> None:
        """Take over what a region finds on its disk."""
        for namespace_id, workflow_id, run_id, is_open in await store.read(
            lambda c: c.execute(_RUNS).fetchall()
        ):
            self._see(region, RunKey(namespace_id, workflow_id, run_id), is_open=bool(is_open), made=False)

    def committed(self, region: str, what: Committed) -> None:
        """Take in what a region has committed of a run."""
        run = what.run
        is_open = run.open and not run.record.zombie
        self._see(region, run.key, is_open=is_open, made=what.created and what.made_here)
        # The runs of one transaction are told one by one.
        asyncio.get_running_loop().call_soon(self._one_at_most, region, run.key)

    def judge(self, answered: Iterable[Start]) -> None:
        """Look at all starts that were answered."""
        for start in answered:
            if start.workflow_id in self._deleted:
                continue
            times = self._of_run.get(start.run_id, [])
            if not any(time.begin <= start.answered and time.end >= start.called for time in times):
                self._problems.append(
                    f"StartLinearizable: no region had the run open in the course of {start}"
                )
            elif start.started and not any(
                time.made and start.called <= time.begin <= start.answered for time in times
            ):
                self._problems.append(f"StartLinearizable: no region made the run in the course of {start}")

    def _see(self, region: str, key: RunKey, *, is_open: bool, made: bool) -> None:
        now = asyncio.get_running_loop().time()
        here = self._now.setdefault((region, key.namespace_id, key.workflow_id), {})
        if (is_open or made) and key.run_id not in here:
            here[key.run_id] = _Open(now, made)
            self._of_run.setdefault(key.run_id, []).append(here[key.run_id])
        if not is_open and key.run_id in here:
            here.pop(key.run_id).end = now

    def _one_at_most(self, region: str, key: RunKey) -> None:
        here = self._now[region, key.namespace_id, key.workflow_id]
        if len(here) > 1 and key.workflow_id not in self._deleted:
            self._problems.append(
                f"StartLinearizable: {region} has several open runs of {key.workflow_id}: {sorted(here)}"
            )
