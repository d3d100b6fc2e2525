"""What the server refuses of commands about other workflows, in its words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import Memo, Payload, Payloads, Priority, RetryPolicy, WorkflowType
from temporalio.api.enums.v1 import CommandType, ParentClosePolicy, WorkflowTaskFailedCause
from temporalio.api.taskqueue.v1 import TaskQueue

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core.change import Context
from mockcloud.core.errors import NamespaceNotFound
from mockcloud.core.limits import Limits
from tests.core.lives import WorkedLife
from tests.core.makers import World
from tests.core.others import RUN_ID, cancel_external, signal_external, start_child

Cause = WorkflowTaskFailedCause
BAD_CHILD = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_START_CHILD_EXECUTION_ATTRIBUTES
BAD_SIGNAL = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SIGNAL_WORKFLOW_EXECUTION_ATTRIBUTES
BAD_CANCEL = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_ATTRIBUTES
LONG = "x" * 1001
ON_CHILD = "on StartChildWorkflowExecutionCommand"
ON_SIGNAL = "on SignalExternalWorkflowExecutionCommand"
ON_CANCEL = "on RequestCancelExternalWorkflowExecutionCommand"
OF_CHILD = "WorkflowId=child WorkflowType=Child Namespace=orders"


def failure(life: WorkedLife, *commands: Command) -> tuple[int, str]:
    """Cause and message of the task that these commands fail."""
    life.decide(*commands)
    failed = life.last("WORKFLOW_TASK_FAILED").workflow_task_failed_event_attributes
    return failed.cause, failed.failure.message.partition(": ")[2]


def bare(command_type: CommandType.ValueType) -> Command:
    return Command(command_type=command_type)


@pytest.mark.parametrize(
    ("command", "cause", "message"),
    [
        (
            bare(CommandType.COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION),
            BAD_CHILD,
            f"StartChildWorkflowExecutionCommandAttributes is not set {ON_CHILD}.",
        ),
        (
            start_child(""),
            BAD_CHILD,
            f"Required field WorkflowId is not set {ON_CHILD}. WorkflowType=Child Namespace=orders",
        ),
        (
            start_child(workflow_type=None),
            BAD_CHILD,
            f"Required field WorkflowType is not set {ON_CHILD}. WorkflowId=child Namespace=orders",
        ),
        (
            start_child(LONG),
            BAD_CHILD,
            (
                f"WorkflowId {ON_CHILD} exceeds length limit. WorkflowId={LONG} Length=1001 Limit=1000 "
                "WorkflowType=Child Namespace=orders"
            ),
        ),
        (
            start_child(workflow_type=WorkflowType(name=LONG)),
            BAD_CHILD,
            (
                f"WorkflowType {ON_CHILD} exceeds length limit. WorkflowId=child WorkflowType={LONG} Length=1001 "
                "Limit=1000 Namespace=orders"
            ),
        ),
        (
            start_child(workflow_execution_timeout=Duration(seconds=-1)),
            BAD_CHILD,
            f"Invalid WorkflowExecutionTimeout {ON_CHILD}: negative duration. {OF_CHILD}",
        ),
        (
            start_child(workflow_run_timeout=Duration(seconds=-1)),
            BAD_CHILD,
            f"Invalid WorkflowRunTimeout {ON_CHILD}: negative duration. {OF_CHILD}",
        ),
        (
            start_child(workflow_task_timeout=Duration(seconds=-1)),
            BAD_CHILD,
            f"Invalid WorkflowTaskTimeout {ON_CHILD}: negative duration. {OF_CHILD}",
        ),
        (
            start_child(retry_policy=RetryPolicy(backoff_coefficient=0.5)),
            BAD_CHILD,
            (
                f"invalid WorkflowRetryPolicy {ON_CHILD}: BackoffCoefficient cannot be less than 1 on retry "
                f"policy.. {OF_CHILD}"
            ),
        ),
        (
            start_child(cron_schedule="nonsense"),
            BAD_CHILD,
            f"invalid CronSchedule {ON_CHILD}: invalid CronSchedule.. {OF_CHILD}",
        ),
        (start_child(priority=Priority(priority_key=-1)), BAD_CHILD, "priority key can't be negative"),
        (
            start_child(task_queue=TaskQueue(name="/_sys/x")),
            BAD_CHILD,
            (
                f"invalid TaskQueue {ON_CHILD}: task queue name cannot start with reserved prefix /_sys/. "
                f'{OF_CHILD} TaskQueue=name:"/_sys/x" kind:TASK_QUEUE_KIND_NORMAL'
            ),
        ),
        (
            start_child(inherit_build_id=True, task_queue=TaskQueue(name="elsewhere")),
            BAD_CHILD,
            "StartChildWorkflowExecution with UseCompatibleVersion cannot run on different task queue.",
        ),
        (
            bare(CommandType.COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION),
            BAD_SIGNAL,
            f"SignalExternalWorkflowExecutionCommandAttributes is not set {ON_SIGNAL}.",
        ),
        (signal_external(execution=None), BAD_SIGNAL, f"Execution is not set {ON_SIGNAL}."),
        (
            signal_external(""),
            BAD_SIGNAL,
            f"WorkflowId is not set {ON_SIGNAL}. Namespace= RunId= SignalName=hello",
        ),
        (
            signal_external(LONG),
            BAD_SIGNAL,
            (
                f"WorkflowId {ON_SIGNAL} exceeds length limit. WorkflowId={LONG} Length=1001 Limit=1000 "
                "Namespace= RunId= SignalName=hello"
            ),
        ),
        (
            signal_external(run_id="r"),
            BAD_SIGNAL,
            f"Invalid RunId set {ON_SIGNAL}. WorkflowId=other Namespace= RunId=r SignalName=hello",
        ),
        (
            signal_external(signal_name=""),
            BAD_SIGNAL,
            f"SignalName is not set {ON_SIGNAL}. WorkflowId=other Namespace= RunId=",
        ),
        (
            bare(CommandType.COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION),
            BAD_CANCEL,
            f"RequestCancelExternalWorkflowExecutionCommandAttributes is not set {ON_CANCEL}.",
        ),
        (cancel_external(""), BAD_CANCEL, f"WorkflowId is not set {ON_CANCEL}. Namespace= RunId="),
        (
            cancel_external(LONG),
            BAD_CANCEL,
            (
                f"WorkflowId {ON_CANCEL} exceeds length limit. WorkflowId={LONG} Length=1001 Limit=1000 "
                "RunId= Namespace="
            ),
        ),
        (
            cancel_external(run_id="r"),
            BAD_CANCEL,
            f"Invalid RunId set {ON_CANCEL}. WorkflowId=other RunId=r Namespace=",
        ),
    ],
)
def test_what_is_refused(command: Command, cause: int, message: str) -> None:
    assert failure(WorkedLife(), command) == (cause, message)


def test_what_is_taken() -> None:
    life = WorkedLife()
    assert life.decide(start_child(), signal_external(run_id=RUN_ID), cancel_external()).error is None


def test_a_child_is_not_cancelled_by_the_task_that_starts_it() -> None:
    assert failure(WorkedLife(), start_child(), cancel_external("child")) == (
        BAD_CANCEL,
        (
            "Start and RequestCancel for child workflow is not allowed in same workflow task. "
            "WorkflowId=child RunId= Namespace="
        ),
    )


@pytest.mark.parametrize(
    ("command", "limit", "cause", "what"),
    [
        (
            start_child,
            "pending_children",
            Cause.WORKFLOW_TASK_FAILED_CAUSE_PENDING_CHILD_WORKFLOWS_LIMIT_EXCEEDED,
            "pending child workflow executions",
        ),
        (
            signal_external,
            "pending_signals",
            Cause.WORKFLOW_TASK_FAILED_CAUSE_PENDING_SIGNALS_LIMIT_EXCEEDED,
            "pending signals to external workflows",
        ),
        (
            cancel_external,
            "pending_cancel_requests",
            Cause.WORKFLOW_TASK_FAILED_CAUSE_PENDING_REQUEST_CANCEL_LIMIT_EXCEEDED,
            "pending requests to cancel external workflows",
        ),
    ],
)
def test_how_much_may_be_pending(command: Any, limit: str, cause: int, what: str) -> None:
    assert getattr(Limits(), limit) == 2_000
    few: Any = {limit: 2}
    life = WorkedLife(World(limits=replace(Limits(), **few)))
    assert failure(life, command("a"), command("b"), command("c")) == (
        cause,
        f"the number of {what}, 2, has reached the per-workflow limit of 2",
    )


def test_a_limit_of_zero_is_none() -> None:
    life = WorkedLife(World(limits=Limits(pending_children=0, pending_signals=0, pending_cancel_requests=0)))
    assert life.decide(start_child(), signal_external(), cancel_external()).error is None


@pytest.mark.parametrize(
    ("enabled", "given", "expected"),
    [
        (True, 0, ParentClosePolicy.PARENT_CLOSE_POLICY_TERMINATE),
        (True, 3, ParentClosePolicy.PARENT_CLOSE_POLICY_REQUEST_CANCEL),
        (False, 1, ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON),
    ],
)
def test_the_parent_close_policy(*, enabled: bool, given: int, expected: ParentClosePolicy.ValueType) -> None:
    life = WorkedLife(World(limits=Limits(parent_close_policies=enabled)))
    life.decide(start_child(parent_close_policy=given))
    (child,) = life.run.children.values()
    assert child.attributes.parent_close_policy == expected


BIG = Payload(data=b"x" * 200)


@pytest.mark.parametrize(
    ("command", "cause", "message"),
    [
        (
            start_child(input=Payloads(payloads=[BIG])),
            BAD_CHILD,
            "StartChildWorkflowExecutionCommandAttributes. Input exceeds size limit.",
        ),
        (
            start_child(memo=Memo(fields={"m": BIG})),
            BAD_CHILD,
            "StartChildWorkflowExecutionCommandAttributes.Memo exceeds size limit.",
        ),
        (
            signal_external(input=Payloads(payloads=[BIG])),
            BAD_SIGNAL,
            "SignalExternalWorkflowExecutionCommandAttributes.Input exceeds size limit.",
        ),
    ],
)
def test_what_is_too_large_ends_the_workflow(command: Command, cause: int, message: str) -> None:
    life = WorkedLife(
        World(
            limits=replace(
                Limits(), blob_bytes=100, blob_bytes_warning=100, memo_bytes=100, memo_bytes_warning=100
            )
        )
    )
    assert failure(life, command) == (cause, message)
    assert life.types()[-1] == "WORKFLOW_EXECUTION_TERMINATED"


class TwoNamespaces(World):
    """`orders`, and beside it `others`."""

    def __init__(self, own: list[str], others: list[str], *, allowed: bool = True) -> None:
        super().__init__(limits=Limits(cross_namespace_commands=allowed))
        self.own = own
        self.others = NamespaceRecord(id="others-id", name="others", clusters=others)

    def context(self) -> Context:
        context = super().context()
        context.namespace.clusters.extend(self.own)
        return context._replace(find_namespace=lambda name: self.others if name == self.others.name else None)


ABOUT_OTHERS = [
    (start_child(namespace="others"), BAD_CHILD),
    (signal_external(namespace="others"), BAD_SIGNAL),
    (cancel_external(namespace="others"), BAD_CANCEL),
]


@pytest.mark.parametrize(("command", "cause"), ABOUT_OTHERS)
def test_another_namespace_is_out_of_reach(command: Command, cause: int) -> None:
    refused = failure(WorkedLife(TwoNamespaces(["A"], ["A"], allowed=False)), command)
    assert refused == (cause, "cross namespace commands are not allowed")


@pytest.mark.parametrize(("command", "cause"), ABOUT_OTHERS)
@pytest.mark.parametrize(("own", "others"), [(["A", "B"], ["A", "B"]), (["A"], ["B"]), (["A"], ["A", "B"])])
def test_another_namespace_must_live_in_the_same_region_alone(
    command: Command, cause: int, own: list[str], others: list[str]
) -> None:
    assert failure(WorkedLife(TwoNamespaces(own, others)), command) == (
        cause,
        "unable to process cross namespace command between orders and others",
    )


@pytest.mark.parametrize(("command", "cause"), ABOUT_OTHERS)
def test_another_namespace_of_the_same_region(command: Command, cause: int) -> None:
    life = WorkedLife(TwoNamespaces(["A"], ["A"]))
    assert life.decide(command).error is None
    attributes: Any = getattr(life.events[-1], life.events[-1].WhichOneof("attributes") or "")
    assert (attributes.namespace, attributes.namespace_id) == ("others", "others-id")


@pytest.mark.parametrize(
    "command",
    [
        start_child(namespace="nowhere"),
        signal_external(namespace="nowhere"),
        cancel_external(namespace="nowhere"),
    ],
)
def test_a_namespace_that_does_not_exist_changes_nothing(command: Command) -> None:
    life = WorkedLife()
    token = life.take_task()
    with pytest.raises(NamespaceNotFound):
        life.complete(token, start_child(), command)
    assert not life.run.children
    assert life.run.started_workflow_task is not None
