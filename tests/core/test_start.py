from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import (
    TaskQueueKind,
    WorkflowExecutionStatus,
    WorkflowIdConflictPolicy,
    WorkflowIdReusePolicy,
)
from temporalio.api.workflow.v1 import OnConflictOptions
from temporalio.api.workflowservice.v1 import SignalWithStartWorkflowExecutionRequest

from mockcloud.core import times
from mockcloud.core.change import RunChange
from mockcloud.core.errors import (
    InvalidArgument,
    NamespaceNotActive,
    ResourceExhausted,
    WorkflowExecutionAlreadyStarted,
)
from mockcloud.core.limits import Limits
from mockcloud.core.run import RunKey
from mockcloud.core.start import (
    AttachTo,
    CurrentRun,
    StartNew,
    TerminateAndStart,
    UseExisting,
    decide_signal_with_start,
    decide_start,
    eager_task_of,
    start,
)
from tests.core.makers import NAMESPACE_ID, START, Life, World, payloads, start_request

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


def test_a_signal_with_start_signals_an_open_run_under_any_policy_but_terminate() -> None:
    for policy, decision in (
        (Conflict.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, UseExisting("run-0")),
        (Conflict.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING, TerminateAndStart("run-0")),
    ):
        request = SignalWithStartWorkflowExecutionRequest(
            workflow_id="order-1", workflow_id_conflict_policy=policy
        )
        assert decide_signal_with_start(request, current(), World().context()) == decision


def test_policies_that_do_not_exist_are_refused_where_they_would_decide() -> None:
    unknown = start_request(workflow_id_reuse_policy=9, workflow_id_conflict_policy=9)
    with pytest.raises(InvalidArgument, match="Failed to process start workflow id conflict policy: 9"):
        decide_start(unknown, current(), World().context())
    with pytest.raises(InvalidArgument, match="Failed to process start workflow id reuse policy: 9"):
        decide_start(unknown, current(COMPLETED), World().context())
    assert decide_start(unknown, None, World().context()) == StartNew()


def test_a_start_may_attach_itself_to_the_open_run_and_is_known_there_afterwards() -> None:
    request = start_request(
        request_id="start-9",
        workflow_id_conflict_policy=Conflict.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
        on_conflict_options=OnConflictOptions(attach_request_id=True),
    )
    assert decide_start(request, current(), World().context()) == AttachTo("run-0")
    for status in (RUNNING, COMPLETED):
        attached = current(status)._replace(attached_request_ids=("start-8", "start-9"))
        decision = decide_start(start_request(request_id="start-9"), attached, World().context())
        assert decision == UseExisting("run-0", deduplicated=True, attached=True, status=status)


@pytest.mark.parametrize(
    ("status", "conflict", "message"),
    [
        (
            RUNNING,
            Conflict.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING,
            "Too many restarts for workflow order-1. Time since last start: 700 ms",
        ),
        (
            COMPLETED,
            Conflict.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
            "Too many starts for workflow order-1. Time since last start: 700 ms",
        ),
    ],
)
def test_where_it_is_demanded_a_run_must_have_an_age_before_another_follows(
    status: WorkflowExecutionStatus.ValueType, conflict: WorkflowIdConflictPolicy.ValueType, message: str
) -> None:
    request = start_request(workflow_id_conflict_policy=conflict)
    for world in (World(), World(limits=Limits(validate_reuse_start_time=True))):
        world.advance(700 * times.MILLISECOND)
        if not world.limits.validate_reuse_start_time:  # the default
            assert not isinstance(decide_start(request, current(status), world.context()), UseExisting)
            continue
        with pytest.raises(ResourceExhausted) as caught:
            decide_start(request, current(status), world.context())
        assert caught.value.message == message
        world.advance(times.SECOND)
        assert not isinstance(decide_start(request, current(status), world.context()), UseExisting)


def test_an_eager_start_returns_the_first_task() -> None:
    world = World()
    change = RunChange.new_run(RunKey(NAMESPACE_ID, "order-1", "run-1"), world.context())
    request = start_request(request_eager_execution=True)
    task = start(change, request)
    run = change.run

    assert task is not None
    assert (task.scheduled_event_id, task.started_event_id, task.attempt) == (2, 3, 1)
    assert run.start.eager_execution_accepted
    started = change.events[2].workflow_task_started_event_attributes
    assert (started.identity, started.request_id, started.history_size_bytes) == ("starter", "start-1", 0)
    # The same start, sent again, gets the same task, as long as it is the first.
    again = eager_task_of(run, request)
    assert again is not None
    assert again.token == task.token
    assert eager_task_of(run, start_request()) is None
    run.record.workflow_task.attempt = 2
    assert eager_task_of(run, request) is None


@pytest.mark.parametrize(
    ("fields", "limits"),
    [
        ({"workflow_start_delay": Duration(seconds=1)}, Limits()),
        ({"cron_schedule": "* * * * *"}, Limits()),
        ({}, Limits(eager_workflow_start=False)),
    ],
)
def test_an_eager_start_is_declined_where_the_task_must_wait(fields: dict[str, Any], limits: Limits) -> None:
    life = Life(World(limits=limits), start_request(request_eager_execution=True, **fields))
    assert not life.run.start.eager_execution_accepted
    assert life.run.started_workflow_task is None
