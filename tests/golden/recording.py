"""A recording of a real pair of clusters: its steps in the order in which they were issued, and its snapshots."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

Json = dict[str, Any]

HANDOVER_ERROR: Final = "Namespace replication in Handover state."
_AT_ONCE: Final = 0.1  # seconds; a call that is held in HANDOVER takes longer, whatever its deadline

# Settings that a recording was made with and no step of it says.
_SELECTED: Final = {"11a_handover_calls_nowait"}

_CALL_KEYS: Final = {"t", "cluster", "call", "redirect_header", "req", "res"}
_CUT: Final = re.compile(r"(cut|healed) link (?:(?:AtoB|BtoA),?)+$")
_CONVERGED: Final = re.compile(r"converged\b")
_SEEN: Final = re.compile(r"namespace failover version (\d+) seen on ([AB]+)")
_POLICY: Final = re.compile(r"policy (all|selected)\b")


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

    @property
    def refused_in_handover(self) -> bool:
        return self.error is not None and self.error["message"] == HANDOVER_ERROR


@dataclass(frozen=True)
class Links:
    """Connections were cut, or healed: (by whom, to whom). Over one, data flow to the one whose it is."""

    at: float
    cut: bool
    connections: list[tuple[str, str]]


@dataclass(frozen=True)
class Converged:
    """It was waited until nothing moved."""

    at: float


@dataclass(frozen=True)
class Seen:
    """It was waited until clusters knew of a failover version."""

    at: float
    version: int
    clusters: str


@dataclass(frozen=True)
class Snapshot:
    """What both clusters had."""

    at: float
    name: str
    workflows: Json = field(repr=False)
    namespaces: Json = field(repr=False)


Step = Call | Links | Converged | Seen | Snapshot


@dataclass(frozen=True)
class Recording:
    """One scenario."""

    name: str
    namespace: str
    steps: list[Step]
    remarks: list[str] = field(default_factory=list)  # steps that say something and do nothing
    not_understood: list[str] = field(default_factory=list)  # steps that no player can have played
    selected: bool = False  # the namespace forwarded only the "selected" calls

    @property
    def calls(self) -> list[Call]:
        return [step for step in self.steps if isinstance(step, Call)]

    @property
    def rejects_in_handover(self) -> bool:
        """Whether no call that met HANDOVER was held: they were refused at once, however long their deadline."""
        took = [call.ended - call.at for call in self.calls if call.refused_in_handover]
        return bool(took) and max(took) < _AT_ONCE


def load(path: Path) -> Recording:
    """Read one file."""
    raw = json.loads(path.read_text())
    recording = Recording(path.stem, raw.get("namespace", ""), [])
    selected = path.stem in _SELECTED
    for step in raw.get("steps", []):
        policy = _POLICY.match(step["note"]) if isinstance(step.get("note"), str) else None
        if policy:
            selected = policy[1] == "selected"
        _read(step, recording)
    for name, snapshot in raw.get("snapshots", {}).items():
        recording.steps.append(Snapshot(snapshot["t"], name, snapshot["workflows"], snapshot["namespace"]))
    recording.steps.sort(key=lambda step: step.at)
    return Recording(
        path.stem,
        recording.namespace,
        recording.steps,
        recording.remarks,
        recording.not_understood,
        selected,
    )


def _read(step: Json, into: Recording) -> None:
    """A step by its kind: a call, a note that something was done, or a remark."""
    text = json.dumps(step, ensure_ascii=False)
    if "call" in step:
        if step.keys() >= _CALL_KEYS and len(step["res"].keys() & {"ok", "error"}) == 1:
            into.steps.append(_call(step))
        else:
            into.not_understood.append(f"a call without {_missing(step)}: {text[:200]}")
        return
    note = step.get("note")
    if not isinstance(note, str):
        into.remarks.append(text)
    elif _CUT.match(note):
        connections = [(via, to) for via, to in re.findall(r"\b([AB])to([AB])\b", note)]
        into.steps.append(Links(step["t"], note.startswith("cut"), connections))
    elif _CONVERGED.match(note):
        into.steps.append(Converged(step["t"]))
    elif seen := _SEEN.match(note):
        into.steps.append(Seen(step["t"], int(seen[1]), seen[2]))
    elif note.startswith(("cut link", "healed link", "namespace failover version")):
        into.not_understood.append(note)
    else:
        into.remarks.append(note)


def _missing(step: Json) -> str:
    return ", ".join(sorted(_CALL_KEYS - step.keys())) or "an answer or an error"


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
