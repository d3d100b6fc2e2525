"""New files: as if the script had been run in each."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mockcloud.store.blank import fill_blank

SCRIPT = """
BEGIN;
PRAGMA application_id = 77;
CREATE TABLE fruits (name TEXT PRIMARY KEY, seeds INTEGER) WITHOUT ROWID;
CREATE INDEX fruits_seeds ON fruits (seeds);
INSERT INTO fruits VALUES ('apple', 5);
PRAGMA user_version = 3;
COMMIT;
"""


def _content(connection: sqlite3.Connection) -> list[object]:
    return [
        connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall(),
        connection.execute("SELECT * FROM fruits").fetchall(),
        connection.execute("PRAGMA application_id").fetchone(),
        connection.execute("PRAGMA user_version").fetchone(),
    ]


def test_it_is_what_the_script_makes_and_stays_in_wal_mode(tmp_path: Path) -> None:
    path = tmp_path / "blank.sqlite"
    for _ in range(2):  # the second one is a copy of what the first has made
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            fill_blank(connection, SCRIPT)
        with closing(sqlite3.connect(path)) as filled, closing(sqlite3.connect(":memory:")) as scripted:
            scripted.executescript(SCRIPT)
            assert _content(filled) == _content(scripted)
            assert filled.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert filled.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_script_that_fails_leaves_the_file_empty(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "blank.sqlite")) as connection:
        with pytest.raises(sqlite3.OperationalError):
            fill_blank(connection, "BEGIN; CREATE TABLE one (x); CREATE TABLE one (x); COMMIT;")
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
