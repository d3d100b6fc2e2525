"""What was said of a task queue, and the order of its tasks, in the region that takes over."""

from __future__ import annotations

from temporalio.api.common.v1 import Priority
from temporalio.api.enums.v1 import RateLimitSource, TaskQueueType
from temporalio.api.taskqueue.v1 import RateLimit
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    UpdateTaskQueueConfigRequest,
)

from tests.scenarios.stage import EAST, LOCALLY, NORMAL_QUEUE, WEST, Stage, until
from tests.scenarios.workflows import QUEUE

ACTIVITY = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
Update = UpdateTaskQueueConfigRequest.RateLimitUpdate


async def described(stage: Stage, region: str) -> DescribeTaskQueueResponse:
    request = DescribeTaskQueueRequest(
        task_queue=NORMAL_QUEUE, task_queue_type=ACTIVITY, report_config=True, report_stats=True
    )
    return await stage.at(region).ask(request, DescribeTaskQueueResponse, metadata=LOCALLY)


async def test_limits_and_weights_replicate_and_survive_failovers(stage: Stage) -> None:
    limit = Update(rate_limit=RateLimit(requests_per_second=7), reason="peak")
    await stage.at(EAST).call(
        UpdateTaskQueueConfigRequest(
            task_queue=QUEUE,
            task_queue_type=ACTIVITY,
            update_queue_rate_limit=limit,
            set_fairness_weight_overrides={"vip": 2.0},
        )
    )

    async def replicated() -> bool:
        return (await described(stage, WEST)).config.queue_rate_limit.rate_limit.requests_per_second == 7

    await until(replicated)
    assert (await described(stage, WEST)).config == (await described(stage, EAST)).config

    await stage.switch()
    view = await described(stage, stage.new)
    assert view.effective_rate_limit.requests_per_second == 7
    assert view.effective_rate_limit.rate_limit_source == RateLimitSource.RATE_LIMIT_SOURCE_API

    # And back: the newest word counts, whoever said it.
    await stage.at().call(
        UpdateTaskQueueConfigRequest(
            task_queue=QUEUE, task_queue_type=ACTIVITY, update_queue_rate_limit=Update(reason="over")
        )
    )

    async def lifted() -> bool:
        config = (await described(stage, stage.old)).config
        return (
            not config.queue_rate_limit.HasField("rate_limit") and "vip" in config.fairness_weight_overrides
        )

    await until(lifted)


async def test_priority_orders_tasks_in_the_region_that_takes_over(stage: Stage) -> None:
    client = stage.at()
    for name, key in (("slow", 5), ("plain", 0), ("fast", 1)):
        await client.start(name, priority=Priority(priority_key=key))

    await stage.switch()

    tasks = [await client.poll() for _ in range(3)]
    assert [task.workflow_execution.workflow_id for task in tasks] == ["fast", "plain", "slow"]
