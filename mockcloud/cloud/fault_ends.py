"""Between what there can be faults: two regions, the control plane and a region, clients and an endpoint.

An endpoint is named by its region or namespace; a namespace that bears a region's name shares that one's faults.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from mockcloud.core.errors import InvalidArgument
from mockcloud.rpc.faults import FaultKind

CLIENTS: Final = "clients"
CONTROL: Final = "control"
ENDS: Final = frozenset({CLIENTS, CONTROL})

# What can happen to a stream of bytes: the network repairs the rest.
_OF_CLIENTS: Final = frozenset({FaultKind.PARTITION, FaultKind.DELAY, FaultKind.PAUSE})


def check(
    kind: str, ends: tuple[str, str], *, one_way: bool, regions: Collection[str], namespaces: Collection[str]
) -> None:
    """Raises InvalidArgument when nothing passes between these ends, or nothing to which this can happen."""
    known = {*regions, *ENDS, *(namespaces if CLIENTS in ends else ())}
    for end in ends:
        if end not in known:
            what = "region or namespace" if CLIENTS in ends else "region"
            raise InvalidArgument(f"{what} {end!r} does not exist; there are: {', '.join(regions)}")
    if set(ends) <= ENDS:
        raise InvalidArgument(f"nothing passes between {ends[0]} and {ends[1]}")
    if CLIENTS not in ends:
        return
    if kind not in _OF_CLIENTS and kind in set(FaultKind):
        possible = ", ".join(sorted(_OF_CLIENTS))
        raise InvalidArgument(f"a client's connection is a stream of bytes: there are {possible}, not {kind}")
    if kind == FaultKind.PARTITION and one_way:
        raise InvalidArgument("a client's connection that is cut one way is cut")
