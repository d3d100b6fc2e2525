"""Some seeds in each run of the suite, and the schedules that once broke an invariant; `make simulate` plays many."""

from __future__ import annotations

import pytest

from mockcloud.core import reapply
from tests.simulation import loop
from tests.simulation.found import FOUND, HEALED
from tests.simulation.plants import PLANTS
from tests.simulation.play import failure_of, shrink
from tests.simulation.schedule import dump, load, schedule

REGIONS = ("A", "B")


@pytest.mark.parametrize("first", range(1000, 1260, 10))
def test_seeds(first: int) -> None:
    for seed in range(first, first + 10):
        assert not failure_of(seed, schedule(seed, REGIONS), REGIONS), f"seed {seed}"


@pytest.mark.parametrize("first", range(2000, 2040, 5))
def test_three_regions(first: int) -> None:
    regions = ("A", "B", "C")
    for seed in range(first, first + 5):
        assert not failure_of(seed, schedule(seed, regions), regions), f"seed {seed}"


def _first_failure(kind: str) -> tuple[int, str]:
    """The first seed that breaks the invariant of that name, and how."""
    played = ((seed, failure_of(seed, schedule(seed, REGIONS), REGIONS)) for seed in range(1, 50))
    return next((seed, failure) for seed, failure in played if failure.startswith(f"{kind}:"))


def test_a_seed_makes_one_schedule() -> None:
    steps = schedule(7, REGIONS)
    assert steps == schedule(7, REGIONS)
    assert load(dump(steps)) == steps


def test_a_broken_rule_is_found_and_shrunken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancel requests of a losing branch that are lost leave nothing to see; a lost run is seen at once."""
    monkeypatch.setattr(reapply, "candidates", lambda events: 1 / 0)
    seed, failure = _first_failure("Applied")
    steps = schedule(seed, REGIONS)

    smaller = shrink(seed, steps, REGIONS, failure, tries=6)

    assert len(smaller) < len(steps)
    assert failure_of(seed, smaller, REGIONS).startswith("Applied")


def test_what_goes_round_and_round_ends_with_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted bug asks for the same events again and again, and no time passes."""
    monkeypatch.setattr(loop, "_MOST_TURNS", 20_000)
    PLANTS["ancestor-off-by-one"](monkeypatch.setattr)
    _, failure = _first_failure("Hung")
    assert failure.startswith("Hung: 20000 turns of the loop")


def test_every_planted_bug_can_be_planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they patch is there: `--plants` says after how many seeds each is found."""
    for plant in PLANTS.values():
        with monkeypatch.context() as patched:
            plant(patched.setattr)


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found(name: str) -> None:
    seed, steps = FOUND[name]
    regions = ("A", "B", "C") if any("C" in (step.region, step.target) for step in steps) else REGIONS
    assert not failure_of(seed, [*steps, HEALED], regions)
