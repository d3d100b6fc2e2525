"""Task queues as their users see them: descriptions, partitions, limits and weights."""

from __future__ import annotations

import pytest
from temporalio.api.common.v1 import Priority
from temporalio.api.enums.v1 import (
    BuildIdTaskReachability,
    DescribeTaskQueueMode,
    RateLimitSource,
    TaskQueueKind,
    TaskQueueType,
)
from temporalio.api.taskqueue.v1 import RateLimit, TaskQueue, TaskQueueVersionSelection
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    ListTaskQueuePartitionsRequest,
    ListTaskQueuePartitionsResponse,
    StartWorkflowExecutionRequest,
    UpdateTaskQueueConfigRequest,
    UpdateTaskQueueConfigResponse,
)

from mockcloud.core import times
from mockcloud.core.errors import Code
from tests.frontend.raw_worker import NS, QUEUE, complete, schedule_activity, start, take_activity, take_task
from tests.support import Site, refusal

ENHANCED = DescribeTaskQueueMode.DESCRIBE_TASK_QUEUE_MODE_ENHANCED
WORKFLOW, ACTIVITY = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
NEXUS = TaskQueueType.TASK_QUEUE_TYPE_NEXUS
Update = UpdateTaskQueueConfigRequest.RateLimitUpdate


async def describe(site: Site, **fields: object) -> DescribeTaskQueueResponse:
    request = DescribeTaskQueueRequest(**{"namespace": NS, "task_queue": QUEUE, **fields})  # type: ignore[arg-type]
    return await site.ask(request, DescribeTaskQueueResponse)


async def configure(site: Site, **fields: object) -> UpdateTaskQueueConfigResponse:
    request = UpdateTaskQueueConfigRequest(
        **{"namespace": NS, "task_queue": "q", "task_queue_type": ACTIVITY, "identity": "me", **fields}  # type: ignore[arg-type]
    )
    return await site.ask(request, UpdateTaskQueueConfigResponse)


async def start_with(site: Site, workflow_id: str, key: int) -> None:
    request = StartWorkflowExecutionRequest(
        namespace=NS, workflow_id=workflow_id, task_queue=QUEUE, priority=Priority(priority_key=key)
    )
    request.workflow_type.name = "T"
    await site.call(request)


async def test_a_queue_that_nobody_uses(site: Site) -> None:
    view = await describe(site, report_stats=True, report_config=True, include_task_queue_status=True)

    assert not view.pollers
    assert not view.HasField("config")
    assert view.versioning_info.current_version == "__unversioned__"
    assert view.versioning_info.update_time.seconds == -62135596800
    assert view.effective_rate_limit.requests_per_second == 4000
    assert view.effective_rate_limit.rate_limit_source == RateLimitSource.RATE_LIMIT_SOURCE_SYSTEM
    assert view.stats.approximate_backlog_count == 0
    assert view.stats.HasField("approximate_backlog_age")
    assert list(view.stats_by_priority_key) == [3]
    status = view.task_queue_status
    assert (status.rate_per_second, status.backlog_count_hint) == (4000, 0)
    assert (status.task_id_block.start_id, status.task_id_block.end_id) == (1, 100_000)


async def test_what_waits_by_priority(site: Site) -> None:
    for number, key in enumerate((1, 2, 0, 2)):
        await start_with(site, f"w{number}", key)

    view = await describe(site, report_stats=True, include_task_queue_status=True)

    counts = {level: stats.approximate_backlog_count for level, stats in view.stats_by_priority_key.items()}
    assert counts == {1: 1, 2: 2, 3: 1}
    assert view.stats.approximate_backlog_count == 4
    assert 0 < times.nanoseconds(view.stats.approximate_backlog_age) < times.MINUTE
    assert view.stats.tasks_add_rate > 0
    assert view.stats.tasks_dispatch_rate == 0
    assert (view.task_queue_status.read_level, view.task_queue_status.ack_level) == (4, 0)

    task = await take_task(site)
    assert task.workflow_execution.workflow_id == "w0"
    view = await describe(site, report_stats=True, include_task_queue_status=True)
    assert view.stats_by_priority_key[1].tasks_dispatch_rate > 0
    assert view.task_queue_status.ack_level == 1
    assert [poller.identity for poller in view.pollers] == ["worker"]
    assert [poller.rate_per_second for poller in view.pollers] == [100_000]


