"""A region's transport whose calls, too, are overtaken and doubled, as retries below them would cause.

The links lose calls and answers anyway; `rpc.faulty_transport` doubles and reorders messages of streams only.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final

from mockcloud.core.errors import MockcloudError
from mockcloud.rpc.faults import Links, LinkState
from mockcloud.rpc.faulty_transport import FaultyTransport
from mockcloud.rpc.transport import Transport

_LONGEST_DETOUR: Final = 0.5  # seconds that a call may be overtaken by


class SimulatedTransport(FaultyTransport):
    """Calls meet the faults `duplicate` and `reorder` of the direction in which they are made."""

    def __init__(self, inner: Transport, own_region: str, links: Links) -> None:
        super().__init__(inner, own_region, links)
        self._second: Final[set[asyncio.Task[None]]] = set()

    async def _execute(
        self,
        back: LinkState,
        peer: str,
        method: str,
        request: bytes,
        metadata: Mapping[str, str],
        timeout: float | None,
    ) -> bytes:
        there, rng = self._links.direction(self._own, peer), self._links.rng
        if there.duplicate and rng.random() < there.duplicate:
            call = self._once_more(peer, method, request, metadata, timeout)
            task = asyncio.get_running_loop().create_task(call)
            self._second.add(task)
            task.add_done_callback(self._second.discard)
        if there.reorder and rng.random() < there.reorder:
            await asyncio.sleep(rng.uniform(0, _LONGEST_DETOUR))
        return await super()._execute(back, peer, method, request, metadata, timeout)

    async def _once_more(
        self, peer: str, method: str, request: bytes, metadata: Mapping[str, str], timeout: float | None
    ) -> None:
        await asyncio.sleep(self._links.rng.uniform(0, _LONGEST_DETOUR))
        with contextlib.suppress(MockcloudError):  # nobody waits for its answer
            await self._inner.unary(peer, method, request, metadata=metadata, timeout=timeout)

    async def close(self) -> None:
        for task in tuple(self._second):
            task.cancel()
        await super().close()
