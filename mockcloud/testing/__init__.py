"""What tests of applications use: the pytest plugin, installed with the package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mockcloud.cloud.facade import MockCloud
    from mockcloud.cloud.settings import CloudSettings

__all__ = ["CloudFactory"]


class CloudFactory(Protocol):
    """The type of the fixture `mockcloud_factory`: starts a cloud and returns when it serves."""

    def __call__(
        self,
        *,
        regions: Sequence[str] = ...,
        namespaces: Sequence[str] = ...,
        data_dir: str | Path | None = ...,
        port: int = ...,
        dynamic_config: Mapping[str, object] | None = ...,
        settings: CloudSettings | None = ...,
    ) -> MockCloud:
        """The arguments are those of `MockCloud`; by default there is a namespace `default`."""
        ...
