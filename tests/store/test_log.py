from __future__ import annotations

import sqlite3

from mockcloud.api.replication.v1.replication_pb2 import (
    ActivityState,
    HistoryBatch,
    ReplicationTask,
    RunDeletion,
)
from mockcloud.api.state.v1.state_pb2 import ActivityRecord, VersionHistoryItem
from mockcloud.core.outcome import Fork
from mockcloud.store import history, log, runs
from mockcloud.store.log import LogWrite, NodeRef
from tests.store.builders import NAMESPACE, batch, entry, new_run

OTHER = "another namespace"


def test_positions_are_dense_within_a_namespace(connection: sqlite3.Connection) -> None:
    for namespace in (NAMESPACE, OTHER, NAMESPACE):
        log.append_log(connection, namespace, entry())

    assert [row.position for row in log.read_log(connection, NAMESPACE, 0)] == [1, 2]
    assert [row.position for row in log.read_log(connection, OTHER, 0)] == [1]
    assert log.last_position(connection, NAMESPACE) == 2
    assert log.last_position(connection, "unknown") == 0


def test_events_are_joined_into_the_task_they_belong_to(connection: sqlite3.Connection) -> None:
    history.add_forks(connection, 1, [Fork(10), Fork(20)])
    big, first = batch(10, 3, 200), batch(20, 1, 2)
    history.append(connection, [batch(10, 1, 2), big, first])
    whole = ReplicationTask(
        created_at=77,
        history=HistoryBatch(
            workflow_id="order-1",
            run_id="run-1",
            items=[VersionHistoryItem(event_id=200, version=1)],
            request_ids=["a", "b"],
            new_run=HistoryBatch(workflow_id="order-1", run_id="run-2", create_request_id="c"),
        ),
    )
    log.append_log(connection, NAMESPACE, LogWrite(whole.SerializeToString(), NodeRef(10, 3), NodeRef(20, 1)))

    (row,) = log.read_log(connection, NAMESPACE, 0)

    whole.position = 1
    whole.history.events = big.data
    whole.history.new_run.events = first.data
    assert row.task == whole
    assert not row.events_gone


def test_tasks_without_events_come_back_as_they_were(connection: sqlite3.Connection) -> None:
    first = ReplicationTask(created_at=1, deletion=RunDeletion(workflow_id="order-1", run_id="run-1"))
    activity = ActivityState(run_id="run-1", activity=ActivityRecord(attempt=3))
    second = ReplicationTask(created_at=2, activity=activity)
    for write in (first, second):
        log.append_log(connection, NAMESPACE, LogWrite(write.SerializeToString()))

    found = [row.task for row in log.read_log(connection, NAMESPACE, 0)]

    first.position, second.position = 1, 2
    assert found == [first, second]


def test_a_high_position_survives_the_wire(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO log_trimmed VALUES (?, ?)", (NAMESPACE, 1 << 40))
    log.append_log(connection, NAMESPACE, entry())

    (row,) = log.read_log(connection, NAMESPACE, 0)

    assert row.task.position == row.position == (1 << 40) + 1


def test_reading_goes_on_after_a_position_within_its_limits(connection: sqlite3.Connection) -> None:
    payload = ReplicationTask(created_at=1).SerializeToString()
    for _ in range(5):
        log.append_log(connection, NAMESPACE, entry(payload))
    size = len(payload)

    def positions(after: int, rows: int = 100, size: int = 1 << 20) -> list[int]:
        return [row.position for row in log.read_log(connection, NAMESPACE, after, rows, size)]

    assert positions(2) == [3, 4, 5]
    assert positions(5) == []
    assert positions(1, rows=2) == [2, 3]
    assert positions(0, size=3 * size) == [1, 2, 3]
    assert positions(3, size=1) == [4], "a task larger than the limit is sent alone"


def test_trimming_keeps_what_is_not_acknowledged_and_never_reuses_a_position(
    connection: sqlite3.Connection,
) -> None:
    for _ in range(5):
        log.append_log(connection, NAMESPACE, entry())
    log.append_log(connection, OTHER, entry())

    log.trim_log(connection, NAMESPACE, 3)
    assert [row.position for row in log.read_log(connection, NAMESPACE, 0)] == [4, 5]
    log.trim_log(connection, NAMESPACE, 5)
    log.trim_log(connection, NAMESPACE, 2)

    assert log.last_position(connection, NAMESPACE) == 5
    log.append_log(connection, NAMESPACE, entry())
    assert [row.position for row in log.read_log(connection, NAMESPACE, 0)] == [6]
    assert [row.position for row in log.read_log(connection, OTHER, 0)] == [1]


def test_trimming_beyond_the_end_does_not_skip_positions(connection: sqlite3.Connection) -> None:
    log.append_log(connection, NAMESPACE, entry())

    log.trim_log(connection, NAMESPACE, 1000)

    assert log.last_position(connection, NAMESPACE) == 1


def test_a_task_whose_run_was_deleted_says_so(connection: sqlite3.Connection) -> None:
    runs.write_run(connection, new_run(1, log=[LogWrite(b"", NodeRef(100, 1)), LogWrite(b"")]))

    runs.delete_run(connection, 1)

    assert [row.events_gone for row in log.read_log(connection, NAMESPACE, 0)] == [True, False]


def test_a_task_of_two_runs_is_about_the_one_that_is_left(connection: sqlite3.Connection) -> None:
    """Or the peers would never hear that the first one closed, or that the second one began."""
    for gone, left in ((10, "run-2"), (20, "run-1")):
        history.add_forks(connection, 1, [Fork(10), Fork(20)])
        end, first = batch(10, 3, 5), batch(20, 1, 2)
        history.append(connection, [end, first])
        whole = ReplicationTask(
            history=HistoryBatch(run_id="run-1", new_run=HistoryBatch(run_id="run-2", create_request_id="c"))
        )
        write = LogWrite(whole.SerializeToString(), NodeRef(10, 3), NodeRef(20, 1))
        log.append_log(connection, NAMESPACE, write)
        connection.execute("DELETE FROM nodes WHERE branch_id = ?", (gone,))

        *_, row = log.read_log(connection, NAMESPACE, 0)

        assert not row.events_gone
        assert row.task.history.run_id == left
        assert row.task.history.events == (end.data if left == "run-1" else first.data)
        assert not row.task.history.HasField("new_run")
        connection.execute("DELETE FROM nodes")
        connection.execute("DELETE FROM branches")
        assert [row.events_gone for row in log.read_log(connection, NAMESPACE, 0)][-1:] == [True]
