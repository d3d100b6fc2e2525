"""Workers are known as long as they speak."""

from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import WorkerStatus
from temporalio.api.worker.v1 import WorkerHeartbeat

from mockcloud.core import times
from mockcloud.core.errors import InvalidArgument, NotFound
from mockcloud.engine.workers import Workers, page

from .support import ManualClock, limits


def heartbeat(key: str, **fields: object) -> WorkerHeartbeat:
    return WorkerHeartbeat(worker_instance_key=key, **fields)  # type: ignore[arg-type]


def keys(workers: Workers, namespace_id: str = "n") -> list[str]:
    return sorted(each.worker_instance_key for each in workers.all(namespace_id, lambda _: True))


def test_the_last_heartbeat_counts() -> None:
    workers = Workers(ManualClock(), limits())
    workers.record("n", [heartbeat("a", task_queue="old"), heartbeat("b")])
    workers.record("n", [heartbeat("a", task_queue="new")])
    workers.record("other", [heartbeat("c")])
    assert keys(workers) == ["a", "b"]
    assert workers.one("n", "a").task_queue == "new"
    with pytest.raises(NotFound, match="Worker c not found"):
        workers.one("n", "c")


def test_who_shuts_down_is_forgotten_at_once() -> None:
    workers = Workers(ManualClock(), limits())
    workers.record("n", [heartbeat("a")])
    workers.record("n", [heartbeat("a", status=WorkerStatus.WORKER_STATUS_SHUTDOWN)])
    assert keys(workers) == []


def test_who_is_silent_is_forgotten() -> None:
    clock = ManualClock()
    workers = Workers(clock, limits())
    workers.record("n", [heartbeat("silent"), heartbeat("alive")])
    clock.moment += 4 * times.MINUTE
    workers.record("n", [heartbeat("alive")])
    clock.moment += 2 * times.MINUTE
    assert keys(workers) == ["alive"]
    with pytest.raises(NotFound):
        workers.one("n", "silent")


def test_a_crowd_pushes_out_the_oldest_but_none_that_has_just_come() -> None:
    clock = ManualClock()
    workers = Workers(clock, limits(workers=2))
    workers.record("n", [heartbeat(key) for key in "abc"])
    assert keys(workers) == ["a", "b", "c"]
    clock.moment += 2 * times.MINUTE
    workers.record("n", [heartbeat("c")])
    assert keys(workers) == ["b", "c"]


def test_pages() -> None:
    workers = [heartbeat(key) for key in "ecadb"]
    seen, token = [], b""
    while True:
        given, token = page(workers, 2, token)
        seen.append([each.worker_instance_key for each in given])
        if not token:
            break
    assert seen == [["a", "b"], ["c", "d"], ["e"]]
    assert page(workers, 0, b"") == (workers, b"")
    assert page(workers, 2, b'{"l":"e"}') == ([], b"")
    for broken in (b"x", b"[1]", b"\xff"):
        with pytest.raises(InvalidArgument, match="invalid next_page_token"):
            page(workers, 2, broken)
