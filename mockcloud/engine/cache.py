"""Loaded runs, so that a change need not fold a history again.

What is here is what is committed, and what a run has in memory only (`Run.has_memory`): updates that no worker
has taken on, a speculative workflow task. That goes when the run leaves the cache, and `on_loss` is told.

An entry belongs to whoever holds its workflow's lock. A change that fails after it has touched the run drops
the entry; the next one loads it again. Eviction is safe at any moment: whoever works on an evicted entry puts
it back after its commit. Real: service/history/workflow/cache.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from mockcloud.core.current import CurrentRun
from mockcloud.core.derived import Derived
from mockcloud.core.outcome import Batch
from mockcloud.core.run import Run, RunKey

_TAIL_EVENTS = 256
_TAIL_BYTES = 64 * 1024
# Rough memory of one loaded run, of one pending item in it, and of one byte of kept history.
_RUN_WEIGHT = 8 * 1024
_ITEM_WEIGHT = 2 * 1024
_UPDATE_WEIGHT = 256


@dataclass(slots=True)
class Tail:
    """The newest batches of a run's current branch, so that polls need no read from the database."""

    branch_id: int
    batches: list[Batch] = field(default_factory=list)
    size: int = 0  # bytes

    def extend(self, batches: list[Batch]) -> None:
        """Add what was just committed; what belongs to other branches is none of the tail's."""
        for batch in batches:
            if batch.branch_id != self.branch_id:
                continue
            if self.batches and self.batches[-1].last_event_id + 1 != batch.first_event_id:
                self.batches.clear()
                self.size = 0
            self.batches.append(batch)
            self.size += len(batch.data)
        drop = 0
        while drop < len(self.batches) - 1 and (
            self.size > _TAIL_BYTES
            or self.batches[-1].last_event_id - self.batches[drop].last_event_id > _TAIL_EVENTS
        ):
            self.size -= len(self.batches[drop].data)
            drop += 1
        if drop:
            del self.batches[:drop]

    def covering(self, branch_id: int, first_event_id: int, end_event_id: int) -> list[Batch] | None:
        """Batches from the one that holds `first_event_id` to the one that ends right before `end_event_id`.

        None: not all of them are here; the database has them.
        """
        if branch_id != self.branch_id:
            return None
        chosen: list[Batch] = []
        for batch in reversed(self.batches):
            if batch.first_event_id < end_event_id:
                chosen.append(batch)
            if batch.first_event_id <= first_event_id:
                break
        if (
            not chosen
            or chosen[-1].first_event_id > first_event_id
            or chosen[0].last_event_id != end_event_id - 1
        ):
            return None
        chosen.reverse()
        return chosen


@dataclass(slots=True)
class Entry:
    """One loaded run with what is stored of it."""

    run: Run
    run_key: int
    derived: Derived  # as stored
    tail: Tail
    # As task queues and timers know it: `derived`, and a speculative workflow task.
    live: Derived = field(init=False)
    counted: int = 0  # of its weight, in the cache's sum

    def __post_init__(self) -> None:
        self.live = self.derived

    @property
    def weight(self) -> int:
        """Roughly its memory, in bytes."""
        run = self.run
        items = len(run.record.buffered_events) + len(run.activities) + len(run.timers)
        items += len(run.children) + len(run.external_signals) + len(run.external_cancels)
        weight = _RUN_WEIGHT + self.tail.size + items * _ITEM_WEIGHT + len(run.updates) * _UPDATE_WEIGHT
        if run.pending_updates:
            weight += sum(update.size for update in run.pending_updates.values())
        return weight


