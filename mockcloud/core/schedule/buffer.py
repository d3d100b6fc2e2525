"""What becomes of the actions that are due: which are started now, which wait, which are left out.

Any mix of overlap policies is possible, since a backfill may have one of its own. Entries without one take the
schedule's as it is by then, so that an update reaches them.

Real: service/worker/scheduler/buffer.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from mockcloud.api.state.v1.schedule_pb2 import BufferedStart
from mockcloud.core.schedule.state import (
    ALLOW_ALL,
    BUFFER_ALL,
    BUFFER_ONE,
    CANCEL_OTHER,
    SKIP,
    TERMINATE_OTHER,
)


@dataclass(slots=True)
class Sorted:
    """The buffer, sorted out."""

    overlapping: list[BufferedStart] = field(default_factory=list)  # to start at once, whatever runs
    single: BufferedStart | None = None  # to start: nothing runs
    waiting: list[BufferedStart] = field(default_factory=list)
    cancel: bool = False  # ask what runs to cancel itself
    terminate: bool = False  # end what runs
    skipped: int = 0


def sort_out(buffer: Iterable[BufferedStart], *, running: bool, overlap: Callable[[int], int]) -> Sorted:
    """Sort out `buffer`, which is in the order of time; `overlap` resolves an entry's policy."""
    result = Sorted()
    for start in buffer:
        policy = overlap(start.overlap_policy)
        if policy == ALLOW_ALL:
            result.overlapping.append(start)
        elif not running and result.single is None:
            result.single = start
        elif policy == SKIP:
            result.skipped += 1
        elif policy == BUFFER_ONE:
            if result.waiting:
                result.skipped += 1
            else:
                result.waiting.append(start)
        elif policy == BUFFER_ALL:
            result.waiting.append(start)
        elif policy in (CANCEL_OTHER, TERMINATE_OTHER):
            if not running:
                result.single = start  # what it replaces has not begun
                continue
            result.cancel |= policy == CANCEL_OTHER
            result.terminate |= policy == TERMINATE_OTHER
            result.waiting.append(start)
    if result.cancel or result.terminate:
        result.overlapping = []  # they would be ended at once
    return result
