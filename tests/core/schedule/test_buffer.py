"""What becomes of a buffer, by every overlap policy."""

from __future__ import annotations

import pytest

from mockcloud.api.state.v1.schedule_pb2 import BufferedStart
from mockcloud.core.schedule.buffer import Sorted, sort_out
from mockcloud.core.schedule.state import (
    ALLOW_ALL,
    BUFFER_ALL,
    BUFFER_ONE,
    CANCEL_OTHER,
    SKIP,
    TERMINATE_OTHER,
)

UNSPECIFIED = 0


def sorted_out(*policies: int, running: bool, default: int = SKIP) -> Sorted:
    buffer = [BufferedStart(nominal_time=n, overlap_policy=p) for n, p in enumerate(policies)]
    return sort_out(buffer, running=running, overlap=lambda policy: policy or default)


def outcome(result: Sorted) -> tuple[int | None, list[int], list[int], int]:
    """(what starts alone, what starts beside others, what waits, how many are skipped)."""
    return (
        None if result.single is None else result.single.nominal_time,
        [start.nominal_time for start in result.overlapping],
        [start.nominal_time for start in result.waiting],
        result.skipped,
    )


@pytest.mark.parametrize(
    ("policy", "idle", "busy"),
    [
        (SKIP, (0, [], [], 2), (None, [], [], 3)),
        (BUFFER_ONE, (0, [], [1], 1), (None, [], [0], 2)),
        (BUFFER_ALL, (0, [], [1, 2], 0), (None, [], [0, 1, 2], 0)),
        (CANCEL_OTHER, (2, [], [], 0), (None, [], [0, 1, 2], 0)),
        (TERMINATE_OTHER, (2, [], [], 0), (None, [], [0, 1, 2], 0)),
        (ALLOW_ALL, (None, [0, 1, 2], [], 0), (None, [0, 1, 2], [], 0)),
    ],
)
def test_three_starts(policy: int, idle: object, busy: object) -> None:
    assert outcome(sorted_out(*[policy] * 3, running=False)) == idle
    result = sorted_out(*[policy] * 3, running=True)
    assert outcome(result) == busy
    assert (result.cancel, result.terminate) == (policy == CANCEL_OTHER, policy == TERMINATE_OTHER)


def test_entries_without_a_policy_take_the_schedule_s() -> None:
    assert outcome(sorted_out(UNSPECIFIED, UNSPECIFIED, running=True, default=BUFFER_ALL)) == (
        None,
        [],
        [0, 1],
        0,
    )


def test_what_would_be_ended_at_once_is_not_started() -> None:
    result = sorted_out(ALLOW_ALL, TERMINATE_OTHER, CANCEL_OTHER, running=True)
    assert outcome(result) == (None, [], [1, 2], 0)
    assert result.terminate
    assert result.cancel


def test_policies_mix() -> None:
    assert outcome(sorted_out(ALLOW_ALL, SKIP, BUFFER_ONE, SKIP, BUFFER_ALL, BUFFER_ONE, running=False)) == (
        1,
        [0],
        [2, 4],
        2,
    )
