from __future__ import annotations

import sqlite3

from mockcloud.api.state.v1.state_pb2 import VersionHistories
from mockcloud.core import version_history
from mockcloud.core.version_history import Item
from mockcloud.store.deletions import deleted_histories, put_deletion
from tests.store.builders import NAMESPACE

ORDER = (NAMESPACE, "order-1", "run-1")


def histories(event_id: int) -> VersionHistories:
    return VersionHistories(histories=[version_history.branch(1, [Item(event_id, 1)])])


def test_what_was_deleted_is_known(connection: sqlite3.Connection) -> None:
    put_deletion(connection, *ORDER, histories(3), now=10, keep=5)

    assert deleted_histories(connection, *ORDER) == histories(3)
    assert deleted_histories(connection, NAMESPACE, "order-1", "run-2") is None


def test_the_last_deletion_of_a_run_is_kept(connection: sqlite3.Connection) -> None:
    put_deletion(connection, *ORDER, histories(3), now=10, keep=5)
    put_deletion(connection, *ORDER, histories(7), now=11, keep=5)

    assert deleted_histories(connection, *ORDER) == histories(7)


def test_the_next_deletion_sees_to_it_that_old_ones_are_forgotten(connection: sqlite3.Connection) -> None:
    put_deletion(connection, *ORDER, histories(3), now=10, keep=5)
    put_deletion(connection, NAMESPACE, "order-2", "run-2", histories(3), now=14, keep=5)
    assert deleted_histories(connection, *ORDER) is not None

    put_deletion(connection, NAMESPACE, "order-3", "run-3", histories(3), now=15, keep=5)

    assert deleted_histories(connection, *ORDER) is None
    assert deleted_histories(connection, NAMESPACE, "order-2", "run-2") is not None
