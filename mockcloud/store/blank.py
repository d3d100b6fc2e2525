"""New database files: a script of many statements is run once, in memory, and what it makes copied into each.

Half of the time in which a small cloud starts went into running the scripts for each of its files.
"""

from __future__ import annotations

import sqlite3
import threading
from functools import cache
from typing import Final

_one_by_one: Final = threading.Lock()  # clouds of several threads share what is copied


def fill_blank(connection: sqlite3.Connection, script: str) -> None:
    """Give an empty database what `script` makes, pragmas of the file included, in one transaction."""
    with _one_by_one:
        _made(script).backup(connection)


@cache
def _made(script: str) -> sqlite3.Connection:
    made = sqlite3.connect(":memory:", check_same_thread=False)
    try:
        made.executescript(script)
    except BaseException:
        made.close()
        raise
    return made
