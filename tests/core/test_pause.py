from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import (
    PauseWorkflowExecutionRequest,
    RespondWorkflowTaskFailedRequest,
    UnpauseWorkflowExecutionRequest,
)

from mockcloud.core import activity, due, pause, pause_info, signals, times, workflow_task
from mockcloud.core.derive import derive, workflow_task_offer
from mockcloud.core.describe import describe
from mockcloud.core.errors import FailedPrecondition, NotFound
from tests.core.lives import WorkedLife, complete_workflow, schedule, seconds, start_timer
from tests.core.makers import START, World, same_state, start_request
from tests.core.test_activity import fail

PAUSED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED


def set_paused(life: WorkedLife, request_id: str = "p1") -> None:
    change = life.change()
    pause.pause(change, PauseWorkflowExecutionRequest(identity="op", reason="why", request_id=request_id))
    if change.changed:
        life.commit(change)
    assert same_state(life.run, life.rebuilt()) == []


def unpause(life: WorkedLife) -> None:
    change = life.change()
    pause.unpause(change, UnpauseWorkflowExecutionRequest(identity="op"))
    life.commit(change)
    assert same_state(life.run, life.rebuilt()) == []


def test_nothing_of_a_paused_run_goes_to_a_worker() -> None:
    # Given a run with an activity that waits and a workflow task that does, when it is paused.
    life = WorkedLife()
    life.decide(schedule(start_to_close=60))
    life.signal()
    (offer,) = life.offers
    task = workflow_task_offer(life.run)
    assert task is not None
    set_paused(life)

    # Then nothing is offered, and what had been is void.
    assert life.run.open
    assert not derive(life.run).offers
    change = life.change()
    assert activity.start_activity(change, offer, "poll", "worker") is None
    assert workflow_task.start_workflow_task(change, task, "poll", "worker") is None
    event = life.last("WORKFLOW_EXECUTION_PAUSED")
    assert event.worker_may_ignore
    assert event.workflow_execution_paused_event_attributes.request_id == "p1"

    # Unpaused, both are offered again, and no other task was written.
    unpause(life)
    assert {offered.kind for offered in derive(life.run).offers} == {offer.kind, task.kind}
    assert life.types(8) == ["WORKFLOW_EXECUTION_PAUSED", "WORKFLOW_EXECUTION_UNPAUSED"]


def test_it_is_described_and_listed_as_paused() -> None:
    life = WorkedLife()
    life.decide(schedule(start_to_close=60))
    row = derive(life.run).visibility
    assert row is not None
    set_paused(life)
    paused_row = derive(life.run).visibility
    assert paused_row is not None
    assert paused_row.status == PAUSED
    described = describe(life.run, life.world.time, life.world.context().namespace)
    assert described.workflow_execution_info.status == PAUSED
    info = described.workflow_extended_info.pause_info
    assert (info.identity, info.reason, times.nanoseconds(info.paused_time)) == ("op", "why", START)
    assert len(described.pending_activities) == 1
    unpause(life)
    assert derive(life.run).visibility == row
    described = describe(life.run, life.world.time, life.world.context().namespace)
    assert not described.workflow_extended_info.HasField("pause_info")


def test_events_come_but_no_task_follows_them() -> None:
    # Given a paused run with a timer and a running activity, when both end and it is signalled.
    life = WorkedLife()
    life.decide(start_timer(after=5), schedule(start_to_close=60, schedule_to_start=2))
    set_paused(life)
    life.pass_time(5 * times.SECOND)
    life.signal()
    assert life.types(7) == [
        "WORKFLOW_EXECUTION_PAUSED",
        "ACTIVITY_TASK_TIMED_OUT",
        "TIMER_FIRED",
        "WORKFLOW_EXECUTION_SIGNALED",
    ]

    # Then one task follows when it is unpaused.
    unpause(life)
    assert life.types(11) == ["WORKFLOW_EXECUTION_UNPAUSED", "WORKFLOW_TASK_SCHEDULED"]


def test_an_attempt_that_fails_meanwhile_waits() -> None:
    life = WorkedLife()
    life.decide(schedule(start_to_close=60))
    started = life.take_activity()
    set_paused(life)
    fail(life, started.token)
    life.pass_time(10 * times.SECOND)
    assert not life.offers
    unpause(life)
    assert life.take_activity().response.attempt == 2


