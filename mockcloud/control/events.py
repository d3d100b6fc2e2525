"""What the control plane tells as it happens; whoever listens puts it in order and numbers it.

Kinds and what they carry are JSON. Telling must never wait, and never fail.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from mockcloud.control.operations import Operation

Tell: TypeAlias = Callable[[str, Mapping[str, Any]], None]
"""Called with the kind of an event and what it carries."""


class OperationEvents:
    """Tells of each step of each operation, once it is stored."""

    def __init__(self, tell: Tell) -> None:
        self._tell: Final = tell

    def beside(self, connection: sqlite3.Connection, operation: Operation) -> None:
        """Nothing is stored for it."""

    def stored(self, operation: Operation) -> None:
        """A step is stored."""
        self._tell("operation", operation.told())


def nobody(_kind: str, _data: Mapping[str, Any]) -> None:
    """Nobody listens."""
