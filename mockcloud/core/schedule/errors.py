"""What is wrong with a schedule's spec, in the real server's words."""

from __future__ import annotations

from mockcloud.core.errors import MockcloudError


class SpecError(MockcloudError):
    """A spec that no schedule can have. Callers say in which call (`InvalidArgument`)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
