from __future__ import annotations

import random

import pytest

from mockcloud.core.errors import AlreadyExists, InvalidArgument, NotFound
from mockcloud.rpc.faults import FaultKind, Links

EAST, WEST = "aws-us-east-1", "aws-us-west-2"


@pytest.fixture
def links() -> Links:
    return Links(random.Random(1))


def test_a_fault_acts_on_both_directions_at_once(links: Links) -> None:
    fault = links.add("partition", EAST, WEST)

    assert links.direction(EAST, WEST).cut
    assert links.direction(WEST, EAST).cut
    assert links.faults == (fault,)
    assert (fault.kind, fault.one_way, fault.name) == (FaultKind.PARTITION, False, "partition-1")


def test_a_one_way_fault_acts_from_source_to_target(links: Links) -> None:
    links.add("partition", EAST, WEST, one_way=True)

    assert links.direction(EAST, WEST).cut
    assert links.direction(WEST, EAST).clear


def test_other_links_are_untouched(links: Links) -> None:
    links.add("partition", EAST, WEST)

    assert links.direction(EAST, "gcp-us-central1").clear


def test_faults_compose_and_come_apart(links: Links) -> None:
    first = links.add("delay", EAST, WEST, seconds=0.25)
    links.add("delay", EAST, WEST, seconds=0.5, one_way=True)
    links.add("drop", EAST, WEST, probability=0.5)
    links.add("drop", WEST, EAST, probability=0.5)
    links.add("pause", WEST, EAST, one_way=True)

    there, back = links.direction(EAST, WEST), links.direction(WEST, EAST)
    assert (there.delay, there.drop, there.paused) == (0.75, 0.75, False)
    assert (back.delay, back.drop, back.paused) == (0.25, 0.75, True)

    first.remove()
    first.remove()
    assert (there.delay, back.delay) == (0.5, 0.0)

    links.reset()
    assert links.faults == ()
    assert there.clear
    assert back.clear


def test_names_are_unique_and_told(links: Links) -> None:
    links.add("pause", EAST, WEST, name="lunch")

    with pytest.raises(AlreadyExists, match="lunch"):
        links.add("drop", EAST, WEST, name="lunch")
    assert links.remove("lunch").kind is FaultKind.PAUSE
    with pytest.raises(NotFound, match="no fault is named lunch"):
        links.remove("lunch")


def test_a_removed_fault_does_not_take_its_namesake_away(links: Links) -> None:
    first = links.add("pause", EAST, WEST, name="lunch")
    first.remove()
    second = links.add("pause", EAST, WEST, name="lunch")

    first.remove()

    assert links.faults == (second,)


@pytest.mark.parametrize(
    "arguments",
    [
        {"kind": "meteor"},
        {"kind": "delay"},
        {"kind": "delay", "seconds": -1.0},
        {"kind": "pause", "seconds": 1.0},
        {"kind": "drop", "probability": 0.0},
        {"kind": "drop", "probability": 1.5},
        {"kind": "partition", "probability": 0.5},
        {"kind": "partition", "target": EAST},
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(
    links: Links, arguments: dict[str, object]
) -> None:
    with pytest.raises(InvalidArgument):
        links.add(**{"source": EAST, "target": WEST, **arguments})  # type: ignore[arg-type]
    assert links.faults == ()


def test_listeners_hear_of_changes_when_they_are_in_force(links: Links) -> None:
    heard: list[tuple[str, str, bool]] = []
    unlisten = links.listen(lambda a, b: heard.append((a, b, links.direction(a, b).cut)))

    first = links.add("partition", EAST, WEST, one_way=True)
    second = links.add("partition", EAST, WEST, one_way=True)
    first.remove()
    assert heard == [(EAST, WEST, True)]  # a second cut changes nothing, nor does healing one of two
    second.remove()
    assert heard[1:] == [(EAST, WEST, False)]

    unlisten()
    links.add("pause", EAST, WEST)
    assert len(heard) == 2
