from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import WorkflowTaskFailedCause
from temporalio.api.workflowservice.v1 import (
    RequestCancelWorkflowExecutionRequest,
    SignalWithStartWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
)

from mockcloud.core import signals, start
from mockcloud.core.change import RunChange
from mockcloud.core.errors import InvalidArgument, NotFound, ResourceExhausted
from mockcloud.core.limits import Limits
from mockcloud.core.run import RunKey
from tests.core.makers import NAMESPACE_ID, Life, World, payloads, same_state, start_request
from tests.core.test_workflow_task import COMPLETE, complete, send_signal, take


def test_a_repeated_request_id_signals_once() -> None:
    life = Life(World())
    request = SignalWorkflowExecutionRequest(signal_name="s", request_id="r", input=payloads("x"))
    for _ in range(2):
        change = life.change()
        signals.signal(change, request)
        if change.changed:
            life.commit(change)
    assert life.types(3) == ["WORKFLOW_EXECUTION_SIGNALED"]
    assert life.outcomes[-1].request_ids == ["r"]


def test_a_closed_run_takes_no_signal_but_still_knows_old_ones() -> None:
    life = Life(World())
    send_signal(life)
    (known,) = life.run.signal_request_ids
    change = life.change()
    signals.terminate(change, TerminateWorkflowExecutionRequest(reason="enough"))
    life.commit(change)
    signals.signal(life.change(), SignalWorkflowExecutionRequest(signal_name="s", request_id=known))
    with pytest.raises(NotFound, match=r"^workflow execution already completed$"):
        signals.signal(life.change(), SignalWorkflowExecutionRequest(signal_name="s", request_id="new"))


def test_a_payload_over_the_limit_is_refused() -> None:
    life = Life(World())
    request = SignalWorkflowExecutionRequest(signal_name="s", input=payloads("x" * (2 * 1024 * 1024)))
    change = life.change()
    with pytest.raises(InvalidArgument, match=r"^Blob data size exceeds limit\.$"):
        signals.signal(change, request)
    assert not change.changed


def test_a_signal_does_not_end_a_start_delay_but_signal_with_start_does() -> None:
    life = Life(World(), start_request(workflow_start_delay=Duration(seconds=30)))
    send_signal(life)
    assert life.types() == ["WORKFLOW_EXECUTION_STARTED", "WORKFLOW_EXECUTION_SIGNALED"]
    change = life.change()
    signals.signal_existing(
        change, SignalWithStartWorkflowExecutionRequest(signal_name="s", request_id="sws")
    )
    life.commit(change)
    assert life.types(3) == ["WORKFLOW_EXECUTION_SIGNALED", "WORKFLOW_TASK_SCHEDULED"]


def test_signal_with_start_begins_a_run_with_its_signal() -> None:
    request = SignalWithStartWorkflowExecutionRequest(
        workflow_id="order-1",
        workflow_type=start_request().workflow_type,
        task_queue=start_request().task_queue,
        signal_name="s",
        signal_input=payloads("x"),
        request_id="sws",
    )
    change = RunChange.new_run(RunKey(NAMESPACE_ID, "order-1", "run-9"), World().context())
    start.start(change, request)
    kinds = [event.WhichOneof("attributes") for event in change.events]
    assert kinds == [
        "workflow_execution_started_event_attributes",
        "workflow_execution_signaled_event_attributes",
        "workflow_task_scheduled_event_attributes",
    ]
    assert change.run.record.create_request_id == "sws"
    assert change.run.signal_request_ids == {"sws"}


def test_a_flood_of_signals_takes_the_task_from_its_worker() -> None:
    life = Life(World(limits=Limits(buffered_events=3)))
    take(life)
    for _ in range(4):
        send_signal(life)
    assert life.types(4) == ["WORKFLOW_TASK_FAILED", *["WORKFLOW_EXECUTION_SIGNALED"] * 4]
    assert take(life).attempt == 2
    assert same_state(life.run, life.rebuilt()) == []


def test_a_run_that_tried_to_close_takes_no_more_signals_until_it_has() -> None:
    life = Life(World())
    token = take(life).token
    send_signal(life)
    complete(life, token, COMPLETE)
    send_signal(life)  # its next task is not started yet
    token = take(life).token
    with pytest.raises(ResourceExhausted, match="because workflow is closing"):
        send_signal(life)
    complete(life, token, COMPLETE)
    assert not life.run.open


def test_a_second_cancel_request_changes_nothing_and_both_succeed() -> None:
    life = Life(World())
    for _ in range(2):
        change = life.change()
        signals.request_cancel(
            change, RequestCancelWorkflowExecutionRequest(reason="why", identity="me", request_id="c")
        )
        if change.changed:
            life.commit(change)
    assert life.types(3) == ["WORKFLOW_EXECUTION_CANCEL_REQUESTED"]
    assert life.run.cancel_requested


def test_a_buffered_cancel_request_is_known_by_its_final_id() -> None:
    life = Life(World())
    take(life)
    change = life.change()
    signals.request_cancel(change, RequestCancelWorkflowExecutionRequest())
    life.commit(change)
    assert same_state(life.run, life.rebuilt()) == []
    change = life.change()
    signals.terminate(change, TerminateWorkflowExecutionRequest())
    life.commit(change)
    assert life.run.cancel_request_event_id == 5
    assert same_state(life.run, life.rebuilt()) == []


def test_another_chain_is_not_found() -> None:
    life = Life(World())
    with pytest.raises(NotFound, match=r"^workflow execution not found$"):
        signals.terminate(life.change(), TerminateWorkflowExecutionRequest(first_execution_run_id="other"))


def test_terminate_fails_the_task_that_a_worker_has_and_keeps_what_waited() -> None:
    life = Life(World())
    take(life)
    send_signal(life)
    change = life.change()
    signals.terminate(
        change,
        TerminateWorkflowExecutionRequest(reason="enough", details=payloads("d"), identity="me"),
    )
    life.commit(change)
    assert life.types(4) == [
        "WORKFLOW_TASK_FAILED",
        "WORKFLOW_EXECUTION_SIGNALED",
        "WORKFLOW_EXECUTION_TERMINATED",
    ]
    failed = life.events[3].workflow_task_failed_event_attributes
    assert failed.cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND
    assert failed.identity == "history-service"
    terminated = life.events[-1].workflow_execution_terminated_event_attributes
    assert (terminated.reason, terminated.identity) == ("enough", "me")
    assert same_state(life.run, life.rebuilt()) == []


def test_a_start_that_replaces_a_run_says_so_in_its_termination() -> None:
    life = Life(World())
    change = life.change()
    signals.terminate_for_new_run(change, "run-2")
    life.commit(change)
    terminated = life.events[-1].workflow_execution_terminated_event_attributes
    assert terminated.reason == "TerminateIfRunning WorkflowIdReusePolicy"
    assert terminated.details.payloads[0].data == b'"terminated by new runID: run-2"'
