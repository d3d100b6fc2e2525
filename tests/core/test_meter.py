from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mockcloud.core.meter import Meter, Sums


def test_what_has_ended_counts_with_its_time_and_whether_it_failed() -> None:
    meter = Meter()
    meter.begin(100)
    meter.begin(110)
    meter.end(100, 130, failed=False)
    meter.end(110, 150, failed=True)

    assert meter.sums(1000) == Sums(count=2, failed=1, time=70)


def test_what_hangs_is_seen_while_it_hangs() -> None:
    meter = Meter()
    meter.begin(100)
    assert meter.sums(160) == Sums(count=1, failed=0, time=60, pending=1)
    assert meter.sums(200) == Sums(count=1, failed=0, time=100, pending=1)
    meter.end(100, 250, failed=False)
    assert meter.sums(300) == Sums(count=1, failed=0, time=150)


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans(), st.booleans()), max_size=40))
def test_sums_never_fall_and_are_those_of_all_spans(steps: list[tuple[int, bool, bool]]) -> None:
    """Each step waits, then begins something or ends the oldest that runs."""
    meter, now, running, before = Meter(), 0, list[int](), Sums()
    spans: list[tuple[int, int]] = []
    failures = 0
    for wait, begins, fails in steps:
        now += wait
        if begins or not running:
            meter.begin(now)
            running.append(now)
        else:
            began = running.pop(0)
            meter.end(began, now, failed=fails)
            spans.append((began, now))
            failures += fails
        sums = meter.sums(now)
        assert sums.count >= before.count
        assert sums.time >= before.time
        assert sums.failed == failures
        assert sums.time == sum(end - begin for begin, end in [*spans, *((began, now) for began in running)])
        before = sums
