"""One region, in process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support import Site, open_sites


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A region with the namespace `default`."""
    async with open_sites(tmp_path) as sites:
        await sites["A"].register("default")
        yield sites["A"]
