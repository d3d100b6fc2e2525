"""The newest word about a task queue counts, in whatever order the words arrive."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.taskqueue.v1 import RateLimit
from temporalio.api.workflowservice.v1 import UpdateTaskQueueConfigRequest

from mockcloud.api.state.v1.state_pb2 import TaskQueueUserData
from mockcloud.core import task_queue_config, times
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.limits import Limits

NOW = 1_800_000_000 * times.SECOND
ACTIVITY = 2
Update = UpdateTaskQueueConfigRequest.RateLimitUpdate


def update(
    known: TaskQueueUserData | None,
    now: int = NOW,
    region: int = 1,
    limits: Limits | None = None,
    **fields: object,
) -> TaskQueueUserData:
    request = UpdateTaskQueueConfigRequest(task_queue="q", task_queue_type=ACTIVITY, identity="me", **fields)  # type: ignore[arg-type]
    return task_queue_config.update(known, request, now=now, region_number=region, limits=limits or Limits())


def limit(rate: float | None, reason: str = "because") -> Update:
    return Update(rate_limit=None if rate is None else RateLimit(requests_per_second=rate), reason=reason)


def test_a_limit_says_who_set_it_and_why() -> None:
    config = task_queue_config.config_of(update(None, update_queue_rate_limit=limit(5)), ACTIVITY)
    assert config is not None
    assert config.queue_rate_limit.rate_limit.requests_per_second == 5
    assert config.queue_rate_limit.metadata.reason == "because"
    assert config.queue_rate_limit.metadata.update_identity == "me"
    assert times.nanoseconds(config.queue_rate_limit.metadata.update_time) == NOW


def test_unsetting_leaves_the_reason_and_the_rest() -> None:
    data = update(
        None,
        update_queue_rate_limit=limit(5),
        update_fairness_key_rate_limit_default=limit(2),
        set_fairness_weight_overrides={"a": 2.0, "b": 3.0},
    )
    data = update(data, update_queue_rate_limit=limit(None, "over"), unset_fairness_weight_overrides=["a"])
    config = task_queue_config.config_of(data, ACTIVITY)
    assert config is not None
    assert not config.queue_rate_limit.HasField("rate_limit")
    assert config.queue_rate_limit.metadata.reason == "over"
    assert config.fairness_keys_rate_limit_default.rate_limit.requests_per_second == 2
    assert dict(config.fairness_weight_overrides) == {"b": 3.0}


def test_types_are_apart() -> None:
    assert task_queue_config.config_of(update(None), 1) is None


def test_too_many_weights() -> None:
    few = Limits(fairness_weight_overrides=1)
    data = update(None, limits=few, set_fairness_weight_overrides={"a": 1.0})
    with pytest.raises(InvalidArgument, match="exceeding maximum key size"):
        update(data, limits=few, set_fairness_weight_overrides={"b": 1.0})


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.integers(0, 3)), min_size=1, max_size=4))
def test_regions_agree_whatever_arrives_first(writes: list[tuple[int, int]]) -> None:
    """Each region writes upon what it has; whoever gets all words has the same in the end."""
    own: dict[int, TaskQueueUserData | None] = {1: None, 2: None}
    words = []
    for number, (region, later) in enumerate(writes):
        data = update(
            own[region], NOW + later * 1_000_000, region, set_fairness_weight_overrides={str(number): 1.0}
        )
        own[region] = data
        words.append(data)
    ends = set()
    for order in itertools.permutations(words):
        known = None
        for word in order:
            known = task_queue_config.receive(known, word) or known
        assert known is not None
        ends.add((known.wall_clock, known.clock_counter, known.clock_region))
    assert len(ends) == 1
