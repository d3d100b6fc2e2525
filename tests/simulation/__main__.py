"""`make simulate SEEDS=n`: many seeds; a failing one is shrunken, and printed with the command that repeats it.

A failing seed stops nothing: the last lines sum up.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Iterator

from tests.simulation.plants import OF_THREE_REGIONS, PLANTS
from tests.simulation.play import failure_of
from tests.simulation.schedule import load, schedule
from tests.simulation.seeds import Verdict, verdicts

_PROGRESS = 30.0  # seconds between two lines of progress


def _verdicts(options: argparse.Namespace, regions: tuple[str, ...], plant: str = "") -> Iterator[Verdict]:
    seeds = range(options.first, options.first + options.seeds)
    shrunken = not options.no_shrink and not plant
    return verdicts(seeds, regions, jobs=options.jobs, shrunken=shrunken, plant=plant)


def _regions(count: int) -> tuple[str, ...]:
    return tuple("ABCDEFGHI"[:count])


def many(options: argparse.Namespace, regions: tuple[str, ...]) -> int:
    """All seeds; how many failed."""
    begin = told = time.monotonic()
    failed, done, steps, cpu = [], 0, 0, 0.0
    for verdict in _verdicts(options, regions):
        done, steps, cpu = done + 1, steps + verdict.played.steps, cpu + verdict.played.cpu_seconds
        if verdict.told:
            failed.append(verdict.seed)
            print(verdict.told, flush=True)
        if time.monotonic() - told > _PROGRESS:
            told = time.monotonic()
            rate = done / (told - begin)
            print(
                f"{done} of {options.seeds} seeds, {len(failed)} failed, {rate:.1f} seeds/s",
                file=sys.stderr,
                flush=True,
            )
    took = time.monotonic() - begin
    print(
        f"{done} seeds, {len(failed)} failed, {done / took:.1f} seeds/s; {steps / done:.0f} steps each,"
        f" {60 * steps / 300 / cpu:.0f} schedules of 300 steps a minute of a core"
    )
    if failed:
        print(f"failed: {' '.join(map(str, sorted(failed)))}")
    return len(failed)


def plants(options: argparse.Namespace, names: list[str]) -> int:
    """Plant bugs, one after the other; how many were not found."""
    missed = 0
    for name in names:
        regions = _regions(max(options.regions, 3 if name in OF_THREE_REGIONS else 2))
        for count, verdict in zip(itertools.count(1), _verdicts(options, regions, name), strict=False):
            if verdict.played.failure:
                print(f"{name}: found after {count} seeds: {verdict.played.failure[:150]}", flush=True)
                break
        else:
            missed += 1
            print(f"{name}: not found in {options.seeds} seeds", flush=True)
    return missed


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seed", type=int, help="one seed only, with its steps")
    parser.add_argument("--steps", help="the steps instead of those of the seed, as a failure prints them")
    parser.add_argument("--regions", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument("--plant", choices=PLANTS, help="plant a bug, and stop when it is found")
    parser.add_argument("--plants", action="store_true", help="each of them")
    options = parser.parse_args()
    regions = _regions(options.regions)
    if options.seed is None:
        if options.plant or options.plants:
            return int(bool(plants(options, [options.plant] if options.plant else list(PLANTS))))
        return int(bool(many(options, regions)))
    if options.plant:
        PLANTS[options.plant](setattr)
    steps = load(options.steps) if options.steps else schedule(options.seed, regions)
    for step in steps:
        print(step)
    failure = failure_of(options.seed, steps, regions)
    print(failure or "all invariants hold")
    return int(bool(failure))


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # sets of strings are walked in the same order each time
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])
    code = main()
    sys.stdout.flush()
    os._exit(code)
