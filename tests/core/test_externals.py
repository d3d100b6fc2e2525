from __future__ import annotations

from collections.abc import Callable

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import (
    CancelExternalWorkflowExecutionFailedCause,
    SignalExternalWorkflowExecutionFailedCause,
)
from temporalio.api.workflowservice.v1 import (
    RequestCancelWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
)

from mockcloud.core import externals, signals
from mockcloud.core.errors import NotFound
from mockcloud.core.externals import Target
from mockcloud.core.signals import Source
from tests.core.lives import WorkedLife
from tests.core.makers import Life, World, payloads, same_state
from tests.core.others import RUN_ID, cancel_external, signal_external
from tests.core.test_children import EXECUTION, PARENT

TARGET = Target("others", "others-id")
SIGNAL_CAUSE = SignalExternalWorkflowExecutionFailedCause.Value(
    "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND"
)
CANCEL_CAUSE = CancelExternalWorkflowExecutionFailedCause.Value(
    "CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND"
)
INITIATED = 5


def test_a_signal_says_what_is_sent_and_in_whose_name() -> None:
    life = WorkedLife()
    life.decide(signal_external("other", RUN_ID, input=payloads("x"), control="c", child_workflow_only=True))
    signal = externals.pending_signal(life.run, INITIATED, 1)
    assert signal is not None
    assert signal == externals.pending_signal(life.rebuilt(), INITIATED, 1)
    assert signal.attributes.workflow_execution == WorkflowExecution(workflow_id="other", run_id=RUN_ID)
    assert signal.attributes.namespace == ""  # as the command said
    assert signal.attributes.namespace_id == "ns-id"
    request = signal.request
    assert (request.signal_name, request.control, request.identity) == ("hello", "c", "history-service")
    assert request.input == payloads("x")
    assert request.request_id == f"run-1:{INITIATED}:1"
    assert signal.source == Source(WorkflowExecution(workflow_id="order-1", run_id="run-1"), only_parent=True)


@pytest.mark.parametrize("cause", [None, SIGNAL_CAUSE])
def test_what_became_of_a_signal_is_written_once(
    cause: SignalExternalWorkflowExecutionFailedCause.ValueType | None,
) -> None:
    life = WorkedLife()
    life.decide(signal_external("other", RUN_ID, control="c"))
    for _ in range(2):
        change = life.change()
        externals.record_signal(change, INITIATED, 1, TARGET, cause)
        if change.changed:
            life.commit(change)
    name = "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED" if cause else "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED"
    assert life.types(INITIATED + 1) == [name, "WORKFLOW_TASK_SCHEDULED"]
    event = life.last(name)
    attributes = getattr(event, event.WhichOneof("attributes") or "")
    assert (attributes.initiated_event_id, attributes.control) == (INITIATED, "c")
    assert (attributes.namespace, attributes.namespace_id) == TARGET
    assert attributes.workflow_execution == WorkflowExecution(workflow_id="other", run_id=RUN_ID)
    if cause:
        assert attributes.cause == cause
    assert same_state(life.run, life.rebuilt()) == []


@pytest.mark.parametrize("cause", [None, CANCEL_CAUSE])
def test_what_became_of_a_cancel_request_is_written_once(
    cause: CancelExternalWorkflowExecutionFailedCause.ValueType | None,
) -> None:
    life = WorkedLife()
    life.decide(cancel_external("other", RUN_ID, reason="why"))
    cancel = externals.pending_cancel(life.run, INITIATED, 1)
    assert cancel is not None
    assert cancel.request.reason == "why"
    assert cancel.source.initiated_event_id == INITIATED
    for _ in range(2):
        change = life.change()
        externals.record_cancel(change, INITIATED, 1, TARGET, cause)
        if change.changed:
            life.commit(change)
    name = (
        "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED"
        if cause
        else "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED"
    )
    assert life.types(INITIATED + 1) == [name, "WORKFLOW_TASK_SCHEDULED"]
    event = life.last(name)
    attributes = getattr(event, event.WhichOneof("attributes") or "")
    assert attributes.initiated_event_id == INITIATED
    assert attributes.workflow_execution == WorkflowExecution(workflow_id="other", run_id=RUN_ID)
    assert externals.pending_cancel(life.run, INITIATED, 1) is None
    assert same_state(life.run, life.rebuilt()) == []


def test_what_another_branch_has_initiated_is_not_pending() -> None:
    life = WorkedLife()
    life.decide(signal_external(), cancel_external())
    assert externals.pending_signal(life.run, INITIATED, 2) is None
    assert externals.pending_cancel(life.run, INITIATED + 1, 2) is None


def test_a_signal_from_another_workflow_names_it_and_comes_once() -> None:
    life = WorkedLife()
    request = SignalWorkflowExecutionRequest(signal_name="s", request_id="run-9:5:1")
    for _ in range(2):
        change = life.change()
        signals.signal(change, request, source=Source(EXECUTION))
        if change.changed:
            life.commit(change)
    assert life.types(3) == ["WORKFLOW_EXECUTION_SIGNALED"]
    attributes = life.events[-1].workflow_execution_signaled_event_attributes
    assert attributes.external_workflow_execution == EXECUTION


def test_a_cancel_request_from_another_workflow_names_it() -> None:
    life = WorkedLife()
    change = life.change()
    signals.request_cancel(change, RequestCancelWorkflowExecutionRequest(), source=Source(EXECUTION, 5))
    life.commit(change)
    attributes = life.events[-1].workflow_execution_cancel_requested_event_attributes
    assert attributes.external_initiated_event_id == 5
    assert attributes.external_workflow_execution == EXECUTION


def signal(life: Life, source: Source) -> None:
    signals.signal(life.change(), SignalWorkflowExecutionRequest(), source=source)


def cancel(life: Life, source: Source) -> None:
    signals.request_cancel(life.change(), RequestCancelWorkflowExecutionRequest(), source=source)


def terminate(life: Life, source: Source) -> None:
    signals.terminate(life.change(), TerminateWorkflowExecutionRequest(), source=source)


@pytest.mark.parametrize("rule", [signal, cancel, terminate])
@pytest.mark.parametrize("only_parent", [False, True])
@pytest.mark.parametrize("child", [False, True])
def test_a_request_that_is_for_children_alone(
    rule: Callable[[Life, Source], None], *, child: bool, only_parent: bool
) -> None:
    life = Life(World(), parent=PARENT if child else None)
    source = Source(EXECUTION, only_parent=only_parent)
    if only_parent and not child:
        with pytest.raises(NotFound, match="workflow parent does not match"):
            rule(life, source)
    else:
        rule(life, source)
