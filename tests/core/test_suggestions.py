"""When the server suggests to continue as new, and why."""

from __future__ import annotations

from temporalio.api.enums.v1 import EventType, SuggestContinueAsNewReason, WorkflowTaskFailedCause
from temporalio.api.workflowservice.v1 import RespondWorkflowTaskFailedRequest

from mockcloud.core import workflow_task
from mockcloud.core.limits import Limits
from mockcloud.core.task_start import transient_events
from tests.core.lives import WorkedLife
from tests.core.makers import World, same_state

Reason = SuggestContinueAsNewReason
TOO_LARGE = Reason.SUGGEST_CONTINUE_AS_NEW_REASON_HISTORY_SIZE_TOO_LARGE
TOO_MANY = Reason.SUGGEST_CONTINUE_AS_NEW_REASON_TOO_MANY_HISTORY_EVENTS


def suggested(life: WorkedLife) -> tuple[bool, list[int], int]:
    """What the last WorkflowTaskStarted says."""
    started = life.last("WORKFLOW_TASK_STARTED").workflow_task_started_event_attributes
    return (
        started.suggest_continue_as_new,
        list(started.suggest_continue_as_new_reasons),
        started.history_size_bytes,
    )


def test_nothing_is_suggested_to_a_short_history() -> None:
    life = WorkedLife()
    size = life.run.record.history_size
    life.take_task()
    assert suggested(life) == (False, [], size)  # what was stored before its own event


def test_from_so_many_events_on_it_is_suggested() -> None:
    # Counted is the id of the Started event itself.
    life = WorkedLife(World(limits=Limits(suggest_continue_as_new_events=6)))
    life.decide()
    assert suggested(life)[:2] == (False, [])
    life.signal()
    life.take_task()
    assert life.events[-1].event_id == 7
    assert suggested(life)[:2] == (True, [TOO_MANY])
    assert same_state(life.run, life.rebuilt()) == []


def test_both_reasons_may_hold_and_a_further_attempt_tells_them_too() -> None:
    life = WorkedLife(
        World(limits=Limits(suggest_continue_as_new_events=3, suggest_continue_as_new_bytes=100))
    )
    token = life.take_task()
    assert suggested(life)[:2] == (True, [TOO_LARGE, TOO_MANY])

    change = life.change()
    cause = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE
    workflow_task.fail_workflow_task(change, token, RespondWorkflowTaskFailedRequest(cause=cause))
    life.commit(change)
    token = life.take_task()
    started = transient_events(life.run)[1]
    assert started.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
    reasons = started.workflow_task_started_event_attributes.suggest_continue_as_new_reasons
    assert list(reasons) == [TOO_LARGE, TOO_MANY]

    # When it completes, its Started event is written with what the worker was told.
    life.complete(token)
    assert suggested(life)[:2] == (True, [TOO_LARGE, TOO_MANY])
