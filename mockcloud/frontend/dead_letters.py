"""The dead letters of a region over RegionAdmin: what replication gave up, to look at, try again or purge."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from google.protobuf.message import Message

from mockcloud.api.admin.v1 import region_admin_pb2 as admin
from mockcloud.api.replication.v1.replication_pb2 import ReplicationTask
from mockcloud.core.errors import InvalidArgument, NotFound
from mockcloud.engine.namespaces import NamespaceRegistry
from mockcloud.replication.waiting import subject
from mockcloud.store import dead_letters
from mockcloud.store.database import Store
from mockcloud.store.dead_letters import DeadLetter

_PAGE: Final = 100


class DeadLetters:
    """Of one region. `replay` applies one once more, and says whether it could be."""

    def __init__(
        self,
        region: str,
        store: Store,
        namespaces: NamespaceRegistry,
        replay: Callable[[DeadLetter], Awaitable[bool]],
    ) -> None:
        self._region: Final = region
        self._store: Final = store
        self._namespaces: Final = namespaces
        self._replay: Final = replay

    async def list(self, request: admin.ListDeadLettersRequest) -> Message:
        """A page of a namespace's, the oldest first, without their tasks. NamespaceNotFound."""
        if not request.namespace:
            raise InvalidArgument("Namespace not set on request.")
        namespace, limit = self._namespaces.by_name(request.namespace), request.limit or _PAGE
        page = await self._store.read(
            lambda connection: dead_letters.list_dead_letters(
                connection, namespace.id, request.after_id, limit
            )
        )
        letters = [self._message(letter, b"") for letter in page]
        return admin.ListDeadLettersResponse(
            letters=letters, next_after_id=page[-1].message_id if len(page) == limit else 0
        )

    async def show(self, request: admin.ShowDeadLetterRequest) -> Message:
        """One, with its task. NotFound."""
        letter = await self._get(request.id)
        return admin.ShowDeadLetterResponse(letter=self._message(letter, letter.task))

    async def replay(self, request: admin.ReplayDeadLettersRequest) -> Message:
        """Try those of these numbers again, or all; those that fail, as they are now. NotFound."""
        response = admin.ReplayDeadLettersResponse()
        for letter in [await self._get(number) for number in await self._chosen(request.ids)]:
            if await self._replay(letter):
                response.applied.append(letter.message_id)
            else:
                response.failed.append(self._message(await self._get(letter.message_id), b""))
        return response

    async def purge(self, request: admin.PurgeDeadLettersRequest) -> Message:
        """Delete those of these numbers, or all. NotFound; then none is gone."""
        numbers = await self._chosen(request.ids)
        for number in numbers:
            await self._get(number)

        def purge(connection: sqlite3.Connection) -> None:
            for number in numbers:
                dead_letters.delete_dead_letter(connection, number)

        await self._store.transact(purge)
        return admin.PurgeDeadLettersResponse(purged=numbers)

    async def _chosen(self, numbers: Sequence[int]) -> Sequence[int]:
        return numbers or await self._store.read(dead_letters.all_ids)

    async def _get(self, number: int) -> DeadLetter:
        """Raises NotFound."""
        letter = await self._store.read_one(
            lambda connection: dead_letters.get_dead_letter(connection, number)
        )
        if letter is None:
            raise NotFound(f"region {self._region} has no dead letter {number}")
        return letter

    def _message(self, letter: DeadLetter, task: bytes) -> admin.DeadLetter:
        namespace = self._namespaces.find_id(letter.namespace_id)
        return admin.DeadLetter(
            id=letter.message_id,
            region=self._region,
            namespace=namespace.name if namespace else "",
            workflow_id=letter.workflow_id,
            run_id=letter.run_id,
            source=letter.source,
            position=letter.position,
            failed_at=letter.failed_at,
            attempts=letter.attempts,
            reason=letter.reason,
            task=task,
            subject="" if letter.workflow_id else subject(ReplicationTask.FromString(letter.task)),
        )
