"""What a cloud is started with."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mockcloud.core.errors import StartupError
from mockcloud.core.limits import Limits

DEFAULT_REGIONS = ("aws-us-east-1", "aws-us-west-2")
MAXIMUM_REGIONS = 9

# How the ports of `--port P` are laid out: P is the first namespace's endpoint, P+1… the regions, P+10 Cloud Ops.
CLOUD_OPS_OFFSET = 10


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """Everything that can be chosen of a cloud. Tests scale the durations down; all are seconds."""

    regions: tuple[str, ...] = DEFAULT_REGIONS
    namespaces: tuple[str, ...] = ("default",)
    data_dir: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0
    limits: Limits = field(default_factory=Limits)
    retention_days: int = 3
    failover_timeout: float = 10.0  # of the graceful attempt; then it is forced
    handover: str = "hold"  # or "reject"
    redirection: str = "all"  # or "selected"
    passive_polls: str = "forward"  # or "hold", "error"
    connection_age: float = 300.0  # of clients' connections, ± 10 %
    connection_grace: float = 70.0
    seed: int | None = None  # of every random choice; None: unpredictable

    def replace(self, **changes: Any) -> CloudSettings:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def check(self) -> None:
        """Raises StartupError when no cloud can be started so."""
        if not 1 <= len(self.regions) <= MAXIMUM_REGIONS:
            raise StartupError(
                f"a cloud has between 1 and {MAXIMUM_REGIONS} regions, not {len(self.regions)}"
            )
        if len(set(self.regions)) != len(self.regions):
            raise StartupError(f"a region is named twice: {', '.join(self.regions)}")
        for region in self.regions:
            name, _, cell = region.partition("#")
            if not name or not all(c.isalnum() or c == "-" for c in name) or (cell and not cell.isdigit()):
                raise StartupError(
                    f"not a region id: {region!r} (letters, digits and '-', with '#2' for a second cell)"
                )
        if not 0 <= self.port <= 65535:
            raise StartupError(f"not a port: {self.port}")
        if self.port > 65535 - CLOUD_OPS_OFFSET:
            raise StartupError(f"not a port with room for {CLOUD_OPS_OFFSET} more after it: {self.port}")
        if not all(self.namespaces):
            raise StartupError("a namespace has a name")
