"""What replication could not apply, to be shown: parked tasks and dead letters, with their reasons.

Real for dead letters: the history task DLQ (`temporal operator dlq`).
"""

from __future__ import annotations

from dataclasses import dataclass

from mockcloud.api.replication.v1.replication_pb2 import ReplicationTask
from mockcloud.replication.receiver import workflow_of
from mockcloud.store import dead_letters, parked
from mockcloud.store.database import Store
from mockcloud.store.dead_letters import DeadLetter
from mockcloud.store.parked import ParkedTask


@dataclass(frozen=True, slots=True)
class Counts:
    """How much of a namespace waits in one region."""

    parked_tasks: int
    parked_runs: int
    dead_letters: int


async def counts(store: Store, namespace_id: str) -> Counts:
    """For `status`."""
    waiting, dead = await store.read(
        lambda connection: (
            parked.count_parked(connection, namespace_id),
            dead_letters.count_dead_letters(connection, namespace_id),
        )
    )
    return Counts(waiting.tasks, waiting.runs, dead)


async def list_parked(
    store: Store, namespace_id: str, after_id: int = 0, limit: int = 100
) -> list[ParkedTask]:
    """A page of parked tasks, oldest first."""
    return await store.read(lambda connection: parked.list_parked(connection, namespace_id, after_id, limit))


async def list_dead_letters(
    store: Store, namespace_id: str, after_id: int = 0, limit: int = 100
) -> list[DeadLetter]:
    """A page of dead letters, oldest first."""
    return await store.read(
        lambda connection: dead_letters.list_dead_letters(connection, namespace_id, after_id, limit)
    )


async def dead_letter(store: Store, message_id: int) -> DeadLetter | None:
    """One dead letter."""
    return await store.read(lambda connection: dead_letters.get_dead_letter(connection, message_id))


def subject(task: ReplicationTask) -> str:
    """What a task is about, in words."""
    kind = task.WhichOneof("task")
    if kind is None:
        return "nothing"
    if workflow_id := workflow_of(task):
        return f"run {getattr(task, kind).run_id} of {workflow_id}"
    if kind == "task_queue":
        return f"configuration of task queue {task.task_queue.task_queue}"
    return f"namespace record of {task.namespace_record.name}"
