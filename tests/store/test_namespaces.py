from __future__ import annotations

import sqlite3

import pytest

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.store import log, positions
from mockcloud.store.namespaces import all_namespaces, forget_namespace, put_namespace
from tests.store.builders import entry


def test_a_record_is_replaced_by_id(connection: sqlite3.Connection) -> None:
    put_namespace(connection, NamespaceRecord(id="1", name="orders", failover_version=1))
    put_namespace(connection, NamespaceRecord(id="2", name="billing"))

    put_namespace(connection, NamespaceRecord(id="1", name="orders", failover_version=2))

    assert all_namespaces(connection) == [
        NamespaceRecord(id="2", name="billing"),
        NamespaceRecord(id="1", name="orders", failover_version=2),
    ]


def test_a_name_belongs_to_one_namespace(connection: sqlite3.Connection) -> None:
    put_namespace(connection, NamespaceRecord(id="1", name="orders"))

    with pytest.raises(sqlite3.IntegrityError):
        put_namespace(connection, NamespaceRecord(id="2", name="orders"))


def test_a_namespace_that_left_leaves_nothing_but_its_positions(connection: sqlite3.Connection) -> None:
    for namespace_id in ("1", "2"):
        put_namespace(connection, NamespaceRecord(id=namespace_id, name=f"name {namespace_id}"))
        log.append_log(connection, namespace_id, entry())
        positions.set_acked(connection, namespace_id, "west", 1)

    forget_namespace(connection, "1")

    assert [record.id for record in all_namespaces(connection)] == ["2"]
    assert log.read_log(connection, "1", 0) == []
    assert log.last_position(connection, "1") == 1, "no position is used again when it comes back"
    assert positions.acked(connection, "1", "west") == 1
    assert len(log.read_log(connection, "2", 0)) == 1
