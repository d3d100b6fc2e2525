"""What a client's resolver believes of an endpoint's name: it asks again only when its answer is too old.

The Cloud's record of a namespace endpoint has a TTL of 15 seconds, so that for so long after a failover new connections
may still go to the old region.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final


class Resolver:
    """A cache for one name. `ttl` are seconds on the scale of `now`; with 0 every answer is fresh."""

    def __init__(self, ttl: float, now: Callable[[], float]) -> None:
        self._ttl: Final = ttl
        self._now: Final = now
        self._answer = ""
        self._expires = 0.0

    def forget(self, answer: str) -> None:
        """If that is what it believes, ask again next time."""
        if self._answer == answer:
            self._answer = ""

    def resolve(self, published: str) -> str:
        """What the client gets to know while `published` stands in the DNS. That there is nothing is not kept."""
        now = self._now()
        if not self._answer or now >= self._expires:
            self._answer, self._expires = published, now + self._ttl
        return self._answer
