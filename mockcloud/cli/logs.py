"""Logs of a cloud in the foreground, on standard error: standard output belongs to the ready line."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

NEVER: Final = logging.CRITICAL + 1

_PLAIN: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
_LIBRARIES: Final = ("aiosqlite", "asyncio", "grpc")
_LEVELS: Final = {
    logging.WARNING: "WARN",
    logging.CRITICAL: "ERROR",
}  # of the server's loggers, where they differ


class TextFormatter(logging.Formatter):
    """`time=… level=WARN msg="…" logger=…`, as the Temporal CLI writes text."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback after it where there is one."""
        message = json.dumps(record.getMessage(), ensure_ascii=False)
        line = f"time={_moment(record)} level={_level(record)} msg={message} logger={record.name}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object per line, with the keys of the Temporal CLI."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; a traceback is its `error`."""
        values = {
            "time": _moment(record),
            "level": _level(record),
            "msg": record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info:
            values["error"] = self.formatException(record.exc_info)
        return json.dumps(values, ensure_ascii=False)


def to_stderr(level: int, formatter: logging.Formatter | None = None) -> None:
    """Write what is logged at `level` or above to standard error; libraries' debugging is left out."""
    for library in _LIBRARIES:
        logging.getLogger(library).setLevel(max(level, logging.INFO))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter or logging.Formatter(_PLAIN))
    logging.basicConfig(handlers=[handler], level=level)


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _level(record: logging.LogRecord) -> str:
    return _LEVELS.get(record.levelno, record.levelname)
