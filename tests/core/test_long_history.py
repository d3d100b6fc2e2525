"""A long history costs what its events cost, each the same. Counted in calls, so that no machine's mood matters."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

from mockcloud.core import activity
from mockcloud.core.derive import derive
from tests.core.lives import WorkedLife, cancel_timer, schedule, start_timer
from tests.core.makers import payloads

SHORT, LONG = 40, 400  # steps of some ten events


def calls_of(work: Callable[[], object]) -> int:
    """How many calls, of Python and of C, some work makes."""
    count = 0

    def tell(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(tell)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def live(life: WorkedLife, steps: int) -> None:
    """Signals, workflow tasks, timers, activities: what most histories are made of."""
    for step in range(steps):
        life.signal()
        life.decide(start_timer(str(step)), schedule(str(step), start_to_close=60))
        token = life.take_activity(f"poll-{step}").token
        change = life.change()
        activity.complete(change, token, payloads("x"), "worker")
        life.commit(change)
        life.decide(cancel_timer(str(step)))
        derive(life.run)


def test_building_is_linear() -> None:
    costs = {}
    for steps in (SHORT, LONG):
        life = WorkedLife()
        life.decide()
        costs[steps] = calls_of(lambda life=life, steps=steps: live(life, steps)) / len(life.events)  # type: ignore[misc]
    assert costs[LONG] < 1.3 * costs[SHORT]


def test_folding_is_linear() -> None:
    costs = {}
    for steps in (SHORT, LONG):
        life = WorkedLife()
        life.decide()
        live(life, steps)
        costs[steps] = calls_of(life.rebuilt) / len(life.events)
    assert costs[LONG] < 1.3 * costs[SHORT]
