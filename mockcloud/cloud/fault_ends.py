"""Between what there can be faults: two regions, the control plane and a region, clients and an endpoint.

An endpoint is named by its region or namespace; a namespace that bears a region's name shares that one's faults. What a
region works with is an end as well: `frontend` and a region is how it answers calls, `database` and a region how it
commits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from mockcloud.core.errors import InvalidArgument
from mockcloud.rpc.faults import FaultKind

CLIENTS: Final = "clients"
CONTROL: Final = "control"
FRONTEND: Final = "frontend"
DATABASE: Final = "database"
ENDS: Final = frozenset({CLIENTS, CONTROL, FRONTEND, DATABASE})

# What can happen there, and why nothing else can. Other ends are links.
_KINDS: Final[Mapping[str, tuple[frozenset[FaultKind], str]]] = {
    CLIENTS: (
        frozenset({FaultKind.PARTITION, FaultKind.DELAY, FaultKind.PAUSE}),
        "a client's connection is a stream of bytes",
    ),
    FRONTEND: (
        frozenset({FaultKind.PARTITION, FaultKind.DELAY, FaultKind.DROP, FaultKind.PAUSE}),
        "a call is answered, late, not at all or with an error",
    ),
    DATABASE: (
        frozenset({FaultKind.PARTITION, FaultKind.DELAY, FaultKind.DROP}),
        "a transaction is committed, late, or fails",
    ),
}
_ONE_WAY: Final = frozenset({CLIENTS, CONTROL})  # where there is a way back


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
    for end in ENDS.intersection(ends):
        possible, reason = _KINDS.get(end, (frozenset(FaultKind), ""))
        if kind in set(FaultKind) - possible:
            raise InvalidArgument(f"{reason}: there are {', '.join(sorted(possible))}, not {kind}")
        if one_way and end not in _ONE_WAY:
            raise InvalidArgument(f"the {end} of a region has no two ways")
    if CLIENTS in ends and kind == FaultKind.PARTITION and one_way:
        raise InvalidArgument("a client's connection that is cut one way is cut")
