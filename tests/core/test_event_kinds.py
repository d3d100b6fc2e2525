from __future__ import annotations

from temporalio.api.enums.v1 import EventType

from mockcloud.core.event_kinds import KINDS, kind_of, name_of


def test_kinds_and_names() -> None:
    assert kind_of(EventType.EVENT_TYPE_TIMER_FIRED) == "timers"
    assert kind_of(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED) == "closes"
    assert kind_of(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED) == "updates"
    assert kind_of(EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES) == "other"
    assert kind_of(9999) == "other"
    assert "other" not in KINDS.values()
    assert name_of(EventType.EVENT_TYPE_TIMER_FIRED) == "TIMER_FIRED"
    assert name_of(9999) == "9999"
