"""What is done to a simulated cloud: a list of steps, made of a seed. A shorter list is a smaller schedule."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

SECONDS = 25.0  # of simulated time in which steps are taken
_STEPS = 32  # with what workers and clients go on to call, some 300
_SPLIT = 14  # steps that a split has
_LATE = 0.5  # of the schedules with a third region

# What a model workflow does, step by step: see `model`.
_SCRIPTS = {
    "a": 8,
    "t": 8,
    "s": 6,
    "c": 4,
    "x": 2,
    "n": 2,
    "k": 2,
    "h": 4,
    "u": 2,
    "r": 1,
    "C": 1,
    "o": 2,
    "z": 1,
    "f": 1,
}
_STARTS = ("", "", "", "", "signal", "retry", "cron", "delay", "policy")


@dataclass(frozen=True)
class Step:
    """One thing that happens at a moment."""

    at: float  # seconds
    kind: str  # start, signal, cancel, terminate, update, reset, fault, heal, crash, disk, failover, …
    region: str = ""  # whose endpoint is called, who crashes, who becomes active
    workflow_id: str = ""  # of a failover: one of the namespace
    detail: str = ""  # script of a start; kind of a fault; "forced" or "graceful"; "slow", "before", "after"
    target: str = ""  # other end of a link; kind of a start
    amount: float = 0.0  # seconds of a delay or an outage, or until a signal is sent again; probability

    def __str__(self) -> str:
        words = (self.kind, self.region, self.target, self.workflow_id, self.detail)
        return f"{self.at:7.3f} {' '.join(filter(None, words))}{f' {self.amount:.2f}' if self.amount else ''}"


def schedule(seed: int, regions: Sequence[str], steps: int = _STEPS) -> list[Step]:
    """The steps of a seed, in the order of their moments."""
    rng = random.Random(f"schedule-{seed}")
    workflows = [f"w{number}" for number in range(rng.choice([2, 4, 8]))]
    if rng.random() < 0.25:  # a second namespace
        workflows += [f"v{number}" for number in range(len(workflows))]
    # Some schedules are calm, some are full of one kind of trouble.
    weights = {
        "start": 8,
        "signal": 10,
        "cancel": rng.choice([0, 1]),
        "terminate": rng.choice([0, 1]),
        "update": rng.choice([0, 3]),
        "reset": rng.choice([0, 0, 1]),
        "fault": rng.choice([0, 3, 6]),
        "heal": rng.choice([1, 4]),
        "crash": rng.choice([0, 1, 3]),
        "disk": rng.choice([0, 0, 3]),
        "failover": rng.choice([1, 2, 4]),
        "delete": rng.choice([0, 0, 0, 1]),
        "pause": rng.choice([0, 0, 1]),
        "activity": rng.choice([0, 0, 2]),
        "schedule": rng.choice([0, 0, 1]),
        "batch": rng.choice([0, 0, 1]),
    }
    splits = rng.choice([0, 1, 2])
    kinds = rng.choices(list(weights), weights=list(weights.values()), k=steps - splits * _SPLIT)
    made = [_step(rng, kind, regions, workflows) for kind in kinds]
    for _ in range(splits):
        made += _split(rng, regions, workflows)
    if len(regions) > 2 and rng.random() < _LATE:
        made += _late(rng, regions)
    return sorted(made, key=lambda step: step.at)


def _split(rng: random.Random, regions: Sequence[str], workflows: Sequence[str]) -> list[Step]:
    """A forced failover while two regions do not hear of each other, and clients at both of them."""
    one, other = rng.sample(list(regions), 2)
    begin, workflow_id = rng.uniform(0, SECONDS - 10), rng.choice(workflows)
    made = [
        Step(begin, "start", one, workflow_id, detail="sstss"),
        Step(begin + rng.uniform(0, 2), "fault", one, detail="partition", target=other),
        Step(begin + 2, "failover", other, workflow_id, detail="forced"),
    ]
    for _ in range(_SPLIT - len(made) - 1):
        kind = rng.choice(["signal", "signal", "signal", "update", "start", "cancel", "terminate", "reset"])
        step = _step(rng, kind, (one, other), [workflow_id, rng.choice(workflows)])
        made.append(replace(step, at=begin + rng.uniform(1, 8)))
    made.append(Step(begin + rng.uniform(6, 10), "heal"))
    return [replace(step, at=round(step.at, 3)) for step in made]


def _late(rng: random.Random, regions: Sequence[str]) -> list[Step]:
    """A run that is deleted in one region while another one, which wrote it, has not yet told it to a third."""
    writer, deleter, third = rng.sample(list(regions), 3)
    begin = rng.uniform(0, SECONDS - 10)
    made = [
        Step(begin, "failover", writer, "d0", detail="graceful"),
        Step(begin + 1, "fault", writer, detail="partition", target=third),
        Step(begin + 1.5, "start", writer, "d0", detail=rng.choice(["s", "ks", "ts"])),
        Step(begin + rng.uniform(2, 4), "fault", writer, detail="partition", target=deleter),
        Step(begin + 4.5, "failover", deleter, "d0", detail="forced"),
        Step(begin + 5, "delete", deleter, "d0"),
        Step(begin + rng.uniform(5, 10), "heal"),
    ]
    return [replace(step, at=round(step.at, 3)) for step in made]


def _step(rng: random.Random, kind: str, regions: Sequence[str], workflows: Sequence[str]) -> Step:
    at = round(rng.uniform(0, SECONDS), 3)
    region, target = rng.sample(list(regions), 2)
    workflow_id = rng.choice(workflows)
    match kind:
        case "start":
            script = "".join(
                rng.choices(list(_SCRIPTS), weights=list(_SCRIPTS.values()), k=rng.randint(0, 5))
            )
            how = rng.choice(_STARTS)
            if how == "policy":
                how = f"policy:{rng.choice([1, 2, 3])}:{rng.choice([1, 2, 3])}"
            return Step(at, kind, region, workflow_id, detail=script, target=how)
        case "fault":
            fault = rng.choice(["partition", "partition", "cut", "delay", "drop", "duplicate", "reorder"])
            amount = {"delay": rng.uniform(0.05, 2), "partition": 0.0, "cut": 0.0}.get(
                fault, rng.uniform(0.1, 0.9)
            )
            return Step(at, kind, region, detail=fault, target=target, amount=round(amount, 2))
        case "crash":
            return Step(at, kind, region, amount=round(rng.choice([0.0, 1.0, rng.uniform(0, 10)]), 2))
        case "disk":
            detail = rng.choice(["slow", "before", "after"])
            amount = rng.choice([0.01, 0.2, 1.0]) if detail == "slow" else rng.choice([0.0, 1.0, 5.0])
            return Step(at, kind, region, detail=detail, amount=amount)
        case "signal":
            return Step(at, kind, region, workflow_id, amount=rng.choice([0.0, 0.0, 0.02, 0.5, 3.0]))
        case "failover":
            return Step(at, kind, region, workflow_id, detail=rng.choice(["forced", "graceful"]))
        case "pause":
            return Step(at, rng.choice(["pause", "unpause"]), region, workflow_id)
        case "activity":
            return Step(at, kind, region, workflow_id, detail=rng.choice(["on", "off"]))
        case "batch":
            return Step(at, kind, region, workflow_id, detail=rng.choice(["signal", "terminate"]))
        case "schedule":
            return Step(at, kind, region, workflow_id, amount=float(rng.randint(0, 5)))
        case "heal":
            return Step(at, kind)
        case _:
            return Step(at, kind, region, workflow_id)


def dump(steps: Sequence[Step]) -> str:
    """A schedule as one line, to be given again."""
    return json.dumps([[s.at, s.kind, s.region, s.workflow_id, s.detail, s.target, s.amount] for s in steps])


def load(line: str) -> list[Step]:
    return [Step(*values) for values in json.loads(line)]
