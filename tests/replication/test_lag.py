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
    window.add(times.SECOND, [0])
    end = times.SECOND + WINDOW
    window.add(end, [end - 1])
    assert window.percentiles(end, 99) == [times.SECOND]
    assert window.percentiles(end + 1, 99) == [1]


def test_a_clock_that_is_behind_makes_no_negative_lag() -> None:
    window = LagWindow()
    window.add(10, [20])
    assert window.percentiles(10, 50) == [0]


def test_what_is_outstanding_counts_and_grows() -> None:
    window = LagWindow()
    assert window.percentiles(100, 50, 99, outstanding=[40, 70]) == [30, 60]
    assert window.percentiles(200, 50, 99, outstanding=[40, 70]) == [130, 160]
    assert window.percentiles(200, 50) == [0]


def test_what_is_older_than_the_peer_counts_from_its_beginning() -> None:
    window = LagWindow()
    window.joined(1_000)
    window.add(1_010, [1, 1_005])
    assert window.percentiles(1_010, 50, 99) == [5, 10]
    assert window.percentiles(1_020, 99, outstanding=[1]) == [20]