async def test_the_enhanced_description(site: Site) -> None:
    await start(site)
    await start(site, "second")
    await take_task(site)

    view = await describe(
        site, api_mode=ENHANCED, report_stats=True, report_pollers=True, report_task_reachability=True
    )

    assert list(view.versions_info) == [""]
    info = view.versions_info[""]
    assert info.task_reachability == BuildIdTaskReachability.BUILD_ID_TASK_REACHABILITY_REACHABLE
    assert sorted(info.types_info) == [WORKFLOW, ACTIVITY]
    assert info.types_info[WORKFLOW].stats.approximate_backlog_count == 1
    assert [poller.identity for poller in info.types_info[WORKFLOW].pollers] == ["worker"]
    assert info.types_info[ACTIVITY].stats.approximate_backlog_count == 0
    assert not view.HasField("effective_rate_limit")


async def test_the_enhanced_description_of_build_ids(site: Site) -> None:
    await start(site)
    both = TaskQueueVersionSelection(unversioned=True, build_ids=["x"])

    view = await describe(
        site,
        api_mode=ENHANCED,
        versions=both,
        report_stats=True,
        report_task_reachability=True,
        task_queue_types=[WORKFLOW],
    )

    assert sorted(view.versions_info) == ["", "x"]
    assert view.versions_info[""].types_info[WORKFLOW].stats.approximate_backlog_count == 1
    unknown = view.versions_info["x"]
    assert unknown.types_info[WORKFLOW].stats.approximate_backlog_count == 0
    assert unknown.task_reachability == BuildIdTaskReachability.BUILD_ID_TASK_REACHABILITY_UNREACHABLE
    nothing = await describe(site, api_mode=ENHANCED, versions=TaskQueueVersionSelection(all_active=True))
    assert nothing == DescribeTaskQueueResponse()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"task_queue": None}, "taskQueue is not set"),
        ({"task_queue": TaskQueue()}, "missing task queue name"),
        (
            {
                "task_queue": TaskQueue(name="s", kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY),
                "api_mode": ENHANCED,
            },
            "Enhanced DescribeTaskQueue is not valid for a sticky queue, use api_mode=UNSPECIFIED or a normal queue.",
        ),
        (
            {"task_queue": TaskQueue(name="/_sys/q/2"), "api_mode": ENHANCED},
            "task queue name cannot start with reserved prefix /_sys/",
        ),
        (
            {"task_queue": TaskQueue(name="/_sys/q/2"), "report_stats": True},
            "DescribeTaskQueue stats are only supported for the root partition",
        ),
        ({"task_queue": TaskQueue(name="/_sys/q/x")}, "invalid task queue partition name /_sys/q/x"),
        (
            {"task_queue": TaskQueue(name="/_sys/s", kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY)},
            "invalid task queue partition name /_sys/s",
        ),
        (
            {"task_queue": TaskQueue(name="q", normal_name="n")},
            "only sticky queues can have normal name. tq: q, normal name: n",
        ),
        (
            {
                "api_mode": ENHANCED,
                "report_task_reachability": True,
                "versions": TaskQueueVersionSelection(build_ids=list("abcdef")),
            },
            "Too many build ids queried at once with ReportTaskReachability==true, limit: 5",
        ),
    ],
)
async def test_what_cannot_be_described(site: Site, fields: dict[str, object], text: str) -> None:
    error = await refusal(describe(site, **fields))
    assert error is not None
    assert (error.code, error.message) == (Code.INVALID_ARGUMENT, text)


async def test_partitions_and_types_that_are_not_there_are_empty(site: Site) -> None:
    await start(site)
    view = await describe(site, task_queue=TaskQueue(name="/_sys/q/3"), include_task_queue_status=True)
    assert view.task_queue_status.backlog_count_hint == 0
    view = await describe(site, task_queue_type=NEXUS, report_stats=True)
    assert view.stats.approximate_backlog_count == 0
    partitions = await site.ask(
        ListTaskQueuePartitionsRequest(namespace=NS, task_queue=QUEUE), ListTaskQueuePartitionsResponse
    )
    assert [each.key for each in partitions.workflow_task_queue_partitions] == ["q"]
    assert [each.key for each in partitions.activity_task_queue_partitions] == ["q"]


