from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import (
    TaskQueueKind,
    WorkflowExecutionStatus,
    WorkflowIdConflictPolicy,
    WorkflowIdReusePolicy,
)
from temporalio.api.workflowservice.v1 import SignalWithStartWorkflowExecutionRequest

from mockcloud.core import times
from mockcloud.core.errors import NamespaceNotActive, WorkflowExecutionAlreadyStarted
from mockcloud.core.start import (
    CurrentRun,
    StartNew,
    TerminateAndStart,
    UseExisting,
    decide_signal_with_start,
    decide_start,
)
from tests.core.makers import START, Life, World, payloads, start_request

RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
COMPLETED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED
FAILED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED
Conflict = WorkflowIdConflictPolicy
Reuse = WorkflowIdReusePolicy


def current(status: WorkflowExecutionStatus.ValueType = RUNNING, version: int = 1) -> CurrentRun:
    return CurrentRun("run-0", "start-0", status, START, 1, version, 0 if status == RUNNING else START)


def test_the_started_event_carries_what_the_recorded_one_does() -> None:
    # Given the start recorded in golden/event-based/02, when it is made here.
    life = Life(World(), start_request(workflow_task_timeout=Duration(seconds=10)))

    # Then the run begins as there.
    attributes = life.events[0].workflow_execution_started_event_attributes
    assert life.types() == ["WORKFLOW_EXECUTION_STARTED", "WORKFLOW_TASK_SCHEDULED"]
    assert attributes.workflow_type.name == "wf"
    assert attributes.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    assert attributes.input == payloads("input")
    assert attributes.workflow_task_timeout.seconds == 10
    assert attributes.original_execution_run_id == attributes.first_execution_run_id == "run-1"
    assert attributes.identity == "starter"
    assert attributes.attempt == 1
    assert attributes.HasField("first_workflow_task_backoff")
    assert attributes.workflow_id == "order-1"
    assert not attributes.HasField("workflow_run_timeout")
    scheduled = life.events[1].workflow_task_scheduled_event_attributes
    assert (scheduled.task_queue.name, scheduled.attempt) == ("tq", 1)
    assert scheduled.start_to_close_timeout.seconds == 10
    assert [event.version for event in life.events] == [1, 1]
    assert life.run.record.create_request_id == "start-1"


def test_time_outs_are_normalised() -> None:
    life = Life(
        World(),
        start_request(
            workflow_execution_timeout=Duration(seconds=60), workflow_run_timeout=Duration(seconds=300)
        ),
    )
    attributes = life.run.start
    assert attributes.workflow_run_timeout.seconds == 60
    assert attributes.workflow_task_timeout.seconds == 10  # the default
    expires = times.nanoseconds(attributes.workflow_execution_expiration_time)
    assert expires == START + 60 * times.SECOND

    capped = Life(World(), start_request(workflow_task_timeout=Duration(seconds=500)))
    assert capped.run.start.workflow_task_timeout.seconds == 120


def test_a_start_delay_holds_the_first_task_back() -> None:
    life = Life(World(), start_request(workflow_start_delay=Duration(seconds=30)))
    assert life.types() == ["WORKFLOW_EXECUTION_STARTED"]
    assert life.run.record.first_task_backoff_until == START + 30 * times.SECOND


def test_the_first_start_of_a_workflow_id_makes_a_run() -> None:
    assert decide_start(start_request(), None, World().context()) == StartNew()


def test_a_repeated_request_id_gets_the_run_it_made_even_closed() -> None:
    request = start_request(request_id="start-0")
    decision = decide_start(request, current(COMPLETED), World().context())
    assert decision == UseExisting("run-0", deduplicated=True, status=COMPLETED)


def test_an_open_run_refuses_a_second_start() -> None:
    with pytest.raises(WorkflowExecutionAlreadyStarted) as caught:
        decide_start(start_request(), current(), World().context())
    assert caught.value.message == (
        "Workflow execution is already running. WorkflowId: order-1, RunId: run-0."
    )


@pytest.mark.parametrize(
    ("policy", "decision"),
    [
        (Conflict.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, UseExisting("run-0")),
        (Conflict.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING, TerminateAndStart("run-0")),
    ],
)
def test_conflict_policies_of_an_open_run(
    policy: WorkflowIdConflictPolicy.ValueType, decision: object
) -> None:
    request = start_request(workflow_id_conflict_policy=policy)
    assert decide_start(request, current(), World().context()) == decision


def test_the_deprecated_terminate_if_running_terminates() -> None:
    request = start_request(workflow_id_reuse_policy=Reuse.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING)
    assert decide_start(request, current(), World().context()) == TerminateAndStart("run-0")
    assert decide_start(request, current(COMPLETED), World().context()) == StartNew()


@pytest.mark.parametrize(
    ("policy", "status", "message"),
    [
        (Reuse.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, COMPLETED, None),
        (Reuse.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY, FAILED, None),
        (
            Reuse.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY,
            COMPLETED,
            (
                "Workflow execution already finished successfully. WorkflowId: order-1, RunId: run-0. "
                "Workflow Id reuse policy: allow duplicate workflow Id if last run failed."
            ),
        ),
        (
            Reuse.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
            FAILED,
            (
                "Workflow execution already finished. WorkflowId: order-1, RunId: run-0. "
                "Workflow Id reuse policy: reject duplicate workflow Id."
            ),
        ),
    ],
)
def test_reuse_policies_of_a_closed_run(
    policy: WorkflowIdReusePolicy.ValueType,
    status: WorkflowExecutionStatus.ValueType,
    message: str | None,
) -> None:
    request = start_request(workflow_id_reuse_policy=policy)
    if message is None:
        assert decide_start(request, current(status), World().context()) == StartNew()
        return
    with pytest.raises(WorkflowExecutionAlreadyStarted) as caught:
        decide_start(request, current(status), World().context())
    assert caught.value.message == message


def test_a_current_run_of_a_higher_version_says_where_the_namespace_is_active() -> None:
    with pytest.raises(NamespaceNotActive) as caught:
        decide_start(start_request(), current(COMPLETED, version=2), World().context())
    assert caught.value.active_cluster == "B"


def test_signal_with_start_uses_the_open_run_and_replaces_a_closed_one() -> None:
    request = SignalWithStartWorkflowExecutionRequest(workflow_id="order-1", request_id="r")
    assert decide_signal_with_start(request, current(), World().context()) == UseExisting("run-0")
    assert decide_signal_with_start(request, current(COMPLETED), World().context()) == StartNew()
