"""Recordings whose outcome is knowingly another one here: what differs, and why. Nothing else may differ."""

from __future__ import annotations

from typing import Final

ACCEPTED: Final = {
    "03b_split_loser_completed_winner_idle": (
        "there the winner's run was read between two batches of the loser's tail, which is a touch; "
        "without one the tail stands"
    ),
    "04c_winner_closed_loser_cancel_terminate_update": (
        "there the loser's workflow task, a batch before its update, already makes the closed winner go on; "
        "here only what is reapplied does, so the update is admitted before the new run's workflow task is scheduled"
    ),
    "08e_activity_started_replicated_and_not": (
        "a Started event written after the switch names the worker that has the activity, as with the server's "
        "newer way of replicating"
    ),
    "08a_wft_started_at_failover_graceful_link": "there the old region learns of the switch late; here at once",
    "04f_dlq": "it cannot be played: what a tool shows of the dead letters",
    "06c_sdk_updates_signals_split": "it cannot be played: an SDK Worker answered",
}


def accepted(name: str) -> str:
    """Why the recording may differ; empty: it may not."""
    return ACCEPTED.get(name, "")
