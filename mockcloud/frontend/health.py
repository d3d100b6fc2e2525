"""GetHealth: sums of a region's calls and transactions, and a look at the database in case nobody else writes."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from typing import Final

from google.protobuf.message import Message

from mockcloud.api.admin.v1 import region_admin_pb2 as admin
from mockcloud.core.errors import RegionKilled, Unavailable
from mockcloud.core.meter import Sums
from mockcloud.frontend.calls import CallMeter
from mockcloud.store.database import Store

_MOST_LOOKS: Final = 8  # that may hang


class Health:
    """Of one life of a region."""

    def __init__(self, store: Store, calls: CallMeter) -> None:
        self._store: Final = store
        self._calls: Final = calls
        self._life: Final = str(uuid.uuid4())
        self._looks: Final[set[asyncio.Task[None]]] = set()

    async def get(self, _request: admin.GetHealthRequest) -> Message:
        """The sums now. The look that begins with a request is in the sums of the next one, at the latest."""
        if len(self._looks) < _MOST_LOOKS:
            look = asyncio.get_running_loop().create_task(self._look(), name="look at database")
            self._looks.add(look)
            look.add_done_callback(self._looks.discard)
        return admin.GetHealthResponse(
            life=self._life,
            calls=_work(self._calls.sums()),
            transactions=_work(self._store.meter.sums(time.perf_counter_ns())),
        )

    async def _look(self) -> None:
        with contextlib.suppress(Unavailable, RegionKilled):  # which the sums tell
            await self._store.transact(lambda _connection: None)


def _work(sums: Sums) -> admin.Work:
    return admin.Work(count=sums.count, failed=sums.failed, time=sums.time, pending=sums.pending)
