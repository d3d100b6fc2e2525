"""Which of some events a region did not have at a moment: by branch, version and mark, event by event."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from mockcloud.api.admin.v1 import region_admin_pb2 as admin
from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core.outcome import Fork
from mockcloud.frontend import tail
from mockcloud.store import history, schema
from mockcloud.store.runs import write_run
from tests.store import builders

RECORD = NamespaceRecord(id=builders.NAMESPACE, name="orders")


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """A region with one run: events 1 to 7 under version 1, on another branch 6 and 7 under version 2."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(connection)
    write = builders.new_run(1, "w", "r")
    write.forks = [Fork(10), Fork(20, 10, 5)]
    write.batches = [builders.batch(10, first, last) for first, last in ((1, 2), (3, 5), (6, 7))]
    write.batches.append(builders.batch(20, 6, 7, version=2))
    write_run(connection, write)
    yield connection
    connection.close()


def missing(
    connection: sqlite3.Connection,
    first: int,
    last: int,
    *,
    version: int = 1,
    run_id: str = "r",
    last_node: int | None = None,
) -> list[tuple[int, list[int]]]:
    """(first event id, types) of each part; the type of an event is its id."""
    asked = admin.RunEvents(
        workflow_id="w",
        run_id=run_id,
        version=version,
        first_event_id=first,
        types=range(first, last + 1),
        names=["" for _ in range(first, last + 1)],
    )
    node = history.last_node(connection) if last_node is None else last_node
    request = admin.FindMissingRequest(events=[asked], last_node=node)
    answer = tail.find_missing(connection, RECORD, request)
    return [(events.first_event_id, list(events.types)) for events in answer.events]


def test_what_is_on_a_branch_is_there(connection: sqlite3.Connection) -> None:
    assert missing(connection, 1, 7) == []
    assert missing(connection, 4, 4) == [], "in the middle of a batch"
    assert missing(connection, 6, 7, version=2) == []


def test_what_is_not_is_told_event_by_event(connection: sqlite3.Connection) -> None:
    assert missing(connection, 7, 9) == [(8, [8, 9])]
    assert missing(connection, 5, 7, version=2) == [(5, [5])]
    assert missing(connection, 1, 2, version=3) == [(1, [1, 2])]
    assert missing(connection, 1, 2, run_id="other") == [(1, [1, 2])]


def test_what_came_after_the_moment_was_not_there(connection: sqlite3.Connection) -> None:
    moment = history.last_node(connection)
    history.append(connection, [builders.batch(10, 8, 9)])

    assert missing(connection, 7, 9) == []
    assert missing(connection, 7, 9, last_node=moment) == [(8, [8, 9])]
