"""User timers: their events. They fire from `core.due`, and are started and cancelled by a worker's commands.

Real: MutableStateImpl.AddTimer*Event, EventStore.GetAndRemoveTimerFireEvent.
"""

from __future__ import annotations

from temporalio.api.command.v1 import CancelTimerCommandAttributes, StartTimerCommandAttributes
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import (
    HistoryEvent,
    TimerCanceledEventAttributes,
    TimerFiredEventAttributes,
    TimerStartedEventAttributes,
)
from temporalio.api.sdk.v1 import UserMetadata

from mockcloud.core.change import RunChange
from mockcloud.core.run import Run, Timer


def start(
    change: RunChange, completed_event_id: int, command: StartTimerCommandAttributes, metadata: UserMetadata
) -> None:
    """Write that a timer runs. Its id must not be that of a running one."""
    assert command.timer_id not in change.run.timers, "checked before anything was applied"
    change.add(
        EventType.EVENT_TYPE_TIMER_STARTED,
        TimerStartedEventAttributes(
            timer_id=command.timer_id,
            start_to_fire_timeout=command.start_to_fire_timeout,
            workflow_task_completed_event_id=completed_event_id,
        ),
        user_metadata=metadata,
    )


def fire(change: RunChange, timer: Timer) -> None:
    """Write that a timer is due. The caller schedules a workflow task."""
    change.add(
        EventType.EVENT_TYPE_TIMER_FIRED,
        TimerFiredEventAttributes(
            timer_id=timer.attributes.timer_id, started_event_id=timer.started.event_id
        ),
    )


def cancel(
    change: RunChange,
    completed_event_id: int,
    command: CancelTimerCommandAttributes,
    identity: str,
    metadata: UserMetadata,
) -> None:
    """Write that a timer is cancelled, by the worker that calls itself `identity`.

    One that fired while the worker was deciding is cancelled as well: its Fired event is still buffered,
    no worker has seen it, and it is taken out again. One of the two must be so.
    """
    timer_id = command.timer_id
    timer = change.run.timers.get(timer_id)
    started_event_id = _take_fired(change, timer_id) if timer is None else timer.started.event_id
    change.add(
        EventType.EVENT_TYPE_TIMER_CANCELED,
        TimerCanceledEventAttributes(
            timer_id=timer_id,
            started_event_id=started_event_id,
            workflow_task_completed_event_id=completed_event_id,
            identity=identity,
        ),
        user_metadata=metadata,
    )


def has_fired_unseen(run: Run, timer_id: str) -> bool:
    """Whether the timer's Fired event waits in the buffer: no worker has seen it."""
    return _find_fired(run, timer_id) is not None


def _take_fired(change: RunChange, timer_id: str) -> int:
    """Take a timer's Fired event out of the buffer and return the id of its Started event."""
    found = _find_fired(change.run, timer_id)
    assert found is not None, "checked by the caller"
    index, fired = found
    del change.run.record.buffered_events[index]
    change.touch()
    return fired.timer_fired_event_attributes.started_event_id


def _find_fired(run: Run, timer_id: str) -> tuple[int, HistoryEvent] | None:
    for index, raw in enumerate(run.record.buffered_events):
        event = HistoryEvent.FromString(raw)
        if (
            event.event_type == EventType.EVENT_TYPE_TIMER_FIRED
            and event.timer_fired_event_attributes.timer_id == timer_id
        ):
            return index, event
    return None
