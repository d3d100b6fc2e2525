"""The cache of loaded runs: bounded, and its tails are true."""

from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.update.v1 import Request

from mockcloud.core.outcome import Batch
from mockcloud.core.run import RUNNING, Run, RunKey
from mockcloud.core.update_state import PendingUpdate
from mockcloud.engine.cache import Entry, RunCache, Tail
from mockcloud.engine.commit import NOTHING

COMPLETED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED


def entry(number: int) -> Entry:
    return Entry(Run(RunKey("ns", "wf", str(number))), number, NOTHING, Tail(1))


def batch(first: int, last: int, branch_id: int = 1, size: int = 10) -> Batch:
    return Batch(branch_id, first, last, 1, b"x" * size)


def test_the_least_recently_used_run_goes_first() -> None:
    cache = RunCache(max_runs=2)
    first, second, third = entry(1), entry(2), entry(3)
    cache.put(first)
    cache.put(second)
    cache.get(first.run.key)
    cache.put(third)
    assert cache.get(second.run.key) is None
    assert cache.get(first.run.key) is first
    assert len(cache) == 2


def test_weight_bounds_it_too() -> None:
    cache = RunCache(max_weight=3 * entry(0).weight)
    for number in range(10):
        cache.put(entry(number))
    assert len(cache) == 3


def test_of_closed_runs_the_last_ones_stay() -> None:
    cache = RunCache(max_closed=2)
    runs = [entry(number) for number in range(4)]
    for each in runs:
        each.run.status = COMPLETED
        cache.put(each)
    assert [cache.get(each.run.key) for each in runs] == [None, None, runs[2], runs[3]]


def test_a_run_that_is_open_again_counts_among_the_open_ones() -> None:
    cache = RunCache(max_closed=1)
    again, closed = entry(1), entry(2)
    again.run.status = COMPLETED
    cache.put(again)
    again.run.status = RUNNING
    cache.put(again)
    closed.run.status = COMPLETED
    cache.put(closed)
    assert cache.get(again.run.key) is again
    assert cache.get(closed.run.key) is closed


def test_a_tail_gives_what_it_covers_and_nothing_else() -> None:
    tail = Tail(1)
    tail.extend([batch(1, 2), batch(3, 3), batch(4, 6), batch(1, 9, branch_id=2)])
    covered = tail.covering(1, 3, 7)
    assert covered is not None
    assert [(each.first_event_id, each.last_event_id) for each in covered] == [(3, 3), (4, 6)]
    partly = tail.covering(1, 5, 7)
    assert partly is not None
    assert [each.first_event_id for each in partly] == [4]
    assert tail.covering(1, 3, 6) is None
    assert tail.covering(1, 3, 8) is None
    assert tail.covering(2, 1, 7) is None


def test_a_tail_keeps_the_newest_batches_only() -> None:
    tail = Tail(1)
    tail.extend([batch(number, number) for number in range(1, 1001)])
    assert tail.covering(1, 1, 1001) is None
    assert tail.covering(1, 900, 1001) is not None
    tail.extend([batch(1001, 1001, size=1 << 20)])
    assert [each.first_event_id for each in tail.batches] == [1001]


def test_a_gap_starts_a_tail_anew() -> None:
    tail = Tail(1)
    tail.extend([batch(1, 2), batch(7, 8)])
    assert tail.covering(1, 1, 9) is None
    assert tail.covering(1, 7, 9) is not None


def waiting(number: int) -> Entry:
    """A run with an update that is in memory only."""
    found = entry(number)
    found.run.pending_updates["u"] = PendingUpdate("u", Request())
    return found


def test_what_is_in_memory_only_goes_with_its_run_and_is_told() -> None:
    cache = RunCache(max_runs=2)
    lost: list[Entry] = []
    cache.on_loss = lost.append
    first, plain, second = waiting(1), entry(2), waiting(3)
    for each in (first, plain, second):  # the first is evicted
        cache.put(each)
    assert lost == [first]
    assert not first.run.has_memory

    cache.put(second)  # the same run again: nothing is lost
    assert lost == [first]
    again = entry(3)
    cache.put(again)  # another state of it
    assert lost == [first, second]
    cache.drop(plain.run.key)
    assert lost == [first, second]


def test_a_namespace_forgets_what_is_in_memory_only() -> None:
    cache = RunCache()
    lost: list[Entry] = []
    cache.on_loss = lost.append
    first, plain = waiting(1), entry(2)
    cache.put(first)
    cache.put(plain)
    cache.drop_memory("other")
    assert lost == []
    cache.drop_memory("ns")
    assert lost == [first]
    assert cache.get(plain.run.key) is plain

    plain.run.pending_updates["u"] = PendingUpdate("u", Request())  # by a change that is being committed
    cache.note_memory(plain.run.key)
    cache.note_memory(first.run.key)  # which is not here any more
    cache.drop_memory("ns")
    assert lost == [first, plain]


def test_that_there_is_no_current_run_is_known_until_it_is_forgotten() -> None:
    cache = RunCache()
    with pytest.raises(KeyError):
        cache.current("ns", "wf")
    cache.put_current("ns", "wf", None)
    assert cache.current("ns", "wf") is None
    cache.drop_current("ns", "wf")
    with pytest.raises(KeyError):
        cache.current("ns", "wf")
