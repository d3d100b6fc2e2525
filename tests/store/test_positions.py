from __future__ import annotations

import sqlite3

from mockcloud.store import positions
from tests.store.builders import NAMESPACE


def test_positions_are_kept_per_direction_peer_and_namespace(connection: sqlite3.Connection) -> None:
    positions.set_acked(connection, NAMESPACE, "west", 5)
    positions.set_applied(connection, NAMESPACE, "west", 9)

    assert positions.acked(connection, NAMESPACE, "west") == 5
    assert positions.applied(connection, NAMESPACE, "west") == 9
    assert positions.acked(connection, NAMESPACE, "east") == 0
    assert positions.applied(connection, "elsewhere", "west") == 0


def test_a_late_position_does_not_set_back_a_later_one(connection: sqlite3.Connection) -> None:
    for position in (5, 3):
        positions.set_acked(connection, NAMESPACE, "west", position)
        positions.set_applied(connection, NAMESPACE, "west", position)

    assert positions.acked(connection, NAMESPACE, "west") == 5
    assert positions.applied(connection, NAMESPACE, "west") == 5


def test_all_peers_that_acknowledged(connection: sqlite3.Connection) -> None:
    positions.set_acked(connection, NAMESPACE, "west", 5)
    positions.set_acked(connection, NAMESPACE, "south", 2)
    positions.set_applied(connection, NAMESPACE, "north", 7)

    assert positions.all_acked(connection, NAMESPACE) == {"west": 5, "south": 2}