async def test_a_limit_is_set_and_unset_with_a_reason(site: Site) -> None:
    limit = Update(rate_limit=RateLimit(requests_per_second=5), reason="peak")
    answer = await configure(site, update_queue_rate_limit=limit)
    assert answer.config.queue_rate_limit.rate_limit.requests_per_second == 5
    assert answer.config.queue_rate_limit.metadata.reason == "peak"
    assert answer.config.queue_rate_limit.metadata.update_identity == "me"

    view = await describe(site, task_queue_type=ACTIVITY, report_config=True)
    assert view.config == answer.config
    assert view.effective_rate_limit.requests_per_second == 5
    assert view.effective_rate_limit.rate_limit_source == RateLimitSource.RATE_LIMIT_SOURCE_API
    view = await describe(site, report_config=True)
    assert view.effective_rate_limit.rate_limit_source == RateLimitSource.RATE_LIMIT_SOURCE_SYSTEM

    answer = await configure(site, update_queue_rate_limit=Update(reason="over"))
    assert not answer.config.queue_rate_limit.HasField("rate_limit")
    assert answer.config.queue_rate_limit.metadata.reason == "over"
    view = await describe(site, task_queue_type=ACTIVITY)
    assert view.effective_rate_limit.rate_limit_source == RateLimitSource.RATE_LIMIT_SOURCE_SYSTEM


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"task_queue_type": WORKFLOW, "update_queue_rate_limit": Update(rate_limit=RateLimit())},
            "Setting rate limit on workflow task queues is not allowed.",
        ),
        (
            {
                "task_queue_type": WORKFLOW,
                "update_fairness_key_rate_limit_default": Update(rate_limit=RateLimit()),
            },
            "Setting fairness key rate limit on workflow task queues is not allowed.",
        ),
        (
            {"update_queue_rate_limit": Update(rate_limit=RateLimit(requests_per_second=-1))},
            "RequestsPerSecond for UpdateQueueRateLimit rate limit must be non-negative.",
        ),
        (
            {"update_queue_rate_limit": Update(rate_limit=RateLimit(), reason="r" * 1001)},
            "UpdateQueueRateLimit.Reason field too long (max 1000 characters).",
        ),
        ({"identity": "i" * 1001}, "Identity field too long (max 1000 characters)."),
        ({"set_fairness_weight_overrides": {"": 1.0}}, "fairness weight override key must not be empty"),
        ({"unset_fairness_weight_overrides": ["k" * 65]}, "fairness key length exceeds limit"),
        (
            {"set_fairness_weight_overrides": {"k": -1.0}},
            'invalid fairness weight weight for key "k": must be greater than zero',
        ),
        (
            {"set_fairness_weight_overrides": {"k": 1.0}, "unset_fairness_weight_overrides": ["k"]},
            'fairness weight override key "k" present in both set and unset lists',
        ),
        (
            {"set_fairness_weight_overrides": {str(number): 1.0 for number in range(1001)}},
            "too many fairness weight overrides in request: got 1001, maximum 1000",
        ),
        ({"task_queue": "/_sys/q/1"}, "task queue family name cannot have prefix /_sys/ /_sys/q/1"),
    ],
)
async def test_what_cannot_be_configured(site: Site, fields: dict[str, object], text: str) -> None:
    error = await refusal(configure(site, **fields))
    assert error is not None
    assert (error.code, error.message) == (Code.INVALID_ARGUMENT, text)
    view = await describe(site, task_queue_type=ACTIVITY, report_config=True)
    assert not view.HasField("config"), "what is refused changes nothing"


async def test_a_weight_of_the_api_counts_in_the_queue(site: Site) -> None:
    await configure(site, set_fairness_weight_overrides={"vip": 3.0})
    await start(site)
    commands = []
    for number in range(12):
        for key in ("plain", "vip"):
            command = schedule_activity(f"{key}-{number}")
            command.schedule_activity_task_command_attributes.priority.fairness_key = key
            commands.append(command)
    await complete(site, await take_task(site), *commands)

    given = [(await take_activity(site)).activity_id for _ in range(12)]

    assert sum(activity_id.startswith("vip") for activity_id in given) == 9
