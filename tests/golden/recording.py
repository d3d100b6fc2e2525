"""A recording of a real pair of clusters: its steps in the order in which they were issued, and its snapshots."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A call to one cluster and its answer. Seconds."""

    at: float
    ended: float
    cluster: str
    method: str
    redirect: bool | None  # the header `xdc-redirection`; None: not sent
    request: Json
    answer: Json | None  # None: refused
    error: Json | None


@dataclass(frozen=True)
class Note:
    """What was done beside calls, in words."""

    at: float
    text: str


@dataclass(frozen=True)
class Snapshot:
    """What both clusters had."""

    at: float
    name: str
    workflows: Json = field(repr=False)
    namespaces: Json = field(repr=False)


Step = Call | Note | Snapshot


@dataclass(frozen=True)
class Recording:
    """One scenario."""

    name: str
    namespace: str
    steps: list[Step]
    problem: str = ""  # why it cannot be played

    @property
    def number(self) -> str:
        """`05d` of `05d_same_wid_one_direction_first_zombie`."""
        return self.name.partition("_")[0]


def load(path: Path) -> Recording:
    """Read one file."""
    raw = json.loads(path.read_text())
    steps: list[Step] = []
    problem = "" if raw.get("steps") else "it has no steps"
    for step in raw.get("steps", []):
        if "call" in step:
            steps.append(_call(step))
        elif isinstance(step.get("note"), str):
            steps.append(Note(step["t"], step["note"]))
    for name, snapshot in raw.get("snapshots", {}).items():
        steps.append(Snapshot(snapshot["t"], name, snapshot["workflows"], snapshot["namespace"]))
    steps.sort(key=lambda step: step.at)
    return Recording(path.stem, raw.get("namespace", ""), steps, problem)


def _call(step: Json) -> Call:
    result = step["res"]
    return Call(
        at=step["t"],
        ended=step["t"] + result["ms"] / 1000,
        cluster=step["cluster"],
        method=step["call"],
        redirect=step["redirect_header"],
        request=step["req"],
        answer=result.get("ok"),
        error=result.get("error"),
    )
