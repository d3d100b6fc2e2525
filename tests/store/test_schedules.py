"""Schedules as rows."""

from __future__ import annotations

import sqlite3
from typing import Any

from temporalio.api.common.v1 import SearchAttributes

from mockcloud.core.search_attribute_values import KEYWORD, encode
from mockcloud.store import schedules, visibility
from mockcloud.store.schedules import ScheduleRow
from tests.store.builders import visibility_row


def row(number: int, **changed: Any) -> ScheduleRow:
    attributes = SearchAttributes()
    attributes.indexed_fields["TemporalNamespaceDivision"].CopyFrom(encode("TemporalScheduler", KEYWORD))
    made = ScheduleRow(
        run_key=number,
        namespace_id="ns",
        schedule_id=f"s{number}",
        workflow_id=f"temporal-sys-scheduler:s{number}",
        run_id=f"r{number}",
        version=1,
        stamp=1,
        busy=False,
        due=0,
        delete_at=None,
        record=f"record {number}".encode(),
        visibility=visibility_row(number)._replace(search_attributes=attributes.SerializeToString()),
    )
    return made._replace(**changed)


def put(connection: sqlite3.Connection, *rows: ScheduleRow) -> None:
    for each in rows:
        schedules.put(connection, each)


def test_a_record_comes_back(connection: sqlite3.Connection) -> None:
    put(connection, row(1), row(1, record=b"newer"))
    assert schedules.load(connection, "ns", "s1") == b"newer"
    assert schedules.load(connection, "other", "s1") is None


def test_the_newer_state_holds(connection: sqlite3.Connection) -> None:
    put(connection, row(1, version=2, stamp=5))
    for version, stamp, stored in ((2, 5, False), (2, 4, False), (1, 9, False), (2, 6, True), (3, 1, True)):
        assert schedules.put_newer(connection, row(1, version=version, stamp=stamp)) is stored
        expected = (version, stamp) if stored else (2, 5)
        assert schedules.state_of(connection, "ns", "s1") == expected


def test_a_schedule_is_a_workflow_of_lists(connection: sqlite3.Connection) -> None:
    put(connection, row(1), row(1, run_key=7), row(2))
    assert listed(connection) == [("temporal-sys-scheduler:s2", "r2"), ("temporal-sys-scheduler:s1", "r1")]
    put(connection, row(1, run_key=8, run_id="again"))  # created anew: the one before is gone
    assert ("temporal-sys-scheduler:s1", "again") in listed(connection)
    assert len(listed(connection)) == 2


def listed(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    found, _ = visibility.list_runs(connection, "ns")
    return [(run.workflow_id, run.run_id) for run in found]


def test_what_is_due_and_what_is_busy(connection: sqlite3.Connection) -> None:
    put(connection, row(1, due=30), row(2, due=10, busy=True), row(3), row(4, due=20))
    put(connection, row(5, busy=True, delete_at=1))
    assert schedules.due(connection, "ns", 20, 9) == ["s2", "s4"]
    assert schedules.due(connection, "ns", 20, 1) == ["s2"]
    assert schedules.next_due(connection, "ns", 20) == 30
    assert schedules.next_due(connection, "ns", 30) is None
    assert schedules.busy(connection, "ns") == [b"record 2"]


def test_what_is_over_goes(connection: sqlite3.Connection) -> None:
    put(connection, row(1, delete_at=10), row(2, delete_at=20), row(3))
    assert schedules.next_over(connection) == 10
    schedules.delete_over(connection, 10)
    assert schedules.next_over(connection) == 20
    assert schedules.load(connection, "ns", "s1") is None
    assert len(listed(connection)) == 2
