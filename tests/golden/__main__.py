"""`make golden DIR=…`: play every recording of a folder; exit code 1 if one differs.

Several at a time: a recording is mostly waiting, for calls that end by their deadline.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tests.golden.accepted import accepted
from tests.golden.player import play
from tests.golden.recording import load

AT_ONCE = 16


async def verdict(path: Path, turn: asyncio.Semaphore) -> tuple[str, bool]:
    """A line on the recording, and whether it differs without a reason."""
    recording = load(path)
    reason = accepted(path)
    if recording.problem:
        return f"{recording.name} accepted: {reason or recording.problem}", False
    async with turn:
        try:
            differences = await play(recording)
        except Exception as error:
            differences = [f"the player failed: {type(error).__name__}: {error}"]
    if not differences:
        return f"{recording.name} equal", False
    if reason:
        return f"{recording.name} accepted: {reason}", False
    return f"{recording.name} differs: {differences[0]}", True


async def main(recordings: list[Path]) -> int:
    """Print a line per recording."""
    turn = asyncio.Semaphore(AT_ONCE)
    verdicts = [asyncio.create_task(verdict(path, turn)) for path in recordings]
    differs = False
    for each in verdicts:
        line, bad = await each
        print(line, flush=True)
        differs |= bad
    return int(differs)


if __name__ == "__main__":
    code = asyncio.run(main(sorted(Path(sys.argv[1]).glob("*.json"))))
    sys.stdout.flush()
    os._exit(code)
