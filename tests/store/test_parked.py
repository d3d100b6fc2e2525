from __future__ import annotations

import sqlite3

from mockcloud.store.parked import (
    ParkedCount,
    ParkedTask,
    count_parked,
    first_parked,
    list_parked,
    park,
    parked_of,
    unpark,
)
from tests.store.builders import NAMESPACE


def parked(position: int, run_id: str = "run-1", reason: str = "zombie") -> ParkedTask:
    return ParkedTask(0, NAMESPACE, "order-1", run_id, "west", position, 100 + position, reason, b"task")


def test_tasks_of_a_run_wait_in_the_order_in_which_they_came(connection: sqlite3.Connection) -> None:
    for task in (parked(8), parked(9, "run-2"), parked(11)):
        park(connection, task)

    found = parked_of(connection, NAMESPACE, "order-1", "run-1")

    assert [task._replace(parked_id=0) for task in found] == [parked(8), parked(11)]
    assert count_parked(connection, NAMESPACE) == ParkedCount(tasks=3, runs=2)
    assert count_parked(connection, "elsewhere") == ParkedCount(tasks=0, runs=0)


def test_a_task_that_comes_again_is_not_parked_twice(connection: sqlite3.Connection) -> None:
    park(connection, parked(8))
    park(connection, parked(8, reason="another"))

    assert [task.reason for task in list_parked(connection, NAMESPACE)] == ["zombie"]


def test_lists_page_by_id_and_unparked_tasks_are_gone(connection: sqlite3.Connection) -> None:
    for position in (1, 2, 3):
        park(connection, parked(position))
    first, second = list_parked(connection, NAMESPACE, limit=2)

    assert [task.position for task in list_parked(connection, NAMESPACE, second.parked_id)] == [3]
    assert unpark(connection, first.parked_id)
    assert not unpark(connection, first.parked_id)
    assert [task.position for task in list_parked(connection, NAMESPACE)] == [2, 3]


def test_the_first_task_of_each_run_tells_why_it_waits(connection: sqlite3.Connection) -> None:
    for task in (parked(8, "run-2"), parked(9), parked(10, "run-2", "behind"), parked(11, "run-3")):
        park(connection, task)

    assert [(task.run_id, task.position) for task in first_parked(connection, NAMESPACE)] == [
        ("run-2", 8),
        ("run-1", 9),
        ("run-3", 11),
    ]
    assert len(first_parked(connection, NAMESPACE, limit=2)) == 2
    assert first_parked(connection, "elsewhere") == []
