"""The examples run as they are, as a process of their own, and show what they promise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
EAST, WEST = "aws-us-east-1", "aws-us-west-2"


def run(example: str) -> str:
    """What it prints; without colours, in lines that are not broken."""
    ended = subprocess.run(
        [sys.executable, str(ROOT / "examples" / example)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1"},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stdout


def rows(table: str) -> list[list[str]]:
    """The cells of a table's rows."""
    found = [line.strip()[1:-1].split("│") for line in table.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in row] for row in found]


def test_an_order_lives_through_two_failovers() -> None:
    output = run("failover_mid_workflow.py")
    graceful, split = output.split("2. A cut link, a forced failover, and healing")

    assert f"failover to {WEST}: FULFILLED, graceful" in graceful
    assert "result: order-1: before the failover, after the failover" in graceful
    assert "both regions hold the same history, event by event" in graceful
    events = [row[1] for row in rows(graceful)]
    assert events[0] == "v1 workflow execution started"
    assert events[-1] == "v2 workflow execution completed"
    versions = [event.split()[0] for event in events]
    assert versions == sorted(versions), "version 1, then version 2"

    assert f"link cut; failover to {EAST}: FULFILLED, forced" in split
    (result,) = re.findall(r"result: (order-2: .*)", split)
    for note in (
        "while all is well",
        "told to the west during the split",
        "told to the east during the split",
    ):
        assert result.count(note) == 1, "acknowledged, so it is there, once"
    pictures = []
    for region in (EAST, WEST):
        _, _, picture = split.partition(f"order-2 as {region} has it: COMPLETED")
        assert "lost branch 1" in picture
        table = rows(picture.split("order-2 as ")[0])
        winner, loser = ([row[column] for row in table if row[column]] for column in (1, 2))
        assert winner[-1] == "v11 workflow execution completed"
        assert {event.split()[0] for event in winner} == {"v2", "v11"}
        assert {event.split()[0] for event in loser} == {"v2"}
        pictures.append(table)
    assert pictures[0] == pictures[1], "both regions have both branches"
