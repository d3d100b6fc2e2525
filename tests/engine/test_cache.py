"""The cache of loaded runs: bounded, and its tails are true."""

from __future__ import annotations

from mockcloud.core.change import Batch
from mockcloud.core.run import Run, RunKey
from mockcloud.engine.cache import Entry, RunCache, Tail
from mockcloud.engine.commit import NOTHING


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
