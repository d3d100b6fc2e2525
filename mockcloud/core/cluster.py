"""Failover version arithmetic: which region owns a version, and which version a failover takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

DEFAULT_INCREMENT = 10


class Clusters(NamedTuple):
    """All regions of a cloud with their initial failover versions, which lie below the common increment."""

    initial_versions: Mapping[str, int]
    increment: int = DEFAULT_INCREMENT

    @classmethod
    def of(cls, regions: Sequence[str], increment: int = DEFAULT_INCREMENT) -> Clusters:
        """The regions in their order, with initial versions 1, 2, and so on."""
        assert 0 < len(regions) < increment, "each region needs an initial version below the increment"
        return cls({region: number for number, region in enumerate(regions, 1)}, increment)

    def owner(self, version: int) -> str:
        """The region that `version` belongs to."""
        remainder = version % self.increment
        for region, initial in self.initial_versions.items():
            if initial == remainder:
                return region
        raise AssertionError(f"version {version} belongs to no region")

    def next_version(self, region: str, current: int) -> int:
        """The smallest version of `region` that is not below `current`."""
        initial = self.initial_versions[region]
        return (
            initial
            if current <= initial
            else initial + -(-(current - initial) // self.increment) * self.increment
        )
