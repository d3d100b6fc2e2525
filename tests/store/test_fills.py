"""How far a fill came, as stored."""

from __future__ import annotations

import sqlite3

from mockcloud.store import fills


def test_who_joins_during_a_fill_begins_it_again(connection: sqlite3.Connection) -> None:
    fills.begin(connection, "n", ["b"])
    fills.advance(connection, "n", fills.Fill(("b",), 7, 9))
    assert fills.load(connection, "n") == fills.Fill(("b",), 7, 9)
    fills.begin(connection, "n", ["c"])
    assert fills.load(connection, "n") == fills.Fill(("b", "c"), 0, None)
    assert fills.pending(connection) == ["n"]
    fills.end(connection, "n")
    assert fills.load(connection, "n") is None
