"""What a cloud's tools ask its regions: lag, histories, dead letters, whether all is replicated.

Over the regions' admin service, and without the links, so that no fault of a link hides what is looked at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from mockcloud.api.admin.v1 import region_admin_pb2 as region_admin
from mockcloud.cloud.region_node import RegionNode
from mockcloud.control.regions import RegionClient
from mockcloud.core import times
from mockcloud.core.errors import NamespaceNotFound, Unavailable
from mockcloud.rpc.transport import Transport

if TYPE_CHECKING:
    from mockcloud.cloud.views import Lag, RunView

_TIMEOUT: Final = 10 * times.SECOND

T = TypeVar("T")


class Inquiries:
    """Asks the regions that are up at that moment."""

    def __init__(
        self, nodes: Mapping[str, RegionNode], node: Callable[[str], RegionNode], transport: Transport
    ) -> None:
        """`nodes`: the regions that are up; `node`: one of them, or why it is none."""
        self._nodes: Final = nodes
        self._node: Final = node
        self._transport: Final = transport

    async def replicated(self, namespace: str) -> None:
        """Wait until every region that is up has applied what the others have written, reapplied events included."""
        settled: dict[tuple[str, str], int] = {}
        while True:
            before = dict(settled)
            for source in list(self._nodes):
                for peer in list(self._nodes):
                    if source != peer and await self._replicates(namespace, source, peer):
                        answer = await self._region(source).ask(
                            region_admin.AwaitReplicatedRequest(namespace=namespace, peer=peer),
                            region_admin.AwaitReplicatedResponse,
                            None,
                        )
                        settled[source, peer] = answer.position
            # What one region applied may have made it write in turn: again, until nothing is new.
            if settled == before:
                return

    async def _replicates(self, namespace: str, source: str, peer: str) -> bool:
        status = await self._status(namespace, source)
        return status is not None and {source, peer} <= set(status.record.clusters)

    async def statuses(self, namespace: str) -> list[region_admin.NamespaceStatusResponse]:
        """The namespace in each region that is up and has it."""
        found = [
            await self._status(namespace, name)
            for name, node in sorted(self._nodes.items())
            if node.region.namespaces.find(namespace) is not None
        ]
        return [status for status in found if status is not None]

    async def _status(self, namespace: str, region: str) -> region_admin.NamespaceStatusResponse | None:
        """The namespace in a region; None where that is down or does not have it."""
        with contextlib.suppress(Unavailable, NamespaceNotFound):
            return await self._region(region).status(namespace, _TIMEOUT)
        return None

    async def health(self) -> dict[str, region_admin.GetHealthResponse]:
        """What each region that is up has counted since its start."""
        return await self._each(lambda region: region.health(_TIMEOUT))

    async def task_queues(self) -> dict[str, list[region_admin.TaskQueueSize]]:
        """What waits in the task queues of each region that is up."""
        return await self._each(lambda region: region.task_queues(_TIMEOUT))

    async def last_minute(self) -> dict[str, region_admin.GetLastMinuteResponse]:
        """What each region that is up counted in the last minute."""
        return await self._each(lambda region: region.last_minute(_TIMEOUT))

    async def _each(self, ask: Callable[[RegionClient], Awaitable[T]]) -> dict[str, T]:
        """The answers of the regions that are up, by name."""
        found: dict[str, T] = {}
        for region in sorted(self._nodes):
            with contextlib.suppress(Unavailable):
                found[region] = await ask(self._region(region))
        return found

    async def lag_messages(self, namespace: str = "") -> list[region_admin.NamespaceLag]:
        """Replication from each region that is up: of all namespaces, or of one where that is.

        Raises NamespaceNotFound where none of them has it, Unavailable where none is up.
        """
        request = region_admin.LagRequest(namespace=namespace)
        answers = [
            await self._region(region).ask(request, region_admin.LagResponse, _TIMEOUT)
            for region in (self._holders(namespace) if namespace else sorted(self._nodes))
        ]
        return [lag for answer in answers for lag in answer.namespaces]

    async def lag(self, namespace: str) -> list[Lag]:
        """Replication of a namespace in each direction, as plain values."""
        from mockcloud.cloud import told

        return [
            told.lag(entry.namespace, entry.region, peer)
            for entry in await self.lag_messages(namespace)
            for peer in entry.peers
        ]

    async def history_messages(
        self, namespace: str, workflow_id: str, run_id: str = ""
    ) -> list[region_admin.HistoryTreeResponse]:
        """Runs and branches of a workflow id, in each region that is up and has the namespace.

        Raises as `lag_messages`.
        """
        request = region_admin.HistoryTreeRequest(namespace=namespace, workflow_id=workflow_id, run_id=run_id)
        return [
            await self._region(region).ask(request, region_admin.HistoryTreeResponse, _TIMEOUT)
            for region in self._holders(namespace)
        ]

    async def history(self, namespace: str, workflow_id: str) -> dict[str, list[RunView]]:
        """Runs and branches of a workflow id, as plain values by region."""
        from mockcloud.cloud import told

        trees = await self.history_messages(namespace, workflow_id)
        return {tree.region: [told.run(run) for run in tree.runs] for tree in trees}

    async def dead_letters(self, namespace: str, region: str) -> list[region_admin.DeadLetter]:
        """Dead letters of one namespace or all, in one region or all that are up. NamespaceNotFound."""
        if region:
            self._node(region)
        if namespace:
            self._holders(namespace)
        letters: list[region_admin.DeadLetter] = []
        for name in [region] if region else sorted(self._nodes):
            for handle in self._nodes[name].region.namespaces.all():
                if namespace in {"", handle.name}:
                    letters += await self._letters(name, handle.name)
        return letters

    async def _letters(self, region: str, namespace: str) -> list[region_admin.DeadLetter]:
        request = region_admin.ListDeadLettersRequest(namespace=namespace)
        letters: list[region_admin.DeadLetter] = []
        while True:
            page = await self._region(region).ask(request, region_admin.ListDeadLettersResponse, _TIMEOUT)
            letters += page.letters
            if not page.next_after_id:
                return letters
            request.after_id = page.next_after_id

    async def dead_letter(self, region: str, number: int) -> region_admin.DeadLetter:
        """One dead letter with its task."""
        self._node(region)
        request = region_admin.ShowDeadLetterRequest(id=number)
        answer = await self._region(region).ask(request, region_admin.ShowDeadLetterResponse, _TIMEOUT)
        return answer.letter

    async def replay_dead_letters(
        self, region: str, numbers: Sequence[int]
    ) -> region_admin.ReplayDeadLettersResponse:
        """Apply dead letters of a region once more: those of `numbers`, or all. NotFound: there is no such one."""
        self._node(region)
        request = region_admin.ReplayDeadLettersRequest(ids=numbers)
        return await self._region(region).ask(request, region_admin.ReplayDeadLettersResponse, None)

    async def purge_dead_letters(
        self, region: str, numbers: Sequence[int]
    ) -> region_admin.PurgeDeadLettersResponse:
        """Give dead letters of a region up: those of `numbers`, or all. NotFound: there is no such one."""
        self._node(region)
        request = region_admin.PurgeDeadLettersRequest(ids=numbers)
        return await self._region(region).ask(request, region_admin.PurgeDeadLettersResponse, _TIMEOUT)

    def _region(self, name: str) -> RegionClient:
        return RegionClient(name, self._transport)

    def _holders(self, namespace: str) -> list[str]:
        """The regions that are up and have the namespace. NamespaceNotFound, or Unavailable when none is up."""
        if not self._nodes:
            raise Unavailable("no region is up")
        holders = [
            name
            for name, node in sorted(self._nodes.items())
            if node.region.namespaces.find(namespace) is not None
        ]
        if not holders:
            raise NamespaceNotFound(namespace)
        return holders
