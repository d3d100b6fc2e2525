"""The real frontend's words for what cannot be right."""

from __future__ import annotations

import pytest
from temporalio.api.common.v1 import Payload, Payloads, WorkerVersionCapabilities, WorkflowExecution
from temporalio.api.deployment.v1 import WorkerDeploymentOptions
from temporalio.api.enums.v1 import TaskQueueKind, WorkerVersioningMode
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure, TimeoutFailureInfo
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    QueryWorkflowRequest,
    SignalWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
)

from mockcloud.core.errors import (
    FailedPrecondition,
    InvalidArgument,
    PermissionDenied,
    ServiceError,
)
from mockcloud.core.limits import Limits
from mockcloud.frontend import validation

LIMITS = Limits()
LONG = "x" * 1001
STICKY = TaskQueueKind.TASK_QUEUE_KIND_STICKY
RUN = WorkflowExecution(workflow_id="w")
BIG = Payloads(payloads=[Payload(data=bytes(LIMITS.blob_bytes + 1))])


@pytest.mark.parametrize(
    ("execution", "text"),
    [
        (None, "Execution is not set on request."),
        (WorkflowExecution(run_id="r"), "WorkflowId is not set on request."),
        (WorkflowExecution(workflow_id="w", run_id="nope"), "Invalid RunId."),
    ],
)
def test_a_run_must_be_named(execution: WorkflowExecution | None, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        validation.execution(execution or WorkflowExecution(), present=execution is not None)
    assert caught.value.message == text


def test_go_takes_four_spellings_of_a_uuid() -> None:
    digits = "0123456789abcdef0123456789ABCDEF"
    plain = "01234567-89ab-cdef-0123-456789ABCDEF"
    for spelling in ("", digits, plain, f"{{{plain}}}", f"urn:uuid:{plain}"):
        validation.run_id(spelling)


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (SignalWorkflowExecutionRequest(workflow_execution=RUN), "SignalName is not set on request."),
        (
            SignalWorkflowExecutionRequest(workflow_execution=RUN, signal_name=LONG),
            "SignalName length exceeds limit.",
        ),
        (
            SignalWorkflowExecutionRequest(workflow_execution=RUN, signal_name="s", request_id=LONG),
            "RequestId length exceeds limit.",
        ),
        (
            SignalWorkflowExecutionRequest(workflow_execution=RUN, signal_name="s", input=BIG),
            "Blob data size exceeds limit.",
        ),
    ],
)
def test_signals(request_: SignalWorkflowExecutionRequest, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        validation.signal(request_, LIMITS)
    assert caught.value.message == text


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (QueryWorkflowRequest(execution=RUN), "WorkflowQuery is not set on request."),
        (QueryWorkflowRequest(execution=RUN, query=WorkflowQuery()), "QueryType is not set on request."),
        (
            QueryWorkflowRequest(execution=RUN, query=WorkflowQuery(query_type="q", query_args=BIG)),
            "Blob data size exceeds limit.",
        ),
    ],
)
def test_queries(request_: QueryWorkflowRequest, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        validation.query(request_, LIMITS)
    assert caught.value.message == text


def test_a_termination_without_author_gets_the_frontends() -> None:
    request = TerminateWorkflowExecutionRequest(workflow_execution=RUN)
    validation.terminate(request, Limits())
    assert request.reason == "terminated by user via frontend"
    assert request.identity == "frontend-service"


@pytest.mark.parametrize(
    ("timeout", "error"), [(None, InvalidArgument), (1.9, FailedPrecondition), (2.5, None), (70.0, None)]
)
def test_a_poll_needs_a_deadline(timeout: float | None, error: type[ServiceError] | None) -> None:
    if error is None:
        validation.poll_deadline(timeout)
        return
    with pytest.raises(error, match="Context timeout is"):
        validation.poll_deadline(timeout)


@pytest.mark.parametrize(
    ("queue", "text"),
    [
        (None, "taskQueue is not set"),
        (TaskQueue(), "missing task queue name"),
        (TaskQueue(name=LONG), "taskQueue length exceeds limit"),
        (TaskQueue(name="/_sys/q/1"), "task queue name cannot start with reserved prefix /_sys/"),
        (
            TaskQueue(name="q", normal_name="n"),
            "only sticky queues can have normal name. tq: q, normal name: n",
        ),
        (TaskQueue(name="s", kind=STICKY, normal_name=LONG), "taskQueue length exceeds limit"),
    ],
)
def test_polled_queues(queue: TaskQueue | None, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        validation.poll_queue(queue or TaskQueue(), LIMITS, present=queue is not None)
    assert caught.value.message == text


def test_worker_versioning_is_refused() -> None:
    none = WorkerDeploymentOptions()
    validation.versioning(WorkerVersionCapabilities(build_id="1"), none, LIMITS)
    with pytest.raises(PermissionDenied):
        validation.versioning(WorkerVersionCapabilities(build_id="1", use_versioning=True), none, LIMITS)
    with pytest.raises(InvalidArgument, match="Build ID"):
        validation.versioning(WorkerVersionCapabilities(build_id="x" * 256), none, LIMITS)
    versioned = WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    with pytest.raises(InvalidArgument, match="must be set together"):
        validation.versioning(
            WorkerVersionCapabilities(), WorkerDeploymentOptions(worker_versioning_mode=versioned), LIMITS
        )


def test_an_activity_fails_with_an_application_failure() -> None:
    validation.activity_failure(Failure(), present=False)
    validation.activity_failure(
        Failure(application_failure_info=ApplicationFailureInfo(type="t")), present=True
    )
    with pytest.raises(InvalidArgument, match="ApplicationFailureInfo"):
        validation.activity_failure(Failure(timeout_failure_info=TimeoutFailureInfo()), present=True)
