"""Each recording of a real pair of clusters, played against a fresh cloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden.accepted import accepted
from tests.golden.player import play
from tests.golden.recording import load

# All of `event-based`; `make golden` plays the other folder as well, most of which is waiting for deadlines.
RECORDINGS = sorted((Path(__file__).parent / "event-based").glob("*.json"))


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
async def test_the_outcome_is_the_recorded_one(path: Path) -> None:
    differences = await play(load(path))

    if accepted(path):
        assert differences, f"{path.stem} is equal: it needs no entry among those accepted"
    else:
        assert not differences


async def test_a_difference_is_found() -> None:
    recording = load(RECORDINGS[0])
    snapshot = recording.steps[-1]
    for cluster in snapshot.workflows["w1"].values():  # type: ignore[union-attr]  # the last step is a snapshot
        for run in cluster["runs"].values():
            run["history"]["events"][-1]["version"] = "7"

    (first, *_) = await play(recording)

    assert 'version: recorded "7", ours' in first