def test_a_task_that_a_worker_has_may_complete() -> None:
    # Given a paused run whose worker has its task, when that completes and asks for an eager activity.
    life = WorkedLife()
    token = life.take_task()
    set_paused(life)
    assert life.types() == ["WORKFLOW_EXECUTION_STARTED", "WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED"]
    completion = life.complete(token, schedule(start_to_close=60, eager=True), return_new_workflow_task=True)

    # Then nothing else goes to the worker, and the run stays paused.
    assert life.types(4) == [
        "WORKFLOW_TASK_COMPLETED",
        "ACTIVITY_TASK_SCHEDULED",
        "WORKFLOW_EXECUTION_PAUSED",
    ]
    assert (completion.new_task, list(completion.activity_tasks)) == (None, [])
    assert life.run.paused
    assert not derive(life.run).offers
    unpause(life)
    assert life.types(7) == ["WORKFLOW_EXECUTION_UNPAUSED", "WORKFLOW_TASK_SCHEDULED"]
    assert len(life.offers) == 1


def test_a_worker_cannot_insist_on_a_further_task() -> None:
    life = WorkedLife()
    token = life.take_task()
    set_paused(life)
    with pytest.raises(FailedPrecondition) as caught:
        life.complete(token, force_create_new_workflow_task=True)
    assert caught.value.message == "Workflow is paused and force create new workflow task is not allowed."
    assert life.run.started_workflow_task is not None


def test_a_run_cannot_close_on_a_task_that_has_not_seen_the_pause() -> None:
    life = WorkedLife()
    token = life.take_task()
    set_paused(life)
    completion = life.complete(token, complete_workflow())
    assert completion.error is not None
    assert life.types(4) == ["WORKFLOW_TASK_FAILED", "WORKFLOW_EXECUTION_PAUSED"]
    unpause(life)
    assert life.types(6) == ["WORKFLOW_EXECUTION_UNPAUSED", "WORKFLOW_TASK_SCHEDULED"]


def test_after_a_failed_task_the_next_one_is_a_first_attempt() -> None:
    life = WorkedLife()
    token = life.take_task()
    set_paused(life)
    change = life.change()
    workflow_task.fail_workflow_task(change, token, RespondWorkflowTaskFailedRequest())
    life.commit(change)
    assert life.run.workflow_task is None
    unpause(life)
    assert life.last("WORKFLOW_TASK_SCHEDULED").workflow_task_scheduled_event_attributes.attempt == 1


def test_pausing_twice() -> None:
    life = WorkedLife()
    set_paused(life)
    set_paused(life)  # the same request
    assert life.types(3) == ["WORKFLOW_EXECUTION_PAUSED"]
    with pytest.raises(FailedPrecondition) as caught:
        set_paused(life, "p2")
    assert caught.value.message == "workflow is already paused."
    unpause(life)
    with pytest.raises(FailedPrecondition) as caught:
        unpause(life)
    assert caught.value.message == "workflow is not paused."


def test_a_paused_run_can_be_terminated_and_keeps_who_paused_it() -> None:
    life = WorkedLife()
    set_paused(life)
    change = life.change()
    signals.terminate_run(change, reason="enough")
    life.commit(change)
    assert not life.run.open
    described = describe(life.run, life.world.time, life.world.context().namespace)
    assert described.workflow_extended_info.pause_info.reason == "why"
    for call in (set_paused, unpause):
        with pytest.raises(NotFound, match="workflow execution already completed"):
            call(life)


def test_a_run_whose_time_is_over_closes_though_it_is_paused() -> None:
    life = WorkedLife(World(), start_request(workflow_run_timeout=seconds(20)))
    set_paused(life)
    life.pass_time(20 * times.SECOND)
    assert life.types(3) == ["WORKFLOW_EXECUTION_PAUSED", "WORKFLOW_EXECUTION_TIMED_OUT"]


def test_the_delay_before_the_first_task_goes_on() -> None:
    # Given a run that waits for its start, when it is unpaused before and another one after its delay.
    early, late = (WorkedLife(World(), start_request(workflow_start_delay=seconds(20))) for _ in range(2))
    for life in (early, late):
        set_paused(life)
    unpause(early)
    assert early.run.workflow_task is None
    for life in (early, late):
        life.pass_time(20 * times.SECOND)
    assert early.run.workflow_task is not None
    assert late.run.workflow_task is None
    assert due.next_due(late.run) is None
    unpause(late)
    assert late.run.workflow_task is not None


def test_what_lists_tell_of_pauses() -> None:
    life = WorkedLife()
    life.decide(schedule("a", start_to_close=60), schedule("b", start_to_close=60))
    assert pause_info.values(life.run) == []
    life.run.activities[5].record.paused = True
    life.run.activities[6].record.paused = True
    set_paused(life)
    assert pause_info.values(life.run) == [
        "Workflow:order-1",
        "Reason:why",
        "property:activityType=act",
    ]
