"""Recordings whose outcome is knowingly another one here: what differs, and why. Nothing else may differ.

By folder: the same scenario was recorded with both ways of replicating. A recording of another folder has no entry.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_UNPLAYABLE: Final = {
    "04f_dlq": "it cannot be played: what a tool shows of the dead letters",
    "06c_sdk_updates_signals_split": "it cannot be played: an SDK Worker answered",
}

_AT_ONCE: Final = (
    "here the old region learns of the switch at once, there with the next refresh of its namespaces"
)
_TAIL: Final = (
    "there state arrives whole, and all signals of a tail are reapplied in one go; here batch by batch, as in the "
    "recording of event-based replication, which is equal"
)
_ZOMBIE: Final = (
    "there signals that reach a zombie after its creation are lost; here they are reapplied, as in the recording of "
    "event-based replication, which is equal"
)
_UNANSWERED: Final = (
    "a winner that closed before any workflow task completed: there the apply fails until it is given up"
)
_OFF_RECORD: Final = (
    "some of the workflows that are named were started off the record, Pause was off, and Nexus and standalone "
    "activities are not served here"
)
_COPIES: Final = (
    "there state arrives whole, at its last version only; here B takes in A's batch while it still leads, and the copy "
    "that it wrote is applied again, as in the recording of event-based replication of 09b, which is equal"
)

ACCEPTED: Final = {
    "event-based": {
        "03b_split_loser_completed_winner_idle": (
            "there the winner's run was read between two batches of the loser's tail, which is a touch; "
            "without one the tail stands"
        ),
        "04c_winner_closed_loser_cancel_terminate_update": (
            "there the loser's workflow task, a batch before its update, already makes the closed winner go on; "
            "here only what is reapplied does, so the update is admitted before the new run's workflow task is "
            "scheduled"
        ),
        "08e_activity_started_replicated_and_not": (
            "a Started event written after the switch names the worker that has the activity, as with the server's "
            "newer way of replicating"
        ),
        "08a_wft_started_at_failover_graceful_link": _AT_ONCE,
        **_UNPLAYABLE,
    },
    "state-based": {
        "02_split_signals_both": _TAIL,
        "04_winner_closed_late_signal_on_loser": _TAIL,
        "04d_winner_closed_without_any_wft_late_signal": _UNANSWERED,
        "04f_winner_closed_without_any_wft_poison": _UNANSWERED,
        "05d_same_wid_one_direction_first_zombie": _ZOMBIE,
        "07_continue_as_new_on_loser": _ZOMBIE,
        "08a_wft_started_at_failover_graceful_link": _AT_ONCE,
        "08b_wft_started_at_failover_signal_arrives": _AT_ONCE,
        "08f_wft_started_at_failover_what_is_a_touch": _AT_ONCE,
        "09_three_switches_1_2_11": _COPIES,
        "09b_three_switches_partial_replication": _COPIES,
        "10a_all_passive_api_local": (
            "there UpdateWorkflowExecution hangs, the calls for activities' options name the namespace's id; "
            f"{_OFF_RECORD}"
        ),
        "10b_all_passive_api_default_header": _OFF_RECORD,
        "10b_selected_passive_api_default_header": f"that was recorded with the setting `selected`, and {_OFF_RECORD}",
        "11a_handover_calls": (
            "there B stays in HANDOVER at the switch, and A's read fails the started workflow task first; here B is "
            "active at once, and may be the first"
        ),
        "11a_handover_calls_nowait": "that was recorded with the setting `reject`; here calls are held by default",
        "11b_handover_then_switch_under_load": "it cannot be played: its load was not recorded",
        "11c_handover_then_switch_issued_at_B": (
            "there HANDOVER survives a switch that is issued at the other side; "
            "here the higher failover version clears it"
        ),
        "11d_handover_short_then_switch_under_load": "it cannot be played: its load was not recorded",
        "14b_who_learns_when": "it cannot be played: its calls were not recorded",
        "15_delete_at_passive_local": "there a deletion does not replicate, here it does",
        **_UNPLAYABLE,
    },
}


def accepted(path: Path) -> str:
    """Why the recording may differ; empty: it may not."""
    return ACCEPTED.get(path.parent.name, {}).get(path.stem, "")
