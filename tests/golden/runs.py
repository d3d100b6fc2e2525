"""The runs of one workflow id in one region, as a snapshot has them and as a cloud of ours has them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from google.protobuf.json_format import MessageToDict

from mockcloud.cloud.views import RunView
from tests.golden import compare
from tests.golden.compare import NOTHING, Difference
from tests.golden.recording import Json

Items = Sequence[Sequence[int]]


def recorded(run: Json, labels: Mapping[str, str]) -> Json:
    """A run of a snapshot."""
    return {
        "current": run["current"],
        "status": run.get("status", "RUNNING").removeprefix("WORKFLOW_EXECUTION_STATUS_"),
        "zombie": run["state"] == "WORKFLOW_EXECUTION_STATE_ZOMBIE",
        "items": next(each["items"] for each in run["versionHistories"] if each["current"]),
        "history": compare.cleaned(run["history"]["events"], labels),
        "losers": [
            {
                "items": branch["items"],
                "history": [
                    compare.cleaned(event, labels) for batch in branch["batches"] for event in batch["events"]
                ],
            }
            for branch in run["branches"]
        ],
    }


def ours(run: RunView, labels: Mapping[str, str]) -> Json:
    """The same of ours."""
    return {
        "current": run.current,
        "status": run.status,
        "zombie": run.zombie,
        "items": [list(item) for item in run.branches[0].items],
        "history": compare.cleaned([MessageToDict(event) for event in run.events], labels),
        "losers": [
            {
                "items": [list(item) for item in branch.items],
                "history": compare.cleaned([MessageToDict(event) for event in branch.events], labels),
            }
            for branch in run.branches[1:]
        ],
        **({"parked": run.parked} if run.parked else {}),
    }


def differences(theirs: Json, mine: Json, where: str) -> Iterator[Difference]:
    """Of one run."""
    for key in ("current", "status", "zombie", "parked"):
        yield from compare.values(theirs.get(key, NOTHING), mine.get(key, NOTHING), f"{where}: {key}")
    yield from _branch(theirs, mine, f"{where}: history")
    for branch, same in _paired(theirs["losers"], mine["losers"]):
        if branch is None or same is None:
            both = (NOTHING if each is None else _by_items(each) for each in (branch, same))
            yield Difference(f"{where}: losing branch", *both)
        else:
            yield from _branch(branch, same, f"{where}: losing branch {branch['items']}")


def _paired(theirs: Sequence[Json], mine: Sequence[Json]) -> Iterator[tuple[Json | None, Json | None]]:
    """Losing branches of the same version history, and those that are left over in their order."""
    left = sorted(mine, key=_by_items)
    alone: list[Json] = []
    for branch in sorted(theirs, key=_by_items):
        same = next((each for each in left if each["items"] == branch["items"]), None)
        if same is None:
            alone.append(branch)
        else:
            left.remove(same)
            yield branch, same
    yield from zip_longest(alone, left)


def _branch(theirs: Json, mine: Json, where: str) -> Iterator[Difference]:
    """The version history follows from the events; told apart only where it contradicts them, or they are equal."""
    found = list(compare.histories(theirs["history"], mine["history"], where))
    yield from found
    consistent = all(each["items"] == _items_of(each["history"]) for each in (theirs, mine))
    if theirs["items"] != mine["items"] and not (found and consistent):
        yield Difference(f"{where}, version history", _by_items(theirs), _by_items(mine))


def _items_of(history: Sequence[Json]) -> Items:
    last = {int(event["version"]): int(event["eventId"]) for event in history}
    return [[event_id, version] for version, event_id in last.items()]


def _by_items(branch: Json) -> str:
    return json.dumps(branch["items"])


def headline(run: Any) -> str:
    """A run that only one side has."""
    last = compare.cleaned(run["history"][-1], {}) if run["history"] else {}
    return f"a run {run['status']} of {len(run['history'])} events, the last {last.get('eventType', NOTHING)}"
