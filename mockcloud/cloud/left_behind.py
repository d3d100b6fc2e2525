"""What regions that are down had written: read from their database files, which stay."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from mockcloud.api.admin.v1 import region_admin_pb2 as admin
from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core.errors import NamespaceNotFound, Unavailable
from mockcloud.frontend import tail
from mockcloud.store import database, namespaces

T = TypeVar("T")


class DatabaseFiles:
    """The files of a cloud's regions. Nothing is ever written to them here."""

    def __init__(self, path_of: Callable[[str], Path]) -> None:
        self._path_of: Final = path_of

    async def read_tail(self, region: str, request: admin.ReadTailRequest) -> admin.ReadTailResponse:
        """As the region would answer. Unavailable: its file cannot be read."""
        return self._read(
            region,
            request.namespace,
            lambda connection, record: tail.read_tail(connection, record, request),
        )

    async def read_written(self, region: str, request: admin.ReadWrittenRequest) -> admin.ReadWrittenResponse:
        """As the region would answer. Unavailable: its file cannot be read."""
        return self._read(
            region,
            request.namespace,
            lambda connection, record: tail.read_written(connection, record, request),
        )

    def _read(
        self, region: str, namespace: str, read: Callable[[sqlite3.Connection, NamespaceRecord], T]
    ) -> T:
        try:
            with contextlib.closing(database.connect_reader(self._path_of(region))) as connection:
                connection.execute("BEGIN")  # one snapshot
                for record in namespaces.all_namespaces(connection):
                    if record.name == namespace:
                        return read(connection, record)
        except sqlite3.Error as error:
            raise Unavailable(f"region {region} is down, and its database cannot be read: {error}") from error
        raise NamespaceNotFound(namespace)
