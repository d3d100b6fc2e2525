from __future__ import annotations

from mockcloud.core import times
from mockcloud.replication.lag import WINDOW, LagWindow


def test_percentiles_by_nearest_rank() -> None:
    window = LagWindow()
    window.add(1_000, [1_000 - lag for lag in range(1, 101)])
    assert window.percentiles(1_000, 50, 95, 99, 100) == [50, 95, 99, 100]


def test_an_empty_window_has_no_lag() -> None:
    assert LagWindow().percentiles(5, 50, 99) == [0, 0]


def test_samples_leave_the_window() -> None:
    window = LagWindow()
    window.add(0, [-times.SECOND])
    window.add(WINDOW, [WINDOW - 1])
    assert window.percentiles(WINDOW, 99) == [times.SECOND]
    assert window.percentiles(WINDOW + 1, 99) == [1]


def test_a_clock_that_is_behind_makes_no_negative_lag() -> None:
    window = LagWindow()
    window.add(10, [20])
    assert window.percentiles(10, 50) == [0]
