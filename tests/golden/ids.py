"""Which of our ids and task tokens stand for those of a recording: learned from where they stand in both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict

from mockcloud.cloud.views import RunView
from tests.golden.recording import Json


def learn(recorded: Any, ours: Any, ids: dict[str, str]) -> None:
    """Which of our ids and tokens stand where the recorded message has its own."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        for key in recorded.keys() & ours.keys():
            if key in ("runId", "taskToken", "firstExecutionRunId"):
                if ours[key] not in ids.values():
                    ids.setdefault(recorded[key], ours[key])
            elif key == "namespaceInfo":
                ids.setdefault(recorded[key]["id"], ours[key]["id"])
            else:
                learn(recorded[key], ours[key], ids)
    elif isinstance(recorded, list) and isinstance(ours, list) and len(recorded) == len(ours):
        for one, other in zip(recorded, ours, strict=True):
            learn(one, other, ids)


def pair_others(recorded: Json, ours: Iterable[RunView], pairs: dict[str, str]) -> None:
    """Add ids of runs that belong to other workflows, children say, by where they stand in the histories."""
    by_id = {run.run_id: run for run in ours}
    for run_id, run in recorded.items():
        events = by_id[pairs[run_id]].events
        for event, our_event in zip(run["history"]["events"], events, strict=False):
            learn(event, MessageToDict(our_event), pairs)


def labels(pairs: Mapping[str, str], *, ours: bool = False) -> dict[str, str]:
    """A shared name for each pair of ids, by either side's id."""
    return {
        (mine if ours else theirs): f"<{theirs}>" for theirs, mine in pairs.items() if not _is_token(theirs)
    }


def _is_token(value: str) -> bool:
    return len(value) > len("00000000-0000-0000-0000-000000000000")
