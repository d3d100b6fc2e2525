from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.scenarios.stage import EAST, WEST, Stage, opened


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A fresh cloud; `switch` fails over from EAST to WEST."""
    async with opened() as stage:
        yield stage


@pytest.fixture(params=[(WEST,), (WEST, EAST)], ids=["1_2", "19_failback_1_2_11"])
async def journey(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """A fresh cloud; `switch` goes to WEST, or there and back again: scenario 19 is that the rest still holds."""
    async with opened(route=request.param) as stage:
        yield stage
