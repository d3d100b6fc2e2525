"""The links between the regions of one cloud, and the faults that are on them.

A link has two directions, and each direction its own state. A fault acts on both, or with `one_way` on that
from `source` to `target`; faults of several kinds compose. Here is only what is in force: `faulty_transport`
acts on it. A fault is in force when `add` returns, and gone when `remove` does. Belongs to one event loop.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from mockcloud.core.errors import AlreadyExists, InvalidArgument, NotFound


class FaultKind(StrEnum):
    """What can happen to messages on a link."""

    PARTITION = "partition"  # nothing passes
    DELAY = "delay"  # everything takes `seconds` longer, in order
    DROP = "drop"  # a message is lost with `probability`
    DUPLICATE = "duplicate"  # a message of a stream arrives twice with `probability`
    REORDER = "reorder"  # a message of a stream is overtaken by the next one with `probability`
    PAUSE = "pause"  # everything waits, in order


_WITH_PROBABILITY: Final = frozenset({FaultKind.DROP, FaultKind.DUPLICATE, FaultKind.REORDER})


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault on one link."""

    name: str
    kind: FaultKind
    source: str
    target: str
    one_way: bool
    seconds: float  # of a delay; 0 for other kinds
    probability: float  # of a drop, duplicate or reorder; 1 for other kinds
    _links: Links = field(repr=False, compare=False)

    def remove(self) -> None:
        """Takes it away; a second time does nothing."""
        if any(fault is self for fault in self._links.faults):
            self._links.remove(self.name)

    def acts_on(self, source: str, target: str) -> bool:
        """Whether messages from `source` to `target` meet it."""
        direction = (source, target)
        return direction == (self.source, self.target) or (
            not self.one_way and direction == (self.target, self.source)
        )


