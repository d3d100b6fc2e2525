"""Tasks that are ready for a worker, as stored: what a restarted region puts back into its task queues."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from mockcloud.core.derived import Offer, TaskKind
from mockcloud.core.priorities import TaskPriority

_ADD = (
    "INSERT INTO offers (run_key, kind, scheduled_event_id, attempt, stamp, task_queue, sticky, normal_queue,"
    " ready_time, priority, fairness_key, fairness_weight) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_REMOVE = "DELETE FROM offers WHERE run_key = ? AND kind = ? AND scheduled_event_id = ?"
_LOAD = (
    "SELECT workflow_id, run_id, kind, scheduled_event_id, attempt, stamp, task_queue, sticky, normal_queue,"
    " ready_time, priority, fairness_key, fairness_weight FROM offers JOIN runs USING (run_key) WHERE namespace_id = ?"
    " ORDER BY ready_time, run_key, scheduled_event_id"
)


def change_offers(
    connection: sqlite3.Connection, run_key: int, added: Collection[Offer], removed: Collection[Offer]
) -> None:
    """Take the removed ones away, then add. A run has one offer at most for each scheduled event."""
    if removed:
        keys = [(run_key, offer.kind, offer.scheduled_event_id) for offer in removed]
        connection.executemany(_REMOVE, keys)
    if added:
        rows = [
            (
                run_key,
                offer.kind,
                offer.scheduled_event_id,
                offer.attempt,
                offer.stamp,
                offer.task_queue,
                offer.sticky,
                offer.normal_queue,
                offer.ready_time,
                *offer.priority,
            )
            for offer in added
        ]
        connection.executemany(_ADD, rows)


def load_offers(connection: sqlite3.Connection, namespace_id: str) -> list[tuple[str, str, Offer]]:
    """(workflow id, run id, offer) of a namespace, those that have waited longest first."""
    return [
        (
            workflow_id,
            run_id,
            Offer(
                kind=TaskKind(kind),
                scheduled_event_id=scheduled_event_id,
                attempt=attempt,
                stamp=stamp,
                task_queue=task_queue,
                sticky=bool(sticky),
                normal_queue=normal_queue,
                ready_time=ready_time,
                priority=TaskPriority(*priority),
            ),
        )
        for (
            workflow_id,
            run_id,
            kind,
            scheduled_event_id,
            attempt,
            stamp,
            task_queue,
            sticky,
            normal_queue,
            ready_time,
            *priority,
        ) in connection.execute(_LOAD, (namespace_id,))
    ]