class RunCache:
    """Least recently used runs go first, by number and by weight.

    Room for 10,000 small open runs (some 7 KB each): a set a little larger than the cache, used in turn,
    would miss every time. The same for current-run rows, which are small. Of closed runs a few are kept: they are
    asked for right after their close, and hardly ever again.
    """

    def __init__(
        self, max_runs: int = 12_000, max_weight: int = 112 * 1024 * 1024, max_closed: int = 500
    ) -> None:
        self._max_runs = max_runs
        self._max_weight = max_weight
        self._max_closed = max_closed
        self._entries: OrderedDict[RunKey, Entry] = OrderedDict()
        self._weight = 0
        self._closed: OrderedDict[RunKey, None] = OrderedDict()  # of the entries, as they came
        # A switch asks for these, among many that have nothing in memory only. In order, so that a seed repeats it.
        self._with_memory: dict[RunKey, None] = {}
        self._currents: OrderedDict[tuple[str, str], CurrentRun | None] = OrderedDict()
        # Told of a run that leaves with something that is in memory only; the run has forgotten it. Its state
        # may be that of a change that failed. Must not raise or wait.
        self.on_loss: Callable[[Entry], None] = lambda _: None

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: RunKey) -> Entry | None:
        """The entry, which is now the most recently used one."""
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def put(self, entry: Entry) -> None:
        """Keep an entry, as committed."""
        key = entry.run.key
        before = self._entries.get(key)
        if before is not None and before is not entry:
            self._take(key)
            if before.run is not entry.run:
                self._lose(before)
        self._entries[key] = entry
        self._entries.move_to_end(key)
        if not entry.run.open:
            self._closed[key] = None
            if len(self._closed) > self._max_closed:
                self.drop(next(iter(self._closed)))
        else:
            self._closed.pop(key, None)  # a branch that is open may have won
        weight = entry.weight
        self._weight += weight - entry.counted
        entry.counted = weight
        if _has_memory(entry):
            self._with_memory[key] = None
        else:
            self._with_memory.pop(key, None)
        while self._entries and (len(self._entries) > self._max_runs or self._weight > self._max_weight):
            oldest = next(iter(self._entries))
            evicted = self._take(oldest)
            assert evicted is not None, "it is there"
            self._lose(evicted)

    def drop(self, key: RunKey) -> None:
        """Forget a run: it is not what is stored."""
        entry = self._take(key)
        if entry is not None:
            self._lose(entry)

    def note_memory(self, key: RunKey) -> None:
        """A change that is not committed yet has something of a run in memory only: `drop_memory` is to find it."""
        if key in self._entries:
            self._with_memory[key] = None

    def drop_memory(self, namespace_id: str) -> None:
        """Forget the runs of a namespace that have something in memory only."""
        for key in [key for key in self._with_memory if key.namespace_id == namespace_id]:
            if _has_memory(self._entries[key]):
                self.drop(key)

    def _take(self, key: RunKey) -> Entry | None:
        found = self._entries.pop(key, None)
        if found is None:
            return None
        self._weight -= found.counted
        found.counted = 0
        self._with_memory.pop(key, None)
        self._closed.pop(key, None)
        return found

    def _lose(self, entry: Entry) -> None:
        if _has_memory(entry):
            entry.run.forget_memory()
            self.on_loss(entry)

    def current(self, namespace_id: str, workflow_id: str) -> CurrentRun | None:
        """The current-run row of a workflow id; None: it has no such row. KeyError: nothing is known of it here."""
        self._currents.move_to_end((namespace_id, workflow_id))
        return self._currents[namespace_id, workflow_id]

    def put_current(self, namespace_id: str, workflow_id: str, current: CurrentRun | None) -> None:
        """Keep a current-run row, as committed, or that there is none."""
        self._currents[namespace_id, workflow_id] = current
        self._currents.move_to_end((namespace_id, workflow_id))
        if len(self._currents) > 4 * self._max_runs:
            self._currents.popitem(last=False)

    def drop_current(self, namespace_id: str, workflow_id: str) -> None:
        """Forget a current-run row."""
        self._currents.pop((namespace_id, workflow_id), None)


def _has_memory(entry: Entry) -> bool:
    return entry.live is not entry.derived or entry.run.has_memory