class LinkState:
    """One direction of a link, as it is now. Read its fields at any time; `watch` tells of changes."""

    __slots__ = (
        "_watchers",
        "clear",
        "cut",
        "delay",
        "drop",
        "duplicate",
        "paused",
        "reorder",
        "source",
        "target",
    )

    def __init__(self, source: str, target: str) -> None:
        self.source = source
        self.target = target
        self.clear = True  # no fault at all
        self.cut = False
        self.paused = False
        self.delay = 0.0  # seconds
        self.drop = 0.0  # probabilities
        self.duplicate = 0.0
        self.reorder = 0.0
        self._watchers: dict[object, Callable[[], None]] = {}

    def apply(self, faults: list[Fault]) -> bool:
        """Takes the sum of `faults`; whether anything changed."""
        before = self._values()
        self.cut = any(fault.kind is FaultKind.PARTITION for fault in faults)
        self.paused = any(fault.kind is FaultKind.PAUSE for fault in faults)
        self.delay = sum(fault.seconds for fault in faults if fault.kind is FaultKind.DELAY)
        self.drop = _either(faults, FaultKind.DROP)
        self.duplicate = _either(faults, FaultKind.DUPLICATE)
        self.reorder = _either(faults, FaultKind.REORDER)
        self.clear = not any(self._values())
        return before != self._values()

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Calls `watcher` after each change, until the returned function is called."""
        key = object()
        self._watchers[key] = watcher

        def unwatch() -> None:
            self._watchers.pop(key, None)

        return unwatch

    def tell(self) -> None:
        """Calls the watchers."""
        for watcher in tuple(self._watchers.values()):
            watcher()

    def _values(self) -> tuple[float, ...]:
        return (self.cut, self.paused, self.delay, self.drop, self.duplicate, self.reorder)


def _nobody(_what: str, _fault: Fault) -> None:
    """Nobody listens."""


class Links:
    """All links of a cloud. `rng` decides what is lost, doubled, overtaken: a seed repeats it."""

    def __init__(self, rng: random.Random, told: Callable[[str, Fault], None] = _nobody) -> None:
        """`told` is called with "added" or "removed" and the fault, when it is in force or gone."""
        self.rng: Final = rng
        self._told: Final = told
        self._faults: Final[dict[str, Fault]] = {}
        self._states: Final[dict[tuple[str, str], LinkState]] = {}
        self._listeners: Final[list[Callable[[str, str], None]]] = []
        self._numbers: Final = itertools.count(1)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is in force, oldest first."""
        return tuple(self._faults.values())

    def direction(self, source: str, target: str) -> LinkState:
        """Messages from `source` to `target`: the same object for ever."""
        state = self._states.get((source, target))
        if state is None:
            state = self._states[source, target] = LinkState(source, target)
        return state

    def add(
        self,
        kind: FaultKind | str,
        source: str,
        target: str,
        *,
        one_way: bool = False,
        name: str = "",
        seconds: float = 0.0,
        probability: float = 1.0,
    ) -> Fault:
        """Puts a fault in force. Without `name` it is called "partition-1", "delay-2", ….

        Raises InvalidArgument for what makes no sense, AlreadyExists for a name that is in use.
        """
        fault = Fault(
            name or self._new_name(kind), _kind(kind), source, target, one_way, seconds, probability, self
        )
        _check(fault)
        if fault.name in self._faults:
            raise AlreadyExists(f"fault {fault.name} exists already")
        self._faults[fault.name] = fault
        self._changed(fault)
        self._told("added", fault)
        return fault

    def remove(self, name: str) -> Fault:
        """Takes a fault away. NotFound when there is none of that name."""
        fault = self._faults.pop(name, None)
        if fault is None:
            raise NotFound(f"no fault is named {name}")
        self._changed(fault)
        self._told("removed", fault)
        return fault

    def reset(self) -> None:
        """Takes all faults away."""
        for name in tuple(self._faults):
            self.remove(name)

    def listen(self, listener: Callable[[str, str], None]) -> Callable[[], None]:
        """Calls `listener(source, target)` for each direction that changed, until the result is called.

        A healed link is a change: who has something to send over it sends it then.
        """
        self._listeners.append(listener)

        def unlisten() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unlisten

    def _changed(self, fault: Fault) -> None:
        changed = []
        for source, target in ((fault.source, fault.target), (fault.target, fault.source)):
            state = self.direction(source, target)
            if state.apply([other for other in self.faults if other.acts_on(source, target)]):
                changed.append(state)
        # Both directions are as they will be before anybody hears of either.
        for state in changed:
            state.tell()
            for listener in tuple(self._listeners):
                listener(state.source, state.target)

    def _new_name(self, kind: FaultKind | str) -> str:
        return next(name for number in self._numbers if (name := f"{kind}-{number}") not in self._faults)


def _kind(kind: FaultKind | str) -> FaultKind:
    try:
        return FaultKind(kind)
    except ValueError:
        raise InvalidArgument(f"unknown fault {kind!r}: there are {', '.join(FaultKind)}") from None


def _check(fault: Fault) -> None:
    if fault.source == fault.target:
        raise InvalidArgument(f"a link has two regions, not {fault.source} twice")
    if not 0.0 <= fault.seconds < float("inf"):
        raise InvalidArgument("seconds must be a number, and not negative")
    if not 0.0 < fault.probability <= 1.0:
        raise InvalidArgument("probability must be above 0 and at most 1")
    if (fault.kind is FaultKind.DELAY) != (fault.seconds > 0):
        raise InvalidArgument("a delay has seconds, above 0; other faults have none")
    if fault.probability != 1.0 and fault.kind not in _WITH_PROBABILITY:
        raise InvalidArgument(f"a {fault.kind} has no probability")


def _either(faults: list[Fault], kind: FaultKind) -> float:
    """The probability that at least one of several independent faults happens."""
    none = 1.0
    for fault in faults:
        if fault.kind is kind:
            none *= 1.0 - fault.probability
    return 1.0 - none
