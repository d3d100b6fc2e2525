"""Recordings of a real pair of clusters as what is compared: see tests/golden/README.md."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.history.v1 import HistoryEvent

from tests.replication.regions import Pair, Region

DIRECTORY = Path(__file__).parents[1] / "golden" / "event-based"

# Ids that differ each time, and what the README says not to compare.
_IGNORED = {
    "requestId",
    "originalExecutionRunId",
    "firstExecutionRunId",
    "historySizeBytes",
    "firstWorkflowTaskBackoff",
    "workflowRunTimeout",
    "workflowExecutionTimeout",
    "workerVersion",
    "sdkMetadata",
    "meteringMetadata",
    "header",
    "searchAttributes",
    "memo",
    "workflowExecutionExpirationTime",
    "prevAutoResetPoints",
}

Events = list[tuple[str, str, str, dict[str, Any]]]


@dataclass(frozen=True)
class Picture:
    """One run in one region."""

    current: bool
    status: str
    history: Events  # of the current branch
    items: list[list[int]]  # of the current branch
    losers: list[tuple[list[list[int]], Events]]  # the other branches


def _event(event: dict[str, Any]) -> tuple[str, str, str, dict[str, Any]]:
    attributes: dict[str, Any] = next((v for k, v in event.items() if k.endswith("EventAttributes")), {})
    kept = {key: value for key, value in attributes.items() if key not in _IGNORED}
    return event["eventId"], event["eventType"], event["version"], kept


def recorded(name: str, snapshot: str, region: str, workflow_id: str = "w1") -> list[Picture]:
    """What the real pair had."""
    (path,) = DIRECTORY.glob(f"{name}_*.json")
    recording = json.loads(path.read_text())
    pictures = []
    for run in recording["snapshots"][snapshot]["workflows"][workflow_id][region]["runs"].values():
        losers = [
            (branch["items"], [_event(event) for batch in branch["batches"] for event in batch["events"]])
            for branch in run["branches"]
        ]
        current = next(branch for branch in run["versionHistories"] if branch["current"])
        pictures.append(
            Picture(
                current=run["current"],
                status=run["status"],
                history=[_event(event) for event in run["history"]["events"]],
                items=current["items"],
                losers=sorted(losers, key=lambda loser: loser[0]),
            )
        )
    return pictures


def _events(events: list[HistoryEvent]) -> Events:
    return [_event(MessageToDict(event)) for event in events]


async def seen(region: Region, workflow_id: str = "w1") -> list[Picture]:
    """What a region of ours has."""
    pictures = []
    for run_id in await region.run_ids(workflow_id):
        branches, current = await region.branches(workflow_id, run_id)
        losers = [
            (
                [[item.event_id, item.version] for item in items],
                _events(await region.events(workflow_id, run_id, index)),
            )
            for index, items in enumerate(branches)
            if index != current
        ]
        run = await region.loaded(workflow_id)
        pictures.append(
            Picture(
                current=run_id == await region.current_run_id(workflow_id),
                status=WorkflowExecutionStatus.Name(run.status),
                history=_events(await region.events(workflow_id, run_id)),
                items=[[item.event_id, item.version] for item in branches[current]],
                losers=sorted(losers, key=lambda loser: loser[0]),
            )
        )
    return pictures


async def assert_as_recorded(pair: Pair, name: str, snapshot: str, workflow_id: str = "w1") -> None:
    """Both regions have what the recording has."""
    for region in ("A", "B"):
        here = await seen(pair.regions[region], workflow_id)
        assert here == recorded(name, snapshot, region, workflow_id), f"region {region}"
