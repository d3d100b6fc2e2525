"""What people cut and slow by hand: links, and clients' paths to endpoints.

Each method that begins something returns a fault with `.remove()`, and is in force when it returns.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Self

from mockcloud.cloud.fault_ends import CLIENTS
from mockcloud.rpc.faults import Fault, FaultKind

if TYPE_CHECKING:
    from mockcloud.cloud.facade import MockCloud


class AppliedFault:
    """A fault in force."""

    def __init__(self, owner: MockCloud, fault: Fault) -> None:
        self._owner = owner
        self._fault = fault

    @property
    def name(self) -> str:
        return self._fault.name

    def remove(self) -> None:
        """Take it away; removing twice is no error."""
        self._owner.call(self._fault.remove)


class Link:
    """The link between two ends of a cloud."""

    def __init__(self, owner: MockCloud, a: str, b: str) -> None:
        self._owner = owner
        self._a = a
        self._b = b

    def add(self, kind: FaultKind, one_way: bool, name: str, **parameters: float) -> AppliedFault:
        """Put a fault in force; `parameters` are those of `Links.add`."""
        cloud = self._owner.cloud
        fault = self._owner.call(
            lambda: cloud.add_fault(kind, self._a, self._b, one_way=one_way, name=name, **parameters)
        )
        return AppliedFault(self._owner, fault)

    def partition(self, *, one_way: bool = False, name: str = "") -> AppliedFault:
        """Cut the link: nothing passes."""
        return self.add(FaultKind.PARTITION, one_way, name)

    def delay(self, seconds: float, *, one_way: bool = False, name: str = "") -> AppliedFault:
        """Let every message take `seconds` longer, in order."""
        return self.add(FaultKind.DELAY, one_way, name, seconds=seconds)

    def drop(self, probability: float = 1.0, *, one_way: bool = False, name: str = "") -> AppliedFault:
        """Lose messages."""
        return self.add(FaultKind.DROP, one_way, name, probability=probability)

    def duplicate(self, probability: float = 1.0, *, one_way: bool = False, name: str = "") -> AppliedFault:
        """Let replication messages arrive twice."""
        return self.add(FaultKind.DUPLICATE, one_way, name, probability=probability)

    def reorder(self, probability: float = 1.0, *, one_way: bool = False, name: str = "") -> AppliedFault:
        """Let replication messages overtake each other."""
        return self.add(FaultKind.REORDER, one_way, name, probability=probability)

    def pause(self, *, one_way: bool = False, name: str = "") -> AppliedFault:
        """Hold messages back, in order, until `resume`."""
        return self.add(FaultKind.PAUSE, one_way, name)

    def resume(self) -> None:
        """Remove the pauses of this link."""
        self.remove({FaultKind.PAUSE})

    def heal(self) -> None:
        """Remove all faults of this link."""
        self.remove(set(FaultKind))

    def remove(self, kinds: Collection[FaultKind]) -> None:
        """Remove the faults of some kinds."""
        links = self._owner.cloud.links
        between = {self._a, self._b}

        def remove() -> None:
            for fault in list(links.faults):
                if fault.kind in kinds and {fault.source, fault.target} == between:
                    links.remove(fault.name)

        self._owner.call(remove)


class Endpoint(str):
    """HOST:PORT that clients dial, and the path from clients to it."""

    __slots__ = ("_path",)
    _path: Link

    def __new__(cls, address: str, owner: MockCloud, name: str) -> Self:
        endpoint = super().__new__(cls, address)
        endpoint._path = Link(owner, CLIENTS, name)
        return endpoint

    @property
    def address(self) -> str:
        """HOST:PORT, plain."""
        return str(self)

    # A string's own `partition` splits it; an address is split from its end, by `rpartition`.
    def partition(self, *, name: str = "") -> AppliedFault:  # type: ignore[override]
        """Cut the path: connections are reset, and new ones at once."""
        return self._path.partition(name=name)

    def delay(self, seconds: float, *, one_way: bool = False, name: str = "") -> AppliedFault:
        """Let every byte take `seconds` longer in each direction; `one_way`: only towards the endpoint."""
        return self._path.delay(seconds, one_way=one_way, name=name)

    def pause(self, *, one_way: bool = False, name: str = "") -> AppliedFault:
        """Let nothing pass and nobody notice, until `resume`: a network that swallows everything."""
        return self._path.pause(one_way=one_way, name=name)

    def resume(self) -> None:
        """Remove the pauses of this path."""
        self._path.resume()

    def heal(self) -> None:
        """Remove all faults of this path."""
        self._path.heal()
