"""Where a task belongs in its queue."""

from __future__ import annotations

import math

import pytest
from temporalio.api.common.v1 import Priority

from mockcloud.core import priorities
from mockcloud.core.priorities import DEFAULT, TaskPriority


@pytest.mark.parametrize(
    ("base", "override", "expected"),
    [
        (Priority(priority_key=1), Priority(), Priority(priority_key=1)),
        (Priority(), Priority(priority_key=5), Priority(priority_key=5)),
        (
            Priority(priority_key=1, fairness_key="a", fairness_weight=2),
            Priority(fairness_key="b"),
            Priority(priority_key=1, fairness_key="b", fairness_weight=2),
        ),
    ],
)
def test_an_activity_overrides_field_by_field(base: Priority, override: Priority, expected: Priority) -> None:
    assert priorities.merged(base, override) == expected


@pytest.mark.parametrize(("key", "level"), [(0, 3), (1, 1), (3, 3), (5, 5), (6, 5), (1000, 5)])
def test_levels(key: int, level: int) -> None:
    assert priorities.in_queue(Priority(priority_key=key)).level == level


def test_a_weight_that_is_no_number_is_none() -> None:
    assert priorities.in_queue(Priority(fairness_weight=math.nan)) == DEFAULT


def test_no_priority_is_the_middle() -> None:
    assert priorities.in_queue(None) == DEFAULT == TaskPriority(3, "", 0.0)


@pytest.mark.parametrize(
    ("own", "overrides", "weight"),
    [(0.0, {}, 1.0), (2.5, {}, 2.5), (2.5, {"a": 7.0}, 7.0), (-1.0, {}, 1.0), (1e-9, {}, 0.001)],
)
def test_weights(own: float, overrides: dict[str, float], weight: float) -> None:
    assert priorities.weight(TaskPriority(3, "a", own), overrides) == weight
