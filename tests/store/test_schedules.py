"""Schedules as rows."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import Any

from mockcloud.store import schedules
from mockcloud.store.schedules import ScheduleCursor, ScheduleRow


def row(number: int, **changed: Any) -> ScheduleRow:
    made = ScheduleRow("ns", f"s{number}", f"r{number}", 1, 1, number, False, 0, None, b"record")
    return replace(made, **changed)


def put(connection: sqlite3.Connection, *rows: ScheduleRow) -> None:
    for each in rows:
        schedules.put(connection, each)


def test_a_row_comes_back_as_it_was(connection: sqlite3.Connection) -> None:
    wanted = row(1, busy=True, due=5, delete_at=7)
    put(connection, row(1), wanted)
    assert schedules.load(connection, "ns", "s1") == wanted
    assert schedules.load(connection, "other", "s1") is None


def test_the_newer_state_holds(connection: sqlite3.Connection) -> None:
    put(connection, row(1, version=2, stamp=5))
    for version, stamp, stored in ((2, 5, False), (2, 4, False), (1, 9, False), (2, 6, True), (3, 1, True)):
        assert schedules.put_newer(connection, row(1, version=version, stamp=stamp)) is stored
        expected = (version, stamp) if stored else (2, 5)
        assert schedules.state_of(connection, "ns", "s1") == expected


def test_pages_are_newest_first_without_closed_ones(connection: sqlite3.Connection) -> None:
    put(connection, *(row(number, delete_at=9 if number == 3 else None) for number in range(1, 6)))
    first = schedules.page(connection, "ns", 2, None)
    assert [each.schedule_id for each in first] == ["s5", "s4"]
    cursor = ScheduleCursor(first[-1].created, first[-1].run_id)
    assert [each.schedule_id for each in schedules.page(connection, "ns", 9, cursor)] == ["s2", "s1"]
    assert schedules.count(connection, "ns") == 4


def test_what_is_due_and_what_is_busy(connection: sqlite3.Connection) -> None:
    put(connection, row(1, due=30), row(2, due=10, busy=True), row(3), row(4, due=20))
    put(connection, row(5, busy=True, delete_at=1))
    assert schedules.due(connection, "ns", 20, 9) == ["s2", "s4"]
    assert schedules.due(connection, "ns", 20, 1) == ["s2"]
    assert schedules.next_due(connection, "ns", 20) == 30
    assert schedules.next_due(connection, "ns", 30) is None
    assert [each.schedule_id for each in schedules.busy(connection, "ns")] == ["s2"]


def test_what_is_over_goes(connection: sqlite3.Connection) -> None:
    put(connection, row(1, delete_at=10), row(2, delete_at=20), row(3))
    assert schedules.next_over(connection) == 10
    schedules.delete_over(connection, 10)
    assert schedules.next_over(connection) == 20
    assert schedules.load(connection, "ns", "s1") is None
