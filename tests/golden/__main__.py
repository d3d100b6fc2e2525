"""`make golden DIR=…`: play every recording of a folder; exit code 1 if one differs.

A line for each: `NAME equal`, `NAME accepted: reasons` where all that differs is in the table, and
`NAME differs: first difference`. Standard error tells which steps were taken for remarks.

Several at a time: a recording is mostly waiting, for calls that end by their deadline.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.golden.accepted import judge
from tests.golden.player import play
from tests.golden.recording import Recording, load

AT_ONCE = 16


@dataclass(frozen=True)
class Verdict:
    """What is printed of a recording."""

    line: str
    differs: bool
    remarks: list[str]


async def verdict(path: Path, turn: asyncio.Semaphore) -> Verdict:
    """Play one and hold it against the table."""
    try:
        recording = load(path)
    except (KeyError, TypeError, ValueError) as error:
        return Verdict(f"{path.stem} differs: it is no recording: {type(error).__name__}: {error}", True, [])
    if recording.not_understood:
        return Verdict(f"{path.stem} differs: not understood: {recording.not_understood[0]}", True, [])
    if not recording.steps:
        return Verdict(f"{path.stem} accepted: it has no steps and no snapshots, to read only", False, [])
    async with turn:
        return await _played(path, recording)


async def _played(path: Path, recording: Recording) -> Verdict:
    try:
        judged = judge(path, await play(recording))
    except Exception as error:
        line = f"{path.stem} differs: the player failed: {type(error).__name__}: {error}"
        return Verdict(line, True, recording.remarks)
    if judged.others:
        return Verdict(f"{path.stem} differs: {judged.others[0]}", True, recording.remarks)
    if judged.reasons:
        return Verdict(f"{path.stem} accepted: {'; '.join(judged.reasons)}", False, recording.remarks)
    return Verdict(f"{path.stem} equal", False, recording.remarks)


async def main(paths: list[Path]) -> int:
    """Print a line per recording."""
    turn = asyncio.Semaphore(AT_ONCE)
    verdicts = [asyncio.create_task(verdict(path, turn)) for path in paths]
    differs = False
    for path, each in zip(paths, verdicts, strict=True):
        found = await each
        print(found.line, flush=True)
        if found.remarks:
            print(f"{path.stem}: {len(found.remarks)} steps were taken for remarks", file=sys.stderr)
        differs |= found.differs
    return int(differs)


if __name__ == "__main__":
    code = asyncio.run(main(sorted(Path(sys.argv[1]).glob("*.json"))))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
