from __future__ import annotations

import typing
from datetime import timedelta

import pytest

from mockcloud.core import times
from mockcloud.core.dynamic_config import BadValue, apply, settings
from mockcloud.core.limits import Key, Limits, Unit


def test_values_are_laid_over_the_limits() -> None:
    limits, without_effect = apply(
        Limits(id_characters=7),
        {
            "limit.blobSize.error": 1000,
            "LIMIT.historycount.suggestContinueAsNew": 10,
            "history.workflowTaskRetryMaxInterval": "1m30s",
            "frontend.enableCancelWorkerPollsOnShutdown": False,
        },
    )
    assert limits == Limits(
        id_characters=7,
        blob_bytes=1000,
        suggest_continue_as_new_events=10,
        workflow_task_retry_maximum=90 * times.SECOND,
        cancel_worker_polls_on_shutdown=False,
    )
    assert without_effect == []


def test_other_keys_are_named_and_change_nothing() -> None:
    limits, without_effect = apply(Limits(), {"frontend.namespaceRPS": "any", "nothing.like.it": [1]})
    assert limits == Limits()
    assert without_effect == ["frontend.namespaceRPS", "nothing.like.it"]


@pytest.mark.parametrize(
    ("value", "nanoseconds"),
    [
        ("10m", 10 * times.MINUTE),
        ("30", 30 * times.SECOND),
        (30, 30 * times.SECOND),
        (0.5, times.SECOND // 2),
        (timedelta(days=2, microseconds=1), 2 * times.DAY + 1000),
    ],
)
def test_durations_come_in_many_forms(value: object, nanoseconds: int) -> None:
    limits, _ = apply(Limits(), {"history.workflowTaskHeartbeatTimeout": value})
    assert limits.workflow_task_heartbeat_total == nanoseconds


@pytest.mark.parametrize(("value", "expected"), [(True, True), ("t", True), ("False", False), ("0", False)])
def test_switches_come_as_booleans_and_words(value: object, expected: bool) -> None:
    limits, _ = apply(Limits(), {"system.enableActivityEagerExecution": value})
    assert limits.eager_activities is expected


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("limit.blobSize.error", "1000", "value type is not int"),
        ("limit.blobSize.error", True, "value type is not int"),
        ("limit.blobSize.error", 3.0, "value type is not int"),
        ("limit.blobSize.error", None, "value type is not int"),
        ("system.enableActivityEagerExecution", 1, "value type is not bool"),
        (
            "system.enableActivityEagerExecution",
            "no",
            'strconv.ParseBool: parsing "no": invalid syntax',
        ),
        (
            "matching.longPollExpirationInterval",
            "soon",
            'failed to parse duration: time: invalid duration "soon"',
        ),
        ("matching.longPollExpirationInterval", [], "value not convertible to Duration"),
    ],
)
def test_a_value_of_another_type_is_refused(key: str, value: object, problem: str) -> None:
    with pytest.raises(BadValue) as refused:
        apply(Limits(), {key: value})
    assert str(refused.value) == f"invalid value for dynamic config key {key!r}: {problem}"


def test_each_limit_with_a_key_can_be_set() -> None:
    hints = typing.get_type_hints(Limits, include_extras=True)
    keyed = {
        name
        for name, hint in hints.items()
        if any(isinstance(mark, Key) for mark in getattr(hint, "__metadata__", ()))
    }
    assert {setting.field for setting in settings().values()} == keyed
    limits = Limits()
    for setting in settings().values():
        default = getattr(limits, setting.field)
        value: object = f"{default}ns" if Unit.NANOSECONDS in hints[setting.field].__metadata__ else default
        assert apply(limits, {setting.key: value}) == (limits, []), setting.field
