"""Input that cannot be right: the real server's status, words and detail, and nothing changed."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from temporalio.api.common.v1 import Memo, Payload, Payloads, RetryPolicy, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import TaskQueueKind, WorkflowIdConflictPolicy
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure, NotFoundFailure
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.replication.v1 import ClusterReplicationConfig, NamespaceReplicationConfig
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    DescribeNamespaceRequest,
    DescribeTaskQueueRequest,
    DescribeWorkflowExecutionRequest,
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryReverseRequest,
    ListNamespacesRequest,
    ListWorkflowExecutionsRequest,
    PollActivityTaskQueueRequest,
    PollWorkflowTaskQueueRequest,
    QueryWorkflowRequest,
    RecordActivityTaskHeartbeatByIdRequest,
    RecordActivityTaskHeartbeatRequest,
    RegisterNamespaceRequest,
    RequestCancelWorkflowExecutionRequest,
    ResetStickyTaskQueueRequest,
    RespondActivityTaskCompletedByIdRequest,
    RespondActivityTaskCompletedRequest,
    RespondQueryTaskCompletedRequest,
    RespondWorkflowTaskCompletedRequest,
    RespondWorkflowTaskFailedRequest,
    SignalWithStartWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
    StartActivityExecutionRequest,
    StartWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
    UpdateNamespaceRequest,
)

from mockcloud.core.derived import TaskKind
from mockcloud.core.errors import Code, ServiceError
from mockcloud.core.tokens import HistoryPageToken, ListPageToken, TaskToken
from mockcloud.frontend.methods import OPERATOR_SERVICE
from mockcloud.rpc.methods import Call
from tests.support import Site, refusal

NS = "default"
LONG = "x" * 1001
NORMAL = TaskQueueKind.TASK_QUEUE_KIND_NORMAL
ABSENT = "01234567-89ab-7def-8123-456789abcdef"
RUN = WorkflowExecution(workflow_id="absent")
BIG = Payloads(payloads=[Payload(data=bytes(2 * 1024 * 1024 + 1))])
NEGATIVE = Duration(seconds=-1)


def start(**changes: object) -> StartWorkflowExecutionRequest:
    request = StartWorkflowExecutionRequest(
        namespace=NS,
        workflow_id="w",
        workflow_type=WorkflowType(name="T"),
        task_queue=TaskQueue(name="q"),
        request_id="r",
    )
    for name, value in changes.items():
        if isinstance(value, Message):
            getattr(request, name).CopyFrom(value)
        elif value is None:
            request.ClearField(name)  # type: ignore[arg-type] # the names are checked by the message
        else:
            setattr(request, name, value)
    return request


def token(namespace_id: str, **changes: object) -> bytes:
    values: dict[str, object] = {
        "namespace_id": namespace_id,
        "workflow_id": "absent",
        "run_id": ABSENT,
        "scheduled_event_id": 2,
        "attempt": 1,
        "version": 1,
        "kind": TaskKind.WORKFLOW,
    }
    return TaskToken(**(values | changes)).dump()  # type: ignore[arg-type] # a table of values


async def refused(site: Site, request: Message) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        await site.call(request)
    return caught.value


INVALID = [
    (start(namespace=""), "Namespace is empty."),
    (start(namespace=LONG), "Namespace length exceeds limit."),
    (start(workflow_id=""), "WorkflowId is not set on request."),
    (start(workflow_id=LONG), "WorkflowId length exceeds limit."),
    (start(workflow_type=None), "WorkflowType is not set on request."),
    (start(workflow_type=WorkflowType(name=LONG)), "WorkflowType length exceeds limit."),
    (start(task_queue=None), "taskQueue is not set"),
    (start(task_queue=TaskQueue(name=LONG)), "taskQueue length exceeds limit"),
    (start(task_queue=TaskQueue(kind=NORMAL)), "missing task queue name"),
    (start(request_id=LONG), "RequestId length exceeds limit."),
    (
        start(workflow_run_timeout=NEGATIVE),
        "An invalid WorkflowRunTimeoutSeconds is set on request. cause: negative duration",
    ),
    (
        start(workflow_execution_timeout=NEGATIVE),
        "An invalid WorkflowExecutionTimeoutSeconds is set on request. cause: negative duration",
    ),
    (
        start(workflow_task_timeout=Duration(seconds=1, nanos=-1)),
        (
            "An invalid WorkflowTaskTimeoutSeconds is set on request. cause: "
            "duration has seconds and nanos with different signs"
        ),
    ),
    (
        start(workflow_start_delay=NEGATIVE),
        "An invalid WorkflowStartDelaySeconds is set on request. cause: negative duration",
    ),
    (
        start(retry_policy=RetryPolicy(backoff_coefficient=0.5)),
        "BackoffCoefficient cannot be less than 1 on retry policy.",
    ),
    (start(input=BIG), "Blob data size exceeds limit."),
    (start(memo=Memo(fields={"m": BIG.payloads[0]})), "Memo size exceeds limit."),
    (SignalWorkflowExecutionRequest(namespace=NS), "Execution is not set on request."),
    (
        SignalWorkflowExecutionRequest(namespace=NS, workflow_execution=WorkflowExecution()),
        "WorkflowId is not set on request.",
    ),
    (
        SignalWorkflowExecutionRequest(
            namespace=NS, workflow_execution=WorkflowExecution(workflow_id="w", run_id="x"), signal_name="s"
        ),
        "Invalid RunId.",
    ),
    (
        SignalWorkflowExecutionRequest(namespace=NS, workflow_execution=RUN, signal_name="s", input=BIG),
        "Blob data size exceeds limit.",
    ),
    (
        SignalWithStartWorkflowExecutionRequest(namespace=NS, workflow_id="w"),
        "SignalName is not set on request.",
    ),
    (
        SignalWithStartWorkflowExecutionRequest(
            namespace=NS,
            workflow_id="w",
            signal_name="s",
            workflow_type=WorkflowType(name="T"),
            task_queue=TaskQueue(name="q"),
            workflow_id_conflict_policy=WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
        ),
        (
            "Invalid WorkflowIDConflictPolicy: WORKFLOW_ID_CONFLICT_POLICY_FAIL is not supported "
            "for this operation."
        ),
    ),
    (TerminateWorkflowExecutionRequest(namespace=NS), "Execution is not set on request."),
    (RequestCancelWorkflowExecutionRequest(namespace=NS), "Execution is not set on request."),
    (DescribeWorkflowExecutionRequest(namespace=NS), "Execution is not set on request."),
    (ResetStickyTaskQueueRequest(namespace=NS), "Execution is not set on request."),
    (QueryWorkflowRequest(namespace=NS, execution=RUN), "WorkflowQuery is not set on request."),
    (
        QueryWorkflowRequest(namespace=NS, execution=RUN, query=WorkflowQuery()),
        "QueryType is not set on request.",
    ),
    (GetWorkflowExecutionHistoryRequest(namespace=NS), "Execution is not set on request."),
    (
        GetWorkflowExecutionHistoryRequest(namespace=NS, execution=RUN, next_page_token=b"\xff"),
        "Invalid NextPageToken.",
    ),
    (
        GetWorkflowExecutionHistoryReverseRequest(
            namespace=NS, execution=RUN, next_page_token=HistoryPageToken("r", 1).dump()
        ),
        "Invalid NextPageToken.",
    ),
    (ListWorkflowExecutionsRequest(namespace=NS, next_page_token=b"\xff"), "Invalid NextPageToken."),
    (
        ListWorkflowExecutionsRequest(
            namespace=NS, next_page_token=ListPageToken("elsewhere", 1, 1, "r").dump()
        ),
        "Invalid NextPageToken.",
    ),
    (ListNamespacesRequest(next_page_token=b"\xff"), "Invalid NextPageToken."),
    (PollWorkflowTaskQueueRequest(namespace=NS), "taskQueue is not set"),
    (
        PollActivityTaskQueueRequest(namespace=NS, task_queue=TaskQueue(kind=NORMAL)),
        "missing task queue name",
    ),
    (
        PollWorkflowTaskQueueRequest(namespace=NS, task_queue=TaskQueue(name="q"), identity=LONG),
        "Identity length exceeds limit.",
    ),
    (DescribeTaskQueueRequest(namespace=NS), "taskQueue is not set"),
    (RespondWorkflowTaskCompletedRequest(namespace=NS), "Task token not set on request."),
    (
        RespondWorkflowTaskCompletedRequest(namespace=NS, task_token=b"\xff\xff"),
        "Error deserializing task token.",
    ),
    (RespondQueryTaskCompletedRequest(task_token=b"\xff\xff"), "Error deserializing task token."),
    (RecordActivityTaskHeartbeatRequest(task_token=b"\xff\xff"), "Error deserializing task token."),
    (RespondActivityTaskCompletedRequest(namespace=NS), "Task token not set on request."),
    (
        RecordActivityTaskHeartbeatByIdRequest(namespace=NS, workflow_id="w"),
        "ActivityId is not set on request.",
    ),
    (
        RespondActivityTaskCompletedByIdRequest(namespace=NS, activity_id="a"),
        "WorkflowId is not set on request.",
    ),
    (DescribeNamespaceRequest(), "Namespace not set on request."),
    (UpdateNamespaceRequest(), "Namespace not set on request."),
    (RegisterNamespaceRequest(), "Namespace not set on request."),
    (RegisterNamespaceRequest(namespace=LONG), "Namespace length exceeds limit."),
    (RegisterNamespaceRequest(namespace="n"), "A valid retention period is not set on request."),
    (
        RegisterNamespaceRequest(
            namespace="n",
            workflow_execution_retention_period=Duration(seconds=86400),
            clusters=[ClusterReplicationConfig(cluster_name="nowhere")],
            active_cluster_name="nowhere",
        ),
        "Invalid cluster name: nowhere",
    ),
    (
        UpdateNamespaceRequest(
            namespace=NS, replication_config=NamespaceReplicationConfig(active_cluster_name="nowhere")
        ),
        "Invalid cluster name: nowhere",
    ),
    (
        UpdateNamespaceRequest(
            namespace=NS,
            config=NamespaceConfig(workflow_execution_retention_ttl=Duration(seconds=86400)),
            replication_config=NamespaceReplicationConfig(active_cluster_name="A"),
        ),
        "Cannot set active cluster to current cluster when other parameters are set.",
    ),
]


@pytest.mark.parametrize(("request_", "text"), INVALID, ids=range(len(INVALID)))
async def test_invalid_arguments(site: Site, request_: Message, text: str) -> None:
    error = await refused(site, request_)

    assert (error.code, error.message) == (Code.INVALID_ARGUMENT, text)
    assert error.detail is None
    count = await site.call(CountWorkflowExecutionsRequest(namespace=NS))
    assert count == type(count)()  # nothing was started


@pytest.mark.parametrize(
    "request_",
    [
        start(namespace="nowhere"),
        DescribeNamespaceRequest(namespace="nowhere"),
        UpdateNamespaceRequest(namespace="nowhere"),
        ListWorkflowExecutionsRequest(namespace="nowhere"),
        StartActivityExecutionRequest(namespace="nowhere"),
    ],
    ids=lambda request: type(request).__name__,
)
async def test_an_unknown_namespace(site: Site, request_: Message) -> None:
    error = await refused(site, request_)

    assert (error.code, error.message) == (Code.NOT_FOUND, "Namespace nowhere is not found.")
    assert error.detail == NamespaceNotFoundFailure(namespace="nowhere")


@pytest.mark.parametrize(
    "request_",
    [
        SignalWorkflowExecutionRequest(namespace=NS, workflow_execution=RUN, signal_name="s"),
        TerminateWorkflowExecutionRequest(namespace=NS, workflow_execution=RUN),
        RequestCancelWorkflowExecutionRequest(namespace=NS, workflow_execution=RUN),
        DescribeWorkflowExecutionRequest(namespace=NS, execution=RUN),
        GetWorkflowExecutionHistoryRequest(namespace=NS, execution=RUN),
        GetWorkflowExecutionHistoryRequest(namespace=NS, execution=RUN, wait_new_event=True),
        QueryWorkflowRequest(namespace=NS, execution=RUN, query=WorkflowQuery(query_type="q")),
        RespondActivityTaskCompletedByIdRequest(namespace=NS, workflow_id="absent", activity_id="a"),
    ],
    ids=lambda request: type(request).__name__,
)
async def test_an_unknown_workflow(site: Site, request_: Message) -> None:
    error = await refused(site, request_)

    assert (error.code, error.message) == (Code.NOT_FOUND, "workflow not found for ID: absent")
    assert error.detail == NotFoundFailure()


async def test_an_unknown_run(site: Site) -> None:
    execution = WorkflowExecution(workflow_id="absent", run_id=ABSENT)

    error = await refused(site, DescribeWorkflowExecutionRequest(namespace=NS, execution=execution))

    assert error.code is Code.NOT_FOUND
    assert error.detail == NotFoundFailure()


async def test_tokens_of_another_namespace_and_of_none(site: Site) -> None:
    here = site.region.namespaces.by_name(NS).id
    await site.register("other")
    other = site.region.namespaces.by_name("other").id

    foreign = await refused(site, RespondWorkflowTaskFailedRequest(namespace=NS, task_token=token(other)))
    assert (foreign.code, foreign.message) == (
        Code.INVALID_ARGUMENT,
        "Operation requested with a token from a different namespace.",
    )
    nowhere = await refused(site, RespondWorkflowTaskFailedRequest(namespace=NS, task_token=token(ABSENT)))
    assert nowhere.message == f"Namespace {ABSENT} is not found."
    stale = await refused(site, RespondWorkflowTaskCompletedRequest(task_token=token(here)))
    assert stale.code is Code.NOT_FOUND


async def test_a_message_that_does_not_parse(site: Site) -> None:
    service = "temporal.api.workflowservice.v1.WorkflowService"
    name = f"/{service}/StartWorkflowExecution"
    with pytest.raises(ServiceError) as caught:
        await site.frontend.dispatch(Call(service, "StartWorkflowExecution", name, b"\xff\xff", {}))
    assert caught.value.code is Code.INTERNAL
    assert caught.value.message.startswith("grpc: error unmarshalling request:")


@pytest.mark.parametrize(
    ("timeout", "code"), [(None, Code.INVALID_ARGUMENT), (1.0, Code.FAILED_PRECONDITION)]
)
async def test_a_poll_without_time(site: Site, timeout: float | None, code: Code) -> None:
    with pytest.raises(ServiceError) as caught:
        await site.call(
            PollActivityTaskQueueRequest(namespace=NS, task_queue=TaskQueue(name="q")), timeout=timeout
        )
    assert caught.value.code is code


async def test_what_is_not_built_is_named(site: Site) -> None:
    error = await refused(site, StartActivityExecutionRequest(namespace=NS, activity_id="s"))

    assert error.code is Code.UNIMPLEMENTED
    assert "StartActivityExecution" in error.message


async def test_absurdly_long_time_outs_are_cut(site: Site) -> None:
    absurd = Duration(seconds=10**12)

    await site.call(start(workflow_run_timeout=absurd, workflow_execution_timeout=absurd))


async def test_the_operator_service_names_what_is_not_built(site: Site) -> None:
    unserved = [method.name for method in OPERATOR_SERVICE.methods if "NexusEndpoint" in method.name]
    assert unserved
    for name in unserved:
        call = Call(OPERATOR_SERVICE.full_name, name, f"/{OPERATOR_SERVICE.full_name}/{name}", b"", {})
        error = await refusal(site.frontend.dispatch(call))
        assert error is not None
        assert error.code is Code.UNIMPLEMENTED
        assert name in error.message
