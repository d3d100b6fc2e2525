"""New database files: a script of many statements is run once, in memory, and its outcome copied into each.

Half of the time in which a small cloud starts went into running the scripts for each of its files.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache


def fill_blank(connection: sqlite3.Connection, script: str) -> None:
    """Give an empty database what `script` makes, pragmas of the file included, in one transaction."""
    with closing(sqlite3.connect(":memory:")) as blank:
        blank.deserialize(_image(script))
        blank.backup(connection)


@cache
def _image(script: str) -> bytes:
    with closing(sqlite3.connect(":memory:")) as blank:
        blank.executescript(script)
        return blank.serialize()
