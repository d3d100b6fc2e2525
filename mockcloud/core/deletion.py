"""Deleting a run because a user asked for it.

An open run is terminated first. The rows go once the run is closed (`engine.retention`), here and, by a message
of its own, in the replicas.

Real: service/history/api/deleteworkflow, deletemanager.
"""

from __future__ import annotations

from mockcloud.core import signals
from mockcloud.core.change import RunChange


def request(change: RunChange) -> None:
    """See that the run is deleted. Asked for again, nothing changes."""
    run = change.run
    if run.record.delete_requested:
        return
    if run.open:
        signals.terminate_run(change, reason="Delete workflow execution")
    run.record.delete_requested = True
    change.deleted = True
    change.touch()
