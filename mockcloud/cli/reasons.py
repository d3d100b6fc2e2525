"""Explanations that many lines share: the lines have a number, and each explanation is printed once, below them."""

from __future__ import annotations

from collections.abc import Iterator


class Reasons:
    """Those of one answer, in the order in which they come up."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, reason: str) -> str:
        """What goes to the end of a line that this explains."""
        return f" [{self._numbers.setdefault(reason, len(self._numbers) + 1)}]"

    def lines(self) -> Iterator[str]:
        """The explanations by their numbers."""
        for reason, number in self._numbers.items():
            yield f"[{number}] {reason}"
