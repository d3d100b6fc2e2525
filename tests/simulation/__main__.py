"""`make simulate SEEDS=n`: many seeds; a failing one is shrunken, and printed with the command that repeats it."""

from __future__ import annotations

import argparse
import os
import sys
import time

from tests.simulation.play import failure_of, shrink
from tests.simulation.schedule import dump, load, schedule


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seed", type=int, help="one seed only, with its steps")
    parser.add_argument("--steps", help="the steps instead of those of the seed, as a failure prints them")
    parser.add_argument("--regions", type=int, default=2)
    parser.add_argument("--no-shrink", action="store_true")
    options = parser.parse_args()
    regions = tuple("ABCDEFGHI"[: options.regions])
    if options.seed is not None:
        steps = load(options.steps) if options.steps else schedule(options.seed, regions)
        for step in steps:
            print(step)
        failure = failure_of(options.seed, steps, regions)
        print(failure or "all invariants hold")
        return int(bool(failure))
    failed, begin = 0, time.monotonic()
    for seed in range(options.first, options.first + options.seeds):
        steps = schedule(seed, regions)
        failure = failure_of(seed, steps, regions)
        if not failure:
            continue
        failed += 1
        print(f"seed {seed}: {failure}", flush=True)
        if not options.no_shrink:
            steps = shrink(seed, steps, regions, failure)
            for step in steps:
                print(f"    {step}")
            command = f"--seed {seed} --regions {options.regions} --steps '{dump(steps)}'"
            print(f"  PYTHONHASHSEED=0 python -m tests.simulation {command}", flush=True)
    took = time.monotonic() - begin
    print(f"{options.seeds} seeds, {failed} failed, {options.seeds / took:.1f} seeds/s")
    return int(bool(failed))


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # sets of strings are walked in the same order each time
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])
    code = main()
    sys.stdout.flush()
    os._exit(code)
