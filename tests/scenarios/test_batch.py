"""A batch operation whose region goes away under it: it goes on where it was, and does nothing twice."""

from __future__ import annotations

import asyncio

from temporalio.api.batch.v1 import BatchOperationSignal
from temporalio.api.enums.v1 import BatchOperationState
from temporalio.api.workflowservice.v1 import (
    DescribeBatchOperationRequest,
    DescribeBatchOperationResponse,
    StartBatchOperationRequest,
)

from mockcloud.core.limits import Limits
from tests.scenarios.stage import EAST, WEST, Caller, Stage, of_type, opened, until

RUNS = 45
SLOWLY = Limits(batched_runs_per_second=15)  # two seconds for all of them


async def begun(stage: Stage) -> Caller:
    """The namespace endpoint, once a batch that signals all workflows is under way."""
    caller = stage.at()
    await asyncio.gather(*(caller.start(f"w{number}") for number in range(RUNS)))
    await caller.call(
        StartBatchOperationRequest(
            job_id="job",
            reason="because",
            visibility_query="WorkflowId STARTS_WITH 'w'",
            signal_operation=BatchOperationSignal(signal="s"),
        )
    )

    async def under_way() -> bool:
        return 0 < (await described(caller)).complete_operation_count < RUNS

    await until(under_way)
    return caller


async def described(caller: Caller) -> DescribeBatchOperationResponse:
    return await caller.ask(DescribeBatchOperationRequest(job_id="job"), DescribeBatchOperationResponse)


async def all_signaled_once(caller: Caller) -> None:
    async def ended() -> bool:
        found = await described(caller)
        return found.state != BatchOperationState.BATCH_OPERATION_STATE_RUNNING

    await until(ended)
    found = await described(caller)
    assert found.state == BatchOperationState.BATCH_OPERATION_STATE_COMPLETED
    assert (found.total_operation_count >= RUNS, found.failure_operation_count) == (True, 0)
    for number in range(RUNS):
        events = await caller.events(f"w{number}")
        assert len(of_type(events, "WORKFLOW_EXECUTION_SIGNALED")) == 1, f"w{number}"


async def test_a_batch_goes_on_in_the_new_region() -> None:
    async with opened(limits=SLOWLY) as stage:
        caller = await begun(stage)
        await stage.failover(WEST)
        await all_signaled_once(caller)
        await stage.settled("job")


async def test_a_batch_goes_on_after_a_crash() -> None:
    async with opened(limits=SLOWLY) as stage:
        await begun(stage)
        await stage.cloud.region(EAST).kill()
        await stage.cloud.region(EAST).start()
        await all_signaled_once(stage.at(EAST))
