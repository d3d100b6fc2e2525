"""Tasks are given by priority, then in turns of fairness keys, then as they came."""

from __future__ import annotations

from collections import Counter
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from mockcloud.core.derived import Offer, TaskKind
from mockcloud.core.priorities import TaskPriority
from mockcloud.core.run import RunKey
from mockcloud.engine.backlog import Backlog
from mockcloud.engine.task_queue import Task, TaskQueue


def task(number: int, level: int = 3, key: str = "", weight: float = 0.0) -> Task:
    offer = Offer(TaskKind.ACTIVITY, number, 1, 0, "q", False, "q", number, TaskPriority(level, key, weight))
    return Task(RunKey("n", "w", "r"), offer, cast("TaskQueue", None))


def numbers(backlog: Backlog) -> list[int]:
    """What the backlog gives, one after the other."""
    found = []
    while (first := backlog.first()) is not None:
        backlog.take(first)
        found.append(first.offer.scheduled_event_id)
    return found


def filled(*tasks: Task, weights: dict[str, float] | None = None) -> Backlog:
    backlog = Backlog()
    for each in tasks:
        backlog.add(each, weights or {})
    return backlog


@given(st.lists(st.integers(1, 5)))
def test_priority_first_then_arrival(levels: list[int]) -> None:
    backlog = filled(*(task(number, level) for number, level in enumerate(levels)))
    given_ = numbers(backlog)
    assert given_ == sorted(range(len(levels)), key=lambda number: (levels[number], number))


def test_keys_take_turns() -> None:
    many = [task(number, key="big") for number in range(20)]
    few = [task(100 + number, key="small") for number in range(3)]
    first = numbers(filled(*many, *few))[:6]
    assert Counter(number >= 100 for number in first) == {True: 3, False: 3}


def test_weight_is_the_share() -> None:
    heavy = [task(number, key="heavy", weight=3) for number in range(60)]
    light = [task(100 + number, key="light") for number in range(60)]
    first = numbers(filled(*heavy, *light))[:40]
    assert sum(number < 100 for number in first) == 30


def test_overrides_come_before_a_tasks_own_weight() -> None:
    a = [task(number, key="a", weight=100) for number in range(60)]
    b = [task(100 + number, key="b") for number in range(60)]
    first = numbers(filled(*a, *b, weights={"a": 1.0, "b": 4.0}))[:50]
    assert sum(number >= 100 for number in first) == 40


def test_a_key_that_comes_late_gets_no_more_than_its_turn() -> None:
    backlog = filled(*(task(number, key="early") for number in range(100)))
    for _ in range(50):
        first = backlog.first()
        assert first is not None
        backlog.take(first)
    for number in range(10):
        backlog.add(task(200 + number, key="late"), {})
    first_twenty = numbers(backlog)[:20]
    assert sum(number >= 200 for number in first_twenty) == 10


def test_an_empty_level_owes_nothing() -> None:
    backlog = filled(*(task(number, key="a") for number in range(50)))
    numbers(backlog)
    backlog.add(task(1, key="a"), {})
    backlog.add(task(2, key="b"), {})
    assert numbers(backlog) == [1, 2]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "take", "remove", "back"]), st.integers(1, 3), st.sampled_from("ab ")
        ),
        max_size=120,
    )
)
def test_whatever_happens_each_task_is_there_once(steps: list[tuple[str, int, str]]) -> None:
    backlog, model, taken = Backlog(), dict[int, Task](), list[Task]()
    for number, (step, level, key) in enumerate(steps):
        if step == "add":
            model[number] = task(number, level, key.strip())
            backlog.add(model[number], {})
        elif step == "take" and (first := backlog.first()) is not None:
            assert first.offer.priority.level == min(each.offer.priority.level for each in model.values())
            backlog.take(first)
            taken.append(model.pop(first.offer.scheduled_event_id))
        elif step == "remove" and model:
            assert backlog.remove(model.pop(min(model)))
        elif step == "back" and taken:
            back = taken.pop()
            model[back.offer.scheduled_event_id] = back
            backlog.add(back, {}, first=True)
        assert len(backlog) == len(model) == sum(backlog.sizes().values())
        assert set(backlog) == set(model.values())
    assert sorted(numbers(backlog)) == sorted(model)
    assert len(backlog) == 0


def test_what_comes_back_is_first_in_its_place() -> None:
    backlog = filled(task(1), task(2), task(3))
    first = backlog.first()
    assert first is not None
    backlog.take(first)
    backlog.add(first, {}, first=True)
    assert numbers(backlog) == [1, 2, 3]


def test_the_oldest_and_the_ids() -> None:
    backlog = filled(task(10), task(20), task(30, level=1))
    assert (backlog.oldest(3), backlog.oldest(1), backlog.oldest(5)) == (10, 30, None)
    assert (backlog.last_id, backlog.acknowledged_id()) == (3, 0)
    for _ in range(2):
        first = backlog.first()
        assert first is not None
        backlog.take(first)
    assert backlog.acknowledged_id() == 1
    numbers(backlog)
    assert backlog.acknowledged_id() == 3
