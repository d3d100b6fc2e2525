from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import Command, ContinueAsNewWorkflowExecutionCommandAttributes
from temporalio.api.enums.v1 import CommandType, ContinueAsNewInitiator, WorkflowExecutionStatus
from temporalio.api.history.v1 import History, HistoryEvent

from mockcloud.core import times
from mockcloud.core.outcome import Outcome
from tests.core.makers import Life, World, payloads, same_state, short, start_request
from tests.core.test_workflow_task import complete, take


def continue_as_new(life: Life) -> Outcome:
    command = Command(
        command_type=CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION,
        continue_as_new_workflow_execution_command_attributes=ContinueAsNewWorkflowExecutionCommandAttributes(
            input=payloads("next"), last_completion_result=payloads("so far")
        ),
    )
    complete(life, take(life).token, command)
    return life.outcomes[-1]


def events(outcome: Outcome) -> list[HistoryEvent]:
    return [event for batch in outcome.batches for event in History.FromString(batch.data).events]


def test_a_run_goes_on_in_a_new_one() -> None:
    # Given a run that has lived for more than a second.
    life = Life(World(), start_request(workflow_execution_timeout=Duration(seconds=60)))
    life.world.advance(2 * times.SECOND)

    # When it continues as new.
    outcome = continue_as_new(life)

    # Then it is closed, and both are committed together.
    assert life.types(4) == ["WORKFLOW_TASK_COMPLETED", "WORKFLOW_EXECUTION_CONTINUED_AS_NEW"]
    assert life.run.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW
    assert life.run.new_run_id == "run-2"
    assert same_state(life.run, life.rebuilt()) == []
    closing = life.events[-1].workflow_execution_continued_as_new_event_attributes
    assert closing.workflow_task_completed_event_id == 4
    # As the command had it; only the new run's is never unspecified.
    assert closing.initiator == ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_UNSPECIFIED

    # And the new one, which is current, begins as recorded in golden/event-based/07.
    successor = outcome.successor
    assert successor is not None
    assert successor.created
    assert successor.becomes_current
    assert successor.run.key.run_id == "run-2"
    assert [short(event) for event in events(successor)] == [
        "WORKFLOW_EXECUTION_STARTED",
        "WORKFLOW_TASK_SCHEDULED",
    ]
    started = successor.run.start
    assert started.continued_execution_run_id == started.first_execution_run_id == "run-1"
    assert started.original_execution_run_id == "run-2"
    assert started.initiator == ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW
    assert (started.input, started.last_completion_result) == (payloads("next"), payloads("so far"))
    assert (started.workflow_type.name, started.task_queue.name, started.attempt) == ("wf", "tq", 1)
    assert not started.HasField("first_workflow_task_backoff")
    assert started.workflow_run_timeout.seconds == 60
    assert started.workflow_execution_expiration_time == life.run.start.workflow_execution_expiration_time


def test_a_chain_of_short_lives_is_slowed_down() -> None:
    life = Life(World())
    life.world.advance(300 * times.MILLISECOND)
    successor = continue_as_new(life).successor
    assert successor is not None
    assert times.nanoseconds(successor.run.start.first_workflow_task_backoff) == 700 * times.MILLISECOND
    assert [short(event) for event in events(successor)] == ["WORKFLOW_EXECUTION_STARTED"]
