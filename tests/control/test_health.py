"""What counts as unhealthy, on a clock of its own: seconds here, nanoseconds there."""

from __future__ import annotations

import pytest

from mockcloud.api.admin.v1 import region_admin_pb2 as admin
from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.control.health import Condition, ManagedFailover, RegionHealth
from mockcloud.control.managed import Move, due
from mockcloud.control.namespaces import KnownNamespace
from mockcloud.control.operations import Trigger
from mockcloud.core import times

EAST, WEST, SOUTH = "aws-us-east-1", "aws-us-west-2", "gcp-us-central1"
SETTINGS = ManagedFailover(
    window=5, failover_after=10, failback_after=30, call_latency=1.0, database_latency=0.5, fewest=3
)


class Observed:
    """A region that is looked at once a second; what it did since the last look."""

    def __init__(self) -> None:
        self.health = RegionHealth(SETTINGS)
        self.second = 0
        self._sums = admin.GetHealthResponse(life="first")

    @property
    def now(self) -> int:
        return self.second * times.SECOND

    def look(
        self,
        seconds: int = 1,
        *,
        calls: int = 10,
        latency: float = 0.01,
        failing: int = 0,
        commits: int = 10,
        commit: float = 0.001,
        lost: int = 0,
    ) -> list[Condition]:
        """So many looks, each with the same work before it."""
        for _ in range(seconds):
            self.second += 1
            for work, count, mean, failed in (
                (self._sums.calls, calls, latency, failing),
                (self._sums.transactions, commits, commit, lost),
            ):
                work.count += count
                work.time += int(count * mean * times.SECOND)
                work.failed += failed
            answer = admin.GetHealthResponse()
            answer.CopyFrom(self._sums)
            self.health.observe(self.now, answer)
        return self.health.conditions

    def miss(self, seconds: int = 1) -> list[Condition]:
        for _ in range(seconds):
            self.second += 1
            self.health.observe(self.now, None)
        return self.health.conditions

    def restart(self) -> None:
        self._sums = admin.GetHealthResponse(life=f"restarted at {self.second}")


BAD = [
    ({"latency": 1.5}, Condition.CALL_LATENCY),
    ({"failing": 3}, Condition.CALL_ERRORS),
    ({"commit": 0.6}, Condition.DATABASE_LATENCY),
    ({"lost": 3}, Condition.DATABASE_ERRORS),
]


@pytest.mark.parametrize(("bad", "condition"), BAD, ids=[condition for _, condition in BAD])
def test_each_condition_from_its_begin_to_its_end(bad: dict[str, float], condition: Condition) -> None:
    region = Observed()
    assert region.look(10) == []
    began = region.second + 1
    while region.look(**bad) != [condition]:  # type: ignore[arg-type]  # the keywords above
        assert region.second - began < SETTINGS.window, "the window is full of it"
    met = region.second
    while not region.health.lasting(region.now):
        region.look(**bad)  # type: ignore[arg-type]
    assert region.second - met == SETTINGS.failover_after
    assert region.health.lasting(region.now) == [condition]

    while region.look():
        assert not region.health.recovered(region.now)
    healthy = region.second
    while not region.health.recovered(region.now):
        region.look()
    assert region.second - healthy == SETTINGS.failback_after


@pytest.mark.parametrize(("bad", "condition"), BAD, ids=[condition for _, condition in BAD])
def test_what_passes_does_not_count(bad: dict[str, float], condition: Condition) -> None:
    region = Observed()
    region.look(10)
    for _ in range(20):
        region.look(2, **bad)  # type: ignore[arg-type]
        region.look(8)
        assert not region.health.lasting(region.now)


def test_below_each_threshold_a_region_is_healthy() -> None:
    region = Observed()
    assert region.look(60, latency=0.99, failing=2, commit=0.49, lost=2) == []
    assert region.health.recovered(region.now)


def test_a_few_bad_calls_say_nothing() -> None:
    region = Observed()
    region.look(10, calls=0, commits=0)
    assert region.look(1, calls=2, latency=60, failing=2, commits=2, commit=60, lost=2) == []


