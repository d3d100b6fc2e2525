"""How the types of history events differ: which wait in the buffer, which go last, which end a run."""

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

__all__ = [
    "ATTRIBUTES_FIELD",
    "CLOSING",
    "FLUSHED_LAST",
    "KINDS",
    "NEVER_BUFFERED",
    "kind_of",
    "name_of",
    "subject_of",
]

# Event types that are written at once even while a worker has the workflow task. Everything else waits in the
# buffer. Real: historybuilder.EventStore.bufferEvent.
NEVER_BUFFERED = frozenset(
    EventType.Value(f"EVENT_TYPE_{name}")
    for name in (
        "WORKFLOW_EXECUTION_STARTED",
        "WORKFLOW_EXECUTION_COMPLETED",
        "WORKFLOW_EXECUTION_FAILED",
        "WORKFLOW_EXECUTION_TIMED_OUT",
        "WORKFLOW_EXECUTION_TERMINATED",
        "WORKFLOW_EXECUTION_CONTINUED_AS_NEW",
        "WORKFLOW_EXECUTION_CANCELED",
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_TASK_STARTED",
        "WORKFLOW_TASK_COMPLETED",
        "WORKFLOW_TASK_FAILED",
        "WORKFLOW_TASK_TIMED_OUT",
        "ACTIVITY_TASK_SCHEDULED",
        "ACTIVITY_TASK_CANCEL_REQUESTED",
        "TIMER_STARTED",
        "TIMER_CANCELED",
        "START_CHILD_WORKFLOW_EXECUTION_INITIATED",
        "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED",
        "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED",
        "MARKER_RECORDED",
        "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES",
        "WORKFLOW_PROPERTIES_MODIFIED",
        "WORKFLOW_EXECUTION_UPDATE_ACCEPTED",
        "WORKFLOW_EXECUTION_UPDATE_COMPLETED",
    )
)

# They end a run: a speculative workflow task that nobody has taken goes with it, without a trace.
CLOSING = frozenset(
    EventType.Value(f"EVENT_TYPE_WORKFLOW_EXECUTION_{name}")
    for name in ("COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED", "CONTINUED_AS_NEW", "CANCELED")
)

ATTRIBUTES_FIELD = {
    value: name.removeprefix("EVENT_TYPE_").lower() + "_event_attributes" for name, value in EventType.items()
}

# What is flushed after all other buffered events, so that a worker sees signals first, and the name of the
# attribute by which it finds the Started event of the same buffer. Real: EventStore.reorderBuffer,
# EventStore.wireEventIDs.
FLUSHED_LAST = {
    EventType.Value(f"EVENT_TYPE_{what}_{end}"): opened_by
    for what, opened_by, ends in (
        ("ACTIVITY_TASK", "scheduled_event_id", ("COMPLETED", "FAILED", "TIMED_OUT", "CANCELED")),
        (
            "CHILD_WORKFLOW_EXECUTION",
            "initiated_event_id",
            ("COMPLETED", "FAILED", "TIMED_OUT", "CANCELED", "TERMINATED"),
        ),
    )
    for end in ends
}

# What people count events by. What is not here is "other".
KINDS: dict[int, str] = {
    EventType.Value(f"EVENT_TYPE_{name}"): kind
    for kind, names in {
        "starts": ("WORKFLOW_EXECUTION_STARTED",),
        "signals": ("WORKFLOW_EXECUTION_SIGNALED",),
        "updates": tuple(
            f"WORKFLOW_EXECUTION_UPDATE_{step}" for step in ("ADMITTED", "ACCEPTED", "REJECTED", "COMPLETED")
        ),
        "cancel requests": ("WORKFLOW_EXECUTION_CANCEL_REQUESTED",),
        "activity results": tuple(
            f"ACTIVITY_TASK_{end}" for end in ("STARTED", "COMPLETED", "FAILED", "TIMED_OUT", "CANCELED")
        ),
        "activities": ("ACTIVITY_TASK_SCHEDULED", "ACTIVITY_TASK_CANCEL_REQUESTED"),
        "timers": ("TIMER_STARTED", "TIMER_FIRED", "TIMER_CANCELED"),
        "children": (
            "START_CHILD_WORKFLOW_EXECUTION_INITIATED",
            "START_CHILD_WORKFLOW_EXECUTION_FAILED",
            *(
                f"CHILD_WORKFLOW_EXECUTION_{end}"
                for end in ("STARTED", "COMPLETED", "FAILED", "TIMED_OUT", "CANCELED", "TERMINATED")
            ),
        ),
        "markers": ("MARKER_RECORDED",),
        "workflow tasks": tuple(
            f"WORKFLOW_TASK_{step}" for step in ("SCHEDULED", "STARTED", "COMPLETED", "FAILED", "TIMED_OUT")
        ),
        "closes": tuple(
            f"WORKFLOW_EXECUTION_{end}"
            for end in ("COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED", "CONTINUED_AS_NEW", "CANCELED")
        ),
    }.items()
    for name in names
}


def kind_of(event_type: int) -> str:
    """What people count an event of that type by."""
    return KINDS.get(event_type, "other")


def name_of(event_type: int) -> str:
    """The name of an event type without its prefix; its number where this version does not know it."""
    try:
        return EventType.Name(EventType.ValueType(event_type)).removeprefix("EVENT_TYPE_")
    except ValueError:
        return str(event_type)


def subject_of(event: HistoryEvent) -> str:
    """What a client named with its request: the signal, the update's handler or else its id, the workflow's type."""
    match event.WhichOneof("attributes"):
        case "workflow_execution_signaled_event_attributes":
            return event.workflow_execution_signaled_event_attributes.signal_name
        case "workflow_execution_update_admitted_event_attributes":
            request = event.workflow_execution_update_admitted_event_attributes.request
            return request.input.name or request.meta.update_id
        case "workflow_execution_update_accepted_event_attributes":
            accepted = event.workflow_execution_update_accepted_event_attributes
            return accepted.accepted_request.input.name or accepted.protocol_instance_id
        case "workflow_execution_started_event_attributes":
            return event.workflow_execution_started_event_attributes.workflow_type.name
    return ""
