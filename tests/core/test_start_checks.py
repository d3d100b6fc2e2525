"""Every refusal of a start in the words of the real server, which was asked each of these but where a comment says."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from temporalio.api.common.v1 import (
    Callback,
    Link,
    Payload,
    Priority,
    RetryPolicy,
    TimeSkippingConfig,
    WorkflowType,
)
from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy, WorkflowIdReusePolicy
from temporalio.api.sdk.v1 import UserMetadata
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import OnConflictOptions, VersioningOverride
from temporalio.api.workflowservice.v1 import (
    SignalWithStartWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
)

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import start_checks
from mockcloud.core.errors import Code, FailedPrecondition, InvalidArgument, ServiceError
from mockcloud.core.limits import Limits

PINNED = VersioningOverride.PINNED_OVERRIDE_BEHAVIOR_PINNED
LONG = "x" * 1001
NEGATIVE = Duration(seconds=-1)
Conflict = WorkflowIdConflictPolicy
Reuse = WorkflowIdReusePolicy


def event_link(**fields: Any) -> Link:
    return Link(workflow_event=Link.WorkflowEvent(**fields))


def callback(url: str, **header: str) -> Callback:
    return Callback(nexus=Callback.Nexus(url=url, header=header))


# What both ways to start refuse.
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"workflow_id": ""}, "WorkflowId is not set on request."),
    ({"workflow_id": LONG}, "WorkflowId length exceeds limit."),
    ({"workflow_type": WorkflowType()}, "WorkflowType is not set on request."),
    ({"workflow_type": WorkflowType(name=LONG)}, "WorkflowType length exceeds limit."),
    ({"task_queue": None}, "taskQueue is not set"),
    ({"task_queue": TaskQueue()}, "missing task queue name"),
    ({"task_queue": TaskQueue(name=LONG)}, "taskQueue length exceeds limit"),
    (
        {"task_queue": TaskQueue(name="/_sys/x")},
        "task queue name cannot start with reserved prefix /_sys/",
    ),
    ({"request_id": LONG}, "RequestId length exceeds limit."),
    ({"cron_schedule": "bad"}, "invalid CronSchedule."),
    (
        {"cron_schedule": "0 0 30 2 *"},
        "invalid CronSchedule, no time can be found to satisfy the schedule",
    ),
    (
        {"cron_schedule": "* * * * *", "workflow_start_delay": Duration()},
        "CronSchedule and WorkflowStartDelay may not be used together.",
    ),
    (
        {"workflow_start_delay": NEGATIVE},
        "An invalid WorkflowStartDelaySeconds is set on request. cause: negative duration",
    ),
    ({"priority": Priority(priority_key=-1)}, "priority key can't be negative"),
    ({"priority": Priority(fairness_key="k" * 65)}, "fairness key length exceeds limit"),
    ({"priority": Priority(fairness_weight=-1)}, "must be greater than zero"),
    (
        {"retry_policy": RetryPolicy(backoff_coefficient=0.5)},
        "BackoffCoefficient cannot be less than 1 on retry policy.",
    ),
    (
        {
            "retry_policy": RetryPolicy(
                initial_interval=Duration(seconds=5), maximum_interval=Duration(seconds=1)
            )
        },
        "MaximumInterval cannot be less than InitialInterval on retry policy.",
    ),
    (
        {"retry_policy": RetryPolicy(initial_interval=NEGATIVE)},
        "invalid InitialInterval set on retry policy: negative duration",
    ),
    (
        {"retry_policy": RetryPolicy(maximum_attempts=-1)},
        "MaximumAttempts cannot be negative on retry policy.",
    ),
    (
        {"retry_policy": RetryPolicy(non_retryable_error_types=["TemporalTimeout:Foo"])},
        "Invalid timeout type value: Foo.",
    ),
    (
        {"workflow_execution_timeout": NEGATIVE},
        "An invalid WorkflowExecutionTimeoutSeconds is set on request. cause: negative duration",
    ),
    (
        {"workflow_run_timeout": NEGATIVE},
        "An invalid WorkflowRunTimeoutSeconds is set on request. cause: negative duration",
    ),
    (
        {"workflow_task_timeout": NEGATIVE},
        "An invalid WorkflowTaskTimeoutSeconds is set on request. cause: negative duration",
    ),
    (
        {"links": [Link(batch_job=Link.BatchJob(job_id="j"))] * 11},
        "cannot attach more than 10 links per request, got 11",
    ),
    ({"links": [Link()]}, "unsupported link variant"),
    ({"links": [event_link()]}, "workflow event link must not have an empty namespace field"),
    ({"links": [event_link(namespace="n")]}, "workflow event link must not have an empty workflow ID field"),
    (
        {"links": [event_link(namespace="n", workflow_id="w")]},
        "workflow event link must not have an empty run ID field",
    ),
    (
        {
            "links": [
                event_link(
                    namespace="n",
                    workflow_id="w",
                    run_id="r",
                    event_ref=Link.WorkflowEvent.EventReference(event_id=3),
                )
            ]
        },
        "workflow event link ref cannot have an unspecified event type and a non-zero event ID",
    ),
    ({"links": [Link(batch_job=Link.BatchJob())]}, "batch job link must not have an empty job ID"),
    (
        {"links": [Link(batch_job=Link.BatchJob(job_id="j" * 4001))]},
        "link exceeds allowed size of 4000, got 4007",
    ),
    (
        {
            "workflow_id_reuse_policy": Reuse.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING,
            "workflow_id_conflict_policy": Conflict.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
        },
        (
            "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING cannot be used "
            "together with a WorkflowIDConflictPolicy"
        ),
    ),
    (
        {
            "workflow_id_reuse_policy": Reuse.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
            "workflow_id_conflict_policy": Conflict.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING,
        },
        (
            "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE cannot be used together "
            "with WorkflowIdConflictPolicy WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING"
        ),
    ),
]

REFUSED += [
    (
        {
            "versioning_override": VersioningOverride(
                pinned=VersioningOverride.PinnedOverride(behavior=PINNED)
            )
        },
        "must provide version if override is pinned.",
    ),
    ({"versioning_override": VersioningOverride()}, "override behavior is required"),
]

# A real single region holds only standalone activities and Nexus operations to these, in these words.
REFUSED += [
    (
        {"user_metadata": UserMetadata(summary=Payload(data=b"x" * 400))},
        "user_metadata.summary exceeds size limit. Length=403 Limit=400",
    ),
    (
        {"user_metadata": UserMetadata(details=Payload(data=b"x" * 20_000))},
        "user_metadata.details exceeds size limit. Length=20004 Limit=20000",
    ),
]

# What only StartWorkflowExecution can be asked.
ONLY_START: list[tuple[dict[str, Any], str]] = [
    (
        {"completion_callbacks": [callback("http://localhost:1/x")]},
        "invalid url: url does not match any configured callback address: http://localhost:1/x",
    ),
    ({"completion_callbacks": [callback("ftp://h/x")]}, "invalid url: unknown scheme: ftp://h/x"),
    ({"completion_callbacks": [callback("http:///x")]}, "invalid url: missing host"),
    ({"completion_callbacks": [callback("")]}, "invalid url: unknown scheme: "),
    (
        {"completion_callbacks": [callback("http://" + "x" * 1000)]},
        "invalid url: url length longer than max length allowed of 1000",
    ),
    (
        {"completion_callbacks": [callback("temporal://system", a="x" * 9000)]},
        "invalid header: header size longer than max allowed size of 8192",
    ),
    (
        {"completion_callbacks": [Callback(internal=Callback.Internal(data=b"x"))]},
        "unknown callback variant: *common.Callback_Internal_",
    ),
    (
        {"completion_callbacks": [callback("http://a b/")]},
        'invalid callback url: parse "http://a b/": invalid character " " in host name',
    ),
    (
        {"completion_callbacks": [callback("temporal://system")] * 33},
        "cannot attach more than 32 callbacks to a workflow",
    ),
    (
        {"on_conflict_options": OnConflictOptions(attach_completion_callbacks=True)},
        "attaching request ID is required for attaching completion callbacks",
    ),
]

NOT_BUILT: list[tuple[dict[str, Any], str]] = [
    ({"time_skipping_config": TimeSkippingConfig(enabled=True)}, "time_skipping_config"),
    ({"completion_callbacks": [callback("temporal://system")]}, "completion_callbacks"),
    ({"completion_callbacks": [Callback()]}, "unknown callback variant: <nil>"),
]


def start(**fields: Any) -> StartWorkflowExecutionRequest:
    request = StartWorkflowExecutionRequest()
    fill(request, fields)
    return request


def signal_with_start(**fields: Any) -> SignalWithStartWorkflowExecutionRequest:
    request = SignalWithStartWorkflowExecutionRequest()
    fill(request, {"signal_name": "s", **fields})
    return request


def fill(request: Message, fields: dict[str, Any]) -> None:
    base = {"workflow_id": "w", "workflow_type": WorkflowType(name="T"), "task_queue": TaskQueue(name="q")}
    for name, value in (base | fields).items():
        if isinstance(value, Message):
            getattr(request, name).CopyFrom(value)
        elif isinstance(value, list):
            getattr(request, name).extend(value)
        elif value is not None:
            setattr(request, name, value)


def check(request: StartWorkflowExecutionRequest | SignalWithStartWorkflowExecutionRequest) -> None:
    if isinstance(request, StartWorkflowExecutionRequest):
        start_checks.start_request(request, NamespaceRecord(), Limits(), lambda: "made", 0)
    else:
        start_checks.signal_with_start_request(request, NamespaceRecord(), Limits(), lambda: "made", 0)


@pytest.mark.parametrize(("fields", "message"), [*REFUSED, *ONLY_START])
def test_a_start_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check(start(**fields))
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        *REFUSED,
        ({"signal_name": ""}, "SignalName is not set on request."),
        ({"signal_name": LONG}, "SignalName length exceeds limit."),
        (
            {"workflow_id_conflict_policy": Conflict.WORKFLOW_ID_CONFLICT_POLICY_FAIL},
            (
                "Invalid WorkflowIDConflictPolicy: WORKFLOW_ID_CONFLICT_POLICY_FAIL is not supported for this "
                "operation."
            ),
        ),
    ],
)
def test_a_signal_with_start_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check(signal_with_start(**fields))
    assert caught.value.message == message


@pytest.mark.parametrize(("fields", "name"), NOT_BUILT)
def test_what_is_not_here_is_named(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(ServiceError) as caught:
        check(start(**fields))
    assert caught.value.code is Code.UNIMPLEMENTED
    assert name in caught.value.message


def test_the_first_of_several_problems_is_told() -> None:
    # In the order of the real frontend: id, retry policy, delay, schedule, type, queue, time-outs, ...
    fields: dict[str, Any] = {
        "links": [Link()],
        "priority": Priority(priority_key=-1),
        "workflow_run_timeout": NEGATIVE,
        "task_queue": None,
        "workflow_type": WorkflowType(),
        "cron_schedule": "bad",
        "retry_policy": RetryPolicy(maximum_attempts=-1),
        "workflow_id": "",
    }
    told = []
    while fields:
        with pytest.raises(InvalidArgument) as caught:
            check(start(**fields))
        told.append(caught.value.message)
        fields.popitem()
    assert told == [
        "WorkflowId is not set on request.",
        "MaximumAttempts cannot be negative on retry policy.",
        "invalid CronSchedule.",
        "WorkflowType is not set on request.",
        "taskQueue is not set",
        "An invalid WorkflowRunTimeoutSeconds is set on request. cause: negative duration",
        "priority key can't be negative",
        "unsupported link variant",
    ]


def test_defaults_are_filled_in() -> None:
    request = start(retry_policy=RetryPolicy(), workflow_id_reuse_policy=4)
    check(request)
    assert request.request_id == "made"
    assert request.workflow_id_reuse_policy == Reuse.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
    assert request.workflow_id_conflict_policy == Conflict.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
    policy = request.retry_policy
    assert (policy.initial_interval.seconds, policy.maximum_interval.seconds) == (1, 100)
    assert (policy.backoff_coefficient, policy.maximum_attempts) == (2, 0)

    other = signal_with_start()
    check(other)
    assert other.workflow_id_conflict_policy == Conflict.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING


def test_an_override_needs_no_version_or_one_that_is_there() -> None:
    check(start(versioning_override=VersioningOverride(auto_upgrade=True)))
    pinned = VersioningOverride(
        pinned=VersioningOverride.PinnedOverride(
            behavior=PINNED, version=WorkerDeploymentVersion(deployment_name="d", build_id="b")
        )
    )
    with pytest.raises(FailedPrecondition) as caught:
        check(start(versioning_override=pinned))
    assert caught.value.message == (
        "Pinned version 'd:b' is not present in task queue 'q' of type 'Workflow'"
    )
