"""Rates over the last half minute."""

from __future__ import annotations

from mockcloud.core import times
from mockcloud.engine.flow import Flow

START = 1_800_000_000 * times.SECOND


def test_rates_of_what_came_and_went() -> None:
    flow = Flow()
    for second in range(10):
        flow.added(3, START + second * times.SECOND)
        flow.added(3, START + second * times.SECOND)
        flow.dispatched(3, START + second * times.SECOND)
    added, dispatched = flow.rates(3, START + 10 * times.SECOND)
    assert (added, dispatched) == (2.0, 1.0)
    assert flow.rates(1, START) == (0.0, 0.0)
    assert flow.levels() == {3}


def test_what_is_long_ago_is_forgotten() -> None:
    flow = Flow()
    flow.added(3, START)
    assert flow.rates(3, START + 36 * times.SECOND)[0] == 0.0
    flow.added(3, START + times.HOUR)
    assert 0 < flow.rates(3, START + times.HOUR + times.SECOND)[0] < 0.1
