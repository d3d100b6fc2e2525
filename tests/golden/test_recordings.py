"""Each recording of a real pair of clusters, played against a fresh cloud."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.golden.accepted import judge
from tests.golden.player import play
from tests.golden.recording import load

# All of `event-based`; `make golden` plays the other folder as well, most of which is waiting for deadlines.
RECORDINGS = sorted((Path(__file__).parent / "event-based").glob("*.json"))
Events = list[dict[str, Any]]


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
async def test_the_outcome_is_the_recorded_one(path: Path) -> None:
    recording = load(path)
    assert not recording.not_understood
    judged = judge(path, await play(recording))

    assert [str(difference) for difference in judged.others] == []
    assert judged.stale == [], f"{path.stem} does not differ there: it needs no entry"


def a_changed_event(events: Events) -> None:
    events[-1]["version"] = "7"


def a_changed_payload(events: Events) -> None:
    signal = next(event for event in events if event["eventType"].endswith("SIGNALED"))
    signal["workflowExecutionSignaledEventAttributes"]["identity"] = "somebody else"


def a_missing_event(events: Events) -> None:
    del events[4]


def another_order(events: Events) -> None:
    events[4], events[8] = events[8], events[4]


@pytest.mark.parametrize("mutate", [a_changed_event, a_changed_payload, a_missing_event, another_order])
async def test_a_mutated_recording_differs(mutate: Callable[[Events], None], tmp_path: Path) -> None:
    """In the final history of one cluster, and nowhere else."""
    raw = json.loads(RECORDINGS[0].read_text())
    (run,) = raw["snapshots"]["final"]["workflows"]["w1"]["B"]["runs"].values()
    before = copy.deepcopy(run)
    mutate(run["history"]["events"])
    assert run != before

    judged = judge(RECORDINGS[0], await play(load(written(raw, tmp_path))))

    assert judged.others
    assert all(each.where.startswith("final, B, w1, run 1: history") for each in judged.others)


async def test_a_mutated_answer_differs(tmp_path: Path) -> None:
    raw = json.loads(RECORDINGS[0].read_text())
    poll = next(step for step in raw["steps"] if step.get("call") == "PollWorkflowTaskQueue")
    poll["res"]["ok"]["attempt"] = 3

    (difference,) = judge(RECORDINGS[0], await play(load(written(raw, tmp_path)))).others

    assert str(difference) == f"A.PollWorkflowTaskQueue at {poll['t']}.attempt: recorded 3, ours 1"


@pytest.mark.parametrize(
    "step",
    [
        {"t": 1.0, "note": "cut link AtoC"},
        {"t": 1.0, "note": "namespace failover version unknown seen on A"},
        {"t": 1.0, "call": "StartWorkflowExecution", "cluster": "A", "req": {}},
    ],
    ids=["an unknown link", "an unknown version", "a call without an answer"],
)
def test_a_step_that_is_not_understood_is_told(step: dict[str, Any], tmp_path: Path) -> None:
    raw = json.loads(RECORDINGS[0].read_text())
    raw["steps"].append(step)
    assert len(load(written(raw, tmp_path)).not_understood) == 1


def written(raw: dict[str, Any], directory: Path) -> Path:
    path = directory / RECORDINGS[0].name
    path.write_text(json.dumps(raw))
    return path
