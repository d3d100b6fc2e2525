from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockcloud.endpoints.resolver import Resolver

# The package's fixture of loops warns everywhere.
pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy:DeprecationWarning")


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def test_an_answer_is_believed_until_it_is_too_old() -> None:
    clock = Clock()
    resolver = Resolver(15.0, clock)
    assert resolver.resolve("east") == "east"

    clock.time += 14.9
    assert resolver.resolve("west") == "east"
    clock.time += 0.1
    assert resolver.resolve("west") == "west"
    clock.time += 14.9
    assert resolver.resolve("east") == "west", "asked again, it is believed anew"


def test_what_is_forgotten_is_asked_again() -> None:
    resolver = Resolver(15.0, Clock())
    resolver.resolve("east")

    resolver.forget("north")
    assert resolver.resolve("west") == "east"
    resolver.forget("east")
    assert resolver.resolve("west") == "west"


def test_who_has_not_asked_for_long_hears_of_the_switch_at_once() -> None:
    clock = Clock()
    resolver = Resolver(15.0, clock)
    resolver.resolve("east")
    clock.time += 60

    assert resolver.resolve("west") == "west"


def test_that_there_is_nothing_is_not_believed() -> None:
    resolver = Resolver(15.0, Clock())
    assert resolver.resolve("") == ""
    assert resolver.resolve("east") == "east"


@given(st.lists(st.tuples(st.floats(0, 30), st.sampled_from(["east", "west"]))))
def test_without_lag_the_answer_is_what_is_published(steps: list[tuple[float, str]]) -> None:
    clock = Clock()
    resolver = Resolver(0.0, clock)
    for seconds, published in steps:
        clock.time += seconds
        assert resolver.resolve(published) == published


@given(st.lists(st.tuples(st.floats(0, 30), st.sampled_from(["east", "west"])), min_size=1))
def test_no_answer_is_older_than_its_time(steps: list[tuple[float, str]]) -> None:
    clock = Clock()
    resolver = Resolver(15.0, clock)
    published: list[tuple[float, str]] = []
    for seconds, region in steps:
        clock.time += seconds
        published.append((clock.time, region))
        recent = {then for at, then in published if at > clock.time - 15.0}
        assert resolver.resolve(region) in recent
