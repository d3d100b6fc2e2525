"""Where a cloud's databases lie: in a directory of their own, or beside one file as tools expect that name a database.

The record beside them tells which regions they belong to, in order: it decides which failover versions are whose. It is
empty until each of them has been made; from then on, one that is missing is a loss, and not to be made again, empty.
Temporary directories are removed when their cloud ends. Those of killed processes, which some tools leave behind each
time, are removed by the next cloud that needs one: a lock, which dies with its process, tells them apart.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mockcloud.cloud.settings import CloudSettings
from mockcloud.core.errors import StartupError
from mockcloud.store.lock import FileLock

_LOG = logging.getLogger(__name__)

_TEMPORARY: Final = "mockcloud-"
_IN_USE: Final = "in-use"


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one cloud: the record of its regions, and `prefix` before the names of the databases."""

    record: Path
    prefix: str
    temporary: FileLock | None = None  # held while they are in use, if they are to go at the end

    @classmethod
    def of(cls, settings: CloudSettings) -> Files:
        """The files of a cloud that is about to start, ready to be used.

        Raises:
            StartupError: they cannot be used, belong to a cloud of other regions, or one of them is missing.
        """
        if settings.database_file is not None:
            files = cls(settings.database_file, f"{settings.database_file.name}.")
        elif settings.data_dir is not None:
            files = cls(settings.data_dir / "cloud.json", "")
        else:
            _sweep()
            directory, lock = _temporary_directory()
            return cls(directory / "cloud.json", "", lock)
        files._claim(settings.regions, settings.data_dir)
        return files

    def database(self, name: str) -> Path:
        """The database of a region, or of "control"."""
        return self.record.with_name(f"{self.prefix}{name}.sqlite")

    def made(self, regions: Sequence[str]) -> None:
        """Every database is there. Raises StartupError when that cannot be recorded."""
        if self.temporary is None and _regions(self.record) is None:
            try:
                self.record.write_text(json.dumps({"regions": regions}) + "\n")
            except OSError as error:
                raise StartupError(f"{self.record} cannot be written: {error}") from error

    def remove(self) -> None:
        """Remove them, if they were temporary."""
        if self.temporary is not None:
            shutil.rmtree(self.record.parent, ignore_errors=True)
            self.temporary.release()

    def _claim(self, regions: Sequence[str], directory: Path | None) -> None:
        what = f"the database file {self.record}" if directory is None else f"the data directory {directory}"
        try:
            if directory is not None:
                directory.mkdir(parents=True, exist_ok=True)
            known = _regions(self.record)
            if known is None:
                if directory is None:
                    # Who removes the file wants to begin afresh, as with a single database.
                    self._forget(regions)
                self.record.touch()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StartupError(f"{what} cannot be used: {_reason(error)}") from error
        if known is None:
            return
        if known != list(regions):
            options = " ".join(f"--region {name}" for name in known)
            raise StartupError(
                f"{what} belongs to a cloud of {', '.join(known)}, not of {', '.join(regions)}: "
                f"start it with these regions, in this order ({options})"
            )
        for name in (*known, "control"):
            if not (database := self.database(name)).exists():
                raise StartupError(f"{database} is missing: {what} belongs to a cloud of {', '.join(known)}")

    def _forget(self, regions: Sequence[str]) -> None:
        for name in (*regions, "control"):
            database = self.database(name)
            for path in (database, *(database.with_name(database.name + end) for end in ("-wal", "-shm"))):
                if path.exists():
                    _LOG.warning("%s is not there: %s beside it is removed", self.record, path.name)
                    path.unlink()


def _temporary_directory() -> tuple[Path, FileLock]:
    """A new directory, and the lock that says it is in use: it has its name only when it is locked."""
    hidden = Path(tempfile.mkdtemp(prefix=f".{_TEMPORARY}"))
    lock = FileLock(hidden / _IN_USE)
    return hidden.rename(hidden.with_name(hidden.name.removeprefix("."))), lock


def _sweep() -> None:
    """Remove the temporary directories whose process was killed."""
    for directory in Path(tempfile.gettempdir()).glob(f"{_TEMPORARY}*"):
        if not (directory / f"{_IN_USE}.lock").exists():
            continue  # not ours, or about to go
        try:
            lock = FileLock(directory / _IN_USE)
        except StartupError:
            continue  # in use, or another user's
        shutil.rmtree(directory, ignore_errors=True)
        lock.release()


def _regions(record: Path) -> list[str] | None:
    """The regions of a cloud that was started there before. An empty file is as good as none."""
    if not record.exists() or record.stat().st_size == 0:
        return None
    regions: list[str] = json.loads(record.read_text())["regions"]
    return regions


def _reason(error: Exception) -> str:
    """A database of another program is no JSON: say so in fewer words."""
    return str(error) if isinstance(error, OSError) else "it is not a file of mockcloud"
