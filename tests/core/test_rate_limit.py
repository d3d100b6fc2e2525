"""So many tasks a second, and never more than a burst above."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mockcloud.core import times
from mockcloud.core.rate_limit import NEVER, UNLIMITED, Rate

NOW = 1_800_000_000 * times.SECOND


@given(
    rate=st.floats(0.1, 1000),
    gaps=st.lists(st.integers(0, 3 * times.SECOND), min_size=1, max_size=200),
)
def test_no_window_holds_more_than_rate_and_burst(rate: float, gaps: list[int]) -> None:
    limit = Rate.per_second(rate)
    now, ready, went = NOW, 0, []
    for gap in gaps:
        now = max(now + gap, ready)  # a queue that always has a task, looked at after `gap`
        went.append(now)
        ready = limit.consume(ready, now)
    for first, begin in enumerate(went):
        for last in range(first, len(went)):
            seconds = (went[last] - begin) / times.SECOND
            assert last - first + 1 <= rate * (seconds + 1) * 1.0001 + 1


@given(rate=st.floats(0.5, 1000))
def test_a_busy_queue_keeps_to_the_rate(rate: float) -> None:
    limit = Rate.per_second(rate)
    now, ready = NOW, 0
    count = 0
    while now < NOW + 10 * times.SECOND and count < 20_000:
        ready = limit.consume(ready, now)
        count += 1
        now = max(now, ready)
    assert abs(count - rate * 11) <= rate * 0.02 + 2  # ten seconds and one burst


def test_zero_lets_nothing_go_and_a_rate_after_it_does() -> None:
    nothing, some = Rate.per_second(0), Rate.per_second(2)
    ready = nothing.clip(0, NOW)
    assert ready == NEVER
    assert some.clip(ready, NOW) <= NOW + 2 * times.SECOND


def test_what_went_in_vain_is_given_back() -> None:
    limit = Rate.per_second(1)
    ready = limit.consume(0, NOW)
    assert limit.consume(limit.consume(ready, NOW), NOW, -1) == ready


def test_no_limit_is_always_ready() -> None:
    assert UNLIMITED.consume(0, NOW) <= NOW
    assert not UNLIMITED.limited


def test_what_is_no_number_lets_nothing_through() -> None:
    assert Rate.per_second(float("nan")) == Rate.per_second(0)
    assert not Rate.per_second(float("inf")).limited