def test_what_hangs_for_ever_is_slow_for_ever() -> None:
    """Eight transactions hang, and nobody begins another one."""
    health = RegionHealth(SETTINGS)
    sums = admin.GetHealthResponse(life="one")
    for second in range(1, 100):
        sums.transactions.count = sums.transactions.pending = 8
        sums.transactions.time = 8 * second * times.SECOND
        answer = admin.GetHealthResponse()
        answer.CopyFrom(sums)
        health.observe(second * times.SECOND, answer)
        assert health.conditions == ([Condition.DATABASE_LATENCY] if second > 1 else [])


def test_a_region_that_does_not_answer() -> None:
    region = Observed()
    region.look(10)
    assert region.miss() == [Condition.UNREACHABLE]
    assert not region.health.healthy
    region.miss(9)
    assert not region.health.lasting(region.now)
    region.miss()
    assert region.health.lasting(region.now) == [Condition.UNREACHABLE]
    assert region.look() == []
    assert not region.health.lasting(region.now)


def test_a_restarted_region_begins_anew() -> None:
    region = Observed()
    region.look(10, latency=5)
    region.restart()
    assert region.look() == [], "its sums are smaller now, and say nothing about the life before"
    assert region.look(5) == []


def test_of_a_region_that_was_never_looked_at_nothing_is_known() -> None:
    health = RegionHealth(SETTINGS)
    assert not health.healthy
    assert not health.lasting(10**18)
    assert not health.recovered(10**18)


class TestDue:
    """What a namespace needs, of the health of its regions."""

    def known(self, *regions: str, disabled: bool = False) -> KnownNamespace:
        known = KnownNamespace(NamespaceRecord(active_cluster=regions[0], clusters=regions))
        known.spec.high_availability.disable_managed_failover = disabled
        return known

    def health(self, **regions: Observed) -> tuple[dict[str, RegionHealth], int]:
        names = {"east": EAST, "west": WEST, "south": SOUTH}
        return {names[name]: region.health for name, region in regions.items()}, max(
            region.now for region in regions.values()
        )

    def ill(self) -> Observed:
        region = Observed()
        region.look(9)
        region.miss(31)
        return region

    def well(self) -> Observed:
        region = Observed()
        region.look(40)
        return region

    def test_nothing_while_all_is_well(self) -> None:
        health, now = self.health(east=self.well(), west=self.well())
        assert due(self.known(EAST, WEST), "", health, now, SETTINGS) is None
        health, now = self.health(east=self.well(), west=self.ill())
        assert due(self.known(EAST, WEST), "", health, now, SETTINGS) is None, "it is not active there"

    def test_away_to_the_first_healthy_replica(self) -> None:
        health, now = self.health(east=self.ill(), west=self.ill(), south=self.well())
        assert due(self.known(EAST, WEST, SOUTH), "", health, now, SETTINGS) == Move(
            SOUTH, Trigger.AUTOMATIC, f"{EAST}: unreachable"
        )
        assert due(self.known(EAST, WEST), "", health, now, SETTINGS) is None, "there is no healthy one"

    def test_back_when_the_original_region_has_recovered(self) -> None:
        recovered = Observed()
        recovered.miss(10)
        recovered.look(30)
        health, now = self.health(east=recovered, west=self.well())
        assert due(self.known(WEST, EAST), EAST, health, now, SETTINGS) is None
        recovered.look()
        health, now = self.health(east=recovered, west=self.well())
        back = Move(EAST, Trigger.FAILBACK, f"{EAST}: healthy for 30 s")
        assert due(self.known(WEST, EAST), EAST, health, now, SETTINGS) == back
        assert due(self.known(WEST, EAST), "", health, now, SETTINGS) is None, "it shall stay"
        assert due(self.known(WEST), EAST, health, now, SETTINGS) is None, "it has no replica there any more"

    def test_nothing_of_a_namespace_that_has_disabled_it(self) -> None:
        health, now = self.health(east=self.ill(), west=self.well())
        assert due(self.known(EAST, WEST, disabled=True), "", health, now, SETTINGS) is None
        assert due(self.known(EAST, WEST, disabled=True), WEST, health, now, SETTINGS) is None
