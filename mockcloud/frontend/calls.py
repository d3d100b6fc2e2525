"""How a region's calls do: what is wrong with all of them, and what is counted of them.

The sums tell of the region's health. Calls that are meant to wait are not in them: long polls, and what waits for a
Worker. Nor is what a switch of the active region does to a call: that is no fault of the region. Operations are counted
as clients see them: every call where it was made, every error.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

from google.protobuf.message import Message
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest

from mockcloud.core.errors import Code, NamespaceHandover, ServiceError, Unavailable
from mockcloud.core.last_minute import LastMinute, Tally
from mockcloud.core.meter import Meter, Sums
from mockcloud.frontend.methods import Method
from mockcloud.rpc.faults import Links, LinkState
from mockcloud.rpc.faulty_transport import passed

_WAIT: Final = frozenset(
    {
        "ExecuteMultiOperation",
        "GetWorkflowExecutionHistory",
        "PollActivityExecution",
        "PollNexusOperationExecution",
        "PollWorkflowExecutionUpdate",
        "QueryWorkflow",
        "UpdateWorkflowExecution",
    }
)
_OWN_FAULT: Final = frozenset({Code.UNAVAILABLE, Code.INTERNAL, Code.UNKNOWN, Code.DATA_LOSS})

now: Final = time.perf_counter_ns
"""The clock that calls are measured by."""


def operation(method: Method, request: Message) -> str:
    """The name that a call is counted by: a history that is waited for has one of its own.

    Real: telemetryUnaryOverrideOperationTag.
    """
    if method.name == "GetWorkflowExecutionHistory":
        assert isinstance(request, GetWorkflowExecutionHistoryRequest), f"a request of {method.name}"
        return "PollWorkflowExecutionHistory" if request.wait_new_event else method.name
    return method.name


class CallMeter:
    """The calls that one region answers. `way` has the faults that all of them meet first."""

    def __init__(self, way: LinkState | None = None, rng: random.Random | None = None) -> None:
        self._rng: Final = rng or random.Random(0)  # noqa: S311 it decides on nothing without faults
        self._way: Final = way or Links(self._rng).direction("", "")
        self._meter: Final = Meter()
        self.recent: Final = LastMinute[tuple[str, str]]()  # by namespace and operation, on the clock `now`

    def sums(self) -> Sums:
        """Everything since the region was started."""
        return self._meter.sums(now())

    def operations(self) -> dict[tuple[str, str], Tally]:
        """Of the last minute, by namespace and operation: what has begun, and what of it has ended, and how."""
        return self.recent.totals(now())

    async def answer(self, method: Method, handle: Callable[[], Awaitable[Message]]) -> Message:
        """What a method's handler answers. Unavailable: a fault came before it."""
        if method.poll or method.name in _WAIT:
            if not self._way.clear:
                await self._passed()
            return await handle()
        began, failed = now(), False
        self._meter.begin(began)
        try:
            if not self._way.clear:
                await self._passed()
            return await handle()
        except ServiceError as error:
            failed = error.code in _OWN_FAULT and not isinstance(error, NamespaceHandover)
            raise
        except Exception:
            failed = True
            raise
        finally:
            self._meter.end(began, now(), failed=failed)

    async def _passed(self) -> None:
        """The call has come through what is wrong with all of them."""
        way = self._way
        if way.cut or self._rng.random() < way.drop:
            raise Unavailable(f"the frontend of {way.target} fails")
        await passed(way)
