"""What the control plane tells as it happens; whoever listens puts it in order and numbers it.

Kinds and what they carry are JSON. Telling must never wait, and never fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Tell: TypeAlias = Callable[[str, Mapping[str, Any]], None]
"""Called with the kind of an event and what it carries."""


def nobody(_kind: str, _data: Mapping[str, Any]) -> None:
    """Nobody listens."""
