"""The audit log as a file of JSON lines, for tools that tail it. The database is the truth; the file follows it.

A control plane that died between an entry and its line writes the line when it starts again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from google.protobuf import json_format
from temporalio.api.cloud.auditlog.v1 import LogRecord

from mockcloud.core.errors import StartupError

_logger = logging.getLogger(__name__)


class AuditFile:
    """One file, appended to. What cannot be written is logged, and stops nothing."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path

    def last(self) -> str:
        """The `log_id` of its last line; empty: it has none. A line that was cut off is removed.

        Raises:
            StartupError: the file cannot be written.
        """
        try:
            with self._path.open("ab"):
                pass
            text = self._path.read_bytes()
            whole = text[: text.rfind(b"\n") + 1]
            if len(whole) < len(text):
                self._path.write_bytes(whole)
            return str(json.loads(whole.splitlines()[-1])["log_id"]) if whole else ""
        except OSError as error:
            raise StartupError(
                f"the audit log cannot be written to {self._path}: {error.strerror}"
            ) from error
        except (ValueError, KeyError, TypeError):
            raise StartupError(f"{self._path} is no audit log: its last line is not of one") from None

    def append(self, records: Iterable[LogRecord]) -> None:
        """Write a line for each entry."""
        lines = "".join(json.dumps(plain(record)) + "\n" for record in records)
        try:
            with self._path.open("a") as file:
                file.write(lines)
        except OSError as error:
            _logger.warning("the audit log cannot be written to %s: %s", self._path, error)


def plain(record: LogRecord) -> dict[str, Any]:
    """An entry as JSON, by the names of the documentation."""
    return json_format.MessageToDict(
        record, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
