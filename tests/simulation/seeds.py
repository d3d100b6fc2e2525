"""Plays many seeds, in processes that end after some of them.

So memory stays what it is, and a planted bug ends with its process. What comes of a seed does not depend on others.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from tests.simulation.plants import PLANTS
from tests.simulation.play import Played, play, shrink
from tests.simulation.schedule import dump, schedule

_SEEDS_PER_PROCESS = 100


@dataclass(frozen=True)
class Verdict:
    """What came of one seed."""

    seed: int
    played: Played
    told: str  # the failure, its smaller schedule and the command; empty: none


def judge(seed: int, regions: tuple[str, ...], *, shrunken: bool) -> Verdict:
    """Play one seed."""
    steps = schedule(seed, regions)
    played = play(seed, steps, regions)
    if not played.failure:
        return Verdict(seed, played, "")
    lines = [f"seed {seed}: {played.failure}"]
    if shrunken:
        steps = shrink(seed, steps, regions, played.failure)
        lines += [f"    {step}" for step in steps]
    command = f"--seed {seed} --regions {len(regions)} --steps '{dump(steps)}'"
    lines.append(f"  PYTHONHASHSEED=0 python -m tests.simulation {command}")
    return Verdict(seed, played, "\n".join(lines))


def _begin(plant: str) -> None:
    if plant:
        PLANTS[plant](setattr)


def verdicts(
    seeds: Sequence[int], regions: tuple[str, ...], *, jobs: int, shrunken: bool, plant: str = ""
) -> Iterator[Verdict]:
    """Of all seeds, as they come, from `jobs` processes."""
    work = partial(judge, regions=regions, shrunken=shrunken)
    # Not ProcessPoolExecutor: until Python 3.12 it can wait for ever for a process that it should have renewed.
    pool = multiprocessing.get_context("spawn").Pool(
        jobs, initializer=_begin, initargs=(plant,), maxtasksperchild=_SEEDS_PER_PROCESS
    )
    with pool:
        yield from pool.imap_unordered(work, seeds)
