"""`make golden DIR=…`: play every recording of a folder; exit code 1 if one differs."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tests.golden.accepted import accepted
from tests.golden.player import play
from tests.golden.recording import load


def main(directory: Path) -> int:
    """Print a line per recording."""
    differs = False
    for path in sorted(directory.glob("*.json")):
        recording = load(path)
        reason = accepted(recording.name) or recording.problem
        if recording.problem:
            print(f"{recording.name} accepted: {reason}", flush=True)
            continue
        try:
            differences = asyncio.run(play(recording))
        except Exception as error:
            differences = [f"the player failed: {type(error).__name__}: {error}"]
        if not differences:
            print(f"{recording.name} equal", flush=True)
        elif reason:
            print(f"{recording.name} accepted: {reason}", flush=True)
        else:
            differs = True
            print(f"{recording.name} differs: {differences[0]}", flush=True)
    return int(differs)


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(code)
