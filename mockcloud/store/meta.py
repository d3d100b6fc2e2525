"""What a region knows about itself: its name, its cloud, and how far its task ids were handed out."""

from __future__ import annotations

import sqlite3

_NEXT_RANGE = (
    "INSERT INTO meta (key, value) VALUES ('range', '1')"
    " ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1"
)


def get(connection: sqlite3.Connection, key: str) -> str | None:
    """One value, such as `region` or `cloud_id`; None when never put."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def put(connection: sqlite3.Connection, key: str, value: str) -> None:
    """Set one value."""
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))


def next_range(connection: sqlite3.Connection) -> int:
    """The first task id of a range of 2**32 that nobody had before: each start of a region takes one.

    So ids rise without being written one by one, across crashes too. Real: the range id of a shard.
    """
    connection.execute(_NEXT_RANGE)
    (value,) = connection.execute("SELECT value FROM meta WHERE key = 'range'").fetchone()
    return int(value) << 32
