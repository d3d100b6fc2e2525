from __future__ import annotations

import sqlite3

import pytest

from mockcloud.core.derived import TaskKind
from mockcloud.core.outcome import Fork
from mockcloud.store import history, log, offers, parked, runs, visibility
from mockcloud.store.log import LogWrite, NodeRef
from mockcloud.store.parked import ParkedTask
from mockcloud.store.runs import ExpiredRun, RunRow
from tests.store.builders import (
    COMPLETED,
    NAMESPACE,
    RUNNING,
    batch,
    current,
    new_run,
    offer,
    update,
    visibility_row,
)


def test_a_created_run_reads_back_with_all_that_hangs_on_it(connection: sqlite3.Connection) -> None:
    write = new_run(1, due=500, log=[LogWrite(b"", NodeRef(100, 1))])

    runs.write_run(connection, write)

    assert runs.load_run(connection, NAMESPACE, "order-1", "run-1") == RunRow(
        1, NAMESPACE, "order-1", "run-1", RUNNING, False, b"record", 500, None
    )
    assert runs.load_current(connection, NAMESPACE, "order-1") == current("run-1")
    assert runs.branches(connection, 1) == [Fork(100)]
    assert history.read_branch(connection, 100) == [batch(100, 1, 2)]
    assert offers.load_offers(connection, NAMESPACE) == [("order-1", "run-1", offer())]
    assert runs.due_runs(connection, NAMESPACE) == [(500, "order-1", "run-1")]
    assert [run.row for run in visibility.list_runs(connection, NAMESPACE)[0]] == [visibility_row()]
    assert log.last_position(connection, NAMESPACE) == 1


def test_what_is_not_there_is_none(connection: sqlite3.Connection) -> None:
    assert runs.load_run(connection, NAMESPACE, "order-1", "run-1") is None
    assert runs.load_current(connection, NAMESPACE, "order-1") is None
    assert runs.branches(connection, 1) == []


def test_a_change_replaces_the_record_and_leaves_the_rest(connection: sqlite3.Connection) -> None:
    runs.write_run(connection, new_run(1, due=500))

    runs.write_run(connection, update(1, due=500, batches=[batch(100, 3, 3)]))

    row = runs.load_run(connection, NAMESPACE, "order-1", "run-1")
    assert row is not None
    assert (row.record, row.due) == (b"changed", 500)
    assert runs.load_current(connection, NAMESPACE, "order-1") == current("run-1")
    assert len(history.read_branch(connection, 100)) == 2
    assert len(visibility.list_runs(connection, NAMESPACE)[0]) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"due": 700},
        {"due": None},
        {"status": COMPLETED},
        {"zombie": True},
        {"delete_at": 900},
        {"due": None, "delete_at": 900, "status": COMPLETED},
    ],
)
def test_every_indexed_column_changes_when_told(
    connection: sqlite3.Connection, changes: dict[str, object]
) -> None:
    runs.write_run(connection, new_run(1, due=500))

    runs.write_run(connection, update(1, "order-1", "run-1", **({"due": 500} | changes)))

    row = runs.load_run(connection, NAMESPACE, "order-1", "run-1")
    assert row is not None
    assert {name: getattr(row, name) for name in changes} == changes
    assert row.record == b"changed"
    assert runs.due_runs(connection, NAMESPACE) == ([(row.due, "order-1", "run-1")] if row.due else [])


def test_a_run_is_created_once_and_updated_only_if_it_exists(connection: sqlite3.Connection) -> None:
    runs.write_run(connection, new_run(1))

    with pytest.raises(sqlite3.IntegrityError):
        runs.write_run(connection, new_run(2, run_id="run-1"))
    with pytest.raises(sqlite3.IntegrityError, match="does not exist"):
        runs.write_run(connection, update(3))


def test_offers_change_by_their_difference(connection: sqlite3.Connection) -> None:
    first, activity = offer(2), offer(5, kind=TaskKind.ACTIVITY)
    runs.write_run(connection, new_run(1, offers_added=[first, activity]))
    retried = activity._replace(attempt=2, ready_time=1)

    runs.write_run(connection, update(1, offers_added=[retried], offers_removed=[first, activity]))

    assert offers.load_offers(connection, NAMESPACE) == [("order-1", "run-1", retried)]
    assert offers.load_offers(connection, "elsewhere") == []


def test_runs_of_a_workflow_id_include_zombies(connection: sqlite3.Connection) -> None:
    runs.write_run(connection, new_run(1))
    runs.write_run(connection, new_run(2, zombie=True, current=None, visibility=None))
    runs.write_run(connection, new_run(3, workflow_id="order-2"))

    assert [(row.run_id, row.zombie) for row in runs.runs_of(connection, NAMESPACE, "order-1")] == [
        ("run-1", False),
        ("run-2", True),
    ]
    assert runs.load_current(connection, NAMESPACE, "order-1") == current("run-1")


def test_due_runs_come_earliest_first_and_by_namespace(connection: sqlite3.Connection) -> None:
    for key, due in ((1, 30), (2, 10), (3, None), (4, 20)):
        runs.write_run(connection, new_run(key, workflow_id=f"order-{key}", due=due))

    assert [due for due, _, _ in runs.due_runs(connection, NAMESPACE)] == [10, 20, 30]
    assert runs.due_runs(connection, "elsewhere") == []


def test_expired_runs_are_those_whose_moment_has_come(connection: sqlite3.Connection) -> None:
    for key, delete_at in ((1, 30), (2, 10), (3, None), (4, 20)):
        runs.write_run(connection, new_run(key, workflow_id=f"order-{key}", delete_at=delete_at))

    assert runs.expired_runs(connection, 20, 10) == [
        ExpiredRun(2, NAMESPACE, "order-2", "run-2"),
        ExpiredRun(4, NAMESPACE, "order-4", "run-4"),
    ]
    assert [run.run_key for run in runs.expired_runs(connection, 99, 1)] == [2]


def rows(connection: sqlite3.Connection) -> dict[str, int]:
    tables = ("runs", "current_runs", "branches", "nodes", "offers", "visibility", "parked")
    return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}


def park(connection: sqlite3.Connection, run_id: str, position: int) -> None:
    task = ParkedTask(0, NAMESPACE, "order-1", run_id, "aws-us-west-2", position, 1, "reset", b"task")
    parked.park(connection, task)


def test_deleting_a_run_takes_all_that_hangs_on_it(connection: sqlite3.Connection) -> None:
    forks = [Fork(100), Fork(101, 100, 2)]
    runs.write_run(connection, new_run(1, forks=forks, batches=[batch(100, 1, 2), batch(101, 3, 3)]))
    park(connection, "run-1", 1)

    runs.delete_run(connection, 1)

    assert set(rows(connection).values()) == {0}


def test_deleting_an_older_run_leaves_the_current_one(connection: sqlite3.Connection) -> None:
    runs.write_run(connection, new_run(1))
    park(connection, "run-1", 1)
    runs.write_run(connection, new_run(2))
    park(connection, "run-2", 2)

    runs.delete_run(connection, 1)

    assert set(rows(connection).values()) == {1}
    assert runs.load_current(connection, NAMESPACE, "order-1") == current("run-2")
    assert runs.load_run(connection, NAMESPACE, "order-1", "run-2") is not None


def test_a_run_that_is_listed_no_more_loses_its_row(connection: sqlite3.Connection) -> None:
    runs.write_run(connection, new_run(1))

    runs.write_run(connection, update(1, visibility=None, visibility_changed=True))

    assert visibility.count_runs(connection, NAMESPACE) == 0
