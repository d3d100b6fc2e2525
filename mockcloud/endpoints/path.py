"""The way from clients to an endpoint and back, as faults have made it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol


class Direction(Protocol):
    """One direction of a path, as it is now (`rpc.faults.LinkState`)."""

    @property
    def clear(self) -> bool:
        """No fault at all."""
        ...

    @property
    def cut(self) -> bool: ...

    @property
    def paused(self) -> bool: ...

    @property
    def delay(self) -> float:
        """Seconds."""
        ...

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Calls `watcher` after each change, until the returned function is called."""
        ...


class _Open:
    clear = True
    cut = False
    paused = False
    delay = 0.0

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        return lambda: None


class Path(NamedTuple):
    """Both directions."""

    there: Direction  # from clients to the endpoint
    back: Direction

    @property
    def cut(self) -> bool:
        """A connection that cannot pass in one direction is none."""
        return self.there.cut or self.back.cut


OPEN = Path(_Open(), _Open())
"""Where nothing ever happens."""
