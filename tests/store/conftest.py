"""A store on a temporary file, and small builders for what it keeps."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mockcloud.store import schema
from mockcloud.store.database import Store


@pytest.fixture(params=["durable", "temporary"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "region.db", durable=request.param == "durable")
    yield store
    await store.close()


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """An empty region's database in memory, for functions on a connection."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(connection)
    yield connection
    connection.close()
