from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import WorkflowExecutionStatus

from mockcloud.core import times
from mockcloud.core.derive import derive
from tests.core.makers import START, Life, World, start_request
from tests.core.test_workflow_task import COMPLETE, complete, take


def test_an_open_run_has_a_row_without_history_figures() -> None:
    row = derive(Life(World()).run).visibility
    assert row is not None
    assert (row.workflow_type, row.task_queue, row.start_time) == ("wf", "tq", START)
    assert (row.close_time, row.history_length, row.history_size, row.state_transitions) == (0, 0, 0, 0)
    assert (row.root_workflow_id, row.root_run_id) == ("order-1", "run-1")


def test_a_closed_run_has_its_figures_and_nothing_to_do() -> None:
    life = Life(World())
    derive(life.run)
    complete(life, take(life).token, COMPLETE)
    after = derive(life.run)
    assert after.due is None
    assert after.offers == frozenset()
    row = after.visibility
    assert row is not None
    assert row.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED
    assert row.history_length == 5
    assert row.history_size == life.run.record.history_size


def test_a_zombie_has_nothing() -> None:
    life = Life(World())
    life.run.record.zombie = True
    assert derive(life.run) == type(derive(life.run))(due=None, offers=frozenset(), visibility=None)


def test_a_delayed_start_is_due_when_its_delay_ends() -> None:
    life = Life(World(), start_request(workflow_start_delay=Duration(seconds=30)))
    after = derive(life.run)
    assert after.due == START + 30 * times.SECOND
    assert after.offers == frozenset()
    assert after.visibility is not None
    assert after.visibility.execution_time == START + 30 * times.SECOND
