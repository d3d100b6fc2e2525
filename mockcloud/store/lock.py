"""One process, and in it one store, per database file: two regions on one file would spoil their state.

The lock is the kernel's (`flock` on a file beside the database), so that a killed process leaves none behind.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from mockcloud.core.errors import StartupError


class FileLock:
    """The lock of one database file, held from construction to `release`."""

    def __init__(self, path: Path) -> None:
        """Raises StartupError, the one line for the user, when the file is in use or cannot be written."""
        lock_path = path.with_name(f"{path.name}.lock")
        try:
            lock_path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT, 0o644)
        except FileExistsError as error:  # mkdir's word for a file where the directory should be
            raise StartupError(f"{path} cannot be written: {os.strerror(errno.ENOTDIR)}") from error
        except OSError as error:
            raise StartupError(f"{path} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise StartupError(f"{path} is in use by another process") from error

    def release(self) -> None:
        """Give the file free. A second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
