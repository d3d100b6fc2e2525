from __future__ import annotations

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from mockcloud.core.event_kinds import KINDS, kind_of, name_of, subject_of


def test_kinds_and_names() -> None:
    assert kind_of(EventType.EVENT_TYPE_TIMER_FIRED) == "timers"
    assert kind_of(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED) == "closes"
    assert kind_of(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED) == "updates"
    assert kind_of(EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES) == "other"
    assert kind_of(9999) == "other"
    assert "other" not in KINDS.values()
    assert name_of(EventType.EVENT_TYPE_TIMER_FIRED) == "TIMER_FIRED"
    assert name_of(9999) == "9999"


def test_what_clients_named_with_their_requests() -> None:
    signal, start, update, task = HistoryEvent(), HistoryEvent(), HistoryEvent(), HistoryEvent()
    signal.workflow_execution_signaled_event_attributes.signal_name = "add"
    start.workflow_execution_started_event_attributes.workflow_type.name = "Order"
    accepted = update.workflow_execution_update_accepted_event_attributes
    accepted.protocol_instance_id = "update-1"
    task.workflow_task_started_event_attributes.scheduled_event_id = 2
    assert [subject_of(event) for event in (signal, start, update, task)] == ["add", "Order", "update-1", ""]
    # Where the event has the request, the handler says more than the id.
    accepted.accepted_request.input.name = "deliver_to"
    assert subject_of(update) == "deliver_to"
    update.workflow_execution_update_admitted_event_attributes.request.input.name = "put"
    assert subject_of(update) == "put"
