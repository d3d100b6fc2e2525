from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.scenarios.stage import EAST, WEST, Stage, open_stage


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A fresh cloud; `switch` fails over from EAST to WEST."""
    stage = await open_stage()
    yield stage
    await stage.close()


@pytest.fixture(params=[(WEST,), (WEST, EAST)], ids=["1_2", "19_failback_1_2_11"])
async def journey(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """A fresh cloud; `switch` goes to WEST, or there and back again: scenario 19 is that the rest still holds."""
    stage = await open_stage(request.param)
    yield stage
    await stage.close()
