from __future__ import annotations

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from mockcloud.core import times
from mockcloud.core.last_minute import SLOT, LastMinute, Tally

_STEPS = st.lists(
    st.tuples(st.integers(0, 20 * times.SECOND), st.sampled_from("abc"), st.booleans()), max_size=60
)


@given(_STEPS, st.integers(0, 2 * times.MINUTE))
def test_what_happened_counts_for_a_minute_and_at_most_a_slot_longer(
    steps: list[tuple[int, str, bool]], silence: int
) -> None:
    recent, now = LastMinute[str](), 0
    happened: list[tuple[int, str, bool]] = []
    for wait, key, failed in steps:
        now += wait
        tally = recent.tally(now, key)
        tally.count += 1
        tally.ended(0, failed=failed)
        happened.append((now, key, failed))
    now += silence
    totals = recent.totals(now)
    for key in "abc":
        counted = totals.get(key, Tally())

        def since(moment: int, key: str = key) -> tuple[int, int]:
            failures = [failed for at, one, failed in happened if one == key and at > moment]
            return len(failures), sum(failures)

        least, most = since(now - times.MINUTE), since(now - times.MINUTE - SLOT - 1)
        assert least[0] <= counted.count <= most[0]
        assert least[1] <= counted.failed <= most[1]
    assert {key for at, key, _ in happened if at > now - times.MINUTE} <= totals.keys()


def test_what_is_silent_for_a_minute_is_forgotten() -> None:
    recent = LastMinute[str]()
    recent.tally(0, "silent").count += 1
    for second in range(50):
        recent.tally(second * times.SECOND, "busy").count += 1
    assert recent.totals(50 * times.SECOND).keys() == {"silent", "busy"}
    recent.tally(times.MINUTE + SLOT, "busy").count += 1
    assert recent.totals(times.MINUTE + SLOT).keys() == {"busy"}
    assert recent.totals(3 * times.MINUTE) == {}
    recent.tally(3 * times.MINUTE, "silent").count += 1
    assert recent.totals(3 * times.MINUTE)["silent"].count == 1


@given(st.lists(st.integers(0, times.HOUR), min_size=1, max_size=200), st.sampled_from([1, 50, 95, 99, 100]))
def test_a_percentile_is_that_of_the_nearest_rank_to_four_per_cent(durations: list[int], rank: int) -> None:
    """However the durations are spread over slots."""
    recent = LastMinute[str]()
    for number, duration in enumerate(durations):
        recent.tally(number * times.MILLISECOND * 100, "one").ended(duration)
    exact = sorted(durations)[ceil(len(durations) * rank / 100) - 1]
    told = recent.totals(len(durations) * times.MILLISECOND * 100)["one"].percentile(rank)
    assert abs(told - exact) <= 0.04 * exact + 1


def test_no_duration_has_no_percentile_and_none_is_too_short() -> None:
    tally = Tally()
    assert tally.percentile(99) == 0
    tally.ended(0)
    assert tally.percentile(50) <= 1
