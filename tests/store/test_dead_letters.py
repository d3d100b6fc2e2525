from __future__ import annotations

import sqlite3

from mockcloud.store.dead_letters import (
    DeadLetter,
    count_dead_letters,
    delete_dead_letter,
    get_dead_letter,
    list_dead_letters,
    purge_dead_letters,
    put_dead_letter,
)
from tests.store.builders import NAMESPACE


def letter(position: int, reason: str = "boom", namespace: str = NAMESPACE) -> DeadLetter:
    return DeadLetter(0, namespace, "order-1", "run-1", "west", position, 100, 5, reason, b"task")


def test_letters_are_kept_whole_and_paged(connection: sqlite3.Connection) -> None:
    for position in (1, 2, 3):
        put_dead_letter(connection, letter(position))

    first, second = list_dead_letters(connection, NAMESPACE, limit=2)

    assert first._replace(message_id=0) == letter(1)
    assert get_dead_letter(connection, first.message_id) == first
    assert [found.position for found in list_dead_letters(connection, NAMESPACE, second.message_id)] == [3]
    assert count_dead_letters(connection, NAMESPACE) == 3


def test_a_task_that_fails_again_keeps_its_place_with_the_new_reason(connection: sqlite3.Connection) -> None:
    put_dead_letter(connection, letter(1))
    put_dead_letter(connection, letter(1, reason="worse"))

    (found,) = list_dead_letters(connection, NAMESPACE)

    assert (found.reason, found.attempts) == ("worse", 10)


def test_letters_go_one_by_one_or_all_of_a_namespace(connection: sqlite3.Connection) -> None:
    for position in (1, 2, 3):
        put_dead_letter(connection, letter(position))
    put_dead_letter(connection, letter(1, namespace="elsewhere"))
    first = list_dead_letters(connection, NAMESPACE)[0]

    assert delete_dead_letter(connection, first.message_id)
    assert not delete_dead_letter(connection, first.message_id)
    assert get_dead_letter(connection, first.message_id) is None
    assert purge_dead_letters(connection, NAMESPACE) == 2
    assert count_dead_letters(connection, NAMESPACE) == 0
    assert count_dead_letters(connection, "elsewhere") == 1
