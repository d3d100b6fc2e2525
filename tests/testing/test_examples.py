"""The examples run as they are, as a process of their own, and show what they promise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
EAST, WEST = "aws-us-east-1", "aws-us-west-2"
ENOUGH = 30  # tasks of each phase of the stories of Workers
IN_FLIGHT = 4  # tasks that a Worker may have got before the switch and does after it


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


def test_a_split_brain_is_told_and_checked() -> None:
    output = run("split_brain.py")
    _, cut, split, healed, end = re.split(r"^[2-5]\. ", output, flags=re.MULTILINE)

    assert f"failover to {WEST}: FULFILLED, forced" in cut
    assert re.search(rf"{WEST} had not received \d+ events of 1 workflow: signals \(1\), ", cut)

    for region, version in ((EAST, 1), (WEST, 2)):
        assert f"{region} says: {region} is active, failover version {version}" in split
        assert f"{region} says: {WEST} is active, failover version 2" in healed
    assert f"{EAST} believes that order-1 is: bread, butter, jam -> the office" in split
    assert f"{WEST} believes that order-1 is: bread, honey -> home" in split
    assert len(set(re.findall(r"started order-2 with \w+, run (\S+)", split))) == 2

    one_run, two_runs = healed.split("order-2, which both sides started")
    assert re.search(r"recovered +none\n +reapplied +signals \(3\), updates \(1\)\n", one_run)
    again = r"reapplied +(.+) \(event \d+\): written again as event (\d+)"
    reapplied = re.findall(again + "$", one_run, flags=re.MULTILINE)
    assert [asked for asked, _ in reapplied] == [
        "signal add butter",
        "signal add jam",
        "update deliver_to the office",
    ]
    assert re.findall(r"(loses|wins) +\d+ events of failover version (\d)", one_run) == [
        ("loses", "1"),
        ("wins", "2"),
    ]
    assert re.search(r"wins +run \S+, RUNNING: start with coffee$", two_runs, flags=re.MULTILINE)
    assert re.search(
        r"loses +run \S+, TERMINATED: start with tea\n"
        r' +ended by the server \(history-service\): "Terminate Workflow Due To Version Conflict\."$',
        two_runs,
        flags=re.MULTILINE,
    )
    assert re.search(r"lost +start with tea \(event 1\): ", two_runs)
    ((signal, _),) = re.findall(again + " of the winning run$", two_runs, flags=re.MULTILINE)
    assert signal == "signal add milk"

    assert "order-1: bread, honey, butter, jam -> the office" in end
    assert "order-2: coffee, sugar, milk -> the shop" in end
    assert dict(re.findall(r"(\w+) +taken from the shelf (\dx, sent \dx)", end)) == {
        **dict.fromkeys(("bread", "honey", "coffee", "sugar"), "1x, sent 1x"),
        **dict.fromkeys(("butter", "jam", "milk"), "2x, sent 1x"),
        "tea": "1x, sent 0x",
    }
    assert output.count("checked: ") == 16


class TestWorkers:
    """The four patterns: which region's Workers did which tasks, and how long nobody did any."""

    def test_cold(self) -> None:
        story = Story("cold")
        assert story.tasks("before", "orders", WEST) == story.tasks("after", "orders", EAST) == 0
        assert story.tasks("before", "orders", EAST) >= ENOUGH
        assert story.tasks("after", "orders", WEST) >= ENOUGH
        assert f"{EAST} and its Workers are gone; failover to {WEST}: forced" in story.output
        assert story.pause("orders") > 0

    def test_hot(self) -> None:
        story = Story("hot")
        assert story.tasks("before", "orders", WEST) == story.tasks("after", "orders", EAST) == 0
        assert story.tasks("before", "orders", EAST) >= ENOUGH
        assert story.tasks("after", "orders", WEST) >= ENOUGH
        assert f"{EAST} and its Workers are gone; failover to {WEST}: forced" in story.output
        assert story.pause("orders") < 10, "they are warm"

    def test_active_active(self) -> None:
        story = Story("active_active")
        for phase in ("before", "after"):
            for region in (EAST, WEST):
                assert story.tasks(phase, "orders", region) >= ENOUGH
        assert f"failover to {WEST}: graceful" in story.output
        assert story.pause("orders") < 10

    def test_dual_active(self) -> None:
        story = Story("dual_active")
        for namespace, region, other in (("orders-east", EAST, WEST), ("orders-west", WEST, EAST)):
            assert story.tasks("before", namespace, region) >= ENOUGH
            assert story.tasks("before", namespace, other) == 0
            assert story.tasks("after", namespace, WEST) >= ENOUGH
            assert story.tasks("after", namespace, EAST) <= IN_FLIGHT
            assert story.pause(namespace) < 10
        assert f"failover of orders-east to {WEST}: graceful" in story.output


class Story:
    """What an example of Workers has told."""

    def __init__(self, name: str) -> None:
        self.output = run(f"workers/{name}.py")

    def tasks(self, phase: str, namespace: str, region: str) -> int:
        """How many the Workers of a region did in a phase."""
        (line,) = re.findall(rf"^{phase}: tasks of {namespace} done in (.*)$", self.output, re.MULTILINE)
        (count,) = re.findall(rf"{region} (\d+)", line)
        return int(count)

    def pause(self, namespace: str) -> float:
        """Seconds for which nobody did a task."""
        (seconds,) = re.findall(rf"nobody did a task of {namespace} for ([\d.]+) s", self.output)
        return float(seconds)
